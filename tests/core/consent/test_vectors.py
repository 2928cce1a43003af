"""All shared decision vectors. Some need what comes after the engine as well, masking and the token's case:
of those, what the engine itself decides is said in `BEFORE`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.consent.evaluate import Because, Permitted, bind
from gateway.core.consent.rule import Consent
from gateway.core.consent.verdict import Ground
from gateway.errors import LedgerUnavailable
from tests.core.consent.build import outcome
from tests.core.consent.vectors import asker_of, bound_of, load, record_of, rules_of, seconds
from tests.support.shared import or_none

UNREADABLE = 20
# The engine refuses the labelled record of 52 as a whole, so that masking is tried; role and case, which
# would mask 53 and keep 54 and 57, come after what consents permit.
BEFORE = {52: "denied", 53: "permit", 54: "permit", 57: "permit"}
# Beyond the verdict, why: a refusal for another reason would pass by accident.
REASONS = {
    1: "no_consent", 3: "no_consent", 5: "purpose", 6: "no_consent", 7: "denied", 9: "denied", 10: "denied",
    11: "doubtful", 13: "period", 14: "period", 16: "revoked", 17: "revoked", 18: "denied", 21: "denied",
    22: "denied", 25: "content", 26: "denied", 28: "denied", 31: "label", 32: "denied", 34: "label",
    35: "denied", 36: "label", 37: "content", 38: "denied", 39: "denied", 42: "denied", 43: "no_consent",
    45: "denied", 46: "period", 47: "denied", 49: "break_glass", 50: "law", 51: "denied", 55: "law",
    56: "period", 59: "no_consent",
}  # fmt: skip
GROUNDS = {2: Ground.IMPLICIT, 15: Ground.IMPLICIT, 24: Ground.IMPLICIT, 48: Ground.BREAK_GLASS}

VECTORS = load()
RUN = [vector for vector in VECTORS if vector["id"] != UNREADABLE]
by_id = pytest.mark.parametrize("vector", or_none(RUN), ids=lambda v: v and f"{v['id']}: {v['title']}")


@by_id
def test_vector(vector: dict[str, Any]) -> None:
    verdict = bound_of(vector).judge(record_of(vector), "r")
    expected = "permit" if vector["expect"] == "permit" else REASONS.get(vector["id"], "")
    assert outcome(verdict) == BEFORE.get(vector["id"], expected), vector["why"]
    if isinstance(verdict, Permitted):
        assert verdict.ground is GROUNDS.get(vector["id"], Ground.CONSENT)


@by_id
def test_what_could_be_said_beforehand(vector: dict[str, Any]) -> None:
    made, record = bound_of(vector), record_of(vector)
    if isinstance(made.judge(record, "r"), Permitted):
        assert all(made.may_permit(patient, record.type, "r") for patient in record.patients)


@pytest.mark.parametrize("vector", or_none(VECTORS[:1]))
def test_every_vector_is_run(vector: object) -> None:
    ids = {vector["id"] for vector in VECTORS}
    assert ids == set(range(1, 61))
    denied = {vector["id"] for vector in RUN if vector["expect"] == "deny"}
    assert denied - BEFORE.keys() == REASONS.keys()


@pytest.mark.parametrize("vector", or_none([v for v in VECTORS if v["id"] == UNREADABLE]))
def test_an_unreadable_ledger_is_not_a_refusal(vector: dict[str, Any]) -> None:
    def unreadable(_patient: str) -> list[Consent]:
        raise LedgerUnavailable

    request = vector["request"]
    made = bind(unreadable, asker_of(request), seconds(request["time"]), None, rules_of(vector))
    with pytest.raises(LedgerUnavailable):
        made.judge(record_of(vector), "r")


@pytest.mark.parametrize("vector", or_none([v for v in VECTORS if v["id"] == 52]))
def test_without_its_separable_elements_the_record_is_permitted(vector: dict[str, Any]) -> None:
    """What masking relies on: the same record without the labels of what can be taken out."""
    whole = record_of(vector)
    rest = replace(whole, labels=frozenset(label for label in whole.labels if label.code not in ("HIV", "R")))
    assert outcome(bound_of(vector).judge(rest, "r")) == "permit"


@pytest.mark.parametrize("vector", or_none([v for v in VECTORS if v["id"] == 48]))
def test_what_a_broken_glass_passed_over_is_told(vector: dict[str, Any]) -> None:
    verdict = bound_of(vector).judge(record_of(vector), "r")
    assert isinstance(verdict, Permitted)
    assert (verdict.because, verdict.overridden) == ((), (Because("c1", 0, "root"),))
