"""What happens while a record server thinks: consents change, requests of others come and go."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from pathlib import Path

import httpx
import pytest

from gateway.core.consent import evaluate
from gateway.ledger.recorder import OpenedEntry
from gateway.pipeline import MAX_TURNS
from tests.support.answers import Exchange
from tests.support.gateway import Gateway, gateway
from tests.support.house import HOST
from tests.walk.canned import Canned, message
from tests.walk.faults import READ, SPEAKING, VREAD, nothing_came, observation, page, said

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


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
    nothing_came(house.get(READ, token), 403)


@pytest.mark.parametrize("changes", [MAX_TURNS - 1, MAX_TURNS])
def test_consents_that_change_and_change_are_not_followed_for_ever(
    house: Gateway, record_server: Canned, changes: int
) -> None:
    """Each change concerns the asker, so each asks for another decision."""
    house.permit()
    made: list[str] = []

    def think(connection: socket.socket) -> None:
        if len(made) < changes:
            made.append(house.permit()["id"])
        connection.sendall(message(body=observation()))

    record_server.speak(think)
    answer = house.get(READ, house.token())
    assert len(made) == changes
    if changes < MAX_TURNS:
        assert answer.status_code == 200
    else:
        nothing_came(answer, 503)
        assert house.entries()[-1].kind == "consent.grant"


def test_a_deny_comes_when_more_patients_are_asked_about_than_are_remembered(
    house: Gateway, record_server: Canned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was judged by the old state may not be compared with itself read anew."""
    monkeypatch.setattr(evaluate, "_KEPT", 2)
    house.permit("pat-a")
    house.permit("pat-b")
    token = house.token("system/*.rs", patient=None)
    three = {"pat-a": "CANARY-a", "pat-b": "spoken-b", "pat-c": "CANARY-c"}
    found = page(*(observation(f"x-{patient}", patient, text) for patient, text in three.items()))

    def think(connection: socket.socket) -> None:
        record_server.speak(said(body=found))
        house.deny("pat-a")
        connection.sendall(message(body=found))

    record_server.speak(think)
    answer = house.get("/fhir/Observation", token)
    assert answer.status_code == 200
    assert "CANARY" not in answer.text
    assert "spoken-b" in answer.text


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
    permits = await _settled(house)
    house.check_everything(unanswered=len(permits) - answered.count(True))


async def _settled(house: Gateway) -> list[OpenedEntry]:
    """The entries of answers, once no more come: what was given up may still be recorded."""
    before = -1
    while True:
        permits = [entry for entry in house.entries() if entry.kind == "read.permit"]
        if len(permits) == before:
            return permits
        before = len(permits)
        await asyncio.sleep(0.5)
