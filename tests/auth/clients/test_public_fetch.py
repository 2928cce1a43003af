"""What a stranger's address may lead to: public hosts, and the one that was looked at."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from cryptography import x509

from gateway.auth.clients.public_fetch import PublicFetch, is_public, may_be_public
from gateway.tokens.fetch import Fetched, FetchFailed, HttpxFetch
from tests.auth.key_server import key_server
from tests.auth.registry import RSA_JWK
from tests.tokens import forge
from tests.upstream.test_tls import LOOPBACK, Authority

URL = "https://keys.example:8443/jwks.json"
NOT_PUBLIC = (
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "192.0.0.8", "192.0.0.9", "192.88.99.1",
    "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.5",
    "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808", "fe80::1",
    "fe80::1%lo", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "2001:db8::1", "2001::1", "2002:7f00:1::1",
    "", "localhost", "8.8.8", "0x08080808", "134744072", "8.8.8.8.", "keys.example",
)  # fmt: skip
PUBLIC = ("8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "169.253.1.1", "2606:4700:4700::1111")


class Asked(HttpxFetch):
    """Answers without asking, and keeps what was asked."""

    def __init__(self, failing: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.asked: list[tuple[str, str | None]] = []
        self._failing = failing

    async def __call__(self, url: str, address: str | None = None) -> Fetched:
        self.asked.append((url, address))
        if address in self._failing:
            raise FetchFailed("nobody there")
        return Fetched(200, {}, b"{}")


class Names:
    """The addresses of keys.example, one list after the other."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)

    async def __call__(self, host: str, port: int) -> list[str]:
        assert (host, port) == ("keys.example", 8443)
        return self._answers.pop(0)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_one_hosts_on_the_internet_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_on_the_internet_is_public(address: str) -> None:
    assert is_public(address)
    assert may_be_public(address)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "localhost", "a.localhost"]
)
def test_a_host_that_cannot_be_public_is_known_without_a_look_up(host: str) -> None:
    assert not may_be_public(host)


@pytest.mark.parametrize("host", ["keys.example", "localhost.example", "8.8.8.8"])
def test_a_host_that_may_be_public_is_left_to_the_look_up(host: str) -> None:
    assert may_be_public(host)


async def test_the_connection_goes_to_the_address_that_was_looked_at() -> None:
    fetch = Asked()
    await PublicFetch(fetch, Names(["8.8.8.8"]))(URL)
    assert fetch.asked == [(URL, "8.8.8.8")]


async def test_addresses_that_are_not_public_are_passed_over() -> None:
    fetch = Asked()
    await PublicFetch(fetch, Names(["127.0.0.1", "10.0.0.1", "8.8.8.8", "::1"]))(URL)
    assert fetch.asked == [(URL, "8.8.8.8")]


async def test_another_address_is_tried_but_not_all_of_them() -> None:
    fetch = Asked(failing=("8.8.8.8", "1.1.1.1"))
    assert (await PublicFetch(fetch, Names(["8.8.8.8", "9.9.9.9"]))(URL)).status == 200
    with pytest.raises(FetchFailed):
        await PublicFetch(fetch, Names(["8.8.8.8", "1.1.1.1", "9.9.9.9"]))(URL)
    assert [address for _, address in fetch.asked] == ["8.8.8.8", "9.9.9.9", "8.8.8.8", "1.1.1.1"]


async def test_a_name_that_turns_private_is_asked_no_more() -> None:
    fetch = Asked()
    public = PublicFetch(fetch, Names(["8.8.8.8"], ["127.0.0.1"], []))
    await public(URL)
    for _ in range(2):
        with pytest.raises(FetchFailed, match="no public address"):
            await public(URL)
    assert len(fetch.asked) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://keys.example/",
        "https:///x",
        "ftp://keys.example/",
        "https://127.0.0.1/x",
        "https://[::1]:8443/x",
    ],
)
async def test_what_is_not_https_to_a_public_host_is_not_asked(url: str) -> None:
    fetch = Asked()
    with pytest.raises(FetchFailed):
        await PublicFetch(fetch)(url)
    assert fetch.asked == []


async def test_this_machine_is_not_reached_by_any_of_its_names(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with key_server(authority.server(LOOPBACK)) as server:
        server.put(RSA_JWK)
        fetch = HttpxFetch(tls=authority.client())
        assert (await fetch(server.url)).status == 200
        for host in ("127.0.0.1", "localhost", socket.gethostname(), "[::ffff:127.0.0.1]"):
            with pytest.raises(FetchFailed):
                await PublicFetch(fetch)(f"https://{host}:{server.port}/jwks.json")
        assert len(server.heads) == 1


async def test_a_look_up_that_hangs_is_given_up() -> None:
    async def never(_host: str, _port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(FetchFailed, match="no whole answer"):
        await PublicFetch(Asked(), never, timeout_s=0.05)(URL)


@pytest.mark.parametrize("failed", [OSError("no such host"), UnicodeError("label too long")])
async def test_a_host_that_is_not_known_gives_no_answer(failed: Exception) -> None:
    async def fails(_host: str, _port: int) -> list[str]:
        raise failed

    with pytest.raises(FetchFailed, match="not known"):
        await PublicFetch(Asked(), fails)(URL)


async def test_pinned_to_an_address_the_request_and_the_certificate_are_the_hosts(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with key_server(authority.server(x509.DNSName("keys.example"))) as server:
        server.put(RSA_JWK)
        fetch = HttpxFetch(tls=authority.client())
        url = f"https://keys.example:{server.port}/jwks.json"
        assert (await fetch(url, "127.0.0.1")).body == forge.jwks(RSA_JWK)
        assert f"\r\nhost: keys.example:{server.port}\r\n" in server.heads[0].lower()
        with pytest.raises(FetchFailed):
            await fetch(f"https://other.example:{server.port}/jwks.json", "127.0.0.1")
    assert len(server.heads) == 1
