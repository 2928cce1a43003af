"""A fault at every step of the walk: nothing is released, and the ledger says so.

Ports are replaced one at a time by ones that raise or return nonsense; the record server answers as no
server should, to each question that one request may put to it. `CANARY` is what must not come out.
"""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway import errors
from gateway.core.values import UpstreamReply
from gateway.pipeline import Ports
from gateway.tokens.pages import PageSealer
from tests.support.gateway import HOST, Exchange, Gateway, gateway
from tests.support.ports import unused_port
from tests.walk.canned import Canned, message

TIMEOUT_S = 1


def observation(id: str = "x", patient: str = "pat-a", text: str = "CANARY", **more: Any) -> dict[str, Any]:
    head = {"resourceType": "Observation", "id": id, "meta": {"versionId": "1"}, "status": "final"}
    return {**head, "code": {"text": text}, "subject": {"reference": f"Patient/{patient}"}, **more}


def page(*resources: dict[str, Any], next: str | None = None) -> dict[str, Any]:
    entries = [{"resource": resource, "search": {"mode": "match"}} for resource in resources]
    links = [] if next is None else [{"relation": "next", "url": next}]
    return {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries}


SPEAKING = observation(hasMember=[{"reference": "Observation/y", "display": "CANARY"}])

# The requests, and the questions that each of them puts to the record server.
READ, VREAD, SEARCH = "/fhir/Observation/x", "/fhir/Observation/x/_history/1", "/fhir/Observation?code=1"
QUESTIONS = {
    "read": (READ, "/Observation/x"),
    "look-up": (READ, "/Observation"),
    "vread, current": (VREAD, "/Observation/x"),
    "vread, old": (VREAD, "/Observation/x/_history/1"),
    "search": (SEARCH, "/Observation"),
    "further page": (SEARCH, ""),
}


