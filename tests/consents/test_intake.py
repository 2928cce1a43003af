"""FHIR Consents into a ledger in memory and out again: what is recorded, what is refused before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from gateway.consents.effect import NoEffect
from gateway.consents.intake import Authority, ConsentIntake, ConsentRefused, DoesNotFit, Ours
from gateway.consents.service import UNRECORDED, ConsentService
from gateway.core.consent.fhir.terms import Read, Refusal
from gateway.core.consent.rule import State
from gateway.core.fhir.catalogue import Release
from gateway.core.values import Label
from gateway.errors import BadRequest, NotFound
from tests.consents.ledger import Ledger, parse_scope
from tests.core.consent.fhir.said import BASE, TYPES, resource, said

NOW_S = 1_780_308_000  # 2026-06-01T10:00:00Z
TREAT = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}
PERMIT: dict[str, Any] = {"provision": {"type": "permit", "purpose": [TREAT]}}
DENY: dict[str, Any] = {"provision": {"type": "deny"}}
OTHERS: dict[str, Any] = {"organization": [{"reference": "Organization/other"}], **DENY}
OWN_CATEGORY: dict[str, Any] = {
    "decision": "deny",
    "category": [{"coding": [{"system": "urn:own", "code": "privacy"}]}],
}


class Desk:
    """An intake over a ledger in memory; ids are c1, c2 ..."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.recorded: list[Authority] = []
        numbers = count(1)

        def new_id() -> str:
            return f"c{next(numbers)}"

        self.service = ConsentService(
            self.ledger.registry, self.ledger.record, new_id, lambda: NOW_S, parse_scope
        )
        ours = Ours((BASE,), dict.fromkeys(("R4", "R4B", "R5"), TYPES))
        self.intake = ConsentIntake(self.service, ours, self.authorities, new_id, lambda: NOW_S)

    async def authorities(self, patient: str) -> Sequence[Authority]:
        return self.recorded if patient == "pat-a" else []

    async def grant(self, release: Release, over: dict[str, Any], *supersedes: str) -> str:
        raw = json.dumps(resource(release, over)).encode()
        return (await self.intake.grant(raw, release, supersedes)).ref.id


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_what_is_granted_is_in_the_ledger_and_comes_out_again(desk: Desk) -> None:
    made = await desk.grant("R4", PERMIT)
    assert said(desk.service.show(made)) == "permit{purposes TREAT}"
    assert desk.ledger.entries[0].facts["pou"] == ["TREAT"]
    assert desk.ledger.replayed().get(made) == desk.service.show(made)
    shown = desk.intake.show(made, "R4")
    assert (shown["id"], shown["performer"]) == (made, [{"reference": "Patient/pat-a"}])
    with pytest.raises(DoesNotFit, match="limits of its own") as unfit:
        desk.intake.show(made, "R5")
    assert [problem.place for problem in unfit.value.problems] == ["root"]
    with pytest.raises(NotFound):
        desk.intake.show("c9", "R4")


async def test_warnings_come_with_what_is_recorded(desk: Desk) -> None:
    raw = json.dumps(resource("R4", {**PERMIT, "policy": [{"uri": "https://law.example"}]})).encode()
    taken = await desk.intake.grant(raw, "R4")
    assert [warning.place for warning in taken.warnings] == ["Consent.policy[0].uri"]


async def test_a_draft_is_what_would_be_recorded_and_is_not(desk: Desk) -> None:
    raw = json.dumps(resource("R4", {**PERMIT, "policy": [{"uri": "https://law.example"}]})).encode()
    drafted = await desk.intake.draft(raw, "R4")
    assert desk.ledger.entries == []
    assert (drafted.consent.entry, desk.service.refusal(drafted.consent)) == (UNRECORDED, None)
    taken = await desk.intake.grant(raw, "R4")
    assert drafted.warnings == taken.warnings != ()
    granted = desk.service.show(taken.ref.id)
    assert replace(drafted.consent, id=granted.id, refs=granted.refs) == granted
    assert (await desk.intake.draft(raw, "R4", granted.id)).consent.id == granted.id
    with pytest.raises(NotFound):
        await desk.intake.draft(raw, "R4", "c9")


REFUSED: list[tuple[str, dict[str, Any], list[str]]] = [
    ("the reader", {"status": "draft", **PERMIT}, ["Consent.status"]),
    ("the models", {**PERMIT, "dateTime": "yesterday"}, ["Consent.dateTime"]),
    ("the models, a missing element", {**PERMIT, "category": None}, ["Consent.category"]),
    (
        "both, each place once",
        {"policy": [{"uri": 7}], "provision": {"type": "permit", "period": {"start": "2026-13"}}},
        ["Consent.policy[0].uri", "Consent.provision.period.start"],
    ),
    ("its end", {"provision": {"type": "deny", "period": {"end": "2026-05-31"}}}, ["Consent"]),
]


