"""Drugs that should not be taken together."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.drugs import Interactions, medication_of, parse_interactions
from gateway.core.fhir.catalogue import Release
from gateway.core.values import Ref
from gateway.mapping import load_catalogue, load_interactions

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
BASES = ("https://gw.example/fhir", "http://up.example/fhir")
TABLE: dict[str, Any] = {
    "origin": "made up",
    "licence": "none",
    "system": RXNORM,
    "drugs": {
        name: {"codes": codes, "source": "made up"}
        for name, codes in {"a": ["1"], "b": ["2"], "c": ["3", "4"], "d": ["5"]}.items()
    },
    "pairs": [{"one": "a", "with": ["b", "c"], "source": "made up"}],
}
BOTH = {name: {"codes": [code, "12"], "source": "made up"} for name, code in (("a", "1"), ("b", "2"))}
KNOWN = parse_interactions(TABLE | {"drugs": TABLE["drugs"] | BOTH})


def drug(*codes: str, system: str = RXNORM) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code} for code in codes]}


def contents(
    record: dict[str, Any], release: Release = "R4", **medications: dict[str, Any]
) -> set[str] | None:
    known = {Ref("Medication", name): tree for name, tree in medications.items()}
    found = KNOWN.contents(
        {"resourceType": "MedicationRequest"} | record, load_catalogue(release), BASES, known
    )
    return None if found is None else set(found)


A_B = frozenset({"a"}), frozenset({"b"})


@pytest.mark.parametrize(
    ("presented", "others", "alert"),
    [
        ({"a"}, [{"b"}], "possible"),
        ({"b"}, [{"a"}], "possible"),
        ({"a"}, [{"d"}, {"c"}], "possible"),
        ({"a"}, [{"b"}, None], "possible"),
        ({"d", "a"}, [{"c"}], "possible"),
        ({"b"}, [{"c"}], "none"),
        ({"a"}, [{"a"}], "none"),
        ({"a"}, [], "none"),
        ({"a"}, [{"d"}, None], "unknown"),
        (None, [{"b"}], "unknown"),
        (None, [], "unknown"),
    ],
    ids=str,
)
def test_alerts(presented: set[str] | None, others: list[set[str] | None], alert: str) -> None:
    known = [None if one is None else frozenset(one) for one in others]
    assert KNOWN.alert(None if presented is None else frozenset(presented), known) == alert


MEDICATION = {"resourceType": "Medication", "id": "m", "code": drug("3")}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"medicationCodeableConcept": drug("1")}, {"a"}),
        ({"medicationCodeableConcept": drug("99", "1")}, {"a"}),
        ({"medicationCodeableConcept": drug("12")}, {"a", "b"}),
        ({"medicationCodeableConcept": drug("99")}, None),
        ({"medicationCodeableConcept": drug("1", system="http://other")}, None),
        ({"medicationCodeableConcept": {"text": "a"}}, None),
        ({"medicationReference": {"reference": "Medication/m"}}, {"c"}),
        ({"medicationReference": {"reference": "http://up.example/fhir/Medication/m"}}, {"c"}),
        ({"medicationReference": {"reference": "Medication/n"}}, None),
        ({"medicationReference": {"reference": "#m"}, "contained": [MEDICATION]}, {"c"}),
        ({"medicationReference": {"reference": "#n"}, "contained": [MEDICATION]}, None),
        ({"medicationReference": {"reference": "#m"}, "contained": ["x", None]}, None),
        ({"reasonCode": [drug("1")]}, None),
        ({}, None),
    ],
    ids=str,
)
def test_contents(record: dict[str, Any], expected: set[str] | None) -> None:
    assert contents(record, m=MEDICATION) == expected


def test_r5_has_its_own_elements() -> None:
    assert contents({"medication": {"concept": drug("1")}}, "R5") == {"a"}
    referring = {"medication": {"reference": {"reference": "Medication/m"}}}
    assert contents(referring, "R5", m=MEDICATION) == {"c"}
    named = medication_of({"resourceType": "MedicationRequest"} | referring, load_catalogue("R5"), BASES)
    assert named == {Ref("Medication", "m")}


@pytest.mark.parametrize(
    "wrong",
    [
        {"more": 1},
        {"system": 1},
        {"drugs": {"a": ["1"]}},
        {"drugs": {"a": {"codes": ["1"]}}},
        {"drugs": {"a": {"codes": [], "source": "s"}}},
        {"drugs": {"a": {"codes": "1", "source": "s"}}},
        {"drugs": {"a": {"codes": [1], "source": "s"}}},
        {"pairs": [{"one": "a", "with": ["z"], "source": "s"}]},
        {"pairs": [{"one": "z", "with": ["a"], "source": "s"}]},
        {"pairs": [{"one": "a", "with": ["b"]}]},
        {"pairs": [["a", "b"]]},
    ],
    ids=str,
)
def test_what_is_wrong_with_a_table_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="interactions"):
        parse_interactions(TABLE | wrong)


def test_the_table_that_is_shipped() -> None:
    shipped: Interactions = load_interactions()
    assert len(shipped.pairs) > 50
    assert all(len(pair) == 2 for pair in shipped.pairs)
    assert shipped.alert(frozenset({"warfarin"}), [frozenset({"aspirin"})]) == "possible"
    assert shipped.alert(frozenset({"warfarin"}), [frozenset({"metformin"})]) == "none"
    assert shipped.names[RXNORM, "85762"] == {"ritonavir"}
    assert shipped.names[RXNORM, "10831"] == {"sulfamethoxazole", "trimethoprim"}
