"""Who acts for whom: oneself, and others only under an authority that is in force."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.auth.people.authorities import LONGEST_AUTHORITY_S, comes_of_age_s
from gateway.auth.people.registry import Person, Profile
from gateway.core.canon import b64url
from gateway.core.values import Ref
from gateway.errors import BadRequest, LedgerUnavailable, NotFound
from tests.auth.site import PASSWORD, START_S, Site

DAY_S = 86_400
GIVEN: dict[str, Any] = {
    "login": "mum",
    "patient": "child-1",
    "relationship": "MTH",
    "until_s": START_S + DAY_S,
    "recorded_by": "operator",
    "now_s": START_S,
}


@pytest.fixture
async def mum(site: Site) -> Person:
    return await site.people.add(Profile("mum", "Mum", Ref("RelatedPerson", "rp-1")), PASSWORD, site.now_s)


async def test_an_authority_holds_until_its_last_second(site: Site, mum: Person) -> None:
    await site.authorities.allow(**GIVEN)
    held = {after: await site.authorities.acts_for(mum, START_S + after) for after in (0, DAY_S, DAY_S + 1)}
    assert held == {0: ("child-1",), DAY_S: ("child-1",), DAY_S + 1: ()}


async def test_an_authority_that_is_ended_is_over_at_once_and_for_good(site: Site, mum: Person) -> None:
    first = await site.authorities.allow(**GIVEN)
    await site.authorities.allow(**{**GIVEN, "patient": "child-2"})
    ended = await site.authorities.end_authority(first.id, START_S + 5)
    assert ended.ended_s == START_S + 5
    assert await site.authorities.acts_for(mum, START_S + 5) == ("child-2",)
    assert (await site.authorities.end_authority(first.id, START_S + 9)).ended_s == START_S + 5


async def test_it_is_in_the_ledger_before_it_counts(site: Site, mum: Person) -> None:
    made = await site.authorities.allow(**GIVEN)
    [entry] = site.recorded
    assert (entry.kind, entry.patient) == ("authority.grant", "child-1")
    assert {name: entry.facts[name] for name in ("pat", "act", "who", "rel", "exp", "pol")} == {
        "pat": "Patient/child-1",
        "act": "operator",
        "who": "RelatedPerson/rp-1",
        "rel": "MTH",
        "exp": START_S + DAY_S,
        "pol": "p-1",
    }
    assert (made.entry, made.hash) == (0, b64url(bytes(32)))


async def test_what_cannot_be_recorded_is_no_authority(site: Site, mum: Person) -> None:
    site.failing = LedgerUnavailable()
    with pytest.raises(LedgerUnavailable):
        await site.authorities.allow(**GIVEN)
    assert await site.authorities.acts_for(mum, START_S) == ()


async def test_its_end_is_recorded_once_and_names_it(site: Site, mum: Person) -> None:
    made = await site.authorities.allow(**GIVEN)
    for after in (5, 6):
        ended = await site.authorities.end_authority(made.id, START_S + after)
    [_, entry] = site.recorded
    assert (entry.kind, entry.patient, entry.facts["prv"]) == ("authority.end", "child-1", [0, made.hash])
    assert entry.facts["act"] == "operator"
    assert ended.end_entry == 1


async def test_an_end_holds_without_the_ledger_and_is_recorded_later(site: Site, mum: Person) -> None:
    made = await site.authorities.allow(**GIVEN)
    site.failing = LedgerUnavailable()
    with pytest.raises(LedgerUnavailable):
        await site.authorities.end_authority(made.id, START_S + 5)
    assert await site.authorities.acts_for(mum, START_S + 5) == ()
    site.failing = None
    ended = await site.authorities.end_authority(made.id, START_S + 9)
    assert (ended.ended_s, ended.end_entry) == (START_S + 5, 1)


@pytest.mark.parametrize(
    ("user", "own"),
    [
        (Ref("Patient", "pat-a"), ("pat-a",)),
        (Ref("Practitioner", "pat-a"), ()),
        (Ref("RelatedPerson", "pat-a"), ()),
        (Ref("Person", "pat-a"), ()),
        (None, ()),
    ],
    ids=str,
)
async def test_only_a_patient_acts_for_themselves(site: Site, user: Ref | None, own: tuple[str, ...]) -> None:
    person = await site.people.add(Profile("somebody", "Somebody", user), PASSWORD, site.now_s)
    assert await site.authorities.acts_for(person, START_S) == own


async def test_a_patient_comes_first_and_each_once(site: Site) -> None:
    dad = await site.people.add(Profile("dad", "Dad", Ref("Patient", "dad-1")), PASSWORD, site.now_s)
    for patient in ("child-1", "dad-1", "child-1"):
        await site.authorities.allow(**{**GIVEN, "login": "dad", "patient": patient})
    assert await site.authorities.acts_for(dad, START_S) == ("dad-1", "child-1")


async def test_an_authority_is_one_persons(site: Site, mum: Person) -> None:
    await site.authorities.allow(**GIVEN)
    other = await site.people.add(Profile("other", "Other"), PASSWORD, site.now_s)
    assert await site.authorities.acts_for(other, START_S) == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"patient": "Patient/child-1"},
        {"patient": ""},
        {"patient": "*"},
        {"relationship": "friend"},
        {"relationship": "mth"},
        {"until_s": START_S},
        {"until_s": START_S - 1},
        {"until_s": START_S + LONGEST_AUTHORITY_S + 1},
    ],
    ids=str,
)
async def test_one_that_cannot_be_is_not_recorded(site: Site, mum: Person, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        await site.authorities.allow(**{**GIVEN, **wrong})
    assert await site.authorities.acts_for(mum, START_S) == ()


@pytest.mark.parametrize("until_s", [START_S + 1, START_S + LONGEST_AUTHORITY_S])
async def test_the_first_and_the_last_end_there_can_be(site: Site, mum: Person, until_s: int) -> None:
    await site.authorities.allow(**{**GIVEN, "until_s": until_s})
    assert await site.authorities.acts_for(mum, START_S) == ("child-1",)


YEAR_S = 365 * DAY_S


@pytest.mark.parametrize("relationship", ["PRN", "MTH", "FTH", "GUARD"])
async def test_who_brings_up_a_child_does_so_until_it_is_of_age(
    site: Site, mum: Person, relationship: str
) -> None:
    birthday_s = START_S + YEAR_S
    wish = {**GIVEN, "relationship": relationship, "until_s": START_S + 2 * YEAR_S, "of_age_s": birthday_s}
    made = await site.authorities.allow(**wish)
    assert made.until_s == birthday_s - 1
    assert site.recorded[-1].facts["exp"] == birthday_s - 1
    assert await site.authorities.acts_for(mum, birthday_s - 1) == ("child-1",)
    assert await site.authorities.acts_for(mum, birthday_s) == ()
    sooner = await site.authorities.allow(**{**wish, "until_s": START_S + 5})
    assert sooner.until_s == START_S + 5


@pytest.mark.parametrize("of_age_s", [START_S, START_S - YEAR_S])
async def test_who_is_of_age_has_nobody_who_brings_them_up(site: Site, mum: Person, of_age_s: int) -> None:
    with pytest.raises(BadRequest, match="of age"):
        await site.authorities.allow(**GIVEN, of_age_s=of_age_s)
    made = await site.authorities.allow(**{**GIVEN, "relationship": "POWATT"}, of_age_s=of_age_s)
    assert made.until_s == GIVEN["until_s"]


@pytest.mark.parametrize(
    ("born", "age", "second"),
    [
        ("2010-05-17", 18, "2028-05-16T10:00:00+00:00"),
        ("2010-05", 18, "2028-04-30T10:00:00+00:00"),
        ("2010", 18, "2027-12-31T10:00:00+00:00"),
        ("2008-02-29", 18, "2026-02-27T10:00:00+00:00"),
        ("2008-02-29", 20, "2028-02-28T10:00:00+00:00"),
        ("2010-05-17", 16, "2026-05-16T10:00:00+00:00"),
    ],
)
def test_the_first_moment_at_which_somebody_may_be_of_age(born: str, age: int, second: str) -> None:
    """Where the day begins first, 14 hours before it does in UTC."""
    assert datetime.fromtimestamp(comes_of_age_s(born, age), UTC).isoformat() == second


@pytest.mark.parametrize(
    "born", ["", "17.5.2010", "2010-13-01", "2010-02-30", "2010-05-17T10:00Z", "9999-01-01", "ge2010"]
)
def test_a_birth_date_that_is_none(born: str) -> None:
    with pytest.raises(BadRequest):
        comes_of_age_s(born, 18)


async def test_an_authority_is_for_somebody_and_known_to_be_ended(site: Site, mum: Person) -> None:
    with pytest.raises(NotFound):
        await site.authorities.allow(**{**GIVEN, "login": "nobody"})
    with pytest.raises(NotFound):
        await site.authorities.end_authority("id-99", START_S)
