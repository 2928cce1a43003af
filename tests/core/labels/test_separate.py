"""What is taken out of a record: as little as the verdicts ask for, and never what cannot be."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.consent.labels import ACT_CODE, CONFIDENTIALITY, LEGAL_HOLD
from gateway.core.labels.findings import UNDETERMINED, Contribution
from gateway.core.labels.separate import kept_labels, labels_left, places_without
from gateway.core.values import Label

NAMES = "ABCD"
contributions = st.lists(
    st.builds(
        lambda name, place, separable: Contribution(Label("s", name), (place,), separable, "row"),
        st.sampled_from(NAMES),
        st.sampled_from(["note", "text", "code", "reasonCode"]),
        st.booleans(),
    ),
    max_size=8,
)
forbidden = st.sets(st.sampled_from(NAMES)).map(lambda names: {Label("s", name) for name in names})


@given(contributions, forbidden)
def test_what_remains_may_be_shown_and_is_the_most_that_may(
    found: Sequence[Contribution], hidden: set[Label]
) -> None:
    kept = kept_labels(found, lambda labels: not labels & hidden)
    whole = {one.label for one in found}
    fixed = {one.label for one in found if not one.separable}
    assert (kept is None) == bool(fixed & hidden)
    if kept is not None:
        assert kept == whole - hidden
        assert set(places_without(found, kept)) == {one.place for one in found if one.label in hidden}


@given(contributions)
def test_nothing_is_taken_out_of_what_may_be_shown(found: Sequence[Contribution]) -> None:
    kept = kept_labels(found, lambda labels: True)
    assert kept is not None
    assert places_without(found, kept) == ()


def test_labels_that_may_be_shown_alone_but_not_together() -> None:
    """The same one stays, whatever the order in which they were found."""
    found = [Contribution(Label("s", name), (name,), True, "row") for name in "AB"]
    for order in (found, found[::-1]):
        kept = kept_labels(order, lambda labels: len(labels) < 2)
        assert kept == frozenset({Label("s", "A")})
        assert places_without(order, kept) == (("B",),)


LEVEL = {code: Label(CONFIDENTIALITY, code) for code in "NRV"}
HIV, MH, HOLD = (Label(ACT_CODE, code) for code in ("HIV", "MH", LEGAL_HOLD))


@pytest.mark.parametrize(
    ("came", "gone", "kept", "left"),
    [
        ({LEVEL["R"]}, {HIV}, set(), set()),
        ({LEVEL["V"]}, {HOLD}, set(), set()),
        ({LEVEL["R"]}, {HIV}, {LEVEL["R"]}, set()),
        ({LEVEL["R"]}, {HIV}, {MH}, {LEVEL["R"], MH}),
        ({LEVEL["R"], MH}, {HIV}, set(), {LEVEL["R"], MH}),
        ({LEVEL["V"]}, {HIV}, set(), {LEVEL["V"]}),
        ({LEVEL["N"]}, {HIV}, set(), {LEVEL["N"]}),
        ({LEVEL["R"]}, {UNDETERMINED}, set(), {LEVEL["R"]}),
        ({LEVEL["R"]}, set(), set(), {LEVEL["R"]}),
        (set(), {HIV}, {MH}, {MH}),
    ],
    ids=[
        *("its reason", "a hold", "found to be what it came with", "one of two reasons", "what it came with"),
        *("a level above", "a level below", "words, which may be harmless", "nothing", "no level"),
    ],
)
def test_the_level_that_a_record_came_with_goes_with_its_reason(
    came: set[Label], gone: set[Label], kept: set[Label], left: set[Label]
) -> None:
    found = [Contribution(label, (label.code,), True, "row") for label in gone | kept]
    assert labels_left(frozenset(came), found, frozenset(kept)) == left


def test_a_record_that_is_permitted_for_its_label_alone() -> None:
    """A permit for HIV opens what is HIV, and nothing that is not."""
    found = [Contribution(Label("s", "HIV"), ("code",), False, "row")]
    assert kept_labels(found, lambda labels: Label("s", "HIV") in labels) == frozenset(
        one.label for one in found
    )
    assert kept_labels([], lambda labels: Label("s", "HIV") in labels) is None
