"""The outside of a request: one host, single headers, a path; and bodies within the cap."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from gateway import errors
from gateway.web.guard import MAX_HEADER_BYTES, MAX_TARGET_BYTES, guard, read_body

HOSTS = frozenset({b"gw.example"})
HOST = (b"host", b"gw.example")


def scope(
    *headers: tuple[bytes, bytes], path: bytes = b"/fhir/x", query: bytes = b"", method: str = "GET"
) -> dict[str, Any]:
    return {
        "http_version": "1.1",
        "method": method,
        "raw_path": path,
        "query_string": query,
        "headers": list(headers),
    }


def test_what_passes() -> None:
    found = guard(
        scope(
            HOST,
            (b"accept", b"a/b"),
            (b"accept", b"c/d"),
            (b"x-forwarded-host", b"evil"),
            (b"authorization", b"Bearer x"),
            (b"dpop", b"proof"),
            query=b"a=1",
        ),
        HOSTS,
    )
    assert found.headers == {"accept": "a/b, c/d"}
    assert found.authorization == [b"Bearer x"]
    assert found.proof == b"proof"
    assert "Bearer" not in repr(found)
    assert "proof'" not in repr(found)


def test_several_proofs_are_one_list_which_is_none() -> None:
    assert guard(scope(HOST, (b"dpop", b"a.b.c"), (b"dpop", b"d.e.f")), HOSTS).proof == b"a.b.c, d.e.f"
    assert guard(scope(HOST, (b"dpop", b"")), HOSTS).proof == b""
    assert guard(scope(HOST), HOSTS).proof is None


@pytest.mark.parametrize("version", ["0.9", "1.2", "2", "3"])
def test_versions_of_http_that_are_not_spoken(version: str) -> None:
    with pytest.raises(errors.BadRequest):
        guard(scope(HOST) | {"http_version": version}, HOSTS)


@pytest.mark.parametrize(
    ("header", "follows"),
    [
        ((b"content-length", b"0"), True),
        ((b"transfer-encoding", b"chunked"), True),
        ((b"transfer-encoding", b"Chunked"), True),
        ((b"content-type", b"a/b"), False),
    ],
)
def test_a_body_follows_where_it_is_announced(header: tuple[bytes, bytes], follows: bool) -> None:
    assert guard(scope(HOST, header), HOSTS).has_body == follows


def test_several_tokens_are_for_the_verifier_to_refuse() -> None:
    found = guard(scope(HOST, (b"authorization", b"Bearer x"), (b"authorization", b"Bearer y")), HOSTS)
    assert len(found.authorization) == 2


@pytest.mark.parametrize("host", [b"GW.EXAMPLE", b"gw.example"])
def test_hosts_have_no_case(host: bytes) -> None:
    assert guard(scope((b"host", host)), HOSTS).headers == {}


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ((), errors.MisdirectedRequest),
        (((b"host", b"evil.example"),), errors.MisdirectedRequest),
        (((b"host", b"gw.example:80"),), errors.MisdirectedRequest),
        (((b"host", b"gw.example/fhir?"),), errors.MisdirectedRequest),
        ((HOST, HOST), errors.BadRequest),
        ((HOST, (b"host", b"evil.example")), errors.BadRequest),
        ((HOST, (b"content-type", b"a/b"), (b"content-type", b"a/b")), errors.BadRequest),
        ((HOST, (b"content-length", b"1"), (b"content-length", b"1")), errors.BadRequest),
        ((HOST, (b"content-encoding", b"x"), (b"content-encoding", b"x")), errors.BadRequest),
        ((HOST, (b"content-length", b"1"), (b"transfer-encoding", b"chunked")), errors.BadRequest),
        ((HOST, (b"transfer-encoding", b"gzip, chunked")), errors.BadRequest),
        ((HOST, (b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")), errors.BadRequest),
        ((HOST, (b"accept", "é".encode())), errors.BadRequest),
        ((HOST, (b"accept", b"a/b"), (b"accept", "é".encode())), errors.BadRequest),
        ((HOST, (b"x-long", b"a" * MAX_HEADER_BYTES)), errors.HeadersTooLarge),
    ],
)
def test_what_does_not(headers: Iterable[tuple[bytes, bytes]], error: type[errors.ConsentryError]) -> None:
    with pytest.raises(error):
        guard(scope(*headers), HOSTS)


@pytest.mark.parametrize("path", [b"*", b"http://gw.example/fhir", b"@evil", b"", b"fhir"])
def test_targets_that_are_no_path(path: bytes) -> None:
    with pytest.raises(errors.BadRequest):
        guard(scope(HOST, path=path), HOSTS)


def test_the_length_of_a_target() -> None:
    longest = b"/" + b"a" * (MAX_TARGET_BYTES - 1)
    assert not guard(scope(HOST, path=longest), HOSTS).has_body
    with pytest.raises(errors.UriTooLong):
        guard(scope(HOST, path=longest, query=b"a"), HOSTS)


def receiving(*messages: dict[str, Any]) -> Any:
    left = list(messages)

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    return receive


async def test_a_body_is_whole_or_an_error() -> None:
    part = {"type": "http.request", "body": b"ab", "more_body": True}
    end = {"type": "http.request", "body": b"c"}
    assert await read_body(receiving(part, end), 3) == b"abc"
    assert await read_body(receiving({"type": "http.request"}), 0) == b""
    with pytest.raises(errors.PayloadTooLarge):
        await read_body(receiving(part, part, end), 3)
    with pytest.raises(errors.BadRequest):
        await read_body(receiving(part, {"type": "http.disconnect"}), 3)
