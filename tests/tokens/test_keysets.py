"""Key sets stay fresh as long as they may and not a second longer, in files and behind addresses."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.errors import Unauthenticated
from gateway.tokens.fetch import Fetched, FetchFailed
from gateway.tokens.keysets import COOL_DOWN_S, PAUSE_S, FileKeys, RemoteKeys, check_url, lifetime_s
from tests.tokens.forge import NOW_S, jwks, private_key, public_jwk

OLD = jwks(public_jwk(private_key("ES256"), "old"))
BOTH = jwks(public_jwk(private_key("ES256"), "old"), public_jwk(private_key("ES256", 1), "new"))
NEW = jwks(public_jwk(private_key("ES256", 1), "new"))
ADDRESS = "https://idp.example/jwks"


@dataclass
class Origin:
    """A key server: what it answers now, and how often it was asked."""

    body: bytes = OLD
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    failing: bool = False
    asked: int = 0
    gate: asyncio.Event | None = None

    async def __call__(self, url: str) -> Fetched:
        assert url == ADDRESS
        self.asked += 1
        answer = Fetched(self.status, dict(self.headers), self.body)
        if self.gate is not None:
            await self.gate.wait()
        if self.failing:
            raise FetchFailed("down")
        return answer


def ids(keys: tuple[object, ...]) -> list[str]:
    return [getattr(key, "id", "") for key in keys]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 300),
        ({"cache-control": "public"}, 300),
        ({"cache-control": "max-age=1"}, 1),
        ({"cache-control": "max-age=3600"}, 3600),
        ({"cache-control": 'Public, MAX-AGE="60", must-revalidate'}, 60),
        ({"cache-control": "max-age=60,max-age=30"}, 30),
        ({"cache-control": "max-age=86401"}, 86_400),
        ({"cache-control": "max-age=99999999999"}, 1),
        ({"cache-control": "max-age=0"}, 1),
        ({"cache-control": "max-age=-5"}, 1),
        ({"cache-control": "max-age=soon"}, 1),
        ({"cache-control": "max-age"}, 1),
        ({"cache-control": "no-store"}, 1),
        ({"cache-control": "no-cache, max-age=600"}, 1),
        ({"cache-control": "s-maxage=7200"}, 300),
        ({"cache-control": "max-age=600", "age": "200"}, 400),
        ({"cache-control": "max-age=600", "age": "700"}, 1),
        ({"cache-control": "max-age=600", "age": "old"}, 600),
        ({"age": "100"}, 200),
    ],
    ids=str,
)
def test_lifetime_follows_cache_control(headers: dict[str, str], seconds: int) -> None:
    assert lifetime_s(headers) == seconds


@pytest.mark.parametrize(
    "url",
    [
        "https://idp.example/jwks",
        "https://idp.example:8443/jwks?v=1",
        "http://127.0.0.1:8080/jwks",
        "http://127.9.9.9/",
        "http://[::1]/",
        "http://localhost/j",
    ],
)
def test_addresses_that_may_be_fetched(url: str) -> None:
    check_url(url)
    assert RemoteKeys(url, Origin()).generation == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://idp.example/jwks",
        "http://localhost.example/jwks",
        "http://127.0.0.1.example/jwks",
        "http://10.0.0.1/jwks",
        "ftp://idp.example/jwks",
        "file:///etc/passwd",
        "https:///jwks",
        "https://idp.example:0/jwks",
        "https://idp.example:99999/jwks",
        "https://idp.example:port/jwks",
        "https://[::1/jwks",
        "https://user@idp.example/jwks",
        "https://user:secret@idp.example/jwks",
        "https://idp.example/jwks#keys",
        "idp.example/jwks",
        "",
    ],
)
def test_addresses_that_may_not_be_fetched(url: str) -> None:
    with pytest.raises(ValueError):
        RemoteKeys(url, Origin())


@pytest.mark.parametrize(
    ("control", "seconds"),
    [("max-age=1", 1), ("max-age=60", 60), ("no-store", 1), ("no-cache", 1), ("", 300)],
)
async def test_set_is_fetched_again_in_the_second_it_expires(control: str, seconds: int) -> None:
    origin = Origin(headers={"cache-control": control} if control else {})
    keys = RemoteKeys(ADDRESS, origin)
    for now_s in (NOW_S, NOW_S, NOW_S + seconds - 1):
        await keys.current(now_s)
    assert (origin.asked, keys.generation) == (1, 1)
    await keys.current(NOW_S + seconds)
    assert (origin.asked, keys.generation) == (2, 1)


async def test_generation_changes_exactly_when_the_keys_do() -> None:
    origin = Origin(headers={"cache-control": "max-age=10"})
    keys = RemoteKeys(ADDRESS, origin)
    seen = []
    for step, body in enumerate((OLD, OLD, BOTH, BOTH, NEW, OLD)):
        origin.body = body
        seen.append((ids(await keys.current(NOW_S + 10 * step)), keys.generation))
    assert seen == [
        (["old"], 1),
        (["old"], 1),
        (["old", "new"], 2),
        (["old", "new"], 2),
        (["new"], 3),
        (["old"], 4),
    ]


async def test_unknown_key_is_looked_for_once_in_a_cool_down() -> None:
    origin = Origin()
    keys = RemoteKeys(ADDRESS, origin)
    await keys.current(NOW_S)
    await keys.after_miss(NOW_S)
    assert origin.asked == 1  # it was fetched this very second
    origin.body = BOTH
    assert ids(await keys.after_miss(NOW_S + 1)) == ["old", "new"]
    origin.body = NEW
    for now_s in range(NOW_S + 2, NOW_S + 1 + COOL_DOWN_S):
        assert ids(await keys.after_miss(now_s)) == ["old", "new"]
    assert origin.asked == 2
    assert ids(await keys.after_miss(NOW_S + 1 + COOL_DOWN_S)) == ["new"]
    assert origin.asked == 3


async def test_failed_look_for_an_unknown_key_keeps_the_set_until_it_expires() -> None:
    origin = Origin(headers={"cache-control": "max-age=100"})
    keys = RemoteKeys(ADDRESS, origin)
    await keys.current(NOW_S)
    origin.failing = True
    assert ids(await keys.after_miss(NOW_S + 50)) == ["old"]
    assert ids(await keys.current(NOW_S + 99)) == ["old"]
    with pytest.raises(Unauthenticated, match="keys"):
        await keys.current(NOW_S + 100)


FAULTS: dict[str, Callable[[Origin], None]] = {
    "down": lambda origin: setattr(origin, "failing", True),
    "status 500": lambda origin: setattr(origin, "status", 500),
    "status 304": lambda origin: setattr(origin, "status", 304),
    "a redirect": lambda origin: setattr(origin, "status", 302),
    "no JSON": lambda origin: setattr(origin, "body", b"<html>"),
    "a private key": lambda origin: setattr(origin, "body", jwks({"kty": "oct", "k": "AA"})),
    "too long": lambda origin: setattr(origin, "body", OLD + b" " * 262_144),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_expired_set_is_not_used_when_there_is_no_new_one(fault: str) -> None:
    origin = Origin(headers={"cache-control": "max-age=10"})
    keys = RemoteKeys(ADDRESS, origin)
    await keys.current(NOW_S)
    FAULTS[fault](origin)
    assert ids(await keys.current(NOW_S + 9)) == ["old"]
    with pytest.raises(Unauthenticated, match="keys"):
        await keys.current(NOW_S + 10)
    assert keys.generation == 1


async def test_failing_origin_is_left_alone_for_a_pause() -> None:
    origin = Origin(failing=True)
    keys = RemoteKeys(ADDRESS, origin)
    for now_s in range(NOW_S, NOW_S + PAUSE_S):
        with pytest.raises(Unauthenticated):
            await keys.current(now_s)
    assert origin.asked == 1
    origin.failing = False
    assert ids(await keys.current(NOW_S + PAUSE_S)) == ["old"]


async def test_all_who_wait_share_one_fetch() -> None:
    origin = Origin(gate=asyncio.Event())
    keys = RemoteKeys(ADDRESS, origin)
    waiting = [asyncio.create_task(keys.current(NOW_S)) for _ in range(20)]
    await asyncio.sleep(0)
    assert origin.gate is not None
    origin.gate.set()
    assert [ids(found) for found in await asyncio.gather(*waiting)] == [["old"]] * 20
    assert origin.asked == 1


async def test_all_who_miss_share_one_fetch() -> None:
    origin = Origin()
    keys = RemoteKeys(ADDRESS, origin)
    await keys.current(NOW_S)
    origin.gate, origin.body = asyncio.Event(), BOTH
    waiting = [asyncio.create_task(keys.after_miss(NOW_S + 1)) for _ in range(20)]
    await asyncio.sleep(0)
    origin.gate.set()
    assert [ids(found) for found in await asyncio.gather(*waiting)] == [["old", "new"]] * 20
    assert origin.asked == 2


async def test_waiter_that_goes_away_does_not_end_the_fetch_of_the_others() -> None:
    origin = Origin(gate=asyncio.Event())
    keys = RemoteKeys(ADDRESS, origin)
    first, second = (asyncio.create_task(keys.current(NOW_S)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    assert origin.gate is not None
    origin.gate.set()
    assert ids(await second) == ["old"]
    assert first.cancelled()
    assert origin.asked == 1


async def test_waiter_who_joins_a_fetch_that_is_stale_when_it_ends_fetches_again() -> None:
    origin = Origin(headers={"cache-control": "no-store"}, gate=asyncio.Event())
    keys = RemoteKeys(ADDRESS, origin)
    early = asyncio.create_task(keys.current(NOW_S))
    await asyncio.sleep(0)
    late = asyncio.create_task(keys.current(NOW_S + 2))
    await asyncio.sleep(0)
    assert origin.gate is not None
    origin.gate.set()
    assert ids(await early) == ids(await late) == ["old"]
    assert (origin.asked, keys.fresh_until_s) == (2, NOW_S + 3)


async def test_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(OLD)
    keys = FileKeys(path)
    assert (ids(await keys.current(NOW_S)), keys.generation) == (["old"], 1)
    replace(path, BOTH)
    assert ids(await keys.current(NOW_S)) == ["old"]  # one look a second
    assert (ids(await keys.current(NOW_S + 1)), keys.generation) == (["old", "new"], 2)
    replace(path, BOTH)
    assert (ids(await keys.current(NOW_S + 2)), keys.generation) == (["old", "new"], 2)


async def test_file_is_looked_at_for_an_unknown_key_at_once(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(OLD)
    keys = FileKeys(path)
    await keys.current(NOW_S)
    replace(path, NEW)
    assert ids(await keys.after_miss(NOW_S)) == ["new"]


@pytest.mark.parametrize("broken", [None, b"", b"{}", jwks({"kty": "oct", "k": "AA"}), OLD + b" " * 262_144])
async def test_file_that_cannot_be_used_gives_no_keys_until_it_can(
    tmp_path: Path, broken: bytes | None
) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(OLD)
    keys = FileKeys(path)
    await keys.current(NOW_S)
    if broken is None:
        path.unlink()
    else:
        replace(path, broken)
    assert ids(await keys.current(NOW_S)) == ["old"]
    for _ in range(2):
        with pytest.raises(Unauthenticated, match="keys"):
            await keys.current(NOW_S + 1)
    replace(path, OLD)
    assert (ids(await keys.current(NOW_S + 1)), keys.generation) == (["old"], 1)


def replace(path: Path, body: bytes) -> None:
    """Put a new file in the place of the old one, as an operator's tool does."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(body)
    os.replace(fresh, path)
