"""Searches as data: each case of searches.json is asked by GET and by POST, and both say the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

CASES = json.loads((Path(__file__).parent / "searches.json").read_text("utf-8"))


def ids(bundle: dict[str, Any], mode: str) -> list[str]:
    return [e["resource"]["id"] for e in bundle.get("entry", []) if e["search"]["mode"] == mode]


async def ask(client: httpx.AsyncClient, method: str, query: str, headers: dict[str, str]) -> httpx.Response:
    if method == "GET":
        return await client.get("/" + query, headers=headers)
    path, _, form = query.partition("?")
    form_type = {"content-type": "application/x-www-form-urlencoded"}
    return await client.post(f"/{path}/_search", content=form, headers=headers | form_type)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("case", CASES, ids=[c["name"] for c in CASES])
async def test_search(client: httpx.AsyncClient, method: str, case: dict[str, Any]) -> None:
    headers = {"prefer": "handling=strict"} if case.get("strict") else {}
    reply = await ask(client, method, case["query"], headers)
    body = reply.json()
    if "status" in case:
        assert (reply.status_code, body["resourceType"]) == (case["status"], "OperationOutcome")
        return
    assert reply.status_code == 200, body
    matches = ids(body, "match")
    assert matches == case["ids"] if case.get("ordered") else sorted(matches) == sorted(case["ids"])
    assert sorted(ids(body, "include")) == sorted(case.get("included", []))


async def test_entries_are_the_stored_bytes(client: httpx.AsyncClient) -> None:
    for id in ("obs-a-exact", "obs-a-exponent", "obs-a-small", "obs-a-long", "obs-a-text"):
        alone = await client.get(f"/Observation/{id}")
        found = await client.get("/Observation", params={"_id": id})
        assert b'"resource":' + alone.content + b"," in found.content


async def test_total_only_when_asked(client: httpx.AsyncClient) -> None:
    query = "/Encounter?patient=pat-a"
    assert "total" not in (await client.get(query)).json()
    assert (await client.get(query + "&_total=accurate")).json()["total"] == 2
    counted = (await client.get(query + "&_summary=count")).json()
    assert (counted["total"], "entry" in counted) == (2, False)
    assert (await client.get(query + "&_count=0")).json()["total"] == 2


SHAPES = [
    ("_elements=birthDate", {"birthDate"}),
    ("_elements=Patient.birthDate,Observation.code", {"birthDate"}),
    ("_elements=nothing", set()),
    ("_summary=text", {"text"}),
    ("_summary=data", {"identifier", "active", "name", "gender", "birthDate", "generalPractitioner",
                       "managingOrganization", "telecom"}),
    ("_summary=true", {"identifier", "active", "name", "gender", "birthDate", "managingOrganization",
                       "telecom"}),
]  # fmt: skip


@pytest.mark.parametrize(("query", "kept"), SHAPES, ids=[q for q, _ in SHAPES])
@pytest.mark.parametrize("read", [True, False], ids=["read", "search"])
async def test_parts_are_marked_as_parts(
    client: httpx.AsyncClient, query: str, kept: set[str], read: bool
) -> None:
    reply = (await client.get("/Patient/pat-a?" + query if read else "/Patient?_id=pat-a&" + query)).json()
    patient = reply if read else reply["entry"][0]["resource"]
    assert patient.keys() == {"resourceType", "id", "meta"} | kept
    assert [tag["code"] for tag in patient["meta"]["tag"]] == ["SUBSETTED"]


async def test_required_elements_stay(client: httpx.AsyncClient) -> None:
    cut = (await client.get("/Observation/obs-a-exponent?_elements=issued")).json()
    assert cut.keys() == {"resourceType", "id", "meta", "status", "code"}
    assert [label["code"] for label in cut["meta"]["security"]] == ["HIV", "R"]
    whole = (await client.get("/Observation/obs-a-exponent?_summary=false")).json()
    assert "valueQuantity" in whole
    assert "tag" not in whole["meta"]


async def test_search_sees_what_was_just_written(client: httpx.AsyncClient) -> None:
    query = "/Condition?code=38341003"
    assert ids((await client.get(query)).json(), "match") == []
    resource = (await client.get("/Condition/cond-b-asthma")).json()
    resource["code"] = {"coding": [{"system": "http://snomed.info/sct", "code": "38341003"}]}
    resource["subject"] = {"reference": "Patient/pat-c"}
    assert (await client.put("/Condition/cond-b-asthma", json=resource)).status_code == 200
    assert ids((await client.get(query)).json(), "match") == ["cond-b-asthma"]
    assert ids((await client.get("/Condition?patient=pat-b")).json(), "match") == []
    await client.delete("/Condition/cond-b-asthma")
    assert ids((await client.get(query)).json(), "match") == []
