"""What is an answer and what is not, whatever the pieces in which it comes."""

from __future__ import annotations

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.answer import LONGEST_HEAD, MOST_HEADERS, Answer
from tests.upstream.scripted import chunked, cuts, response

OK = b"HTTP/1.1 200 OK\r\n"
OLD = b"HTTP/1.0 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
TWO = b"Content-Length: 2\r\n"
MAX_BYTES = 1000


def read(pieces: list[bytes], max_bytes: int = MAX_BYTES) -> Answer:
    """As a connection does it: nothing is fed to an answer that is whole or wrong."""
    answer = Answer(max_bytes)
    for piece in pieces:
        answer.feed(piece)
        if answer.whole or answer.wrong:
            break
    answer.close()
    return answer


# Status, body, and whether the connection may be asked again.
WHOLE = {
    "a length": (OK + TWO + b"\r\n{}", 200, b"{}", True),
    "a length of zero": (OK + b"Content-Length: 0\r\n\r\n", 200, b"", True),
    "a length with spaces": (OK + b"content-length:  2 \r\n\r\n{}", 200, b"{}", True),
    "chunks": (chunked(b'{"a":', b"7.10}"), 200, b'{"a":7.10}', True),
    "chunks, in other letters": (chunked(b"{}").replace(b": ch", b":  Ch"), 200, b"{}", True),
    "chunks with extensions": (OK + CHUNKED + b'\r\n2;a="b"\r\n{}\r\n0;c\r\n\r\n', 200, b"{}", True),
    "chunks and a trailer": (chunked(b"{}", trailer=b"X-Sum: 1\r\n"), 200, b"{}", True),
    "no chunk": (chunked(), 200, b"", True),
    "a body that looks like an answer": (response(OK + TWO + b"\r\n{}"), 200, OK + TWO + b"\r\n{}", True),
    "not found": (b"HTTP/1.1 404 Not Found\r\n" + TWO + b"\r\n{}", 404, b"{}", True),
    "no reason": (b"HTTP/1.1 404 \r\n" + TWO + b"\r\n{}", 404, b"{}", True),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "not modified, with a length": (b"HTTP/1.1 304 Not Modified\r\n" + TWO + b"\r\n", 304, b"", True),
    "after early hints": (b"HTTP/1.1 103 E\r\nLink: </a>\r\n\r\n" + OK + TWO + b"\r\n{}", 200, b"{}", True),
    "after two interim ones": (b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + OK + TWO + b"\r\n{}", 200, b"{}", True),
    "the last on its connection": (OK + b"Connection: close\r\n" + TWO + b"\r\n{}", 200, b"{}", False),
    "the last, one option of many": (OK + b"Connection: x, Close\r\n" + TWO + b"\r\n{}", 200, b"{}", False),
    "HTTP/1.0": (OLD + TWO + b"\r\n{}", 200, b"{}", False),
    "HTTP/1.0 that stays": (OLD + b"Connection: keep-alive\r\n" + TWO + b"\r\n{}", 200, b"{}", True),
    "as long as may be": (response(b"x" * MAX_BYTES), 200, b"x" * MAX_BYTES, True),
    "as many headers as may be": (OK + b"A: b\r\n" * (MOST_HEADERS - 1) + TWO + b"\r\n{}", 200, b"{}", True),
    "a header of many bytes": (OK + b"A: " + b"b" * 9000 + b"\r\n" + TWO + b"\r\n{}", 200, b"{}", True),
}  # fmt: skip

