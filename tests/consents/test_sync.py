"""The Consents of an upstream, followed: each change there, each change here, and servers that misbehave."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from gateway.consents.effect import NoEffect
from gateway.consents.entries import REVOKE
from gateway.consents.intake import Authority, ConsentIntake, Ours
from gateway.consents.service import ConsentService
from gateway.consents.sync import Change, Source, Synced, Synchroniser
from gateway.core.consent.rule import Consent, State
from gateway.core.values import Ask, UpstreamReply
from gateway.errors import BadRequest, UpstreamUnusable
from tests.consents.ledger import Ledger, parse_scope
from tests.core.consent.fhir.said import BASE, TYPES, resource, said

NOW_S = 1_780_308_000  # 2026-06-01T10:00:00Z
THERE = "http://hapi.example/fhir"
TREAT = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}
PERMIT: dict[str, Any] = {"provision": {"type": "permit", "purpose": [TREAT]}}
DENY: dict[str, Any] = {"provision": {"type": "deny"}}
MALFORMED: dict[str, Any] = {"provision": {"purpose": [TREAT]}}


class Hospital:
    """A server with Consents, a page of two at a time, and a gateway with a ledger in memory."""

    def __init__(self) -> None:
        self.there: dict[str, dict[str, Any]] = {}
        self.asks: list[Ask] = []
        self.answer: UpstreamReply | None = None
        self.next_base = THERE
        self.ledger = Ledger()
        self.recorded: list[Authority] = []
        numbers = count(1)

        def new_id() -> str:
            return f"{next(numbers):08d}"

        self.service = ConsentService(
            self.ledger.registry, self.ledger.record, new_id, lambda: NOW_S, parse_scope
        )
        ours = Ours((BASE, THERE), dict.fromkeys(("R4", "R4B", "R5"), TYPES))
        intake = ConsentIntake(self.service, ours, self.authorities, new_id, lambda: NOW_S)
        self.source = Source("main", THERE, "R4", self.fetch)
        self.synchroniser = Synchroniser(self.service, intake, self.why_ended, lambda: None, new_id)

    async def authorities(self, _patient: str) -> Sequence[Authority]:
        return self.recorded

    def why_ended(self, consent: Consent) -> str | None:
        assert consent.ended is not None
        entry = next(e for e in self.ledger.entries if e.index == consent.ended.entry)
        return str(entry.facts["rsn"]) if entry.kind == REVOKE else None

    async def fetch(self, ask: Ask) -> UpstreamReply:
        self.asks.append(ask)
        if self.answer is not None:
            return self.answer
        first = int(ask.raw_query.partition("offset=")[2] or 0)
        wanted = dict(ask.query).get("patient")
        found = [
            tree for tree in self.there.values() if wanted is None or tree["patient"]["reference"] == wanted
        ]
        link = [{"relation": "next", "url": f"{self.next_base}/Consent?offset={first + 2}"}]
        bundle = {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [{"resource": tree, "search": {"mode": "match"}} for tree in found[first : first + 2]],
            **({"link": link} if len(found) > first + 2 else {}),
        }
        return UpstreamReply(200, json.dumps({k: v for k, v in bundle.items() if v}).encode())

    def put(self, name: str, over: dict[str, Any]) -> None:
        self.there[name] = {**resource("R4", over), "id": name}

    async def sync(self, patient: str | None = None) -> list[Synced]:
        return [done async for done in self.synchroniser.run(self.source, patient, NOW_S)]

    async def changes(self, patient: str | None = None) -> list[str]:
        return [done.change.value for done in await self.sync(patient)]

    def live(self) -> list[str]:
        return [said(consent) for consent in self.ledger.registry.live("pat-a")]


@pytest.fixture
def hospital() -> Hospital:
    return Hospital()


async def test_a_consent_is_granted_once_and_changed_when_it_changes(hospital: Hospital) -> None:
    hospital.put("x", PERMIT)
    assert await hospital.changes() == ["granted"]
    assert await hospital.changes() == ["unchanged"]
    assert hospital.live() == ["permit{purposes TREAT}"]
    hospital.put("x", DENY)
    assert await hospital.changes() == ["changed"]
    assert hospital.live() == ["deny{}"]
    assert len(hospital.ledger.entries) == 2


async def test_what_ends_there_ends_here_and_comes_back_with_it(hospital: Hospital) -> None:
    hospital.put("x", PERMIT)
    await hospital.sync()
    hospital.put("x", {"status": "inactive", **PERMIT})
    assert await hospital.changes() == ["revoked"]
    assert await hospital.changes() == ["set aside"]
    assert hospital.live() == []
    hospital.put("x", PERMIT)
    assert await hospital.changes() == ["granted"]
    assert hospital.live() == ["permit{purposes TREAT}"]


async def test_what_is_gone_there_ends_here(hospital: Hospital) -> None:
    hospital.put("x", PERMIT)
    hospital.put("y", DENY)
    assert await hospital.changes() == ["granted", "granted"]
    del hospital.there["x"]
    assert await hospital.changes() == ["unchanged", "revoked"]
    assert hospital.live() == ["deny{}"]


async def test_what_was_withdrawn_here_stays_withdrawn(hospital: Hospital) -> None:
    hospital.put("x", PERMIT)
    [granted] = await hospital.sync()
    assert granted.consent is not None
    await hospital.service.revoke(granted.consent, "patient-request")
    assert await hospital.changes() == ["ended here"]
    assert hospital.live() == []


async def test_what_cannot_be_honoured_stands_for_nothing_until_it_can(hospital: Hospital) -> None:
    hospital.put("x", MALFORMED)
    [found] = await hospital.sync()
    assert (found.change, found.why[0].partition(":")[0]) == (Change.MALFORMED, "Consent.provision.type")
    assert hospital.live() == ["permit{opaque} malformed"]
    assert await hospital.changes() == ["unchanged"]
    hospital.put("x", PERMIT)
    assert await hospital.changes() == ["changed"]
    hospital.put("x", MALFORMED)
    assert await hospital.changes() == ["malformed"]
    assert hospital.live() == ["permit{opaque} malformed"]


async def test_a_consent_that_loses_its_patient_stands_for_nothing(hospital: Hospital) -> None:
    hospital.put("x", PERMIT)
    await hospital.sync()
    hospital.put("x", {**PERMIT, "patient": {"display": "Ann"}})
    assert await hospital.changes() == ["malformed"]
    assert hospital.live() == ["permit{opaque} malformed"]


async def test_a_consent_that_gets_another_patient_moves(hospital: Hospital) -> None:
    hospital.put("x", PERMIT)
    await hospital.sync()
    who = {"reference": "Patient/pat-b"}
    hospital.put("x", {**PERMIT, "patient": who, "performer": [who]})
    assert await hospital.changes() == ["granted"]
    assert hospital.live() == []
    assert [said(c) for c in hospital.ledger.registry.live("pat-b")] == ["permit{purposes TREAT}"]


@pytest.mark.parametrize(
    ("over", "change"),
    [
        ({"status": "entered-in-error", **PERMIT}, "set aside"),
        ({**PERMIT, "patient": None}, "refused"),
        ({"provision": {"type": "permit", "period": {"end": "2020"}}}, "set aside"),
        ({**MALFORMED, "status": "inactive"}, "set aside"),
    ],
    ids=["not in force", "nobody's", "over", "malformed and not in force"],
)
async def test_what_leaves_nothing(hospital: Hospital, over: dict[str, Any], change: str) -> None:
    hospital.put("x", over)
    assert await hospital.changes() == [change]
    assert hospital.ledger.entries == []


async def test_a_permit_without_effect_is_recorded_with_a_warning(hospital: Hospital) -> None:
    recipient = {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}
    only = [{"role": {"coding": [recipient]}, "reference": {"reference": "Practitioner/dr-1"}}]
    await hospital.service.grant_rule(await _rule(hospital, {"provision": {"type": "deny", "actor": only}}))
    hospital.put("x", PERMIT)
    assert await hospital.changes() == ["granted"]
    hospital.put("x", {"provision": {"type": "permit", "actor": only}})
    [found] = await hospital.sync()
    assert (found.change, "in vain: consent c-9 denies it" in found.why[0]) == (Change.CHANGED, True)
    assert hospital.live() == ["deny{actors practitioner:dr-1}", "permit{actors practitioner:dr-1}"]
    [again] = await hospital.sync()
    assert (again.change, again.why) == (Change.UNCHANGED, found.why)
    await hospital.service.revoke("c-9", "patient-request")
    [freed] = await hospital.sync()
    assert (freed.change, freed.why) == (Change.UNCHANGED, ())


async def _rule(hospital: Hospital, over: dict[str, Any]) -> Consent:
    found = await hospital.synchroniser._intake.read(json.dumps(resource("R4", over)).encode(), "R4", "c-9")
    return found.consent  # type: ignore[union-attr]


async def test_one_patient_s_alone(hospital: Hospital) -> None:
    who = {"reference": "Patient/pat-b"}
    hospital.put("x", PERMIT)
    hospital.put("y", {**PERMIT, "patient": who, "performer": [who]})
    assert await hospital.changes("pat-b") == ["granted"]
    assert hospital.asks[0].query[0] == ("patient", "Patient/pat-b")
    await hospital.sync()
    del hospital.there["y"]
    with pytest.raises(BadRequest, match="where there were 1"):
        await hospital.sync("pat-b")
    run = hospital.synchroniser.run(hospital.source, "pat-b", NOW_S, may_be_none=True)
    assert [done.change.value async for done in run] == ["revoked"]
    assert hospital.live() == ["permit{purposes TREAT}"]


async def test_all_pages_are_followed(hospital: Hospital) -> None:
    for number in range(5):
        hospital.put(f"x{number}", DENY)
    assert await hospital.changes() == ["granted"] * 5
    assert [ask.raw_query for ask in hospital.asks] == ["", "offset=2", "offset=4"]


async def test_another_upstream_s_consents_are_left_alone(hospital: Hospital) -> None:
    hospital.put("x", PERMIT)
    await hospital.sync()
    other = Source("other", THERE, "R4", hospital.fetch)
    hospital.there.clear()
    assert [d async for d in hospital.synchroniser.run(other, None, NOW_S)] == []
    assert hospital.live() == ["permit{purposes TREAT}"]


async def test_of_two_that_were_granted_at_once_one_is_left(hospital: Hospital) -> None:
    hospital.put("x", PERMIT)
    [first] = await hospital.sync()
    assert first.consent is not None
    kept = hospital.service.show(first.consent)
    twin = Consent(f"{first.consent[:-8]}twin", kept.patient, kept.root, kept.period, grantor=kept.grantor)
    await hospital.service.grant_rule(twin)
    assert await hospital.changes() == ["unchanged"]
    assert hospital.service.show(first.consent).state is State.REVOKED
    assert hospital.live() == ["permit{purposes TREAT}"]


@pytest.mark.parametrize(
    "answer",
    [
        UpstreamReply(404),
        UpstreamReply(200, b"{"),
        UpstreamReply(200, b'{"resourceType":"OperationOutcome"}'),
        UpstreamReply(200, b'{"resourceType":"Bundle","type":"searchset","entry":[{"resource":'
                           b'{"resourceType":"Patient","id":"x"},"search":{"mode":"match"}}]}'),
        UpstreamReply(200, b'{"resourceType":"Bundle","type":"searchset","entry":[{"resource":'
                           b'{"resourceType":"Consent"},"search":{"mode":"match"}}]}'),
    ],
    ids=["no such address", "no JSON", "no Bundle", "another type", "without an id"],
)  # fmt: skip
async def test_an_answer_that_is_not_understood_ends_it_and_withdraws_nothing(
    hospital: Hospital, answer: UpstreamReply
) -> None:
    hospital.put("x", PERMIT)
    await hospital.sync()
    hospital.answer = answer
    with pytest.raises(UpstreamUnusable):
        await hospital.sync()
    assert hospital.live() == ["permit{purposes TREAT}"]


@pytest.mark.parametrize("base", ["http://evil.example/fhir", THERE + "x", THERE + "/.."])
async def test_a_next_page_elsewhere_is_not_asked_for(hospital: Hospital, base: str) -> None:
    for number in range(3):
        hospital.put(f"x{number}", DENY)
    hospital.next_base = base
    with pytest.raises(UpstreamUnusable):
        await hospital.sync()
    assert len(hospital.asks) == 1


# --- A deny is not lost ----------------------------------------------------------------------------


async def test_what_was_denied_is_denied_beside_what_is_not_understood_any_more(hospital: Hospital) -> None:
    hospital.put("x", DENY)
    await hospital.sync()
    hospital.there["x"]["modifierExtension"] = [{"url": "https://x.example", "valueBoolean": True}]
    assert await hospital.changes() == ["malformed"]
    assert hospital.live() == ["deny{} malformed"]
    assert await hospital.changes() == ["unchanged"]
    hospital.put("x", PERMIT)
    assert await hospital.changes() == ["changed"]
    assert hospital.live() == ["permit{purposes TREAT}"]


EMPTY: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}


@pytest.mark.parametrize("total", [{}, {"total": 0}], ids=["no total", "none"])
async def test_that_none_is_left_has_to_be_said(hospital: Hospital, total: dict[str, int]) -> None:
    hospital.put("x", DENY)
    hospital.put("y", DENY)
    await hospital.sync()
    hospital.answer = UpstreamReply(200, json.dumps({**EMPTY, **total}).encode())
    with pytest.raises(BadRequest, match="where there were 2"):
        await hospital.sync()
    assert len(hospital.live()) == 2
    run = hospital.synchroniser.run(hospital.source, None, NOW_S, may_be_none=True)
    assert [done.change.value async for done in run] == ["revoked", "revoked"]
    assert hospital.live() == []
    assert await hospital.changes() == []


@pytest.mark.parametrize(("total", "whole"), [(1, True), (2, False), (0, True)])
async def test_a_list_that_is_shorter_than_its_total_ends_nothing(
    hospital: Hospital, total: int, whole: bool
) -> None:
    hospital.put("x", DENY)
    hospital.put("y", DENY)
    await hospital.sync()
    entry = {"resource": hospital.there["x"], "search": {"mode": "match"}}
    hospital.answer = UpstreamReply(200, json.dumps({**EMPTY, "total": total, "entry": [entry]}).encode())
    if whole:
        assert await hospital.changes() == ["unchanged", "revoked"]
    else:
        with pytest.raises(UpstreamUnusable):
            await hospital.sync()
    assert len(hospital.live()) == (1 if whole else 2)


# --- A list that was not read whole ----------------------------------------------------------------

# Pages of a server that has x, y and z, as they came; what became of each, and whether the run ended well.
PAGES: list[tuple[str, list[tuple[str, int | None]], list[str], bool]] = [
    ("whole", [("xy", 3), ("z", 3)], ["unchanged"] * 3, True),
    ("whole, no total", [("xy", None), ("z", None)], ["unchanged"] * 3, True),
    ("one gone", [("xy", 2)], ["unchanged", "unchanged", "revoked"], True),
    ("one again for one that did not come", [("xy", 3), ("x", 3)], ["unchanged"] * 3, False),
    ("one again, no total", [("xy", None), ("y", None)], ["unchanged"] * 3, False),
    ("one again within a page", [("xyx", 2)], ["unchanged"] * 3, False),
    ("one again beside all", [("xyz", 3), ("z", 3)], ["unchanged"] * 4, False),
    ("fewer than the first page said", [("xy", 3), ("", 2)], ["unchanged"] * 2, False),
    ("fewer than the last page said", [("xy", 2), ("", 3)], ["unchanged"] * 2, False),
    ("more than the first page said", [("xy", 2), ("z", 3)], ["unchanged"] * 3, True),
]


@pytest.mark.parametrize(
    ("pages", "changes", "whole"), [case[1:] for case in PAGES], ids=[case[0] for case in PAGES]
)
async def test_a_list_that_may_not_be_whole_ends_nothing(
    hospital: Hospital, pages: list[tuple[str, int | None]], changes: list[str], whole: bool
) -> None:
    for name in "xyz":
        hospital.put(name, DENY)
    await hospital.sync()

    async def fetch(ask: Ask) -> UpstreamReply:
        number = int(ask.raw_query or 0)
        names, total = pages[number]
        entry = [{"resource": hospital.there[name], "search": {"mode": "match"}} for name in names]
        link = [{"relation": "next", "url": f"{THERE}/Consent?{number + 1}"}]
        bundle: dict[str, Any] = {**EMPTY, "total": total, "link": link * (number + 1 < len(pages))}
        bundle["entry"] = entry
        return UpstreamReply(200, json.dumps({k: v for k, v in bundle.items() if v}).encode())

    found: list[str] = []
    run = hospital.synchroniser.run(Source("main", THERE, "R4", fetch), None, NOW_S)
    try:
        async for done in run:
            found.append(done.change.value)
    except UpstreamUnusable:
        assert not whole
    else:
        assert whole
    assert found == changes
    assert len(hospital.live()) == 3 - changes.count("revoked")


# --- Beside another deny ---------------------------------------------------------------------------

HIV = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}
BUT_HIV: dict[str, Any] = {
    "provision": {"type": "permit", "purpose": [TREAT], "provision": [
        {"type": "deny", "securityLabel": [HIV]}]},
}  # fmt: skip
UNKNOWN = [{"url": "https://x.example", "valueBoolean": True}]
ODD: dict[str, Any] = {"provision": {**BUT_HIV["provision"], "modifierExtension": UNKNOWN}}

# What is there before another denies everything, what then, and what stands when that is taken back.
BESIDE: list[tuple[str, dict[str, Any] | None, dict[str, Any], str, list[str]]] = [
    ("becomes malformed", BUT_HIV, ODD, "malformed", ["malformed", "HIV"]),
    ("comes malformed", None, MALFORMED, "malformed", ["malformed", "opaque"]),
    ("becomes a permit", DENY, PERMIT, "changed", ["permit{purposes TREAT}"]),
    ("repeats the deny", None, BUT_HIV, "granted", ["permit{", "HIV"]),
    ("comes to repeat it", PERMIT, BUT_HIV, "changed", ["permit{", "HIV"]),
    ("denies on", BUT_HIV, BUT_HIV, "unchanged", ["permit{", "HIV"]),
]


@pytest.mark.parametrize(
    ("before", "then", "change", "left"), [case[1:] for case in BESIDE], ids=[case[0] for case in BESIDE]
)
async def test_what_another_denies_too_stands_when_that_is_taken_back(
    hospital: Hospital, before: dict[str, Any] | None, then: dict[str, Any], change: str, left: list[str]
) -> None:
    if before is not None:
        hospital.put("x", before)
        await hospital.sync()
    other = replace(await _rule(hospital, DENY), id="other")
    await hospital.service.grant_rule(other)
    hospital.put("x", then)
    [found] = await hospital.sync()
    assert found.change.value == change
    assert any("in vain" in why for why in found.why) == (change != "malformed")
    await hospital.service.revoke("other", "patient-request")
    [standing] = hospital.live()
    assert all(part in standing for part in left)


async def test_what_people_send_is_refused_beside_a_deny_of_the_same(hospital: Hospital) -> None:
    await hospital.service.grant_rule(replace(await _rule(hospital, DENY), id="other"))
    made = await _rule(hospital, BUT_HIV)
    with pytest.raises(NoEffect):
        await hospital.service.grant_rule(made)
    await hospital.service.grant_rule(made, followed=True)
    with pytest.raises(NoEffect):
        await hospital.service.change_rule(made)
    await hospital.service.change_rule(made, followed=True)


async def test_a_relative_s_permit_ends_with_the_authority(hospital: Hospital) -> None:
    over = {**PERMIT, "performer": [{"reference": "RelatedPerson/mother"}], "dateTime": "2026-05-31"}
    hospital.put("x", over)
    hospital.recorded = [Authority("mother", NOW_S - 10 * 86_400, NOW_S)]
    assert await hospital.changes() == ["granted"]
    hospital.recorded = [Authority("mother", NOW_S - 10 * 86_400, NOW_S, NOW_S)]
    assert await hospital.changes() == ["malformed"]
    assert hospital.live() == ["permit{opaque} malformed"]
