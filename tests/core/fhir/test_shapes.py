"""What the short way relies on: where in a shape a Reference, a name or an address can stand."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from gateway.core.fhir import plain, resources, shapes
from gateway.core.fhir.references import LITERATURE
from gateway.core.fhir.resources import RESOURCES, Resource
from gateway.core.fhir.scan import FETCHED, SIGNS
from gateway.core.fhir.shapes import Coding, InnerExtension, Reference, Shape

SHAPES = {
    value
    for value in (*vars(shapes).values(), *vars(resources).values())
    if isinstance(value, type) and issubclass(value, Shape)
}


def members(shape: type[Shape]) -> set[str]:
    return set(shape.__struct_encode_fields__)


@pytest.mark.parametrize("shape", sorted(SHAPES, key=str), ids=lambda shape: shape.__name__)
def test_signs_of_a_reference_stand_where_they_are_expected(shape: type[Shape]) -> None:
    if shape is Reference:
        assert members(shape) == {"reference", "display"}
    elif shape is Coding:
        assert members(shape) & SIGNS == {"display"}
        assert "code" in {field.name for field in msgspec.structs.fields(shape) if field.required}
    else:
        assert members(shape) & SIGNS <= ({"identifier"} if issubclass(shape, Resource) else set())


@pytest.mark.parametrize("shape", sorted(SHAPES, key=str), ids=lambda shape: shape.__name__)
def test_addresses_are_names_of_extensions(shape: type[Shape]) -> None:
    assert members(shape) & FETCHED <= ({"url"} if issubclass(shape, InnerExtension) else set())
    for name, hint in get_type_hints(shape).items():
        for one in parts(hint):
            if isinstance(one, type) and issubclass(one, InnerExtension):
                assert name == "extension"


def parts(hint: Any) -> Iterator[Any]:
    yield hint
    for part in get_args(hint):
        yield from parts(part)


@pytest.mark.parametrize("shape", sorted(SHAPES, key=str), ids=lambda shape: shape.__name__)
def test_a_shape_says_all_of_what_it_holds(shape: type[Shape]) -> None:
    """Members of other kinds than texts, numbers, flags, shapes and lists of these could hold anything."""
    known = (str, bool, int, Decimal, type(None), list)
    for hint in get_type_hints(shape).values():
        if get_args(hint):
            leaves = [one for one in parts(hint) if not get_args(one)]
        else:
            leaves = [hint]
        assert all(leaf in known or issubclass(leaf, Shape) for leaf in leaves)


def test_no_shape_leads_back_to_itself_and_all_are_looked_through() -> None:
    below = {shape for kind in RESOURCES for shape in plain._below(kind)}
    assert below == set(plain._LEADING)
    assert below | {Shape, Resource} == SHAPES


def test_where_a_shape_leads_to_references_its_members_have_their_own_names() -> None:
    for shape, names in plain._LEADING.items():
        assert set(names) <= members(shape)
    assert plain._LEADING[resources.Encounter] == (
        "subject", "participant", "reasonReference", "location", "serviceProvider",
    )  # fmt: skip


@pytest.mark.parametrize("kind", RESOURCES, ids=lambda kind: kind.__name__)
def test_a_reference_is_a_reference_in_every_resource(kind: type[Resource]) -> None:
    assert LITERATURE.get(kind.__name__, frozenset()).isdisjoint(members(kind) | {""})