@dataclass
class Faults:
    """Stands in front of the ports; `at` holds what happens in their place."""

    at: dict[str, Callable[..., Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def ports(self, old: Ports) -> Ports:
        return replace(
            old,
            verify=self._awaited("verify", old.verify),
            consents=_Consents(self, old.consents),
            upstream=_Transport(self, old.upstream),
            record=self._awaited("record", old.record),
            pages=_Pages(self, old.pages),
            facts_of=lambda raw: self.run("facts_of", old.facts_of, raw),
            new_id=lambda: self.run("new_id", old.new_id),
        )

    def run(self, name: str, right: Callable[..., Any], *args: Any) -> Any:
        self.calls.append(name)
        return self.at[name](right, *args) if name in self.at else right(*args)

    def _awaited(self, name: str, right: Callable[..., Any]) -> Callable[..., Any]:
        async def port(*args: Any) -> Any:
            found = self.run(name, right, *args)
            return await found if asyncio.iscoroutine(found) else found

        return port


@dataclass
class _Consents:
    faults: Faults
    right: Any

    def at_head(self) -> Any:
        return self.faults.run("at_head", self.right.at_head)


@dataclass
class _Transport:
    faults: Faults
    right: Any

    async def fetch(self, ask: Any) -> Any:
        found = self.faults.run("fetch", self.right.fetch, ask)
        return await found if asyncio.iscoroutine(found) else found


class _Pages(PageSealer):
    def __init__(self, faults: Faults, right: PageSealer) -> None:
        self._faults, self._right = faults, right

    def seal(self, page: Any, now_s: int) -> Any:
        return self._faults.run("seal", self._right.seal, page, now_s)

    def open(self, sealed: str, now_s: int) -> Any:
        return self._faults.run("open", self._right.open, sealed, now_s)


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


# --- Ports ---------------------------------------------------------------------------------------------


def raising(error: Exception, call: int = 1) -> Callable[..., Any]:
    """A port that raises at its `call`th call."""
    count = 0

    def port(right: Callable[..., Any], *args: Any) -> Any:
        nonlocal count
        count += 1
        if count == call:
            raise error
        return right(*args)

    return port


def giving(value: Any, call: int = 1) -> Callable[..., Any]:
    """A port that gives `value` at its `call`th call."""
    count = 0

    def port(right: Callable[..., Any], *args: Any) -> Any:
        nonlocal count
        count += 1
        return value if count == call else right(*args)

    return port


def giving_after(value: Any) -> Callable[..., Any]:
    """A port that does what it should, and then gives `value`."""

    async def port(right: Callable[..., Any], *args: Any) -> Any:
        await right(*args)
        if isinstance(value, Exception):
            raise value
        return value

    return port


BUG = RuntimeError("CANARY in a message")
OTHER = UpstreamReply(200, b'{"resourceType":"Observation","id":"CANARY"}')
PORTS: dict[str, tuple[str, Callable[[], Callable[..., Any]], int]] = {
    "verify refuses": ("verify", lambda: raising(errors.Unauthenticated("no")), 401),
    "verify breaks": ("verify", lambda: raising(BUG), 500),
    "verify gives nothing": ("verify", lambda: giving(None), 500),
    "new id breaks": ("new_id", lambda: raising(BUG), 500),
    "consents unreadable": ("at_head", lambda: raising(errors.LedgerUnavailable()), 503),
    "consents break": ("at_head", lambda: raising(BUG), 500),
    "consents give nothing": ("at_head", lambda: giving((1, None)), 500),
    "consents give no pair": ("at_head", lambda: giving(None), 500),
    "consents unreadable after the answer": ("at_head", lambda: raising(errors.LedgerUnavailable(), 2), 503),
    "consents break after the answer": ("at_head", lambda: raising(BUG, 2), 500),
    "consents give nothing after the answer": ("at_head", lambda: giving((-7, None), 2), 500),
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
    _nothing_came(answer, status)
    assert _permits(faulty) == permits, "nothing left, so nothing was permitted"


@pytest.mark.parametrize("value", [BUG, errors.LedgerUnavailable()], ids=["bug", "unavailable"])
@pytest.mark.parametrize("target", [READ, SEARCH], ids=["read", "search"])
def test_a_record_that_fails_when_it_is_durable(faulty: Gateway, target: str, value: Any) -> None:
    """The one entry too many is on the safe side: it tells of an answer that did not leave."""
    permits = _permits(faulty)
    FAULTS.at["record"] = giving_after(value)
    answer = faulty.get(target, faulty.token())
    FAULTS.at.clear()
    _nothing_came(answer, 503 if isinstance(value, errors.LedgerUnavailable) else 500)
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
    _nothing_came(answer, 500)


# --- The record server ---------------------------------------------------------------------------------


def slow(connection: socket.socket) -> None:
    time.sleep(TIMEOUT_S + 0.3)
    connection.sendall(message(body=observation()))


def dripping(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\n\r\n")
    for _ in range(30):
        connection.sendall(b" CANARY")
        time.sleep(TIMEOUT_S / 10)


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\n\r\n")
    for _ in range(400):
        connection.sendall(b'{"CANARY":"' * 6000)


def saying(raw: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(raw)


def said(**reply: Any) -> Callable[[socket.socket], None]:
    return saying(message(**reply))


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\n"
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
    _nothing_came(answer, status)
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


# --- While the record server is thinking ---------------------------------------------------------------


@pytest.mark.parametrize("target", [READ, VREAD, "/fhir/Observation"], ids=["read", "vread", "search"])
@pytest.mark.parametrize("how", ["withdrawn", "denied", "denied by label"])
def test_a_consent_changes_while_the_record_server_thinks(
    house: Gateway, record_server: Canned, target: str, how: str
) -> None:
    labelled = observation(meta={"versionId": "1", "security": [{"system": ACT_CODE, "code": "HIV"}]})
    consent = house.permit()
    token = house.token()

    def think(connection: socket.socket) -> None:
        if how == "withdrawn":
            house.revoke(consent["id"])
        else:
            house.deny(labels=["HIV"] if how == "denied by label" else [])
        body = page(labelled) if target == "/fhir/Observation" else labelled
        connection.sendall(message(body=body))

    def think_once(connection: socket.socket) -> None:
        record_server.speak(said(body=page(labelled) if target == "/fhir/Observation" else labelled))
        think(connection)

    record_server.speak(think_once)
    answer = house.get(target, token)
    assert "CANARY" not in answer.text
    searched = target == "/fhir/Observation"
    assert answer.status_code == (403 if how != "denied by label" else 200 if searched else 404)
    assert house.entries()[-1].kind == ("read.permit" if answer.status_code == 200 else "read.deny")


def test_a_consent_is_withdrawn_during_a_look_up(house: Gateway, record_server: Canned) -> None:
    consent = house.permit()
    token = house.token()

    def think(connection: socket.socket) -> None:
        house.revoke(consent["id"])
        connection.sendall(message(body=page(observation("y"))))

    record_server.answer(path="/Observation/x", body=SPEAKING)
    record_server.speak(think, path="/Observation")
    _nothing_came(house.get(READ, token), 403)


ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


# --- Many at once --------------------------------------------------------------------------------------

PATIENTS = ("pat-a", "pat-b", "pat-c")


async def test_patients_never_mix(tmp_path: Path, record_server: Canned) -> None:
    """400 requests at once for three patients; one in ten is given up while it is under way."""
    rng = random.Random(7)
    delays = [rng.choice([0, 0.001, 0.005, 0.02]) for _ in range(64)]

    def script(target: str) -> bytes:
        time.sleep(delays[len(record_server.requests) % len(delays)])
        patient = next(patient for patient in PATIENTS if patient in target)
        own = observation(f"x-{patient}", patient, f"CANARY-{patient}")
        searched = "?" in target
        return message(
            body=page(own, *(observation(f"y-{p}", p, f"CANARY-{p}") for p in PATIENTS)) if searched else own
        )

    record_server.reset()
    record_server.script = script
    with gateway(tmp_path, record_server.base_url) as running:
        await _storm(running, rng)


async def _storm(house: Gateway, rng: random.Random) -> None:
    for patient in PATIENTS:
        house.permit(patient)
    tokens = {patient: house.token(patient=patient) for patient in PATIENTS}
    limits = httpx.Limits(max_connections=40)
    url = f"http://127.0.0.1:{house.port}"
    async with httpx.AsyncClient(base_url=url, limits=limits, trust_env=False, timeout=30) as client:

        async def one(number: int) -> bool:
            patient = PATIENTS[number % 3]
            target = "/fhir/Observation?status=final" if number % 2 else f"/fhir/Observation/x-{patient}"
            headers = {"Host": HOST, "Authorization": f"Bearer {tokens[patient]}"}
            asked = client.get(target, headers=headers)
            try:
                answer = await asyncio.wait_for(asked, rng.random() / 50 if number % 10 == 0 else 30)
            except TimeoutError:
                return False
            assert answer.status_code == 200, answer.text
            assert {p for p in PATIENTS if f"CANARY-{p}" in answer.text} == {patient}
            house.exchanges.append(Exchange("GET", target, answer))
            return True

        answered = await asyncio.gather(*(one(number) for number in range(400)))
    assert answered.count(True) >= 360
    await asyncio.sleep(0.3)  # what was given up may still be recorded
    permits = [entry for entry in house.entries() if entry.kind == "read.permit"]
    house.check_everything(unanswered=len(permits) - answered.count(True))


# --- Helpers -------------------------------------------------------------------------------------------


def _nothing_came(answer: httpx.Response, status: int) -> None:
    text = answer.text + str(answer.headers)
    assert "CANARY" not in text, text
    assert "Traceback" not in text
    assert answer.status_code == status, text
    assert answer.json()["resourceType"] == "OperationOutcome"


def _permits(faulty: Gateway) -> int:
    return sum(entry.kind == "read.permit" for entry in faulty.entries())
