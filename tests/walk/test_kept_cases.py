"""A token keeps what belongs to its case: who comes is seen at once, who goes is seen for a minute more, and
a consultation is open by the clock of now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.auth.tokens.issuing import Issued
from gateway.casebook import Casebook
from gateway.cli.issue import Wish, issue
from gateway.consents.entries import TOKEN_REVOKE, end_of_token_facts
from gateway.core.record import Draft
from gateway.house import open_house
from gateway.ports import Ports
from tests.support.gateway import Clock, Gateway, gateway
from tests.upstreams.base import Upstream
from tests.walk.clocks import Stopped
from tests.walk.conftest import as_labelled
from tests.walk.data import put_all

START = "2025-02-03T07:50:00"
ANN = {"reference": "Patient/pat-k"}
EPISODE, MEETING = "EpisodeOfCare/k-care", "Appointment/k-meet"
TREATING = {"client_id": "ward", "role": "clinician", "case": EPISODE}
REMOTE = {"client_id": "tele-app", "role": "telehealth", "case": MEETING}


def episode() -> dict[str, Any]:
    return {"resourceType": "EpisodeOfCare", "id": "k-care", "status": "active", "patient": ANN}


def meeting(end: str) -> dict[str, Any]:
    there = [{"actor": ANN, "status": "accepted"}]
    about = {"id": "k-meet", "status": "booked", "participant": there}
    return {"resourceType": "Appointment", **about, "start": "2025-02-03T08:00:00Z", "end": end}


def stay(ident: str, **more: Any) -> dict[str, Any]:
    kind = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
    return {
        "resourceType": "Encounter",
        "id": ident,
        "status": "finished",
        "class": kind,
        "subject": ANN,
        **more,
    }


def note(ident: str, stay_id: str) -> dict[str, Any]:
    made_in = {"subject": ANN, "encounter": {"reference": f"Encounter/{stay_id}"}}
    return {
        "resourceType": "Observation",
        "id": ident,
        "status": "final",
        "code": {"text": "note"},
        **made_in,
    }


IN_CARE = {"episodeOfCare": [{"reference": EPISODE}]}
CHART = [
    {"resourceType": "Patient", "id": "pat-k"},
    episode(),
    meeting("2025-02-03T08:30:00Z"),
    stay("k-1", **IN_CARE, appointment=[{"reference": MEETING}]),
    stay("k-2", **IN_CARE),
    stay("k-3"),
    note("k-of-1", "k-1"),
    note("k-of-2", "k-2"),
    note("k-of-3", "k-3"),
]  # fmt: skip
ORDER = ("Patient", "EpisodeOfCare", "Appointment", "Encounter", "Observation")


@dataclass(frozen=True)
class Ward:
    clinic: Gateway
    upstream: Upstream
    clock: Stopped
    book: Casebook

    def put(self, *records: Mapping[str, Any]) -> None:
        for kind in ORDER:  # HAPI indexes a reference only if its target is there already
            found = [each for each in records if each["resourceType"] == kind]
            if found:
                put_all(self.upstream, found)

    def token(self, **claims: object) -> str:
        exp = self.clock() // 1000 + 4 * 3600
        return self.clinic.token("patient/*.rs", "pat-k", **{"exp": exp, **claims})  # type: ignore[arg-type]

    def sees(self, ident: str, token: str) -> tuple[bool, int]:
        """Whether the note is shown, and how many questions that cost beyond the one for itself."""
        before = len(self.clinic.upstream.asks)
        answer = self.clinic.get(f"/fhir/Observation/{ident}", token)
        assert answer.status_code in (200, 404)
        return answer.status_code == 200, len(self.clinic.upstream.asks) - before - 1


@pytest.fixture
def ward(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    clock, books = Stopped(START), list[Casebook]()

    def noted(ports: Ports) -> Ports:
        books.append(ports.cases)
        return as_labelled(ports)  # what labels cost is another subject

    folder = tmp_path_factory.mktemp("ward")
    with gateway(folder, upstream.base_url, clock=clock, ports=noted) as running:
        made = Ward(running, upstream, clock, books[0])
        made.put(*CHART)
        running.permit("pat-k", grantees=["client:ward", "client:tele-app"])
        yield made
        running.check_everything()


def test_it_is_followed_once_and_kept_for_a_minute(ward: Ward) -> None:
    token = ward.token(**TREATING)
    assert ward.sees("k-of-1", token) == (True, 1)
    assert ward.sees("k-of-2", token) == (True, 0)
    ward.clock.put("2025-02-03T07:50:59")
    assert ward.sees("k-of-1", token) == (True, 0)
    ward.clock.put("2025-02-03T07:51:00")
    assert ward.sees("k-of-1", token) == (True, 1)


def test_another_token_has_nothing_of_it(ward: Ward) -> None:
    assert ward.sees("k-of-1", ward.token(**TREATING)) == (True, 1)
    assert ward.sees("k-of-1", ward.token(**TREATING)) == (True, 1)


def test_a_new_member_is_seen_at_once(ward: Ward) -> None:
    token = ward.token(**TREATING)
    assert ward.sees("k-of-1", token) == (True, 1)
    assert ward.sees("k-new", token) == (False, 1)
    ward.put(stay("k-4", **IN_CARE), note("k-new", "k-4"))
    assert ward.sees("k-new", token) == (True, 1)
    assert ward.sees("k-new", token) == (True, 0)


def test_a_member_that_left_is_gone_after_a_minute(ward: Ward) -> None:
    token = ward.token(**TREATING)
    assert ward.sees("k-of-2", token) == (True, 1)
    ward.put(stay("k-2"))
    ward.clock.put("2025-02-03T07:50:59")
    assert ward.sees("k-of-2", token) == (True, 0)
    ward.clock.put("2025-02-03T07:51:00")
    assert ward.sees("k-of-2", token) == (False, 1)


def test_hidden_and_missing_cost_the_same(ward: Ward) -> None:
    token = ward.token(**TREATING)
    for hidden, missing in (("k-of-3", "k-nothing"), ("k-of-3", "k-nothing")):
        assert ward.sees(hidden, token) == ward.sees(missing, token) == (False, 1)
        assert ward.sees("k-of-1", token) == (True, 0)


def test_a_search_shows_the_case_as_it_is(ward: Ward) -> None:
    token = ward.token(**TREATING)
    assert ward.sees("k-of-2", token) == (True, 1)
    ward.put(stay("k-2"))
    asked = len(ward.clinic.upstream.asks)
    page = ward.clinic.get("/fhir/Observation?_id=k-of-1,k-of-2,k-of-3", token).json()
    assert {entry["resource"]["id"] for entry in page["entry"]} == {"k-of-1"}
    assert len(ward.clinic.upstream.asks) == asked + 2


def test_it_ends_when_the_patients_consents_change(ward: Ward) -> None:
    token = ward.token(**TREATING)
    assert ward.sees("k-of-1", token) == (True, 1)
    ward.clinic.deny("pat-b")
    assert ward.sees("k-of-1", token) == (True, 0)
    ward.clinic.deny("pat-k", labels=["HIV"])
    assert ward.sees("k-of-1", token) == (True, 1)


def test_a_consultation_ends_and_can_be_prolonged(ward: Ward) -> None:
    ward.clock.put("2025-02-04T08:29:30")
    token = ward.token(**REMOTE, exp=ward.clock() // 1000 + 3000)  # telehealth has an hour at most
    followed = ward.sees("k-of-1", token)
    assert followed[0]
    assert ward.sees("k-of-1", token) == (True, 0)
    ward.clock.put("2025-02-04T08:30:00")
    assert ward.sees("k-of-1", token) == (True, 0)
    ward.clock.put("2025-02-04T08:30:02")  # within the minute, and past the day after its end
    assert ward.sees("k-of-1", token) == (False, 1)
    ward.put(meeting("2025-02-03T09:00:00Z"))
    assert ward.sees("k-of-1", token) == followed
    assert ward.sees("k-of-1", token) == (True, 0)


# --- The token's end -------------------------------------------------------------------------------


def own_token(ward: Ward) -> Issued:
    async def make() -> Issued:
        async with open_house(ward.clinic.house.settings) as other:
            wish = Wish("ward", ("patient/*.rs",), "pat-k", lookup=True, role="clinician", case=EPISODE)
            return await issue(other, wish)

    return asyncio.run(make())


def end(ward: Ward, token: Issued) -> None:
    async def record() -> None:
        async with open_house(ward.clinic.house.settings) as other:
            facts = end_of_token_facts((token.entry, token.hash), "logout")
            await other.record([Draft(TOKEN_REVOKE, None, facts)])

    asyncio.run(record())


def test_with_a_token_its_case_ends(ward: Ward) -> None:
    ward.clock.at_ms = Clock()()  # of the other process, which issues them
    ended, other = own_token(ward), own_token(ward)
    assert ward.sees("k-of-1", ended.text) == (True, 1)
    assert ward.sees("k-of-1", other.text) == (True, 1)
    assert len(ward.book) == 2
    end(ward, ended)
    assert ward.clinic.get("/fhir/Observation/k-of-1", ended.text).status_code == 401
    assert ward.sees("k-of-1", other.text) == (True, 0)
    assert len(ward.book) == 1


def test_a_token_that_is_over_opens_nothing_whatever_is_kept(ward: Ward) -> None:
    short = ward.token(**TREATING, exp=ward.clock() // 1000 + 30)
    assert ward.sees("k-of-1", short) == (True, 1)
    ward.clock.put("2025-02-03T07:50:30")
    assert ward.clinic.get("/fhir/Observation/k-of-1", short).status_code == 401
