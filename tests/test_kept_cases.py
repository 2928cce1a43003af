"""A case that is kept with its token: what is asked upstream for an answer, and what that shows, as records
come and go. `Hospital` is the record server; each question that it was asked counts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors
from gateway.core.consent.rule import Consent
from gateway.core.labels.remembered import Labelling
from gateway.core.values import Ask, Ref, UpstreamReply
from gateway.gather import Gathered
from tests.core.consent.build import NOW_S, consents, deny, permit
from tests.core.labels.tables import labeller
from tests.support.case_desk import CHART, DOCTOR, FOLLOWING, HOUSE, OPEN, Desk, limited, note, stay
from tests.support.hospital import Hospital, at, record
from tests.test_casefile import CHART as WARD

# --- Kept ------------------------------------------------------------------------------------------


async def test_a_case_is_followed_when_first_needed_and_then_kept() -> None:
    desk = Desk()
    assert await desk.shows("Observation/of-5")
    assert desk.asked == ["/Observation/of-5?", FOLLOWING]
    assert await desk.shows("Observation/of-6", after_s=59)
    assert desk.asked == ["/Observation/of-6?"]
    assert await desk.shows("Observation/of-6", after_s=60)
    assert desk.asked == ["/Observation/of-6?", FOLLOWING]


async def test_with_zero_seconds_it_is_followed_for_each_answer() -> None:
    desk = Desk(lasts_s=0)
    for _ in range(2):
        assert await desk.shows("Observation/of-5")
        assert desk.asked == ["/Observation/of-5?", FOLLOWING]


async def test_it_is_no_other_tokens() -> None:
    desk = Desk()
    assert await desk.shows("Observation/of-5")
    assert await desk.shows("Observation/of-5", replace(DOCTOR, digest=b"another"))
    assert desk.asked == ["/Observation/of-5?", FOLLOWING]


@pytest.mark.parametrize(
    ("given", "asks"),
    [(consents(permit(), permit(purposes="TREAT"), patient="85"), 2), (OPEN, 1)],
    ids=["changed", "another patient's"],
)
async def test_it_ends_when_the_consents_change(given: tuple[Consent, ...], asks: int) -> None:
    desk = Desk()
    assert await desk.shows("Observation/of-5")
    desk.given, desk.mark = given, 2
    assert await desk.shows("Observation/of-5")
    assert len(desk.asked) == asks


async def test_what_no_case_can_hold_has_none_followed() -> None:
    desk = Desk([*CHART, {"resourceType": "Practitioner", "id": "p"}])
    for target in ("Practitioner/p", "Practitioner/q", "Organization/o"):
        assert not await desk.shows(target)
        assert desk.asked == [f"/{target}?"]


@pytest.mark.parametrize(
    ("role", "case", "member", "stranger"),
    [
        ("clinician", "EpisodeOfCare/3", "Observation/of-6", "Observation/of-4"),
        ("clinician", "Encounter/5", "Observation/of-5", "Observation/of-6"),
        ("laboratory", "ServiceRequest/order", "Specimen/s", "Specimen/t"),
        ("pharmacy", "MedicationRequest/rx", "MedicationDispense/d", "MedicationDispense/d-2"),
        ("payer", "Claim/7", "Procedure/8", "Procedure/9"),
        ("telehealth", "Appointment/1", "Encounter/5", "Encounter/6"),
    ],
)
async def test_each_kind_of_case_is_kept(role: str, case: str, member: str, stranger: str) -> None:
    desk, who = Desk(WARD), limited(role, case, "HPAYMT" if role == "payer" else "TREAT")
    assert await desk.shows(member, who)
    followed = desk.asked[1:]
    assert await desk.shows(member, who)
    assert desk.asked == [f"/{member}?"]
    assert not await desk.shows(stranger, who)
    assert desk.asked[1:] == followed


# --- Who comes and who goes ------------------------------------------------------------------------


async def test_a_new_member_is_seen_at_once() -> None:
    desk = Desk()
    assert await desk.shows("Observation/of-5")
    desk.put(stay("7", "3"), note("of-7", "7"), stay("8"), note("of-8", "8"))
    assert await desk.shows("Observation/of-7", after_s=1)
    assert desk.asked == ["/Observation/of-7?", FOLLOWING]
    assert await desk.shows("Observation/of-7", after_s=60)
    assert desk.asked == ["/Observation/of-7?"]
    assert not await desk.shows("Observation/of-8", after_s=2)


@pytest.mark.parametrize(
    ("lasts_s", "after_s", "seen"),
    [(60, 59, True), (60, 60, False), (0, 1, False), (5, 4, True), (5, 5, False)],
)
async def test_a_member_that_left_is_seen_for_a_while(lasts_s: int, after_s: int, seen: bool) -> None:
    desk = Desk(lasts_s=lasts_s)
    assert await desk.shows("Observation/of-6")
    desk.put(stay("6"))
    assert await desk.shows("Observation/of-6", after_s=after_s) == seen
    assert await desk.shows("Observation/of-5", after_s=after_s)


async def test_a_record_that_names_another_case_is_gone_at_once() -> None:
    desk = Desk()
    assert await desk.shows("Observation/of-6")
    desk.put(note("of-6", "4"))
    assert not await desk.shows("Observation/of-6", after_s=1)


async def test_a_mention_of_a_new_member_speaks_at_once() -> None:
    desk = Desk()
    assert await desk.shows("Observation/of-5")
    named = [{**at(f"Observation/{each}"), "display": "said"} for each in ("of-6", "of-7", "of-4")]
    desk.put(stay("7", "3"), note("of-5", "5", hasMember=named), note("of-7", "7"))
    found = await desk.gathered("Observation/of-5", after_s=1)
    assert isinstance(found, Gathered)
    assert found.visible == {Ref("Observation", each) for each in ("of-5", "of-6", "of-7")}
    assert desk.asked.count(FOLLOWING) == 1


@pytest.mark.parametrize(("ident", "follows"), [("of-6", 0), ("of-4", 1), ("secret", 1), ("nothing", 1)])
async def test_a_mention_that_stays_masked_costs_as_much_as_one_of_nothing(ident: str, follows: int) -> None:
    mention = {**at(f"Observation/{ident}"), "display": "said"}
    desk = Desk([*CHART, note("m", "5", hasMember=[mention])], given=APART)
    assert await desk.shows("Observation/of-5")
    assert await desk.shows("Observation/m")
    assert len(desk.asked) == 2 + follows
    assert desk.asked.count(FOLLOWING) == follows


# --- Hidden and missing look alike -----------------------------------------------------------------

UNSEEN = ["Observation/of-4", "Observation/anothers", "Observation/secret", "Observation/nothing"]
APART = consents(permit(), deny(scopes="patient/Observation.rs?code=s"), patient="85")


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "first needed"])
@pytest.mark.parametrize("target", UNSEEN)
async def test_what_is_not_shown_costs_as_much_as_what_is_not_there(target: str, is_kept: bool) -> None:
    desk = Desk(given=APART)
    if is_kept:
        assert await desk.shows("Observation/of-5")
    assert not await desk.shows(target)
    assert desk.asked == [f"/{target}?", FOLLOWING]


@pytest.mark.parametrize("target", UNSEEN)
async def test_nor_are_the_labels_around_it_looked_at(target: str) -> None:
    stranger = note("of-4", "4", hasMember=[at("Observation/elsewhere")])
    house = replace(HOUSE, labelling=Labelling(labeller()))
    desk = Desk([*(each for each in CHART if each["id"] != "of-4"), stranger], given=APART, house=house)
    assert await desk.shows("Observation/of-5")
    assert not await desk.shows(target)
    assert desk.asked == [f"/{target}?", FOLLOWING]


async def test_the_labels_around_a_new_member_are_looked_at() -> None:
    desk = Desk(house=replace(HOUSE, labelling=Labelling(labeller())))
    assert await desk.shows("Observation/of-5")
    desk.put(stay("7", "3"), note("of-7", "7", hasMember=[at("Observation/elsewhere")]))
    await desk.ask("Observation/of-7")
    assert FOLLOWING in desk.asked
    assert any(ask.startswith("/Observation?_id=elsewhere") for ask in desk.asked)


@pytest.mark.parametrize("ident", ["of-5", "of-4", "of-5,of-4", "secret", "nothing", "of-5,of-6"])
async def test_a_search_costs_the_same_whatever_it_finds(ident: str) -> None:
    desk = Desk(given=APART)
    assert await desk.shows("Observation/of-5")
    seen = await desk.ask(f"Observation?_id={ident}")
    assert seen == {f"Observation/{each}" for each in ident.split(",") if each in ("of-5", "of-6")}
    [search, following, *mentions] = desk.asked
    assert search.startswith("/Observation?_id=")
    assert following == FOLLOWING
    assert all(each.startswith("/Encounter?_id=") for each in mentions)


async def test_many_empty_pages_have_it_followed_once() -> None:
    strangers = [note(f"s{number}", "4") for number in range(7)]
    desk = Desk([record("EpisodeOfCare/3"), stay("5", "3"), stay("4"), *strangers, note("last", "5")], size=1)
    assert await desk.ask("Observation") == {"Observation/last"}
    assert desk.asked.count(FOLLOWING) == 1
    assert len([ask for ask in desk.asked if ask.startswith("/Observation")]) == 8


# --- At the same time ------------------------------------------------------------------------------


class Slow(Hospital):
    """Its first answer about the stays waits for `go`."""

    def __init__(self, records: Sequence[dict[str, Any]]) -> None:
        super().__init__(records)
        self.go = asyncio.Event()
        self.waited = asyncio.Event()

    async def fetch(self, ask: Ask) -> UpstreamReply:
        reply = await super().fetch(ask)
        if ask.path == "/Encounter" and not self.waited.is_set():
            self.waited.set()
            await self.go.wait()
        return reply


async def test_what_an_earlier_request_found_does_not_take_the_place_of_a_later_ones() -> None:
    desk = Desk()
    desk.hospital = slow = Slow(CHART)
    early = asyncio.create_task(desk.shows("Observation/of-5"))
    await slow.waited.wait()
    desk.put(stay("7", "3"), note("of-7", "7"))
    assert await desk.shows("Observation/of-7", after_s=1)
    slow.go.set()
    assert await early
    assert await desk.shows("Observation/of-7", after_s=2)
    assert desk.asked == ["/Observation/of-7?"]


async def test_a_consent_that_changes_meanwhile_leaves_nothing_kept() -> None:
    desk = Desk()
    desk.hospital = slow = Slow(CHART)
    early = asyncio.create_task(desk.shows("Observation/of-5"))
    await slow.waited.wait()
    desk.given, desk.mark = APART, 2
    assert not await desk.shows("Observation/secret")
    desk.given, desk.mark = OPEN, 3
    assert await desk.shows("Observation/of-6")
    slow.go.set()
    assert await early
    assert len(desk.book) == 1
    desk.given, desk.mark = APART, 4
    assert await desk.shows("Observation/of-5")
    assert desk.asked == ["/Observation/of-5?", FOLLOWING]


# --- Failures --------------------------------------------------------------------------------------


class Failing(Hospital):
    """It has no answer to searches for `kind`, or with `status` one that is none."""

    def __init__(self, records: Sequence[dict[str, Any]], kind: str, status: int | None) -> None:
        super().__init__(records)
        self.kind, self.status = kind, status

    async def fetch(self, ask: Ask) -> UpstreamReply:
        if ask.path == f"/{self.kind}":
            if self.status is None:
                raise errors.UpstreamTimeout
            return UpstreamReply(self.status)
        return await super().fetch(ask)


@pytest.mark.parametrize("target", ["Observation/of-4", "Observation/nothing", "Observation?_id=of-5"])
async def test_a_failure_to_follow_it_anew_shows_nothing(target: str) -> None:
    desk = Desk()
    assert await desk.shows("Observation/of-5")
    whole, desk.hospital = desk.hospital, Failing(CHART, "Encounter", None)
    with pytest.raises(errors.UpstreamTimeout):
        await desk.ask(target)
    desk.hospital = whole
    assert await desk.shows("Observation/of-5", after_s=1)
    assert desk.asked == ["/Observation/of-5?"]


async def test_what_was_not_read_whole_is_not_kept() -> None:
    desk = Desk()
    desk.hospital = Failing(CHART, "Encounter", 400)
    assert not await desk.shows("Observation/of-5")
    assert len(desk.book) == 0


# --- The law ---------------------------------------------------------------------------------------

STAYS, NOTES = ("a", "b", "c"), ("x", "y")
CHANGES = st.one_of(
    st.tuples(st.just("stay"), st.sampled_from(STAYS), st.booleans()),
    st.tuples(st.just("note"), st.sampled_from(NOTES), st.sampled_from(STAYS)),
    st.tuples(st.just("wait"), st.sampled_from([1, 20, 59, 60]), st.none()),
    st.tuples(st.just("read"), st.sampled_from(NOTES), st.none()),
    st.tuples(st.just("search"), st.none(), st.none()),
)


@given(st.lists(CHANGES, max_size=15))
async def test_new_members_are_seen_at_once_and_old_ones_for_a_minute(steps: list[Any]) -> None:
    """Against the oracle: the stays of the episode as they are, and as they were within the minute."""
    desk, now_s = Desk([record("EpisodeOfCare/3"), *map(stay, STAYS)], lasts_s=60), 0
    who = replace(DOCTOR, expires_at_s=NOW_S + 10_000)
    held, made_in = frozenset[str](), dict[str, str]()
    past = [(held, now_s)]  # which stays there were, and until when
    for step, what, how in steps:
        match step:
            case "stay":
                past.append((held, now_s))
                held = held | {what} if how else held - {what}
                desk.put(stay(what, "3") if how else stay(what))
            case "note":
                made_in[what] = how
                desk.put(note(what, how))
            case "wait":
                now_s += what
            case "read":
                seen = await desk.shows(f"Observation/{what}", who, now_s)
                was = frozenset[str]().union(*(stays for stays, until_s in past if until_s > now_s - 60))
                if made_in.get(what) in held:
                    assert seen, "a member is seen at once"
                if seen:
                    assert made_in[what] in held | was, "one that left is seen for a minute at most"
            case _:
                expected = {f"Observation/{each}" for each, where in made_in.items() if where in held}
                assert await desk.ask("Observation", who, now_s) == expected
