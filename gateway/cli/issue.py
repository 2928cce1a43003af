"""Issuing an access token of the gateway's own issuer: what it rests on, what it says, and its entry.

The token is read by the gateway's own rules before it leaves, so none is made that would be refused. It
names its consents by their newest entries; whether they still stand is decided at every request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, cast

from gateway import mapping
from gateway.app import OpenHouse, new_id, now_ms
from gateway.config import Upstream
from gateway.consents.view import ref_json
from gateway.core.canon import Json, b64url, sha256
from gateway.core.consent.rule import Consent, Effect, State
from gateway.core.fhir import match
from gateway.core.fhir.catalogue import Release
from gateway.core.record import Draft
from gateway.core.smart.claims import read_claims
from gateway.core.smart.issuers import IssuerRule
from gateway.core.smart.scopes import parse_scopes
from gateway.core.values import ConsentRef, Token
from gateway.errors import BadRequest, Unauthenticated

TREATMENT: Final = "TREAT"
BY_THE_PATIENT: Final = "PATRQT"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a token is to say. `lookup` leaves out its consents: those of its client and user count."""

    client: str
    scopes: tuple[str, ...]
    patient: str | None = None
    consents: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    user: str | None = None
    organization: str | None = None
    role: str | None = None
    lifetime_s: int = 3600
    upstream: str | None = None
    lookup: bool = False

    @property
    def own(self) -> bool:
        """Whether it is a patient's, for the patient's own records."""
        return self.patient is not None and self.user == f"Patient/{self.patient}"


@dataclass(frozen=True, slots=True)
class Issued:
    """`text` opens records: it is for whoever asked, and is never logged."""

    text: str = field(repr=False)
    token: Token
    entry: int
    hash: str


