"""A record that is permitted but for its reason: what leaves, what each notice tells, what is recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.core.fhir.telling import NOTICE, Notice
from tests.support.gateway import Gateway, gateway
from tests.walk.canned import Canned
from tests.walk.faults import page

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
REDACTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "REDACTED"}
READ, SEARCH = "/fhir/MedicationRequest/x", "/fhir/MedicationRequest"
HIDDEN = ("B20", "SECRET", "reasonCode", "note", "div")


def prescription(id: str = "x", *, sensitive: bool = True) -> dict[str, Any]:
    drug = {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "26225"}]}
    reason = [{"coding": [{"system": ICD, "code": "B20"}], "text": "SECRET"}]
    text = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">SECRET</div>'}
    more = {"text": text, "reasonCode": reason, "note": [{"text": "SECRET"}]} if sensitive else {}
    return {
        "resourceType": "MedicationRequest",
        "id": id,
        "meta": {"versionId": "3"},
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": drug,
        "subject": {"reference": "Patient/pat-a"},
        **more,
    }


@pytest.fixture(params=["silent", "generic", "explicit"])
def notice(request: pytest.FixtureRequest) -> Notice:
    told: Notice = request.param
    return told


@pytest.fixture
def masking(notice: Notice, tmp_path: Path, record_server: Canned) -> Iterator[Gateway]:
    """All of Ann's records are open to `app-1`, but for what is about HIV."""
    record_server.reset()
    with gateway(
        tmp_path, record_server.base_url, timeout_s=2, ports=lambda ports: replace(ports, notice=notice)
    ) as running:
        running.permit()
        running.deny(labels=["HIV"])
        yield running
        running.check_everything()


def test_a_read(masking: Gateway, notice: Notice, record_server: Canned) -> None:
    record_server.answer(path="/MedicationRequest/x", body=prescription())
    record_server.answer(path="/MedicationRequest/y", body=prescription("y", sensitive=False))
    cut = masking.get(READ, masking.token())
    assert cut.status_code == 200
    assert not any(hidden in cut.text for hidden in HIDDEN)
    never = masking.get("/fhir/MedicationRequest/y", masking.token())
    wanted = json.loads(json.dumps(prescription(sensitive=False)))
    if notice == "explicit":
        wanted["meta"]["security"] = [REDACTED]
    assert cut.json() == wanted
    assert never.json() == prescription("y", sensitive=False)
    if notice != "explicit":
        assert cut.text == never.text.replace('"y"', '"x"'), "it looks like one that never had a reason"
    told = [("consent-notice" in answer.headers) for answer in (cut, never)]
    assert told == {"silent": [False] * 2, "generic": [True] * 2, "explicit": [True, False]}[notice]


def test_a_page(masking: Gateway, notice: Notice, record_server: Canned) -> None:
    both = (prescription("x"), prescription("y", sensitive=False))
    for sent, cut in ((both, True), (both[1:], False), ((), False)):
        record_server.answer(path="/MedicationRequest", body=page(*sent))
        bundle = masking.get(SEARCH, masking.token()).json()
        entries = bundle.get("entry", [])
        matches = [entry["resource"]["id"] for entry in entries if entry["search"]["mode"] == "match"]
        assert matches == [record["id"] for record in sent]
        assert bundle["total"] == len(matches)
        assert not any(hidden in json.dumps(entries) for hidden in HIDDEN)
        outcomes = [entry["resource"] for entry in entries if entry["search"]["mode"] == "outcome"]
        told = notice == "generic" or (notice == "explicit" and cut)
        assert outcomes == ([json.loads(NOTICE)] if told else [])


def test_a_refusal_tells_no_more(masking: Gateway, notice: Notice, record_server: Canned) -> None:
    hidden = {**prescription(), "medicationCodeableConcept": {"coding": [{"system": ICD, "code": "B20"}]}}
    record_server.answer(path="/MedicationRequest/x", body=hidden)
    withheld, missing = (masking.get(target, masking.token()) for target in (READ, f"{READ}y"))
    assert withheld.status_code == missing.status_code == 404
    assert withheld.content == missing.content
    assert ("consent-notice" in withheld.headers, "consent-notice" in missing.headers) == (
        (notice == "generic",) * 2
    )


def test_a_masked_record_has_a_tag_of_its_own(
    masking: Gateway, notice: Notice, record_server: Canned
) -> None:
    """So that who writes back what they saw cannot mean the record as it is (RFC 9110 section 13.1.1)."""
    record_server.answer(path="/MedicationRequest/x", body=prescription())
    masked = masking.get(READ, masking.token())
    plain = masking.get(READ, masking.token(fhirUser="Patient/pat-a"))
    assert "SECRET" in plain.text, "what a patient denies others, they see themselves"
    tag = masked.headers["etag"]
    assert tag != plain.headers["etag"]
    assert masking.get(READ, masking.token(), if_none_match=tag).status_code == 304
    assert masking.get(READ, masking.token(fhirUser="Patient/pat-a"), if_none_match=tag).status_code == 200


def test_the_places_are_in_the_record(masking: Gateway, notice: Notice, record_server: Canned) -> None:
    record_server.answer(path="/MedicationRequest/x", body=prescription())
    masking.get(READ, masking.token())
    [line] = masking.entries()[-1].attachments["rids"].splitlines()
    version, _, tag, *places = line.split()
    assert (version, tag) == ("MedicationRequest/x/3", "REDACTED")
    assert {place.split("/")[1] for place in places} >= {"reasonCode", "note"}
    assert "SECRET" not in line
