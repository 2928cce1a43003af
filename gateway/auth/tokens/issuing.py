"""Issuing an access token of the gateway's own issuer: first its entry in the ledger, then the token.

A token is read by the gateway's own rules before anything is recorded, so none is made that would be
refused. It names its consents by their entries, or none, and is then bound by look-up; whether they stand
is decided at every request. If it cannot be recorded there is no token.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.auth.people.authorities import CARING
from gateway.auth.ports import Base
from gateway.consents.view import ref_json
from gateway.core.canon import Json, b64url, sha256
from gateway.core.consent.rules import ACTING
from gateway.core.record import Draft
from gateway.core.smart.claims import WITHOUT_EFFECT, read_claims
from gateway.core.smart.dpop import SCHEME
from gateway.core.smart.issuers import DAY_S, IssuerRule
from gateway.core.smart.scopes import parse_scopes
from gateway.core.values import Confirmation, ConsentRef, Glass, Ref, Token
from gateway.errors import BadRequest, Unauthenticated
from gateway.ledger.reading import Receipt
from gateway.tokens.compact import MAX_BYTES
from gateway.tokens.mint import Minter

FURTHER: Final = frozenset(row.name for row in WITHOUT_EFFECT)
"""What a token may say beside its terms: names that give no right."""

FACTS: Final = {"jkt": "jkt", "x5t#S256": "x5t"}
"""What entries call the ways in which a token is bound."""

PATIENT_ROLE: Final = "patient"
PROXY: Final = "proxy"
CAREGIVER: Final = "caregiver"

# The header, `iss`, `iat`, `exp`, `jti`, `token_entry` and the signature, in base64url and rounded up.
_REST_BYTES: Final = 1024


class Issuing(Protocol):
    """What issuing needs of the outside; `Ports` has it."""

    @property
    def minter(self) -> Minter: ...
    @property
    def bases(self) -> Mapping[str, Base]: ...
    @property
    def policy(self) -> str: ...
    @property
    def record(self) -> Callable[[Sequence[Draft]], Awaitable[Sequence[Receipt]]]: ...
    @property
    def now_ms(self) -> Callable[[], int]: ...
    @property
    def new_id(self) -> Callable[[], str]: ...


@dataclass(frozen=True, slots=True)
class Terms:
    """What a token is to say. Raises ValueError for a lifetime that no token has, or a `further` claim that
    is not one of `FURTHER`.

    `consents` None binds it by look-up; `()` to the patient's own right alone. `authority` is
    the entry of the authority under which a person acts for the patient. `about` is the patient whose
    entry it is, where that is not the `patient` in context. `confirmation` is what its sender alone holds,
    `glass` what a token for break-glass rests on.
    """

    audience: str
    client: str
    subject: str
    scopes: tuple[str, ...]
    purposes: tuple[str, ...]
    lifetime_s: int
    patient: str | None = None
    encounter: str | None = None
    case: Ref | None = None
    user: Ref | None = None
    role: str | None = None
    organization: str | None = None
    consents: tuple[ConsentRef, ...] | None = None
    authority: tuple[int, str] | None = None
    about: str | None = None
    confirmation: Confirmation | None = None
    glass: Glass | None = None
    further: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.lifetime_s <= DAY_S:
            raise ValueError(f"a token lives between 1 and {DAY_S} seconds")
        if not self.further.keys() <= FURTHER:
            raise ValueError("a token has a claim that is not known")

    @property
    def claims(self) -> dict[str, object]:
        """The claims by name, without those of the issuer's signature."""
        bound = self.confirmation
        named: dict[str, object] = {
            "patient": self.patient,
            "encounter": self.encounter,
            "case": None if self.case is None else str(self.case),
            "fhirUser": None if self.user is None else f"{self.audience}/{self.user}",
            "role": self.role,
            "organization": self.organization,
            "purpose_of_use": [*self.purposes] or None,
            "consent": None if self.consents is None else [ref_json(ref) for ref in self.consents],
            "cnf": None if bound is None else {bound.method: bound.thumbprint},
            "break_glass": None if self.glass is None else [*self.glass],
        }
        return {
            **self.further,
            "aud": self.audience,
            "sub": self.subject,
            "client_id": self.client,
            "scope": " ".join(self.scopes),
            **{name: value for name, value in named.items() if value is not None},
        }


