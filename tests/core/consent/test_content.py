"""A record answers what rules ask: the questions put together, and asked of real synthetic records."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jiter
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.consent.authors import SOMEBODY, AgentsFor, Author, as_hoped, as_told, hopes, not_told
from gateway.core.consent.content import RecordContent, interval_of
from gateway.core.consent.membership import NOBODY, Membership
from gateway.core.consent.rule import PROFILES, DataRef, Period
from gateway.core.consent.verdict import Content
from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.literals import END, START, Interval, parse_date
from gateway.core.values import Label, Ref, Term
from gateway.mapping import load_catalogue
from tests.support.shared import shared_file

R4 = load_catalogue("R4")
BASES = Bases("https://gw.example/fhir", "http://up.example/fhir")
YEAR_2022 = Period(1_640_995_200, 1_672_531_199)
LOINC = "http://loinc.org"


NOBODY_ELSE = partial(as_told, ())


def content(
    record: dict[str, Any],
    *others: dict[str, Any],
    agents: AgentsFor = NOBODY_ELSE,
    membership: Membership = NOBODY,
) -> Content:
    known = {Ref(other["resourceType"], other["id"]): other for other in others}
    kind, ident = record["resourceType"], record["id"]
    return RecordContent(kind, ident, lambda: record, R4, BASES, known.get, membership, agents)


def shown(answer: bool | None) -> str:
    return "?" if answer is None else "-+"[answer]


# --- Related records -------------------------------------------------------------------------------

OBSERVATION = {"resourceType": "Observation", "id": "1", "encounter": {"reference": "Encounter/5"}}
ELSEWHERE = OBSERVATION | {"encounter": {"reference": "Encounter/4"}}
VISIT = {
    "resourceType": "Encounter",
    "id": "5",
    "subject": {"reference": "Patient/pat-a"},
    "diagnosis": [{"condition": {"reference": "Condition/c"}}],
}
CONDITION = {"resourceType": "Condition", "id": "c"}
BY_ANN = {"performer": [{"reference": "Practitioner/ann"}]}
REPORT = {"resourceType": "DiagnosticReport", "id": "r", "result": [{"reference": "Observation/1"}]}


@pytest.mark.parametrize(
    ("record", "data", "others", "expected"),
    [
        (OBSERVATION, "instance Observation/1", [], "+"),
        (OBSERVATION, "instance Observation/11", [], "-"),
        (OBSERVATION, "instance Condition/1", [], "-"),
        (OBSERVATION, "instance Encounter/5", [VISIT], "-"),
        # Dependents: it, and what refers to it.
        (OBSERVATION, "dependents Observation/1", [], "+"),
        (OBSERVATION, "dependents Encounter/5", [], "+"),
        (ELSEWHERE, "dependents Encounter/5", [], "-"),
        (VISIT, "dependents Observation/1", [OBSERVATION], "-"),
        # Related: it, and what it refers to.
        (OBSERVATION, "related DiagnosticReport/r", [REPORT], "+"),
        (OBSERVATION | {"id": "2"}, "related DiagnosticReport/r", [REPORT], "-"),
        (OBSERVATION, "related DiagnosticReport/r", [], "?"),
        (REPORT, "related DiagnosticReport/r", [], "+"),
        (REPORT, "related Observation/1", [OBSERVATION], "-"),
        # Related to an encounter: in both directions.
        (OBSERVATION, "related Encounter/5", [], "+"),
        (ELSEWHERE, "related Encounter/5", [VISIT], "-"),
        (ELSEWHERE, "related Encounter/5", [], "?"),
        (CONDITION, "related Encounter/5", [VISIT], "+"),
        (CONDITION | {"id": "d"}, "related Encounter/5", [VISIT], "-"),
        ({"resourceType": "Patient", "id": "pat-a"}, "related Encounter/5", [VISIT], "+"),
        (OBSERVATION, "authoredby Practitioner/ann", [], "?"),
        (OBSERVATION | BY_ANN, "authoredby Practitioner/ann", [], "+"),
        (OBSERVATION | BY_ANN, "authoredby Practitioner/bob", [], "-"),
    ],
    ids=str,
)
def test_data(record: dict[str, Any], data: str, others: list[dict[str, Any]], expected: str) -> None:
    meaning, _, text = data.partition(" ")
    assert shown(content(record, *others).relates(DataRef(meaning, Ref(*text.split("/"))))) == expected


MEMBERSHIP = Membership(
    part_of={"lab": "hospital"}, groups={"group:night": frozenset({"practitioner:ann", "organization:lab"})}
)


@pytest.mark.parametrize(
    ("author", "data", "expected"),
    [
        ("Organization/lab", "Organization/lab", "+"),
        ("Organization/lab", "Organization/hospital", "+"),
        ("Organization/hospital", "Organization/lab", "-"),
        ("Organization/other", "Organization/hospital", "-"),
        ("Practitioner/ann", "Group/night", "+"),
        ("Organization/lab", "Group/night", "+"),
        ("Practitioner/bob", "Group/night", "?"),
        ("Practitioner/ann", "Organization/hospital", "?"),  # where she works is not known
        ("Patient/pat-a", "Organization/hospital", "-"),
    ],
    ids=str,
)
def test_who_writes_for_whom(author: str, data: str, expected: str) -> None:
    record = OBSERVATION | {"performer": [{"reference": author}]}
    rule = DataRef("authoredby", Ref(*data.split("/")))
    assert shown(content(record, membership=MEMBERSHIP).relates(rule)) == expected
    agents = partial(as_told, [{"reference": author}])
    assert shown(content(OBSERVATION, agents=agents, membership=MEMBERSHIP).relates(rule)) == expected


# --- What Provenance says --------------------------------------------------------------------------

ANN = {"reference": "Practitioner/ann"}
TWIN = {"reference": "Practitioner/ann2"}


@pytest.mark.parametrize(
    ("record", "agents", "expected"),
    [
        (OBSERVATION, [ANN], "+"),
        (OBSERVATION, [TWIN, ANN], "+"),
        (OBSERVATION, [{"reference": "Practitioner/ann/_history/2"}], "+"),
        (OBSERVATION, [{"reference": "http://up.example/fhir/Practitioner/ann"}], "+"),
        (OBSERVATION, [TWIN], "-"),
        (OBSERVATION, [{"reference": "Patient/ann"}], "-"),
        (OBSERVATION, [{"reference": "http://other.example/fhir/Practitioner/ann"}], "?"),
        (OBSERVATION, [{"reference": "PractitionerRole/r"}], "?"),
        (OBSERVATION, [{"reference": "#ann"}], "?"),
        (OBSERVATION, [{"identifier": {"value": "ann"}}], "?"),
        (OBSERVATION, [TWIN, {"display": "Ann"}], "?"),
        (OBSERVATION, [TWIN, None], "?"),
        (OBSERVATION, [None, ANN], "+"),
        (OBSERVATION, [], "?"),
        (OBSERVATION, None, "?"),
        (OBSERVATION | BY_ANN, None, "+"),
        (OBSERVATION | BY_ANN, [TWIN], "+"),
        (OBSERVATION | {"performer": [TWIN]}, None, "?"),
        (OBSERVATION | {"performer": [TWIN]}, [], "-"),
        (OBSERVATION | {"performer": [TWIN]}, [ANN], "+"),
        (OBSERVATION | {"performer": [{"display": "x"}]}, [TWIN], "?"),
        (VISIT, [ANN], "+"),
        ({"resourceType": "Patient", "id": "pat-a"}, [ANN], "-"),
        ({"resourceType": "Patient", "id": "pat-a"}, None, "-"),
        ({"resourceType": "Provenance", "id": "v", "agent": [{"who": ANN}]}, [], "+"),
        ({"resourceType": "Provenance", "id": "v", "agent": [{"who": TWIN, "onBehalfOf": ANN}]}, [], "+"),
        ({"resourceType": "Provenance", "id": "v", "agent": [{"who": TWIN}]}, [], "-"),
        ({"resourceType": "Provenance", "id": "v", "agent": [{"who": TWIN}]}, [ANN], "-"),
        ({"resourceType": "Provenance", "id": "v", "signature": [{"who": ANN}]}, [], "?"),
    ],
    ids=str,
)
def test_who_made_it_by_its_provenance(
    record: dict[str, Any], agents: list[Any] | None, expected: str
) -> None:
    told = not_told if agents is None else partial(as_told, agents)
    rule = DataRef("authoredby", Ref("Practitioner", "ann"))
    assert shown(content(record, agents=told).relates(rule)) == expected


A, B, C = (Ref("Practitioner", name) for name in "abc")


@pytest.mark.parametrize(
    ("authors", "expected"),
    [
        ([], [set()]),
        ([Author(A, False)], [{A}]),
        ([Author(A, True)], [set()]),
        ([Author(A, False), Author(B, True)], [{A}]),
        ([Author(A, False), Author(B, True), Author(B, False)], [{A}, {A, B}]),
        (
            [Author(A, True), Author(A, False), Author(B, True), Author(B, False)],
            [set(), {A}, {B}, {A, B}],
        ),
    ],
)
def test_the_best_is_hoped_for_authors(authors: list[Author], expected: list[set[Ref]]) -> None:
    assert hopes(authors) == set(map(frozenset, expected))


@given(st.sets(st.sampled_from([A, B, C])), st.sampled_from([A, B, C]))
def test_a_hope_tells_each_author_apart(hope: set[Ref], author: Ref) -> None:
    asked = content(OBSERVATION, agents=partial(as_hoped, frozenset(hope)))
    assert asked.relates(DataRef("authoredby", author)) is (author in hope)
    assert (as_hoped(frozenset(hope), author) == (SOMEBODY,)) is (author not in hope)


# --- Classes, codes, dates, terms ------------------------------------------------------------------

VITALS = "http://hl7.org/fhir/StructureDefinition/vitalsigns"


@pytest.mark.parametrize(
    ("profiles", "canonical", "expected"),
    [
        ([VITALS], VITALS, "+"),
        ([VITALS + "|4.0.1"], VITALS, "+"),
        ([VITALS + "|4.0.1"], VITALS + "|4.0.1", "+"),
        ([VITALS + "|4.0.1"], VITALS + "|4.0", "-"),
        ([VITALS], VITALS + "|4.0.1", "?"),
        ([VITALS + "x"], VITALS, "-"),
        (["http://other/p", VITALS], VITALS, "+"),
        ([None], VITALS, "?"),
        ([], VITALS, "?"),
        (None, VITALS, "-"),
        (None, "http://hl7.org/fhir/StructureDefinition/Observation", "+"),
        (None, "http://hl7.org/fhir/StructureDefinition/Condition", "-"),
    ],
    ids=str,
)
def test_profiles(profiles: list[str | None] | None, canonical: str, expected: str) -> None:
    meta = {} if profiles is None else {"profile": profiles}
    record = OBSERVATION | {"meta": meta}
    assert shown(content(record).is_class(Label(PROFILES, canonical))) == expected


def test_the_other_questions_reach_their_modules() -> None:
    record = OBSERVATION | {
        "code": {"coding": [{"system": LOINC, "code": "2339-0"}]},
        "status": "final",
        "effectiveDateTime": "2022-05-01",
    }
    asked = content(record)
    assert asked.has_code(Label(LOINC, "2339-0"), primary=True) is True
    assert asked.has_code(Label(LOINC, "2339-1"), primary=False) is False
    assert asked.is_class(Label(LOINC, "2339-0")) is False
    assert (asked.within(YEAR_2022), asked.touches(YEAR_2022)) == (True, True)
    assert asked.within(Period(from_s=YEAR_2022.until_s)) is False
    assert asked.holds(Term("status", ("final",))) is True
    assert asked.holds(Term("status", ("amended",))) is False


# --- Periods ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("period", "interval"),
    [
        (YEAR_2022, parse_date("2022")[1]),
        (Period(from_s=0), Interval(parse_date("1970")[1].low, END)),
        (Period(until_s=-1), Interval(START, parse_date("1970")[1].low)),
        (Period(253_402_300_799, 253_402_300_799), Interval(parse_date("9999-12-31T23:59:59Z")[1].low, END)),
        (Period(-62_135_596_800, None), Interval(START, END)),
    ],
    ids=str,
)
def test_a_period_holds_its_last_second(period: Period, interval: Interval) -> None:
    assert interval_of(period) == interval


# --- What is read ----------------------------------------------------------------------------------


class Counted:
    """A record that counts how often it is parsed."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.record, self.count = record, 0

    def __call__(self) -> dict[str, Any]:
        self.count += 1
        return self.record


