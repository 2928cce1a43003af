"""Pseudonyms: the same inside a study, others outside it, and of the form of an id."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.studies.pseudonyms import DAYS, Pseudonyms, study_key
from gateway.core.values import Ref, is_id
from tests.core.studies.building import HEART, OTHER, SECRET

REFS = st.builds(
    Ref, st.sampled_from(["Patient", "Encounter"]), st.from_regex(r"[a-z0-9]{1,12}", fullmatch=True)
)


@given(REFS, REFS)
def test_laws(one: Ref, other: Ref) -> None:
    assert is_id(HEART.pseudonyms.of(one))
    assert (HEART.pseudonyms.of(one) == HEART.pseudonyms.of(other)) == (one == other)
    assert HEART.pseudonyms.of(one) != OTHER.pseudonyms.of(other)
    assert 1 <= HEART.pseudonyms.days(one.id) <= DAYS


def test_days_are_of_all_lengths() -> None:
    found = {HEART.pseudonyms.days(f"p{number}") for number in range(20_000)}
    assert found == set(range(1, DAYS + 1))


def test_what_a_key_hangs_on() -> None:
    names = [("main", "heart", "shift"), ("main", "lung", "shift"), ("second", "heart", "shift")]
    names.append(("main", "heart", "year"))
    keys = {study_key(secret, *name) for name in names for secret in (SECRET, bytes(32))}
    assert len(keys) == 8
    assert all(len(key) == 32 for key in keys)


def test_vectors() -> None:
    """They must never change: a study would lose who is who."""
    assert HEART.pseudonyms.of(Ref("Patient", "85")) == "e1fb25f8a18ae9ca72c0b1d22892fd14ce052e80"
    assert HEART.pseudonyms.days("85") == 295


def test_keys_are_whole_and_not_shown() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Pseudonyms(b"short")
    assert "key" not in repr(HEART.pseudonyms)
