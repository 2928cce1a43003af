"""What records say of themselves, as cases; each label with near misses that have none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.core.fhir.scan import Place
from gateway.core.labels.findings import UNDETERMINED
from tests.core.labels.tables import labeller

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures" / "labels"
CODES = json.loads((FIXTURES / "codes.json").read_text())["codes"]
RECORDS = json.loads((FIXTURES / "records.json").read_text())["cases"]
SETTINGS = ("confidence", "part2_organizations", "part2_sources")


@pytest.mark.parametrize("row", CODES, ids=lambda row: f"{row['system'] or 'none'}|{row['code']}")
def test_a_code(row: dict[str, Any]) -> None:
    coding = {name: row[name] for name in ("system", "code") if row[name] is not None}
    found = labeller().found("Condition", {"resourceType": "Condition", "code": {"coding": [coding]}})
    assert sorted({one.label.code for one in found.contributions}) == row["labels"]


@pytest.mark.parametrize("case", RECORDS, ids=lambda case: case["id"])
def test_a_record(case: dict[str, Any]) -> None:
    by = labeller(**{name: case[name] for name in SETTINGS if name in case})
    found = by.found(case["resource"]["resourceType"], case["resource"])
    said = [[one.label.code, dotted(one.place), one.separable] for one in found.contributions]
    assert sorted(said) == sorted(case["found"])


def dotted(place: Place) -> str:
    return ".".join(map(str, place))


@pytest.mark.parametrize(
    ("owners", "labels"),
    [
        ({"p1"}, set()),
        ({"p2"}, {"EMP"}),
        ({"p1", "p2"}, {"EMP"}),
        ({"p3"}, {"VIP"}),
        ({"p2", "p3"}, {"EMP", "VIP"}),
        ({"p22"}, set()),
        (set(), set()),
    ],
    ids=str,
)
def test_whose_record_it_is(owners: set[str], labels: set[str]) -> None:
    by, tree = labeller(employees=["p2"], vips=["p3"]), {"resourceType": "Observation"}
    found = by.label("Observation", tree, owners=frozenset(owners))
    assert {one.label.code for one in found.contributions} == labels
    assert not any(one.separable for one in found.contributions)


WHERE = {"address": [{"city": "x"}, {"city": "y"}], "telecom": [{"value": "x"}], "name": [{"family": "x"}]}


@pytest.mark.parametrize(
    ("tree", "owners", "places"),
    [
        ({"resourceType": "Patient", **WHERE}, {"p4"}, ["address.0", "address.1", "telecom.0"]),
        ({"resourceType": "Patient", "contact": [{"relationship": []}]}, {"p4"}, ["contact.0"]),
        ({"resourceType": "RelatedPerson", **WHERE}, {"p4"}, ["address.0", "address.1", "telecom.0"]),
        ({"resourceType": "Patient", **WHERE}, {"p5"}, []),
        ({"resourceType": "Practitioner", **WHERE}, {"p4"}, []),
        ({"resourceType": "Patient", "name": [{"family": "x"}]}, {"p4"}, []),
    ],
)
def test_where_a_victim_is(tree: dict[str, Any], owners: set[str], places: list[str]) -> None:
    found = labeller(victims=["p4"]).found(tree["resourceType"], tree, frozenset(owners))
    said = [(one.label.code, dotted(one.place), one.separable) for one in found.contributions]
    assert said == [("SDV", place, True) for place in places]


@pytest.mark.parametrize("tree", [None, 7, "x", [], [{}]])
def test_what_is_no_record_may_be_any(tree: Any) -> None:
    labelled = labeller().label("Condition", tree)
    assert UNDETERMINED in labelled.labels
    assert [one.separable for one in labelled.contributions] == [False]


@pytest.mark.parametrize(
    "odd",
    [
        {"code": []},
        {"code": {"coding": {}}},
        {"code": {"coding": [None]}},
        {"contained": {}},
        {"contained": [None, 7, {"resourceType": 7}]},
        {"note": 7},
        {"reasonCode": {"text": []}},
        {"meta": []},
        {"encounter": {"reference": {"reference": 7}}},
        {"extension": [{"url": 7}]},
        {"code": {"coding": [{"system": {}, "code": "B20"}], "text": "x"}},
        {"category": [{"coding": [{"code": {"x": 1}}]}], "encounter": {"reference": "Encounter/e"}},
        {"contained": [{"resourceType": "Condition", "meta": []}]},
    ],
    ids=json.dumps,
)
def test_odd_records_do_not_fail(odd: dict[str, Any]) -> None:
    found = labeller(part2_sources=["x"]).found("Condition", {"resourceType": "Condition", **odd})
    assert all(one.label == UNDETERMINED for one in found.contributions)
