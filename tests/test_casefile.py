"""Roles with a case, from the token to what is released: the case is followed through the record server."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from gateway.core.consent.rule import DataRef, Effect, Match, Node
from gateway.core.decide import decide
from gateway.core.fhir.candidate import Candidate
from gateway.core.fhir.facts import facts_of
from gateway.core.fhir.literals import parse_date
from gateway.core.plan import Deny, Permit
from gateway.core.roles.ceiling import Roles
from gateway.core.standing import House, Standing
from gateway.core.values import Ref, Token
from gateway.gather import gather
from gateway.mapping import load_profiles
from tests.core.consent.build import NOW_S, consents, permit
from tests.core.deciding import BASES, R4, View, request, token
from tests.support.hospital import Hospital, at, record

HOUSE = House(R4, BASES, roles=Roles(load_profiles()))
CHART = [
    {"resourceType": "Patient", "id": "85"},
    record("EpisodeOfCare/3"),
    record("Encounter/5", episodeOfCare=[at("EpisodeOfCare/3")], appointment=[at("Appointment/1")]),
    record("Encounter/6", episodeOfCare=[at("EpisodeOfCare/3")]),
    record("Encounter/4"),
    record("Observation/of-5", encounter=at("Encounter/5")),
    record("Observation/of-6", encounter=at("Encounter/6")),
    record("Observation/of-4", encounter=at("Encounter/4")),
    record("Condition/claimed", encounter=at("Encounter/4")),
    record("Condition/other", encounter=at("Encounter/5")),
    record("Procedure/8", encounter=at("Encounter/5")),
    record("Procedure/9", encounter=at("Encounter/5")),
    record("MedicationRequest/rx", encounter=at("Encounter/5"), status="completed"),
    record("MedicationRequest/rx-2", encounter=at("Encounter/5"), status="completed"),
    record("MedicationDispense/d", authorizingPrescription=[at("MedicationRequest/rx")]),
    record("MedicationDispense/d-2", authorizingPrescription=[at("MedicationRequest/rx-2")]),
    record("ServiceRequest/order", specimen=[at("Specimen/s")], performer=[at("Organization/lab")]),
    record("ServiceRequest/other"),
    record("Specimen/s"),
    record("Specimen/t"),
    record("DiagnosticReport/result", basedOn=[at("ServiceRequest/order")]),
    record("DiagnosticReport/old", basedOn=[at("ServiceRequest/other")]),
    record(
        "Claim/7",
        item=[{"encounter": [at("Encounter/5")]}],
        procedure=[{"sequence": 1, "procedureReference": at("Procedure/8")}],
        diagnosis=[{"sequence": 1, "diagnosisReference": at("Condition/claimed")}],
        prescription=at("MedicationRequest/rx"),
    ),
    record("Claim/6"),
    record("Appointment/1", start="2026-06-01T09:00:00Z", end="2026-06-01T09:30:00Z"),
    record("Appointment/2", start="2026-05-25T09:00:00Z", end="2026-05-25T09:30:00Z"),
    record("Encounter/25", appointment=[at("Appointment/2")]),
    record("Observation/of-25", encounter=at("Encounter/25")),
]


def limited(role: str, case: str | None, purposes: str = "TREAT", **more: Any) -> Token:
    root = None if case is None else Ref(*case.split("/"))
    return replace(token(purposes=purposes), role=role, case=root, **more)


async def released(
    who: Token, target: str, hospital: Hospital, now_s: int = NOW_S, *rules: Node
) -> list[str]:
    """The records that come, by `Type/id`; none at all for a refusal."""
    return sorted(str(one.facts.ref) for one in await candidates(who, target, hospital, now_s, *rules))


async def candidates(
    who: Token, target: str, hospital: Hospital, now_s: int = NOW_S, *rules: Node
) -> tuple[Candidate, ...]:
    given = consents(*(rules or (permit(),)), patient="85")
    decision = decide(request(target), Standing(who, View(given), HOUSE, now_s))
    if isinstance(decision, Deny):
        return ()
    assert isinstance(decision, Permit)
    read = partial(facts_of, catalogue=R4, bases=BASES)
    gathered = await gather(hospital, BASES, read, decision.plan)
    return () if isinstance(gathered, Deny) else gathered.candidates


PAYER = limited("payer", "Claim/7", "HPAYMT")
LABORATORY = limited("laboratory", "ServiceRequest/order", organization=Ref("Organization", "lab"))


@pytest.mark.parametrize(
    ("who", "target", "expected"),
    [
        (PAYER, "Procedure", ["Procedure/8"]),
        (PAYER, "Procedure/8", ["Procedure/8"]),
        (PAYER, "Procedure/9", []),
        (PAYER, "Claim", ["Claim/7"]),
        (PAYER, "Condition", ["Condition/claimed"]),
        (PAYER, "Encounter", ["Encounter/5"]),
        (PAYER, "MedicationDispense", ["MedicationDispense/d"]),
        (PAYER, "Observation/of-5", []),
        (limited("payer", "Claim/9", "HPAYMT"), "Procedure", []),
        (limited("payer", "Encounter/5", "HPAYMT"), "Procedure", []),  # no case of a payer
        (limited("payer", None, "HPAYMT"), "Procedure", []),
        (LABORATORY, "ServiceRequest", ["ServiceRequest/order"]),
        (LABORATORY, "Specimen", ["Specimen/s"]),
        (LABORATORY, "DiagnosticReport", ["DiagnosticReport/result"]),
        (replace(LABORATORY, organization=None), "ServiceRequest", []),
        (replace(LABORATORY, organization=Ref("Organization", "other")), "ServiceRequest", []),
        (replace(LABORATORY, case=Ref("ServiceRequest", "other")), "ServiceRequest", []),  # nobody's to do
        (limited("pharmacy", "MedicationRequest/rx"), "MedicationRequest", ["MedicationRequest/rx"]),
        (limited("pharmacy", "MedicationRequest/rx"), "MedicationDispense", ["MedicationDispense/d"]),
        (
            limited("clinician", "EpisodeOfCare/3"),
            "Observation",
            ["Observation/of-5", "Observation/of-6"],
        ),
        (limited("clinician", "Encounter/5"), "Observation", ["Observation/of-5"]),
        (limited("clinician", None, encounter="5"), "Observation", ["Observation/of-5"]),
        (limited("clinician", "Encounter/4", encounter="5"), "Observation", ["Observation/of-4"]),
        (limited("clinician", "Encounter/5"), "Patient/85", ["Patient/85"]),
        (limited("clinician", None), "Observation", []),
        (limited("clinician", None), "Patient/85", ["Patient/85"]),
        (limited("telehealth", "Appointment/1"), "Observation", ["Observation/of-5"]),
        (limited("telehealth", "Appointment/1"), "Encounter", ["Encounter/5"]),
        (limited("telehealth", "Appointment/2"), "Observation", []),  # a week ago
        (limited("telehealth", "Appointment/1"), "Patient", ["Patient/85"]),
        (limited("telehealth", "Appointment/1"), "Patient/85", ["Patient/85"]),
        (limited("telehealth", "Appointment/2"), "Patient/85", []),
        (limited("telehealth", "Appointment/2"), "Patient", []),
        (limited("telehealth", "Appointment/9"), "Patient/85", []),  # there is none
        (limited("telehealth", "Claim/7"), "Patient/85", []),  # no case of a specialist
        (limited("telehealth", None), "Patient/85", []),
        (limited("telehealth", None), "Patient", []),
    ],
    ids=lambda value: f"{value.role}-{value.case}" if isinstance(value, Token) else str(value),
)
async def test_what_a_role_gets_of_its_case(who: Token, target: str, expected: list[str]) -> None:
    assert await released(who, target, Hospital(CHART)) == expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-06-01T08:44:59Z", []),
        ("2026-06-01T08:45:00Z", ["Observation/of-5"]),
        ("2026-06-02T09:30:00Z", ["Observation/of-5"]),
        ("2026-06-02T09:30:02Z", []),
    ],
)
async def test_a_consultation_is_open_for_its_time(now: str, expected: list[str]) -> None:
    who, now_s = limited("telehealth", "Appointment/1"), int(parse_date(now)[1].low.timestamp())
    assert await released(who, "Observation", Hospital(CHART), now_s) == expected


async def test_of_a_member_only_what_the_role_needs_is_seen() -> None:
    claim, noted = CHART[-6], record("Procedure/8", note=[{"text": "x"}], report=[at("DiagnosticReport/1")])
    assert claim["id"] == "7"
    [candidate] = await candidates(PAYER, "Procedure/8", Hospital([claim, noted]))
    assert candidate.trims is not None
    assert {("note",), ("report",)} <= {place[:1] for place in candidate.trims}
    assert ("subject",) not in {place[:1] for place in candidate.trims}


async def test_every_page_of_a_case_is_read() -> None:
    visits = [record(f"Encounter/v{n}", episodeOfCare=[at("EpisodeOfCare/3")]) for n in range(5)]
    seen = [record(f"Observation/o{n}", encounter=at(f"Encounter/v{n}")) for n in range(5)]
    hospital = Hospital([*visits, record("EpisodeOfCare/3"), *seen], size=2)
    who = limited("clinician", "EpisodeOfCare/3")
    for one in seen:
        assert await released(who, f"Observation/{one['id']}", hospital) == [f"Observation/{one['id']}"]


async def test_somebody_elses_root_opens_nothing() -> None:
    other = {"reference": "Patient/86"}
    records = [record("Claim/8", patient=other, procedure=[{"procedureReference": at("Procedure/8")}])]
    hospital = Hospital([*CHART, *records])
    assert await released(limited("payer", "Claim/8", "HPAYMT"), "Procedure", hospital) == []


async def test_a_case_is_no_right() -> None:
    observations = permit(scopes="patient/Observation.rs")
    assert await released(PAYER, "Procedure", Hospital(CHART), NOW_S, observations) == []


async def test_a_role_that_needs_no_case_has_none_followed() -> None:
    hospital = Hospital(CHART)
    assert await released(limited("emergency", "Claim/7", "ETREAT"), "Procedure/8", hospital) == [
        "Procedure/8"
    ]
    assert hospital.asked == ["/Procedure/8?"]


async def test_what_is_asked_for_a_case_stays_with_the_patient() -> None:
    hospital = Hospital(CHART)
    await released(limited("clinician", "EpisodeOfCare/3"), "Observation/of-5", hospital)
    assert hospital.asked == [
        "/Observation/of-5?",
        "/Encounter?episode-of-care=EpisodeOfCare%2F3&patient=Patient%2F85&_count=200",
    ]


# --- Records that a consent names ------------------------------------------------------------------


def related_to(ref: str, effect: Effect = Effect.PERMIT) -> Node:
    return Node(effect, Match(data=frozenset({DataRef("related", Ref(*ref.split("/")))})))


VISIT = record("Encounter/v", diagnosis=[{"condition": at("Condition/c")}])
CONDITIONS = [
    VISIT,
    record("Condition/c"),
    record("Condition/d"),
    record("Condition/e", encounter=at("Encounter/v")),
]
ANYBODY = token()


async def test_what_a_named_record_refers_to_is_related_to_it() -> None:
    found = await released(ANYBODY, "Condition", Hospital(CONDITIONS), NOW_S, related_to("Encounter/v"))
    assert found == ["Condition/c", "Condition/e"]


async def test_a_deny_reaches_what_is_related_and_no_more() -> None:
    forbidden = related_to("Encounter/v", Effect.DENY)
    assert await released(ANYBODY, "Condition", Hospital(CONDITIONS), NOW_S, permit(), forbidden) == [
        "Condition/d"
    ]


async def test_of_a_named_record_that_does_not_come_anything_may_be_related() -> None:
    hospital, forbidden = Hospital(CONDITIONS[1:]), related_to("Encounter/v", Effect.DENY)
    assert await released(ANYBODY, "Condition", hospital, NOW_S, permit(), forbidden) == []


async def test_no_record_is_read_for_consents_that_name_none() -> None:
    hospital = Hospital(CONDITIONS)
    await released(ANYBODY, "Condition/c", hospital)
    assert hospital.asked == ["/Condition/c?"]
