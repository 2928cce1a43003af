"""Consents of each release and the rules that they are; what is refused, with every place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.consent.document import format_document, parse
from gateway.core.consent.fhir.read import read
from gateway.core.consent.fhir.terms import Read, Refusal, Terms
from gateway.core.consent.fhir.write import Fits, Misfit, write
from gateway.core.fhir.catalogue import Release
from gateway.core.values import ConsentRef
from tests.consents.ledger import parse_scope
from tests.core.consent.fhir.said import BASE, TYPES, cases, may_agree, outcome, said

READ = [*cases("r4"), *cases("r5")]
REFUSED = cases("refused")
PAIRS = cases("pairs")
"""The same rule, as R4 and as R5 have it."""


def _id(case: dict[str, Any]) -> str:
    return f"{case['release']} {case['name']}"


@pytest.mark.parametrize("case", READ, ids=_id)
def test_a_consent_is_the_rule_that_it_says(case: dict[str, Any]) -> None:
    found = outcome(case["release"], case["consent"], **case.get("settings", {}))
    assert isinstance(found, Read), found
    assert said(found.consent) == case["rule"]
    assert [warning.place for warning in found.warnings] == case.get("warnings", [])
    if "grantor" in case:
        assert found.consent.grantor == case["grantor"]


@pytest.mark.parametrize("release", ["R4", "R4B", "R5"])
@pytest.mark.parametrize("pair", PAIRS, ids=[pair["name"] for pair in PAIRS])
def test_a_rule_is_the_same_from_each_release(pair: dict[str, Any], release: Release) -> None:
    consent = pair["R5" if release == "R5" else "R4"]
    found = outcome(release, consent, **pair.get("settings", {}))
    assert isinstance(found, Read), found
    assert said(found.consent) == pair["rule"]


@pytest.mark.parametrize("read_as", ["R4", "R4B", "R5"])
@pytest.mark.parametrize("written_as", ["R4", "R4B", "R5"])
@pytest.mark.parametrize("pair", PAIRS, ids=[pair["name"] for pair in PAIRS])
def test_a_rule_goes_from_one_release_into_another(
    pair: dict[str, Any], read_as: Release, written_as: Release
) -> None:
    """Where the other has no words for it, nothing is written."""
    found = outcome(read_as, pair["R5" if read_as == "R5" else "R4"], **pair.get("settings", {}))
    assert isinstance(found, Read)
    ref = ConsentRef(found.consent.id, 3, "A" * 43)
    consent = replace(found.consent, refs=(ref,), grantor=found.consent.grantor or "Patient/pat-a")
    made = write(consent, written_as)
    assert isinstance(made, Misfit) == (written_as in pair.get("none", ()))
    if isinstance(made, Fits):
        again = read(made.tree, written_as, "c-1", Terms((BASE,), TYPES, may_agree))
        assert isinstance(again, Read), again
        assert said(again.consent) == pair["rule"]


@pytest.mark.parametrize("case", READ, ids=_id)
def test_every_rule_can_be_kept(case: dict[str, Any]) -> None:
    found = outcome(case["release"], case["consent"], **case.get("settings", {}))
    assert isinstance(found, Read)
    assert parse(format_document(found.consent), parse_scope) == found.consent


@pytest.mark.parametrize("case", REFUSED, ids=_id)
def test_what_cannot_be_honoured_is_refused_with_its_places(case: dict[str, Any]) -> None:
    found = outcome(case["release"], case["consent"], **case.get("settings", {}))
    assert isinstance(found, Refusal), said(found.consent)
    assert len(found.problems) == len(case["problems"]), found.problems
    for problem, expected in zip(found.problems, case["problems"], strict=True):
        assert str(problem) == expected if ": " in expected else problem.place == expected


@pytest.mark.parametrize("case", REFUSED, ids=_id)
def test_what_is_in_force_and_not_understood_has_something_stand_for_it(case: dict[str, Any]) -> None:
    found = outcome(case["release"], case["consent"], **case.get("settings", {}))
    assert isinstance(found, Refusal)
    assert found.aside == case.get("aside", False)
    stands = not found.aside and case.get("instead", True)
    assert (found.instead is not None) == stands
    if found.instead is not None:
        assert (found.instead.patient, found.instead.malformed) == ("pat-a", True)
        assert found.instead.root.match.opaque


@pytest.mark.parametrize("tree", [[], "Consent", {}, {"resourceType": "Patient"}, None], ids=repr)
def test_what_is_no_consent_is_nothing(tree: Any) -> None:
    found = read(tree, "R4", "c-1", Terms((), TYPES, may_agree))
    assert isinstance(found, Refusal)
    assert [problem.place for problem in found.problems] == ["Consent.resourceType"]
    assert found.instead is None


@pytest.mark.parametrize("depth", [15, 16], ids=["as deep as may be", "one deeper"])
def test_how_deep_provisions_may_be(depth: int) -> None:
    inner: dict[str, Any] = {"type": "deny", "purpose": [TREAT]}
    for _ in range(depth - 1):
        inner = {"type": "permit", "provision": [inner]}
    found = outcome("R4", {"provision": {"type": "permit", "provision": [inner]}})
    assert isinstance(found, Read if depth == 15 else Refusal)


TREAT = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}
