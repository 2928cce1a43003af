"""Each upstream does what the tests of the gateway rely on, asked directly."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.upstreams.base import Upstream

PATIENT = {"resourceType": "Patient", "id": "pat-a", "active": True, "name": [{"family": "Arden"}]}


def observation(number: int, patient: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"obs-{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
        "subject": {"reference": f"Patient/{patient}"},
    }


def ids(bundle: dict[str, Any]) -> list[str]:
    return [entry["resource"]["id"] for entry in bundle.get("entry", [])]


def test_load_keeps_ids(empty_upstream: Upstream) -> None:
    empty_upstream.load([PATIENT, observation(1, "pat-a")])
    read = empty_upstream.get("Patient/pat-a")
    assert read.status_code == 200
    assert read.headers["content-type"].startswith("application/fhir+json")
    assert read.json()["name"] == PATIENT["name"]
    assert empty_upstream.get("Patient/pat-b").status_code == 404


def test_loading_an_id_again_makes_versions_newest_first(empty_upstream: Upstream) -> None:
    empty_upstream.load([PATIENT, PATIENT | {"active": False}])
    for _ in range(2):  # reading a history does not turn it around
        history = empty_upstream.get("Patient/pat-a/_history").json()
        assert [entry["resource"]["active"] for entry in history["entry"]] == [False, True]
    oldest = history["entry"][-1]["resource"]["meta"]["versionId"]
    assert empty_upstream.get(f"Patient/pat-a/_history/{oldest}").json()["active"] is True


def test_search_finds_by_patient_and_pages_by_next(empty_upstream: Upstream) -> None:
    others = [PATIENT | {"id": "pat-b"}, *(observation(number, "pat-b") for number in range(100, 103))]
    empty_upstream.load([PATIENT, *(observation(number, "pat-a") for number in range(25)), *others])
    page = empty_upstream.get("Observation", patient="Patient/pat-a").json()
    assert len(page["entry"]) == 20
    (following,) = [link["url"] for link in page["link"] if link["relation"] == "next"]
    assert following.startswith(empty_upstream.base_url)
    rest = empty_upstream.get(following.removeprefix(empty_upstream.base_url).removeprefix("/")).json()
    assert sorted(ids(page) + ids(rest)) == sorted(f"obs-{number}" for number in range(25))
    assert all(entry["fullUrl"].startswith(empty_upstream.base_url) for entry in page["entry"])


@pytest.mark.parametrize("compressed", [False, True], ids=["json", "gzip"])
def test_load_bundle_resolves_references(empty_upstream: Upstream, tmp_path: Path, compressed: bool) -> None:
    uuid = "urn:uuid:6f7b2f3a-6f0e-4f0c-9d0c-0c2f7d1f9a11"
    patient = {key: value for key, value in PATIENT.items() if key != "id"}
    measured = {key: value for key, value in observation(1, "x").items() if key != "id"}
    entries = [
        {"fullUrl": uuid, "resource": patient, "request": {"method": "POST", "url": "Patient"}},
        {
            "fullUrl": "urn:uuid:0b9a4c0e-15f1-4b38-a8ad-2a4f6f8b6d22",
            "resource": measured | {"subject": {"reference": uuid}},
            "request": {"method": "POST", "url": "Observation"},
        },
    ]
    text = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode()
    path = tmp_path / ("bundle.json.gz" if compressed else "bundle.json")
    path.write_bytes(gzip.compress(text) if compressed else text)
    empty_upstream.load_bundle(path)
    (patient_id,) = ids(empty_upstream.get("Patient").json())
    found = empty_upstream.get("Observation", patient=f"Patient/{patient_id}").json()
    assert [entry["resource"]["subject"]["reference"] for entry in found["entry"]] == [
        f"Patient/{patient_id}"
    ]


def test_wipe_leaves_nothing(empty_upstream: Upstream) -> None:
    empty_upstream.load([PATIENT])
    assert ids(empty_upstream.get("Patient").json()) == ["pat-a"]
    empty_upstream.wipe()
    assert ids(empty_upstream.get("Patient").json()) == []
    assert empty_upstream.get("Patient/pat-a").status_code in (404, 410)
