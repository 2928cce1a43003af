"""The plain shapes of the commonest records of patients; what is true of them is said in `shapes`.

Source: FHIR R4, the definitions of the types.
"""

from __future__ import annotations

from typing import Final

from msgspec import field

from gateway.core.fhir.shapes import (
    EMPTY,
    Address,
    Attachment,
    Coding,
    Concept,
    ContactPoint,
    Count,
    Dosage,
    Extension,
    Flag,
    HumanName,
    Identifier,
    Meta,
    Narrative,
    Note,
    Period,
    Quantity,
    Range,
    Reference,
    Shape,
    Text,
)


class Resource(Shape, tag_field="resourceType"):
    id: str
    meta: Meta | None = None
    language: Text = None
    text: Narrative | None = None
    extension: list[Extension] = EMPTY
    identifier: list[Identifier] = EMPTY


class AllergyIntolerance(Resource, tag=True):
    clinicalStatus: Concept | None = None
    verificationStatus: Concept | None = None
    type: Text = None
    category: list[str] = EMPTY
    criticality: Text = None
    code: Concept | None = None
    patient: Reference | None = None
    encounter: Reference | None = None
    onsetDateTime: Text = None
    recordedDate: Text = None
    recorder: Reference | None = None
    asserter: Reference | None = None
    note: list[Note] = EMPTY


class Condition(Resource, tag=True):
    clinicalStatus: Concept | None = None
    verificationStatus: Concept | None = None
    category: list[Concept] = EMPTY
    severity: Concept | None = None
    code: Concept | None = None
    bodySite: list[Concept] = EMPTY
    subject: Reference | None = None
    encounter: Reference | None = None
    onsetDateTime: Text = None
    abatementDateTime: Text = None
    recordedDate: Text = None
    recorder: Reference | None = None
    asserter: Reference | None = None
    note: list[Note] = EMPTY


class DiagnosticReport(Resource, tag=True):
    basedOn: list[Reference] = EMPTY
    status: Text = None
    category: list[Concept] = EMPTY
    code: Concept | None = None
    subject: Reference | None = None
    encounter: Reference | None = None
    effectiveDateTime: Text = None
    effectivePeriod: Period | None = None
    issued: Text = None
    performer: list[Reference] = EMPTY
    resultsInterpreter: list[Reference] = EMPTY
    specimen: list[Reference] = EMPTY
    result: list[Reference] = EMPTY
    conclusion: Text = None
    conclusionCode: list[Concept] = EMPTY
    presentedForm: list[Attachment] = EMPTY


class Participant(Shape):
    type: list[Concept] = EMPTY
    period: Period | None = None
    individual: Reference | None = None


class Stay(Shape):
    location: Reference | None = None
    status: Text = None
    period: Period | None = None


class Encounter(Resource, tag=True):
    status: Text = None
    class_: Coding | None = field(default=None, name="class")
    type: list[Concept] = EMPTY
    serviceType: Concept | None = None
    priority: Concept | None = None
    subject: Reference | None = None
    participant: list[Participant] = EMPTY
    period: Period | None = None
    reasonCode: list[Concept] = EMPTY
    reasonReference: list[Reference] = EMPTY
    location: list[Stay] = EMPTY
    serviceProvider: Reference | None = None


class Immunization(Resource, tag=True):
    status: Text = None
    vaccineCode: Concept | None = None
    patient: Reference | None = None
    encounter: Reference | None = None
    occurrenceDateTime: Text = None
    recorded: Text = None
    primarySource: Flag = None
    location: Reference | None = None
    lotNumber: Text = None
    expirationDate: Text = None
    site: Concept | None = None
    route: Concept | None = None
    doseQuantity: Quantity | None = None


class MedicationRequest(Resource, tag=True):
    status: Text = None
    intent: Text = None
    category: list[Concept] = EMPTY
    priority: Text = None
    medicationCodeableConcept: Concept | None = None
    medicationReference: Reference | None = None
    subject: Reference | None = None
    encounter: Reference | None = None
    authoredOn: Text = None
    requester: Reference | None = None
    reasonCode: list[Concept] = EMPTY
    reasonReference: list[Reference] = EMPTY
    note: list[Note] = EMPTY
    dosageInstruction: list[Dosage] = EMPTY


class Component(Shape):
    code: Concept | None = None
    valueQuantity: Quantity | None = None
    valueCodeableConcept: Concept | None = None
    valueString: Text = None
    dataAbsentReason: Concept | None = None
    interpretation: list[Concept] = EMPTY
    referenceRange: list[Range] = EMPTY


class Observation(Resource, tag=True):
    basedOn: list[Reference] = EMPTY
    partOf: list[Reference] = EMPTY
    status: Text = None
    category: list[Concept] = EMPTY
    code: Concept | None = None
    subject: Reference | None = None
    focus: list[Reference] = EMPTY
    encounter: Reference | None = None
    effectiveDateTime: Text = None
    effectivePeriod: Period | None = None
    issued: Text = None
    performer: list[Reference] = EMPTY
    valueQuantity: Quantity | None = None
    valueCodeableConcept: Concept | None = None
    valueString: Text = None
    valueBoolean: Flag = None
    valueInteger: Count = None
    valueDateTime: Text = None
    dataAbsentReason: Concept | None = None
    interpretation: list[Concept] = EMPTY
    note: list[Note] = EMPTY
    bodySite: Concept | None = None
    method: Concept | None = None
    specimen: Reference | None = None
    device: Reference | None = None
    referenceRange: list[Range] = EMPTY
    hasMember: list[Reference] = EMPTY
    derivedFrom: list[Reference] = EMPTY
    component: list[Component] = EMPTY


class Communication(Shape):
    language: Concept | None = None
    preferred: Flag = None


class Patient(Resource, tag=True):
    active: Flag = None
    name: list[HumanName] = EMPTY
    telecom: list[ContactPoint] = EMPTY
    gender: Text = None
    birthDate: Text = None
    deceasedBoolean: Flag = None
    deceasedDateTime: Text = None
    address: list[Address] = EMPTY
    maritalStatus: Concept | None = None
    multipleBirthBoolean: Flag = None
    multipleBirthInteger: Count = None
    communication: list[Communication] = EMPTY
    generalPractitioner: list[Reference] = EMPTY
    managingOrganization: Reference | None = None


class Procedure(Resource, tag=True):
    status: Text = None
    category: Concept | None = None
    code: Concept | None = None
    subject: Reference | None = None
    encounter: Reference | None = None
    performedDateTime: Text = None
    performedPeriod: Period | None = None
    recorder: Reference | None = None
    location: Reference | None = None
    reasonCode: list[Concept] = EMPTY
    reasonReference: list[Reference] = EMPTY
    bodySite: list[Concept] = EMPTY
    note: list[Note] = EMPTY


RESOURCES: Final[tuple[type[Resource], ...]] = tuple(Resource.__subclasses__())
