"""The tables of elements that look like a Reference and are none, held against HL7's definitions."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.core.fhir.catalogue import Release
from gateway.core.fhir.references import LITERATURE, OTHERS
from gateway.core.fhir.scan import SIGNS
from gateway.mapping import load_catalogue

PACKAGES: dict[Release, str] = {"R4B": "fhir.resources.R4B", "R5": "fhir.resources"}
"""R4 has no models of its own; of what is served it differs from R4B in nothing that matters here."""


def models(package: str) -> Iterator[type[Any]]:
    root = importlib.import_module(package)
    for module in pkgutil.iter_modules(root.__path__):
        if module.ispkg or module.name.startswith(("_", "fhirtypes")):
            continue
        found = importlib.import_module(f"{package}.{module.name}")
        for _, one in inspect.getmembers(found, inspect.isclass):
            if one.__module__ == found.__name__ and hasattr(one, "model_fields"):
                yield one


def shapes(model: type[Any]) -> dict[str, str]:
    """The members that could be a Reference's, with their types."""
    fields = {field.alias or name: str(field.annotation) for name, field in model.model_fields.items()}
    return {name: said for name, said in fields.items() if name in SIGNS and not name.startswith("_")}


def elements(release: Release) -> Iterator[tuple[str, str, str, str]]:
    """Of the types that are served: type, element (as in `ClaimRelated`), member, and type of the member."""
    catalogue = load_catalogue(release)
    for model in models(PACKAGES[release]):
        name = model.__name__
        owner = max((type for type in catalogue.types if name.startswith(type)), key=len, default="")
        if catalogue.access(owner).kind != "denied":
            element = name.removeprefix(owner)
            for member, said in shapes(model).items():
                yield owner, element[:1].lower() + element[1:], member, said


@pytest.mark.parametrize("release", PACKAGES)
def test_the_tables_hold_every_such_element(release: Release) -> None:
    missing = [found for found in elements(release) if not _is_in_a_table(*found)]
    assert missing == []


def _is_in_a_table(kind: str, element: str, member: str, said: str) -> bool:
    if member == "reference" and ("Reference" in said or element in LITERATURE.get(kind, ())):
        return True
    rows = OTHERS.get(kind, {})
    if element == "" and member != "reference":
        return True  # a resource is no Reference, whatever its members
    return any(element.lower().endswith(name) and rows[name] == member for name in rows)


def test_the_tables_hold_nothing_else() -> None:
    there = {
        (kind, element, member) for release in PACKAGES for kind, element, member, _ in elements(release)
    }
    for kind, rows in OTHERS.items():
        for name, member in rows.items():
            assert any(k == kind and m == member and e.lower().endswith(name) for k, e, m in there), (
                kind,
                name,
            )
    for kind, names in LITERATURE.items():
        for name in names:
            assert (kind, name, "reference") in there
