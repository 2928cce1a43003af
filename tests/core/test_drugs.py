"""Drugs that should not be taken together."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.drugs import UNKNOWN, Drug, Interactions, medication_of, parse_interactions
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
    found = KNOWN.drug({"resourceType": "MedicationRequest"} | record, load_catalogue(release), BASES, known)
    return set(found.ingredients) if found.whole else None


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
    assert KNOWN.alert(known(presented), map(known, others)) == alert


def known(ingredients: set[str] | None) -> Drug:
    return UNKNOWN if ingredients is None else Drug(frozenset(ingredients), whole=True)


def test_what_is_known_of_a_drug_in_part_counts() -> None:
    part = Drug(frozenset({"a"}), whole=False)
    assert [KNOWN.alert(part, [known({other})]) for other in "bd"] == ["possible", "unknown"]
    assert [KNOWN.alert(known({other}), [part]) for other in "bd"] == ["possible", "unknown"]


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


def holding(*ingredients: Any, release: Release = "R4", **more: Any) -> tuple[set[str], bool]:
    name = "itemCodeableConcept" if release == "R4" else "item"
    listed = [{name: one if release == "R4" else {"concept": one}} for one in ingredients]
    medication = {"resourceType": "Medication", "id": "m", "ingredient": listed, **more}
    reference = {"reference": "Medication/m"}
    record = (
        {"medicationReference": reference} if release == "R4" else {"medication": {"reference": reference}}
    )
    found = KNOWN.drug(
        {"resourceType": "MedicationRequest", **record},
        load_catalogue(release),
        BASES,
        {Ref("Medication", "m"): medication},
    )
    return set(found.ingredients), found.whole


@pytest.mark.parametrize("release", ["R4", "R5"])
def test_each_ingredient_has_to_be_known(release: Release) -> None:
    assert holding(drug("1"), drug("2"), release=release) == ({"a", "b"}, True)
    assert holding(drug("1"), code=drug("3"), release=release) == ({"a", "c"}, True)
    assert holding(drug("1"), code=drug("99"), release=release) == ({"a"}, True)
    assert holding(drug("1"), drug("99"), release=release) == ({"a"}, False)
    assert holding(drug("99"), code=drug("3"), release=release) == ({"c"}, False)
    assert holding({"text": "a"}, code=drug("3"), release=release) == ({"c"}, False)
    assert holding(None, code=drug("3"), release=release) == ({"c"}, False)
    assert holding(code=drug("3"), release=release) == ({"c"}, True)


@pytest.mark.parametrize("listed", [{"itemReference": {"reference": "Substance/1"}}, None, "x", {}], ids=str)
def test_an_ingredient_of_which_nothing_is_said_is_not_known(listed: Any) -> None:
    medication = MEDICATION | {"ingredient": [listed]}
    assert contents({"medicationReference": {"reference": "Medication/m"}}, m=medication) is None


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
    assert shipped.alert(known({"warfarin"}), [known({"aspirin"})]) == "possible"
    assert shipped.alert(known({"warfarin"}), [known({"metformin"})]) == "none"
    assert shipped.names[RXNORM, "85762"] == {"ritonavir"}
    assert shipped.names[RXNORM, "10831"] == {"sulfamethoxazole", "trimethoprim"}
