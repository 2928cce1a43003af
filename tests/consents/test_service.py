from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from gateway.consents.draft import Draft
from gateway.consents.entries import CHANGE, GRANT, REVOKE
from gateway.consents.service import ConsentService
from gateway.consents.view import consent_json, ref_json
from gateway.core.canon import Json, b64url
from gateway.core.consent.evaluate import Asker, Permitted, ResourceFacts, bind
from gateway.core.consent.rule import State
from gateway.core.values import ConsentRef
from gateway.errors import BadRequest, LedgerUnavailable, NotFound
from tests.consents.ledger import Ledger, Receipt, parse_scope

NOW_S = 1_780_308_000  # 2026-06-01T10:00:00Z
PERMIT = Draft("p1", ("client:app-1",), ("patient/*.rs",))
DENY = Draft("p1", (), ("patient/*.rs",), effect="deny")


class House:
    """A service over a ledger in memory; ids are c1, c2 ..."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        numbers = count(1)
        self.service = ConsentService(
            self.ledger.registry, self.ledger.record, lambda: f"c{next(numbers)}", lambda: NOW_S, parse_scope
        )

    def reads(self, client: str = "app-1", labels: frozenset[Any] = frozenset()) -> bool:
        asker = Asker(frozenset({f"client:{client}"}), purposes=("TREAT",))
        made = bind(self.ledger.registry.standing, asker, NOW_S, None)
        facts = ResourceFacts("Observation", labels, frozenset({"p1"}))
        return isinstance(made.judge(facts, "r"), Permitted)


@pytest.fixture
def house() -> House:
    return House()


@pytest.mark.parametrize("by", [None, "Patient/p1"], ids=["the operator", "a person"])
async def test_entries_name_who_acts(house: House, by: str | None) -> None:
    who: dict[str, Any] = {} if by is None else {"by": by}
    consent = await house.service.grant(PERMIT, **who)
    await house.service.change(consent.id, replace(PERMIT, purposes=("TREAT",)), **who)
    await house.service.revoke(consent.id, "patient-request", **who)
    assert [entry.facts["act"] for entry in house.ledger.entries] == [by or "operator"] * 3


async def test_grant_change_revoke(house: House) -> None:
    granted = await house.service.grant(PERMIT)
    assert granted == ConsentRef("c1", 0, b64url(house.ledger.entries[0].leaf_hash))
    assert house.reads()
    changed = await house.service.change("c1", replace(PERMIT, grantees=("client:app-2",)))
    assert (changed.id, changed.entry) == ("c1", 1)
    assert (house.reads(), house.reads("app-2")) == (False, True)
    revoked = await house.service.revoke("c1", "patient-request")
    assert revoked.entry == 2
    assert not house.reads("app-2")
    assert [entry.kind for entry in house.ledger.entries] == [GRANT, CHANGE, REVOKE]
    assert house.service.show("c1").state is State.REVOKED


async def test_stop_and_grant_again(house: House) -> None:
    await house.service.grant(PERMIT)
    await house.service.revoke("c1", "patient-request", stop=True)
    assert house.service.show("c1").state is State.STOPPED
    assert house.ledger.entries[-1].facts["rsn"] == "stop:patient-request"
    assert not house.reads()
    with pytest.raises(BadRequest, match="no effect because consent c1 was stopped; supersede c1"):
        await house.service.grant(PERMIT)
    await house.service.grant(replace(PERMIT, supersedes=("c1",)))
    assert house.reads()


async def test_a_stop_binds_against_wider_permits_too(house: House) -> None:
    await house.service.grant(PERMIT)
    await house.service.revoke("c1", "patient-request", stop=True)
    await house.service.grant(replace(PERMIT, grantees=("client:app-1", "client:app-2")))
    assert (house.reads(), house.reads("app-2")) == (False, True)


async def test_a_plain_revocation_leaves_the_way_open(house: House) -> None:
    await house.service.grant(PERMIT)
    await house.service.revoke("c1", "patient-request")
    await house.service.grant(PERMIT)
    assert house.reads()


async def test_a_plain_revocation_can_be_made_a_stop(house: House) -> None:
    await house.service.grant(PERMIT)
    await house.service.revoke("c1", "patient-request")
    await house.service.revoke("c1", "patient-request", stop=True)
    assert house.service.show("c1").state is State.STOPPED


async def test_of_patient_shows_all_oldest_first(house: House) -> None:
    await house.service.grant(PERMIT)
    await house.service.grant(replace(PERMIT, supersedes=("c1",)))
    await house.service.grant(replace(PERMIT, patient="p2"))
    assert [consent.id for consent in house.service.of_patient("p1")] == ["c1", "c2"]
    assert house.service.of_patient("p9") == ()


async def test_a_failed_record_changes_nothing(house: House) -> None:
    house.ledger.fails = True
    with pytest.raises(LedgerUnavailable):
        await house.service.grant(PERMIT)
    assert house.service.of_patient("p1") == ()


Act = Callable[[ConsentService], Awaitable[object]]
REFUSED: list[tuple[str, Act, type[Exception], str]] = [
    ("a bad draft", lambda s: s.grant(replace(PERMIT, scopes=())), BadRequest, "at least one scope"),
    ("programme records for anything", lambda s: s.grant(replace(PERMIT, labels=("42CFRPart2",))), BadRequest,
     "without saying what for"),
    ("supersedes nothing", lambda s: s.grant(replace(PERMIT, supersedes=("c9",))), NotFound, "no consent c9"),
    ("supersedes a stranger's", lambda s: s.grant(replace(PERMIT, patient="p2", supersedes=("c1",))),
     BadRequest, "c1 is not one of this patient's"),
    ("supersedes later", lambda s: s.grant(replace(PERMIT, from_="2026-07-01", supersedes=("c1",))),
     BadRequest, "begins at once"),
    ("changes nothing", lambda s: s.change("c9", PERMIT), NotFound, "no consent c9"),
    ("changes the patient", lambda s: s.change("c1", replace(PERMIT, patient="p2")), BadRequest, "stays"),
    ("changes to a bad draft", lambda s: s.change("c1", replace(PERMIT, labels=("x",))), BadRequest, "'x'"),
    ("changes what was revoked", lambda s: s.change("c2", PERMIT), BadRequest, "c2 is revoked"),
    ("revokes nothing", lambda s: s.revoke("c9", "patient-request"), NotFound, "no consent c9"),
    ("revokes again", lambda s: s.revoke("c2", "patient-request"), BadRequest, "already revoked"),
    ("a reason in words", lambda s: s.revoke("c1", "They asked."), BadRequest, "reason is a code"),
    ("a reason that says stop", lambda s: s.revoke("c1", "stop:x"), BadRequest, "reason is a code"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("act", "error", "text"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
async def test_refused_before_anything_is_recorded(
    house: House, act: Act, error: type[Exception], text: str
) -> None:
    await house.service.grant(PERMIT)
    await house.service.grant(PERMIT)
    await house.service.revoke("c2", "patient-request")
    with pytest.raises(error, match=text):
        await act(house.service)
    assert len(house.ledger.entries) == 3


# What stands, what is to be permitted, and whether it would be dead on arrival.
ARRIVALS: list[tuple[str, dict[str, Any], dict[str, Any], bool]] = [
    ("all is denied", {}, {}, True),
    ("the client is denied", {"grantees": ("client:app-1",)}, {}, True),
    ("another client is denied", {"grantees": ("client:app-2",)}, {}, False),
    ("one of two clients is denied", {"grantees": ("client:app-1",)},
     {"grantees": ("client:app-1", "client:app-2")}, False),
    ("the client of every issuer is denied", {"grantees": ("client:app-1",)},
     {"grantees": ("client:app-1@https://idp.example",)}, True),
    ("the client of one issuer is denied", {"grantees": ("client:app-1@https://idp.example",)}, {}, False),
    ("the type is denied", {"scopes": ("patient/Observation.rs",)},
     {"scopes": ("patient/Observation.r",)}, True),
    ("one type of all is denied", {"scopes": ("patient/Observation.rs",)}, {}, False),
    ("part of the type is denied", {"scopes": ("patient/Observation.rs?code=1",)},
     {"scopes": ("patient/Observation.rs",)}, False),
    ("reading is denied, writing asked", {"scopes": ("patient/*.rs",)}, {"scopes": ("patient/*.c",)}, False),
    ("the purpose is denied", {"purposes": ("TREAT",)}, {"purposes": ("TREAT",)}, True),
    ("the wider purpose is denied", {"purposes": ("TREAT",)}, {"purposes": ("ETREAT",)}, True),
    ("one purpose of any is denied", {"purposes": ("TREAT",)}, {}, False),
    ("one purpose of two is denied", {"purposes": ("TREAT",)}, {"purposes": ("TREAT", "HRESCH")}, False),
    ("a label is denied", {"labels": ("HIV",)}, {}, False),
    ("the label is denied", {"labels": ("HIV",)}, {"labels": ("HIV",)}, True),
    ("the wider label is denied", {"labels": ("SUD",)}, {"labels": ("ETHUD",)}, True),
    ("one label of two is denied", {"labels": ("HIV",)}, {"labels": ("HIV", "STD")}, False),
    ("denied until it ends", {"until": "2026-12-31"}, {"until": "2026-12-31"}, True),
    ("denied until the day before", {"until": "2026-12-30"}, {"until": "2026-12-31"}, False),
    ("denied for a time, permitted for good", {"until": "2026-12-31"}, {}, False),
    ("denied from later on", {"from_": "2026-07-01"}, {}, False),
    ("denied from the day it begins", {"from_": "2026-07-01"}, {"from_": "2026-07-01"}, True),
    ("the deny is superseded", {}, {"supersedes": ("c1",)}, False),
    ("another patient denies", {"patient": "p2"}, {}, False),
    ("a deny denies too", {}, {"effect": "deny"}, False),
]  # fmt: skip


@pytest.mark.parametrize(("standing", "new", "dead"), [r[1:] for r in ARRIVALS], ids=[r[0] for r in ARRIVALS])
async def test_dead_on_arrival(
    house: House, standing: dict[str, Any], new: dict[str, Any], dead: bool
) -> None:
    await house.service.grant(replace(DENY, **standing))
    if not dead:
        await house.service.grant(replace(PERMIT, **new))
        return
    with pytest.raises(BadRequest, match="no effect because consent c1 denies"):
        await house.service.grant(replace(PERMIT, **new))
    await house.service.grant(replace(PERMIT, **{**new, "supersedes": ("c1",), "from_": None}))


async def test_a_deny_can_be_changed_into_a_permit(house: House) -> None:
    await house.service.grant(DENY)
    await house.service.change("c1", PERMIT)
    assert house.reads()


async def test_a_change_that_another_gateway_outran_is_reported(house: House) -> None:
    await house.service.grant(PERMIT)
    other = ConsentService(
        house.ledger.registry, house.ledger.record, lambda: "x", lambda: NOW_S, parse_scope
    )

    async def late(
        kind: str, facts: Mapping[str, Json], patient: str, attachments: Mapping[str, str]
    ) -> Receipt:
        await other.revoke("c1", "patient-request")
        return await house.ledger.record(kind, facts, patient, attachments)

    slow = ConsentService(house.ledger.registry, late, lambda: "x", lambda: NOW_S, parse_scope)
    with pytest.raises(BadRequest, match="ended while"):
        await slow.change("c1", replace(PERMIT, grantees=("client:app-2",)))
    assert not house.reads("app-2")


@pytest.mark.parametrize("doubt", ["indeterminate", "malformed"])
async def test_what_is_in_doubt_supersedes_nothing(house: House, doubt: str) -> None:
    await house.service.grant(DENY)
    drafted = replace(house.service.drafted(PERMIT), supersedes=frozenset({"c1"}), refs=())
    with pytest.raises(BadRequest, match="in doubt"):
        await house.service.grant_rule(replace(drafted, **{doubt: True}))  # type: ignore[arg-type]
    await house.service.grant_rule(drafted)
    assert house.reads()


async def test_what_is_shown(house: House) -> None:
    ref = await house.service.grant(
        replace(PERMIT, purposes=("TREAT",), labels=("N", "HIV"), from_="2026-01-01", until="2027-01-01")
    )
    assert ref_json(ref) == {"id": "c1", "entry": 0, "hash": ref.hash}
    shown = {
        "id": "c1",
        "patient": "p1",
        "state": "live",
        "effect": "permit",
        "grantees": ["client:app-1"],
        "scopes": ["patient/*.rs"],
        "purposes": ["TREAT"],
        "from": "2026-01-01T00:00:00Z",
        "until": "2027-01-01T23:59:59Z",
        "labels": ["HIV", "N"],
        "except": [],
        "supersedes": [],
        "entries": [{"entry": 0, "hash": ref.hash}],
        "ended": None,
    }
    assert consent_json(house.service.show("c1")) == shown
    ended = await house.service.revoke("c1", "patient-request")
    assert consent_json(house.service.show("c1")) == {
        **shown,
        "state": "revoked",
        "ended": {"entry": 1, "hash": ended.hash},
    }
