"""Access ends when it is withdrawn: by the person on their page, by the client, by the operator."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest

from tests.auth.counter import Reader
from tests.conformance.apps import KINDS
from tests.conformance.assertions import shows
from tests.conformance.browser import Browser, Person
from tests.conformance.driver import Kit, Tokens, decoded


def by_the_person(kit: Kit, tokens: Tokens) -> None:
    """On the page that the discovery document names."""
    with closing(Browser(kit.site)) as browser:
        page = browser.log_in(kit.configuration["management_endpoint"], Person())
        (form,) = (f for f in Reader(page.text).forms if f.fields.get("consent") == consent_of(tokens))
        done = browser.submit(page, form, form.fields)
        assert done.status_code == 303


def by_the_client(kit: Kit, tokens: Tokens) -> None:
    _, claims = decoded(tokens.access)
    form = {"token": tokens.body["refresh_token"], "token_type_hint": "refresh_token"}
    url = kit.configuration["revocation_endpoint"]
    assert kit.post(kit.site.apps[claims["client_id"]], form, url).status_code == 200


def by_the_operator(kit: Kit, tokens: Tokens) -> None:
    kit.site.place.good("consent", "revoke", consent_of(tokens))


def by_keeping_the_person_out(kit: Kit, tokens: Tokens) -> None:
    """And letting them in again, which brings nothing back."""
    assert tokens.body["scope"]
    kit.site.place.good("user", "disable", "anna")
    kit.site.place.good("user", "enable", "anna")


def consent_of(tokens: Tokens) -> str:
    """The id of the consent that a token rests on."""
    _, claims = decoded(tokens.access)
    (consent,) = claims["consent"]
    return str(consent["id"])


@shows(66)
@pytest.mark.parametrize("end", [by_the_person, by_the_client, by_the_operator, by_keeping_the_person_out])
@pytest.mark.parametrize("kind", KINDS)
def test_from_then_on_nothing_is_given(kit: Kit, kind: str, end: Callable[[Kit, Tokens], None]) -> None:
    tokens = kit.tokens(kit.site.apps[kind], "launch/patient offline_access patient/*.rs")
    assert tokens.get("Patient/pat-a").status_code == 200
    end(kit, tokens)
    assert tokens.get("Patient/pat-a").status_code in (401, 403, 404)
    answer = kit.refresh(kit.site.apps[kind], tokens.body["refresh_token"])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_who_is_kept_out_takes_a_token_along_at_once(kit: Kit) -> None:
    app = kit.site.apps["public"]
    tokens = kit.tokens(app)
    kit.site.place.good("user", "disable", "anna")
    try:
        assert tokens.get("Patient/pat-a").status_code == 401
        answer = kit.refresh(app, tokens.body["refresh_token"])
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    finally:
        kit.site.place.good("user", "enable", "anna")


def test_an_authority_that_is_ended_takes_its_tokens_along(kit: Kit) -> None:
    """And leaves those of the person's own records."""
    app, place = kit.site.apps["public"], kit.site.place
    own, proxied = kit.tokens(app), kit.tokens(app, person=Person(patient="pat-b"))
    assert proxied.get("Patient/pat-b").status_code == 200
    [authority] = [a for a in place.json("user", "show", "anna")["authorities"] if a["in_force"]]
    place.good("user", "disallow", authority["id"])
    try:
        assert proxied.get("Patient/pat-b").status_code == 401
        answer = kit.refresh(app, proxied.body["refresh_token"])
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
        assert own.get("Patient/pat-a").status_code == 200
    finally:
        again = ("--relationship", "MTH", "--until", authority["until"])
        place.good("user", "allow", "anna", "--patient", "pat-b", *again)


def test_a_client_ends_one_access_token(kit: Kit) -> None:
    """And goes on with its refresh token."""
    app = kit.site.apps["public"]
    tokens = kit.tokens(app)
    ended = kit.post(app, {"token": tokens.access}, kit.configuration["revocation_endpoint"])
    assert ended.status_code == 200
    assert tokens.get("Patient/pat-a").status_code == 401
    after = kit.granted(kit.refresh(app, tokens.body["refresh_token"]))
    assert after.get("Patient/pat-a").status_code == 200


def test_no_client_ends_anothers(kit: Kit) -> None:
    tokens = kit.tokens(kit.site.apps["public"])
    form = {"token": tokens.access}
    answer = kit.post(kit.site.apps["other"], form, kit.configuration["revocation_endpoint"])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert tokens.get("Patient/pat-a").status_code == 200