@dataclass(frozen=True, slots=True)
class Issued:
    """`text` opens records: it is for whoever asked, and is never logged. `entry`, `hash`: its place."""

    text: str = field(repr=False)
    token: Token
    entry: int
    hash: str

    @property
    def type(self) -> str:
        """The `token_type` of a token response (RFC 6749 section 7.1, RFC 9449 section 5)."""
        return token_type(self.token)


def role_of(
    role: str | None, user: str | None, patient: str | None, relationship: str | None = None
) -> str | None:
    """The role in which somebody known by `role` reads of a patient.

    Who does so as the patient's `relationship`, under an authority, acts for them, whatever they work as: a
    parent who is a clinician reads of the child as a parent. Who acts for others is the patient of their own
    records.
    """
    if relationship is not None:
        return CAREGIVER if role == CAREGIVER or relationship == CARING else PROXY
    return PATIENT_ROLE if role in ACTING and patient and user == f"Patient/{patient}" else role


def token_type(token: Token) -> str:
    """A token that is bound to a certificate is a bearer token on its connections (RFC 8705 section 3)."""
    return SCHEME if token.confirmation is not None and token.confirmation.method == "jkt" else "Bearer"


async def issue(ports: Issuing, terms: Terms) -> Issued:
    """The token, after its entry is durable.

    Raises BadRequest for one that the gateway would refuse or read less into, LedgerUnavailable.
    """
    now_s, jti, claims = ports.now_ms() // 1000, ports.new_id(), terms.claims
    token = read_back(ports, terms, now_s, jti)
    # Commit point: there is no token yet; a crash from here on leaves an entry for one that never was.
    [receipt] = await ports.record([_entry(ports, terms, token)])
    entry, digest = receipt.index, b64url(receipt.leaf_hash)
    whole = {**claims, "token_entry": [entry, digest]}
    text = ports.minter.mint(whole, now_s=now_s, lifetime_s=terms.lifetime_s, jti=jti)
    return Issued(text, token, entry, digest)


def read_back(ports: Issuing, terms: Terms, now_s: int, jti: str) -> Token:
    """The token as the gateway will read it; it is not issued. Raises BadRequest as `issue` does."""
    minter, base, claims = ports.minter, ports.bases[terms.audience], terms.claims
    rule = IssuerRule(minter.issuer, base.url, (minter.algorithm,), "lookup")
    for dropped in parse_scopes(" ".join(terms.scopes), types=base.types, evaluable=base.evaluable).dropped:
        raise BadRequest(f"The scope {dropped.text!r} cannot be used: {dropped.reason}.")
    whole = {**claims, "iss": minter.issuer, "iat": now_s, "exp": now_s + terms.lifetime_s, "jti": jti}
    try:
        token = read_claims(whole, rule, now_s, types=base.types, evaluable=base.evaluable)
    except Unauthenticated as error:
        raise BadRequest(error.text) from error
    if token.role in ACTING and terms.authority is None:
        raise BadRequest(f"The role {token.role} takes an authority to act for the patient.")
    if token.role not in ACTING and terms.authority is not None:
        raise BadRequest("Who has authority to act for the patient acts in a role that is for it.")
    if token.patient is None and any(scope.level == "patient" for scope in token.scopes):
        raise BadRequest("A patient/ scope needs a patient.")
    if len(json.dumps(claims)) * 4 // 3 + _REST_BYTES > MAX_BYTES:
        raise BadRequest("The token would be too long; ask for fewer scopes.")
    return token


def _entry(ports: Issuing, terms: Terms, token: Token) -> Draft:
    patient = terms.patient or terms.about
    first = token.consents[0] if token.consents else None
    facts: dict[str, Json] = {
        "act": str(token.fhir_user or token.subject),
        "cli": token.client,
        "con": None if first is None else [first.entry, first.hash],
        "exp": token.expires_at_s,
        "jti": b64url(sha256(token.jti.encode())),
        "pol": ports.policy,
        "rid": ports.new_id(),
        "scp": [scope.text for scope in token.scopes],
    }
    if patient is not None:
        facts["pat"] = f"Patient/{patient}"
    if terms.glass is not None:
        facts["bg"] = [terms.glass.entry, terms.glass.hash]
    if token.case is not None:
        facts["cas"] = str(token.case)
    if token.role is not None:
        facts["rol"] = token.role
    if token.organization is not None:
        facts["org"] = str(token.organization)
    if terms.authority is not None:
        facts["aut"] = [*terms.authority]
    if token.confirmation is not None:
        facts[FACTS[token.confirmation.method]] = token.confirmation.thumbprint
    return Draft("token.issue", patient, facts)
