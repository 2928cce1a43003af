"""What an implicit policy opens, from the request on: the patient in context, and nobody else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.consent.membership import Membership
from gateway.core.consent.rule import Consent
from gateway.core.consent.rules import Implicit, Rules
from gateway.core.decide import decide
from gateway.core.fhir import codec
from gateway.core.plan import Deny, Permit
from gateway.core.standing import House, Standing
from gateway.core.values import Ref, Token
from tests.core.consent.build import NOW_S, consents, deny, permit
from tests.core.deciding import BASES, R4, View, facts, request, token

ANN = Ref("Practitioner", "ann")
R = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}


def outcome(
    target: str, who: Token, given: tuple[Consent, ...] = (), implicit: Implicit = Implicit.BASIC_NORMAL
) -> Permit | Deny:
    house = House(R4, BASES, rules=Rules(implicit))
    return decide(request(target), Standing(who, View(given), house, NOW_S))


def seen(outcome: Permit | Deny, patient: str = "85", *labels: dict[str, str]) -> str:
    assert isinstance(outcome, Permit), outcome
    record: dict[str, Any] = {"resourceType": "Observation", "id": "1"}
    record |= {"subject": {"reference": f"Patient/{patient}"}, "meta": {"security": list(labels)}}
    raw = json.dumps(record).encode()
    return outcome.plan.judge(facts(raw), lambda: codec.parse(raw)).reason


def test_a_clinician_reads_what_is_normal_of_the_patient_in_context() -> None:
    found = outcome("Observation", token(user=ANN))
    assert seen(found) == "implicit"
    assert seen(found, "85", R) != "implicit"
    assert isinstance(found, Permit)
    assert found.plan.selective, "what is labelled may be kept from a search"


@pytest.mark.parametrize(
    ("implicit", "user", "purposes"),
    [
        (Implicit.BREAK_GLASS_ONLY, ANN, "TREAT"),
        (Implicit.DENY, ANN, "TREAT"),
        (Implicit.BASIC_NORMAL, None, "TREAT"),
        (Implicit.BASIC_NORMAL, ANN, "HPAYMT"),
        (Implicit.BASIC_NORMAL, ANN, "TREAT HPAYMT"),
        (Implicit.ALL_NORMAL, Ref("RelatedPerson", "m"), "TREAT"),
        (Implicit.ALL_NORMAL, ANN, ""),
    ],
)
def test_others_are_refused_before_anything_is_asked(
    implicit: Implicit, user: Ref | None, purposes: str
) -> None:
    found = outcome("Observation", token(user=user, purposes=purposes), implicit=implicit)
    assert isinstance(found, Deny)
    assert found.reason == "no_consent"


def test_nobody_else_is_searched_for() -> None:
    """A user's scope reaches whose consents name the user; what is implied adds only the one in context."""
    named = consents(permit(actors="practitioner:ann", scopes="patient/*.rs"), patient="99")
    found = outcome("Observation", token("user/*.rs", user=ANN), named, Implicit.ALL_NORMAL)
    assert isinstance(found, Permit)
    assert found.plan.judge.patients == {"85", "99"}
    assert (seen(found), seen(found, "99"), seen(found, "100")) == ("implicit", "consent", "no_consent")
    alone = outcome("Observation", token("user/*.rs", None, user=ANN), (), Implicit.ALL_NORMAL)
    assert isinstance(alone, Deny)


def test_a_token_bound_to_consents_has_no_more_than_those() -> None:
    given = consents(permit(actors="client:app-2", scopes="patient/Condition.rs"), patient="85")
    bound = replace(token(user=ANN), consents=(given[0].refs[-1],))
    found = outcome("Observation", bound, given, Implicit.ALL_NORMAL)
    assert isinstance(found, Deny)


def test_a_deny_of_the_patient_closes_the_type() -> None:
    given = consents(deny(scopes="patient/Observation.rs"), patient="85")
    assert isinstance(outcome("Observation", token(user=ANN), given), Deny)
    assert isinstance(outcome("Condition", token(user=ANN), given), Permit)


def test_who_belongs_to_an_organisation_has_what_it_has() -> None:
    given = consents(permit(actors="organization:house", scopes="patient/*.rs"), patient="99")
    who = token("user/*.rs", None, user=ANN, organization=Ref("Organization", "ward"))
    house = House(R4, BASES, membership=Membership({"ward": "house"}))
    found = decide(request("Observation"), Standing(who, View(given), house, NOW_S))
    assert seen(found, "99") == "consent"
    assert isinstance(
        decide(request("Observation"), Standing(who, View(given), House(R4, BASES), NOW_S)), Deny
    )
