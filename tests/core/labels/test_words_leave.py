"""What nobody coded does not leave: from a record with words to the bytes that are released under a deny."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.consent.egress import EGRESS
from gateway.core.decide import decide
from gateway.core.fhir import codec
from gateway.core.fhir.candidate import Candidate
from gateway.core.fhir.release import as_judged, build_instance
from gateway.core.fhir.telling import Telling
from gateway.core.labels.remembered import Labelling
from gateway.core.plan import Permit
from gateway.core.standing import Standing
from gateway.core.values import Shape
from gateway.mapping import load_outlines, load_table
from tests.core.consent.build import NOW_S, consents, deny, permit
from tests.core.deciding import HOUSE, R4, View, facts, request, token
from tests.core.labels.tables import labeller
from tests.core.labels.test_words import nested
from tests.support.hospital import PATIENT, record

OPEN = permit(actors="client:app-1", scopes="patient/*.rs")
APART = consents(OPEN, deny(labels="HIV"), patient="85")
WORD = "SECRET-words"
LABELLING = Labelling(labeller())
TEXTS = load_table("texts-r4.json")["types"]
NAMED = load_table("label-places.json")["named"]
OWNERS = ("subject", "patient", "beneficiary", "candidate", "individual", "actor", "deliverTo")
KINDS = sorted(kind for kind in R4.types if R4.access(kind).kind == "compartment")


def released(tree: dict[str, Any]) -> bytes | None:
    """What leaves of a record where HIV is kept apart; None if nothing does."""
    house = replace(HOUSE, labelling=LABELLING)
    standing = Standing(token("patient/*.rs"), View(APART), house, NOW_S)
    decision = decide(request(tree["resourceType"]), standing)
    assert isinstance(decision, Permit), decision
    raw, judge = json.dumps(tree).encode(), decision.plan.judge
    found = facts(raw)
    judgement = judge(found, lambda: codec.parse(raw))
    if not judgement.visible:
        return None
    made = as_judged(Candidate(raw, found), judgement, judge.stays)
    return build_instance(made, frozenset(), Shape(), load_outlines("R4"), Telling("silent", EGRESS))


@pytest.mark.parametrize("kind", KINDS)
def test_no_words_leave_where_something_is_kept_apart(kind: str) -> None:
    ident = "85" if kind == "Patient" else "1"
    whole = record(f"{kind}/{ident}") | {name: PATIENT for name in OWNERS}
    assert released(whole) is not None, "a record without words is shown"
    for path in TEXTS[kind]["words"]:
        if path in NAMED.get(kind, ()) or NAMED.get(kind) == ["*"]:
            continue
        for steps in (path.replace("**", ""), path.replace("**", "[]")):
            said = nested(steps.split("."), WORD)
            left = released({**whole, **said})
            assert left is not None, f"{kind}.{path}: the rest is shown"
            assert WORD.encode() not in left, f"{kind}.{path}"
            assert json.loads(left)["resourceType"] == kind


@pytest.mark.parametrize(
    "said",
    [
        {"extension": [{"url": "http://h.example/x", "valueString": WORD}]},
        {"_status": {"extension": [{"url": "http://h.example/x", "valueMarkdown": WORD}]}, "status": "final"},
        {"method": {"text": WORD}},
        {"method": {"coding": [{"display": WORD}]}},
        {"valueCodeableConcept": {"text": WORD}},
        {"component": [{"code": {"text": WORD}}]},
        {"component": [{"code": {"coding": [{"code": "x"}]}, "valueString": WORD}]},
        {"referenceRange": [{"text": WORD}]},
        {
            "contained": [{"resourceType": "Specimen", "id": "s", "note": [{"text": WORD}]}],
            "specimen": {"reference": "#s"},
        },
        {"code": {"text": WORD}},
        {"modifierExtension": [{"url": "http://h.example/x", "valueString": WORD}]},
    ],
    ids=json.dumps,
)
def test_words_elsewhere_do_not_leave_either(said: dict[str, Any]) -> None:
    left = released({**record("Observation/1"), **said})
    assert left is None or WORD.encode() not in left
    withheld = "code" in said or "modifierExtension" in said
    assert (left is None) is withheld


def test_what_is_coded_leaves() -> None:
    coded = {"coding": [{"system": "http://loinc.org", "code": "2160-0", "display": "d"}], "text": "t"}
    whole = record("Observation/1", code=coded, method=coded, valueQuantity={"value": 1, "unit": "u"})
    left = released(whole)
    assert left is not None
    assert json.loads(left) == whole


ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ICD_10 = "http://hl7.org/fhir/sid/icd-10-cm"
LEVEL = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"


def labelled(*labels: tuple[str, str]) -> dict[str, Any]:
    codings = [{"system": system, "code": code} for system, code in labels]
    return {**record("DocumentReference/1"), "securityLabel": [{"coding": [each]} for each in codings]}


@pytest.mark.parametrize(
    "tree",
    [
        labelled((ACT, "HIV")),
        labelled((LEVEL, "N"), (ACT, "HIV")),
        {**record("DocumentReference/1"), "securityLabel": [{"text": "private"}]},
        {**record("DocumentReference/1"), "securityLabel": None},
        {**record("Observation/1"), "meta": {"tag": [{"system": ACT, "code": "HIV"}]}},
        {
            **record("Observation/1"),
            "meta": {"tag": [{"system": ICD_10, "code": "B20"}]},
        },
        {**record("Observation/1"), "category": [{"coding": [{"system": ACT, "code": "HIV"}]}]},
    ],
    ids=json.dumps,
)
def test_a_label_elsewhere_is_one(tree: dict[str, Any]) -> None:
    assert released(tree) is None


@pytest.mark.parametrize(
    ("tree", "level"),
    [
        (labelled((ACT, "ETH")), "R"),
        (labelled((LEVEL, "V"), (ACT, "ETH")), "V"),
        ({**labelled((ACT, "ETH")), "meta": {"versionId": "1"}}, "R"),
    ],
    ids=str,
)
def test_labels_elsewhere_stay_behind(tree: dict[str, Any], level: str) -> None:
    left = released(tree)
    assert left is not None
    said = json.loads(left)
    assert "securityLabel" not in said
    assert "confidentiality" not in said
    assert [each["code"] for each in said["meta"]["security"]] == [level]


@pytest.mark.parametrize(
    "tree",
    [labelled((LEVEL, "N")), labelled((LEVEL, "V")), {**record("Composition/1"), "confidentiality": "R"}],
)
def test_a_level_alone_stays(tree: dict[str, Any]) -> None:
    left = released(tree)
    assert left is not None
    assert json.loads(left) == tree


@pytest.mark.parametrize("where", ["extension", "_profile"])
def test_words_about_a_record_do_not_leave(where: str) -> None:
    words = [{"url": "http://h.example/x", "valueString": WORD}]
    about = (
        {"extension": words}
        if where == "extension"
        else {"profile": [None], "_profile": [{"extension": words}]}
    )
    left = released({**record("Observation/1"), "meta": {"versionId": "1", **about}})
    assert left is None or WORD.encode() not in left


def test_nobody_asks_by_labels() -> None:
    assert R4.param("DocumentReference", "security-label") is None
    assert R4.param("Composition", "confidentiality") is None
    assert R4.param("DocumentReference", "category") is not None