WRONG = {
    "both lengths": OK + TWO + CHUNKED + b"\r\n2\r\n{}\r\n0\r\n\r\n",
    "both lengths, chunked first": OK + CHUNKED + TWO + b"\r\n2\r\n{}\r\n0\r\n\r\n",
    "two lengths": OK + TWO + b"Content-Length: 1\r\n\r\n{}",
    "two equal lengths": OK + TWO + TWO + b"\r\n{}",
    "a list of lengths": OK + b"Content-Length: 2, 2\r\n\r\n{}",
    "a length below zero": OK + b"Content-Length: -2\r\n\r\n{}",
    "a length with a sign": OK + b"Content-Length: +2\r\n\r\n{}",
    "a length in another base": OK + b"Content-Length: 0x2\r\n\r\n{}",
    "a length with an underscore": OK + b"Content-Length: 0_2\r\n\r\n{}",
    "an empty length": OK + b"Content-Length:\r\n\r\n{}",
    "a length beyond 64 bits": OK + b"Content-Length: 18446744073709551618\r\n\r\n{}",
    "a space before the colon": OK + b"Content-Length : 2\r\n\r\n{}",
    "until the end of the connection": OK + b"\r\n{}",
    "until the end, and says so": OK + b"Connection: close\r\n\r\n{}",
    "not found, until the end": b"HTTP/1.1 404 Not Found\r\n\r\n{}",
    "compressed on the way": OK + b"Transfer-Encoding: gzip\r\n\r\n{}",
    "compressed chunks": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunked, then something": OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunked twice": OK + CHUNKED + CHUNKED + b"\r\n2\r\n{}\r\n0\r\n\r\n",
    "nearly chunked": OK + b"Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "an empty coding": OK + b"Transfer-Encoding:\r\n" + TWO + b"\r\n{}",
    "identity and a length": OK + b"Transfer-Encoding: identity\r\n" + TWO + b"\r\n{}",
    "a chunk size below zero": OK + CHUNKED + b"\r\n-2\r\n{}\r\n0\r\n\r\n",
    "a chunk size with a prefix": OK + CHUNKED + b"\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits": OK + CHUNKED + b"\r\n10000000000000002\r\n{}\r\n0\r\n\r\n",
    "a chunk longer than its size": OK + CHUNKED + b"\r\n2\r\n{} \r\n0\r\n\r\n",
    "chunks with bare line feeds": OK + CHUNKED + b"\r\n2\n{}\n0\n\n",
    "a head with bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    "a folded header": OK + b"A: b\r\n c\r\n" + TWO + b"\r\n{}",
    "a NUL in a header": OK + b"A: b\0c\r\n" + TWO + b"\r\n{}",
    "a CR in a header": OK + b"A: b\rc\r\n" + TWO + b"\r\n{}",
    "a header without a colon": OK + b"Ab\r\n" + TWO + b"\r\n{}",
    "a header name of two words": OK + b"A b: c\r\n" + TWO + b"\r\n{}",
    "two media types": OK + b"Content-Type: text/html\r\ncontent-type: text/html\r\n" + TWO + b"\r\n{}",
    "two encodings": OK + b"Content-Encoding: identity\r\nContent-Encoding: gzip\r\n" + TWO + b"\r\n{}",
    "another protocol": b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
    "a version to come": b"HTTP/3.0 200 OK\r\n" + TWO + b"\r\n{}",
    "a status of two digits": b"HTTP/1.1 20 OK\r\n" + TWO + b"\r\n{}",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n" + TWO + b"\r\n{}",
    "an interim last one": b"HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n" + OK + TWO + b"\r\n{}",
    "an interim one with a body": b"HTTP/1.1 100 Continue\r\n" + TWO + b"\r\n{}" + OK + TWO + b"\r\n{}",
    "not HTTP": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "a request": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "too long by its length": response(b"x" * (MAX_BYTES + 1)),
    "too long by its chunks": chunked(*[b"x" * 500] * 2, b"x"),
    "too many headers": OK + b"A: b\r\n" * MOST_HEADERS + TWO + b"\r\n{}",
}  # fmt: skip

# In one piece they are wrong. Cut behind the answer, the connection must see to the rest.
MORE_THAN_AN_ANSWER = {
    "a second answer": response() + response(b"[]"),
    "the beginning of one": response() + b"H",
    "other words": response() + b"more",
    "a body where there is none": b"HTTP/1.1 204 No Content\r\n" + TWO + b"\r\n{}",
    "more than the length": OK + b"Content-Length: 1\r\n\r\n{}",
    "more after the last chunk": chunked(b"{}") + b"2\r\n{}\r\n",
    "more after a last answer": OK + b"Connection: close\r\n" + TWO + b"\r\n{}" + OK,
}


@pytest.mark.parametrize(("data", "status", "body", "keeps_open"), WHOLE.values(), ids=WHOLE)
def test_whole_in_any_pieces_and_not_before_the_last_byte(
    data: bytes, status: int, body: bytes, keeps_open: bool
) -> None:
    for pieces in cuts(data):
        answer = read(pieces)
        assert (answer.whole, answer.wrong) == (True, "")
        assert (answer.status, answer.body, answer.keeps_open) == (status, body, keeps_open)
    for end in range(len(data)):
        cut = read([data[:end]])
        assert (cut.whole, cut.wrong) == (False, "")


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_wrong_in_any_pieces(data: bytes) -> None:
    for pieces in cuts(data):
        answer = read(pieces)
        assert answer.wrong
        assert not answer.whole


