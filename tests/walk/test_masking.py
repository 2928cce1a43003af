"""A record that is permitted but for its reason: what leaves, what each notice tells, what is recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from gateway.core.fhir.telling import NOTICE, Notice
from tests.support.gateway import Gateway, gateway
from tests.upstreams.base import FHIR_JSON, Upstream
from tests.walk.steps import step, words_of

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
REDACTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "REDACTED"}
READ, SEARCH = "/fhir/MedicationRequest/mask-x", "/fhir/MedicationRequest"
HIDDEN = ("B20", "SECRET", "reasonCode", "note", "div")


def prescription(id: str = "mask-x", *, sensitive: bool = True) -> dict[str, Any]:
    drug = {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "26225"}]}
    reason = [{"coding": [{"system": ICD, "code": "B20"}], "text": "SECRET"}]
    text = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">SECRET</div>'}
    more = {"text": text, "reasonCode": reason, "note": [{"text": "SECRET"}]} if sensitive else {}
    return {
        "resourceType": "MedicationRequest",
        "id": id,
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": drug,
        "subject": {"reference": "Patient/pat-mask"},
        **more,
    }


class Shelf:
    """Holds, in a record server, the records that a test puts there, and no others of this patient."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self._there: set[str] = set()

    def hold(self, *records: dict[str, Any]) -> None:
        for gone in self._there - {record["id"] for record in records}:
            self._call("DELETE", gone).raise_for_status()
        self.upstream.load([{"resourceType": "Patient", "id": "pat-mask"}, *records])
        self._there = {record["id"] for record in records}

    def stored(self, id: str = "mask-x") -> dict[str, Any]:
        found: dict[str, Any] = self._call("GET", id).json()
        return found

    def write_back(self, record: dict[str, Any], tag: str) -> httpx.Response:
        return self._call("PUT", record["id"], content=json.dumps(record), headers={"If-Match": tag})

    def _call(self, method: str, id: str, **more: Any) -> httpx.Response:
        address = f"{self.upstream.base_url}/MedicationRequest/{id}"
        headers = {**FHIR_JSON, **more.pop("headers", {})}
        return httpx.request(method, address, headers=headers, timeout=60, trust_env=False, **more)


@pytest.fixture(scope="module")
def shelf(upstream: Upstream) -> Iterator[Shelf]:
    held = Shelf(upstream)
    yield held
    held.hold()


@pytest.fixture(scope="module", params=["silent", "generic", "explicit"])
def notice(request: pytest.FixtureRequest) -> Notice:
    told: Notice = request.param
    return told


