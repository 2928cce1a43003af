"""The CapabilityStatement: what the gateway answers, in a form that FHIR's own model reads."""

from __future__ import annotations

import pytest
from fhir.resources.R4B.capabilitystatement import CapabilityStatement

from gateway.core.fhir.catalogue import Release
from gateway.core.fhir.request import parse_request
from gateway.core.values import Interaction
from gateway.mapping import load_catalogue
from gateway.web.capabilities import capability_statement

BASE = "https://gw.example/fhir"
SECURITY = {"cors": True}


@pytest.mark.parametrize("release", ["R4", "R4B", "R5"])
def test_it_lists_what_is_served_and_nothing_else(release: Release) -> None:
    catalogue = load_catalogue(release)
    statement = capability_statement(catalogue, BASE, "2026-01-01", SECURITY)
    assert statement["fhirVersion"] == catalogue.version
    [rest] = statement["rest"]
    types = {row["type"] for row in rest["resource"]}
    assert types == {type for type in catalogue.types if catalogue.access(type).kind != "denied"}
    assert not types & {"Group", "AuditEvent", "Provenance", "Binary", "Bundle"}
    for row in rest["resource"]:
        assert {interaction["code"] for interaction in row["interaction"]} == {"read", "vread", "search-type"}
        assert all(catalogue.param(row["type"], param["name"]) for param in row["searchParam"])
        assert ("operation" in row) == (row["type"] == "MedicationRequest")
    assert "operation" not in rest
    assert rest["security"] == SECURITY
    assert "interaction" not in rest


@pytest.mark.parametrize("release", ["R4", "R4B", "R5"])
def test_the_operation_that_is_answered_is_stated_with_its_address(release: Release) -> None:
    catalogue = load_catalogue(release)
    [rest] = capability_statement(catalogue, BASE, "2026-01-01", SECURITY)["rest"]
    [row] = [row for row in rest["resource"] if row["type"] == "MedicationRequest"]
    [operation] = row["operation"]
    assert (operation["name"], operation["definition"]) == (
        "confirm",
        f"{BASE}/OperationDefinition/MedicationRequest-confirm",
    )
    asked = parse_request(
        "GET",
        f"/MedicationRequest/x/${operation['name']}".encode(),
        b"",
        {},
        b"",
        catalogue,
        own_bases=(),
        max_count=1,
    )
    assert asked.interaction is Interaction.CONFIRM


def test_fhirs_own_model_reads_it() -> None:
    statement = capability_statement(load_catalogue("R4"), BASE, "2026-01-01", SECURITY)
    assert CapabilityStatement.model_validate(statement).kind == "instance"
