"""Whole synthetic histories through a study: no id, number, name or date of theirs is in any answer."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from gateway.core.studies.pseudonyms import Pseudonyms, study_key
from gateway.core.values import Ref
from tests.support.gateway import Clock, Gateway, gateway
from tests.upstreams.base import Upstream
from tests.walk.cases import spoken
from tests.walk.data import histories, load_synthea

TYPES: Final = ("Observation", "Condition", "Procedure", "MedicationRequest")
MINE: Final = {"MedicationRequest": "medicationCodeableConcept"}
STUDIES: Final = """
[[studies]]
id = "synthea"
clients = ["study-app"]
codes = {codes}
until = "{until}"

[[studies]]
id = "few"
clients = ["few-app"]
codes = {few}
until = "{until}"
"""
FEW: Final = 50
DATE: Final = re.compile(r"(?<!\d)(?:19|20)\d\d-[01]\d-[0-3]\d(?!\d)")
UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LEAVES_OUT: Final = {
    "resourceType",
    "system",
    "code",
    "unit",
    "status",
    "intent",
    "use",
    "url",
    "type",
    "display",
}


@dataclass
class Histories:
    running: Gateway
    stored: dict[str, list[dict[str, Any]]]
    """What the record server has, by type."""
    sent: str
    """The bundles as they were loaded."""
    names: Pseudonyms
    few: frozenset[str]
    """The codes of the other study, few enough to be told the record server."""


@pytest.fixture(scope="module")
def study(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Histories]:
    paths = histories()
    load_synthea(upstream, paths)
    stored = {kind: everything(upstream, kind) for kind in (*TYPES, "Patient")}
    until = datetime.now(UTC) + timedelta(seconds=2)
    codes = {code for kind in TYPES for one in stored[kind] for code in codes_of(kind, one)}
    few = sorted(codes)[::3][:FEW]
    extra = STUDIES.format(
        codes=json.dumps(sorted(codes)), few=json.dumps(few), until=until.isoformat(timespec="seconds")
    )
    clock = Clock()
    clock.ahead_s = 10
    folder = tmp_path_factory.mktemp("histories")
    with gateway(folder, upstream.base_url, extra=extra, clock=clock) as running:
        for patient in stored["Patient"]:
            clients = ["client:study-app", "client:few-app"]
            running.permit(patient["id"], grantees=clients, purposes=["HRESCH"])
        sent = "".join(gzip.decompress(path.read_bytes()).decode() for path in paths)
        key = study_key(running.house.keys.kek, "main", "synthea", "shift")
        yield Histories(running, stored, sent, Pseudonyms(key), frozenset(few))
        running.check_everything()


def everything(upstream: Upstream, kind: str) -> list[dict[str, Any]]:
    """All records of a type, as the server has them."""
    found: list[dict[str, Any]] = []
    bundle = upstream.get(kind, _count="200").json()
    while True:
        found += [entry["resource"] for entry in bundle.get("entry", ())]
        links = [link["url"] for link in bundle.get("link", ()) if link["relation"] == "next"]
        if not links:
            return found
        # As we come to the server, which may call itself by another name.
        link = urlsplit(links[0])
        path = kind if link.path.endswith(f"/{kind}") else ""
        bundle = upstream.get(f"{path}?{link.query}").json()


def codes_of(kind: str, resource: dict[str, Any]) -> set[str]:
    codings = resource.get(MINE.get(kind, "code"), {}).get("coding", ())
    return {f"{coding['system']}|{coding['code']}" for coding in codings}


def answers(study: Histories, kind: str, client: str = "study-app") -> Iterator[Any]:
    token = study.running.token("system/*.rs", None, client_id=client, purpose_of_use="HRESCH")
    return study.running.follow(f"/fhir/{kind}?_count=50", token)


def texts(node: Any, name: str = "") -> Iterator[str]:
    """What names somebody in a record: all its texts but codes and the like."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from texts(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value, name)
    elif isinstance(node, str) and name not in LEAVES_OUT:
        yield node