@pytest.fixture(scope="module")
def masking(notice: Notice, shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """All of the patient's records are open to `app-1`, but for what is about HIV."""
    folder, address = tmp_path_factory.mktemp("masking"), shelf.upstream.base_url
    with gateway(folder, address, ports=lambda ports: replace(ports, notice=notice)) as running:
        running.permit("pat-mask")
        running.deny("pat-mask", labels=["HIV"])
        yield running
        running.check_everything()


def token(masking: Gateway, **claims: Any) -> str:
    return masking.token(patient="pat-mask", **claims)


def test_a_read(masking: Gateway, notice: Notice, shelf: Shelf) -> None:
    shelf.hold(prescription(), prescription("mask-y", sensitive=False))
    done = step(masking, READ.removeprefix("/fhir/"), token(masking))
    cut = done.answer
    assert cut.status_code == 200
    assert not any(hidden in cut.text for hidden in HIDDEN)
    never = masking.get("/fhir/MedicationRequest/mask-y", token(masking))
    wanted = {name: value for name, value in shelf.stored().items() if name in prescription(sensitive=False)}
    wanted["meta"] = shelf.stored()["meta"]
    if notice == "explicit":
        wanted["meta"]["security"] = [REDACTED]
    assert cut.json() == wanted
    assert never.json() == shelf.stored("mask-y")
    if notice != "explicit":
        assert cut.json().keys() == never.json().keys(), "it looks like one that never had a reason"
    told = [("consent-notice" in answer.headers) for answer in (cut, never)]
    assert told == {"silent": [False] * 2, "generic": [True] * 2, "explicit": [True, False]}[notice]


def test_a_page(masking: Gateway, notice: Notice, shelf: Shelf) -> None:
    both = (prescription(), prescription("mask-y", sensitive=False))
    for sent, cut in ((both, True), (both[1:], False), ((), False)):
        shelf.hold(*sent)
        bundle = masking.get(SEARCH, token(masking)).json()
        entries = bundle.get("entry", [])
        matches = [entry["resource"]["id"] for entry in entries if entry["search"]["mode"] == "match"]
        assert sorted(matches) == [record["id"] for record in sent]
        assert bundle["total"] == len(matches)
        assert not any(hidden in json.dumps(entries) for hidden in HIDDEN)
        outcomes = [entry["resource"] for entry in entries if entry["search"]["mode"] == "outcome"]
        told = notice == "generic" or (notice == "explicit" and cut)
        assert outcomes == ([json.loads(NOTICE)] if told else [])


def test_a_refusal_tells_no_more(masking: Gateway, notice: Notice, shelf: Shelf) -> None:
    drug = {"medicationCodeableConcept": {"coding": [{"system": ICD, "code": "B20"}]}}
    shelf.hold({**prescription(), **drug})
    withheld, missing = (masking.get(target, token(masking)) for target in (READ, f"{READ}y"))
    assert withheld.status_code == missing.status_code == 404
    assert withheld.content == missing.content
    assert ("consent-notice" in withheld.headers, "consent-notice" in missing.headers) == (
        (notice == "generic",) * 2
    )


def test_a_masked_record_has_a_tag_of_its_own(masking: Gateway, notice: Notice, shelf: Shelf) -> None:
    """So that who writes back what they saw cannot mean the record as it is (RFC 9110 section 13.1.1)."""
    shelf.hold(prescription())
    masked = masking.get(READ, token(masking))
    own = token(masking, fhirUser="Patient/pat-mask")
    plain = masking.get(READ, own)
    assert "SECRET" in plain.text, "what a patient denies others, they see themselves"
    tag = masked.headers["etag"]
    assert tag != plain.headers["etag"]
    assert masking.get(READ, token(masking), if_none_match=tag).status_code == 304
    assert masking.get(READ, own, if_none_match=tag).status_code == 200


def test_a_masked_record_is_not_written_back(masking: Gateway, notice: Notice, shelf: Shelf) -> None:
    """Not through the gateway; nor past it, where the record server looks at the tag."""
    shelf.hold(prescription())
    masked = masking.get(READ, token(masking))
    asked, tag = len(masking.upstream.asks), masked.headers["etag"]
    headers = {"Content-Type": "application/fhir+json", "If-Match": tag}
    writer = token(masking, scope="patient/*.cruds")
    refused = masking.send("PUT", READ, writer, headers=headers, content=masked.content)
    assert (refused.status_code, len(masking.upstream.asks)) == (403, asked)
    assert (masking.entries()[-1].kind, masking.entries()[-1].facts["rsn"]) == ("read.deny", "write")
    if shelf.upstream.name.startswith("hapi"):
        assert shelf.write_back(masked.json(), tag).status_code >= 400
    assert shelf.stored()["reasonCode"] == prescription()["reasonCode"]


def test_the_places_are_in_the_record(masking: Gateway, notice: Notice, shelf: Shelf) -> None:
    shelf.hold(prescription())
    masking.get(READ, token(masking))
    [line] = masking.entries()[-1].attachments["rids"].splitlines()
    version, said = line.split()[0], words_of(line)
    assert version == f"MedicationRequest/mask-x/{shelf.stored()['meta']['versionId']}"
    assert {place.split("/")[1] for place in said["REDACTED"]} >= {"reasonCode", "note"}
    assert "SECRET" not in line
