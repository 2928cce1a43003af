"""Who asks, as consents name them: client, user, organisation and role of a token, and their membership."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from gateway.core.consent.membership import NOBODY, Membership
from gateway.core.consent.rule import (
    CLIENT,
    DEVICE,
    ORGANIZATION,
    PATIENT,
    PRACTITIONER,
    PRACTITIONER_ROLE,
    RELATIVE,
    ROLE,
    client_identities,
)
from gateway.core.consent.verdict import Asker, BreakGlass
from gateway.core.values import Ref, Token

_KIND: Final[Mapping[str, str]] = {
    "Practitioner": PRACTITIONER,
    "PractitionerRole": PRACTITIONER_ROLE,
    "Patient": PATIENT,
    "RelatedPerson": RELATIVE,
    "Device": DEVICE,
}
_USERS: Final = frozenset(_KIND.values())
# What stays open: a practitioner may have any role in an organisation, and a role be any practitioner's. A
# Person may stand for anybody.
_OPEN: Final[Mapping[str, frozenset[str]]] = {
    "Practitioner": frozenset({PRACTITIONER_ROLE}),
    "PractitionerRole": frozenset({PRACTITIONER}),
    "Person": _USERS,
}


def asker_of(token: Token, membership: Membership = NOBODY, glass: BreakGlass | None = None) -> Asker:
    """The asker whom `token` stands for. Raises ValueError for a client that could be another issuer's."""
    user = token.fhir_user
    named = identities_of(token.client, token.issuer, user, token.organization, token.role)
    asker = Asker(
        identities=membership.closed(named),
        known=_known(token),
        self_patient=user.id if user is not None and user.type == "Patient" else None,
        purposes=token.purposes,
        patient=token.patient,
        break_glass=glass,
    )
    return replace(asker, settled=membership.settled(asker.is_told)) if membership.groups else asker


def identities_of(
    client: str, issuer: str, user: Ref | None, organization: Ref | None, role: str | None
) -> frozenset[str]:
    """Each form in which a consent can name them. Raises ValueError as `asker_of` does."""
    identities = set(client_identities(client, issuer))
    if user is not None and user.type in _KIND:
        identities.add(f"{_KIND[user.type]}:{user.id}")
    if organization is not None:
        identities.add(f"{ORGANIZATION}:{organization.id}")
    if role is not None:
        identities.add(f"{ROLE}:{role}")
    return frozenset(identities)


def _known(token: Token) -> frozenset[str]:
    """The kinds of identities of which the token says all that there are."""
    known, user = {CLIENT}, token.fhir_user
    if user is not None and (user.type in _KIND or user.type in _OPEN):
        known |= _USERS - _OPEN.get(user.type, frozenset())
    if token.organization is not None:
        known.add(ORGANIZATION)
    if token.role is not None:
        known.add(ROLE)
    return frozenset(known)
