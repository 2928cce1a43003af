"""What a token is, for who may know."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx
import pytest

from tests.conformance.apps import KINDS, basic
from tests.conformance.assertions import shows
from tests.conformance.browser import Person
from tests.conformance.driver import Kit, Tokens, decoded, single

INACTIVE = {"active": False}
EHR = "launch openid fhirUser offline_access user/*.rs"


def introspect(kit: Kit, token: str, authorization: str | None) -> httpx.Response:
    headers = {} if authorization is None else {"Authorization": authorization}
    return kit.http.post(kit.configuration["introspection_endpoint"], data={"token": token}, headers=headers)


@pytest.fixture
def bearer(kit: Kit) -> str:
    """A service that protects something, with a token of its own."""
    return f"Bearer {kit.granted(kit.serve(kit.site.apps['service'])).access}"


@shows(52, 53, 54, 55)
@pytest.mark.parametrize("kind", KINDS)
def test_an_active_token_is_as_it_was_given(kit: Kit, bearer: str, kind: str) -> None:
    tokens = kit.tokens(kit.site.apps[kind])
    answer = introspect(kit, tokens.access, bearer)
    assert answer.status_code == 200
    check_told(kit, answer, tokens, kind)


@shows(53, 54, 55)
def test_its_own_client_may_know_too(kit: Kit) -> None:
    app = kit.site.apps["symmetric"]
    launch = single(urlsplit(kit.ehr_launch(app)["launch_url"]).query)["launch"]
    tokens = kit.tokens(app, EHR, Person("gp"), launch=launch)
    answer = introspect(kit, tokens.access, basic(app.id, app.secret))
    check_told(kit, answer, tokens, app.id)
    told = answer.json()
    assert told["encounter"] == tokens.body["encounter"] == "enc-a1"
    for name in ("need_patient_banner", "smart_style_url"):
        assert told[name] == tokens.body[name]


def check_told(kit: Kit, answer: httpx.Response, tokens: Tokens, client: str) -> None:
    told = answer.json()
    assert told["active"] is True
    assert told["client_id"] == client
    assert abs(told["exp"] - kit.site.now_s - tokens.body["expires_in"]) <= 60  # as long as asking may take
    assert sorted(told["scope"].split(" ")) == sorted(tokens.scopes)
    assert told["patient"] == tokens.body["patient"]
    _, claims = decoded(tokens.body["id_token"])
    assert {name: told[name] for name in ("iss", "sub", "fhirUser")} == {
        name: claims[name] for name in ("iss", "sub", "fhirUser")
    }


@shows(52, 56)
@pytest.mark.parametrize("token", ["invalid_token_value", "a.b.c", "0" * 43])
def test_of_what_is_no_token_nothing_is_told(kit: Kit, bearer: str, token: str) -> None:
    answer = introspect(kit, token, bearer)
    assert (answer.status_code, answer.json()) == (200, INACTIVE)


@shows(56)
def test_of_a_token_that_is_over_nothing_is_told(kit: Kit) -> None:
    app = kit.site.apps["public"]
    tokens = kit.tokens(app)
    gone = kit.post(app, {"token": tokens.access}, kit.configuration["revocation_endpoint"])
    assert gone.status_code == 200
    service = kit.granted(kit.serve(kit.site.apps["service"]))
    assert introspect(kit, tokens.access, f"Bearer {service.access}").json() == INACTIVE
    late = kit.tokens(app)
    kit.site.clock.ahead_s += late.body["expires_in"] + 61
    service = kit.granted(kit.serve(kit.site.apps["service"]))
    assert introspect(kit, late.access, f"Bearer {service.access}").json() == INACTIVE


@shows(56)
def test_of_another_clients_token_nothing_is_told(kit: Kit) -> None:
    app = kit.site.apps["symmetric"]
    tokens = kit.tokens(kit.site.apps["public"])
    for token in (tokens.access, tokens.body["refresh_token"]):
        assert introspect(kit, token, basic(app.id, app.secret)).json() == INACTIVE


def test_a_refresh_token_is_known_to_its_client_alone(kit: Kit, bearer: str) -> None:
    app = kit.site.apps["symmetric"]
    tokens = kit.tokens(app)
    told = introspect(kit, tokens.body["refresh_token"], basic(app.id, app.secret)).json()
    assert (told["active"], told["client_id"], told["patient"]) == (True, app.id, "pat-a")
    assert introspect(kit, tokens.body["refresh_token"], bearer).json() == INACTIVE


@pytest.mark.parametrize("authorization", [None, "Bearer nonsense", basic("symmetric", "w" * 43)])
def test_nobody_else_may_know(kit: Kit, authorization: str | None) -> None:
    tokens = kit.tokens(kit.site.apps["public"])
    answer = introspect(kit, tokens.access, authorization)
    assert answer.status_code == 401
    assert "active" not in answer.json()
