"""What is recorded of an answer: an entry for each patient, of their own records alone."""

from __future__ import annotations

import json

import pytest

from gateway.core.canon import sha256, sha256_text
from gateway.core.fhir.release import Candidate, lines_of_versions
from gateway.core.record import Occasion, Outcome, normal_query, permit_drafts
from gateway.core.values import ConsentRef, Token
from tests.core.consent.build import HASH, NOW_S
from tests.core.deciding import facts, request, token

BODY = b'{"resourceType":"Bundle"}'
REF = ConsentRef("c0", 7, HASH)


def candidate(kind: str, ident: str, patient: str | None) -> Candidate:
    tree = {"resourceType": kind, "id": ident, "meta": {"versionId": "2"}}
    owner = {"subject": {"reference": f"Patient/{patient}"}} if patient else {}
    raw = json.dumps({**tree, **owner}).encode()
    return Candidate(raw, facts(raw))


def drafts(
    *released: Candidate, who: Token | None = None, target: str = "Observation?code=1"
) -> list[object]:
    occasion = Occasion("r-1", NOW_S, "policy", who or token())
    outcome = Outcome(200, BODY, sha256(BODY), released, {"85": REF})
    return [
        (draft.kind, draft.patient, dict(draft.facts), draft.attachments)
        for draft in permit_drafts(occasion, request(target), outcome)
    ]


def expected(patient: str | None, counts: dict[str, int], *released: Candidate) -> object:
    whose = {} if patient is None else {"pat": f"Patient/{patient}"}
    kept = {
        "rid": "r-1",
        "pol": "policy",
        "cli": "app-1",
        "act": "user-1@https://idp.example",
        "int": "search-type",
        "pou": ["TREAT"],
        "q": sha256_text(b"Observation?code=1"),
        "st": 200,
        "len": len(BODY),
        "bd": sha256_text(BODY),
        "tok": "sha256:",
        "con": [7, HASH] if patient == "85" else None,
        "rty": counts,
    }
    return "read.permit", patient, {**kept, **whose}, {"rids": lines_of_versions(released)}


MINE, ALSO_MINE = candidate("Observation", "1", "85"), candidate("Condition", "2", "85")
THEIRS, NOBODYS = candidate("Observation", "3", "99"), candidate("Practitioner", "4", None)


def test_one_record() -> None:
    assert drafts(MINE) == [expected("85", {"Observation": 1}, MINE)]


def test_each_patient_has_an_entry_of_their_own_records() -> None:
    assert drafts(MINE, THEIRS, ALSO_MINE) == [
        expected("85", {"Condition": 1, "Observation": 1}, MINE, ALSO_MINE),
        expected("99", {"Observation": 1}, THEIRS),
    ]


def test_the_places_that_were_cut_are_kept_with_the_version() -> None:
    """Of what is cut for a consent and what a role does not need, by the words of their tags; places are
    pointers without blanks, whatever an element is called."""
    cut = MINE._replace(cuts=(("note",), ("component", 1)), trims=(("odd ~/name", 0),))
    made = drafts(cut, ALSO_MINE)
    digest = MINE.facts.line.split()[1]
    line = f"Observation/1/2 {digest} REDACTED #/component/1 #/note SUBSETTED #/odd%20~0~1name/0\n"
    assert made == [expected("85", {"Condition": 1, "Observation": 1}, cut, ALSO_MINE)]
    assert lines_of_versions([cut, ALSO_MINE]) == ALSO_MINE.facts.line + line
    assert MINE._replace(trims=()).line == MINE.facts.line


@pytest.mark.parametrize("patient", ["85", None], ids=["the patient in context", "the organisation"])
def test_what_belongs_to_nobody_goes_under(patient: str | None) -> None:
    who = token("system/*.rs", patient)
    assert drafts(NOBODYS, who=who) == [expected(patient, {"Practitioner": 1}, NOBODYS)]
    assert drafts(who=who) == [expected(patient, {})]


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("Observation/1", "Observation/1?"),
        ("Observation/1/_history/2", "Observation/1/2?"),
        ("Observation", "Observation?"),
        ("Observation?code=a%20b&_count=5", "Observation?code=a+b&_count=5"),
        ("Patient/85/Observation", "Observation?patient=Patient%2F85"),
    ],
)
def test_a_request_in_one_spelling(target: str, text: str) -> None:
    assert normal_query(request(target)) == text
