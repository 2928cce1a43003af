"""The mappings: complete, consistent with one another, and what HL7's definitions say."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import get_args

import pytest

from gateway import mapping
from gateway.core.fhir.catalogue import VERSIONS, Release
from gateway.errors import ConfigError
from gateway.mapping import digest, folder, load_catalogue, load_outlines, load_profiles, load_table
from mappings.build.tables import tables

RELEASES: tuple[Release, ...] = get_args(Release)
DEFINITIONS = Path(os.environ.get("CONSENTRY_DEFINITIONS", Path(__file__).parent / "definitions" / "target"))

# Owner parameters that HL7's compartment does not have: policy, see mappings/README.md.
POLICY_OWNERS = {("R4", "Device"), ("R4B", "Device"), ("R5", "SupplyRequest")}


@pytest.mark.parametrize(("release", "types", "pairs"), [("R4", 66, 100), ("R4B", 66, 100), ("R5", 73, 106)])
def test_size_of_the_patient_compartment(release: str, types: int, pairs: int) -> None:
    members = load_table(f"patient-compartment-{release.lower()}.json")["types"]
    assert (len(members), sum(map(len, members.values()))) == (types, pairs)


def test_r4b_has_the_compartment_of_r4() -> None:
    r4, r4b = (load_table(f"patient-compartment-{r}.json")["types"] for r in ("r4", "r4b"))
    assert r4 == r4b
    assert r4["Encounter"] == ["patient"]  # copies in circulation say subject
    assert "Task" not in r4  # copies in circulation add it


@pytest.mark.parametrize("release", RELEASES)
def test_owners_come_from_the_compartment(release: Release) -> None:
    catalogue = load_catalogue(release)
    members = load_table(f"patient-compartment-{release.lower()}.json")["types"]
    for type_ in sorted(catalogue.types):
        access = catalogue.access(type_)
        if access.kind != "compartment" or type_ == "Patient":
            continue
        policy = (release, type_) in POLICY_OWNERS
        assert (set(access.owner_params) <= set(members.get(type_, []))) != policy, type_
        narrow = catalogue.param(type_, access.narrow or "")
        assert narrow is not None
        # What is asked for upstream is what the owner check will accept.
        assert {plain(p.text) for p in narrow.paths} <= {plain(p.text) for p in access.owner}, type_


@pytest.mark.parametrize("release", RELEASES)
def test_a_member_type_is_owned_or_denied_but_never_shared(release: Release) -> None:
    catalogue = load_catalogue(release)
    members = load_table(f"patient-compartment-{release.lower()}.json")["types"]
    assert members.keys() <= catalogue.types
    assert not [t for t in members if catalogue.access(t).kind == "shared"]
    unlisted = [t for t in catalogue.types - members.keys() if catalogue.access(t).kind == "compartment"]
    assert unlisted == (["Device"] if release != "R5" else [])


@pytest.mark.parametrize("release", RELEASES)
def test_shared_types_refer_to_no_patient(release: Release) -> None:
    catalogue = load_catalogue(release)
    for type_ in catalogue.types:
        if catalogue.access(type_).kind == "shared":
            assert not [
                p.name for p in catalogue.params(type_).values() if p.targets and p.may_target("Patient")
            ], type_


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        *(
            (t, "shared")
            for t in ("Practitioner", "PractitionerRole", "Organization", "Location", "Medication")
        ),
        *((t, "compartment") for t in ("Patient", "Observation", "RelatedPerson", "Coverage", "Appointment")),
        *(
            (t, "denied")
            for t in (
                "Group",
                "List",
                "AuditEvent",
                "Provenance",
                "Person",
                "Schedule",
                "Slot",
                "Basic",
                "Bundle",
                "Binary",
                "Task",
                "Contract",
                "GuidanceResponse",
                "MessageHeader",
                "VerificationResult",
                "Linkage",
                "Subscription",
                "PaymentNotice",
                "Parameters",
                "SearchParameter",
                "Endpoint",
            )
        ),
    ],
)
@pytest.mark.parametrize("release", RELEASES)
def test_the_types_that_decide_leaks(release: Release, type_: str, kind: str) -> None:
    assert load_catalogue(release).access(type_).kind == kind


@pytest.mark.parametrize("release", RELEASES)
def test_of_consents_directives_alone_are_served(release: Release) -> None:
    catalogue = load_catalogue(release)
    assert [t for t in catalogue.types if catalogue.access(t).only] == ["Consent"]


@pytest.mark.parametrize(
    ("release", "type_", "name", "paths"),
    [
        ("R4", "Observation", "patient", ["subject[->Patient]"]),
        (
            "R4",
            "Observation",
            "date",
            ["effectiveDateTime", "effectivePeriod", "effectiveTiming", "effectiveInstant"],
        ),
        ("R4", "Observation", "value-quantity", ["valueQuantity", "valueSampledData"]),
        ("R4", "Observation", "value-string", ["valueString", "valueCodeableConcept.text"]),
        ("R4", "Patient", "phone", ["telecom[system=phone]"]),
        ("R4", "Patient", "deceased", []),
        ("R4", "Condition", "onset-age", ["onsetAge", "onsetRange"]),
        ("R4", "Medication", "ingredient", ["ingredient.itemReference"]),
        ("R4B", "Encounter", "patient", ["subject[->Patient]"]),
        ("R5", "MedicationRequest", "code", ["medication.concept"]),
        ("R5", "Appointment", "date", []),
        ("R5", "Condition", "participant-actor", ["participant.actor"]),
    ],
)
def test_expressions_as_paths(release: Release, type_: str, name: str, paths: list[str]) -> None:
    param = load_catalogue(release).param(type_, name)
    assert param is not None
    assert [p.text for p in param.paths] == paths


@pytest.mark.parametrize("release", RELEASES)
def test_every_type_has_an_outline(release: Release) -> None:
    outlines = load_outlines(release)
    assert outlines.keys() == load_catalogue(release).types
    for type_, outline in outlines.items():
        assert outline.summary[:3] == ("id", "meta", "implicitRules"), type_


@pytest.mark.parametrize(
    ("release", "type_", "mandatory", "summary", "left_out"),
    [
        ("R4", "Observation", "status code", "status code subject valueQuantity", "note text value"),
        ("R4", "Patient", "", "name birthDate deceasedBoolean link", "photo contact contained text"),
        ("R4", "Binary", "contentType", "contentType", "data"),
        (
            "R4",
            "MedicationRequest",
            "status intent medicationCodeableConcept medicationReference subject",
            "medicationReference",
            "dosageInstruction",
        ),
        ("R4B", "Observation", "status code", "valueQuantity", "valueReference"),
        ("R5", "Observation", "status code", "valueReference modifierExtension", "note"),
        ("R5", "MedicationRequest", "status intent medication subject", "medication", "dosageInstruction"),
    ],
)
def test_outlines_that_are_known(
    release: Release, type_: str, mandatory: str, summary: str, left_out: str
) -> None:
    outline = load_outlines(release)[type_]
    assert outline.mandatory == tuple(mandatory.split())
    assert set(summary.split()) <= set(outline.summary)
    assert set(left_out.split()).isdisjoint(outline.summary)


def test_digest_covers_every_file() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", digest())
    assert digest() != hashlib.sha256().hexdigest()


def test_digest_covers_roles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapping, "folder", lambda: tmp_path)
    seen = set()
    for name, text in (("a.json", "{}"), ("b.yaml", "role: b"), ("b.yaml", "role: c")):
        (tmp_path / name).write_text(text)
        seen.add(digest.__wrapped__())
    assert len(seen) == 3


def test_what_is_wrong_with_roles_is_told_with_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all files at once."""
    (tmp_path / "roles").mkdir()
    good = "role: a\nabout: x\npurposes: [TREAT]\ntypes: {Patient: all}\n"
    for name, text in (("a", good), ("b", good), ("c", "role: [r\n"), ("d", good.replace("all", "some"))):
        (tmp_path / "roles" / f"{name}.yaml").write_text(text)
    monkeypatch.setattr(mapping, "folder", lambda: tmp_path)
    monkeypatch.setattr(mapping, "load_catalogue", {r: load_catalogue(r) for r in RELEASES}.__getitem__)
    with pytest.raises(ConfigError) as wrong:
        load_profiles.__wrapped__()
    assert wrong.value.text.splitlines() == [
        "mappings/roles/b.yaml:1: role, which is the name of the file: there is no a",
        "mappings/roles/c.yaml:2: expected ',' or ']', but got '<stream end>'",
        "mappings/roles/d.yaml:1: role, which is the name of the file: there is no a",
        "mappings/roles/d.yaml:4: Patient: there is no some",
    ]
    for name in "bcd":
        (tmp_path / "roles" / f"{name}.yaml").unlink()
    assert load_profiles.__wrapped__().keys() == {"a"}


