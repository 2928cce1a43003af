"""Which drugs should not be taken together, by what they contain.

A drug is known by the codes of `mappings/interactions.json`, and each of its ingredients if it lists them.
That two drugs do not interact is said only where both are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.coded import kind_of
from gateway.core.fhir.compartment import reference_of
from gateway.core.fhir.elements import codes, values_at
from gateway.core.fhir.paths import Path
from gateway.core.values import Ref

_INGREDIENTS: Final = tuple(map(Path.parse, ("ingredient.itemCodeableConcept", "ingredient.item.concept")))


class Drug(NamedTuple):
    """The known ingredients of a drug by name. `whole`: it has no others."""

    ingredients: frozenset[str]
    whole: bool


UNKNOWN: Final = Drug(frozenset(), whole=False)

Alert = Literal["none", "possible", "unknown"]


@dataclass(frozen=True, slots=True)
class Interactions:
    """`names` gives the ingredients for a code, `pairs` those that interact."""

    names: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    pairs: Set[frozenset[str]] = frozenset()

    def alert(self, drug: Drug, others: Iterable[Drug]) -> Alert:
        """Whether the drug interacts with one of the others."""
        beside = list(others)
        together = frozenset[str]().union(*(other.ingredients for other in beside))
        if any(frozenset({one, other}) in self.pairs for one in drug.ingredients for other in together):
            return "possible"
        return "none" if all(one.whole for one in (drug, *beside)) else "unknown"

    def drug(
        self, record: Tree, catalogue: Catalogue, bases: tuple[str, str], medications: Mapping[Ref, Tree]
    ) -> Drug:
        """The drug of a prescription or statement, by its own code, or that of the Medication it refers to,
        contained or among `medications`, and the ingredients of that."""
        found, whole = frozenset[str](), True
        for about in (record, *_medications(record, catalogue, bases, medications)):
            for path in catalogue.content(kind_of(about)).code:
                for value in values_at(about, path):
                    found |= self._named(value)
            for listed in _listed(about):
                ingredients = frozenset().union(
                    *(self._named(value) for path in _INGREDIENTS for value in values_at(listed, path))
                )
                found, whole = found | ingredients, whole and bool(ingredients)
        return Drug(found, whole and bool(found))

    def _named(self, value: object) -> frozenset[str]:
        """What the codes of a concept contain. They are translations of each other, so one is enough."""
        none = frozenset[str]()
        return none.union(
            *(self.names.get((system or "", code or ""), none) for system, code in codes(value))
        )


NO_INTERACTIONS: Final = Interactions()


def medication_of(record: Tree, catalogue: Catalogue, bases: tuple[str, str]) -> frozenset[Ref]:
    """The Medications on this server that a prescription or statement refers to for its drug."""
    row = catalogue.content(kind_of(record))
    named = (reference_of(value, bases) for path in row.code_of for value in values_at(record, path))
    return frozenset(ref for ref in named if ref is not None)


def _listed(medication: Tree) -> list[Tree]:
    """The ingredients that a Medication lists, each as one of its own."""
    listed = medication.get("ingredient", []) if kind_of(medication) == "Medication" else []
    return [{"ingredient": one} for one in (listed if type(listed) is list else [listed])]


def _medications(
    record: Tree, catalogue: Catalogue, bases: tuple[str, str], medications: Mapping[Ref, Tree]
) -> list[Tree]:
    """The Medications that are known, of those that the record refers to."""
    row, contained = catalogue.content(kind_of(record)), record.get("contained")
    named = [value for path in row.code_of for value in values_at(record, path) if isinstance(value, dict)]
    local = [value["reference"] for value in named if type(value.get("reference")) is str]
    inside = contained if type(contained) is list else []
    inner = [one for one in inside if type(one) is dict and f"#{one.get('id')}" in local]
    elsewhere = medication_of(record, catalogue, bases)
    return [*inner, *(medications[ref] for ref in elsewhere if ref in medications)]


def parse_interactions(table: Mapping[str, Any]) -> Interactions:
    """The table as parsed JSON. Raises ValueError naming the place that is wrong."""
    if table.keys() != {"origin", "licence", "system", "drugs", "pairs"}:
        raise ValueError("interactions: unknown or missing key")
    system, names = table["system"], dict[tuple[str, str], set[str]]()
    if not isinstance(system, str):
        raise ValueError("interactions: system is a text")
    for name, row in table["drugs"].items():
        if not isinstance(row, Mapping) or row.keys() != {"codes", "source"}:
            raise ValueError(f"interactions: {name} has codes and their source")
        listed = row["codes"]
        if not isinstance(listed, list) or not listed or not all(isinstance(code, str) for code in listed):
            raise ValueError(f"interactions: {name} has no list of codes")
        for code in listed:
            names.setdefault((system, code), set()).add(name)
    pairs = frozenset(pair for row in table["pairs"] for pair in _pairs(row, table["drugs"].keys()))
    return Interactions({code: frozenset(found) for code, found in names.items()}, pairs)


def _pairs(row: Any, known: Set[str]) -> list[frozenset[str]]:
    if not isinstance(row, Mapping) or row.keys() != {"one", "with", "source"}:
        raise ValueError("interactions: a pair has one, with and source")
    for name in [row["one"], *row["with"]]:
        if name not in known:
            raise ValueError(f"interactions: there is no drug {name}")
    return [frozenset({row["one"], other}) for other in row["with"]]