async def issue(house: OpenHouse, wish: Wish) -> Issued:
    """The token, after its entry is durable. Raises BadRequest, NotFound, LedgerUnavailable."""
    upstream = _upstream(house, wish.upstream)
    at_ms, jti = now_ms(), new_id()
    consents = _consents(house, wish, at_ms // 1000)
    claims = _claims(house, upstream, wish, consents)
    mint = partial(house.minter.mint, now_s=at_ms // 1000, lifetime_s=wish.lifetime_s, jti=jti)
    try:
        mint(claims)
    except ValueError as error:
        raise BadRequest(f"No token is made: {error}.") from error
    meant = _read_back(house, upstream, wish, claims, at_ms // 1000, jti)
    patient = wish.patient or (consents[0].patient if consents else None)
    # Commit point: there is no token yet; a crash from here on leaves an entry for one that never was.
    [receipt] = await house.record([_entry(house, meant, patient)])
    entry = (receipt.index, b64url(receipt.leaf_hash))
    return Issued(mint({**claims, "token_entry": [*entry]}), meant, *entry)


def _upstream(house: OpenHouse, name: str | None) -> Upstream:
    upstreams = house.settings.upstreams
    found = [upstream for upstream in upstreams if name in (None, upstream.name)]
    if len(found) != 1:
        names = ", ".join(upstream.name for upstream in upstreams)
        raise BadRequest(f"Name one upstream with --upstream: {names}.")
    return found[0]


# --- What it rests on ------------------------------------------------------------------------------


def _consents(house: OpenHouse, wish: Wish, now_s: int) -> list[Consent]:
    if wish.lookup and wish.consents:
        raise BadRequest("Give --consent or --lookup, not both: a token names its consents or none.")
    if not (wish.consents or wish.lookup or wish.own):
        raise BadRequest(
            "Name the consent it rests on with --consent; only a patient's own token needs none "
            "(--user Patient/ID --patient ID), or one that is bound by --lookup."
        )
    found = [house.service.show(consent_id) for consent_id in dict.fromkeys(wish.consents)]
    for consent in found:
        if wrong := _why_not(consent, wish, _identities(house, wish), now_s):
            raise BadRequest(f"The consent {consent.id} {wrong}.")
    return found


def _why_not(consent: Consent, wish: Wish, identities: frozenset[str], now_s: int) -> str | None:
    """Why a token cannot rest on the consent; None if it can."""
    if consent.state is not State.LIVE:
        return f"is {consent.state}"
    if consent.root.effect is Effect.DENY:
        return "denies, and a token rests on what permits"
    if consent.until_s is not None and consent.until_s < now_s:
        return "has ended"
    if wish.patient not in (None, consent.patient):
        return "is another patient's"
    if not consent.grantees & identities:
        return f"does not name the client {wish.client}, nor its user or organization"
    return None


def _identities(house: OpenHouse, wish: Wish) -> frozenset[str]:
    """Who asks, in each form that a consent can name."""
    kind, _, ident = (wish.user or "").partition("/")
    identities = {f"client:{wish.client}", f"client:{wish.client}@{house.minter.issuer}"}
    if kind == "Practitioner":
        identities.add(f"practitioner:{ident}")
    if wish.organization is not None:
        identities.add(f"organization:{wish.organization}")
    return frozenset(identities)


# --- What it says ----------------------------------------------------------------------------------


def _claims(
    house: OpenHouse, upstream: Upstream, wish: Wish, consents: Sequence[Consent]
) -> dict[str, object]:
    audience = house.settings.audience(upstream)
    context = {
        "patient": wish.patient,
        "fhirUser": None if wish.user is None else f"{audience}/{wish.user}",
        "role": wish.role,
        "organization": wish.organization,
        "consent": None if wish.lookup else [ref_json(consent.refs[-1]) for consent in consents],
    }
    return {
        "aud": audience,
        "sub": wish.user or wish.client,
        "client_id": wish.client,
        "scope": " ".join(wish.scopes),
        "purpose_of_use": _purposes(wish, consents),
        **{name: value for name, value in context.items() if value is not None},
    }


def _purposes(wish: Wish, consents: Sequence[Consent]) -> list[str]:
    named = {purpose for consent in consents for purpose in consent.root.match.purposes}
    default = BY_THE_PATIENT if wish.own and not consents else TREATMENT
    return [*dict.fromkeys(wish.purposes)] or sorted(named) or [default]


def _read_back(
    house: OpenHouse, upstream: Upstream, wish: Wish, claims: dict[str, object], now_s: int, jti: str
) -> Token:
    """The token as the gateway will read it. Raises BadRequest where it would be refused."""
    minter, catalogue = house.minter, mapping.load_catalogue(cast("Release", upstream.fhir_version))
    rule = IssuerRule(minter.issuer, house.settings.audience(upstream), (minter.algorithm,), "lookup")
    types, evaluable = catalogue.types, lambda kind, term: match.evaluable(catalogue, kind, term)
    for dropped in parse_scopes(" ".join(wish.scopes), types=types, evaluable=evaluable).dropped:
        raise BadRequest(f"The scope {dropped.text!r} cannot be used: {dropped.reason}.")
    whole = {**claims, "iss": minter.issuer, "iat": now_s, "exp": now_s + wish.lifetime_s, "jti": jti}
    try:
        token = read_claims(whole, rule, now_s, types=types, evaluable=evaluable)
    except Unauthenticated as error:
        raise BadRequest(error.text) from error
    if token.patient is None and any(scope.level == "patient" for scope in token.scopes):
        raise BadRequest("A patient/ scope needs --patient.")
    return token


def _entry(house: OpenHouse, token: Token, patient: str | None) -> Draft:
    first: ConsentRef | None = token.consents[0] if token.consents else None
    facts: dict[str, Json] = {
        "act": str(token.fhir_user or token.subject),
        "cli": token.client,
        "con": None if first is None else [first.entry, first.hash],
        "exp": token.expires_at_s,
        "jti": b64url(sha256(token.jti.encode())),
        "pol": house.policy,
        "rid": new_id(),
        "scp": [scope.text for scope in token.scopes],
    }
    if patient is not None:
        facts["pat"] = f"Patient/{patient}"
    return Draft("token.issue", patient, facts)