def test_roles_are_those_of_the_documents() -> None:
    page = (Path(__file__).parents[1] / "docs" / "roles.md").read_text()
    table = page.partition("## The roles")[2].partition("## The file")[0]
    rows = re.findall(r"^\| `([a-z-]+)` \| ([A-Z, ]+) \|", table, re.MULTILINE)
    assert {role: set(purposes.split(", ")) for role, purposes in rows} == {
        role: set(profile.purposes) for role, profile in load_profiles().items()
    }


GENERATED = ("search-parameters", "patient-compartment", "outlines", "texts")


@pytest.mark.parametrize("kind", [*GENERATED, "access"])
@pytest.mark.parametrize("release", RELEASES)
def test_every_file_says_where_it_is_from(release: Release, kind: str) -> None:
    header = load_table(f"{kind}-{release.lower()}.json")
    assert header["origin"]
    assert header["licence"]
    assert header["fhirVersion"] == VERSIONS[release]


@pytest.mark.parametrize("release", RELEASES)
def test_tables_are_what_the_definitions_say(release: Release) -> None:
    found = sorted(DEFINITIONS.glob(f"hapi-fhir-validation-resources-{release.lower()}-*.jar"))
    if not found:
        pytest.skip(f"no FHIR {release} definitions; see tests/definitions/pom.xml")
    derived = tables(release, found[0])
    assert derived.keys() == {f"{kind}-{release.lower()}.json" for kind in GENERATED}
    for name, text in derived.items():
        assert (folder() / name).read_text("utf-8") == text, f"{name}: run python -m mappings.build"


def plain(path: str) -> str:
    return path.removesuffix("[->Patient]")
