from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.consent.labels import (
    ACT_CODE,
    CONFIDENTIALITY,
    HANDLING,
    LABELS,
    LEVELS,
    SENSITIVITIES,
    LabelRule,
)
from gateway.core.values import Label
from tests.core.consent.build import label

LEVEL_CASES = [
    ("", "N"),
    ("N", "N"),
    ("U", "U"),
    ("L M", "M"),
    ("V R", "V"),
    ("HIV", "R"),
    ("N HIV", "R"),
    ("V HIV", "V"),
    ("MASK", "N"),
    ("http://terminology.hl7.org/CodeSystem/v3-ObservationValue|REDACTED", "N"),
    ("http://terminology.hl7.org/CodeSystem/v3-ActReason|HTEST", "N"),
    ("http://terminology.hl7.org/CodeSystem/v3-ActReason|TREAT", "R"),
    ("42CFRPart2", "R"),
    ("NEVERHEARD", "R"),
    ("|HIV", "R"),
    ("https://x.example|anything", "R"),
    # What may be any code of v3-Confidentiality may be V.
    (f"{CONFIDENTIALITY}|HIV", "V"),
    (f"{CONFIDENTIALITY}|NR", "V"),
    (f"{CONFIDENTIALITY}|v", "V"),
    ("|", "V"),
    ("|v", "V"),
    ("|N", "R"),
    ("https://x.example|V", "V"),
    ("hiv", "R"),
    ("http://hl7.org/fhir/v3/Confidentiality|V", "V"),
    ("urn:oid:2.16.840.1.113883.5.25|U", "U"),
]


@pytest.mark.parametrize(("texts", "level"), LEVEL_CASES)
def test_level(texts: str, level: str) -> None:
    assert LABELS.marks(map(label, texts.split())).level == LEVELS.index(level)


def test_an_alias_is_the_system_itself() -> None:
    for system in (
        "http://hl7.org/fhir/v3/ActCode",
        "urn:oid:2.16.840.1.113883.5.4",
        "http://terminology.hl7.org/ValueSet/v3-InformationSensitivityPolicy",
    ):
        marks = LABELS.marks([Label(system, "HIV")])
        assert marks == LABELS.marks([Label(ACT_CODE, "HIV")])
        assert marks.sensitivities == {"HIV"}
        assert not marks.foreign
    assert LABELS.marks([Label("http://hl7.org/fhir/v3/ActCodes", "HIV")]).foreign


# Rule, record: does a deny reach it, does a permit.
REACH = [
    ("R", "R", True, True),
    ("R", "N", False, True),
    ("R", "V", True, False),
    ("U", "", True, False),
    ("V", "HIV", False, True),
    # Abuse is V by itself; who names it means it, whatever the level beside it.
    ("V", "SDV", True, True),
    ("R", "SDV", True, False),
    ("R", "VIO", True, False),
    ("SDV", "SDV", True, True),
    ("N SDV", "SDV", True, True),
    ("N SDV", "SDV V", True, False),
    ("N SDV", "VIO", True, False),
    ("HIV", "HIV", True, True),
    ("HIV", "", False, False),
    ("HIV", "STD", False, False),
    ("HIV", "HIV STD", True, False),
    ("HIV STD", "HIV STD", True, True),
    ("SUD", "ETH", True, True),
    ("ETH", "SUD", True, True),
    ("ETH", "OPIOIDUD", True, True),
    ("BH", "MH", False, False),
    ("PSY", "MH", True, True),
    ("MH", "PSY", True, True),
    ("MH", "PSYTHPN", True, True),
    ("PSYTHPN", "MH", False, False),
    ("PSY", "SUD", False, False),
    ("SPI", "COGN", True, True),
    ("SCA", "SICKLE", True, True),
    ("R HIV", "STD", True, False),
    ("R HIV", "R", True, True),
    ("R HIV", "HIV V", True, False),
    ("HIV", "HIV V", True, True),
    ("HIV", "HIV https://x.example|Z", True, False),
    ("HIV https://x.example|Z", "HIV https://x.example|Z", True, True),
    ("https://x.example|Z", "https://x.example|Z", True, True),
    ("https://x.example|Z", "https://y.example|Z", False, False),
    ("https://x.example|Z", "|Z", True, False),
    ("HIV", "https://x.example|", True, False),
    ("42CFRPart2", "42CFRPart2", True, True),
    ("42CFRPart2", "HIV", False, False),
    ("MASK", "MASK", True, True),
    ("MASK", "", False, False),
    # A label that may be a misspelt one, or one that is newer than the tables.
    ("HIV", "hiv", True, False),
    ("HIV", "NEVERHEARD", True, False),
    ("HIV", f"{CONFIDENTIALITY}|X", True, False),
    ("HIV", "|hiv", True, False),
    ("HIV", "|NEVERHEARD", True, False),
    ("HIV", "|STD", False, False),
    ("HIV", "|N", False, False),
    ("HIV", "|mask", False, False),
    ("HIV", "https://x.example|hiv", True, False),
    ("HIV", "https://x.example|NEVERHEARD", False, False),
    ("MASK", "mask", True, False),
    ("R HIV", "hiv", True, False),
    ("V", "hiv", False, True),
    ("V", f"{CONFIDENTIALITY}|v", True, True),
    ("R", f"{CONFIDENTIALITY}|v", True, False),
    ("V", "|V", True, True),
    ("https://x.example|Z", "NEVERHEARD", False, False),
    ("https://x.example|Z", "https://x.example|z", True, False),
]