@pytest.mark.parametrize("kind", TYPES)
def test_no_byte_of_an_answer_tells_whose_it_is(study: Histories, kind: str) -> None:
    names, stored = study.names, {}
    for one in study.stored[kind]:
        stored[names.of(Ref(kind, one["id"]))] = one
    old = {text for patient in study.stored["Patient"] for text in texts(patient) if len(text) > 3}
    uuids = set(UUID.findall(study.sent))
    days = {names.days(patient["id"]) for patient in study.stored["Patient"]}
    old_dates = set(DATE.findall(study.sent))
    moved = {(date.fromisoformat(each) - timedelta(days=by)).isoformat() for each in old_dates for by in days}
    count = 0
    for answer in answers(study, kind):
        said = spoken(answer)
        assert not uuids & set(UUID.findall(said))
        assert not [text for text in old if f'"{text}"' in said]
        entries = answer.json().get("entry", ())
        for entry in entries:
            count += 1
            check(study, entry, stored[entry["resource"]["id"]])
        found = {each for entry in entries for each in DATE.findall(json.dumps(entry))}
        assert found <= moved
        assert not {"etag", "last-modified"} & set(answer.headers)
    assert count > len(stored) * 0.9, "most records of such codes do leave"


def check(study: Histories, entry: dict[str, Any], original: dict[str, Any]) -> None:
    """The record is the one that the pseudonym stands for, moved by its patient's days and nothing else."""
    left, names = entry["resource"], study.names
    patient = original["subject"]["reference"].rpartition("/")[2]
    assert left["subject"] == {"reference": f"Patient/{names.of(Ref('Patient', patient))}"}
    assert entry["fullUrl"].endswith(f"/{left['resourceType']}/{left['id']}")
    assert left["meta"].keys() == {"security", "tag"}
    for mine, theirs in pairs(left, original):
        assert date.fromisoformat(theirs[:10]) - date.fromisoformat(mine[:10]) == timedelta(
            days=names.days(patient)
        )
        assert mine[10:19] == theirs[10:19]
    for reference in references(left):
        assert re.fullmatch("(?:Patient|Encounter|Observation)/[0-9a-f]{40}", reference)
    if "valueQuantity" in left:
        assert left["valueQuantity"]["value"] == original["valueQuantity"]["value"]


def pairs(left: Any, original: Any) -> Iterator[tuple[str, str]]:
    """The dates of what left, each with what it was."""
    if isinstance(left, dict):
        for name, value in left.items():
            if name != "meta":
                yield from pairs(
                    value, original[name] if isinstance(original, dict) and name in original else None
                )
    elif isinstance(left, list) and isinstance(original, list) and len(left) == len(original):
        for one, other in zip(left, original, strict=True):
            yield from pairs(one, other)
    elif isinstance(left, str) and isinstance(original, str) and DATE.match(left):
        yield left, original


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "reference":
                yield value
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_intervals_between_a_patients_records_are_as_they_were(study: Histories) -> None:
    names = study.names
    patients = {names.of(Ref("Patient", one["id"])): one["id"] for one in study.stored["Patient"]}
    real = {names.of(Ref("Observation", one["id"])): one for one in study.stored["Observation"]}
    seen: dict[str, list[tuple[date, date]]] = {}
    for answer in answers(study, "Observation"):
        for entry in answer.json().get("entry", ()):
            left = entry["resource"]
            when = real[left["id"]]["effectiveDateTime"]
            days = (date.fromisoformat(left["effectiveDateTime"][:10]), date.fromisoformat(when[:10]))
            seen.setdefault(left["subject"]["reference"].partition("/")[2], []).append(days)
    assert seen.keys() <= patients.keys()
    for all_days in seen.values():
        assert len({theirs - mine for mine, theirs in all_days}) == 1


@pytest.mark.parametrize("kind", TYPES)
def test_a_study_of_few_codes_gets_the_records_of_these(study: Histories, kind: str) -> None:
    """The record server is told the codes, and finds as many as the gateway would."""
    key = study_key(study.running.house.keys.kek, "main", "few", "shift")
    names = Pseudonyms(key)
    of_these = {
        names.of(Ref(kind, one["id"])) for one in study.stored[kind] if codes_of(kind, one) & study.few
    }
    entries = [
        entry for answer in answers(study, kind, "few-app") for entry in answer.json().get("entry", ())
    ]
    found = {entry["resource"]["id"] for entry in entries}
    assert found <= of_these
    assert len(found) >= len(of_these) * 0.9
    assert len(found) == len(entries)
