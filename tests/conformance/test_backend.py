"""A backend service gets a token in its own name; and what is no proof of it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping

import pytest

from tests.conformance.apps import ASSERTION_TYPE, KEYS, App, assertion_form
from tests.conformance.assertions import shows
from tests.conformance.checks import check_stored_nowhere, check_token_response
from tests.conformance.driver import Kit
from tests.tokens import forge

SCOPE = "system/*.read"
FORM = {"grant_type": "client_credentials", "scope": SCOPE}

# Claims over the sound ones of an assertion, from the time in seconds.
CLAIMS: dict[str, Callable[[int], Mapping[str, object]]] = {
    "49 iss of somebody else": lambda _: {"iss": "not_a_valid_iss"},
    "sub of somebody else": lambda _: {"sub": "published"},
    "another aud": lambda _: {"aud": "https://other.example/auth/token"},
    "no aud": lambda _: {"aud": None},
    "exp in the past": lambda now_s: {"exp": now_s - 61},
    "exp in ten minutes": lambda now_s: {"exp": now_s + 600},
    "no exp": lambda _: {"exp": None},
    "no jti": lambda _: {"jti": None},
}
HEADERS: dict[str, Mapping[str, object]] = {
    "unknown kid": {"kid": "nobody"},
    "no kid": {"kid": None},
    "kid of another kind of key": {"kid": "RS384"},
    "no typ": {"typ": None},
    "typ of an access token": {"typ": "at+jwt"},
    "alg none": {"alg": "none"},
    "alg of another kind": {"alg": "RS384"},
    "jku of somebody else": {"jku": "https://evil.example/jwks.json"},
}


@shows(50, 74)
@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
@pytest.mark.parametrize("scope", [SCOPE, "system/*.rs", "system/Observation.rs"])
def test_a_service_gets_a_token(kit: Kit, algorithm: str, scope: str) -> None:
    app = App("service", "asymmetric", {}, algorithm)
    answer = kit.serve(app, scope)
    tokens = kit.granted(answer)
    check_stored_nowhere(answer)
    check_token_response(tokens.body)
    assert tokens.body["scope"] == scope
    assert tokens.body["expires_in"] <= 300
    assert tokens.body.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert tokens.get("Observation/obs-a-exact").status_code == 200


@shows(73)
@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
@pytest.mark.parametrize("named", [True, False], ids=["by jku", "without jku"])
def test_keys_may_be_at_several_addresses(kit: Kit, algorithm: str, named: bool) -> None:
    """The key for ES384 is at the first, that for RS384 at the second; jku says which."""
    second = kit.site.apps["published"].jku
    assert second is not None
    jku = {"ES384": second.replace("second", "first"), "RS384": second}[algorithm]
    app = App("published", "asymmetric", {}, algorithm, jku if named else None)
    assert kit.granted(kit.serve(app)).get("Observation/obs-a-exact").status_code == 200


@shows(73)
def test_jku_says_where_the_key_is(kit: Kit) -> None:
    answer = kit.serve(App("published", "asymmetric", {}, "ES384", kit.site.apps["published"].jku))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client")


@shows(47)
@pytest.mark.parametrize("kind", ["service", "symmetric", "public"])
def test_an_unknown_grant_type_is_refused(kit: Kit, kind: str) -> None:
    answer = kit.post(kit.site.apps[kind], {**FORM, "grant_type": "not_a_grant_type"})
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


@shows(48)
def test_an_unknown_assertion_type_is_refused(kit: Kit) -> None:
    answer = kit.post(kit.site.apps["service"], {**FORM, "client_assertion_type": "not_an_assertion_type"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client")


@shows(49)
@pytest.mark.parametrize("name", CLAIMS)
def test_an_assertion_has_to_say_the_right_thing(kit: Kit, name: str) -> None:
    now_s = kit.site.now_s
    refused(kit, kit.site.apps["service"].assertion(kit.token_url, now_s, claims=CLAIMS[name](now_s)))


@pytest.mark.parametrize("name", HEADERS)
def test_an_assertion_has_to_name_its_key(kit: Kit, name: str) -> None:
    refused(kit, kit.site.apps["service"].assertion(kit.token_url, kit.site.now_s, HEADERS[name]))


def test_an_assertion_counts_once(kit: Kit) -> None:
    assertion = kit.site.apps["service"].assertion(kit.token_url, kit.site.now_s)
    first = kit.http.post(kit.token_url, data={**FORM, **assertion_form(assertion)})
    assert first.status_code == 200
    refused(kit, assertion)


def test_a_public_key_is_no_secret(kit: Kit) -> None:
    """HS384 with the public key, as PEM, in the place of a secret."""
    _, claims, _ = kit.site.apps["service"].assertion(kit.token_url, kit.site.now_s).split(".")
    header = forge.b64(json.dumps({"typ": "JWT", "alg": "HS384", "kid": "ES384"}).encode())
    signed = f"{header}.{claims}"
    mac = hmac.new(forge.pem(KEYS["ES384"]), signed.encode(), hashlib.sha384).digest()
    refused(kit, f"{signed}.{forge.b64(mac)}")


@pytest.mark.parametrize("assertion", ["", "nonsense", "a.b.c", "e30.e30.", "e30.e30.e30.e30.e30"])
def test_what_is_no_assertion_is_refused(kit: Kit, assertion: str) -> None:
    refused(kit, assertion)


@pytest.mark.parametrize(
    ("scope", "error"),
    [
        ("patient/*.rs", "invalid_scope"),
        ("user/*.rs", "invalid_scope"),
        ("system/Nonsense.rs", "invalid_scope"),
        ("openid", "invalid_scope"),
        (None, "invalid_request"),
    ],
)
def test_a_service_gets_nothing_else(kit: Kit, scope: str | None, error: str) -> None:
    answer = kit.post(kit.site.apps["service"], {**FORM, "scope": scope})
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_a_service_gets_no_more_than_it_is_registered_for(kit: Kit) -> None:
    tokens = kit.granted(kit.serve(kit.site.apps["service"], "system/Observation.cruds"))
    assert tokens.scopes == ["system/Observation.rs"]


@pytest.mark.parametrize("kind", ["public", "symmetric", "asymmetric"])
def test_an_app_is_no_service(kit: Kit, kind: str) -> None:
    answer = kit.post(kit.site.apps[kind], FORM)
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


def test_a_service_reads_no_patient_who_has_not_consented(kit: Kit) -> None:
    tokens = kit.granted(kit.serve(kit.site.apps["service"]))
    assert tokens.get("Patient/pat-a").status_code == 200
    assert tokens.get("Patient/pat-c").status_code == 404


def refused(kit: Kit, assertion: str) -> None:
    form = {**FORM, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
    answer = kit.http.post(kit.token_url, data=form)
    check_stored_nowhere(answer)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client")
