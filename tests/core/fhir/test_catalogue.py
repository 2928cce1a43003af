"""A catalogue is parsed whole or not at all: each key that is wrong is named."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from gateway.core.fhir.case_table import inward_links
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.content_table import ContentRow

HEADER = {"origin": "made up", "licence": "none", "fhirVersion": "4.0.1"}
PATIENT = {"type": "reference", "paths": ["subject[->Patient]"], "targets": ["Patient"]}
SEARCH: dict[str, Any] = HEADER | {
    "common": {"_id": {"type": "token", "paths": ["id"]}},
    "types": {
        "Patient": {},
        "Observation": {
            "patient": PATIENT,
            "code": {"type": "token", "paths": ["code"]},
            "both": {"type": "composite", "components": ["code", "code"]},
            "focus": {"type": "reference", "paths": ["focus"], "targets": []},
            "device": {"type": "reference", "paths": ["device"], "targets": ["Device"]},
        },
        "Organization": {},
        "Group": {},
    },
}
COMPARTMENT: dict[str, Any] = HEADER | {"types": {"Observation": ["patient", "focus"], "Patient": ["{def}"]}}
ACCESS: dict[str, Any] = HEADER | {
    "types": {
        "Patient": {"kind": "compartment", "narrow": "_id"},
        "Observation": {"kind": "compartment", "owner": ["patient"], "narrow": "patient"},
        "Organization": {"kind": "shared"},
        "Group": {"kind": "denied", "why": "a roster"},
    }
}
CONTENT: dict[str, Any] = HEADER | {
    "types": {
        "Patient": {"exempt": True},
        "Observation": {"code": ["code"], "clinical": [["effectiveDateTime"]]},
        "Organization": {"exempt": True},
    },
    "cases": {
        "Patient": {"out": {"managingOrganization": {}}, "in": {"*": {}}},
        "Observation": {"in": {"Observation.focus": {"search": "focus", "in": {"Observation.device": {}}}}},
    },
}


def test_what_it_knows() -> None:
    catalogue = Catalogue.parse(SEARCH, COMPARTMENT, ACCESS, CONTENT)
    assert (catalogue.release, catalogue.version) == ("R4", "4.0.1")
    assert catalogue.types == {"Patient", "Observation", "Organization", "Group"}
    access = catalogue.access("Observation")
    assert [p.text for p in access.owner] == ["subject[->Patient]"]
    assert [p.text for p in access.members] == ["subject[->Patient]", "focus"]
    assert catalogue.access("Group").why == "a roster"
    assert catalogue.access("Nonsense").kind == "denied"
    assert catalogue.access("observation").kind == "denied"
    assert catalogue.param("Observation", "_id") == catalogue.param("Group", "_id")
    assert catalogue.param("Group", "code") is None
    focus = catalogue.param("Observation", "focus")
    device = catalogue.param("Observation", "device")
    assert focus is not None
    assert device is not None
    assert focus.may_target("Patient")
    assert not device.may_target("Patient")
    assert catalogue.targets("Observation", "device") == frozenset({"Device"})
    assert catalogue.targets("Observation", "focus") == frozenset()
    assert catalogue.targets("Observation", "subject") is None  # the one parameter speaks of patients alone
    assert [path.text for path in catalogue.content("Observation").code] == ["code"]
    assert catalogue.content("Patient").exempt
    assert catalogue.content("Group") == ContentRow()
    assert catalogue.case("Group") is None
    patient, observation = catalogue.case("Patient"), catalogue.case("Observation")
    assert patient is not None
    assert observation is not None
    assert [path.text for path, _ in patient.outward] == ["managingOrganization"]
    assert [link.name for link in patient.inward] == ["*"]
    assert [link.name for link in inward_links(observation)] == ["Observation.focus", "Observation.device"]


@pytest.mark.parametrize(
    ("table", "place", "value", "says"),
    [
        ("search", ["extra"], 1, "extra"),
        ("search", ["fhirVersion"], "4.0", "fhirVersion"),
        ("search", ["types", "Observation", "code", "path"], [], "Observation.code"),
        ("search", ["types", "Observation", "code", "type"], "tokens", "Observation.code"),
        ("search", ["types", "Observation", "code", "paths"], ["Code"], "Observation.code"),
        ("search", ["types", "Observation", "code", "paths"], "code", "Observation.code"),
        ("search", ["types", "Observation", "both", "components"], ["code", "none"], "Observation.both"),
        ("search", ["types", "Observation", "code"], [], "Observation.code"),
        ("search", ["types", "Device"], {}, "Device"),
        ("compartment", ["extra"], 1, "compartment"),
        ("compartment", ["fhirVersion"], "5.0.0", "another FHIR release"),
        ("compartment", ["types", "Observation"], ["none"], "Observation.none"),
        ("compartment", ["types", "Observation"], ["device"], "Observation.device"),
        ("access", ["extra"], 1, "access"),
        ("access", ["types", "Nonsense"], {"kind": "shared"}, "Nonsense"),
        ("access", ["types", "Observation", "extra"], 1, "Observation"),
        ("access", ["types", "Observation", "kind"], "public", "Observation"),
        ("access", ["types", "Observation", "owner"], [], "Observation"),
        ("access", ["types", "Observation", "owner"], ["code"], "Observation.code"),
        ("access", ["types", "Observation", "narrow"], "_id", "Observation._id"),
        ("access", ["types", "Patient", "owner"], ["patient"], "Patient"),
        ("access", ["types", "Group", "why"], "", "Group"),
        ("access", ["types", "Group", "owner"], ["patient"], "Group"),
        ("access", ["types", "Organization", "narrow"], "_id", "Organization"),
        ("access", ["types", "Observation", "only"], "directives", "Observation"),
        ("access", ["types", "Organization", "only"], "directives", "Organization"),
        ("content", ["cases", "Patient", "takesPlace"], [], "cases.Patient.takesPlace"),
        ("content", ["cases", "Patient", "takesPlace"], "booked", "cases.Patient.takesPlace"),
        ("content", ["cases", "Patient", "takesPlace"], [1], "cases.Patient.takesPlace"),
        (
            "content",
            ["cases", "Observation", "in", "Observation.focus", "takesPlace"],
            ["x"],
            "Observation.focus",
        ),
        ("content", ["extra"], 1, "content"),
        ("content", ["fhirVersion"], "5.0.0", "another FHIR release"),
        ("content", ["types", "Group"], {}, "Group"),
        ("content", ["types", "Observation", "codes"], ["code"], "Observation"),
        ("content", ["types", "Observation", "code"], ["Code"], "Observation"),
        ("content", ["types", "Observation", "code"], ["code", "code"], "Observation.code"),
        ("content", ["types", "Observation", "code"], [], "Observation.code"),
        ("content", ["types", "Observation", "clinical"], ["effectiveDateTime"], "Observation.clinical"),
        ("content", ["types", "Observation", "clinical"], [], "clinical ones"),
        ("content", ["types", "Observation", "clinical"], "effectiveDateTime", "Observation"),
        ("content", ["types", "Observation", "exempt"], True, "Observation"),
        ("content", ["types", "Patient", "exempt"], False, "Patient"),
        ("content", ["types"], [], "content"),
        ("content", ["types", "Observation", "encounter"], ["Encounter"], "Observation"),
        ("content", ["cases"], [], "cases"),
        ("content", ["cases", "Nonsense"], {}, "Nonsense"),
        ("content", ["cases", "Patient", "near"], {}, "cases.Patient"),
        ("content", ["cases", "Patient", "out"], ["managingOrganization"], "cases.Patient.out"),
        ("content", ["cases", "Patient", "out", "Organization"], {}, "cases.Patient"),
        ("content", ["cases", "Patient", "out", "managingOrganization"], None, "managingOrganization"),
        ("content", ["cases", "Patient", "in", "*"], {"search": "focus", "in": {"*": {}}}, "cases.Patient"),
        ("content", ["cases", "Patient", "in", "*"], None, "cases.Patient"),
        ("content", ["cases", "Observation", "in", "Observation.focus", "search"], "device", "device"),
        ("content", ["cases", "Observation", "in", "Observation.focus", "search"], "none", "none"),
        ("content", ["cases", "Observation", "in", "Observation.focus", "in"], {}, "Observation.focus"),
        (
            "content",
            ["cases", "Observation", "in", "Observation.focus"],
            {"in": {"*": {}}},
            "Observation.focus",
        ),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(table: str, place: list[str], value: object, says: str) -> None:
    tables = copy.deepcopy(
        {"search": SEARCH, "compartment": COMPARTMENT, "access": ACCESS, "content": CONTENT}
    )
    tables["content"]["types"]["Observation"]["until"] = ["effectivePeriod"]
    node: Any = tables[table]
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = value
    with pytest.raises(ValueError, match=says):
        Catalogue.parse(*tables.values())


def test_a_type_without_an_access_row_is_an_error() -> None:
    access = copy.deepcopy(ACCESS)
    del access["types"]["Group"]
    with pytest.raises(ValueError, match="Group"):
        Catalogue.parse(SEARCH, COMPARTMENT, access, CONTENT)
