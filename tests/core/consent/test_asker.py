"""Who a token is: what it is known to be, and of which kinds nothing more is hidden."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.consent.asker import asker_of
from gateway.core.consent.membership import Membership
from gateway.core.consent.verdict import BreakGlass
from gateway.core.values import Ref
from tests.core.deciding import token

CLIENT = {"client:app-1", "client:app-1@https://idp.example"}
USERS = {"practitioner", "practitionerrole", "patient", "relative", "device"}


@pytest.mark.parametrize(
    ("user", "identities", "open_kinds"),
    [
        (None, "", USERS),
        (Ref("Practitioner", "a"), "practitioner:a", {"practitionerrole"}),
        (Ref("PractitionerRole", "a"), "practitionerrole:a", {"practitioner"}),
        (Ref("Patient", "a"), "patient:a", set()),
        (Ref("RelatedPerson", "a"), "relative:a", set()),
        (Ref("Device", "a"), "device:a", set()),
        (Ref("Person", "a"), "", USERS),
        (Ref("Group", "a"), "", USERS),
    ],
)
def test_user(user: Ref | None, identities: str, open_kinds: set[str]) -> None:
    asker = asker_of(token(user=user))
    assert asker.identities == CLIENT | set(identities.split())
    assert USERS - asker.known == open_kinds
    assert "client" in asker.known
    assert asker.known.isdisjoint({"organization", "role", "group", "careteam"})
    assert asker.self_patient == ("a" if user == Ref("Patient", "a") else None)


def test_organisation_and_role() -> None:
    asker = asker_of(replace(token(organization=Ref("Organization", "o")), role="clinician"))
    assert asker.identities == CLIENT | {"organization:o", "role:clinician"}
    assert {"organization", "role"} <= asker.known


SNOMED = "http://snomed.info/sct"


@pytest.mark.parametrize(
    ("role", "named", "told"),
    [
        ("clinician", "role:clinician", True),
        ("clinician", "role:payer", True),
        ("clinician", f"role:{SNOMED}|224571005", False),
        (f"{SNOMED}|224571005", f"role:{SNOMED}|106289002", True),
        (f"{SNOMED}|224571005", "role:clinician", False),
        (f"{SNOMED}|224571005", f"role:{SNOMED}/900|106289002", False),
        (None, "role:clinician", False),
        (None, f"role:{SNOMED}|224571005", False),
    ],
)
def test_a_role_says_nothing_of_those_of_another_system(role: str | None, named: str, told: bool) -> None:
    asker = asker_of(replace(token(), role=role))
    assert asker.may_be_any(frozenset({named})) is not told
    assert not asker.may_be_any(frozenset({"client:app-1"}))
    assert not asker_of(replace(token(), role="clinician")).may_be_any(frozenset())


@pytest.mark.parametrize(("member", "settled"), [("role:nurse", True), (f"role:{SNOMED}|224571005", False)])
def test_who_is_in_a_group_by_such_a_role_is_not_told_either(member: str, settled: bool) -> None:
    asker = asker_of(replace(token(), role="clinician"), Membership({}, {"group:g": frozenset({member})}))
    assert asker.settled == ({"group:g"} if settled else set())
    assert asker.may_be_any(frozenset({"group:g"})) is not settled


def test_membership_is_that_of_the_request() -> None:
    ward = Membership({"ward": "house"}, {"group:g": frozenset({"organization:house"})})
    asked = token(organization=Ref("Organization", "ward"))
    asker = asker_of(asked, ward)
    assert {"organization:ward", "organization:house", "group:g"} <= asker.identities
    assert asker.settled == {"group:g"}
    assert asker_of(token(), ward).settled == frozenset()
    assert asker_of(asked).identities == CLIENT | {"organization:ward"}


def test_patient_purposes_and_glass_are_the_tokens() -> None:
    glass = BreakGlass("85", "unconscious", 10)
    asker = asker_of(token(patient="85", purposes="TREAT COC"), glass=glass)
    assert (asker.patient, asker.purposes, asker.break_glass) == ("85", ("TREAT", "COC"), glass)


@pytest.mark.parametrize(
    ("patient", "now_s", "opens"),
    [("85", 9, True), ("85", 10, False), ("85", 11, False), ("8", 9, False), ("", 9, False)],
)
def test_a_broken_glass_opens_one_patient_for_a_time(patient: str, now_s: int, opens: bool) -> None:
    assert BreakGlass("85", "unconscious", 10).opens(patient, now_s) is opens


@pytest.mark.parametrize(("patient", "reason"), [("", "r"), ("p", "")])
def test_no_glass_without_patient_and_reason(patient: str, reason: str) -> None:
    with pytest.raises(ValueError, match="patient and a reason"):
        BreakGlass(patient, reason, 10)
