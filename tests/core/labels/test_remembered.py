"""Labels are found once for each version of a record, and memory has an end."""

from __future__ import annotations

import json
from typing import Any

from gateway.core.fhir import codec
from gateway.core.fhir.facts import Facts
from gateway.core.labels.findings import Found
from gateway.core.labels.labeller import Labeller
from gateway.core.labels.remembered import HEAVIEST, Labelling
from tests.core.deciding import facts
from tests.core.labels.tables import labeller

ICD = "http://hl7.org/fhir/sid/icd-10-cm"


class Counting(Labeller):
    """The real one, counting what it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self._real = labeller()
        self.digest = self._real.digest

    @property
    def has_programmes(self) -> bool:
        return self._real.has_programmes

    def found(self, kind: str, tree: Any, owners: frozenset[str] = frozenset()) -> Found:
        self.asked += 1
        return self._real.found(kind, tree, owners)


def record(ident: str, *codes: str) -> bytes:
    codings = [{"system": ICD, "code": code} for code in codes]
    owner = {"reference": "Patient/85"}
    said = {"resourceType": "Condition", "id": ident, "subject": owner, "code": {"coding": codings}}
    return json.dumps(said).encode()


def ask(labelling: Labelling, raw: bytes) -> Found:
    known: Facts = facts(raw)
    return labelling.found(known, lambda: codec.parse(raw))


def test_the_same_bytes_are_labelled_once() -> None:
    counting = Counting()
    labelling = Labelling(counting)
    first = ask(labelling, record("1", "B20"))
    assert ask(labelling, record("1", "B20")) is first
    assert counting.asked == 1
    assert ask(labelling, record("1", "J11.1")) != first
    assert ask(labelling, record("2", "B20")) == first
    assert counting.asked == 3
    assert labelling.classifier == f"Consentry, mappings sha256:{counting.digest}"


def test_memory_has_an_end() -> None:
    counting = Counting()
    labelling = Labelling(counting, capacity=10)
    for number in range(50):
        ask(labelling, record(str(number), "B20"))
    assert labelling._notes <= 10
    assert labelling._notes == sum(1 + len(found.contributions) for found in labelling._known.values())
    ask(labelling, record("49", "B20"))
    assert counting.asked == 50


def test_a_heavy_record_is_not_kept() -> None:
    counting = Counting()
    labelling = Labelling(counting)
    heavy = record("1", *["B20"] * (HEAVIEST + 1))
    ask(labelling, heavy)
    ask(labelling, heavy)
    assert counting.asked == 2