QUESTIONS: dict[str, Callable[[Content], bool | None]] = {
    "holds": lambda c: c.holds(Term("status", ("final",))),
    "has_code": lambda c: c.has_code(Label(LOINC, "1"), primary=True),
    "is_class": lambda c: c.is_class(Label(PROFILES, VITALS)),
    "within": lambda c: c.within(YEAR_2022),
    "touches": lambda c: c.touches(YEAR_2022),
    "instance": lambda c: c.relates(DataRef("instance", Ref("Observation", "1"))),
    "authoredby": lambda c: c.relates(DataRef("authoredby", Ref("Practitioner", "ann"))),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_that_is_one_records_own_is_read_from_it_once(question: str) -> None:
    counted = Counted(OBSERVATION)
    asked = RecordContent("Observation", "1", counted, R4, BASES)
    assert counted.count == 0
    QUESTIONS[question](asked)
    QUESTIONS[question](asked)
    assert counted.count == 1


def test_the_dates_of_a_type_without_any_are_not_looked_for() -> None:
    counted = Counted({"resourceType": "Patient", "id": "pat-a"})
    asked = RecordContent("Patient", "pat-a", counted, R4, BASES)
    assert (asked.within(YEAR_2022), asked.touches(YEAR_2022)) == (True, False)
    assert counted.count == 0


# --- Real records ----------------------------------------------------------------------------------


def synthetic_records() -> Iterator[dict[str, Any]]:
    """As a server stores them: references to entries of the transaction become `Type/id`."""
    for path in sorted(shared_file("data/synthea-r4").glob("*.json.gz")):
        text = gzip.decompress(path.read_bytes())
        for entry in jiter.from_json(text)["entry"]:
            stored = f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
            text = text.replace(f'"{entry["fullUrl"]}"'.encode(), f'"{stored}"'.encode())
        bundle = jiter.from_json(text, float_mode="lossless-float")
        yield from (entry["resource"] for entry in bundle["entry"])


def test_real_records_answer_every_question() -> None:
    seen, dated, coded, written = (set[str]() for _ in range(4))
    for record in synthetic_records():
        kind = record["resourceType"]
        seen.add(kind)
        if R4.access(kind).kind == "denied":
            continue
        asked = content(record)
        for question in QUESTIONS.values():
            assert question(asked) in (True, False, None)
        if asked.touches(YEAR_2022) is not None:
            dated.add(kind)
        if asked.has_code(Label(LOINC, "none"), primary=True) is False:
            coded.add(kind)
        if asked.relates(DataRef("authoredby", Ref("Patient", "nobody"))) is False:
            written.add(kind)
    assert {"Observation", "Condition", "Procedure", "MedicationRequest", "Claim", "Encounter"} <= seen
    assert {"Observation", "Condition", "Encounter", "Claim", "Patient"} <= dated
    assert {"Observation", "Condition", "Encounter", "Claim"} <= coded
    assert {"Encounter", "Claim", "MedicationRequest"} <= written


@given(
    st.integers(-(10**9), 2 * 10**9),
    st.integers(0, 10**9),
    st.integers(-(10**9), 2 * 10**9),
    st.integers(0, 10**9),
)
def test_periods_hold_one_another_as_their_intervals_do(a: int, a_length: int, b: int, b_length: int) -> None:
    one, other = interval_of(Period(a, a + a_length)), interval_of(Period(b, b + b_length))
    assert (one.low <= other.low and other.high <= one.high) == (a <= b and b + b_length <= a + a_length)
    assert (one.low < other.high and other.low < one.high) == (a <= b + b_length and b <= a + a_length)
