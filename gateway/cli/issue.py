"""What an operator wishes of an access token: whether it can have that, and on what it rests.

It is issued as the server issues its own. It names its consents by their newest entries; whether they still
stand is decided at every request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from gateway import mapping
from gateway.auth.ports import Base
from gateway.auth.tokens import issuing
from gateway.auth.tokens.issuing import Issued, Terms
from gateway.cli.press import Press
from gateway.config import Upstream
from gateway.core.consent.asker import identities_of
from gateway.core.consent.rule import Consent, Effect, State, walk
from gateway.core.fhir import match
from gateway.core.fhir.catalogue import Release
from gateway.core.values import Ref, is_id
from gateway.errors import BadRequest
from gateway.house import OpenHouse, now_ms, reading_of

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
    case: str | None = None
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
    upstream = upstream_of(house, wish.upstream)
    base = base_of(house, upstream)
    consents = _consents(house, wish, now_ms() // 1000)
    _check_scopes(wish, base)
    _check_lifetime(wish)
    try:
        terms = _terms(wish, base, consents)
    except ValueError as error:
        raise BadRequest(f"No token is made: {error}.") from error
    return await issuing.issue(Press(house, {base.url: base}), terms)


def upstream_of(house: OpenHouse, name: str | None) -> Upstream:
    """The upstream of that name, or the only one. Raises BadRequest."""
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
    if all(node.effect is Effect.DENY for node in walk(consent.root)):
        return "denies, and a token rests on what permits"
    if consent.doubtful:
        return "permits nothing: its status is not known, or what it says"
    if consent.until_s is not None and consent.until_s < now_s:
        return "has ended"
    if wish.patient not in (None, consent.patient):
        return "is another patient's"
    if consent.grantees and not consent.grantees & identities:
        return f"does not name the client {wish.client}, nor its user or organization"
    return None


def _identities(house: OpenHouse, wish: Wish) -> frozenset[str]:
    """Who asks, in each form that a consent can name, and what they belong to."""
    kind, _, ident = (wish.user or "").partition("/")
    user = Ref(kind, ident) if is_id(ident) else None  # what is no id is named by none, and refused later
    employer = wish.organization or ""
    works_for = Ref("Organization", employer) if is_id(employer) else None
    named = identities_of(wish.client, house.minter.issuer, user, works_for, wish.role)
    return reading_of(house.settings)[1].closed(named)


# --- What it says ----------------------------------------------------------------------------------


def base_of(house: OpenHouse, upstream: Upstream) -> Base:
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


def _check_lifetime(wish: Wish) -> None:
    profile = mapping.load_profiles().get(wish.role or "")
    most_s = None if profile is None else profile.lifetime_s
    if most_s is not None and wish.lifetime_s > most_s:
        raise BadRequest(f"A token of the role {wish.role} lives at most {most_s} seconds (--lifetime).")


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
        case=None if wish.case is None else _reference(wish.case),
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
