"""Every situation of `fixtures/decisions`: the verdict, the nodes that decided, and what holds for all."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.consent.evaluate import Permitted
from gateway.core.consent.verdict import Ground
from tests.core.consent.build import outcome
from tests.core.consent.situations import bound_of, load, operation_of, record_of

CASES = load()
each = pytest.mark.parametrize("case", [case for _, case in CASES], ids=[name for name, _ in CASES])


def said(case: dict[str, Any]) -> str:
    """The reason of a refusal, or what the permission rests on."""
    verdict = bound_of(case).judge(record_of(case), operation_of(case))
    if isinstance(verdict, Permitted):
        return "permit" if verdict.ground is Ground.CONSENT else f"permit by {verdict.ground}"
    return outcome(verdict)


@each
def test_situation(case: dict[str, Any]) -> None:
    assert said(case) == case["expect"], case.get("why", case["name"])


@pytest.mark.parametrize(
    "case",
    [case for _, case in CASES if "because" in case],
    ids=[name for name, case in CASES if "because" in case],
)
def test_what_decided(case: dict[str, Any]) -> None:
    verdict = bound_of(case).judge(record_of(case), operation_of(case))
    assert [f"{node.consent_id} {node.node_path}" for node in verdict.because] == case["because"]


@each
def test_what_is_said_beforehand(case: dict[str, Any]) -> None:
    made, record = bound_of(case), record_of(case)
    if isinstance(made.judge(record, operation_of(case)), Permitted):
        assert all(made.may_permit(patient, record.type, operation_of(case)) for patient in record.patients)


def test_names_are_unique_and_there_is_a_near_miss_of_each_kind() -> None:
    assert len({name for name, _ in CASES}) == len(CASES)
    situations = {name.partition(":")[0] for name, _ in CASES}
    permitted = {name.partition(":")[0] for name, case in CASES if case["expect"].startswith("permit")}
    refused = {name.partition(":")[0] for name, case in CASES if not case["expect"].startswith("permit")}
    assert situations == permitted == refused
