"""Refreshing: without and with a scope, replaced tokens, and what is no refresh token."""

from __future__ import annotations

import uuid

import pytest

from tests.conformance.apps import KINDS
from tests.conformance.assertions import shows
from tests.conformance.checks import check_stored_nowhere, check_token_response
from tests.conformance.driver import Kit


@shows(35, 36, 37)
@pytest.mark.parametrize("kind", KINDS)
def test_a_refresh_token_goes_on(kit: Kit, kind: str) -> None:
    """First without a scope, then with the one that was received, each with the newest refresh token."""
    app = kit.site.apps[kind]
    tokens = kit.tokens(app)
    for scope in (None, tokens.body["scope"]):
        answer = kit.refresh(app, tokens.body["refresh_token"], scope)
        after = kit.granted(answer)
        check_stored_nowhere(answer)
        check_token_response(after.body)
        assert {*after.scopes} <= {*tokens.scopes}
        assert after.body["patient"] == tokens.body["patient"]
        assert after.get("Patient/pat-a").status_code == 200
        tokens = after


@shows(36)
def test_a_refresh_may_ask_for_less_and_never_for_more(kit: Kit) -> None:
    app = kit.site.apps["public"]
    tokens = kit.tokens(app, "launch/patient offline_access patient/Patient.rs patient/Observation.rs")
    wider = kit.refresh(app, tokens.body["refresh_token"], "patient/*.rs")
    assert (wider.status_code, wider.json()["error"]) == (400, "invalid_scope")
    less = kit.granted(kit.refresh(app, tokens.body["refresh_token"], "patient/Patient.rs"))
    assert less.scopes == ["patient/Patient.rs"]
    assert less.search("Observation", {"patient": "pat-a"}).status_code == 403


@shows(34)
@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_refresh_token_is_refused(kit: Kit, kind: str) -> None:
    answer = kit.refresh(kit.site.apps[kind], str(uuid.uuid4()))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@shows(34)
@pytest.mark.parametrize("kind", ["symmetric", "asymmetric"])
def test_a_confidential_client_does_not_refresh_without_authenticating(kit: Kit, kind: str) -> None:
    """And its refresh token is not used up by it."""
    app = kit.site.apps[kind]
    tokens = kit.tokens(app)
    form = {"grant_type": "refresh_token", "refresh_token": tokens.body["refresh_token"]}
    for named in ({}, {"client_id": app.id}):
        answer = kit.http.post(kit.token_url, data={**form, **named})
        assert answer.status_code in (400, 401)
        assert answer.json()["error"] == "invalid_client"
    assert kit.refresh(app, tokens.body["refresh_token"]).status_code == 200
