"""Hashes compare as they should, at the cost that is asked for, and for nobody as long as for somebody."""

from __future__ import annotations

import asyncio

import pytest
from sqlmodel import Session

from gateway.auth.people.passwords import AT_ONCE, MOST_WAITING, Cost, Passwords
from gateway.auth.store.people import Account
from gateway.errors import StateUnavailable
from tests.auth.site import CHEAP, PASSWORD, Site


async def test_a_hash_is_argon2id_at_the_cost_that_owasp_asks_for() -> None:
    passwords = Passwords()
    stored = await passwords.hashed(PASSWORD)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.match(stored, PASSWORD)
    assert not await passwords.match(stored, PASSWORD + " ")


async def test_each_hash_has_its_own_salt() -> None:
    passwords = Passwords(CHEAP)
    assert await passwords.hashed(PASSWORD) != await passwords.hashed(PASSWORD)


async def test_a_password_is_one_whichever_keyboard_wrote_it() -> None:
    passwords = Passwords(CHEAP)
    stored = await passwords.hashed("passwörter sind lang")
    assert await passwords.match(stored, "passwo\u0308rter sind lang")
    assert not await passwords.match(stored, "passworter sind lang")


class Counting(Passwords):
    def __init__(self) -> None:
        super().__init__(CHEAP)
        self.compared: list[str] = []

    def _compare(self, stored: str, password: str) -> bool:
        self.compared.append(stored.rpartition("$")[0].rpartition("$")[0])
        return super()._compare(stored, password)


async def test_for_nobody_the_same_work_is_done() -> None:
    passwords = Counting()
    stored = await passwords.hashed(PASSWORD)
    assert not await passwords.match(None, "nobody's password")
    assert not await passwords.match(stored, "wrong")
    assert passwords.compared[0] == passwords.compared[1] == "$argon2id$v=19$m=8,t=1,p=1"


async def test_there_is_a_most_that_wait() -> None:
    passwords = Passwords(CHEAP)
    stored = await passwords.hashed(PASSWORD)
    most = AT_ONCE + MOST_WAITING
    asked = [passwords.match(stored, PASSWORD) for _ in range(most + 10)]
    done = await asyncio.gather(*asked, return_exceptions=True)
    assert [each for each in done if not isinstance(each, StateUnavailable)] == [True] * most
    assert await passwords.match(stored, PASSWORD)


async def test_a_hash_that_is_none_is_not_a_wrong_password() -> None:
    with pytest.raises(StateUnavailable):
        await Passwords(CHEAP).match("plain text", "plain text")


async def test_a_log_in_renews_a_hash_of_another_cost(site: Site) -> None:
    await site.add()
    old = await Passwords(Cost(passes=2, memory_kib=8, lanes=1)).hashed(PASSWORD)

    async def stored() -> str:
        account, _ = await site.people.account("anna")
        return account.password

    def put(password: str) -> None:
        def work(session: Session) -> None:
            account = session.get_one(Account, "id-0")
            account.password = password

        site.database.run_now(work)

    put(old)
    async with site.visitor() as anna:
        await anna.password(password="wrong")
        assert await stored() == old
        await anna.password()
        assert (await stored()).startswith("$argon2id$v=19$m=8,t=1,p=1$")
        assert await anna.who() == ["anna", False]
