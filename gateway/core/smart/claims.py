"""The claims of an access token, read into a `Token` (RFC 9068, SMART App Launch 2.2).

`CLAIMS` accounts for every name of RFC 7519, RFC 9068, OpenID Connect and SMART: needed, allowed,
allowed but without effect, or refused. A name outside the table is the issuer's own business: it is
ignored and gives no right. Nothing here is true before the signature was verified; that is the
caller's duty. Times are whole seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.core.smart import kinds
from gateway.core.smart.issuers import IssuerRule
from gateway.core.smart.scopes import Evaluable, parse_scopes
from gateway.core.values import ConsentRef, Glass, Ref, Token
from gateway.errors import Unauthenticated

# How far clocks may differ. It is granted to `iat` and `nbf` alone: an expired token is not
# accepted (SMART App Launch 2.2), and leeway on `exp` would only make every token live longer.
SKEW_S = 60

T = TypeVar("T", covariant=True)
Claims = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Allowed(Generic[T]):
    """A claim that a token may have, and the kind of its value. Null is a value, and always a wrong one."""

    name: str
    kind: Callable[[object], T]

    def read(self, claims: Claims) -> T | None:
        return _as(self.name, self.kind, claims[self.name]) if self.name in claims else None


@dataclass(frozen=True, slots=True)
class Needed(Generic[T]):
    """A claim that every token has."""

    name: str
    kind: Callable[[object], T]

    def read(self, claims: Claims) -> T:
        if self.name not in claims:
            raise _refusal(self.name, "is missing")
        return _as(self.name, self.kind, claims[self.name])


# RFC 7519 section 4.1 and RFC 9068 section 2.2
ISS = Needed("iss", kinds.text)
SUB = Needed("sub", kinds.name)
AUD = Needed("aud", kinds.texts)
EXP = Needed("exp", kinds.seconds)
IAT = Needed("iat", kinds.seconds)
NBF = Allowed("nbf", kinds.seconds)
JTI = Needed("jti", kinds.name)
CLIENT_ID = Needed("client_id", kinds.client)
AZP = Allowed("azp", kinds.client)  # OpenID Connect's word for the client; it must be the same one
SCOPE = Needed("scope", kinds.text)
# SMART context
PATIENT = Allowed("patient", kinds.fhir_id)
ENCOUNTER = Allowed("encounter", kinds.fhir_id)
FHIR_USER = Allowed("fhirUser", kinds.text)
# who asks, why, and under which consents
PURPOSE_OF_USE = Allowed("purpose_of_use", kinds.purposes)
ROLE = Allowed("role", kinds.name)
ORGANIZATION = Allowed("organization", kinds.organization)
CASE = Allowed("case", kinds.case_root)
CONSENT = Allowed("consent", kinds.consents)
TOKEN_ENTRY = Allowed("token_entry", kinds.ledger_entry)  # of its issue; believed of our own issuer alone
BREAK_GLASS = Allowed("break_glass", kinds.glass)  # believed of our own issuer alone
# The key or certificate that its sender must hold (RFC 7800, RFC 9449 section 6.1, RFC 8705 section 3.1)
CNF = Allowed("cnf", kinds.confirmation)

# Known names that change nothing about what is released; their kind is checked all the same.
WITHOUT_EFFECT: tuple[Allowed[object], ...] = (
    Allowed("auth_time", kinds.seconds),
    Allowed("acr", kinds.text),
    Allowed("amr", kinds.texts),
    Allowed("roles", kinds.array),
    Allowed("groups", kinds.array),
    Allowed("entitlements", kinds.array),
    Allowed("fhirContext", kinds.array),
    Allowed("intent", kinds.text),
    Allowed("need_patient_banner", kinds.boolean),
    Allowed("smart_style_url", kinds.text),
    Allowed("tenant", kinds.text),
)
REFUSED: tuple[Allowed[object], ...] = (
    # An id_token or a logout token is no access token (RFC 9068 section 4, RFC 8417).
    Allowed("nonce", kinds.refused),
    Allowed("at_hash", kinds.refused),
    Allowed("c_hash", kinds.refused),
    Allowed("events", kinds.refused),
    # Limits that are not enforced here are not passed over: delegation (RFC 8693), rich authorization
    # (RFC 9396).
    Allowed("act", kinds.refused),
    Allowed("authorization_details", kinds.refused),
)
NEEDED: tuple[Needed[object], ...] = (ISS, SUB, AUD, EXP, IAT, JTI, CLIENT_ID, SCOPE)
USED: tuple[Allowed[object], ...] = (
    NBF,
    AZP,
    PATIENT,
    ENCOUNTER,
    FHIR_USER,
    PURPOSE_OF_USE,
    ROLE,
    ORGANIZATION,
    CASE,
    CONSENT,
    TOKEN_ENTRY,
    BREAK_GLASS,
    CNF,
)
ALLOWED = USED + WITHOUT_EFFECT + REFUSED
CLAIMS = frozenset(row.name for row in NEEDED) | frozenset(row.name for row in ALLOWED)


def read_claims(
    claims: Claims,
    rule: IssuerRule,
    now_s: int,
    *,
    types: Set[str],
    evaluable: Evaluable,
    digest: bytes = b"",
) -> Token:
    """The token that verified `claims` make under `rule` at `now_s`. Raises `Unauthenticated`.

    `types` and `evaluable` are as for `parse_scopes`; `digest` is SHA-256 of the compact token.
    A token with no valid resource scope has `scopes == ()`, and one with `patient/` scopes but no
    `patient` claim has `patient is None`: it is for `decide` to refuse them.
    """
    for row in WITHOUT_EFFECT + REFUSED:
        row.read(claims)
    issued_at_s, expires_at_s = _times(claims, rule, now_s)
    scopes = parse_scopes(SCOPE.read(claims), types=types, evaluable=evaluable)
    return Token(
        issuer=_issuer(claims, rule),
        subject=SUB.read(claims),
        client=_client(claims),
        jti=JTI.read(claims),
        issued_at_s=issued_at_s,
        expires_at_s=expires_at_s,
        scopes=scopes.resources,
        context=scopes.context,
        purposes=_purposes(claims, rule),
        patient=PATIENT.read(claims),
        encounter=ENCOUNTER.read(claims),
        case=CASE.read(claims),
        fhir_user=_user(claims, rule),
        role=ROLE.read(claims),
        organization=ORGANIZATION.read(claims),
        consents=_consents(claims, rule),
        issued=_as_issued(claims, rule),
        digest=digest,
        confirmation=CNF.read(claims),
        glass=_glass(claims, rule),
    )


def _issuer(claims: Claims, rule: IssuerRule) -> str:
    """The issuer, after `iss` and `aud` were compared as strings, character by character."""
    if ISS.read(claims) != rule.issuer:
        raise _refusal("iss", "is not the issuer expected")
    if rule.audience not in AUD.read(claims):
        raise _refusal("aud", "does not name this FHIR base")
    return rule.issuer


def _times(claims: Claims, rule: IssuerRule, now_s: int) -> tuple[int, int]:
    """`iat` and `exp` of a token that is in force: from `nbf` and `iat`, up to but not at `exp`."""
    issued, expires, begins = IAT.read(claims), EXP.read(claims), NBF.read(claims)
    if now_s >= expires:
        raise _refusal("exp", "is past")
    if issued > now_s + SKEW_S:
        raise _refusal("iat", "is in the future")
    if begins is not None and begins > now_s + SKEW_S:
        raise _refusal("nbf", "is in the future")
    if not 0 < expires - issued <= rule.max_lifetime_s:
        raise _refusal("exp", "is too long after iat, or not after it")
    return issued, expires


def _client(claims: Claims) -> str:
    client = CLIENT_ID.read(claims)
    if AZP.read(claims) not in (None, client):
        raise _refusal("azp", "is not the client_id")
    return client


def _user(claims: Claims, rule: IssuerRule) -> Ref | None:
    user = FHIR_USER.read(claims)
    if user is None:
        return None
    return _as(FHIR_USER.name, lambda value: kinds.fhir_user(value, rule.fhir_base), user)


def _purposes(claims: Claims, rule: IssuerRule) -> tuple[str, ...]:
    default = () if rule.default_purpose is None else (rule.default_purpose,)
    return PURPOSE_OF_USE.read(claims) or default


def _consents(claims: Claims, rule: IssuerRule) -> tuple[ConsentRef, ...] | None:
    consents = CONSENT.read(claims)
    if consents is None and rule.binding == "claim":
        raise _refusal("consent", "is missing")
    return consents


def _as_issued(claims: Claims, rule: IssuerRule) -> tuple[int, str] | None:
    entry = TOKEN_ENTRY.read(claims)
    return entry if rule.own else None


def _glass(claims: Claims, rule: IssuerRule) -> Glass | None:
    broken = BREAK_GLASS.read(claims)
    return broken if rule.own else None


def _as(name: str, kind: Callable[[object], T], value: object) -> T:
    try:
        return kind(value)
    except kinds.Wrong as wrong:
        raise _refusal(name, str(wrong)) from wrong


def _refusal(name: str, wrong: str) -> Unauthenticated:
    """The public text: which claim, and what is wrong with it, never its value."""
    return Unauthenticated(f"The token's claim {name} {wrong}.")
