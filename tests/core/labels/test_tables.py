"""The tables that come with the gateway are sound; a table that is not is refused, with its place."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any, get_args

import pytest

from gateway import mapping
from gateway.core.consent.labels import LABELS
from gateway.core.fhir.catalogue import Release
from gateway.core.labels.codes import NEVER_BY_CODE, CodeTable, parse_rows, parse_systems
from gateway.core.labels.findings import Policy
from gateway.core.labels.found import Finder
from gateway.core.labels.places import parse_places
from gateway.errors import ConfigError

FILES = {
    path.name: json.loads(path.read_text("utf-8"))
    for path in sorted((mapping.folder() / "sensitivity").glob("*.json"))
}
SYSTEMS = mapping.load_table("code-systems.json")
PLACES = mapping.load_table("label-places.json")


def rows(files: dict[str, Any] = FILES) -> Any:
    return parse_rows(files, parse_systems(SYSTEMS), parse_places(PLACES).knows)


def test_there_is_a_file_for_each_category() -> None:
    assert [name.removesuffix(".json") for name in FILES] == [
        "genetics", "hiv", "mental-health", "reproductive", "std", "substance-use", "violence",
    ]  # fmt: skip
    assert len(rows()) == sum(len(table["rows"]) for table in FILES.values()) > 150


def test_every_label_is_known_and_none_is_one_that_no_code_tells() -> None:
    labels = {row.label.code for row in rows()}
    assert all(LABELS.knows(label) for label in labels)
    assert not labels & NEVER_BY_CODE


def test_the_rows_that_nobody_checked_label_nothing_by_default() -> None:
    unsure = {row.code for row in rows() if row.confidence < 0.5}
    assert unsure == {"75544000", "F01-F09", "F50-F59", "F70-F79", "F80-F89"}


def test_no_description_of_a_code_is_shipped() -> None:
    """Codes are facts; the texts of SNOMED CT, LOINC and CPT are not ours to give."""
    for table in FILES.values():
        for row in table["rows"]:
            assert row.keys() == {"code", "system", "label", "confidence", "source", "separable_paths"}
            assert row["system"] != "cpt"
        systems = {row["system"] for row in table["rows"]}
        assert ("LOINC" in table["licence"]) == ("loinc" in systems)
        assert ("SNOMED" in table["licence"]) == ("snomed" in systems)


def test_places_are_of_types_that_exist() -> None:
    types = frozenset().union(*(mapping.load_catalogue(r).types for r in get_args(Release)))
    named = {kind for key, value in PLACES.items() if isinstance(value, dict) for kind in value}
    assert named - types == {"*"}


def test_the_tables_count_in_the_policy() -> None:
    files = {path.name for path in mapping.folder().glob("**/*.json")}
    assert {*FILES, "code-systems.json", "label-places.json"} <= files  # which is what `digest` reads


def _first_row(change: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    return lambda files: files["hiv.json"]["rows"][0].update(change)


WRONG: list[tuple[str, Callable[[dict[str, Any]], Any], str]] = [
    ("a key too many", _first_row({"descriptor": "x"}), "hiv.json row 1: unknown or missing key descriptor"),
    ("a key too few", lambda f: f["hiv.json"]["rows"][1].pop("source"), "hiv.json row 2: .* key source"),
    ("a header too few", lambda f: f["hiv.json"].pop("licence"), "hiv.json: .* key licence"),
    ("no rows", lambda f: f["hiv.json"].update(rows={}), "hiv.json: rows and valueSets are lists"),
    ("a code of no form", _first_row({"code": "B2"}), "hiv.json row 1: 'B2' is no code of icd-10-cm"),
    ("a system nobody knows", _first_row({"system": "icd-11"}), "hiv.json row 1: system is none of"),
    ("a label nobody knows", _first_row({"label": "HVI"}), "hiv.json row 1: label is no sensitivity"),
    *(
        (
            f"a label by nobody's code: {label}",
            _first_row({"label": label}),
            "hiv.json row 1: label comes from",
        )
        for label in sorted(NEVER_BY_CODE)
    ),
    ("a level for a label", _first_row({"label": "R"}), "hiv.json row 1: label is no sensitivity"),
    ("a confidence too high", _first_row({"confidence": 1.1}), "hiv.json row 1: confidence"),
    ("none at all", _first_row({"confidence": 0}), "hiv.json row 1: confidence"),
    ("a truth for a number", _first_row({"confidence": True}), "hiv.json row 1: confidence"),
    ("a place nobody knows", _first_row({"separable_paths": ["Claim.item"]}), "row 1: separable_paths"),
    ("an empty source", _first_row({"source": ""}), "hiv.json row 1: source is a text"),
    (
        "a row twice",
        lambda f: f["std.json"]["rows"].append(f["hiv.json"]["rows"][0]),
        "std.json row 6: says again what hiv.json row 1 says",
    ),
]


@pytest.mark.parametrize(("change", "said"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_wrong_table_is_refused(change: Callable[[dict[str, Any]], Any], said: str) -> None:
    files = copy.deepcopy(FILES)
    change(files)
    with pytest.raises(ValueError, match=said):
        rows(files)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"separable": {"*": ["Note"]}}, "separable.*: is not a list of paths"),
        ({"separable": {"claim": ["note"]}}, "separable.claim: is not a list of paths"),
        ({"upward": {"Claim": ["item", "item"]}}, "upward.Claim: names a path twice"),
        ({"context": []}, "context: is not an object"),
        ({"routine": {"Claim": None}}, "routine: is lists"),
        ({"sideways": {}}, "unknown or missing key sideways"),
    ],
)
def test_wrong_places_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_places({**PLACES, **change})


def test_a_row_may_name_single_places() -> None:
    files = copy.deepcopy(FILES)
    files["hiv.json"]["rows"][0]["separable_paths"] = ["Claim.diagnosis", "*.reasonCode"]
    named = next(row for row in rows(files) if row.basis == "hiv.json row 1")
    assert named.is_separable_at("Claim.diagnosis")
    assert not named.is_separable_at("*.note")


B20 = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "B20"}]}
DIAGNOSIS, SUPPORTING = {"diagnosisCodeableConcept": B20}, {"code": B20}


@pytest.mark.parametrize(
    ("paths", "kind", "elements", "place", "separable"),
    [
        (["Claim.diagnosis"], "Claim", {"diagnosis": [DIAGNOSIS]}, "diagnosis.0", True),
        (["Claim.diagnosis"], "Claim", {"supportingInfo": [SUPPORTING]}, "supportingInfo.0.code", False),
        (
            ["Claim.diagnosis"],
            "ExplanationOfBenefit",
            {"diagnosis": [DIAGNOSIS]},
            "diagnosis.0.diagnosisCodeableConcept",
            False,
        ),
        (["*.reasonCode"], "MedicationRequest", {"reasonCode": [B20]}, "reasonCode.0", True),
        (
            ["*.reasonCode"],
            "Claim",
            {"diagnosis": [DIAGNOSIS]},
            "diagnosis.0.diagnosisCodeableConcept",
            False,
        ),
        (["*"], "Claim", {"supportingInfo": [SUPPORTING]}, "supportingInfo.0", True),
        (["*"], "Condition", {"code": B20}, "code", False),
        ([], "Claim", {"diagnosis": [DIAGNOSIS]}, "diagnosis.0.diagnosisCodeableConcept", False),
    ],
)
def test_a_code_is_taken_out_only_where_its_row_says(
    paths: list[str], kind: str, elements: dict[str, Any], place: str, separable: bool
) -> None:
    row = {"code": "B20", "system": "icd-10-cm", "label": "HIV", "confidence": 1.0, "source": "a test"}
    files = {"own.json": {**FILES["hiv.json"], "rows": [{**row, "separable_paths": paths}]}}
    _, systems, places = mapping.load_label_tables()
    codes, content = CodeTable(rows(files), systems), mapping.load_catalogue("R4").content
    finder = Finder(codes, places["R4"], Policy(), lambda _: None, content)
    [found] = finder.find(kind, {"resourceType": kind, **elements}, frozenset()).contributions
    assert (found.label.code, found.separable, found.basis) == ("HIV", separable, "own.json row 1")
    assert ".".join(map(str, found.place)).partition(".coding")[0] == place


def test_without_usable_tables_the_gateway_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    read = mapping.load_table

    def broken(name: str) -> Any:
        return {} if name == "code-systems.json" else read(name)

    monkeypatch.setattr(mapping, "load_table", broken)
    mapping.load_label_tables.cache_clear()
    try:
        with pytest.raises(ConfigError, match=r"mappings/code-systems\.json: unknown or missing key"):
            mapping.load_label_tables()
    finally:
        mapping.load_label_tables.cache_clear()


def test_all_that_is_wrong_is_told_at_once() -> None:
    files = copy.deepcopy(FILES)
    files["genetics.json"].pop("licence")
    files["hiv.json"]["rows"][2]["label"] = "HVI"
    files["hiv.json"]["rows"][4]["confidence"] = 2
    files["std.json"]["rows"][0] = []
    with pytest.raises(ValueError, match="genetics") as caught:
        rows(files)
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        "genetics.json",
        "hiv.json row 3",
        "hiv.json row 5",
        "std.json row 1",
    ]
