"""Whether one resource may be seen: scope, owner, consent, in that order; near misses of each."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.fhir import codec
from gateway.core.fhir.scan import Place
from gateway.core.judge import Judge
from gateway.core.judgement import Judgement
from gateway.core.labels.remembered import Labelling
from gateway.core.plan import Permit
from gateway.core.values import ConsentRef, Label, Ref
from tests.core.consent.build import HASH, consents, deny, permit
from tests.core.deciding import decided, facts, token
from tests.core.labels.tables import labeller

SYS = "http://terminology.hl7.org/CodeSystem/observation-category"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
OPEN = permit(actors="client:app-1", scopes="patient/*.rs")
GIVEN = consents(OPEN, patient="85")


def judge(scopes: str = "patient/*.rs", given: Any = GIVEN, target: str = "Observation", **who: Any) -> Judge:
    outcome = decided(target, token(scopes, **who), given)
    assert isinstance(outcome, Permit), outcome
    return outcome.plan.judge


def observation(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": "1", "subject": {"reference": "Patient/85"}, **more}


def reason(by: Judge, resource: dict[str, Any], operation: str | None = None) -> str:
    raw = json.dumps(resource).encode()
    judgement = by.judge(facts(raw), lambda: codec.parse(raw), operation or by.operation)
    assert judgement.visible == (judgement.reason in ("consent", "self"))
    return judgement.reason


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (observation(), "consent"),
        (observation(subject={"reference": "Patient/99"}), "scope"),
        (observation(subject={"reference": "Patient/8"}), "scope"),
        (observation(subject={"reference": "Patient/85x"}), "scope"),
        (observation(subject={"reference": "Group/85"}), "scope"),
        (observation(subject={"identifier": {"value": "85"}}), "scope"),
        (observation(performer=[{"reference": "Patient/85"}], subject={}), "scope"),
        ({"resourceType": "Patient", "id": "85"}, "consent"),
        ({"resourceType": "Patient", "id": "86"}, "scope"),
        ({"resourceType": "Patient", "id": "86", "link": [{"other": {"reference": "Patient/85"}}]}, "scope"),
        ({"resourceType": "Practitioner", "id": "1"}, "consent"),
        ({"resourceType": "Group", "id": "1", "member": [{"entity": {"reference": "Patient/85"}}]}, "type"),
        ({"resourceType": "AuditEvent", "id": "1", "agent": [{"who": {"reference": "Patient/85"}}]}, "type"),
        ({"resourceType": "Binary", "id": "1", "securityContext": {"reference": "Patient/85"}}, "type"),
    ],
)
def test_owner_and_type(resource: dict[str, Any], expected: str) -> None:
    assert reason(judge(), resource) == expected


def test_everybody_it_belongs_to_must_agree() -> None:
    both = {
        "resourceType": "Appointment",
        "id": "1",
        "participant": [{"actor": {"reference": f"Patient/{p}"}} for p in ("85", "99")],
    }
    assert reason(judge(), both) == "no_consent"
    assert reason(judge(given=(*GIVEN, *_second(OPEN))), both) == "consent"
    assert (
        reason(judge(given=(*GIVEN, *_second(OPEN, deny(scopes="patient/Appointment.rs")))), both) == "denied"
    )


def _second(*roots: Any) -> Any:
    """Consents of a second patient, with ids and entries of their own."""
    made = consents(*roots, patient="99")
    return tuple(
        replace(c, id=f"d{n}", refs=(ConsentRef(f"d{n}", 10 + n, HASH),)) for n, c in enumerate(made)
    )


@pytest.mark.parametrize(
    ("scopes", "category", "operation", "expected"),
    [
        ("patient/Observation.rs", "vital-signs", "r", "consent"),
        ("patient/Observation.s", "vital-signs", "r", "scope"),
        ("patient/Observation.s", "vital-signs", "s", "consent"),
        (f"patient/Observation.rs?category={SYS}|laboratory", "laboratory", "s", "consent"),
        (f"patient/Observation.rs?category={SYS}|laboratory", "vital-signs", "s", "scope"),
        (f"patient/Observation.rs?category={SYS}|laboratory", None, "s", "scope"),
        (f"patient/Observation.rs?category={SYS}|laboratory patient/*.r", "vital-signs", "r", "consent"),
        (f"patient/Observation.rs?category={SYS}|laboratory patient/*.r", "vital-signs", "s", "scope"),
        ("patient/Condition.rs patient/Observation.s", "laboratory", "r", "scope"),
    ],
)
def test_scopes(scopes: str, category: str | None, operation: str, expected: str) -> None:
    coded = {} if category is None else {"category": [{"coding": [{"system": SYS, "code": category}]}]}
    assert reason(judge(scopes), observation(**coded), operation) == expected


def test_scopes_of_one_type_are_not_mixed() -> None:
    """Each scope is a whole constraint: half of one and half of another give nothing."""
    scopes = (
        f"patient/Observation.rs?category={SYS}|laboratory&status=final "
        f"patient/Observation.rs?category={SYS}|vital-signs&status=amended"
    )
    by = judge(scopes)
    for category, status, expected in (
        ("laboratory", "final", "consent"),
        ("vital-signs", "amended", "consent"),
        ("laboratory", "amended", "scope"),
        ("vital-signs", "final", "scope"),
    ):
        coded = observation(status=status, category=[{"coding": [{"system": SYS, "code": category}]}])
        assert reason(by, coded) == expected


@pytest.mark.parametrize(
    ("security", "expected"),
    [
        ([], "consent"),
        ([{"system": ACT_CODE, "code": "HIV"}], "denied"),
        ([{"system": ACT_CODE, "code": "PSY"}], "consent"),
        ([{"system": "https://x.example", "code": "HIV"}], "denied"),
        ("HIV", "denied"),
        ([7], "denied"),
        ([{"system": ACT_CODE, "code": "hiv"}], "denied"),
        ([{"system": ACT_CODE, "code": "HIV "}], "denied"),
        ([{"system": ACT_CODE, "code": "NEVERHEARD"}], "denied"),
        ([{"system": "https://x.example", "code": "NEVERHEARD"}], "consent"),
    ],
    ids=[
        *("none", "denied", "another", "of an unknown system", "unreadable", "unreadable coding"),
        *("small", "padded", "newer than the tables", "of an unknown system, another"),
    ],
)
def test_labels(security: object, expected: str) -> None:
    given = consents(OPEN, deny(scopes="patient/*.rs", labels="HIV"), patient="85")
    assert reason(judge(given=given), observation(meta={"security": security})) == expected


LOINC = "http://loinc.org"
# A record's elements, and what comes of it where a consent denies and where one permits `code` secret.
CODED: list[tuple[str, dict[str, Any], str, str]] = [
    ("the code", {"code": {"coding": [{"system": LOINC, "code": "secret"}]}}, "denied", "consent"),
    ("another code", {"code": {"coding": [{"system": LOINC, "code": "other"}]}}, "consent", "scope"),
    ("coding an object", {"code": {"coding": {"system": LOINC, "code": "secret"}}}, "denied", "scope"),
    ("text alone", {"code": {"text": "secret"}}, "denied", "scope"),
    ("a coding without system", {"code": {"coding": [{"code": "secret"}]}}, "denied", "scope"),
    ("a coding without code", {"code": {"coding": [{"system": LOINC, "display": "x"}]}}, "denied", "scope"),
    ("a system that is a number", {"code": {"coding": [{"system": 5, "code": "secret"}]}}, "denied", "scope"),
    ("no code", {}, "denied", "scope"),
]


@pytest.mark.parametrize(
    ("elements", "denied", "permitted"), [r[1:] for r in CODED], ids=[r[0] for r in CODED]
)
def test_what_cannot_be_told_is_denied_and_not_permitted(
    elements: dict[str, Any], denied: str, permitted: str
) -> None:
    limited = f"patient/Observation.rs?code={LOINC}|secret"
    record = observation(**elements)
    assert reason(judge(given=consents(OPEN, deny(scopes=limited), patient="85")), record) == denied
    only = permit(actors="client:app-1", scopes=limited)
    assert reason(judge(given=consents(only, patient="85")), record) == permitted
    assert reason(judge(limited), record) == permitted


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ({"value": 7}, "denied"),
        ({"value": 5}, "consent"),
        ({"value": 7, "comparator": ">"}, "denied"),
        ({"value": "7"}, "denied"),
    ],
)
def test_a_quantity_that_cannot_be_told_is_denied(quantity: dict[str, Any], expected: str) -> None:
    given = consents(OPEN, deny(scopes="patient/Observation.rs?value-quantity=gt5"), patient="85")
    assert reason(judge(given=given), observation(valueQuantity=quantity)) == expected


def test_a_parameter_that_is_not_evaluable_any_more_is_denied_and_not_permitted() -> None:
    gone = "patient/Observation.rs?parameter-of-old=x"
    assert reason(judge(given=consents(OPEN, deny(scopes=gone), patient="85")), observation()) == "denied"
    only = permit(actors="client:app-1", scopes=gone)
    assert reason(judge(given=consents(only, patient="85")), observation()) == "scope"


def test_a_label_on_what_is_contained_counts() -> None:
    given = consents(OPEN, deny(scopes="patient/*.rs", labels="HIV"), patient="85")
    inner = {
        "resourceType": "Medication",
        "id": "m",
        "meta": {"security": [{"system": ACT_CODE, "code": "HIV"}]},
    }
    assert reason(judge(given=given), observation(contained=[inner])) == "denied"
    assert reason(judge(given=given), observation(contained=[{**inner, "meta": {}}])) == "consent"


def test_the_own_resource_is_read_and_not_searched() -> None:
    by = judge("openid fhirUser patient/Observation.rs", user=Ref("Practitioner", "9"))
    assert reason(by, {"resourceType": "Practitioner", "id": "9"}, "r") == "self"
    assert reason(by, {"resourceType": "Practitioner", "id": "9"}, "s") == "scope"
    assert reason(by, {"resourceType": "Practitioner", "id": "10"}, "r") == "scope"


def test_one_kind_of_record_is_judged_once_and_each_content_by_itself() -> None:
    """What is remembered holds for every record of the kind; a rule on content is put to each."""
    by = judge(f"patient/Observation.rs?category={SYS}|laboratory")
    lab = observation(category=[{"coding": [{"system": SYS, "code": "laboratory"}]}])
    for _ in range(2):
        assert reason(by, lab) == "consent"
        assert reason(by, observation()) == "scope"
    plain = judge()
    for _ in range(2):
        assert reason(plain, observation()) == "consent"
        assert reason(plain, observation(subject={"reference": "Patient/99"})) == "scope"
        assert reason(plain, observation(), "s") == "consent"


def test_seeing_is_reading_or_searching() -> None:
    by = judge("patient/Observation.s")
    raw = json.dumps(observation()).encode()
    assert by.sees(facts(raw), lambda: codec.parse(raw)).visible
    raw = json.dumps({**observation(), "resourceType": "Condition"}).encode()
    assert not by.sees(facts(raw), lambda: codec.parse(raw)).visible


CONTAINER = observation(
    contained=[
        {
            "resourceType": "Condition",
            "id": "c",
            "subject": {"reference": "Patient/85"},
            "code": {"coding": [{"system": "s", "code": "x"}]},
        },
        {
            "resourceType": "Specimen",
            "id": "s",
            "subject": {"reference": "Patient/85"},
            "meta": {"security": [{"system": ACT_CODE, "code": "HIV"}]},
        },
    ]
)
INNER = [
    ("nothing forbidden", "patient/*.rs", (OPEN,), [True, True]),
    ("no scope for them", "patient/Observation.rs", (OPEN,), [True, True]),
    ("their type not granted", "patient/*.rs", (permit(scopes="patient/Observation.rs"),), [True, True]),
    ("a type forbidden", "patient/*.rs", (OPEN, deny(scopes="patient/Condition.rs")), [False, True]),
    (
        "a part of it forbidden",
        "patient/*.rs",
        (OPEN, deny(scopes="patient/Condition.rs?code=x")),
        [False, True],
    ),
    (
        "another part of it forbidden",
        "patient/*.rs",
        (OPEN, deny(scopes="patient/Condition.rs?code=y")),
        [True, True],
    ),
    ("a label forbidden", "patient/*.rs", (OPEN, deny(labels="HIV")), [True, False]),
    ("another type forbidden", "patient/*.rs", (OPEN, deny(scopes="patient/Procedure.rs")), [True, True]),
]


@pytest.mark.parametrize(
    ("scopes", "given", "stay"), [row[1:] for row in INNER], ids=[row[0] for row in INNER]
)
def test_contained_records_stay_unless_forbidden(scopes: str, given: Any, stay: list[bool]) -> None:
    by, of = judge(scopes, consents(*given, patient="85")), facts(json.dumps(CONTAINER).encode())
    assert [by.stays(of, inner, lambda: CONTAINER) for inner in of.inner] == stay


# --- Labels that are found -------------------------------------------------------------------------

HIV = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "B20"}]}
FLU = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "J11.1"}]}
APART = consents(OPEN, deny(labels="HIV"), patient="85")
KEPT = consents(permit(actors="client:app-1", scopes="patient/*.rs", labels="N HIV"), patient="85")


def labelling(by: Judge, **around: dict[str, Any]) -> Judge:
    """The same judge in a house that looks for labels; `around` are Observations by id."""
    found = {Ref("Observation", name): labeller().found("Observation", tree) for name, tree in around.items()}
    return replace(by, labelling=Labelling(labeller()), around=found)


def judged(by: Judge, resource: dict[str, Any]) -> Judgement:
    raw = json.dumps(resource).encode()
    return by.judge(facts(raw), lambda: codec.parse(raw), "r")


PARTS = [
    ("nothing", observation(code=FLU), (True, ())),
    ("what it is about", observation(code=HIV), (False, ())),
    ("a reason", observation(code=FLU, reasonCode=[FLU, HIV]), (True, (("reasonCode", 1),))),
    ("words", observation(code=FLU, note=[{"text": "x"}]), (True, (("note",),))),
    (
        "words and a component",
        observation(code=FLU, note=[{"text": "x"}], component=[{"code": HIV}]),
        (True, (("component", 0), ("note",))),
    ),
    ("another record", observation(code=FLU, hasMember=[{"reference": "Observation/hiv"}]), (False, ())),
    ("a plain one", observation(code=FLU, hasMember=[{"reference": "Observation/flu"}]), (True, ())),
    ("one that is lost", observation(code=FLU, hasMember=[{"reference": "Observation/lost"}]), (False, ())),
    (
        "one labelled upstream",
        observation(code=FLU, hasMember=[{"reference": "Observation/said"}]),
        (False, ()),
    ),
    ("one marked for care", observation(code=FLU, hasMember=[{"reference": "Observation/care"}]), (True, ())),
    ("a value in words", observation(code=FLU, valueString="x"), (True, (("valueString",),))),
    (
        "an extension in words",
        observation(code=FLU, extension=[{"url": "http://h.example/x", "valueString": "x"}]),
        (True, (("extension", 0),)),
    ),
]


def said(code: str) -> dict[str, Any]:
    return observation(code=FLU, meta={"security": [{"system": ACT_CODE, "code": code}]})


@pytest.mark.parametrize(("resource", "expected"), [row[1:] for row in PARTS], ids=[row[0] for row in PARTS])
def test_labels_are_found_where_consents_look_at_them(
    resource: dict[str, Any], expected: tuple[bool, tuple[Place, ...]]
) -> None:
    around = {"hiv": observation(code=HIV), "flu": observation(code=FLU)}
    by = labelling(judge(given=APART), **around, said=said("HIV"), care=said("NORDSCLCD"))
    told = judged(by, resource)
    assert (told.visible, told.cuts) == expected
    assert judged(labelling(judge()), resource) == judged(judge(), resource)
    assert judged(judge(given=APART), resource).visible, "a house that does not look for labels"


def test_what_remains_has_its_own_labels() -> None:
    both = observation(code=HIV, note=[{"text": "x"}])
    told = judged(labelling(judge(given=KEPT)), both)
    assert (told.visible, told.cuts) == (True, (("note",),))
    assert told.left == frozenset({Label(ACT_CODE, "HIV")})
    assert judged(labelling(judge(given=KEPT)), observation(code=HIV)).left is None


def test_a_level_whose_reason_is_taken_out_is_not_of_what_remains() -> None:
    level = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    by, marked = labelling(judge(given=APART)), {"security": [level]}
    assert judged(by, observation(code=FLU, reasonCode=[HIV], meta=marked)).left == frozenset()
    assert judged(by, observation(code=FLU, note=[{"text": "x"}], meta=marked)).left == frozenset(
        {Label(**level)}
    )


def test_records_of_one_kind_are_still_told_apart() -> None:
    """The same owners, type and labels as they come: what is remembered of one must not open another."""
    by = labelling(judge(given=APART))
    for code, visible in ((FLU, True), (HIV, False), (FLU, True), (HIV, False)):
        assert judged(by, observation(code=code)).visible is visible


# --- Labels of single elements ---------------------------------------------------------------------

INLINE = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"


def on_element(code: str, address: str = INLINE) -> dict[str, Any]:
    return {"extension": [{"url": address, "valueCoding": {"system": ACT_CODE, "code": code}}]}


HELD = [
    ("a hold on one element", observation(_issued=on_element("LEGALHOLD")), (True, (("issued",),))),
    ("a hold on the whole", observation(**on_element("LEGALHOLD")), (False, ())),
    ("a hold on what it is about", observation(code=on_element("LEGALHOLD")), (False, ())),
    ("a hold on the id", observation(_id=on_element("LEGALHOLD")), (False, ())),
    (
        "a hold on what is contained",
        observation(contained=[on_element("LEGALHOLD")]),
        (True, (("contained", 0),)),
    ),
    ("what no law keeps back", observation(_issued=on_element("HIV")), (True, ())),
    ("no label", observation(_issued=on_element("LEGALHOLD", f"{INLINE}x")), (True, ())),
]


@pytest.mark.parametrize(("resource", "expected"), [row[1:] for row in HELD], ids=[row[0] for row in HELD])
def test_a_hold_on_an_element_counts_whether_or_not_consents_look_at_labels(
    resource: dict[str, Any], expected: tuple[bool, tuple[Place, ...]]
) -> None:
    """And though a record of the same kind, with no such label, was judged before."""
    by = labelling(judge())
    for _ in range(2):
        assert judged(by, observation()) == judged(judge(), observation())
        told = judged(by, resource)
        assert (told.visible, told.cuts) == expected


def test_of_a_record_with_such_a_label_nothing_else_is_looked_for() -> None:
    """It costs no look at others, and what else could be found is not weighed."""
    by, tree = (
        labelling(judge()),
        observation(_issued=on_element("MH"), code=HIV, hasMember=[{"reference": "Observation/lost"}]),
    )
    of = facts(json.dumps(tree).encode())
    assert by.labels_matter(of)
    assert not by.depends_on_others(of, lambda: tree)
    assert {one.label.code for one in by.found(of, lambda: tree)} == {"MH"}
    assert judged(by, tree).labels == {Label(ACT_CODE, "MH")}
