"""Every reference that FHIR knows brings labels, or is on a list of those that bring none, with a reason."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from gateway.core.fhir.catalogue import Catalogue, Release
from gateway.mapping import load_catalogue, load_table
from mappings.build.definitions import read_package
from mappings.build.texts import Tree

RELEASES: tuple[Release, ...] = get_args(Release)
TESTS = Path(__file__).resolve().parents[2]
DEFINITIONS = Path(os.environ.get("CONSENTRY_DEFINITIONS", TESTS / "definitions" / "target"))
UPWARD, CONTEXT = (load_table("label-places.json")[name] for name in ("upward", "context"))

# What records of these types say is not said of what refers to them.
OTHERS = {
    "who it is of, by, for or with, which says nothing of what it is about": (
        "CareTeam Group Organization OrganizationAffiliation Patient Person Practitioner PractitionerRole "
        "RelatedPerson ResearchSubject"
    ),
    "where and when": "Endpoint HealthcareService Location Schedule Slot",
    "who pays; accounts collect whatever else there is": "Account Contract Coverage InsurancePlan",
    "by what means; where a record is about a device, the table has it": "Device DeviceMetric",
    "a sample serves many results, which have orders of their own": "Specimen",
    "food, and what things are made of": "NutritionProduct Substance",
    "what was done to the record, and what may be": "Consent Provenance",
    "who was counted, and by what": "List Parameters",
    "definitions, which are about nobody": (
        "ActivityDefinition CapabilityStatement ChargeItemDefinition DeviceDefinition EventDefinition "
        "Library Measure ObservationDefinition OperationDefinition PlanDefinition Questionnaire "
        "SpecimenDefinition SubstanceDefinition"
    ),
}
ASIDE_TYPES = frozenset(" ".join(OTHERS.values()).split())
# The same, whatever they can point at; of the types that have another `subject`, none is served without one
# who is a patient.
ASIDE = {
    "subject": "whose it is",
    "insurance": "who pays",
    "instantiatesCanonical": "a definition that it follows",
    "content.profile.valueCanonical": "a definition that it follows",
    "useContext.valueReference": "where it is meant to be used",
    "sourceAttachment": "no reference: the parameter `source-reference` names it all the same",
}
# Types that no patient has, whose own references are looked at by nobody.
ABOUT_NOBODY = {"CodeSystem", "MedicationKnowledge", "Questionnaire", "ValueSet"}


def is_told(type_: str, path: str) -> bool:
    """Whether the table of places has the reference at `path`, or the element whose reference it is."""
    rows = {*UPWARD.get(type_, ()), *UPWARD["*"], *CONTEXT.get(type_, ()), *CONTEXT["*"]}
    return not {path, path.removesuffix(".reference")}.isdisjoint(
        {*rows, *(row.replace("**", "") for row in rows)}
    )


def is_aside(type_: str, path: str, targets: frozenset[str]) -> bool:
    return type_ in ABOUT_NOBODY or path in ASIDE or (bool(targets) and targets <= ASIDE_TYPES)


def parameters(catalogue: Catalogue) -> Iterator[tuple[str, str, frozenset[str]]]:
    """The references that search parameters know: type, path, targets."""
    for type_ in sorted(catalogue.types):
        if catalogue.access(type_).kind != "denied":
            for param in catalogue.params(type_).values():
                for path in param.paths if param.type == "reference" else ():
                    if all(step.where is None for step in path.steps):
                        name = ".".join(step.name for step in path.steps)
                        # A step to one type of target is of a parameter that knows no others.
                        yield type_, name, catalogue.targets(type_, name) or param.targets


@pytest.mark.parametrize("release", RELEASES)
def test_every_reference_of_a_search_parameter_is_thought_of(release: Release) -> None:
    found = list(parameters(load_catalogue(release)))
    assert len(found) > 300
    assert [row[:2] for row in found if not is_told(*row[:2]) and not is_aside(*row)] == []


@pytest.mark.parametrize("release", RELEASES)
def test_every_reference_of_the_definitions_is_thought_of(release: Release) -> None:
    found = sorted(DEFINITIONS.glob(f"hapi-fhir-validation-resources-{release.lower()}-*.jar"))
    if not found:
        pytest.skip(f"no FHIR {release} definitions; see tests/definitions/pom.xml")
    definitions, catalogue = read_package(release, found[0]), load_catalogue(release)
    forgotten = []
    for type_ in sorted(definitions.types):
        if catalogue.access(type_).kind == "denied":
            continue
        for path, of, kind, _ in Tree(definitions).below(type_, (), (type_,)):
            if kind in ("Reference", "CodeableReference"):
                name = path if kind == "Reference" else f"{path}.reference"
                targets = frozenset(definitions.targets.get(of, ()))
                if not is_told(type_, name) and not is_aside(type_, name, targets):
                    forgotten.append((type_, name, sorted(targets)))
    assert forgotten == []


def test_what_is_aside_is_not_in_the_table_too() -> None:
    assert not [(type_, path) for type_, rows in UPWARD.items() for path in rows if path in ASIDE]
    assert ABOUT_NOBODY.isdisjoint(UPWARD)
