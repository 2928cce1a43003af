"""A fault at every step of the walk: nothing is released, and the ledger says so.

Ports are replaced one at a time by ones that raise or return nonsense, and so are the steps between them;
the record server answers as no server should, to each question that one request may put to it. `CANARY` is
what must not come out.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import errors
from gateway.core.values import UpstreamReply
from tests.support.gateway import Gateway, gateway
from tests.support.house import HOST
from tests.support.ports import unused_port
from tests.walk.canned import Canned, message
from tests.walk.faults import (
    HEAD,
    READ,
    SEARCH,
    SPEAKING,
    TIMEOUT_S,
    VREAD,
    Faults,
    dripping,
    endless,
    giving,
    giving_after,
    nothing_came,
    observation,
    page,
    raising,
    said,
    saying,
    slow,
)

# The requests, and the questions that each of them puts to the record server.
QUESTIONS = {
    "read": (READ, "/Observation/x"),
    "look-up": (READ, "/Observation"),
    "vread, current": (VREAD, "/Observation/x"),
    "vread, old": (VREAD, "/Observation/x/_history/1"),
    "search": (SEARCH, "/Observation"),
    "further page": (SEARCH, ""),
}


FAULTS = Faults()


@pytest.fixture(scope="module")
def shared(record_server: Canned, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("faults")
    with gateway(folder, record_server.base_url, timeout_s=TIMEOUT_S, ports=FAULTS.ports) as running:
        running.permit()
        yield running


@pytest.fixture
def faulty(shared: Gateway, record_server: Canned) -> Gateway:
    """A gateway whose ports can fail, and a record server that answers everything well."""
    FAULTS.at.clear()
    FAULTS.calls.clear()
    record_server.reset()
    record_server.answer(path="/Observation/x", body=SPEAKING)
    record_server.answer(path="/Observation/x/_history/1", body=SPEAKING)
    record_server.answer(path="/Observation", body=page(next="{upstream}?_getpages=2"))
    record_server.answer(path="", body=page(observation()))
    return shared


def test_without_a_fault_the_canary_comes_out(faulty: Gateway) -> None:
    for target in (READ, VREAD, SEARCH):
        answer = faulty.get(target, faulty.token())
        assert answer.status_code == 200
        assert "CANARY" in answer.text


BUG = RuntimeError("CANARY in a message")
OTHER = UpstreamReply(200, b'{"resourceType":"Observation","id":"CANARY"}')
# The consents are asked for whether the token is in force, for the decision, and again after the answer.
PORTS: dict[str, tuple[str, Callable[[], Callable[..., Any]], int]] = {
    "verify refuses": ("verify", lambda: raising(errors.Unauthenticated("no")), 401),
    "verify breaks": ("verify", lambda: raising(BUG), 500),
    "verify gives nothing": ("verify", lambda: giving(None), 500),
    "new id breaks": ("new_id", lambda: raising(BUG), 500),
    "consents unreadable": ("at_head", lambda: raising(errors.LedgerUnavailable()), 503),
    "consents break": ("at_head", lambda: raising(BUG), 500),
    "consents unreadable for the decision": ("at_head", lambda: raising(errors.LedgerUnavailable(), 2), 503),
    "consents break for the decision": ("at_head", lambda: raising(BUG, 2), 500),
    "consents give nothing": ("at_head", lambda: giving((1, None), 2), 500),
    "consents give no pair": ("at_head", lambda: giving(None), 500),
    "consents unreadable after the answer": ("at_head", lambda: raising(errors.LedgerUnavailable(), 3), 503),
    "consents break after the answer": ("at_head", lambda: raising(BUG, 3), 500),
    "consents give nothing after the answer": ("at_head", lambda: giving((-7, None), 3), 500),
    "fetch breaks": ("fetch", lambda: raising(BUG), 500),
    "fetch finds no server": ("fetch", lambda: raising(errors.UpstreamUnusable()), 502),
    "fetch takes too long": ("fetch", lambda: raising(errors.UpstreamTimeout()), 504),
    "fetch gives nothing": ("fetch", lambda: giving(None), 500),
    "fetch gives another record": ("fetch", lambda: giving(OTHER), 502),
    "fetch gives an empty body": ("fetch", lambda: giving(UpstreamReply(200, b"")), 502),
    "second fetch breaks": ("fetch", lambda: raising(BUG, 2), 500),
    "second fetch finds no server": ("fetch", lambda: raising(errors.UpstreamUnusable(), 2), 502),
    "second fetch takes too long": ("fetch", lambda: raising(errors.UpstreamTimeout(), 2), 504),
    "second fetch gives another record": ("fetch", lambda: giving(OTHER, 2), 502),
    "facts break": ("facts_of", lambda: raising(BUG), 500),
    "facts give nothing": ("facts_of", lambda: giving(None), 500),
    "facts recurse": ("facts_of", lambda: raising(RecursionError()), 500),
    "memory ends": ("facts_of", lambda: raising(MemoryError()), 500),
    "record unavailable": ("record", lambda: raising(errors.LedgerUnavailable()), 503),
    "record breaks": ("record", lambda: raising(BUG), 500),
    "record cannot be sealed": ("record", lambda: raising(ValueError("CANARY")), 500),
    "record gives nothing": ("record", lambda: giving(None), 500),
    "record gives no receipt": ("record", lambda: giving([]), 503),
}


@pytest.mark.parametrize("target", [READ, VREAD, SEARCH], ids=["read", "vread", "search"])
@pytest.mark.parametrize("fault", PORTS)
def test_a_port_fails(faulty: Gateway, fault: str, target: str) -> None:
    step, make, status = PORTS[fault]
    permits = _permits(faulty)
    FAULTS.at[step] = make()
    answer = faulty.get(target, faulty.token())
    FAULTS.at.clear()
    nothing_came(answer, status)
    assert _permits(faulty) == permits, "nothing left, so nothing was permitted"


STEPS = {
    "parse": ("parse_request", (READ, VREAD, SEARCH)),
    "decide": ("decide", (READ, VREAD, SEARCH)),
    "gather": ("gather", (READ, VREAD, SEARCH)),
    "release a record": ("build_instance", (READ, VREAD)),
    "release a page": ("build_searchset", (SEARCH,)),
    "write the record": ("permit_drafts", (READ, VREAD, SEARCH)),
}


@pytest.mark.parametrize("error", [BUG, RecursionError()], ids=["bug", "recursion"])
@pytest.mark.parametrize("step", STEPS)
def test_a_step_between_the_ports_fails(
    faulty: Gateway, monkeypatch: pytest.MonkeyPatch, step: str, error: Exception
) -> None:
    name, targets = STEPS[step]
    permits = _permits(faulty)

    def broken(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(f"gateway.pipeline.{name}", broken)
    for target in targets:
        nothing_came(faulty.get(target, faulty.token()), 500)
    assert _permits(faulty) == permits


@pytest.mark.parametrize("value", [BUG, errors.LedgerUnavailable()], ids=["bug", "unavailable"])
@pytest.mark.parametrize("target", [READ, SEARCH], ids=["read", "search"])
def test_a_record_that_fails_when_it_is_durable(faulty: Gateway, target: str, value: Any) -> None:
    """The one entry too many is on the safe side: it tells of an answer that did not leave."""
    permits = _permits(faulty)
    FAULTS.at["record"] = giving_after(value)
    answer = faulty.get(target, faulty.token())
    FAULTS.at.clear()
    nothing_came(answer, 503 if isinstance(value, errors.LedgerUnavailable) else 500)
    assert _permits(faulty) == permits + 1


@pytest.mark.parametrize("error", [BUG, errors.LedgerUnavailable()], ids=["bug", "unavailable"])
def test_a_denial_that_cannot_be_recorded(faulty: Gateway, error: Exception) -> None:
    """What was hidden and what is missing stay alike even then."""
    answers = []
    for target in ("/fhir/Observation/hidden", "/fhir/Observation/missing", "/fhir/Condition?patient=pat-b"):
        FAULTS.at["record"] = raising(error)
        answers.append(faulty.get(target, faulty.token()))
    FAULTS.at.clear()
    status = 503 if isinstance(error, errors.LedgerUnavailable) else 500
    assert {answer.status_code for answer in answers} == {status}
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize("step", ["seal", "open"])
def test_page_links_that_cannot_be_made_or_read(faulty: Gateway, record_server: Canned, step: str) -> None:
    record_server.answer(path="/Observation", body=page(observation(), next="{upstream}?_getpages=2"))
    first = faulty.get(SEARCH, faulty.token())
    link = next(link["url"] for link in first.json()["link"] if link["relation"] == "next")
    FAULTS.at[step] = raising(BUG)
    answer = faulty.get(SEARCH if step == "seal" else link.removeprefix(f"https://{HOST}"), faulty.token())
    FAULTS.at.clear()
    nothing_came(answer, 500)


BODY = message(body=SPEAKING).partition(b"\r\n\r\n")[2]
OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "exception", "diagnostics": "CANARY"}],
}
ANSWERS: dict[str, tuple[Callable[[socket.socket], None], int]] = {
    "too slow": (slow, 504),
    "too slow in the body": (dripping, 504),
    "endless": (endless, 502),
    "hangs up": (saying(b""), 502),
    "not HTTP": (saying(b"CANARY\r\n\r\n"), 502),
    "half a head": (saying(b"HTTP/1.1 200 OK\r\nContent-Ty"), 502),
    "cut off": (saying(HEAD + b"Content-Length: 5000\r\n\r\n" + BODY), 502),
    "cut off in a chunk": (saying(HEAD + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n" + BODY), 502),
    "chunks that are none": (saying(HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n" + BODY), 502),
    "said to be too long": (saying(HEAD + b"Content-Length: 99999999999\r\n\r\n" + BODY), 502),
    "error 500": (said(status=500, body=SPEAKING), 502),
    "error 503": (said(status=503, body=SPEAKING), 502),
    "moved": (said(status=302, headers={"Location": "http://evil.example/CANARY"}, body=SPEAKING), 502),
    "accepted": (said(status=202, body=SPEAKING), 502),
    "partial": (said(status=206, body=SPEAKING), 502),
    "HTML": (said(headers={"Content-Type": "text/html"}, text="<p>CANARY"), 502),
    "XML": (said(headers={"Content-Type": "application/fhir+xml"}, text="<CANARY/>"), 502),
    "no media type": (saying(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY), 502),
    "gzip": (said(headers={"Content-Encoding": "gzip"}, body=SPEAKING), 502),
    "an outcome with 200": (said(body=OUTCOME), 502),
    "another id": (said(body=observation("z")), 502),
    "another type": (said(body={**observation(), "resourceType": "Condition"}), 502),
    "a list": (said(body=[SPEAKING]), 502),
    "a key twice": (said(text='{"resourceType":"Observation","resourceType":"Bundle","CANARY":1}'), 502),
    "no JSON": (said(text="CANARY"), 502),
    "empty": (said(text=""), 502),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("fault", ANSWERS)
def test_the_record_server_fails(faulty: Gateway, record_server: Canned, fault: str, question: str) -> None:
    target, path = QUESTIONS[question]
    speak, status = ANSWERS[fault]
    permits = _permits(faulty)
    record_server.speak(speak, path=path)
    answer = faulty.get(target, faulty.token())
    nothing_came(answer, status)
    assert _permits(faulty) == permits
    assert faulty.entries()[-1].facts["rsn"] == "upstream"


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_look_up_that_finds_nothing_leaves_the_mask(
    faulty: Gateway, record_server: Canned, status: int
) -> None:
    record_server.answer(path="/Observation", status=status, body=OUTCOME)
    record_server.answer(path="/Observation/x", body={**SPEAKING, "code": {"text": "kept"}})
    answer = faulty.get(READ, faulty.token())
    assert answer.status_code == 200
    assert "kept" in answer.text
    assert "CANARY" not in answer.text


def test_no_record_server_at_all(tmp_path: Path) -> None:
    with gateway(tmp_path, f"http://127.0.0.1:{unused_port()}/fhir") as running:
        running.permit()
        for target in (READ, SEARCH):
            assert running.get(target, running.token()).status_code == 502
        running.check_everything()


def test_the_ledger_of_all_this_verifies(faulty: Gateway) -> None:
    """Recorded without an answer are only the four entries whose recording failed when they were durable."""
    faulty.get(READ, faulty.token())
    failed_late = sum(entry.kind == "read.permit" for entry in faulty.entries()) - sum(
        "ledger-entry" in exchange.response.headers and exchange.response.status_code == 200
        for exchange in faulty.exchanges
    )
    faulty.check_everything(unanswered=failed_late)
    assert failed_late <= 4


def _permits(faulty: Gateway) -> int:
    return sum(entry.kind == "read.permit" for entry in faulty.entries())
