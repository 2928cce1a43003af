"""Which elements of which types can leave in a study, and as what. A table; the names are those of R4 and R5.

`Must` are those that change the meaning of the rest, by FHIR's modifiers or by what they are: a record whose
own cannot leave does not leave at all. `ABOUT_OTHERS` are elements that make a record one about something or
somebody else than its subject. Everything that is not here is left out.
Source: FHIR R4 and R5, observation.html, condition.html, procedure.html, medicationrequest.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from gateway.core.studies import datatypes as of
from gateway.core.studies.datatypes import Members, Must, backbone, one_of, reference

_DONE: Final = ("preparation", "in-progress", "not-done", "on-hold", "stopped", "completed")
_WRONG: Final = ("entered-in-error", "unknown")
_EVENT: Final = one_of(*_DONE, *_WRONG)
_RESULT: Final = one_of(
    *("registered", "specimen-in-process", "preliminary", "final", "amended", "corrected", "appended"),
    *("cancelled", *_WRONG, "cannot-be-obtained"),
)
_ORDER: Final = one_of(
    *("active", "on-hold", "ended", "stopped", "completed", "cancelled", "draft", *_WRONG),
)
_INTENT: Final = one_of(
    *("proposal", "plan", "order", "original-order", "reflex-order", "filler-order", "instance-order"),
    "option",
)
_PRIORITY: Final = one_of("routine", "urgent", "asap", "stat")

_RECORD: Final[Members] = {"subject": Must(of.subject), "encounter": reference("Encounter")}

_VALUE: Final[Members] = {
    "valueQuantity": of.quantity,
    "valueCodeableConcept": of.concept,
    "valueBoolean": of.boolean,
    "valueInteger": of.number,
    "valueRange": of.extent,
    "valueRatio": of.ratio,
    "valueTime": of.time,
    "valueDateTime": of.when,
    "valuePeriod": of.period,
}
_LIMITS: Final = backbone(
    {
        "low": Must(of.quantity),
        "high": Must(of.quantity),
        "type": Must(of.concept),
        "appliesTo": Must(of.concept),
        "age": Must(of.extent),
    }
)
_RESULTS: Final[Members] = {
    **_VALUE,
    "dataAbsentReason": of.concept,
    "interpretation": of.concept,
    "referenceRange": _LIMITS,
}


def _times(stem: str) -> Members:
    return {
        f"{stem}DateTime": of.when,
        f"{stem}Age": of.quantity,
        f"{stem}Period": of.period,
        f"{stem}Range": of.extent,
    }


_DOSE: Final = backbone(
    {
        "type": Must(of.concept),
        "doseRange": of.extent,
        "doseQuantity": of.quantity,
        "rateRatio": of.ratio,
        "rateRange": of.extent,
        "rateQuantity": of.quantity,
    }
)
_DOSAGE: Final = backbone(
    {
        "sequence": of.number,
        "timing": of.timing,
        "asNeeded": Must(of.boolean),  # R5
        "asNeededBoolean": Must(of.boolean),
        "asNeededCodeableConcept": Must(of.concept),
        "asNeededFor": Must(of.concept),
        "site": of.concept,
        "route": of.concept,
        "method": of.concept,
        "doseAndRate": _DOSE,
        "maxDosePerPeriod": of.ratio,
        "maxDosePerAdministration": of.quantity,
        "maxDosePerLifetime": of.quantity,
    }
)
_DISPENSE: Final = backbone(
    {
        "initialFill": backbone({"quantity": of.quantity, "duration": of.quantity}),
        "dispenseInterval": of.quantity,
        "validityPeriod": of.period,
        "numberOfRepeatsAllowed": of.number,
        "quantity": of.quantity,
        "expectedSupplyDuration": of.quantity,
    }
)

ELEMENTS: Final[Mapping[str, Members]] = {
    "Observation": {
        "status": Must(_RESULT),
        "category": of.concept,
        "code": Must(of.concept),
        **_RECORD,
        "effectiveDateTime": of.when,
        "effectivePeriod": of.period,
        "effectiveTiming": of.timing,
        "effectiveInstant": of.instant,
        "issued": of.instant,
        **_RESULTS,
        "bodySite": of.concept,
        "method": of.concept,
        "hasMember": reference("Observation"),
        "derivedFrom": reference("Observation"),
        "component": backbone({"code": Must(of.concept), **_RESULTS}),
    },
    "Condition": {
        "clinicalStatus": Must(of.concept),
        "verificationStatus": Must(of.concept),
        "category": of.concept,
        "severity": of.concept,
        "code": Must(of.concept),
        "bodySite": of.concept,
        **_RECORD,
        **_times("onset"),
        **_times("abatement"),
        "recordedDate": of.when,
        "stage": backbone({"summary": of.concept, "type": of.concept}),
    },
    "Procedure": {
        "status": Must(_EVENT),
        "statusReason": of.concept,
        "category": of.concept,
        "code": Must(of.concept),
        **_RECORD,
        **_times("performed"),
        **_times("occurrence"),
        "recorded": of.when,
        "reasonCode": of.concept,
        "reason": of.concept_or_reference,
        "bodySite": of.concept,
        "outcome": of.concept,
        "complication": of.concept,
        "followUp": of.concept,
    },
    "MedicationRequest": {
        "status": Must(_ORDER),
        "statusReason": of.concept,
        "intent": Must(_INTENT),
        "category": of.concept,
        "priority": _PRIORITY,
        "doNotPerform": Must(of.boolean),
        "medicationCodeableConcept": Must(of.concept),
        "medication": Must(of.concept_or_reference),
        **_RECORD,
        "authoredOn": of.when,
        "reasonCode": of.concept,
        "reason": of.concept_or_reference,
        "courseOfTherapyType": of.concept,
        "dosageInstruction": _DOSAGE,
        "dispenseRequest": _DISPENSE,
    },
}

ABOUT_OTHERS: Final[Mapping[str, frozenset[str]]] = {"Observation": frozenset({"focus"})}


def makes(kind: str, name: str) -> bool:
    """Whether something of the element `name` of a type can leave; a choice as `value[x]`."""
    stem = name.removesuffix("[x]")
    return any(known == name or (stem != name and known.startswith(stem)) for known in ELEMENTS.get(kind, ()))


def needed(kind: str, names: frozenset[str]) -> Iterator[str]:
    """The elements of a type that must be among those that are kept, and are not among `names`."""
    for element, made in ELEMENTS.get(kind, {}).items():
        choice = any(name.endswith("[x]") and element.startswith(name[:-3]) for name in names)
        if isinstance(made, Must) and element not in names and not choice:
            yield element
