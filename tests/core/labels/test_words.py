"""Words that nobody coded: wherever a type has them, and however deep, they are cut; names are not."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.fhir.catalogue import Release
from gateway.core.fhir.scan import Place
from gateway.core.labels.elements import NAMES
from gateway.core.labels.findings import UNDETERMINED, Policy
from gateway.core.labels.labeller import Labeller
from gateway.core.labels.steps import Paths, found_at, leads_to
from gateway.mapping import load_catalogue, load_labeller, load_table
from tests.core.labels.tables import BASES
from tests.test_content_mappings import definitions

RELEASES: tuple[Release, ...] = get_args(Release)
PLACES = load_table("label-places.json")
ICD = "http://hl7.org/fhir/sid/icd-10-cm"


def texts(release: Release) -> dict[str, Any]:
    return dict(load_table(f"texts-{release.lower()}.json")["types"])


@functools.cache
def by(release: Release) -> Labeller:
    return load_labeller(Policy(), BASES, load_catalogue(release))


def nested(steps: list[str], value: Any) -> Any:
    """What has the value at these names; none of them is a list but where lists are asked for, `[]`."""
    for step in reversed(steps):
        inner = [value] if step.endswith("[]") else value
        value = {step.removesuffix("[]"): inner}
    return value


def uncoded(release: Release, kind: str, tree: dict[str, Any]) -> list[tuple[Place, bool]]:
    found = by(release).found(kind, {"resourceType": kind, **tree}).contributions
    return [(one.place, one.separable) for one in found if one.label == UNDETERMINED]


def every_path(key: str) -> Iterator[tuple[Release, str, str]]:
    for release in RELEASES:
        for kind, row in texts(release).items():
            yield from ((release, kind, path) for path in row[key])


# --- What is taken, and what is not ----------------------------------------------------------------


def test_wherever_a_type_has_words_they_are_cut() -> None:
    """Above them at most what cannot be without them; but for what names or numbers something."""
    for release, kind, path in every_path("words"):
        names = path.replace("**", "").split(".")
        found = uncoded(release, kind, nested(names, "x"))
        named = PLACES["named"].get(kind, [])
        if named == ["*"] and path != "text":
            continue  # nobody's records, where words of these kinds are definitions
        if path in named:
            assert not found, f"{release} {kind}.{path}"
        else:
            assert found, f"{release} {kind}.{path}"
            assert all(separable and tuple(names[: len(place)]) == place for place, separable in found)


def test_no_name_in_the_table_is_out_of_date() -> None:
    known = {(kind, path) for _, kind, path in every_path("words")}
    for kind, paths in PLACES["named"].items():
        assert kind in {name for name, _ in known}, kind
        assert paths == ["*"] or all((kind, path) in known for path in paths), kind


@pytest.mark.parametrize("release", RELEASES)
def test_no_concept_is_called_like_a_name(release: Release) -> None:
    known, served = definitions(release), load_catalogue(release)
    for path, kinds in known.element_types.items():
        kind, _, rest = path.partition(".")
        if kind in served.types and served.access(kind).kind != "denied" and path.rsplit(".", 1)[-1] in NAMES:
            assert not {"CodeableConcept", "CodeableReference"} & set(kinds), f"{kind}.{rest}"


@pytest.mark.parametrize("release", RELEASES)
def test_every_element_made_of_words_is_in_the_table(release: Release) -> None:
    """By the definitions: none of the elements of a type that are strings, and no recursion, is left out."""
    known, table = definitions(release), texts(release)
    for path, kinds in known.element_types.items():
        kind, _, rest = path.partition(".")
        if kind in table and kinds == ["string"] and not rest.endswith("id"):
            names = tuple(rest.split("."))
            words = Paths(tuple(word.split(".")) for word in table[kind]["words"])
            assert words.begins(names), path


# --- However deep ----------------------------------------------------------------------------------

DEEP = [
    ("QuestionnaireResponse", [["item[]"], ["answer[]", "item[]"]], "item[]", ["answer[]", "valueString"]),
    ("Composition", [["section[]"]], "section[]", ["text"]),
    ("RequestGroup", [["action[]"]], "action[]", ["description"]),
]


@given(st.sampled_from(DEEP), st.data())
def test_words_that_are_moved_deeper_are_still_cut(case: Any, data: st.DataObject) -> None:
    kind, ways, first, last = case
    down = data.draw(st.lists(st.sampled_from(ways), max_size=6))
    steps = [first, *(step for way in down for step in way), *last]
    place = tuple(part for step in steps for part in ((step[:-2], 0) if step.endswith("[]") else (step,)))
    found = uncoded("R4", kind, nested(steps, {"div": "x"} if last == ["text"] else "x"))
    assert found
    assert all(separable and place[: len(cut)] == cut for cut, separable in found)


@pytest.mark.parametrize(
    ("kind", "first", "last"),
    [("Composition", "section[]", "entry[]"), ("RequestGroup", "action[]", "resource")],
)
@given(deep=st.integers(0, 6))
def test_a_reference_that_is_moved_deeper_still_brings_labels(
    kind: str, first: str, last: str, deep: int
) -> None:
    hiv = by("R4").found("Condition", {"code": {"coding": [{"system": ICD, "code": "B20"}]}})
    tree = nested([*([first] * (deep + 1)), last], {"reference": "Condition/hiv"})
    labelled = by("R4").label(kind, {"resourceType": kind, **tree}, lambda _: hiv)
    assert {label.code for label in labelled.labels} == {"HIV", "R"}


@pytest.mark.parametrize(
    ("path", "names", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.a.b", False),
        ("a**.b", "a.b", True),
        ("a**.b", "a.a.b", True),
        ("a**.b", "a.c.a.b", True),
        ("a**.b", "a.c.b", False),
        ("a**.b", "c.a.b", False),
        ("a**.b", "a.b.c", False),
        ("a**.b", "a", False),
        ("a**", "a.c.a", True),
        ("a**", "a.c", False),
    ],
)
def test_where_a_path_leads(path: str, names: str, expected: bool) -> None:
    steps = tuple(names.split("."))
    assert leads_to(tuple(path.split(".")), steps) is expected
    assert (steps in Paths([tuple(path.split("."))])) is expected


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=6), st.sampled_from(["a**.b", "a.b", "a**.c.b"]))
def test_what_a_path_finds_is_where_it_leads(names: list[str], path: str) -> None:
    steps = tuple(path.split("."))
    tree = nested(names, "x")
    ends = {place for place, value in found_at(tree, steps) if value == "x"}
    assert ends == ({tuple(names)} if leads_to(steps, tuple(names)) else set())
