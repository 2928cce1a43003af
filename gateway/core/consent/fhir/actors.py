"""Who a provision is about: the actors of a Consent as identities of requesters and of custodians.

A recipient is who asks. A custodian is who holds the record; as some systems bar a recipient as a custodian,
a deny of one reaches both. Only a role that HL7 defines for this, or in R5 a role alone, is understood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.core.consent.fhir import codes
from gateway.core.consent.fhir.element import Element
from gateway.core.consent.rule import (
    CARE_TEAM,
    CLIENT,
    DEVICE,
    GROUP,
    ORGANIZATION,
    PATIENT,
    PRACTITIONER,
    PRACTITIONER_ROLE,
    RELATIVE,
    ROLE,
    is_grantee,
)
from gateway.core.fhir.compartment import reference_of
from gateway.core.values import Label, Ref

KINDS: Final = {
    "Organization": ORGANIZATION,
    "Practitioner": PRACTITIONER,
    "PractitionerRole": PRACTITIONER_ROLE,
    "Patient": PATIENT,
    "RelatedPerson": RELATIVE,
    "Group": GROUP,
    "CareTeam": CARE_TEAM,
    "Device": DEVICE,
}
"""The types that an actor can refer to, and the kind of identity that each is."""

_MEMBERS: Final = frozenset({"role", "reference"})


@dataclass(frozen=True, slots=True)
class Actors:
    requesters: frozenset[str] = frozenset()
    custodians: frozenset[str] = frozenset()


def actors(elements: Sequence[Element], bases: Sequence[str], *, denies: bool, flat: bool) -> Actors:
    """Those of all elements together; `flat` as in `Shape`, where an actor may be a role alone."""
    found = [_actor(each, bases, denies, flat) for each in elements]
    return Actors(
        frozenset().union(*(each.requesters for each in found)),
        frozenset().union(*(each.custodians for each in found)),
    )


def literal(at: Element, bases: Sequence[str]) -> Ref | None:
    """The record on our servers that a Reference names; a problem if it names none."""
    found = reference_of(at.tree, bases)
    if found is None:
        at.refuse(
            "is no literal reference to a record of this server, such as Organization/org-1", "reference"
        )
    return found


def _actor(at: Element, bases: Sequence[str], denies: bool, flat: bool) -> Actors:
    at.only(_MEMBERS)
    role, reference = at.one("role"), at.one("reference")
    said = codes.concept(role) if role is not None else []
    means = codes.role(said)
    if role is not None and codes.differ(said):
        role.refuse(codes.DIFFER)
        return Actors()
    if reference is None:
        return _role_alone(at, said, means, flat)
    who = _identity(reference, bases)
    if role is not None and said and means is None:
        role.refuse("is neither the role of a recipient nor CST, and cannot be asked of who is referred to")
    if who is None:
        return Actors()
    if means != codes.CUSTODIAN:
        return Actors(requesters=frozenset({who}))
    holds = who.startswith(f"{ORGANIZATION}:")
    if not holds and not denies:
        reference.refuse("is no organization, and only an organization holds records")
    return Actors(frozenset({who}) if denies else frozenset(), frozenset({who}) if holds else frozenset())


def _role_alone(at: Element, said: list[Label], means: str | None, flat: bool) -> Actors:
    if not flat:
        at.refuse("is missing", "reference")
    elif means is not None:
        at.refuse(f"is missing: {means} says in what part somebody acts, not who", "reference")
    elif "role" not in at.tree:
        at.refuse("has neither a role nor a reference")
    roles = {_role_name(each) for each in said}
    if not all(map(is_grantee, roles)):
        at.refuse("is of a form that cannot be kept", "role")
    return Actors(requesters=frozenset(roles))


def _role_name(label: Label) -> str:
    return f"{ROLE}:{label.code if label.system == codes.ROLE_NAMES else f'{label.system}|{label.code}'}"


def _identity(at: Element, bases: Sequence[str]) -> str | None:
    identifier = at.one("identifier") if "reference" not in at.tree else None
    if identifier is not None and identifier.text("system") == codes.CLIENT_IDS:
        client = f"{CLIENT}:{identifier.text('value')}"
        if is_grantee(client):
            return client
        identifier.refuse("is not the id of a client", "value")
        return None
    found = literal(at, bases)
    if found is not None and found.type not in KINDS:
        at.refuse(f"refers to a {found.type}, which cannot be asked for a record", "reference")
        return None
    return None if found is None else f"{KINDS[found.type]}:{found.id}"
