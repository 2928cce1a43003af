"""Requests, one after the other, at a gateway that keeps cases, and the records of one patient's care."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from gateway.casebook import Casebook
from gateway.core.consent.rule import Consent
from gateway.core.decide import decide
from gateway.core.fhir.facts import facts_of
from gateway.core.plan import Deny, Permit
from gateway.core.roles.ceiling import Roles
from gateway.core.standing import House, Standing
from gateway.core.values import Ref, Token
from gateway.gather import Gathered, gather
from gateway.mapping import load_profiles
from tests.core.consent.build import NOW_S, consents, permit
from tests.core.deciding import BASES, R4, View, request, token
from tests.support.hospital import Hospital, at, record

HOUSE = House(R4, BASES, roles=Roles(load_profiles()))
OPEN = consents(permit(), patient="85")
FOLLOWING = "/Encounter?episode-of-care=EpisodeOfCare%2F3&patient=Patient%2F85&_count=200"


def limited(role: str, case: str, purposes: str = "TREAT", **more: Any) -> Token:
    named = {"role": role, "case": Ref(*case.split("/")), "digest": case.encode(), **more}
    return replace(token(purposes=purposes), **named)


DOCTOR = limited("clinician", "EpisodeOfCare/3")


def stay(ident: str, *episodes: str, **more: Any) -> dict[str, Any]:
    return record(
        f"Encounter/{ident}", episodeOfCare=[at(f"EpisodeOfCare/{each}") for each in episodes], **more
    )


def note(ident: str, stay_id: str, **more: Any) -> dict[str, Any]:
    return record(
        f"Observation/{ident}", encounter=at(f"Encounter/{stay_id}"), **{"code": coded("n"), **more}
    )


def coded(code: str) -> dict[str, Any]:
    return {"coding": [{"system": "http://x.example", "code": code}]}


CHART = (
    record("EpisodeOfCare/3"),
    stay("5", "3"),
    stay("6", "3"),
    stay("4"),
    note("of-5", "5"),
    note("of-6", "6"),
    note("of-4", "4"),
    note("secret", "5", code=coded("s")),
    note("anothers", "5", subject={"reference": "Patient/86"}),
)


@dataclass
class Desk:
    """Requests, one after the other, at a gateway that keeps cases."""

    records: Sequence[dict[str, Any]] = CHART
    lasts_s: int = 60
    size: int = 100
    house: House = HOUSE
    given: tuple[Consent, ...] = OPEN
    mark: int = 1
    hospital: Hospital = field(init=False)
    book: Casebook = field(init=False)

    def __post_init__(self) -> None:
        self.hospital, self.book = Hospital(self.records, self.size), Casebook(self.lasts_s)

    def put(self, *changed: dict[str, Any]) -> None:
        """Stores records, in place of what had their names."""
        names = {(each["resourceType"], each["id"]) for each in changed}
        others = [each for each in self.hospital.records if (each["resourceType"], each["id"]) not in names]
        self.hospital.records = [*others, *changed]

    async def gathered(self, target: str, who: Token = DOCTOR, after_s: int = 0) -> Gathered | Deny:
        self.hospital.asked.clear()
        view = View(self.given)
        decision = decide(request(target), Standing(who, view, self.house, NOW_S + after_s))
        assert isinstance(decision, Permit), decision
        place = self.book.place(who, decision.plan.judge, self.mark, view)
        read = partial(facts_of, catalogue=R4, bases=BASES)
        return await gather(self.hospital, BASES, read, decision.plan, place)

    async def ask(self, target: str, who: Token = DOCTOR, after_s: int = 0) -> set[str]:
        """The records that come."""
        found = await self.gathered(target, who, after_s)
        return set() if isinstance(found, Deny) else {str(one.facts.ref) for one in found.candidates}

    async def shows(self, target: str, who: Token = DOCTOR, after_s: int = 0) -> bool:
        return target in await self.ask(target, who, after_s)

    @property
    def asked(self) -> list[str]:
        return self.hospital.asked
