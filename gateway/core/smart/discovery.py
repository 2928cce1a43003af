"""What the authorization server says about itself, from one account of what works.

`CAPABILITIES` and `ENDPOINTS` are the tables: a capability is listed exactly if all it needs is there, so
none is claimed that would fail (SMART App Launch 2.2, "Conformance": every listed scope SHALL work). The
three documents share their addresses, which conformance kits compare with each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from gateway.core.smart import dpop
from gateway.core.smart.assertion import ALGORITHMS
from gateway.core.smart.client import AuthMethod, GrantType
from gateway.core.smart.pkce import METHOD
from gateway.core.smart.uris import check_absolute

Document = dict[str, object]
Endpoint = Literal["authorize", "token", "introspect", "revoke", "manage", "register", "jwks"]
Context = Literal["patient", "encounter", "need_patient_banner", "smart_style_url"]

ID_TOKEN_ALGORITHMS: Final = ("RS256",)  # OpenID Connect Core section 15.1: what every client can check
ID_TOKEN_CLAIMS: Final = ("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "fhirUser")
OAUTH_URIS: Final = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
SECURITY_SERVICE: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
    "code": "SMART-on-FHIR",
    "display": "SMART-on-FHIR",
}

# Each endpoint's member in the well-known documents (RFC 8414 section 2; `management_endpoint` is SMART's).
# All but the keys are in the CapabilityStatement too, where they have our names for them (SMART STU 1).
ENDPOINTS: Final[dict[Endpoint, str]] = {
    "authorize": "authorization_endpoint",
    "token": "token_endpoint",
    "introspect": "introspection_endpoint",
    "revoke": "revocation_endpoint",
    "manage": "management_endpoint",
    "register": "registration_endpoint",
    "jwks": "jwks_uri",
}


class Capability(NamedTuple):
    """A word of the `capabilities`, and the facts it needs: see `Server.facts`."""

    name: str
    needs: tuple[str, ...] = ()


CAPABILITIES: Final = (
    Capability("launch-ehr", ("authorization_code", "launch")),
    Capability("launch-standalone", ("authorization_code",)),
    Capability("authorize-post", ("authorization_code",)),
    Capability("client-public", ("none",)),
    Capability("client-confidential-symmetric", ("client_secret_basic",)),
    Capability("client-confidential-asymmetric", ("private_key_jwt",)),
    Capability("sso-openid-connect", ("authorization_code", "openid", "fhirUser", "jwks")),
    Capability("context-banner", ("launch", "need_patient_banner")),
    Capability("context-style", ("launch", "smart_style_url")),
    Capability("context-ehr-patient", ("launch", "patient")),
    Capability("context-ehr-encounter", ("launch", "encounter")),
    Capability("context-standalone-patient", ("launch/patient", "patient")),
    Capability("context-standalone-encounter", ("launch/encounter", "encounter")),
    Capability("permission-offline", ("refresh_token", "offline_access")),
    Capability("permission-online", ("refresh_token", "online_access")),
    Capability("permission-patient", ("patient/", "patient")),
    Capability("permission-user", ("user/",)),
    Capability("permission-v1"),  # the grammar of scopes reads both
    Capability("permission-v2"),
)


@dataclass(frozen=True, slots=True)
class Server:
    """What works, of one authorization server before one FHIR base.

    `endpoints` are absolute addresses, of which authorize and token are always there; `scopes` the most that
    can be granted (`grant.Served.scopes`); `context` what a launch can tell the app; with `certificates`
    clients can have their tokens bound to theirs. Raises `ValueError`.
    """

    issuer: str
    endpoints: Mapping[Endpoint, str]
    grant_types: tuple[GrantType, ...]
    auth_methods: tuple[AuthMethod, ...]
    scopes: tuple[str, ...]
    context: frozenset[Context] = frozenset()
    certificates: bool = False

    def __post_init__(self) -> None:
        check_absolute(self.issuer, "the issuer")
        for name, address in self.endpoints.items():
            check_absolute(address, f"the address of {name}")
        if not {"authorize", "token"} <= self.endpoints.keys():
            raise ValueError("an authorization server has the endpoints authorize and token")
        if not (self.grant_types and self.auth_methods and self.scopes):
            raise ValueError("an authorization server has grant types, authentication methods and scopes")

    @property
    def facts(self) -> frozenset[str]:
        """All that works, by name: endpoints, grant types, methods, scopes and their levels, context."""
        levels = {scope.partition("/")[0] + "/" for scope in self.scopes if "." in scope}
        return frozenset(
            {*self.endpoints, *self.grant_types, *self.auth_methods, *self.scopes, *self.context, *levels}
        )

    @property
    def capabilities(self) -> list[str]:
        facts = self.facts
        return [name for name, needs in CAPABILITIES if facts.issuperset(needs)]

    @property
    def has_sso(self) -> bool:
        return "sso-openid-connect" in self.capabilities


def smart_configuration(server: Server) -> Document:
    """`<fhir base>/.well-known/smart-configuration` (SMART App Launch 2.2, "Conformance").

    Issuer and keys are named only with single sign-on, which is what they are for.
    """
    return {
        **({"issuer": server.issuer} if server.has_sso else {}),
        **_addresses(server),
        **_methods(server),
        "capabilities": server.capabilities,
    }


def openid_configuration(server: Server) -> Document:
    """`<issuer>/.well-known/openid-configuration` (OpenID Connect Discovery section 3, RFC 8414 section 2).

    Raises `ValueError` for a server without single sign-on: it has no such document.
    """
    if not server.has_sso:
        raise ValueError("single sign-on needs authorization_code, openid, fhirUser and a key set's address")
    return {
        "issuer": server.issuer,
        **_addresses(server),
        **_methods(server),
        "response_modes_supported": ["query"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [*ID_TOKEN_ALGORITHMS],
        "claims_supported": [*ID_TOKEN_CLAIMS],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,  # left out, it would mean true
        "authorization_response_iss_parameter_supported": True,  # RFC 9207 section 3
    }


def capability_security(server: Server, *, cors: bool) -> Document:
    """`CapabilityStatement.rest.security` (FHIR R4 capabilitystatement; SMART STU 1 `oauth-uris`)."""
    addresses = [
        {"url": name, "valueUri": server.endpoints[name]}
        for name in ENDPOINTS
        if name in server.endpoints and name != "jwks"
    ]
    return {
        "extension": [{"url": OAUTH_URIS, "extension": addresses}],
        "cors": cors,
        "service": [{"coding": [SECURITY_SERVICE], "text": "OAuth 2.0 by SMART App Launch 2.2"}],
    }


def _addresses(server: Server) -> Document:
    return {
        member: server.endpoints[name]
        for name, member in ENDPOINTS.items()
        if name in server.endpoints and (name != "jwks" or server.has_sso)
    }


def _methods(server: Server) -> Document:
    """How to use the endpoints. `none` is no authentication method in SMART's list of them."""
    algorithms = [*ALGORITHMS] if "private_key_jwt" in server.auth_methods else []
    return {
        "grant_types_supported": [*server.grant_types],
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": [METHOD],
        "token_endpoint_auth_methods_supported": [name for name in server.auth_methods if name != "none"],
        **({"token_endpoint_auth_signing_alg_values_supported": algorithms} if algorithms else {}),
        "dpop_signing_alg_values_supported": [*dpop.ALGORITHMS],  # RFC 9449 section 5.1
        **({"tls_client_certificate_bound_access_tokens": True} if server.certificates else {}),
        "scopes_supported": [*server.scopes],
    }
