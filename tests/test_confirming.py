"""A pharmacy confirms a prescription: what it hears, who hears nothing, and what is never heard."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from gateway.core.consent.rule import Node
from gateway.core.decide import decide
from gateway.core.fhir.facts import facts_of
from gateway.core.plan import Deny
from gateway.core.roles.ceiling import Roles
from gateway.core.standing import House, Standing
from gateway.core.values import Ref, Token
from gateway.gather import gather
from gateway.mapping import load_interactions, load_profiles
from tests.core.consent.build import NOW_S, consents, deny, permit
from tests.core.deciding import BASES, R4, View, request, token
from tests.support.hospital import Hospital, at, record

HOUSE = House(R4, BASES, roles=Roles(load_profiles()), interactions=load_interactions())
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
SIMVASTATIN, RITONAVIR, METFORMIN = "36567", "85762", "6809"
HIV = [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}]
WITHOUT_HIV = permit(deny(labels="HIV"))


def drug(code: str) -> dict[str, Any]:
    return {"coding": [{"system": RXNORM, "code": code}]}


def order(ident: str, code: str = SIMVASTATIN, **more: Any) -> dict[str, Any]:
    known = {"status": "active", "intent": "order", "medicationCodeableConcept": drug(code)}
    return record(f"MedicationRequest/{ident}", **known | more)


def taken(status: str) -> dict[str, Any]:
    return record("MedicationStatement/s", status=status, medicationCodeableConcept=drug(RITONAVIR))


def referring(medication: str) -> dict[str, Any]:
    known = {"status": "active", "intent": "order"}
    return record("MedicationRequest/rx-2", **known, medicationReference=at(medication))


def dispense(ident: str, of: str) -> dict[str, Any]:
    return record(
        f"MedicationDispense/{ident}",
        status="completed",
        authorizingPrescription=[at(of)],
        performer=[{"actor": at("Organization/elsewhere")}],
    )


def pharmacy(role: str | None = "pharmacy", case: str | None = "MedicationRequest/rx", **more: Any) -> Token:
    root = None if case is None else Ref(*case.split("/"))
    return replace(token(**more), role=role, case=root)


async def answer(
    *records: dict[str, Any],
    who: Token | None = None,
    rule: Node = WITHOUT_HIV,
    target: str = "MedicationRequest/rx/$confirm",
    size: int = 100,
) -> dict[str, Any] | str:
    """The four answers by name, or the reason why there are none."""
    standing = Standing(who or pharmacy(), View(consents(rule, patient="85")), HOUSE, NOW_S)
    decision = decide(request(target), standing)
    if isinstance(decision, Deny):
        return decision.reason
    read = partial(facts_of, catalogue=R4, bases=BASES)
    gathered = await gather(Hospital(records, size), BASES, read, decision.plan)
    if isinstance(gathered, Deny):
        return gathered.reason
    assert gathered.confirmation is not None
    told = json.loads(gathered.confirmation.parameters())["parameter"]
    return {one["name"]: next(value for name, value in one.items() if name != "name") for one in told}


REPEATS: dict[str, Any] = {"dispenseRequest": {"numberOfRepeatsAllowed": 2}}


async def test_a_valid_prescription() -> None:
    assert await answer(order("rx", **REPEATS), dispense("d", "MedicationRequest/rx")) == {
        "valid": True,
        "remaining": 2,
        "substitution_allowed": True,
        "interaction_alert": "none",
    }


@pytest.mark.parametrize(
    ("beside", "alert"),
    [
        ([order("hidden", RITONAVIR, meta={"security": HIV})], "possible"),
        ([order("shown", RITONAVIR)], "possible"),
        ([order("other", METFORMIN)], "none"),
        ([order("ended", RITONAVIR, status="stopped")], "none"),
        ([order("theirs", RITONAVIR, subject=at("Patient/86"))], "none"),
        ([order("brand", "999999")], "unknown"),
        ([taken("active")], "possible"),
        ([taken("completed")], "none"),
        (
            [referring("Medication/m"), {"resourceType": "Medication", "id": "m", "code": drug(RITONAVIR)}],
            "possible",
        ),
        ([referring("Medication/none")], "unknown"),
    ],
    ids=[
        *("hidden", "shown", "other", "ended", "another-patient", "unknown"),
        *("taken", "taken-no-more", "by-reference", "nowhere"),
    ],
)
async def test_the_alert_knows_what_the_pharmacy_does_not(beside: list[dict[str, Any]], alert: str) -> None:
    told = await answer(order("rx"), *beside)
    assert isinstance(told, dict)
    assert told["interaction_alert"] == alert
    assert told["valid"] is True


async def test_all_pages_count() -> None:
    made = [dispense(f"d{n}", "MedicationRequest/rx") for n in range(3)]
    told = await answer(order("rx", **REPEATS), *made, order("hidden", RITONAVIR), size=1)
    assert isinstance(told, dict)
    assert (told["remaining"], told["interaction_alert"]) == (0, "possible")


async def test_dispenses_of_other_prescriptions_do_not_count() -> None:
    told = await answer(order("rx", **REPEATS), dispense("d", "MedicationRequest/rx-2"))
    assert isinstance(told, dict)
    assert told["remaining"] == 3


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        (pharmacy(role="clinician", case="Encounter/5"), "role"),
        (pharmacy(role="payer", case="Claim/7", purposes="HPAYMT"), "role"),
        (pharmacy(role=None), "role"),
        (pharmacy(case=None), "role"),
        (pharmacy(purposes="HPAYMT"), "role"),
        (pharmacy(scopes="patient/MedicationDispense.rs"), "scope"),
        (pharmacy(scopes="patient/MedicationRequest.s"), "scope"),
        (pharmacy(case="MedicationRequest/other"), "role"),
        (pharmacy(case="Encounter/5"), "role"),
        (pharmacy(patient="86"), "no_consent"),
    ],
    ids=[
        *("clinician", "payer", "no-role", "no-case", "for-payment", "no-scope", "search-only"),
        *("another-prescription", "another-kind-of-case", "another-patient"),
    ],
)
async def test_who_confirms_nothing(who: Token, reason: str) -> None:
    assert await answer(order("rx"), who=who) == reason


async def test_what_a_consent_hides_is_not_confirmed() -> None:
    assert await answer(order("rx", meta={"security": HIV})) == "denied"
    assert await answer(order("rx", meta={"security": []})) != "denied"


async def test_a_prescription_that_is_not_there() -> None:
    assert await answer(order("other")) == "not_found"
