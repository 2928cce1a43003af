"""Which labels leave with a resource: levels counted anew, handling kept, sensitivities behind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.consent.egress import EGRESS
from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.candidate import Candidate
from gateway.core.fhir.facts import facts_of
from gateway.core.fhir.release import build_instance
from gateway.core.fhir.security import CLASSIFIER, Basis
from gateway.core.fhir.telling import Telling
from gateway.core.judgement import Judgement
from gateway.core.values import Label, Shape
from gateway.mapping import load_catalogue

R4 = load_catalogue("R4")
BASES = Bases("https://gw.example/fhir", "http://upstream.internal:8080/fhir")
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
OLD = "http://hl7.org/fhir/v3/Confidentiality"
BASIS = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-sec-label-basis"
VALUE = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"


def label(text: str) -> Label:
    """`R` is a level, `+X` of the integrity values, `s|c` of a system, else a code of v3-ActCode."""
    system, bar, code = text.rpartition("|")
    if bar:
        return Label(system, code)
    if text.startswith("+"):
        return Label(VALUE, text[1:])
    return Label(CONFIDENTIALITY if len(text) == 1 else ACT_CODE, text)


def coding(text: str) -> dict[str, str]:
    found = label(text)
    return {"system": found.system, "code": found.code}


def leaving(
    tree: dict[str, Any], left: str | None = None, *, shown: bool = False, told: tuple[Basis, ...] = ()
) -> dict[str, Any]:
    """What leaves of `tree`; with `left`, the labels of what remains once its note is cut, and `told` those
    that were found in it."""
    whole = {"resourceType": "Observation", "id": "x", "subject": {"reference": "Patient/a"}, **tree}
    raw = json.dumps(whole).encode()
    candidate = Candidate(raw, facts_of(raw, R4, BASES))
    if left is not None:
        candidate = candidate._replace(cuts=(("note",),), left=frozenset(map(label, left.split())))
    candidate = candidate._replace(judgement=Judgement(True, "consent", told=told))
    telling = Telling("silent", EGRESS, shown=shown, classifier=CLASSIFIED)
    made: dict[str, Any] = json.loads(build_instance(candidate, frozenset(), Shape(), {}, telling))
    return made


def security(made: dict[str, Any]) -> str:
    return " ".join(name(coding) for coding in made.get("meta", {}).get("security", []))


def name(found: dict[str, str]) -> str:
    system = found.get("system")
    if system in (CONFIDENTIALITY, ACT_CODE):
        return found["code"]
    return f"+{found['code']}" if system == VALUE else f"{system}|{found['code']}"


@pytest.mark.parametrize(
    ("labels", "leave", "shown"),
    [
        ("", "", ""),
        ("N", "N", "N"),
        ("R", "R", "R"),
        ("R HIV", "R", "R HIV"),
        ("HIV", "R", "HIV R"),
        ("N HIV", "R", "HIV R"),
        ("V PSY", "V", "V PSY"),
        ("NORDSCLCD", "NORDSCLCD", "NORDSCLCD"),
        ("HIV NORDSCLCD +SUBSETTED", "NORDSCLCD +SUBSETTED R", "HIV NORDSCLCD +SUBSETTED R"),
        ("s.example|c", "R", "s.example|c R"),
        ("R s.example|c", "R", "R s.example|c"),
        ("PROCESSINLINELABEL", "", "PROCESSINLINELABEL"),
        ("R 42CFRPart2", "R NORDSCLCD RedisclosureProhibitionMark", None),
        ("R 42CFRPart2 NORDSCLCD", "R NORDSCLCD RedisclosureProhibitionMark", None),
    ],
)
def test_of_a_whole_resource(labels: str, leave: str, shown: str | None) -> None:
    tree = {"meta": {"versionId": "1", "security": [coding(text) for text in labels.split()]}}
    made = leaving(tree)
    assert security(made) == leave
    assert made["meta"]["versionId"] == "1"
    if shown is not None:
        assert security(leaving(tree, shown=True)) == shown


@pytest.mark.parametrize(
    ("labels", "left", "leave", "shown"),
    [
        ("R HIV", "N", "N", "N"),
        ("R HIV", "", "N", "N"),
        ("HIV", "", "", ""),
        ("R HIV PSY", "R PSY", "R", "R PSY"),
        ("HIV PSY", "PSY", "R", "PSY R"),
        ("", "", "", ""),
        ("", "PSY", "", ""),
        ("V HIV", "V", "V", "V"),
        ("R HIV NORDSCLCD", "N", "NORDSCLCD N", "NORDSCLCD N"),
    ],
)
def test_of_what_is_left(labels: str, left: str, leave: str, shown: str) -> None:
    """As of a resource that never had what was cut: a level only where one was said, or is told by what is
    left."""
    tree = {"meta": {"security": [coding(text) for text in labels.split()]}, "note": [{"text": "n"}]}
    assert security(leaving(tree, left)) == leave
    assert security(leaving(tree, left, shown=True)) == shown


@pytest.mark.parametrize(
    ("listed", "leave"),
    [
        ("HIV", "V"),
        ([7], "V"),
        ([{"display": "HIV"}], "V"),
        ([{"system": OLD, "code": "R"}], f"{OLD}|R"),
        ([{**coding("R"), "extension": [{"url": BASIS, "valueCode": "42CFRPart2"}]}], "R"),
        ([{**coding("R"), "display": "restricted"}], "R"),
    ],
    ids=["no list", "no object", "no code", "an old spelling", "with its basis", "with its name"],
)
def test_odd_codings(listed: Any, leave: str) -> None:
    made = leaving({"meta": {"security": listed}})
    assert security(made) == leave
    assert "extension" not in json.dumps(made)
    assert leaving({"meta": {"security": listed}}, shown=True)["meta"]["security"]


CLASSIFIED = "Consentry, mappings sha256:00"


@pytest.mark.parametrize(
    ("labels", "found", "left", "shown"),
    [
        ("", "HIV", None, "R HIV*"),
        ("N", "HIV", None, "R HIV*"),
        ("R HIV", "HIV", None, "R HIV"),
        ("R HIV", "SEX HIV", None, "R HIV SEX*"),
        ("V", "HIV", None, "V HIV*"),
        ("", "LEGALHOLD", None, "V LEGALHOLD*"),
        ("", "42CFRPart2", None, "R NORDSCLCD RedisclosureProhibitionMark 42CFRPart2*"),
        ("R HIV", "SEX", "N", "R SEX*"),
        ("N", "R", None, "R"),
        ("", "V HIV", None, "V HIV*"),
        ("HIV", "", "", ""),
    ],
)
def test_who_may_know_is_told_what_was_found(labels: str, found: str, left: str | None, shown: str) -> None:
    """And by whom, and on what it rests; `*` marks a label that says so. Others are told as without it."""
    tree = {"meta": {"security": [coding(text) for text in labels.split()]}, "note": [{"text": "n"}]}
    told = tuple(Basis(label(text), f"row of {text} at #/code") for text in found.split())
    made = leaving(tree, left, shown=True, told=told)
    said = [f"{name(each)}{'*' * ('extension' in each)}" for each in made.get("meta", {}).get("security", ())]
    assert " ".join(said) == shown
    for each in made.get("meta", {}).get("security", ()):
        if "extension" in each:
            assert each["extension"] == [
                {"url": CLASSIFIER, "valueReference": {"display": CLASSIFIED}},
                {"url": BASIS, "valueCoding": {"display": f"row of {each['code']} at #/code"}},
            ]
    assert leaving(tree, left, told=told) == leaving(tree, left)


def test_of_a_meta_that_says_nothing_else() -> None:
    told = (Basis(label("HIV"), "hiv.json row 1 at #/code"),)
    assert security(leaving({}, shown=True, told=told)) == "R HIV"
    assert security(leaving({"meta": {"security": 7}}, shown=True, told=told)) == "V HIV"
    contained = [{"resourceType": "Medication", "id": "m"}]
    made = leaving({"contained": contained, "focus": [{"reference": "#m"}]}, shown=True, told=told)
    assert made["contained"] == contained


RELATED = {"url": "http://hl7.org/related", "valueRelatedArtifact": {"type": "justification"}}
SAID = {"url": BASIS, "valueCoding": coding("42CFRPart2")}


@pytest.mark.parametrize(
    ("extension", "kept"),
    [
        ([SAID], [SAID]),
        ([RELATED, SAID], [SAID]),
        ([{**SAID, "valueCoding": {**coding("HIV"), "extension": []}}], None),
        ([{"url": BASIS, "valueReference": {"reference": "Consent/1"}}], None),
        ([{"url": CLASSIFIER, "valueReference": {"reference": "Device/1"}}], None),
        ([7], None),
        (7, None),
    ],
)
def test_what_the_upstream_says_of_a_basis_is_shown_with_its_label(extension: Any, kept: Any) -> None:
    tree = {"meta": {"security": [{**coding("HIV"), "extension": extension}]}}
    made = leaving(tree, shown=True)["meta"]["security"]
    assert made[0] == {**coding("HIV"), **({} if kept is None else {"extension": kept})}
    assert "extension" not in json.dumps(leaving(tree))


def test_labels_without_need_of_change_keep_their_bytes() -> None:
    raw = (
        b'{"resourceType":"Observation","id":"x","meta":{"security":[ {"code":"R" ,"system":"'
        + CONFIDENTIALITY.encode()
        + b'"}]},"subject":{"reference":"Patient/a"}}'
    )
    candidate = Candidate(raw, facts_of(raw, R4, BASES))
    assert build_instance(candidate, frozenset(), Shape(), {}, Telling("explicit", EGRESS)) == raw


def test_contained_resources_and_elements_lose_theirs_too() -> None:
    inline = {
        "url": "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label",
        "valueCoding": coding("HIV"),
    }
    drug = {"resourceType": "Medication", "id": "m", "meta": {"security": [coding("HIV")]}}
    tree = {
        "contained": [drug],
        "focus": [{"reference": "#m"}],
        "code": {"text": "c", "extension": [inline]},
        "note": [{"text": "n", "extension": [{"url": "other", "valueString": "v"}]}],
    }
    made = leaving(tree)
    assert security(made["contained"][0]) == "R"
    assert made["code"] == {"text": "c"}
    assert made["note"] == tree["note"]
    shown = leaving(tree, shown=True)
    assert security(shown["contained"][0]) == "HIV R"
    assert shown["code"] == tree["code"]
