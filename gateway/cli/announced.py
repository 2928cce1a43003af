"""What an upstream says of itself, held to what the gateway asks of it: the parameters that narrow a search.

A server may leave an unknown search parameter aside (https://hl7.org/fhir/R4/search.html#errors), and a
search that was to be narrowed to some patients is then answered from everybody's records. No answer is
trusted to be narrowed; this is for whoever sets the gateway up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from gateway.core.fhir.catalogue import Catalogue


class _Param(msgspec.Struct):
    name: str


class _Interaction(msgspec.Struct):
    code: str


class _Resource(msgspec.Struct, rename="camel"):
    type: str
    interaction: list[_Interaction] = []
    search_param: list[_Param] = []

    def searched(self) -> bool:
        """Whether it can be searched, as far as is said."""
        return not self.interaction or any(each.code == "search-type" for each in self.interaction)


class _Rest(msgspec.Struct, rename="camel"):
    mode: str
    resource: list[_Resource] = []
    search_param: list[_Param] = []


class _Statement(msgspec.Struct, rename="camel"):
    resource_type: Literal["CapabilityStatement"]
    rest: list[_Rest] = []


_decode = msgspec.json.Decoder(_Statement).decode


def not_announced(catalogue: Catalogue, statement: bytes) -> dict[str, list[str]]:
    """The types that the CapabilityStatement `statement` offers to search, but not by the parameter that
    narrows them to patients: sorted, by that parameter.

    Raises ValueError if it is no CapabilityStatement, or offers to search none of the types patients own.
    """
    owned = {
        type: access.narrow
        for type in catalogue.types
        if (access := catalogue.access(type)).kind == "compartment" and access.narrow is not None
    }
    announced = dict(_announced(_decode(statement)))
    if announced.keys().isdisjoint(owned):
        raise ValueError("its CapabilityStatement offers no search of a type that patients own")
    lacking: dict[str, list[str]] = {}
    for type in sorted(announced.keys() & owned.keys()):
        if owned[type] not in announced[type]:
            lacking.setdefault(owned[type], []).append(type)
    return lacking


def _announced(statement: _Statement) -> Iterator[tuple[str, frozenset[str]]]:
    """Each type that can be searched, with the names of its search parameters and of those for all types."""
    for rest in statement.rest:
        if rest.mode == "server":
            for resource in rest.resource:
                if resource.searched():
                    params = (*rest.search_param, *resource.search_param)
                    yield resource.type, frozenset(param.name for param in params)
