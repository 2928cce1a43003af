"""The records that the walks go over, and how they come into a record server: once, whoever asks first.

A mark is left in the server itself, so that whatever empties it is noticed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tests.support.shared import SHARED, shared_file
from tests.upstreams.base import FHIR_JSON, Upstream

ROOT = Path(__file__).resolve().parents[2]
PEOPLE = ROOT / "fixtures" / "people"
RECORDS = ROOT / "fixtures" / "walks" / "records.json"
LABELS = ROOT / "fixtures" / "walks" / "labels-records.json"
ROLES = ROOT / "fixtures" / "walks" / "roles-records.json"
CASES = ROOT / "fixtures" / "walks" / "cases-records.json"
VECTORS = SHARED / "vectors" / "hostile.json"

# HAPI indexes a reference only if its target is there already.
FIRST = (
    *("Organization", "Location", "Practitioner", "Medication", "Patient"),
    *("EpisodeOfCare", "Appointment", "Encounter", "Condition"),
)


class _Head(msgspec.Struct):
    resourceType: str
    id: str


_list = msgspec.json.Decoder(list[msgspec.Raw])
_head = msgspec.json.Decoder(_Head)


def people() -> list[bytes]:
    """The synthetic hospital, each record as it is written: its numbers keep their text."""
    return [bytes(raw) for path in sorted(PEOPLE.glob("*.json")) for raw in _list.decode(path.read_bytes())]


def _records(path: Path) -> list[bytes]:
    """The records of a file, each as it is written."""
    table = msgspec.json.decode(path.read_bytes(), type=dict[str, msgspec.Raw])
    return [bytes(raw) for raw in _list.decode(table["records"])]


def load_walks(upstream: Upstream) -> None:
    """The hospital, and the records that are there to escape."""
    if not _begin(upstream, "walks"):
        return
    table = msgspec.json.decode(RECORDS.read_bytes(), type=dict[str, msgspec.Raw])
    records = [bytes(raw) for raw in _list.decode(table["records"])]
    placed = [raw.replace(b"{upstream}", upstream.base_url.encode()) for raw in records]
    _store(upstream, [*people(), *placed])
    for path in json.loads(bytes(table["deleted"])):
        _call(upstream, "DELETE", path)
    _mark(upstream, "walks")


def load_roles(upstream: Upstream) -> None:
    """The patients of whom each role needs to see a part."""
    if _begin(upstream, "roles"):
        _store(upstream, [raw for path in (ROLES, CASES) for raw in _records(path)])
        _mark(upstream, "roles")


def load_labels(upstream: Upstream) -> None:
    """The patients in whose records labels are found."""
    if _begin(upstream, "labels"):
        _store(upstream, _records(LABELS))
        _mark(upstream, "labels")


def load_vectors(upstream: Upstream, table: Mapping[str, Any]) -> None:
    """The data of a table of hostile requests: earlier versions first."""
    if _begin(upstream, "vectors"):
        _store(upstream, [json.dumps(record).encode() for record in (*table["history"], *table["data"])])
        _mark(upstream, "vectors")


def histories() -> list[Path]:
    """Synthetic patients, a bundle each; skips the test when they are not beside the checkout."""
    return sorted(shared_file("data/synthea-r4").glob("*.json.gz"))


def load_synthea(upstream: Upstream, paths: Iterable[Path], name: str = "synthea") -> None:
    if _begin(upstream, name):
        for path in paths:
            upstream.load_bundle(path)
        _mark(upstream, name)


def put_all(upstream: Upstream, records: Iterable[Mapping[str, Any]]) -> None:
    """Puts each record under its own id, all of them at once, those first that others refer to."""
    _store(upstream, [json.dumps(record, separators=(",", ":")).encode() for record in records])


def load_once(upstream: Upstream, name: str, records: Iterable[Mapping[str, Any]]) -> None:
    """Leaves `records` alone in the server, unless they are in it from before."""
    if _begin(upstream, name):
        put_all(upstream, records)
        _mark(upstream, name)


def versions(upstream: Upstream, path: str) -> list[str]:
    """The ids of a record's versions, oldest first."""
    history = upstream.get(f"{path}/_history").json()
    return [entry["resource"]["meta"]["versionId"] for entry in reversed(history["entry"])]


def _begin(upstream: Upstream, name: str) -> bool:
    """Whether `name` has to be loaded; then the server is empty."""
    if upstream.get(f"Basic/loaded-{name}").status_code == 200:
        return False
    upstream.wipe()
    return True


def _mark(upstream: Upstream, name: str) -> None:
    mark = {"resourceType": "Basic", "id": f"loaded-{name}", "code": {"text": name}}
    _store(upstream, [json.dumps(mark).encode()])


def _store(upstream: Upstream, records: Iterable[bytes]) -> None:
    """Puts each record under its own id; the same id again makes its next version."""
    rounds: list[list[bytes]] = []
    seen: Counter[str] = Counter()
    for raw in records:
        head = _head.decode(raw)
        path = f"{head.resourceType}/{head.id}"
        if seen[path] == len(rounds):
            rounds.append([])
        request = b'{"method":"PUT","url":"' + path.encode() + b'"}'
        rounds[seen[path]].append(b'{"resource":' + raw + b',"request":' + request + b"}")
        seen[path] += 1
    for entries in rounds:
        entries.sort(key=_rank)
        bundle = b'{"resourceType":"Bundle","type":"batch","entry":[' + b",".join(entries) + b"]}"
        reply = _call(upstream, "POST", "", bundle)
        answers = [entry["response"] for entry in reply.json()["entry"]]
        refused = [answer for answer in answers if not answer["status"].startswith("2")]
        assert len(answers) == len(entries), "an entry was passed over"
        assert not refused, refused


def _rank(entry: bytes) -> int:
    return next(
        (n for n, type in enumerate(FIRST) if b'{"method":"PUT","url":"%b/' % type.encode() in entry), 99
    )


def _call(upstream: Upstream, method: str, path: str, content: bytes = b"") -> httpx.Response:
    url = f"{upstream.base_url}/{path}".rstrip("/")
    return httpx.request(
        method, url, content=content, headers=FHIR_JSON, timeout=120, trust_env=False
    ).raise_for_status()
