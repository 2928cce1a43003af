"""What the conformance kits for SMART App Launch 2.2 and ONC (g)(10) assert of a server, numbered.

`@shows(20, 21)` says which of them a test shows; `NOT_SHOWN` says why one is not. `test_assertions` holds
the two against the table. The numbers are this table's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

Test = TypeVar("Test", bound=Callable[..., Any])

ASSERTIONS: Final[dict[int, str]] = {
    # Discovery
    1: "smart-configuration is there, with Accept: application/json and without a token",
    2: "it is JSON, as application/json",
    3: "its addresses are absolute",
    4: "its required members are there, and have their types",
    5: "grant_types_supported has authorization_code",
    6: "code_challenge_methods_supported has S256 and not plain",
    7: "with sso-openid-connect there are issuer and jwks_uri",
    8: "each capability is a string",
    9: "pages elsewhere may read smart-configuration",
    10: "pages elsewhere may read the CapabilityStatement",
    11: "the capabilities of a standalone launch are there",
    12: "the capabilities of an EHR launch are there",
    13: "the CapabilityStatement names the same addresses",
    # The authorization endpoint
    14: "authorization_endpoint is an address",
    15: "it takes the parameters of SMART, with aud as the tester typed it",
    16: "it takes them by GET and by another site's POST",
    17: "the browser comes back by GET, with state and code",
    18: "another aud gives no code",
    19: "an EHR launch has iss byte for byte, and a launch value",
    # The token endpoint
    20: "a code becomes tokens, for each kind of client",
    21: "access_token, token_type, expires_in and scope are there",
    22: "they have their types, and token_type is Bearer",
    23: "what was asked for was granted",
    24: "fhirContext is a list of references, canonicals and identifiers",
    25: "the answer is stored nowhere",
    26: "a public client's page may read it",
    27: "TLS below 1.2 is refused, 1.2 is not, and the certificate's chain holds",
    28: "without code_verifier: 400 or 401",
    29: "with a blank one: 400 or 401",
    30: "with a wrong one: 400 or 401",
    31: "with the challenge as the verifier: 400 or 401",
    32: "with a wrong code: 400",
    33: "from an unknown client: 400 or 401",
    34: "with an unknown refresh token: 400 or 401",
    35: "a refresh token becomes tokens",
    36: "their scopes are, as texts, among those before",
    37: "the refresh token may be replaced; the new access token reads the patient",
    # OpenID Connect
    38: "the id_token can be decoded",
    39: "openid-configuration is there, as JSON",
    40: "its required members are there",
    41: "jwks_uri has RSA keys that can be used",
    42: "the id_token's header has RS256 and a known kid",
    43: "its signature and its claims hold",
    44: "fhirUser can be read with the access token",
    45: "a page of the app may read it",
    46: "public and asymmetric clients get an id_token too",
    # Backend services
    47: "an unknown grant_type: 400",
    48: "an unknown client_assertion_type: 400",
    49: "an assertion of somebody else: 400 or 401",
    50: "a service gets a token",
    51: "bulk export is for the service that asked for it alone",
    # Introspection
    52: "introspection answers 200, whatever the token",
    53: "active, client_id, exp and scope are as in the token response",
    54: "patient and encounter are as in the token response",
    55: "iss and sub are those of the id_token",
    56: "of an inactive token it says nothing else",
    # Access
    57: "without a token: 401",
    58: "the launch's patient and encounter can be read",
    59: "an EHR launch has need_patient_banner and a readable smart_style_url",
    60: "identity and launch scopes are granted by their names",
    61: "v2 scopes are answered as v2",
    62: "the level of each granted scope is right, for all types",
    63: "an EHR launch for patient/Patient.rs has exactly that",
    64: "a person grants some types only, whatever was asked for",
    65: "a first search of each type: 200 if it was granted, else 401 or 403",
    66: "after a revocation reads give 401, 403 or 404, and refreshing 400 or 401",
    67: "categories are offered where whole types are asked for",
    68: "granular scopes come back as they were asked for",
    69: "searches give all of the union of the granular scopes, and nothing else",
    70: "a read gives what the scopes hold, and nothing else",
    71: "codes of tokens compare in any case, systems exactly",
    # Beyond single requests
    72: "attestations: what pages and documents say",
    73: "a client may have several JWKS addresses, and name one by jku",
    74: "an assertion may end in exactly five minutes",
    75: "a secret is the same with and without percent-encoding",
}

NOT_SHOWN: Final[dict[int, str]] = {
    51: "bulk export is not served; `test_access` shows that it is refused",
    72: "people attest to it; `test_time` shows how long refresh tokens last, and `browser/` the pages",
}


def shows(*numbers: int) -> Callable[[Test], Test]:
    """Marks a test with the assertions that it shows."""

    def marked(test: Test) -> Test:
        test.__dict__["shows"] = numbers
        return test

    return marked
