"""ADOL: by birth date and dates of the record, each boundary with its near miss."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.fhir.literals import Interval
from gateway.core.labels.age import is_sensitive, may_be_of_age
from gateway.core.labels.findings import ADOLESCENT, UNDETERMINED, Policy
from gateway.core.labels.labeller import wanted
from gateway.core.values import Label, Ref
from tests.core.labels.tables import labeller
from tests.core.labels.test_spread import CATEGORY, condition

AGES = (12, 18)
BY = labeller(adolescent=AGES)
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
OWNERS = frozenset({"teen"})


def known(records: Mapping[str, dict[str, Any]]) -> Any:
    """What the records say of themselves, all of one patient."""
    said = {name: BY.found(name.partition("/")[0], tree, OWNERS) for name, tree in records.items()}
    return lambda ref: said.get(str(ref))


def patient(birth: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "teen", **({} if birth is None else {"birthDate": birth})}


def found(
    tree: Mapping[str, Any], birth: Any = "2010-05-02", around: Mapping[str, Any] | None = None
) -> set[tuple[str, bool]]:
    """The labels of a record of a patient born then, with whether each can be taken out."""
    look = known({"Patient/teen": patient(birth), **(around or {})})
    labelled = BY.label(tree["resourceType"], dict(tree), look, OWNERS)
    return {(one.label.code, one.separable) for one in labelled.contributions}


BOUNDS = [
    ("2022-04-30", False),
    ("2022-05-01T09:00:00Z", False),
    ("2022-05-01T12:00:00Z", True),  # the birthday has begun in the east
    ("2022-05-02", True),
    ("2025-01-01T00:00:00Z", True),
    ("2028-05-01", True),
    ("2028-05-01T23:30:00-05:00", True),
    ("2028-05-03", False),
    ("2028-05-02T15:00:00Z", False),
    ("2028", True),
    ("2028-06", False),
    ("2029", False),
    ("2021", False),
    ("not a date", True),
]


@pytest.mark.parametrize(("dated", "adolescent"), BOUNDS)
def test_from_one_birthday_up_to_another(dated: str, adolescent: bool) -> None:
    said = found(condition("F32.9", onsetDateTime=dated))
    assert said == {("MH", False), *([("ADOL", False)] if adolescent else [])}
    assert found(condition("J11.1", onsetDateTime=dated)) == set(), "influenza is nobody's secret"


@pytest.mark.parametrize(
    ("birth", "dated", "adolescent"),
    [
        ("2010", "2027-12-31", True),
        ("2010", "2028-12-30", True),
        ("2010", "2029-01-02", False),
        ("2010", "2021-12-30", False),
        ("2010-05", "2028-05-30", True),
        ("2010-05", "2028-06-02", False),
        (None, "1950-01-01", True),
        (7, "1950-01-01", True),
        ("around 2010", "1950-01-01", True),
        ("1950", "2020-01-01", False),
        ("1888-02-29", "1900-02-27T09:00:00Z", False),
        ("1888-02-29", "1900-02-27T12:00:00Z", True),  # 1900 had no such day, so the one before counts
        ("2008-02-29", "2020-02-28T09:00:00Z", False),
        ("2008-02-29", "2020-02-28T12:00:00Z", True),
        ("2008-02-29", "2026-03-01", True),
        ("2008-02-29", "2026-03-03", False),
        ("9990", "9999-12-31", True),
    ],
)
def test_who_is_born_somewhen_may_be_so_old(birth: Any, dated: str, adolescent: bool) -> None:
    said = found(condition("F32.9", onsetDateTime=dated), birth)
    assert (("ADOL", False) in said) == adolescent


@pytest.mark.parametrize(
    ("times", "adolescent"),
    [
        ({}, True),
        ({"onsetAge": {"value": 3}}, True),
        ({"onsetDateTime": "2015-01-01"}, False),
        ({"onsetDateTime": "2015-01-01", "recordedDate": "2024-01-01"}, True),
        ({"onsetDateTime": "2015-01-01", "abatementDateTime": "2024-01-01"}, True),
        ({"onsetDateTime": "2015-01-01", "meta": {"lastUpdated": "2024-01-01T00:00:00Z"}}, False),
        ({"onsetPeriod": {"start": "2015-01-01"}}, True),
        ({"onsetPeriod": {"end": "2016-01-01"}}, False),
    ],
)
def test_any_date_of_the_record_counts_and_none_is_any(times: dict[str, Any], adolescent: bool) -> None:
    assert (("ADOL", False) in found(condition("F32.9", **times))) == adolescent


def test_it_goes_with_what_is_sensitive() -> None:
    reasons = [condition("F32.9")["code"], condition("J11.1")["code"]]
    request = {"resourceType": "MedicationRequest", "authoredOn": "2024-01-01", "reasonCode": reasons}
    labelled = BY.label("MedicationRequest", request, known({"Patient/teen": patient("2010")}), OWNERS)
    assert {(one.label.code, one.place, one.separable) for one in labelled.contributions} == {
        ("MH", ("reasonCode", 0), True),
        ("ADOL", ("reasonCode", 0), True),
    }


def test_words_are_anything_already() -> None:
    said = found(condition("J11.1", onsetDateTime="2024-01-01", note=[{"text": "x"}]))
    assert said == {("undetermined", True)}


@pytest.mark.parametrize(
    ("code", "adolescent"),
    [("SUD", True), ("PRS", True), ("VIP", False), ("DEMO", False), ("ADOL", False), ("NEW-ONE", True)],
)
def test_what_the_upstream_labels_counts(code: str, adolescent: bool) -> None:
    meta = {"security": [{"system": ACT, "code": code}]}
    said = found(condition("J11.1", onsetDateTime="2024-01-01", meta=meta))
    assert said == {(code, False), *([("ADOL", False)] if adolescent else [])}


def test_what_comes_along_a_reference_has_the_years_of_either() -> None:
    def observed(day: str) -> dict[str, Any]:
        return {**condition("F32.9"), "resourceType": "Observation", "effectiveDateTime": day}

    def reported(day: str) -> dict[str, Any]:
        result = [{"reference": "Observation/o"}]
        return {"resourceType": "DiagnosticReport", "effectiveDateTime": day, "result": result}

    young, grown = "2024-01-01", "2041-01-01"
    for report, result, adolescent in (
        (grown, grown, False),
        (grown, young, True),
        (young, grown, True),
        (young, young, True),
    ):
        said = found(reported(report), "2010-05-02", {"Observation/o": observed(result)})
        assert (("ADOL", False) in said) == adolescent
        assert ("MH", False) in said


def test_the_patient_is_asked_for_where_age_can_matter() -> None:
    teen = Ref("Patient", "teen")
    lab = [{"coding": [{"system": CATEGORY, "code": "laboratory"}]}]
    cases: list[tuple[dict[str, Any], bool]] = [
        (condition("F32.9"), True),
        (condition("J11.1"), False),
        (condition("J11.1", encounter={"reference": "Encounter/e"}), True),
        ({"resourceType": "Observation", "category": lab}, False),
    ]
    for tree, matters in cases:
        assert (teen in set(wanted(BY.found(tree["resourceType"], tree, OWNERS)))) == matters
        assert teen not in set(wanted(labeller().found(tree["resourceType"], tree, OWNERS)))
    assert teen not in set(wanted(BY.found("Condition", condition("F32.9"))))


def test_of_several_patients_one_is_enough() -> None:
    around = {"Patient/teen": patient("2010"), "Patient/adult": patient("1970")}
    tree = condition("F32.9", onsetDateTime="2024-01-01")
    for owners, adolescent in (({"adult"}, False), ({"adult", "teen"}, True), ({"adult", "gone"}, True)):
        labelled = BY.label("Condition", tree, known(around), frozenset(owners))
        assert (ADOLESCENT in labelled.labels) == adolescent


@pytest.mark.parametrize(
    "odd", [{"meta": []}, {"meta": {"security": 7}}, {"onsetDateTime": {}}, {"birthDate": []}]
)
def test_odd_records_do_not_fail(odd: dict[str, Any]) -> None:
    for kind in ("Condition", "Patient"):
        BY.label(kind, {**condition("F32.9"), "resourceType": kind, **odd}, owners=OWNERS)


DAYS = st.dates(date(1900, 1, 1), date(2100, 12, 31))


@given(born=DAYS, dated=DAYS, first=st.integers(0, 20), years=st.integers(1, 20))
def test_it_is_what_counting_birthdays_says_give_or_take_a_day(
    born: date, dated: date, first: int, years: int
) -> None:
    age = dated.year - born.year - ((dated.month, dated.day) < (born.month, born.day))
    said = may_be_of_age((first, first + years), day(born), [day(dated)])
    if first <= age < first + years:
        assert said
    if said:
        near = [dated + timedelta(days=step) for step in (-2, -1, 0, 1, 2)]
        ages = [each.year - born.year - ((each.month, each.day) < (born.month, born.day)) for each in near]
        assert any(first <= each < first + years for each in ages)


def day(of: date) -> Interval:
    low = datetime(of.year, of.month, of.day, tzinfo=UTC)
    return Interval(low, low + timedelta(days=1))


def test_free_text_and_levels_are_not_sensitive() -> None:
    assert not is_sensitive(UNDETERMINED)
    assert not is_sensitive(Label("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "R"))
    assert is_sensitive(Label("http://hospital.example/labels", "x"))


@pytest.mark.parametrize("ages", [(18, 12), (12, 12), (-1, 12)])
def test_years_run_forwards(ages: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="from one age to a later one"):
        Policy(adolescent=ages)
