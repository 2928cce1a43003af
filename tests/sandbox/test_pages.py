"""Pages: every match once, in order, by opaque links on the server root; a snapshot stays as it was."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from gateway.sandbox import pages


def link(bundle: dict[str, Any], relation: str) -> str | None:
    return next((one["url"] for one in bundle["link"] if one["relation"] == relation), None)


async def walk(client: httpx.AsyncClient, url: str) -> list[dict[str, Any]]:
    found = [(await client.get(url)).json()]
    while (following := link(found[-1], "next")) is not None:
        reply = await client.get(following)
        assert reply.status_code == 200
        found.append(reply.json())
    return found


@pytest.mark.parametrize(("count", "sizes"), [(50, [50, 50, 34]), (45, [45, 45, 44]), (200, [134])])
async def test_pages_hold_everything_once(client: httpx.AsyncClient, count: int, sizes: list[int]) -> None:
    found = await walk(client, f"/Observation?patient=pat-a&_sort=date&_count={count}")
    assert [len(page["entry"]) for page in found] == sizes
    ids = [entry["resource"]["id"] for page in found for entry in page["entry"]]
    assert len(set(ids)) == sum(sizes)
    whole = (await client.get("/Observation?patient=pat-a&_sort=date&_count=1000")).json()
    assert ids == [entry["resource"]["id"] for entry in whole["entry"]]


async def test_links_say_nothing_of_the_query(client: httpx.AsyncClient) -> None:
    first = (await client.get("/Observation?patient=pat-a&code=8867-4")).json()
    assert len(first["entry"]) == 20
    assert link(first, "self") == "http://sandbox.test/fhir/Observation?patient=pat-a&code=8867-4"
    assert link(first, "previous") is None
    following = urlsplit(link(first, "next") or "")
    assert following.path == "/fhir"
    assert parse_qs(following.query).keys() == {"_getpages", "_getpagesoffset", "_count", "_bundletype"}
    second = (await client.get(following.geturl())).json()
    back = (await client.get(link(second, "previous") or "")).json()
    assert back["entry"] == first["entry"]


async def test_links_follow_the_host(client: httpx.AsyncClient) -> None:
    bundle = (await client.get("/Patient?_count=1", headers={"host": "records.test:81"})).json()
    assert bundle["entry"][0]["fullUrl"].startswith("http://records.test:81/fhir/Patient/")
    assert (link(bundle, "next") or "").startswith("http://records.test:81/fhir?_getpages=")


async def test_a_snapshot_outlives_a_write(client: httpx.AsyncClient) -> None:
    first = (await client.get("/Patient?_count=3")).json()
    await client.delete("/Patient/pat-c")
    rest = (await client.get(link(first, "next") or "")).json()
    assert len(first["entry"]) + len(rest["entry"]) == 4
    assert len((await client.get("/Patient")).json()["entry"]) == 3


async def test_included_resources_come_with_their_page(client: httpx.AsyncClient) -> None:
    found = await walk(client, "/Encounter?_include=Encounter:subject&_count=2&_sort=_id")
    shown = [[e["resource"]["id"] for e in page["entry"]] for page in found]
    assert shown == [["enc-a1", "enc-a2", "pat-a"], ["enc-b1", "enc-c1", "pat-b", "pat-c"]]


async def test_pages_that_are_not_kept_are_gone(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "KEPT_SNAPSHOTS", 2)
    first = (await client.get("/Patient?_count=1")).json()
    following = link(first, "next") or ""
    assert (await client.get(following)).status_code == 200
    for other in ("Encounter", "Condition"):
        await client.get(f"/{other}")
    gone = await client.get(following)
    assert (gone.status_code, gone.json()["resourceType"]) == (410, "OperationOutcome")
    assert (await client.get("?_getpages=made-up")).status_code == 410
