"""The content tables name elements that the release has, of the kinds that are read there."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import get_args

import pytest

from gateway.core.fhir.case_table import inward_links
from gateway.core.fhir.catalogue import Release
from gateway.core.fhir.content_table import ContentRow
from gateway.core.fhir.paths import Path as ElementPath
from gateway.core.smart.kinds import CASE_TYPES
from gateway.mapping import load_catalogue, load_table
from mappings.build.definitions import Definitions, read_package

RELEASES: tuple[Release, ...] = get_args(Release)
DEFINITIONS = Path(os.environ.get("CONSENTRY_DEFINITIONS", Path(__file__).parent / "definitions" / "target"))
DATES = {"date", "dateTime", "instant", "Period", "Timing"}
CODES = {"CodeableConcept", "Coding"}
WORDED = {"Age", "Range", "string", "CodeableConcept"}  # how a date may be said that is none


@functools.cache
def definitions(release: Release) -> Definitions:
    found = sorted(DEFINITIONS.glob(f"hapi-fhir-validation-resources-{release.lower()}-*.jar"))
    if not found:
        pytest.skip(f"no FHIR {release} definitions; see tests/definitions/pom.xml")
    return read_package(release, found[0])


def kinds_at(known: Definitions, type_: str, path: ElementPath) -> set[str]:
    """The data types at a path; empty if there is no such element."""
    here, kinds = type_, {type_}
    for step in path.steps:
        place = f"{here}.{step.name}"
        kinds = set(known.element_types.get(place, ())) or _spelled(known, here, step.name)
        here = place if kinds <= {"BackboneElement", "Element"} else "/".join(kinds)
    return kinds


def _spelled(known: Definitions, parent: str, name: str) -> set[str]:
    """The one type that a choice is spelled with: `onsetPeriod`."""
    return {
        kind
        for element, kinds in known.choices.items()
        for kind in kinds
        if element + kind[0].upper() + kind[1:] == f"{parent}.{name}"
    }


def rows(release: Release) -> list[tuple[str, ContentRow]]:
    return [(type_, load_catalogue(release).content(type_)) for type_ in load_table(_name(release))["types"]]


def _name(release: Release) -> str:
    return f"content-{release.lower()}.json"


@pytest.mark.parametrize("release", RELEASES)
def test_every_path_leads_to_what_is_read_there(release: Release) -> None:
    known = definitions(release)
    for type_, row in rows(release):
        dates = [path for alternative in row.clinical for path in alternative]
        for paths, allowed in (
            (row.code, CODES),
            ((*row.code_of, *row.author, *row.encounter), {"Reference"}),
            ((*dates, *row.until, *row.other), DATES | WORDED),
        ):
            for path in paths:
                kinds = kinds_at(known, type_, path)
                assert kinds, f"{type_}.{path.text} is no element of {release}"
                assert kinds <= allowed, f"{type_}.{path.text} is {kinds}"


@pytest.mark.parametrize("release", RELEASES)
def test_every_link_of_a_case_is_a_reference(release: Release) -> None:
    known, catalogue = definitions(release), load_catalogue(release)
    for root in load_table(_name(release))["cases"]:
        rule = catalogue.case(root)
        assert rule is not None
        for path, _ in rule.outward:
            assert kinds_at(known, root, path) == {"Reference"}, f"{root}.{path.text}"
        for link in inward_links(rule):
            if link.type is not None and link.path is not None:
                assert kinds_at(known, link.type, link.path) == {"Reference"}, link.name


@pytest.mark.parametrize("release", RELEASES)
def test_cases_begin_alike_in_all_releases(release: Release) -> None:
    assert load_table(_name(release))["cases"].keys() == set(CASE_TYPES)


@pytest.mark.parametrize("release", RELEASES)
def test_the_encounter_of_a_record_can_be_one(release: Release) -> None:
    known = definitions(release)
    for type_, row in rows(release):
        for path in row.encounter:
            assert "Encounter" in known.targets[f"{type_}.{path.text}"], f"{type_}.{path.text}"


@pytest.mark.parametrize("release", RELEASES)
def test_a_choice_is_spelled_with_all_its_types(release: Release) -> None:
    """A date that is said in another way must not pass for one that is not said."""
    known = definitions(release)
    for type_, row in rows(release):
        for paths in (*row.clinical, row.until):
            listed = {path.text for path in paths}
            for element, kinds in known.choices.items():
                stem = element.removeprefix(f"{type_}.")
                spellings = {stem + kind[0].upper() + kind[1:] for kind in kinds}
                if element.startswith(f"{type_}.") and listed & spellings:
                    assert spellings <= listed, f"{type_}.{stem}[x]"


@pytest.mark.parametrize("release", RELEASES)
def test_an_exempt_type_is_about_no_patient_or_says_who_somebody_is(release: Release) -> None:
    catalogue = load_catalogue(release)
    for type_, row in rows(release):
        directory = catalogue.access(type_).kind == "shared" or type_ in ("Patient", "RelatedPerson")
        assert row.exempt == directory, type_


@pytest.mark.parametrize(
    ("release", "type_", "clinical"),
    [
        ("R4", "Observation", "effectiveDateTime effectivePeriod effectiveTiming effectiveInstant, issued"),
        ("R4", "Procedure", "performedDateTime performedPeriod performedString performedAge performedRange"),
        ("R5", "Encounter", "actualPeriod, plannedStartDate plannedEndDate"),
        ("R4B", "Encounter", "period"),
        ("R4", "DocumentReference", "context.period, date"),
        ("R5", "DocumentReference", "period, date"),
        ("R5", "MedicationRequest", "authoredOn"),
    ],
)
def test_dates_of_well_known_types(release: Release, type_: str, clinical: str) -> None:
    row = load_catalogue(release).content(type_)
    assert ", ".join(" ".join(path.text for path in paths) for paths in row.clinical) == clinical
