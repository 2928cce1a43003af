"""The discovery documents: what conformance kits ask of them, and nothing that does not work."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.smart import dpop
from gateway.core.smart.discovery import (
    CAPABILITIES,
    ENDPOINTS,
    OAUTH_URIS,
    Endpoint,
    Server,
    capability_security,
    openid_configuration,
    smart_configuration,
)

GW = "https://gw.example"
ADDRESSES: dict[Endpoint, str] = {name: f"{GW}/auth/{name}" for name in ENDPOINTS}
FULL = Server(
    issuer=GW,
    endpoints=ADDRESSES,
    grant_types=("authorization_code", "refresh_token", "client_credentials"),
    auth_methods=("none", "client_secret_basic", "private_key_jwt"),
    scopes=(
        *("openid", "fhirUser", "launch", "launch/patient", "launch/encounter"),
        *("offline_access", "online_access", "patient/*.rs", "user/*.rs", "system/*.rs"),
    ),
    context=frozenset({"patient", "encounter", "need_patient_banner", "smart_style_url"}),
)
LEAST = Server(
    issuer=GW,
    endpoints={"authorize": f"{GW}/auth/authorize", "token": f"{GW}/auth/token"},
    grant_types=("authorization_code",),
    auth_methods=("client_secret_basic",),
    scopes=("patient/*.rs",),
)
# What the (g)(10) kit needs of a standalone launch and of an EHR launch.
STANDALONE = {
    *(
        "launch-standalone",
        "client-public",
        "client-confidential-symmetric",
        "client-confidential-asymmetric",
    ),
    *("sso-openid-connect", "context-standalone-patient", "permission-offline", "permission-patient"),
    *("authorize-post", "permission-v2", "permission-v1"),
}
EHR = {
    *("launch-ehr", "client-confidential-symmetric", "client-confidential-asymmetric", "sso-openid-connect"),
    *(
        "context-banner",
        "context-style",
        "context-ehr-patient",
        "context-ehr-encounter",
        "permission-offline",
    ),
    *("permission-user", "authorize-post", "permission-v2", "permission-v1"),
}
# A fact, and the capabilities that go with it and with nothing else.
GOES_WITH: dict[str, set[str]] = {
    "launch": {
        "launch-ehr",
        "context-banner",
        "context-style",
        "context-ehr-patient",
        "context-ehr-encounter",
    },
    "launch/patient": {"context-standalone-patient"},
    "launch/encounter": {"context-standalone-encounter"},
    "openid": {"sso-openid-connect"},
    "fhirUser": {"sso-openid-connect"},
    "offline_access": {"permission-offline"},
    "online_access": {"permission-online"},
    "patient/*.rs": {"permission-patient"},
    "user/*.rs": {"permission-user"},
    "system/*.rs": set(),
    "none": {"client-public"},
    "client_secret_basic": {"client-confidential-symmetric"},
    "private_key_jwt": {"client-confidential-asymmetric"},
    "refresh_token": {"permission-offline", "permission-online"},
    "client_credentials": set(),
    "jwks": {"sso-openid-connect"},
    "introspect": set(),
    "need_patient_banner": {"context-banner"},
    "smart_style_url": {"context-style"},
    "encounter": {"context-ehr-encounter", "context-standalone-encounter"},
    "patient": {"context-ehr-patient", "context-standalone-patient", "permission-patient"},
}
REFUSED: dict[str, dict[str, Any]] = {
    "no authorize": {"endpoints": {"token": f"{GW}/token"}},
    "no token": {"endpoints": {"authorize": f"{GW}/authorize"}},
    "a relative address": {"endpoints": {**ADDRESSES, "revoke": "/auth/revoke"}},
    "an address that is not of the web": {"endpoints": {**ADDRESSES, "token": "ftp://gw.example/auth/token"}},
    "an issuer that is no address": {"issuer": "gw.example"},
    "no grant types": {"grant_types": ()},
    "no methods": {"auth_methods": ()},
    "no scopes": {"scopes": ()},
}


def without(server: Server, fact: str) -> Server:
    def rest(values: Any) -> Any:
        return tuple(value for value in values if value != fact)

    return replace(
        server,
        endpoints={name: address for name, address in server.endpoints.items() if name != fact},
        grant_types=rest(server.grant_types),
        auth_methods=rest(server.auth_methods),
        scopes=rest(server.scopes),
        context=server.context - {fact},
    )


def test_the_full_document() -> None:
    document = smart_configuration(FULL)
    assert json.loads(json.dumps(document)) == document
    assert document == {
        "issuer": GW,
        "authorization_endpoint": f"{GW}/auth/authorize",
        "token_endpoint": f"{GW}/auth/token",
        "introspection_endpoint": f"{GW}/auth/introspect",
        "revocation_endpoint": f"{GW}/auth/revoke",
        "management_endpoint": f"{GW}/auth/manage",
        "registration_endpoint": f"{GW}/auth/register",
        "jwks_uri": f"{GW}/auth/jwks",
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
        "dpop_signing_alg_values_supported": [*dpop.ALGORITHMS],
        "scopes_supported": [*FULL.scopes],
        "capabilities": [name for name, _ in CAPABILITIES],
    }
    assert {*FULL.capabilities} >= STANDALONE | EHR


def test_the_least_document() -> None:
    assert smart_configuration(LEAST) == {
        "authorization_endpoint": f"{GW}/auth/authorize",
        "token_endpoint": f"{GW}/auth/token",
        "grant_types_supported": ["authorization_code"],
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "dpop_signing_alg_values_supported": [*dpop.ALGORITHMS],
        "scopes_supported": ["patient/*.rs"],
        "capabilities": [
            "launch-standalone",
            "authorize-post",
            "client-confidential-symmetric",
            "permission-v1",
            "permission-v2",
        ],
    }


def test_certificates_are_told_of_where_clients_can_have_them() -> None:
    said = smart_configuration(replace(LEAST, certificates=True))
    assert said.pop("tls_client_certificate_bound_access_tokens") is True
    assert said == smart_configuration(LEAST)


@pytest.mark.parametrize(("fact", "gone"), GOES_WITH.items(), ids=GOES_WITH)
def test_only_what_works_is_listed(fact: str, gone: set[str]) -> None:
    server = without(FULL, fact)
    assert {*FULL.capabilities} - {*server.capabilities} == gone
    document = smart_configuration(server)
    assert fact not in [item for value in document.values() if isinstance(value, list) for item in value]
    assert ("issuer" in document) == ("jwks_uri" in document) == ("sso-openid-connect" in server.capabilities)


def test_every_need_is_tested() -> None:
    needs = {need for capability in CAPABILITIES for need in capability.needs}
    assert {need + "*.rs" if need.endswith("/") else need for need in needs} <= {
        *GOES_WITH,
        "authorization_code",  # without it there is no authorization server of people
    }


def test_openid_configuration() -> None:
    document = openid_configuration(FULL)
    smart = smart_configuration(FULL)
    assert (
        document.items() >= {name: value for name, value in smart.items() if name != "capabilities"}.items()
    )
    assert {name: document[name] for name in document.keys() - smart.keys()} == {
        "response_modes_supported": ["query"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "fhirUser"],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "authorization_response_iss_parameter_supported": True,
    }


@pytest.mark.parametrize("fact", ["openid", "fhirUser", "jwks"])
def test_there_is_no_openid_configuration_without_sign_on(fact: str) -> None:
    with pytest.raises(ValueError, match="single sign-on"):
        openid_configuration(without(FULL, fact))


@pytest.mark.parametrize("server", [FULL, LEAST], ids=["full", "least"])
def test_the_capability_statement_says_the_same_six_addresses(server: Server) -> None:
    security: Any = capability_security(server, cors=True)
    [extension] = security["extension"]
    addresses = {part["url"]: part["valueUri"] for part in extension["extension"]}
    document = smart_configuration(server)
    assert extension["url"] == OAUTH_URIS
    assert security["cors"] is True
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    assert addresses.keys() <= {"authorize", "introspect", "manage", "register", "revoke", "token"}
    for name in ENDPOINTS:
        if name != "jwks":
            assert addresses.get(name) == document.get(ENDPOINTS[name])


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED)
def test_servers_are_checked_when_built(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^(the|an) "):
        replace(FULL, **changes)
