"""Loading: the forms that are taken, the fixtures, and real-looking Synthea bundles when they are there."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from gateway.errors import BadRequest, ConsentryError
from gateway.sandbox.app import sandbox_app
from gateway.sandbox.load import load, texts
from gateway.sandbox.server import Server
from tests.support.shared import shared_file

ROOT = Path(__file__).parents[2]

ONE = b'{"resourceType":"Patient","id":"one","multipleBirthInteger":1}'
TWO = b'{"resourceType":"Patient","id":"two"}'
TAKEN = {
    "one resource": (ONE, {"one"}),
    "list": (b"[" + ONE + b",\n" + TWO + b"]", {"one", "two"}),
    "NDJSON": (ONE + b"\n" + TWO + b"\n\n", {"one", "two"}),
    "gzip": (gzip.compress(b"[" + ONE + b"]"), {"one"}),
    "collection": (b'{"resourceType":"Bundle","type":"collection","entry":[{"resource":%b}]}' % ONE, {"one"}),
    "without an id": (b'{"resourceType":"Patient"}', {"1"}),
    "transaction": (
        b'{"resourceType":"Bundle","type":"transaction","entry":[{"resource":%b,"request":'
        b'{"method":"POST","url":"Patient"}}]}' % ONE,
        {"1"},
    ),
}
REFUSED = {
    "half gzip": gzip.compress(ONE)[:-9],
    "not JSON": b"hello",
    "no resource": b'{"id":"a"}',
    "list that ends badly": b"[" + ONE + b',{"resourceType":"Spaceship","id":"x"}]',
    "NDJSON that ends badly": ONE + b"\n{",
    "bad id": b'{"resourceType":"Patient","id":"a_b"}',
}


def sandbox(*data: bytes) -> Starlette:
    return sandbox_app(now=lambda: datetime(2025, 3, 1, tzinfo=UTC), data=data)


def server_of(app: Starlette) -> Server:
    server = app.state.server
    assert isinstance(server, Server)
    return server


@pytest.mark.parametrize(("text", "ids"), TAKEN.values(), ids=TAKEN.keys())
def test_forms_that_are_taken(text: bytes, ids: set[str]) -> None:
    assert {v.id for v in server_of(sandbox(text)).store.all("Patient")} == ids


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_forms_that_are_refused_leave_nothing(text: bytes) -> None:
    server = server_of(sandbox())
    with pytest.raises(ConsentryError):
        load(server, text)
    assert list(server.store.history()) == []


def test_a_text_of_no_known_form_is_a_bad_request() -> None:
    with pytest.raises(BadRequest):
        sandbox(b"hello")


def test_folders_are_read_by_name(tmp_path: Path) -> None:
    for name, text in (
        ("b.json", TWO),
        ("a.json.gz", gzip.compress(ONE)),
        ("notes.txt", b"no"),
        ("c.ndjson", ONE),
    ):
        (tmp_path / name).write_bytes(text)
    assert list(texts([tmp_path, tmp_path / "b.json"])) == [gzip.compress(ONE), TWO, ONE, TWO]


def test_the_fixtures_land_under_their_ids() -> None:
    people = ROOT / "fixtures" / "people"
    server = server_of(sandbox(*texts([people])))
    for text in people.glob("*.json"):
        for resource in json.loads(text.read_bytes()):
            assert server.store.read(resource["resourceType"], resource["id"]).number == 1


@pytest.fixture(params=[0, 1])
def synthea(request: pytest.FixtureRequest) -> bytes:
    """One Synthea bundle. Two of them show every shape."""
    bundles = sorted(shared_file("data/synthea-r4").glob("*.json.gz"))
    return gzip.decompress(bundles[request.param].read_bytes())


def test_synthea_lands_whole(synthea: bytes) -> None:
    server = server_of(sandbox(gzip.compress(synthea)))
    stored = list(server.store.history())
    expected = sorted(entry["resource"]["resourceType"] for entry in json.loads(synthea)["entry"])
    assert sorted(version.type for version in stored) == expected
    literal = {r for v in stored for r in v.references if not r.startswith("#")}
    assert literal
    assert {r for r in literal if "/" not in r or server.store.current(*r.split("/")) is None} == set()


async def test_synthea_can_be_searched(synthea: bytes) -> None:
    types = [entry["resource"]["resourceType"] for entry in json.loads(synthea)["entry"]]
    transport = httpx.ASGITransport(sandbox(synthea))
    async with httpx.AsyncClient(transport=transport, base_url="http://x.test/fhir") as client:
        patient = (await client.get("/Patient")).json()["entry"][0]["resource"]
        family = patient["name"][0]["family"]
        for criterion in (f"patient={patient['id']}", f"patient.family={family}"):
            found = (await client.get(f"/Observation?{criterion}&_summary=count")).json()
            assert found["total"] == types.count("Observation") > 0
        assert (await client.get("/Observation?patient=nobody&_summary=count")).json()["total"] == 0


def test_what_is_posted_twice_is_there_twice(synthea: bytes) -> None:
    once, twice = server_of(sandbox(synthea)), server_of(sandbox(synthea, synthea))
    assert len(list(twice.store.history())) == 2 * len(list(once.store.history()))