@pytest.mark.parametrize("data", MORE_THAN_AN_ANSWER.values(), ids=MORE_THAN_AN_ANSWER)
def test_more_than_an_answer_is_none(data: bytes) -> None:
    assert read([data]).wrong
    for pieces in cuts(data):
        answer = read(pieces)
        assert answer.wrong or (answer.whole and answer.received < len(data))


def test_no_foreign_word_is_in_what_is_wrong() -> None:
    for data in (*WRONG.values(), *MORE_THAN_AN_ANSWER.values()):
        why = read([data.replace(b"A: b", b"CANARY: CANARY")]).wrong
        assert "CANARY" not in why
        assert "SSH" not in why


def test_headers_of_interim_answers_and_trailers_do_not_count() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nContent-Type: text/html\r\n\r\n"
    late = b"Content-Type: text/html\r\nContent-Encoding: gzip\r\n"
    for pieces in cuts(early + chunked(b"{}", trailer=late)):
        assert read(pieces).headers == {
            b"content-type": b"application/fhir+json",
            b"transfer-encoding": b"chunked",
        }


ENDLESS = {
    "a reason": (b"HTTP/1.1 200 ", b"o" * 100),
    "a header": (OK + b"A: ", b"b" * 100),
    "a header name": (OK, b"b" * 100),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "empty lines": (b"", b"\r\n" * 50),
    "a chunk extension": (OK + CHUNKED + b"\r\n2;", b"e" * 100),
    "a chunk size": (OK + CHUNKED + b"\r\n", b"0" * 100),
    "a trailer": (OK + CHUNKED + b"\r\n2\r\n{}\r\n0\r\nA: ", b"b" * 100),
}


@pytest.mark.parametrize(("begin", "more"), ENDLESS.values(), ids=ENDLESS)
def test_what_does_not_end_is_refused_while_it_comes(begin: bytes, more: bytes) -> None:
    answer = read([begin, *[more] * (2 * LONGEST_HEAD // len(more))])
    assert answer.wrong
    assert answer.received <= LONGEST_HEAD + 200


def test_a_body_without_end_is_refused_at_the_cap_and_not_kept() -> None:
    chunk = b"64\r\n" + b"x" * 100 + b"\r\n"
    answer = read([OK + CHUNKED + b"\r\n", *[chunk] * 100])
    assert answer.wrong == "an upstream answer over max_body_bytes"
    assert len(answer.body) <= MAX_BYTES
    assert answer.received < 2 * MAX_BYTES


def test_a_length_over_the_cap_is_refused_before_the_body() -> None:
    assert read([OK + b"Content-Length: 1001\r\n\r\n"]).wrong
    assert not read([OK + b"Content-Length: 1000\r\n\r\n"]).wrong


def test_small_chunks_are_read_and_chunks_of_next_to_nothing_are_not() -> None:
    def body(size: int) -> bytes:
        return chunked(*[b"x" * size] * (200_000 // size))

    assert read([body(16)], max_bytes=1_000_000).whole
    assert read([body(1)], max_bytes=1_000_000).wrong


@given(st.binary(max_size=300), st.sampled_from([b"", OK, OK + TWO, OK + CHUNKED + b"\r\n"]))
def test_whatever_comes_is_told_and_not_raised(data: bytes, begin: bytes) -> None:
    answer = read([begin + data])
    assert not (answer.whole and answer.wrong)
    assert len(answer.body) <= MAX_BYTES


@given(st.sampled_from([data for data, *_ in WHOLE.values() if len(data) < 300]), st.data())
def test_how_it_is_cut_makes_no_difference_to_a_damaged_answer(data: bytes, choices: st.DataObject) -> None:
    at = choices.draw(st.integers(0, len(data) - 1))
    damaged = data[:at] + bytes([choices.draw(st.integers(0, 255))]) + data[at + 1 :]
    cut = choices.draw(st.integers(1, len(data) - 1))
    whole, parts = read([damaged]), read([damaged[:cut], damaged[cut:]])
    if whole.wrong:
        assert parts.wrong or parts.received < len(damaged)
    else:
        assert (parts.whole, parts.wrong) == (whole.whole, "")
        assert (parts.status, parts.body, parts.headers) == (whole.status, whole.body, whole.headers)


def test_a_closed_answer_leaves_without_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for data in [*(data for data, *_ in WHOLE.values()), *WRONG.values()] * 3:
            read([data])
        assert len(gc.get_objects()) - before < 20
    finally:
        gc.enable()
