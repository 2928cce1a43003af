"""The words for records: complete, and read strictly."""

from __future__ import annotations

import copy
from typing import Any, get_args

import pytest

from gateway.auth.approval.words import TABLE, load_words, parse_words
from gateway.core.fhir import match
from gateway.core.fhir.catalogue import Release
from gateway.mapping import load_catalogue, load_table

RELEASES: tuple[Release, ...] = get_args(Release)


def test_all_that_can_be_released_has_words_and_nothing_else() -> None:
    released = set()
    for release in RELEASES:
        catalogue = load_catalogue(release)
        released |= {kind for kind in catalogue.types if catalogue.access(kind).kind != "denied"}
    assert load_words().types.keys() == released


@pytest.mark.parametrize("release", RELEASES)
def test_what_is_about_no_patient_is_told_apart(release: Release) -> None:
    catalogue, words = load_catalogue(release), load_words()
    for kind in catalogue.types & words.types.keys():
        if catalogue.access(kind).kind != "denied":
            assert (words.types[kind].group == "about") == (catalogue.access(kind).kind == "shared"), kind


@pytest.mark.parametrize("release", RELEASES)
def test_every_category_can_be_enforced(release: Release) -> None:
    catalogue = load_catalogue(release)
    for kind, categories in load_words().categories.items():
        assert all(match.evaluable(catalogue, kind, term) for c in categories for term in c.terms)


def test_names_are_told_apart() -> None:
    words = load_words()
    common = [w.name for w in words.types.values()]
    assert {name for name in common if common.count(name) > 1} == {"Use of devices", "Groups of orders"}
    for categories in words.categories.values():
        assert len({c.name for c in categories}) == len(categories)


def test_a_type_without_words_has_its_own_name() -> None:
    found = load_words().of_type("MedicinalProductPackaged")
    assert (found.name, found.group) == ("Medicinal Product Packaged", "more")


def test_a_purpose_without_words_is_its_code() -> None:
    assert (load_words().of_purpose("TREAT"), load_words().of_purpose("HMARKT")) == (
        "For treatment, also by professionals who use the same app",
        "HMARKT",
    )


def _without(table: dict[str, Any], *path: str) -> None:
    for name in path[:-1]:
        table = table[name]
    del table[path[-1]]


WRONG: dict[str, Any] = {
    "a member less": lambda t: _without(t, "origin"),
    "a member more": lambda t: t.update(note="x"),
    "a type without a name": lambda t: _without(t, "types", "Patient", "name"),
    "a type with more": lambda t: t["types"]["Patient"].update(note="x"),
    "an unknown group": lambda t: t["types"]["Patient"].update(group="rare"),
    "categories of nothing": lambda t: t["categories"].update(Nothing=[]),
    "a category without a code": lambda t: _without(t["categories"]["Condition"][0], "code"),
    "an unknown purpose": lambda t: t["purposes"]["patient"].append({"code": "FUN", "name": "For fun"}),
    "no purposes": lambda t: t["purposes"].update(patient=[]),
    "purposes of others": lambda t: t["purposes"].update(others=t["purposes"]["patient"]),
}


@pytest.mark.parametrize("spoil", WRONG.values(), ids=WRONG.keys())
def test_a_table_that_is_wrong_is_refused(spoil: Any) -> None:
    table = copy.deepcopy(load_table(TABLE))
    assert parse_words(table) == load_words()
    spoil(table)
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        parse_words(table)