@pytest.mark.parametrize(("rule", "record", "denied", "permitted"), REACH)
def test_reach(rule: str, record: str, denied: bool, permitted: bool) -> None:
    named = LABELS.rule(rule.split())
    assert named is not None
    marks = LABELS.marks(map(label, record.split()))
    assert (named.denies(marks), named.permits(marks)) == (denied, permitted)


@pytest.mark.parametrize("code", ["HIV ", " HIV", "hiv", "Hiv\t"])
@pytest.mark.parametrize("system", [ACT_CODE, CONFIDENTIALITY, "", "https://x.example"])
def test_a_padded_or_small_code_does_not_pass_a_deny(system: str, code: str) -> None:
    denied, other = LABELS.rule(["HIV"]), LABELS.rule(["https://y.example|Z"])
    assert denied is not None
    assert other is not None
    marks = LABELS.marks([Label(system, code)])
    assert denied.denies(marks)
    assert not denied.permits(marks)
    assert not other.denies(marks)


def test_a_rule_without_labels_is_no_rule() -> None:
    assert LABELS.rule(()) is None


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("R", True), ("HIV", True), ("MASK", True), ("ETHUD", True),
        (f"{ACT_CODE}|HIV", True), (f"{ACT_CODE}|HIVV", False), (f"{CONFIDENTIALITY}|X", False),
        ("https://x.example|anything", True),
        ("hiv", False), ("NR", False), ("", False), ("X", False),
    ],
)  # fmt: skip
def test_what_a_consent_can_name(text: str, known: bool) -> None:
    assert LABELS.knows(text) is known


COVERS = [
    ("U", "HIV", True),
    ("U", "V", True),
    ("HIV", "HIV", True),
    ("SUD", "ETHUD", True),
    ("ETHUD", "SUD", False),
    ("HIV", "HIV STD", False),
    ("HIV", "HIV N", False),
    ("R", "HIV", False),
]


@pytest.mark.parametrize(("deny", "permit", "covered"), COVERS)
def test_covers(deny: str, permit: str, covered: bool) -> None:
    assert _rule(deny).covers(_rule(permit)) is covered


def _rule(texts: str) -> LabelRule:
    rule = LABELS.rule(texts.split())
    assert rule is not None
    return rule


NAMES = (
    sorted(SENSITIVITIES.codes) + list(LEVELS) + ["MASK", "NEVERHEARD", "hiv", "https://x.example|Z", "|HIV"]
)
RULES = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(LABELS.rule)
RECORDS = st.frozensets(st.sampled_from(NAMES).map(label), max_size=3)


@given(RULES, RECORDS, st.sampled_from(NAMES).map(label))
def test_another_label_never_frees_a_record_from_a_deny(
    rule: LabelRule, record: frozenset[Label], added: Label
) -> None:
    if rule.denies(LABELS.marks(record)) and added.system != CONFIDENTIALITY:
        assert rule.denies(LABELS.marks(record | {added}))


@given(RULES, RULES, RECORDS)
def test_a_covering_deny_denies_all_that_is_permitted(
    deny: LabelRule, permit: LabelRule, record: frozenset[Label]
) -> None:
    marks = LABELS.marks(record)
    if deny.covers(permit) and permit.permits(marks):
        assert deny.denies(marks)


def test_the_tables_share_no_code() -> None:
    assert not {one.code for one in HANDLING if one.system == ACT_CODE} & SENSITIVITIES.codes
