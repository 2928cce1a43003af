"""What an operator wishes of an access token: whether it can have that, and on what it rests.

It is issued as the server issues its own. It names its consents by their newest entries; whether they still
stand is decided at every request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from gateway import mapping
from gateway.auth.ports import Base
from gateway.auth.tokens import issuing
from gateway.auth.tokens.issuing import Issued, Terms
from gateway.config import Upstream
from gateway.core.consent.rule import Consent, Effect, State
from gateway.core.fhir import match
from gateway.core.fhir.catalogue import Release
from gateway.core.record import Draft
from gateway.core.values import Ref
from gateway.errors import BadRequest
from gateway.house import OpenHouse, new_id, now_ms
from gateway.ledger.reading import Receipt
from gateway.tokens.mint import Minter

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


async def issue(house: OpenHouse, wish: Wish) -> Issued:
    """The token, after its entry is durable. Raises BadRequest, NotFound, LedgerUnavailable."""
    if "@" in wish.client:
        raise BadRequest(
            "A client's name has no @, as consents write client:NAME@ISSUER: give the name alone, "
            "with --client NAME; the tokens made here are of this gateway's own issuer."
        )
    upstream = _upstream(house, wish.upstream)
    base = _base(house, upstream)
    consents = _consents(house, wish, now_ms() // 1000)
    _check_scopes(wish, base)
    try:
        terms = _terms(wish, base, consents)
    except ValueError as error:
        raise BadRequest(f"No token is made: {error}.") from error
    return await issuing.issue(_Press(house, {base.url: base}), terms)


@dataclass(frozen=True, slots=True)
class _Press:
    """What issuing needs, of an open house."""

    house: OpenHouse
    bases: Mapping[str, Base]

    @property
    def minter(self) -> Minter:
        return self.house.minter

    @property
    def policy(self) -> str:
        return self.house.policy

    @property
    def record(self) -> Callable[[Sequence[Draft]], Awaitable[Sequence[Receipt]]]:
        return self.house.record

    @property
    def now_ms(self) -> Callable[[], int]:
        return now_ms

    @property
    def new_id(self) -> Callable[[], str]:
        return new_id


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


def _base(house: OpenHouse, upstream: Upstream) -> Base:
    release = cast("Release", upstream.fhir_version)
    catalogue = mapping.load_catalogue(release)
    return Base(
        house.settings.audience(upstream),
        release,
        frozenset(catalogue.types),
        lambda kind, term: match.evaluable(catalogue, kind, term),
    )


def _check_scopes(wish: Wish, base: Base) -> None:
    scopes = base.served.read(" ".join(wish.scopes))
    for dropped in scopes.dropped:
        raise BadRequest(f"The scope {dropped.text!r} cannot be used: {dropped.reason}.")
    if wish.patient is None and any(scope.level == "patient" for scope in scopes.resources):
        raise BadRequest("A patient/ scope needs --patient.")


def _terms(wish: Wish, base: Base, consents: Sequence[Consent]) -> Terms:
    """Raises ValueError."""
    return Terms(
        audience=base.url,
        client=wish.client,
        subject=wish.user or wish.client,
        scopes=wish.scopes,
        purposes=tuple(_purposes(wish, consents)),
        lifetime_s=wish.lifetime_s,
        patient=wish.patient,
        user=None if wish.user is None else _reference(wish.user),
        role=wish.role,
        organization=wish.organization,
        consents=None if wish.lookup else tuple(consent.refs[-1] for consent in consents),
        about=consents[0].patient if consents else None,
    )


def _reference(text: str) -> Ref:
    kind, _, ident = text.partition("/")
    return Ref(kind, ident)


def _purposes(wish: Wish, consents: Sequence[Consent]) -> list[str]:
    named = {purpose for consent in consents for purpose in consent.root.match.purposes}
    default = BY_THE_PATIENT if wish.own and not consents else TREATMENT
    return [*dict.fromkeys(wish.purposes)] or sorted(named) or [default]
