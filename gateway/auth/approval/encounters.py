"""The encounters of a patient among which a person chooses the one that an app is opened about.

They are read as the person, by the whole walk: with a token of our own for this one look, decided by the same
rules as any request, and recorded like one. So nobody chooses among what they could not read themselves, and
who acts for a patient, who reads nothing in their own right, has no list. What cannot be read is not there:
then the app is told of no encounter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from urllib.parse import urlencode

from gateway.auth.approval.patients import Subject, is_professional
from gateway.auth.people.registry import Person
from gateway.auth.ports import Base, Ports
from gateway.auth.tokens.issuing import Terms, issue, role_of
from gateway.core.fhir import codec
from gateway.core.values import is_id

GATEWAY: Final = "consentry"
"""The client that the look is recorded under."""
LOOK_S: Final = 30
MOST: Final = 50
BY_THE_PATIENT: Final = "PATRQT"
TREATMENT: Final = "TREAT"

_MOMENT = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d:\d\d)\S*)?)?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Encounter:
    """`when` and `says` are in words for a person; either may be empty."""

    id: str
    when: str
    says: str


def can_read(person: Person, patient: Subject) -> bool:
    """Whether the person reads of the patient in their own right, or by consents that name them."""
    own = person.user is not None and str(person.user) == f"Patient/{patient.id}"
    return own or (is_professional(person) and not patient.gives_consent)


async def encounters(ports: Ports, base: Base, person: Person, patient: Subject) -> tuple[Encounter, ...]:
    """The newest first, MOST at most; none where none can be read. Raises LedgerUnavailable."""
    if ports.read is None or not can_read(person, patient):
        return ()
    token = await issue(ports, _terms(base, person, patient))
    query = urlencode({"patient": patient.id, "_sort": "-date", "_count": MOST})
    status, body = await ports.read(base.url, token.text, b"/Encounter", query.encode())
    return tuple(_read(codec.parse(body))) if status == 200 else ()


def _terms(base: Base, person: Person, patient: Subject) -> Terms:
    own = not is_professional(person)
    return Terms(
        audience=base.url,
        client=GATEWAY,
        subject=person.id,
        scopes=("patient/Encounter.rs",),
        purposes=(BY_THE_PATIENT if own else TREATMENT,),
        lifetime_s=LOOK_S,
        patient=patient.id,
        user=person.user,
        role=role_of(person.role, str(person.user), patient.id),
        organization=None if person.organization is None else person.organization.id,
        consents=() if own else None,
    )


# --- In words: of records as they come, in which nothing has to be as FHIR says -----------------------


def _read(bundle: object) -> Iterator[Encounter]:
    for entry in _each(_members(bundle).get("entry")):
        found = _members(_members(entry).get("resource"))
        ident = found.get("id")
        if found.get("resourceType") == "Encounter" and isinstance(ident, str) and is_id(ident):
            period = _members(found.get("period") or found.get("actualPeriod"))  # up to R4B; R5
            yield Encounter(ident, _when(period.get("start")), ", ".join(_said(found)))


def _said(encounter: Mapping[str, object]) -> Iterator[str]:
    # `class` is a Coding up to R4B, and CodeableConcepts in R5.
    for kind in (*_each(encounter.get("type")), *_each(encounter.get("class"))):
        yield from _display(_members(kind))
    named = (encounter.get("status"), _members(encounter.get("serviceProvider")).get("display"))
    yield from (name for name in named if isinstance(name, str))


def _display(kind: Mapping[str, object]) -> list[str]:
    """What a Coding or CodeableConcept is called, once."""
    codings = [_members(coding).get("display") for coding in _each(kind.get("coding"))]
    named = [kind.get("text"), kind.get("display"), *codings]
    return [name for name in named if isinstance(name, str)][:1]


def _members(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _each(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else [value]


def _when(start: object) -> str:
    """The moment as it was written, in the time of the place; empty for none that can be read."""
    found = _MOMENT.fullmatch(start) if isinstance(start, str) else None
    if found is None:
        return ""
    year, month, day, time = found.groups()
    try:
        first = date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        return ""
    said = first.strftime("%-d %B %Y" if day else "%B %Y" if month else "%Y")
    return f"{said}, {time}" if time else said
