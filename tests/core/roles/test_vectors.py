"""The shared decision vectors from where consents permit: what role and case make of the record.

The engine alone decides the others (`tests/core/consent/test_vectors.py`).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.consent.evaluate import Permitted
from gateway.core.roles.ceiling import Ceiling, Roles
from gateway.mapping import load_profiles
from tests.core.consent.vectors import bound_of, load, record_of, seconds
from tests.core.deciding import BASES, R4, facts, token
from tests.support.shared import or_none

PROFILES = load_profiles()
# What brings the labels of 52 is taken out before. A vector that says nothing of a case is about a record of
# the case that the role has at hand: a pharmacy's prescription, what was found in a clinician's visit.
MASKED, AT_HAND = 52, frozenset({"pharmacy", "clinician"})
VECTORS = [
    vector for vector in load() if vector["id"] in (MASKED, 54, 57) or vector["expect"] in ("permit", "mask")
]


def ceiling(vector: dict[str, Any]) -> Ceiling:
    request = vector["request"]
    asker = replace(token(), role=request["role"], purposes=tuple(request["purposes"]))
    made = Roles(PROFILES).ceiling(asker, seconds(request["time"]), R4, BASES.both)
    assert made is not None
    return made


def record(vector: dict[str, Any]) -> dict[str, Any]:
    resource, request = vector["resource"], vector["request"]
    kind, _, ident = resource["ref"].partition("/")
    tree: dict[str, Any] = {
        "resourceType": kind,
        "id": ident,
        "status": "final",
        "subject": {"reference": "Patient/P1"},
    }
    if kind == "Patient":
        tree = {"resourceType": kind, "id": ident}
    if request["role"] == "emergency":
        laboratory = {"coding": [{"code": "laboratory"}]}
        tree |= {"category": [laboratory], "effectiveDateTime": request["time"][:10]}
    if kind in ("MedicationRequest", "Procedure"):
        tree |= {"note": [{"text": "n"}], "reasonCode": [{"text": "r"}]}
    for reference in resource["references"]:
        tree["encounter"] = {"reference": reference}
    return tree


@pytest.mark.parametrize("vector", or_none(VECTORS), ids=lambda v: v and f"{v['id']}: {v['title']}")
def test_vector(vector: dict[str, Any]) -> None:
    if vector["id"] != MASKED:
        assert isinstance(bound_of(vector).judge(record_of(vector), "r"), Permitted)
    tree = record(vector)
    members = vector["request"]["case"]
    if members is None and vector["request"]["role"] in AT_HAND:
        members = [vector["resource"]["ref"]]
    belongs = {vector["resource"]["ref"], *vector["resource"]["references"]} & set(members or ())
    raw = json.dumps(tree).encode()
    found = ceiling(vector).sight(
        facts(raw), lambda: tree, None if members is None else lambda *_: bool(belongs)
    )
    expected = vector["expect"]
    assert (found is not None) == (expected != "deny"), vector["why"]
    if expected == "permit":
        assert found is not None
        assert found.trims is None
    if expected == "mask":
        assert found is not None
        assert {("note",), ("reasonCode",)} <= set(found.trims or ())


@pytest.mark.parametrize("vector", or_none([v for v in load() if v["id"] == 55]))
def test_what_was_paid_for_by_the_patient_is_hidden_from_payers(vector: dict[str, Any]) -> None:
    labels = record_of(vector).labels
    assert ceiling(vector).blocks(labels)
    assert not ceiling(vector).blocks(frozenset(label for label in labels if label.code != "HIPAASelfPay"))
