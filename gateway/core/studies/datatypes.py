"""FHIR's datatypes as a study gets them: each value made anew from what is understood of it.

What stays true: every text that is made is a code, the address of a code system, a date, a time or a
pseudonym; numbers keep their text. A value that is not understood, or of which a part that matters is not, is
not made (None). Members that are not named here are left out: texts, displays, identifiers, extensions.
Source: FHIR R4 and R5 datatypes.html.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from gateway.core.fhir.codec import Tree
from gateway.core.fhir.compartment import parse_reference
from gateway.core.fhir.elements import decimal
from gateway.core.studies.codes import UCUM, is_public
from gateway.core.studies.dates import is_time, moved, year_of
from gateway.core.studies.pseudonyms import Pseudonyms
from gateway.core.values import Ref

Dates = Literal["shift", "year"]


@dataclass(frozen=True, slots=True)
class Making:
    """For whom a record is made: the `patient` it is about, and the study's pseudonyms, dates and `own` codes
    (system, code). `bases` are the addresses of this server, as in `compartment`."""

    patient: str
    pseudonyms: Pseudonyms
    dates: Dates
    own: frozenset[tuple[str, str]]
    bases: tuple[str, str]


Kind = Callable[[Tree, Making], Tree]
"""Makes a value; None when it may not leave."""


class Must(NamedTuple):
    """A member without which the rest would mean something else: not made, nothing is."""

    kind: Kind


Members = Mapping[str, "Kind | Must"]


def made_of(members: Members, node: Tree, making: Making) -> dict[str, Tree] | None:
    """The members of an object that can be made, of lists the elements that can; None if one is missing that
    must not be, or nothing is left."""
    if type(node) is not dict:
        return None
    made: dict[str, Tree] = {}
    for name, kind in members.items():
        if name not in node:
            if isinstance(kind, Must) and f"_{name}" in node:
                return None  # there, and without a value
            continue
        value = _made(kind.kind if isinstance(kind, Must) else kind, node[name], making)
        if value is not None:
            made[name] = value
        elif isinstance(kind, Must):
            return None
    return made or None


def _made(kind: Kind, value: Tree, making: Making) -> Tree:
    if type(value) is not list:
        return kind(value, making)
    each = [one for one in (kind(one, making) for one in value if type(one) is not list) if one is not None]
    return each or None


def backbone(members: Members) -> Kind:
    """An object of which the rest is left out."""
    return lambda value, making: made_of(members, value, making)


def whole(members: Members) -> Kind:
    """An object that is not made if it has anything else, but for texts and an id."""
    musts = {name: Must(kind) if not isinstance(kind, Must) else kind for name, kind in members.items()}

    def make(value: Tree, making: Making) -> Tree:
        known = type(value) is dict and value.keys() <= musts.keys() | _BESIDE
        return made_of(musts, value, making) if known else None

    return make


_BESIDE: Final = frozenset({"id", "text", "unit"})


# --- Primitives ------------------------------------------------------------------------------------


def one_of(*codes: str) -> Kind:
    known = frozenset(codes)
    return lambda value, _: value if type(value) is str and value in known else None


def boolean(value: Tree, _: Making) -> Tree:
    return value if type(value) is bool else None


def number(value: Tree, _: Making) -> Tree:
    """A number, as it was parsed, with its text. An integer that is too long for one is none."""
    usual = type(value) is not int or abs(value) < 1 << 53
    return value if usual and decimal(value) is not None else None


def time(value: Tree, _: Making) -> Tree:
    return value if type(value) is str and is_time(value) else None


def when(value: Tree, making: Making) -> Tree:
    """A date or dateTime."""
    if type(value) is not str:
        return None
    if making.dates == "year":
        return year_of(value)
    return moved(value, making.pseudonyms.days(making.patient))


def instant(value: Tree, making: Making) -> Tree:
    """An instant has no less precise form, so without its day it has none."""
    return None if making.dates == "year" else when(value, making)


# --- Codes, quantities, times ----------------------------------------------------------------------


def coding(value: Tree, making: Making) -> Tree:
    system, code = (value.get("system"), value.get("code")) if type(value) is dict else (None, None)
    if type(system) is not str or type(code) is not str:
        return None
    own = (system, code) in making.own
    return {"system": system, "code": code} if own or is_public(system, code) else None


concept: Final = backbone({"coding": Must(coding)})
concept_or_reference: Final = backbone({"concept": Must(concept)})
"""R5 CodeableReference, of which the concept may leave."""

OLDEST: Final = 89
"""Years of age above which an age does not leave (45 CFR 164.514(b)(2)(i)(C))."""
_PER_YEAR: Final = {
    **dict.fromkeys(("a", "a_g", "a_j", "a_t"), 1),
    **dict.fromkeys(("mo", "mo_g", "mo_j", "mo_s"), 12),
    **{"wk": 52, "d": 365, "h": 8760, "min": 525_600, "s": 31_536_000},
}
"""How many of a unit of time are a year, or few less."""

_COMPARED: Final = one_of("<", "<=", ">=", ">", "ad")
_UCUM: Final = one_of(UCUM)


def _unit(value: Tree, _: Making) -> Tree:
    return value if type(value) is str and is_public(UCUM, value) else None


_QUANTITY: Final[Members] = {
    "value": Must(number),
    "comparator": Must(_COMPARED),
    "system": Must(_UCUM),
    "code": Must(_unit),
}


def quantity(value: Tree, making: Making) -> Tree:
    """A number with a unit of UCUM, or with none. One that may be an age above `OLDEST` is not made."""
    found = made_of(_QUANTITY, value, making)
    if found is None or "value" not in found or ("code" in found) != ("system" in found):
        return None
    if "code" not in found and "unit" in value:
        return None
    amount, per_year = decimal(value["value"]), _PER_YEAR.get(found.get("code", ""))
    too_old = amount is not None and per_year is not None and amount > OLDEST * per_year
    return None if too_old else found


period: Final = whole({"start": when, "end": when})
extent: Final = whole({"low": quantity, "high": quantity})
"""A Range."""
ratio: Final = whole({"numerator": quantity, "denominator": quantity})
_UNIT_OF_TIME: Final = one_of("s", "min", "h", "d", "wk", "mo", "a")
_repeat: Final = whole(
    {
        "boundsDuration": quantity,
        "boundsRange": extent,
        "boundsPeriod": period,
        **dict.fromkeys(("count", "countMax", "frequency", "frequencyMax", "offset"), number),
        **dict.fromkeys(("duration", "durationMax", "period", "periodMax"), number),
        **dict.fromkeys(("durationUnit", "periodUnit"), _UNIT_OF_TIME),
        "timeOfDay": time,
        "when": one_of(
            *("MORN", "MORN.early", "MORN.late", "NOON", "AFT", "AFT.early", "AFT.late", "EVE", "EVE.early"),
            *("EVE.late", "NIGHT", "PHS", "IMD", "HS", "WAKE", "C", "CM", "CD", "CV", "AC", "ACM", "ACD"),
            *("ACV", "PC", "PCM", "PCD", "PCV"),
        ),
    }
)
"""Without days of the week, which would tell by how many days dates were moved."""
timing: Final = backbone({"event": when, "repeat": Must(_repeat), "code": concept})


# --- References ------------------------------------------------------------------------------------


def reference(*types: str) -> Kind:
    """A reference to a record of one of these types on this server, by its pseudonym."""

    def make(value: Tree, making: Making) -> Tree:
        text = value.get("reference") if type(value) is dict else None
        found = parse_reference(text, making.bases) if type(text) is str else None
        if found is None or found.type not in types or value.get("type", found.type) != found.type:
            return None
        return {"reference": f"{found.type}/{making.pseudonyms.of(found)}"}

    return make


def subject(value: Tree, making: Making) -> Tree:
    """A reference to the patient whose record it is, and to nobody else."""
    own = {"reference": f"Patient/{making.pseudonyms.of(Ref('Patient', making.patient))}"}
    return own if reference("Patient")(value, making) == own else None
