"""The upstream of the run: which answers are always the same, which always new."""

from __future__ import annotations

import json

import pytest

from gateway.bench.upstream import Records

RECORDS = Records("http://127.0.0.1:40000")


@pytest.mark.parametrize(
    ("target", "entries"),
    [
        ("/Observation?patient=Patient%2Fpat-bench&_count=50", 50),
        ("/Observation?_count=1000", 1000),
        ("/Encounter?_id=enc-0,enc-1&_count=2", 5),
    ],
)
@pytest.mark.parametrize(("base", "same"), [("seen", True), ("new", False), ("mentioned", False)])
def test_a_page_is_the_same_or_new(base: str, same: bool, target: str, entries: int) -> None:
    first, second = (RECORDS.answer(f"/{base}{target}") for _ in range(2))
    assert first is not None
    assert second is not None
    assert len(json.loads(first)["entry"]) == entries
    assert (first == second) is same
    assert len(first) == len(second)


def test_a_resource_alone() -> None:
    body = RECORDS.answer("/new/Patient/pat-bench")
    assert body is not None
    assert json.loads(body)["resourceType"] == "Patient"


@pytest.mark.parametrize(
    "target",
    [
        "/elsewhere/Patient/pat-bench",
        "/new/Patient",
        "/new/Observation?_count=49",
        "/new/Condition?_count=50",
        "/",
    ],
)
def test_what_the_run_does_not_ask_is_not_there(target: str) -> None:
    assert RECORDS.answer(target) is None
