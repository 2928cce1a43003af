"""The plain shapes of datatypes, and below `resources` those of the commonest records: for a typed reading,
which takes a third of the time.

A shape is a part of what FHIR allows, its members in the order in which servers write them. What is not here
(a contained resource, an attachment elsewhere, an element's `_extension`) is read the long way, see `plain`.
What stays true, so that only a `Reference` in a shape can be a mention and nothing is an address to fetch:
`display` stands in `Reference` and `Coding` alone, and a Coding has a code; `identifier` in resources alone;
`url` in extensions alone; and no shape leads back to itself.
Source: FHIR R4, the definitions of the types. What another release has otherwise does not fit.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeAlias

import msgspec
from msgspec import field

Text: TypeAlias = str | None
Flag: TypeAlias = bool | None
Count: TypeAlias = int | None
Number: TypeAlias = Decimal | None  # keeps its digits
EMPTY: Any = field(default_factory=list)
"""What a list is that is absent."""


class Shape(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, eq=False, gc=False):
    """What is absent is not written either, so that what was read is written as it was, or differs."""


class Coding(Shape, kw_only=True):
    system: Text = None
    version: Text = None
    code: str
    display: Text = None
    userSelected: Flag = None


class Concept(Shape):
    coding: list[Coding] = EMPTY
    text: Text = None


class Reference(Shape):
    reference: str
    display: Text = None


class Period(Shape):
    start: Text = None
    end: Text = None


class Quantity(Shape):
    value: Number = None
    comparator: Text = None
    unit: Text = None
    system: Text = None
    code: Text = None


class Range(Shape):
    low: Quantity | None = None
    high: Quantity | None = None
    type: Concept | None = None
    text: Text = None


class InnerExtension(Shape):
    url: str
    valueBoolean: Flag = None
    valueCode: Text = None
    valueCodeableConcept: Concept | None = None
    valueCoding: Coding | None = None
    valueDate: Text = None
    valueDateTime: Text = None
    valueDecimal: Number = None
    valueInteger: Count = None
    valuePeriod: Period | None = None
    valueQuantity: Quantity | None = None
    valueString: Text = None


class NestedExtension(InnerExtension):
    extension: list[InnerExtension] = EMPTY


class Address(Shape):
    extension: list[NestedExtension] = EMPTY
    use: Text = None
    type: Text = None
    text: Text = None
    line: list[str] = EMPTY
    city: Text = None
    district: Text = None
    state: Text = None
    postalCode: Text = None
    country: Text = None
    period: Period | None = None


class Extension(NestedExtension):
    valueAddress: Address | None = None


class Identifier(Shape):
    use: Text = None
    type: Concept | None = None
    system: Text = None
    value: Text = None
    period: Period | None = None


class HumanName(Shape):
    use: Text = None
    text: Text = None
    family: Text = None
    given: list[str] = EMPTY
    prefix: list[str] = EMPTY
    suffix: list[str] = EMPTY
    period: Period | None = None


class ContactPoint(Shape):
    system: Text = None
    value: Text = None
    use: Text = None
    rank: Count = None
    period: Period | None = None


class Attachment(Shape):
    """One that brings its content with it."""

    contentType: Text = None
    language: Text = None
    data: Text = None
    size: Count = None
    hash: Text = None
    title: Text = None
    creation: Text = None


class Note(Shape):
    authorString: Text = None
    time: Text = None
    text: Text = None


class Repeat(Shape):
    frequency: Count = None
    period: Number = None
    periodUnit: Text = None


class Timing(Shape):
    repeat: Repeat | None = None
    code: Concept | None = None


class Dose(Shape):
    type: Concept | None = None
    doseQuantity: Quantity | None = None


class Dosage(Shape):
    sequence: Count = None
    text: Text = None
    additionalInstruction: list[Concept] = EMPTY
    patientInstruction: Text = None
    timing: Timing | None = None
    asNeededBoolean: Flag = None
    site: Concept | None = None
    route: Concept | None = None
    method: Concept | None = None
    doseAndRate: list[Dose] = EMPTY


class Meta(Shape):
    versionId: Text = None
    lastUpdated: Text = None
    source: Text = None
    profile: list[str] = EMPTY
    security: list[Coding] = EMPTY
    tag: list[Coding] = EMPTY


class Narrative(Shape):
    status: Text = None
    div: Text = None
