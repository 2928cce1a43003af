"""Claims to token, case by case (fixtures/smart/claims.json)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.core.smart.claims import CLAIMS, NEEDED, REFUSED, USED, WITHOUT_EFFECT, read_claims
from gateway.core.smart.issuers import IssuerRule
from gateway.core.values import Token
from gateway.errors import Unauthenticated

FIXTURE = json.loads((Path(__file__).parents[3] / "fixtures/smart/claims.json").read_text())
NOW_S: int = FIXTURE["now_s"]
# The claims registered by RFC 7519, RFC 9068 and SMART App Launch, and those of id_tokens.
REGISTERED = {
    *("iss", "sub", "aud", "exp", "nbf", "iat", "jti"),
    *("client_id", "scope", "auth_time", "acr", "amr", "roles", "groups", "entitlements"),
    *("patient", "encounter", "fhirUser", "fhirContext", "need_patient_banner", "smart_style_url"),
    *("intent", "tenant", "nonce", "at_hash", "c_hash", "azp", "cnf", "act", "authorization_details"),
    *("purpose_of_use", "role", "organization", "case", "consent", "token_entry", "break_glass"),
}


def read(claims: dict[str, Any], **rule: Any) -> Token:
    return read_claims(
        claims,
        IssuerRule(**{**FIXTURE["rule"], **rule}),
        NOW_S,
        types=frozenset({"Observation", "Patient"}),
        evaluable=lambda kind, term: False,
        digest=b"digest",
    )


def claims_of(case: dict[str, Any]) -> dict[str, Any]:
    claims = {**FIXTURE["claims"], **case.get("set", {})}
    return {name: value for name, value in claims.items() if name not in case.get("drop", ())}


def plain(token: Token, field: str) -> object:
    """A token's field as JSON would have it."""
    value = getattr(token, field)
    match field:
        case "scopes":
            return [scope.text for scope in value]
        case "purposes":
            return list(value)
        case "issued" | "confirmation" | "glass":
            return value and list(value)
        case "fhir_user" | "organization" | "case":
            return value and str(value)
        case "consents":
            return value if value is None else [[ref.id, ref.entry, ref.hash] for ref in value]
        case _:
            return value


@pytest.mark.parametrize("case", [c for c in FIXTURE["cases"] if "reads" in c], ids=lambda c: c["name"])
def test_claims_are_read(case: dict[str, Any]) -> None:
    token = read(claims_of(case), **case.get("rule", {}))
    assert token.digest == b"digest"
    assert {field: plain(token, field) for field in case["reads"]} == case["reads"]


@pytest.mark.parametrize("case", [c for c in FIXTURE["cases"] if "refused" in c], ids=lambda c: c["name"])
def test_claims_are_refused_by_name_and_never_quoted(case: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated) as caught:
        read(claims_of(case), **case.get("rule", {}))
    assert caught.value.text.startswith(f"The token's claim {case['refused']} ")
    assert caught.value.oauth_error == "invalid_token"
    for value in case.get("set", {}).values():
        assert not (isinstance(value, str) and len(value) > 4 and value in caught.value.text)


def test_every_registered_claim_is_accounted_for_once() -> None:
    rows = [row.name for row in NEEDED] + [row.name for row in USED + WITHOUT_EFFECT + REFUSED]
    assert len(rows) == len(set(rows))
    assert set(rows) == CLAIMS
    assert CLAIMS >= REGISTERED


def test_every_claim_of_the_table_has_a_case_that_refuses_it() -> None:
    assert {case["refused"] for case in FIXTURE["cases"] if "refused" in case} == CLAIMS


def test_scopes_that_grant_no_type_are_kept_as_context() -> None:
    token = read({**FIXTURE["claims"], "scope": "openid fhirUser launch/patient patient/Observation.rs"})
    assert token.context == ("openid", "fhirUser", "launch/patient")
    assert [scope.text for scope in token.scopes] == ["patient/Observation.rs"]
