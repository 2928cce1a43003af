"""Errors, headers and compression of answers."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from gateway import errors
from gateway.core.smart import dpop
from gateway.web.render import LARGEST_INLINE, SMALLEST_GZIP, error_headers, outcome, respond


def all_errors(base: type[errors.ConsentryError]) -> list[type[errors.ConsentryError]]:
    return [base, *(found for sub in base.__subclasses__() for found in all_errors(sub))]


ALGORITHMS = " ".join(dpop.ALGORITHMS).encode()
# An OAuth error is answered in its own form (RFC 6749 section 5.2), never on a FHIR address.
OUTCOMES = [kind for kind in all_errors(errors.ConsentryError) if kind is not errors.OAuthError]


@pytest.mark.parametrize("kind", OUTCOMES)
def test_every_error_is_an_outcome(kind: type[errors.ConsentryError]) -> None:
    error = kind('a "text" with ü')
    assert json.loads(outcome(error)) == {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": kind.code, "diagnostics": 'a "text" with ü'}],
    }


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (errors.Unauthenticated("x", None), [(b"www-authenticate", b"Bearer")]),
        (errors.Unauthenticated("x"), [(b"www-authenticate", b'Bearer error="invalid_token"')]),
        (
            errors.Unauthenticated("x", "invalid_dpop_proof", "DPoP"),
            [(b"www-authenticate", b'DPoP error="invalid_dpop_proof", algs="%b"' % ALGORITHMS)],
        ),
        (errors.Forbidden("x"), [(b"www-authenticate", b'Bearer error="insufficient_scope"')]),
        (errors.MethodNotAllowed("x"), [(b"allow", b"GET, HEAD, POST, OPTIONS")]),
        (errors.NotFound(), []),
        (errors.UpstreamUnusable(), []),
    ],
)
def test_headers_of_errors(error: errors.ConsentryError, headers: list[tuple[bytes, bytes]]) -> None:
    assert error_headers(error) == headers


@pytest.mark.parametrize(
    ("error", "challenge"),
    [
        (errors.Unauthenticated("x", None), b"DPoP"),
        (errors.Unauthenticated("x"), b'DPoP error="invalid_token", algs="%b"' % ALGORITHMS),
        (errors.Unauthenticated("x", scheme="Bearer"), b'Bearer error="invalid_token"'),
        (errors.Forbidden("x"), b'DPoP error="insufficient_scope", algs="%b"' % ALGORITHMS),
    ],
)
def test_a_token_with_a_proof_is_challenged_by_its_scheme(
    error: errors.ConsentryError, challenge: bytes
) -> None:
    assert error_headers(error, "DPoP") == [(b"www-authenticate", challenge)]


async def answer(status: int, body: bytes, **options: Any) -> tuple[dict[bytes, bytes], bytes]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await respond(send, status, body, [(b"x-more", b"1")], **options)
    start, end = sent
    assert start["status"] == status
    names = [name for name, _ in start["headers"]]
    assert len(names) == len(set(names))
    return dict(start["headers"]), end["body"]


@pytest.mark.parametrize(
    ("asked", "packed"),
    [
        (b"gzip", True),
        (b"br, gzip;q=0.5", True),
        (b"*", True),
        (b"GZIP", True),
        (b"", False),
        (b"identity", False),
        (b"gzip;q=0", False),
        (b"gzip; q=0.000", False),
        (b"br", False),
        (b"xgzip", False),
    ],
)
@pytest.mark.parametrize("size", [SMALLEST_GZIP, LARGEST_INLINE + 1])
async def test_gzip(asked: bytes, packed: bool, size: int) -> None:
    body = b"a" * size
    headers, sent = await answer(200, body, accept_encoding=asked)
    assert (headers.get(b"content-encoding") == b"gzip") == packed
    assert (gzip.decompress(sent) if packed else sent) == body
    assert headers[b"content-length"] == b"%d" % len(sent)
    assert b"Accept-Encoding" in headers[b"vary"]


async def test_small_answers_are_sent_as_they_are() -> None:
    headers, sent = await answer(200, b"a" * (SMALLEST_GZIP - 1), accept_encoding=b"gzip")
    assert b"content-encoding" not in headers
    assert len(sent) == SMALLEST_GZIP - 1


async def test_what_every_answer_says() -> None:
    headers, sent = await answer(200, b"{}")
    assert headers == {
        b"cache-control": b"no-store",
        b"vary": b"Authorization, Accept, Accept-Encoding, Origin",
        b"x-content-type-options": b"nosniff",
        b"x-more": b"1",
        b"content-type": b"application/fhir+json",
        b"content-length": b"2",
    }
    assert sent == b"{}"


async def test_head_says_the_length_that_get_has() -> None:
    headers, sent = await answer(200, b"{}", head=True)
    assert (headers[b"content-length"], sent) == (b"2", b"")


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body(status: int) -> None:
    headers, sent = await answer(status, b"")
    assert sent == b""
    assert not headers.keys() & {b"content-length", b"content-type"}