@pytest.mark.parametrize(
    ("over", "places"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
async def test_what_is_refused_is_refused_before_anything_is_recorded(
    desk: Desk, over: dict[str, Any], places: list[str]
) -> None:
    with pytest.raises(ConsentRefused) as refused:
        await desk.grant("R4", over)
    assert [problem.place for problem in refused.value.problems] == places
    assert desk.ledger.entries == []


async def test_a_consent_until_today_is_granted(desk: Desk) -> None:
    await desk.grant("R4", {"provision": {"type": "deny", "period": {"end": "2026-06-01"}}})


@pytest.mark.parametrize("raw", [b"", b"{", b'{"a":1,"a":2}', b"[]", b'"Consent"'])
async def test_what_is_no_json_object_is_refused(desk: Desk, raw: bytes) -> None:
    with pytest.raises((BadRequest, ConsentRefused)):
        await desk.intake.grant(raw, "R4")
    assert desk.ledger.entries == []


async def test_what_a_model_alone_refuses_is_malformed_where_it_is_in_force(desk: Desk) -> None:
    raw = json.dumps(resource("R4", {**PERMIT, "dateTime": "yesterday"})).encode()
    found = await desk.intake.read(raw, "R4", "c-1")
    assert isinstance(found, Refusal)
    assert found.instead is not None
    assert found.instead.malformed


MAY_S = NOW_S - 31 * 86_400  # 2026-05-01T10:00:00Z
LATER_S = NOW_S + 365 * 86_400
NOT_ANY_MORE = Authority("mother", MAY_S, LATER_S, NOW_S)
IN_FORCE = Authority("mother", MAY_S, LATER_S)
ANEW = Authority("mother", NOW_S, LATER_S)

# What was recorded, the Consent's date, and whether the relative may agree now, 2026-06-01T10:00:00Z.
RELATIVE: list[tuple[str, list[Authority], str | None, bool]] = [
    ("no date", [Authority("mother", NOW_S, NOW_S)], None, True),
    ("no date, begins in a second", [Authority("mother", NOW_S + 1, LATER_S)], None, False),
    ("no date, over since a second", [Authority("mother", MAY_S, NOW_S - 1)], None, False),
    ("no date, ended now", [NOT_ANY_MORE], None, False),
    ("no date, ends in a second", [Authority("mother", MAY_S, LATER_S, NOW_S + 1)], None, True),
    ("no date, another relative's", [Authority("father", MAY_S, LATER_S)], None, False),
    ("held then and now", [IN_FORCE], "2026-05-31", True),
    ("the second in which it was recorded", [IN_FORCE], "2026-05-01T10:00:00Z", True),
    ("the second before", [IN_FORCE], "2026-05-01T09:59:59Z", False),
    ("the day on which it was recorded", [IN_FORCE], "2026-05-01", True),
    ("the day before", [IN_FORCE], "2026-04-30", False),
    ("long before it was recorded", [ANEW], "1999-01-01", False),
    ("held then, ended now", [NOT_ANY_MORE], "2026-05-31", False),
    ("held then, its last second is now", [Authority("mother", MAY_S, NOW_S)], "2026-05-31", True),
    ("held then, over since a second", [Authority("mother", MAY_S, NOW_S - 1)], "2026-05-31", False),
    ("held then, and recorded anew", [NOT_ANY_MORE, ANEW], "2026-05-31", True),
    ("held then, now another's", [NOT_ANY_MORE, Authority("father", NOW_S, LATER_S)], "2026-05-31", False),
    ("dated until its last second", [IN_FORCE], "2027-06-01T10:00:00Z", True),
    ("dated a second later", [IN_FORCE], "2027-06-01T10:00:01Z", False),
    ("the day on which it will end", [IN_FORCE], "2027-06-01", False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("recorded", "date", "agreed"), [case[1:] for case in RELATIVE], ids=[case[0] for case in RELATIVE]
)
async def test_a_relative_agrees_while_the_authority_holds(
    desk: Desk, recorded: list[Authority], date: str | None, agreed: bool
) -> None:
    desk.recorded = recorded
    over = {**PERMIT, "performer": [{"reference": "RelatedPerson/mother"}], "dateTime": date}
    found = await desk.intake.read(json.dumps(resource("R4", over)).encode(), "R4", "c-1")
    assert isinstance(found, Read) == agreed


# --- Dead on arrival -------------------------------------------------------------------------------


async def test_a_permit_without_effect_names_what_denies_it(desk: Desk) -> None:
    await desk.grant("R4", DENY)
    with pytest.raises(
        NoEffect, match=r"no effect because consent c1 denies it; .*\(entry 0, root\)"
    ) as dead:
        await desk.grant("R4", PERMIT)
    assert dead.value.supersede == ("c1",)
    assert len(desk.ledger.entries) == 1
    made = await desk.grant("R4", PERMIT, "c1")
    assert desk.service.show("c1").state is State.SUPERSEDED
    assert desk.service.show(made).state is State.LIVE


async def test_a_consent_that_also_denies_is_recorded_with_a_warning(desk: Desk) -> None:
    who = [{"reference": {"reference": "Practitioner/dr-1"}}]
    await desk.grant("R5", {"decision": "permit", "provision": [{"actor": who}]})
    over = {"decision": "deny", "provision": [{"actor": who, "purpose": [TREAT]}]}
    taken = await desk.intake.grant(json.dumps(resource("R5", over)).encode(), "R5")
    [warning] = taken.warnings
    assert "in vain: consent c1 denies it; supersede or revoke c1 (entry 0, root.0)" in warning.text
    other = [{"reference": {"reference": "Practitioner/dr-2"}}]
    over["provision"] = [{"actor": [*who, *other]}]
    again = await desk.intake.grant(json.dumps(resource("R5", over)).encode(), "R5", [taken.ref.id])
    assert again.warnings == ()


async def test_what_denies_no_more_than_another_has_no_effect_either(desk: Desk) -> None:
    await desk.grant("R4", DENY)
    with pytest.raises(NoEffect, match=r"\(entry 0, root\)"):
        await desk.grant("R5", {"decision": "deny", "provision": [{"purpose": [TREAT]}]})


async def test_what_denies_those_whom_another_permits_has_an_effect(desk: Desk) -> None:
    who = [{"reference": {"reference": "Practitioner/dr-1"}}]
    await desk.grant("R5", {"decision": "deny", "provision": [{"actor": who}]})
    await desk.grant("R5", {"decision": "permit", "provision": [{"actor": who}]})


async def test_all_that_stand_in_the_way_are_named(desk: Desk) -> None:
    await desk.grant("R4", DENY)
    await desk.grant("R4", DENY)
    with pytest.raises(NoEffect) as dead:
        await desk.grant("R4", PERMIT)
    assert dead.value.supersede == ("c1", "c2")


STANDING: list[tuple[str, dict[str, Any]]] = [
    ("a deny of less", {"provision": {"type": "deny", "securityLabel": [
        {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}]}}),
    ("a deny for another purpose", {"provision": {"type": "deny", "purpose": [{**TREAT, "code": "HPAYMT"}]}}),
    ("a deny that ends first", {"provision": {"type": "deny", "period": {"end": "2026-12-31"}}}),
    ("a deny that begins later", {"provision": {"type": "deny", "period": {"start": "2026-12-31"}}}),
    ("a deny with an exception", {"provision": {"type": "deny", "provision": [
        {"type": "permit", "purpose": [TREAT]}]}}),
    ("a deny of data of a time", {"provision": {"type": "deny", "dataPeriod": {"start": "2020"}}}),
]  # fmt: skip


@pytest.mark.parametrize("over", [case[1] for case in STANDING], ids=[case[0] for case in STANDING])
async def test_a_permit_of_which_something_is_left_is_granted(desk: Desk, over: dict[str, Any]) -> None:
    await desk.grant("R4", over)
    await desk.grant("R4", PERMIT)


async def test_a_consent_of_another_patient_gives_no_way(desk: Desk) -> None:
    who = {"reference": "Patient/pat-b"}
    await desk.grant("R4", {**DENY, "patient": who, "performer": [who]})
    with pytest.raises(BadRequest, match="not one of this patient's"):
        await desk.grant("R4", PERMIT, "c1")


# --- Settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "release", "over", "taken"),
    [
        ({}, "R4", OTHERS, True),
        ({"organization": "org-a"}, "R4", OTHERS, False),
        ({"organization": "other"}, "R4", OTHERS, True),
        ({"organization": "org-a", "above": {"org-a", "other"}}, "R4", OTHERS, True),
        ({"organization": "org-a", "above": {"org-a", "group"}}, "R4", OTHERS, False),
        ({}, "R4", PERMIT, True),
        ({"verified_only": True}, "R4", PERMIT, False),
        ({"verified_only": True}, "R4", {**PERMIT, "verification": [{"verified": True}]}, True),
        ({"verified_only": True}, "R4", DENY, True),
        ({}, "R5", OWN_CATEGORY, False),
        ({"categories": {Label("urn:own", "privacy")}}, "R5", OWN_CATEGORY, True),
        ({"categories": {Label("urn:own", "privacy")}}, "R5", {"decision": "deny"}, True),
    ],
)
async def test_what_the_settings_say(
    desk: Desk, settings: dict[str, Any], release: Release, over: dict[str, Any], taken: bool
) -> None:
    ours = Ours((BASE,), dict.fromkeys(("R4", "R4B", "R5"), TYPES), **settings)
    intake = ConsentIntake(desk.service, ours, desk.authorities, lambda: "c-1", lambda: NOW_S)
    found = await intake.read(json.dumps(resource(release, over)).encode(), release, "c-1")
    assert isinstance(found, Read) == taken
