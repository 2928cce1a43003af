"""What an upstream must announce: for each type that patients own, the parameter that narrows a search."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.cli.announced import not_announced
from gateway.core.fhir.catalogue import Release
from gateway.mapping import load_catalogue
from gateway.sandbox.metadata import statement

R4 = load_catalogue("R4")
SEARCHED = [{"code": "read"}, {"code": "search-type"}]
PATIENT = {"type": "Patient", "interaction": SEARCHED, "searchParam": [{"name": "_id", "type": "token"}]}


def said(*resources: dict[str, Any], mode: str = "server", **rest: Any) -> bytes:
    tree = {"resourceType": "CapabilityStatement", "rest": [{"mode": mode, "resource": [*resources], **rest}]}
    return json.dumps(tree).encode()


def resource(type: str, *names: str, **more: Any) -> dict[str, Any]:
    params = [{"name": name, "type": "reference"} for name in names]
    return {"type": type, "interaction": SEARCHED, "searchParam": params, **more}


@pytest.mark.parametrize("release", ["R4", "R4B", "R5"])
def test_the_sandbox_announces_every_one(release: Release) -> None:
    catalogue = load_catalogue(release)
    whole = statement(catalogue, "http://a.example/fhir", datetime(2026, 1, 1, tzinfo=UTC)).body
    assert not_announced(catalogue, whole) == {}


@pytest.mark.parametrize("type", sorted(type for type in R4.types if R4.access(type).kind == "compartment"))
def test_each_one_that_is_missing_is_named(type: str) -> None:
    tree = json.loads(statement(R4, "http://a.example/fhir", datetime(2026, 1, 1, tzinfo=UTC)).body)
    narrow = R4.access(type).narrow
    assert narrow is not None
    for each in tree["rest"][0]["resource"]:
        if each["type"] == type:
            each["searchParam"] = [param for param in each["searchParam"] if param["name"] != narrow]
    assert not_announced(R4, json.dumps(tree).encode()) == {narrow: [type]}


STATEMENTS: dict[str, tuple[bytes, dict[str, list[str]]]] = {
    "another parameter of the same element": (
        said(PATIENT, resource("Observation", "subject", "encounter")),
        {"patient": ["Observation"]},
    ),
    "two types and two parameters": (
        said(resource("Patient"), resource("Observation"), resource("Condition", "subject")),
        {"patient": ["Condition", "Observation"], "_id": ["Patient"]},
    ),
    "announced for all types": (
        said(resource("Patient"), searchParam=[{"name": "_id", "type": "token"}]),
        {},
    ),
    "a type of nobody": (said(PATIENT, resource("Practitioner")), {}),
    "an unknown type": (said(PATIENT, resource("Starship")), {}),
    "a type that cannot be searched": (
        said(PATIENT, resource("Observation", interaction=[{"code": "read"}])),
        {},
    ),
    "a type of which nothing is said": (said(PATIENT, {"type": "Observation"}), {"patient": ["Observation"]}),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_what_is_announced(name: str) -> None:
    statement, expected = STATEMENTS[name]
    assert not_announced(R4, statement) == expected


@pytest.mark.parametrize(
    "answer",
    [
        b"<CapabilityStatement/>",
        b"{}",
        b'{"resourceType":"OperationOutcome"}',
        b'{"resourceType":"CapabilityStatement"}',
        b'{"resourceType":"CapabilityStatement","rest":[{"mode":"server"}]}',
        b'{"resourceType":"CapabilityStatement","rest":[{"mode":"server","resource":{}}]}',
        said(PATIENT, mode="client"),
        said(resource("Practitioner")),
    ],
)
def test_what_says_nothing_is_refused(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        not_announced(R4, answer)
