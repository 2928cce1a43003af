"""Records as a study gets them: each element by its datatype, and what makes a record stay behind."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest

from gateway.core.fhir import codec
from gateway.core.fhir.facts import facts_of
from gateway.core.studies.leaving import written
from gateway.core.studies.study import Study
from gateway.core.values import Ref
from gateway.mapping import load_catalogue
from tests.core.deciding import BASES, R4, facts
from tests.core.studies.building import (
    BY_DATES,
    DAYS,
    HEART,
    LOINC,
    OTHER,
    RXNORM,
    SNOMED,
    UCUM,
    YEARS,
    concept,
    condition,
    left,
    made,
    observation,
)

HL7 = "http://terminology.hl7.org/CodeSystem"
MMHG = {"value": 120, "system": UCUM, "code": "mm[Hg]"}


def moved(day: str) -> str:
    return (date.fromisoformat(day) - timedelta(days=DAYS)).isoformat()


def name_of(reference: str, study: Study = HEART) -> str:
    kind, ident = reference.split("/")
    return f"{kind}/{study.pseudonyms.of(Ref(kind, ident))}"


VALUES: dict[str, tuple[Any, Any]] = {
    # element of an Observation: as sent, as it leaves (None: not at all)
    "category: code of HL7": (
        [concept(f"{HL7}/observation-category", "vital-signs", text="SECRET")],
        [concept(f"{HL7}/observation-category", "vital-signs")],
    ),
    "category: several codings": (
        [{"coding": [{"system": "https://ward.example", "code": "ann"}, {"system": LOINC, "code": "1-8"}]}],
        [concept(LOINC, "1-8")],
    ),
    "category: displays, versions, extensions": (
        [{"coding": [{"system": LOINC, "code": "1-8", "display": "SECRET", "version": "SECRET", "id": "S"}]}],
        [concept(LOINC, "1-8")],
    ),
    "category: the study's own code": (
        [concept("https://ward.example", "own-1")],
        [concept("https://ward.example", "own-1")],
    ),
    "category: another of that system": ([concept("https://ward.example", "own-2")], None),
    "category: text alone": ([{"text": "SECRET"}], None),
    "category: no form of its system": ([concept(LOINC, "Ann-Example")], None),
    "category: a system that looks like one": ([concept(f"{LOINC}/", "1-8")], None),
    "category: a code without a system": ([{"coding": [{"code": "1-8"}]}], None),
    "category: odd": (["SECRET", 7, None, [concept(LOINC, "1-8")]], None),
    "valueQuantity: with a unit": ({**MMHG, "unit": "SECRET"}, MMHG),
    "valueQuantity: with a comparator": ({**MMHG, "comparator": "<"}, {**MMHG, "comparator": "<"}),
    "valueQuantity: an odd comparator": ({**MMHG, "comparator": "about"}, None),
    "valueQuantity: no unit": ({"value": 3}, {"value": 3}),
    "valueQuantity: a unit in words": ({"value": 3, "unit": "mmHg"}, None),
    "valueQuantity: a code without its system": ({"value": 3, "code": "mm[Hg]"}, None),
    "valueQuantity: of another system": ({"value": 3, "system": SNOMED, "code": "258672001"}, None),
    "valueQuantity: words in the unit": ({"value": 3, "system": UCUM, "code": "{Ann Example}"}, None),
    "valueQuantity: counts": (
        {"value": 3, "system": UCUM, "code": "{score}"},
        {"value": 3, "system": UCUM, "code": "{score}"},
    ),
    "valueQuantity: no value": ({"system": UCUM, "code": "a"}, None),
    "valueQuantity: an age": (
        {"value": 89, "system": UCUM, "code": "a"},
        {"value": 89, "system": UCUM, "code": "a"},
    ),
    "valueQuantity: a great age": ({"value": 89.5, "system": UCUM, "code": "a"}, None),
    "valueQuantity: the same in months": ({"value": 1080, "system": UCUM, "code": "mo"}, None),
    "valueQuantity: the same in days": ({"value": 32850, "system": UCUM, "code": "d"}, None),
    "valueQuantity: a long number": ({"value": 9007199254740993}, None),
    "valueString": ("SECRET", None),
    "valueCodeableConcept": (concept(SNOMED, "260373001", text="SECRET"), concept(SNOMED, "260373001")),
    "valueBoolean": (True, True),
    "valueBoolean: a text": ("true", None),
    "valueInteger": (7, 7),
    "valueInteger: a truth value": (True, None),
    "valueTime": ("08:30:00", "08:30:00"),
    "valueTime: words": ("SECRET", None),
    "valueDateTime": ("2020-03-10T08:30:00+02:00", f"{moved('2020-03-10')}T08:30:00Z"),
    "valueDateTime: a month": ("2020-03", None),
    "valuePeriod": (
        {"start": "2020-03-10", "end": "2020-03-12"},
        {"start": moved("2020-03-10"), "end": moved("2020-03-12")},
    ),
    "valuePeriod: open": ({"start": "2020-03-10"}, {"start": moved("2020-03-10")}),
    "valuePeriod: an end that cannot be moved": ({"start": "2020-03-10", "end": "2020"}, None),
    "valuePeriod: an end without a value": ({"start": "2020-03-10", "_end": {"id": "x"}}, None),
    "valueRange": ({"low": MMHG, "high": MMHG}, {"low": MMHG, "high": MMHG}),
    "valueRange: half": ({"low": MMHG, "high": {"value": 1, "unit": "x"}}, None),
    "valueRatio": ({"numerator": MMHG, "denominator": MMHG}, {"numerator": MMHG, "denominator": MMHG}),
    "valueSampledData": ({"origin": MMHG, "period": 1, "dimensions": 1, "data": "SECRET"}, None),
    "valueAttachment": ({"data": "SECRET"}, None),
    "effectiveInstant": ("2020-03-10T08:30:00.5Z", f"{moved('2020-03-10')}T08:30:00.5Z"),
    "effectiveTiming": (
        {"event": ["2020-03-10", "2020"], "repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
        {"event": [moved("2020-03-10")], "repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
    ),
    "effectiveTiming: a day of the week": ({"event": ["2020-03-10"], "repeat": {"dayOfWeek": ["mon"]}}, None),
    "issued": ("2020-03-10T08:30:00Z", f"{moved('2020-03-10')}T08:30:00Z"),
    "encounter": (
        {"reference": "Encounter/e1", "display": "SECRET"},
        {"reference": name_of("Encounter/e1")},
    ),
    "encounter: one version": (
        {"reference": "Encounter/e1/_history/2"},
        {"reference": name_of("Encounter/e1")},
    ),
    "encounter: by our address": (
        {"reference": f"{BASES.upstream}/Encounter/e1"},
        {"reference": name_of("Encounter/e1")},
    ),
    "encounter: elsewhere": ({"reference": "https://x.example/Encounter/e1"}, None),
    "encounter: contained": ({"reference": "#e1"}, None),
    "encounter: by number": ({"identifier": {"value": "SECRET"}}, None),
    "encounter: another type": ({"reference": "Patient/85"}, None),
    "encounter: a type that contradicts": ({"reference": "Encounter/e1", "type": "Patient"}, None),
    "hasMember": (
        [{"reference": "Observation/o2"}, {"reference": "QuestionnaireResponse/q"}],
        [{"reference": name_of("Observation/o2")}],
    ),
    "referenceRange": (
        [{"low": MMHG, "text": "SECRET"}, {"low": {"value": 1, "unit": "SECRET"}, "high": MMHG}],
        [{"low": MMHG}],
    ),
    "component": (
        [{"code": concept(LOINC, "8480-6"), "valueQuantity": MMHG, "id": "1"}, {"valueQuantity": MMHG}],
        [{"code": concept(LOINC, "8480-6"), "valueQuantity": MMHG}, {"valueQuantity": MMHG}],
    ),
    "component: a code of its own": ([{"code": {"text": "SECRET"}, "valueQuantity": MMHG}], None),
    "note": ([{"text": "SECRET"}], None),
    "text": ({"status": "generated", "div": "<div>SECRET</div>"}, None),
    "identifier": ([{"value": "SECRET"}], None),
    "performer": ([{"reference": "Practitioner/SECRET"}], None),
    "device": ({"reference": "Device/SECRET"}, None),
    "extension": ([{"url": "https://x.example", "valueString": "SECRET"}], None),
    "contained": ([{"resourceType": "Encounter", "id": "e1"}], None),
    "_status": ({"extension": [{"url": "https://x.example", "valueString": "SECRET"}]}, None),
    "language": ("de-AT", None),
    "unheardOf": ("SECRET", None),
}


@pytest.mark.parametrize("row", VALUES)
def test_elements(row: str) -> None:
    name = row.partition(":")[0]
    sent, expected = VALUES[row]
    assert left(observation(**{name: sent})).get(name) == expected
    assert "SECRET" not in json.dumps(made(observation(**{name: sent})))


YEAR_VALUES: list[tuple[str, Any, Any]] = [
    ("valueDateTime", "2020-03-10T08:30:00Z", "2020"),
    ("valueDateTime", "2020-03", "2020"),
    ("valuePeriod", {"start": "2020-03-10", "end": "2021"}, {"start": "2020", "end": "2021"}),
    ("effectiveInstant", "2020-03-10T08:30:00Z", None),
    ("issued", "2020-03-10T08:30:00Z", None),
]


@pytest.mark.parametrize(("name", "sent", "expected"), YEAR_VALUES)
def test_years_alone(name: str, sent: Any, expected: Any) -> None:
    assert left(observation(**{name: sent}), YEARS).get(name) == expected


def test_a_whole_record() -> None:
    found = made(observation(identifier=[{"value": "SECRET"}]))
    assert found == {
        "resourceType": "Observation",
        "id": HEART.pseudonyms.of(Ref("Observation", "bp-1")),
        "meta": {
            "security": [{"system": f"{HL7}/v3-ObservationValue", "code": "PSEUDED"}],
            "tag": [{"system": f"{HL7}/v3-ObservationValue", "code": "SUBSETTED"}],
        },
        "status": "final",
        "code": concept(LOINC, "8480-6"),
        "subject": {"reference": name_of("Patient/85")},
    }


def test_labels_stay_as_codes_and_years_say_that_they_are_coarser() -> None:
    level = {"system": f"{HL7}/v3-Confidentiality", "code": "R", "display": "SECRET"}
    tree = observation(
        meta={"security": [level], "profile": ["https://x.example/SECRET"], "source": "#SECRET"}
    )
    for study, tags in ((HEART, ["R", "PSEUDED"]), (YEARS, ["R", "PSEUDED", "ABSTRED"])):
        found = made(tree, study)
        assert found is not None
        assert [one["code"] for one in found["meta"]["security"]] == tags
        assert found["meta"].keys() == {"security", "tag"}
        assert "SECRET" not in json.dumps(found)


def test_other_studies_have_other_names_and_days() -> None:
    tree = observation(encounter={"reference": "Encounter/e1"}, valueDateTime="2020-03-10")
    one, same, other = made(tree), made(tree), made(tree, OTHER)
    assert one is not None
    assert other is not None
    assert one == same
    for name in ("id", "subject", "encounter", "valueDateTime"):
        assert one[name] != other[name]


def test_numbers_keep_their_text() -> None:
    raw = json.dumps(observation(valueQuantity=MMHG)).replace("120", "7.10e1").encode()
    found = HEART.made(facts(raw), codec.parse(raw), BASES.both)
    assert found is not None
    assert b'"value":7.10e1,' in written(found)


def test_a_prescription() -> None:
    drug = {"medicationCodeableConcept": concept(RXNORM, "310965", text="SECRET")}
    dose = {"type": concept(f"{HL7}/dose-rate-type", "ordered"), "doseQuantity": {"value": 1}}
    tree = observation(
        resourceType="MedicationRequest",
        code=None,
        status="active",
        intent="order",
        doNotPerform=False,
        authoredOn="2020-03-10",
        requester={"reference": "Practitioner/SECRET"},
        dosageInstruction=[
            {"sequence": 1, "text": "SECRET", "asNeededBoolean": True, "doseAndRate": [dose]},
            {"text": "SECRET"},
            {"asNeededCodeableConcept": {"text": "SECRET"}, "sequence": 2},
        ],
        dispenseRequest={
            "validityPeriod": {"start": "2020-03-10"},
            "performer": {"reference": "Organization/S"},
        },
        **drug,
    )
    assert left(tree) == {
        "status": "active",
        "intent": "order",
        "doNotPerform": False,
        "medicationCodeableConcept": concept(RXNORM, "310965"),
        "authoredOn": moved("2020-03-10"),
        "dosageInstruction": [{"sequence": 1, "asNeededBoolean": True, "doseAndRate": [dose]}],
        "dispenseRequest": {"validityPeriod": {"start": moved("2020-03-10")}},
    }


def test_a_diagnosis() -> None:
    active = concept(f"{HL7}/condition-clinical", "active")
    age = {"value": 52, "system": UCUM, "code": "a", "unit": "years"}
    tree = condition(clinicalStatus=active, onsetAge=age, abatementString="SECRET", recordedDate="2020-03-10")
    assert left(tree) == {
        "clinicalStatus": active,
        "code": concept(SNOMED, "38341003"),
        "onsetAge": {"value": 52, "system": UCUM, "code": "a"},
        "recordedDate": moved("2020-03-10"),
    }
    assert "onsetAge" not in left(condition(onsetAge={**age, "value": 90}))


BEHIND: dict[str, dict[str, Any]] = {
    "of a modified meaning": {"modifierExtension": [{"url": "https://x.example"}]},
    "of a modified part": {"component": [{"modifierExtension": [{"url": "u"}], "code": {}}]},
    "under rules of its own": {"implicitRules": "https://x.example"},
    "about something else": {"focus": [{"reference": "Specimen/s"}]},
    "of an unknown status": {"status": "Ann"},
    "of a status without a value": {"status": None, "_status": {"id": "x"}},
    "of a code in words": {"code": {"text": "SECRET"}},
    "of nobody": {"subject": None},
    "of a group": {"subject": {"reference": "Group/g"}},
    "of somebody elsewhere": {"subject": {"reference": "https://x.example/Patient/85"}},
}


@pytest.mark.parametrize("row", BEHIND)
def test_what_stays_behind(row: str) -> None:
    for study in BY_DATES.values():
        assert made(observation(**BEHIND[row]), study) is None
    assert made(observation()) is not None


def test_no_other_type_leaves() -> None:
    for kind in ("Patient", "Encounter", "DiagnosticReport", "MedicationDispense"):
        assert made({**observation(), "resourceType": kind}) is None


HELD: dict[str, tuple[dict[str, Any], bool]] = {
    "of the study": ({}, True),
    "one code of several": (
        {"code": {"coding": [{"system": LOINC, "code": "1-8"}, concept(LOINC, "8480-6")["coding"][0]]}},
        True,
    ),
    "of another code": ({"code": concept(LOINC, "8462-4")}, False),
    "of the code in another system": ({"code": concept(SNOMED, "84806000")}, False),
    "of the code without a system": ({"code": {"coding": [{"code": "8480-6"}]}}, False),
    "of no code": ({"code": None}, False),
    "on the day": ({"meta": {"lastUpdated": "2026-05-01T00:00:00Z"}}, False),
    "on the day, elsewhere": ({"meta": {"lastUpdated": "2026-05-01T01:59:58+02:00"}}, True),
    "of no time": ({"meta": {"versionId": "1"}}, False),
    "of no time that can be read": ({"meta": {"lastUpdated": "yesterday"}}, False),
    "of half a time": ({"meta": {"lastUpdated": "2026-04"}}, True),
    "of a time that may be later": ({"meta": {"lastUpdated": "2026"}}, False),
}


@pytest.mark.parametrize("row", HELD)
def test_what_a_study_is_about(row: str) -> None:
    more, expected = HELD[row]
    raw = json.dumps(observation(**more)).encode()
    assert HEART.holds(facts(raw), codec.parse(raw), R4, BASES.both) == expected


R5 = load_catalogue("R5")
LATER: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # of R5 alone: as sent, and the elements that leave
    "a medication by concept": (
        {
            "resourceType": "MedicationRequest",
            "status": "ended",
            "intent": "order",
            "medication": {"concept": concept(RXNORM, "310965", text="SECRET")},
            "reason": [{"concept": concept(SNOMED, "38341003")}, {"reference": {"reference": "Condition/c"}}],
        },
        {
            "medication": {"concept": concept(RXNORM, "310965")},
            "reason": [{"concept": concept(SNOMED, "38341003")}],
        },
    ),
    "a procedure in its time": (
        {
            "resourceType": "Procedure",
            "status": "completed",
            "code": concept(SNOMED, "38341003"),
            "occurrencePeriod": {"start": "2020-03-10", "end": "2020-03-11"},
            "recorded": "2020-03-12",
        },
        {
            "occurrencePeriod": {"start": moved("2020-03-10"), "end": moved("2020-03-11")},
            "recorded": moved("2020-03-12"),
        },
    ),
}


@pytest.mark.parametrize("row", LATER)
def test_records_of_r5(row: str) -> None:
    sent, expected = LATER[row]
    raw = json.dumps({**observation(code=None), **sent}).encode()
    known = facts_of(raw, R5, BASES)
    found = HEART.made(known, codec.parse(raw), BASES.both)
    assert found is not None
    assert expected.items() <= found.items()
    assert HEART.holds(known, codec.parse(raw), R5, BASES.both)


def test_a_medication_by_reference_is_of_no_code() -> None:
    more = {"resourceType": "MedicationRequest", "status": "active", "intent": "order", "code": None}
    tree = observation(**more, medicationReference={"reference": "Medication/m"})
    raw = json.dumps(tree).encode()
    assert not HEART.holds(facts(raw), codec.parse(raw), R4, BASES.both)
