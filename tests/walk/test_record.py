"""What a request leaves in the ledger, fact by fact: who, whom, what, why, which consent and which bytes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from gateway.core.canon import sha256_text
from gateway.ledger.recorder import OpenedEntry
from gateway.policy import digest_of
from tests.support.answers import receipts_of
from tests.support.gateway import Gateway
from tests.support.house import ISSUER
from tests.walk.canned import Canned
from tests.walk.faults import READ, SEARCH, VREAD, observation, page

ALWAYS = {"rid", "pol", "cli", "act", "ms", "con", "tok", "int"}
PERMIT = ALWAYS | {"pou", "rty", "rids", "q", "st", "len", "bd"}
DENY = ALWAYS | {"rsn", "pou", "q"}
USER: dict[str, Any] = {"patient": None, "fhirUser": "Practitioner/prac-gp"}


def as_sent(resource: dict[str, Any]) -> str:
    """The digest of the bytes in which the record server sends a resource."""
    return hashlib.sha256(json.dumps(resource, separators=(",", ":")).encode()).hexdigest()


def left(house: Gateway, answer: Any) -> list[OpenedEntry]:
    """The entries that an answer names, which are the last of the ledger."""
    entries = house.entries()
    named = [receipt.index for receipt in receipts_of(answer)]
    assert named == [entry.index for entry in entries[len(entries) - len(named) :]]
    return [entries[index] for index in named]


def test_a_read_is_recorded_whole(house: Gateway, record_server: Canned) -> None:
    record = observation()
    record_server.answer(path="/Observation/x", body=record)
    consent, token = house.permit(), house.token()
    answer = house.get(READ, token)
    [entry] = left(house, answer)
    assert entry.kind == "read.permit"
    assert set(entry.facts) == PERMIT | {"pat"}
    assert {name: entry.facts[name] for name in PERMIT | {"pat"} if name not in ("rid", "ms")} == {
        "pat": "Patient/pat-a",
        "cli": "app-1",
        "act": f"user-1@{ISSUER}",
        "pou": ["TREAT"],
        "con": [consent["entry"], consent["hash"]],
        "tok": sha256_text(token.encode()),
        "pol": digest_of(house.house.settings),
        "int": "read",
        "q": sha256_text(b"Observation/x?"),
        "st": 200,
        "len": len(answer.content),
        "bd": sha256_text(answer.content),
        "rty": {"Observation": 1},
        "rids": sha256_text(f"Observation/x/1 {as_sent(record)}\n".encode()),
    }
    assert entry.attachments == {"rids": f"Observation/x/1 {as_sent(record)}\n"}


def test_what_was_masked_is_recorded_as_the_record_server_has_it(
    house: Gateway, record_server: Canned
) -> None:
    record = observation(
        hasMember=[{"reference": "Observation/y", "display": "CANARY"}], code={"text": "kept"}
    )
    record_server.answer(path="/Observation/x", body=record)
    record_server.answer(path="/Observation", body=page())
    house.permit()
    answer = house.get(READ, house.token())
    assert "CANARY" not in answer.text
    [entry] = left(house, answer)
    assert entry.attachments == {"rids": f"Observation/x/1 {as_sent(record)}\n"}


def test_a_record_altered_under_its_version_can_be_told(house: Gateway, record_server: Canned) -> None:
    house.permit()
    rids = []
    for text in ("before", "after", "before"):
        record_server.answer(path="/Observation/x", body=observation(text=text))
        [entry] = left(house, house.get(READ, house.token()))
        rids.append(entry.attachments["rids"])
    assert rids[0] == rids[2] != rids[1]
    assert {line.partition(" ")[0] for line in rids} == {"Observation/x/1"}


@pytest.mark.parametrize(
    ("target", "interaction", "query"),
    [
        (READ, "read", "Observation/x?"),
        (VREAD, "vread", "Observation/x/1?"),
        (SEARCH, "search-type", "Observation?code=1"),
        ("/fhir/Observation?%63ode=1", "search-type", "Observation?code=1"),
    ],
    ids=["read", "vread", "search", "search, written otherwise"],
)
def test_the_question_is_recorded_in_one_spelling(
    house: Gateway, record_server: Canned, target: str, interaction: str, query: str
) -> None:
    record_server.answer(body=observation())
    record_server.answer(path="/Observation", body=page(observation()))
    house.permit()
    [entry] = left(house, house.get(target, house.token()))
    assert (entry.facts["int"], entry.facts["q"]) == (interaction, sha256_text(query.encode()))


def test_each_patient_has_an_entry_of_their_own(house: Gateway, record_server: Canned) -> None:
    """In one batch, under one request id; nobody's entry tells of another's records or consent."""
    mine, other = observation("x"), observation("y", "pat-b")
    record_server.answer(path="/Observation", body=page(mine, other))
    consents = {patient: house.permit(patient) for patient in ("pat-a", "pat-b")}
    answer = house.get("/fhir/Observation", house.token("user/*.rs", **USER))
    entries = {str(entry.facts["pat"]): entry for entry in left(house, answer)}
    assert entries.keys() == {"Patient/pat-a", "Patient/pat-b"}
    assert len({entry.facts["rid"] for entry in entries.values()}) == 1
    for patient, record in {"pat-a": mine, "pat-b": other}.items():
        entry, consent = entries[f"Patient/{patient}"], consents[patient]
        assert entry.facts["con"] == [consent["entry"], consent["hash"]]
        assert entry.facts["rty"] == {"Observation": 1}
        assert entry.attachments == {"rids": f"Observation/{record['id']}/1 {as_sent(record)}\n"}


def test_a_record_of_two_patients_is_in_the_entry_of_each(house: Gateway, record_server: Canned) -> None:
    actors = [{"actor": {"reference": f"Patient/{patient}"}} for patient in ("pat-a", "pat-b")]
    record = {"resourceType": "Appointment", "id": "x", "status": "booked", "participant": actors}
    record_server.answer(path="/Appointment/x", body=record)
    for patient in ("pat-a", "pat-b"):
        house.permit(patient)
    entries = left(house, house.get("/fhir/Appointment/x", house.token()))
    assert [entry.facts["pat"] for entry in entries] == ["Patient/pat-a", "Patient/pat-b"]
    assert {entry.attachments["rids"] for entry in entries} == {f"Appointment/x/ {as_sent(record)}\n"}


@pytest.mark.parametrize(
    ("scopes", "claims", "patient"),
    [("patient/*.rs", {}, "Patient/pat-a"), ("user/*.rs", USER, None)],
    ids=["the patient in context", "nobody"],
)
def test_what_belongs_to_nobody_is_recorded_under(
    house: Gateway, record_server: Canned, scopes: str, claims: dict[str, Any], patient: str | None
) -> None:
    record_server.answer(path="/Location/x", body={"resourceType": "Location", "id": "x"})
    house.permit()
    answer = house.get("/fhir/Location/x", house.token(scopes, **claims))
    assert answer.status_code == 200
    [entry] = left(house, answer)
    assert entry.facts.get("pat") == patient
    assert entry.facts["rty"] == {"Location": 1}


def test_an_answer_that_is_known_is_recorded_as_such(house: Gateway, record_server: Canned) -> None:
    record_server.answer(path="/Observation/x", body=observation())
    house.permit()
    token = house.token()
    tag = house.get(READ, token).headers["etag"]
    answer = house.get(READ, token, if_none_match=tag)
    [entry] = left(house, answer)
    assert (answer.status_code, entry.facts["st"], entry.facts["len"]) == (304, 304, 0)
    assert entry.attachments["rids"].startswith("Observation/x/1 ")


# --- Denials -----------------------------------------------------------------------------------------


def test_a_denial_is_recorded_without_result_data(house: Gateway, record_server: Canned) -> None:
    token = house.token("patient/Condition.rs")
    answer = house.get(READ, token)
    [entry] = left(house, answer)
    assert (answer.status_code, entry.kind) == (403, "read.deny")
    assert set(entry.facts) == DENY | {"pat"}
    assert (entry.facts["rsn"], entry.facts["int"], entry.facts["con"]) == ("scope", "read", None)
    assert (entry.facts["pat"], entry.facts["cli"]) == ("Patient/pat-a", "app-1")
    assert entry.facts["tok"] == sha256_text(token.encode())
    assert entry.attachments == {}


def test_why_an_instance_was_not_found_is_recorded(house: Gateway, record_server: Canned) -> None:
    """The asker cannot tell the two apart; the ledger can, and has whose consent it was."""
    security = [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}]
    record_server.answer(
        path="/Observation/x", body=observation(meta={"versionId": "1", "security": security})
    )
    house.permit()
    denied = house.deny(labels=["HIV"])
    hidden, missing = (house.get(target, house.token()) for target in (READ, "/fhir/Observation/missing"))
    assert (hidden.status_code, hidden.content) == (404, missing.content)
    first, second = house.entries()[-2:]
    assert (first.facts["rsn"], first.facts["con"]) == ("denied", [denied["entry"], denied["hash"]])
    assert (second.facts["rsn"], second.facts["con"]) == ("not_found", None)
    assert first.facts["by"] == [f"{denied['entry']}/root"]
    assert set(first.facts) == DENY | {"pat", "by"}
    assert set(second.facts) == DENY | {"pat"}


def test_what_is_not_plain_is_recorded_with_each_version(house: Gateway, record_server: Canned) -> None:
    """As whom it was shown, by which consents, with which labels."""
    security = [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}]
    meta = {"versionId": "1", "security": security}
    record_server.answer(path="/Observation", body=page(observation("x"), observation("y", meta=meta)))
    one, other = house.permit(), house.permit(labels=["HIV"])
    [entry] = left(house, house.get(SEARCH, house.token(organization="Organization/o1")))
    assert entry.facts["con"] == [one["entry"], one["hash"]]
    lines = [line.split()[2:] for line in entry.attachments["rids"].splitlines()]
    by = ["OF", "Organization/o1", "BY"]
    assert lines == [
        ["OF", "Organization/o1"],
        [*by, f"{one['entry']}/root", f"{other['entry']}/root", "LABELLED", "HIV"],
    ]
