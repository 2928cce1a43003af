"""What a kit reads before it begins."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conformance.apps import KIT
from tests.conformance.assertions import shows
from tests.conformance.driver import WELL_KNOWN, Kit
from tests.conformance.records import CATEGORIES, granular

REQUIRED = {
    "authorization_endpoint": str,
    "token_endpoint": str,
    "capabilities": list,
    "grant_types_supported": list,
    "code_challenge_methods_supported": list,
}
STANDALONE = {
    "launch-standalone", "client-public", "client-confidential-symmetric", "client-confidential-asymmetric",
    "sso-openid-connect", "context-standalone-patient", "context-standalone-encounter", "permission-offline",
    "permission-patient", "authorize-post", "permission-v2", "permission-v1",
}  # fmt: skip
EHR = {
    "launch-ehr", "client-confidential-symmetric", "client-confidential-asymmetric", "sso-openid-connect",
    "context-banner", "context-style", "context-ehr-patient", "context-ehr-encounter", "permission-offline",
    "permission-user", "authorize-post", "permission-v2", "permission-v1",
}  # fmt: skip
OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
NAMES = {
    "authorize": "authorization_endpoint",
    "token": "token_endpoint",
    "introspect": "introspection_endpoint",
    "revoke": "revocation_endpoint",
    "manage": "management_endpoint",
    "register": "registration_endpoint",
}


@shows(1, 2)
@pytest.mark.parametrize("base", ["", "/"], ids=["base", "base with a slash"])
def test_smart_configuration_is_there(kit: Kit, base: str) -> None:
    url = (kit.site.base + base).removesuffix("/") + WELL_KNOWN
    answer = kit.http.get(url, headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json() == kit.configuration


@shows(3, 14)
def test_all_addresses_are_absolute(kit: Kit) -> None:
    found = {name: value for name, value in kit.configuration.items() if name.endswith(("_endpoint", "_uri"))}
    assert found.keys() >= {"authorization_endpoint", "token_endpoint", "jwks_uri", "introspection_endpoint"}
    for value in found.values():
        parts = urlsplit(value)
        assert f"{parts.scheme}://{parts.netloc}" == kit.site.url


@shows(4, 8)
def test_what_is_required_is_there(kit: Kit) -> None:
    for name, kind in REQUIRED.items():
        assert isinstance(kit.configuration[name], kind), name
        assert kit.configuration[name], name
    assert all(isinstance(word, str) for word in kit.configuration["capabilities"])


@shows(5, 6)
def test_codes_need_s256(kit: Kit) -> None:
    assert "authorization_code" in kit.configuration["grant_types_supported"]
    assert kit.configuration["code_challenge_methods_supported"] == ["S256"]


@shows(7)
def test_single_sign_on_has_issuer_and_keys(kit: Kit) -> None:
    assert "sso-openid-connect" in kit.configuration["capabilities"]
    assert kit.configuration["issuer"] == kit.site.url
    assert isinstance(kit.configuration["jwks_uri"], str)


@shows(9, 10)
@pytest.mark.parametrize("path", [WELL_KNOWN, "/metadata"])
def test_pages_elsewhere_may_read_it(kit: Kit, path: str) -> None:
    answer = kit.http.get(kit.site.base + path, headers={"Origin": "https://anywhere.example"})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] in ("*", "https://anywhere.example")


@shows(11, 12)
@pytest.mark.parametrize("wanted", [STANDALONE, EHR], ids=["standalone", "EHR"])
def test_the_capabilities_of_a_launch_are_there(kit: Kit, wanted: set[str]) -> None:
    assert wanted <= {*kit.configuration["capabilities"]}


def test_granular_scopes_are_named_as_us_core_spells_them(kit: Kit) -> None:
    assert {*granular(*CATEGORIES).split(" ")} <= {*kit.configuration["scopes_supported"]}


@shows(13)
def test_the_capability_statement_says_the_same(kit: Kit) -> None:
    (rest,) = kit.get("metadata").json()["rest"]
    assert rest["security"]["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    (uris,) = (e for e in rest["security"]["extension"] if e["url"] == OAUTH_URIS)
    said: dict[str, Any] = {each["url"]: each["valueUri"] for each in uris["extension"]}
    for name, member in NAMES.items():
        assert said.get(name) == kit.configuration.get(member), name
    assert said.keys() >= {"authorize", "token"}


@shows(39, 40)
def test_openid_configuration_is_there(kit: Kit) -> None:
    answer = kit.http.get(f"{kit.configuration['issuer']}/.well-known/openid-configuration")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    said = answer.json()
    for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"):
        assert said[name] == kit.configuration[name], name
    assert said["response_types_supported"] == ["code"]
    assert said["subject_types_supported"] == ["public"]
    assert "RS256" in said["id_token_signing_alg_values_supported"]


@shows(41)
def test_there_are_rsa_keys(kit: Kit) -> None:
    answer = kit.http.get(kit.configuration["jwks_uri"])
    assert answer.status_code == 200
    found = [key for key in answer.json()["keys"] if key["kty"] == "RSA"]
    assert found
    for key in found:
        assert {"n", "e", "kid", "alg"} <= key.keys()
        assert not key.keys() & {"d", "p", "q"}


@shows(26)
def test_a_page_may_ask_first(kit: Kit) -> None:
    """The preflight of a public client's page, and of one that is nobody's."""
    asking = {"Access-Control-Request-Method": "POST"}
    mine = kit.http.options(kit.token_url, headers={"Origin": KIT, **asking})
    assert mine.headers["access-control-allow-origin"] == KIT
    assert "POST" in mine.headers["access-control-allow-methods"]
    other = kit.http.options(kit.token_url, headers={"Origin": "https://anywhere.example", **asking})
    assert "access-control-allow-origin" not in other.headers
