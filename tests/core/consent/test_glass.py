"""What is said when the glass is broken, and what entries say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from gateway.core.canon import Json, sha256_text
from gateway.core.consent.glass import (
    OPEN,
    OUTCOMES,
    REASONS,
    REVIEW,
    Broken,
    Review,
    Statement,
    open_facts,
    read_open,
    read_review,
    review_facts,
)
from gateway.errors import BadRequest, VerificationFailed

TEXT = "Unconscious on arrival."
PLACE = (7, "A" * 43)


@dataclass(frozen=True)
class Entry:
    facts: Mapping[str, Json]
    kind: str = OPEN
    index: int = 9
    at_s: int = 1_000
    leaf_hash: bytes = bytes(32)
    attachments: Mapping[str, str] = field(default_factory=dict)


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_one(reason: str) -> None:
    assert Statement(reason, f"  {TEXT} ").written == f"{reason}\n{TEXT}"


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("curiosity", TEXT),
        ("", TEXT),
        ("life-threat", "too short"),
        ("life-threat", " " * 20),
        ("life-threat", "x" * 1001),
        ("life-threat", "Bleeding.\nForged line."),
        ("life-threat", "Bleeding\u2028heavily"),
    ],
    ids=["no reason", "empty", "nine letters", "blanks", "too long", "two lines", "separator"],
)
def test_not_a_statement(reason: str, text: str) -> None:
    with pytest.raises(BadRequest):
        Statement(reason, text)


@pytest.mark.parametrize("length", [10, 1000])
def test_as_short_or_as_long_as_that(length: int) -> None:
    assert Statement("life-threat", "x" * length).text == "x" * length


@pytest.mark.parametrize("renews", [None, PLACE])
def test_what_is_written_is_read(renews: tuple[int, str] | None) -> None:
    facts, attachments = open_facts(Statement("no-answer", TEXT), 5_000, renews)
    assert facts["rsn"] == sha256_text(attachments["rsn"].encode())
    who: dict[str, Json] = {"pat": "Patient/pat-a", "act": "Practitioner/p", "cli": "app"}
    read = read_open(Entry({**who, **facts}, attachments=attachments))
    before = None if renews is None else 7
    assert read == Broken(9, 1_000, "pat-a", "Practitioner/p", "app", 5_000, "no-answer", TEXT, before)


@pytest.mark.parametrize("missing", ["pat", "act", "cli", "exp"])
def test_an_entry_that_does_not_say_who(missing: str) -> None:
    facts: dict[str, Json] = {"pat": "Patient/pat-a", "act": "Practitioner/p", "cli": "app", "exp": 5_000}
    del facts[missing]
    with pytest.raises(VerificationFailed, match="entry 9"):
        read_open(Entry(facts))


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_review_is_read_as_written(outcome: str) -> None:
    facts = review_facts(PLACE, "officer", outcome, 3)
    assert read_review(Entry(facts, REVIEW)) == Review(9, 1_000, 7, "officer", outcome, 3)


def test_no_other_outcome() -> None:
    with pytest.raises(BadRequest, match="justified"):
        review_facts(PLACE, "officer", "fine", 3)


@pytest.mark.parametrize(
    "changed", [{"bg": 7}, {"bg": None}, {"rev": 1}, {"out": None}, {"n_reads": "3"}], ids=str
)
def test_not_a_review(changed: dict[str, Json]) -> None:
    with pytest.raises(VerificationFailed):
        read_review(Entry({**review_facts(PLACE, "officer", "justified", 3), **changed}, REVIEW))
