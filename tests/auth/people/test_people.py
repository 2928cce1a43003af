"""People are added and changed by rules, and what is secret of them is not in the database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from gateway.auth.people.passwords import SHORTEST, check_new
from gateway.auth.people.registry import Person, Profile
from gateway.auth.people.totp import Sealer
from gateway.auth.store.people import Account
from gateway.core.values import Ref
from gateway.errors import BadRequest, NotFound, StateUnavailable
from tests.auth.site import KEY, PASSWORD, Site


async def test_a_person_is_who_they_were_said_to_be(site: Site) -> None:
    profile = Profile(
        "Eva.Lind@gw", "Eva Lind", Ref("PractitionerRole", "r-1"), "physician", Ref("Organization", "o")
    )
    eva = await site.people.add(profile, PASSWORD, site.now_s)
    assert eva == Person(
        eva.id, profile.login, profile.name, profile.user, profile.role, profile.organization
    )
    assert await site.people.person(eva.id) == eva
    assert await site.people.person("id-99") is None


async def test_who_is_disabled_is_nobody_until_enabled(site: Site) -> None:
    anna = await site.people.add(Profile("anna", "Anna"), PASSWORD, site.now_s)
    await site.people.set_disabled("anna", True, site.now_s)
    assert await site.people.person(anna.id) is None
    await site.people.set_disabled("anna", False, site.now_s)
    assert await site.people.person(anna.id) == anna


WRONG: dict[str, dict[str, Any]] = {
    "no login": {"login": ""},
    "a space in it": {"login": "an na"},
    "not ASCII": {"login": "änna"},
    "a mark first": {"login": "-anna"},
    "too long": {"login": "a" * 65},
    "a line break in it": {"login": "anna\n"},
    "no name": {"name": ""},
    "a blank name": {"name": "  "},
    "two lines": {"name": "Anna\nEk"},
    "text that turns round": {"name": "Anna \u202e kE"},
    "a long name": {"name": "a" * 121},
    "no person": {"user": Ref("Observation", "obs-a")},
    "an organisation": {"user": Ref("Organization", "org-1")},
    "an empty role": {"role": ""},
    "no organisation": {"organization": Ref("Patient", "pat-a")},
}


@pytest.mark.parametrize("case", WRONG)
def test_a_profile_that_cannot_be_is_refused(case: str) -> None:
    with pytest.raises(BadRequest):
        Profile(**{"login": "anna", "name": "Anna Ek", **WRONG[case]})


@pytest.mark.parametrize(
    "given",
    [
        {"login": "a" * 64},
        {"login": "0.a_b@c+d-e"},
        {"name": "Ånna Ek-Öberg, 安娜"},
        {"user": Ref("RelatedPerson", "r")},
        {"user": Ref("Person", "p")},
    ],
    ids=str,
)
def test_one_that_can_is_not(given: dict[str, Any]) -> None:
    Profile(**{"login": "anna", "name": "Anna Ek", **given})


@pytest.mark.parametrize("login", ["anna", "ANNA", "aNNa"])
async def test_a_login_name_is_one_persons(site: Site, login: str) -> None:
    await site.add("Anna")
    with pytest.raises(BadRequest, match="already"):
        await site.add(login)
    await site.add("anna2")
    assert len(await site.people.accounts()) == 2


@pytest.mark.parametrize(
    ("password", "wrong"),
    [
        ("x" * (SHORTEST - 1), "short"),
        ("", "short"),
        ("a\u0308" * 6 + "bcdef", "short"),  # 11 characters, of 17 code points
        ("correct hors" * 30, "long"),
        ("Anna-Karenina", "login name"),
        ("anna-KARENINAanna-karenina", "login name"),
        ("abcabcabcabc", "repeats"),
    ],
    ids=["11", "empty", "decomposed", "long", "the login", "the login twice", "three letters"],
)
def test_a_weak_password_is_refused(password: str, wrong: str) -> None:
    with pytest.raises(BadRequest, match=wrong):
        check_new(password, "anna-karenina")


@pytest.mark.parametrize("password", ["abcdefghijkl", "anna-karenina!", "ä" * 9 + "bcd", "correct horse"])
def test_a_password_just_beside_is_not(password: str) -> None:
    check_new(password, "anna-karenina")


async def test_a_weak_password_changes_nothing(site: Site) -> None:
    await site.add()
    [before, _] = await site.people.account("anna")
    with pytest.raises(BadRequest):
        await site.people.set_password("anna", "short", site.now_s)
    [after, _] = await site.people.account("anna")
    assert after.password == before.password


async def test_a_person_who_is_not_there_cannot_be_changed(site: Site) -> None:
    for change in (
        site.people.set_password("anna", PASSWORD, 0),
        site.people.new_second_factor("anna", 0),
        site.people.drop_second_factor("anna", 0),
        site.people.set_disabled("anna", True, 0),
        site.people.account("anna"),
    ):
        with pytest.raises(NotFound):
            await change


async def test_nothing_secret_is_in_the_database(site: Site, tmp_path: Path) -> None:
    codes = await site.add_with_code()
    async with site.visitor() as bo:
        await bo.password("my-password-by-mistake", "x")
        await bo.password("bo")
        await bo.code(codes.at(site.now_s))
        secrets = [PASSWORD, codes.secret, bo.cookie(), bo.cookie("-device"), "my-password-by-mistake"]
    held = _everything_in(tmp_path)
    assert b"Bo Berg" in held
    for secret in secrets:
        assert secret is not None
        assert secret.encode() not in held


def _everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_a_second_factor_is_sealed_for_its_person(site: Site) -> None:
    await site.add()
    await site.add_with_code("bo")
    await site.add_with_code("eva")

    def held(login: str) -> Account:
        return site.database.run_now(lambda s: s.exec(select(Account).where(Account.login == login)).one())

    bo, eva = held("bo"), held("eva")
    assert bo.totp is not None
    assert Sealer(KEY, os.urandom).open(bo.totp, bo.id)
    for key, sealed, person in (
        (bytes(32), bo.totp, bo.id),
        (KEY, bo.totp, eva.id),
        (KEY, bo.totp[:-1], bo.id),
        (KEY, b"", bo.id),
    ):
        with pytest.raises(StateUnavailable):
            Sealer(key, os.urandom).open(sealed, person)


async def test_without_the_second_factor_the_password_is_enough(site: Site) -> None:
    await site.add_with_code()
    await site.people.drop_second_factor("bo", site.now_s)
    async with site.visitor() as bo:
        await bo.password("bo")
        assert await bo.who() == ["bo", False]


async def test_a_new_second_factor_replaces_the_old(site: Site) -> None:
    old = await site.add_with_code()
    new = await site.people.new_second_factor("bo", site.now_s)
    assert old.secret != new
    async with site.visitor() as bo:
        await bo.password("bo")
        assert (await bo.code(old.at(site.now_s))).status_code == 422
        assert await bo.who() is None
