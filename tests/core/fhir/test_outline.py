"""Outlines are parsed strictly: what is not exactly the format is an error that names the place."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from gateway.core.fhir.outline import Outline, parse_outlines

TABLE: dict[str, Any] = {
    "origin": "here",
    "licence": "Apache-2.0",
    "fhirVersion": "4.0.1",
    "types": {
        "Observation": {"summary": ["id", "status", "valueQuantity"], "mandatory": ["status"]},
        "Patient": {"summary": ["id"], "mandatory": []},
    },
}


def test_names_keep_their_order() -> None:
    assert parse_outlines(TABLE, "R4") == {
        "Observation": Outline(("id", "status", "valueQuantity"), ("status",)),
        "Patient": Outline(("id",), ()),
    }


@pytest.mark.parametrize("key", TABLE)
def test_every_key_is_needed(key: str) -> None:
    with pytest.raises(ValueError, match=rf"outlines: .*{key}"):
        parse_outlines({k: v for k, v in TABLE.items() if k != key}, "R4")


def test_of_another_release() -> None:
    with pytest.raises(ValueError, match=r"outlines: fhirVersion is not 4\.3\.0"):
        parse_outlines(TABLE, "R4B")


WRONG: dict[str, tuple[list[str], Any, str]] = {
    "unknown key at the top": (["extra"], "x", "outlines: .*extra"),
    "types is a list": (["types"], [], "outlines: types"),
    "row is a list": (["types", "Patient"], ["id"], "Patient: is not an object"),
    "row without mandatory": (["types", "Patient"], {"summary": ["id"]}, "Patient: .*mandatory"),
    "unknown key in a row": (["types", "Patient", "modifier"], [], "Patient: .*modifier"),
    "one text for a list": (["types", "Patient", "summary"], "id", r"Patient\.summary: "),
    "no text": (["types", "Patient", "summary"], ["id", 1], r"Patient\.summary: "),
    "null": (["types", "Patient", "mandatory"], None, r"Patient\.mandatory: "),
    "empty name": (["types", "Patient", "summary"], [""], r"Patient\.summary: "),
    "choice not spelled out": (["types", "Patient", "summary"], ["deceased[x]"], r"Patient\.summary: "),
    "path of two steps": (["types", "Patient", "summary"], ["name.family"], r"Patient\.summary: "),
    "named twice": (["types", "Patient", "summary"], ["id", "id"], r"Patient\.summary: .*twice"),
}


@pytest.mark.parametrize(("place", "value", "says"), WRONG.values(), ids=WRONG)
def test_another_shape_is_an_error(place: list[str], value: Any, says: str) -> None:
    table = copy.deepcopy(TABLE)
    node = table
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = value
    with pytest.raises(ValueError, match=says):
        parse_outlines(table, "R4")


@pytest.mark.parametrize("table", [None, [], "types"], ids=repr)
def test_no_object_at_all(table: Any) -> None:
    with pytest.raises(ValueError, match="outlines: is not an object"):
        parse_outlines(table, "R4")
