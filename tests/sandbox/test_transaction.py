"""Batch and transaction: the order of work, references between entries, all or nothing."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

URN = "urn:uuid:00000000-0000-4000-8000-00000000000{}"


def entry(
    method: str, url: str, resource: dict[str, Any] | None = None, number: int = 0, **more: str
) -> dict[str, Any]:
    made: dict[str, Any] = {"request": {"method": method, "url": url, **more}}
    if number:
        made["fullUrl"] = URN.format(number)
    return made | ({"resource": resource} if resource else {})


def condition(subject: str) -> dict[str, Any]:
    return {"resourceType": "Condition", "subject": {"reference": subject}}


async def post(client: httpx.AsyncClient, type: str, *entries: dict[str, Any]) -> httpx.Response:
    bundle = {"resourceType": "Bundle", "type": type, "entry": list(entries)}
    return await client.post("", json=bundle)


def statuses(reply: httpx.Response) -> list[str]:
    return [one["response"]["status"].split()[0] for one in reply.json()["entry"]]


PERSON = {"resourceType": "Patient", "name": [{"family": "New"}]}


async def test_references_between_entries(empty: httpx.AsyncClient) -> None:
    reply = await post(
        empty,
        "transaction",
        entry("POST", "Condition", condition(URN.format(2)), 1),
        entry("POST", "Patient", PERSON, 2),
        entry(
            "PUT",
            "Group/g",
            {"resourceType": "Group", "id": "g", "member": [{"entity": {"reference": URN.format(2)}}]},
            3,
        ),
        entry(
            "PUT",
            "List/l",
            {"resourceType": "List", "id": "l", "entry": [{"item": {"reference": URN.format(3)}}]},
        ),
    )
    body = reply.json()
    assert (reply.status_code, body["type"], statuses(reply)) == (200, "transaction-response", ["201"] * 4)
    places = [one["response"]["location"].partition("/_history/")[0] for one in body["entry"]]
    assert [place.split("/")[0] for place in places] == ["Condition", "Patient", "Group", "List"]
    assert (await empty.get("/" + places[0])).json()["subject"]["reference"] == places[1]
    assert (await empty.get("/Group/g")).json()["member"][0]["entity"]["reference"] == places[1]
    assert (await empty.get("/List/l")).json()["entry"][0]["item"]["reference"] == "Group/g"


async def test_order_of_work_is_not_the_order_of_entries(client: httpx.AsyncClient) -> None:
    reply = await post(
        client,
        "transaction",
        entry("GET", "Patient?family=New"),
        entry("GET", "Patient/pat-c"),
        entry("PUT", "Patient/pat-a", PERSON | {"id": "pat-a"}),
        entry("DELETE", "Patient/pat-a2"),
        entry("POST", "Patient", PERSON),
    )
    found = reply.json()["entry"]
    assert statuses(reply) == ["200", "200", "200", "200", "201"]
    assert len(found[0]["resource"]["entry"]) == 2
    assert found[1]["resource"]["id"] == "pat-c"
    assert ["resource" in one for one in found[2:]] == [False] * 3


CONDITIONAL = [
    ("Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|9900000007", 200, "Practitioner/prac-gp"),
    ("Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|0", 412, ""),
    ("Practitioner?name=o", 412, ""),
    ("Practitioner?colour=blue", 400, ""),
]


@pytest.mark.parametrize(("url", "status", "target"), CONDITIONAL, ids=["one", "none", "several", "unknown"])
async def test_conditional_references(client: httpx.AsyncClient, url: str, status: int, target: str) -> None:
    before = (await client.get("/_history?_count=0")).json()["total"]
    resource = condition("Patient/pat-a") | {"asserter": {"reference": url}}
    reply = await post(
        client, "transaction", entry("POST", "Condition", resource), entry("POST", "Patient", PERSON)
    )
    assert reply.status_code == status
    after = (await client.get("/_history?_count=0")).json()["total"]
    assert after == before + (2 if status == 200 else 0)
    if target:
        place = reply.json()["entry"][0]["response"]["location"]
        assert (await client.get(f"/{place}")).json()["asserter"]["reference"] == target


async def test_conditional_create_points_at_what_is_there(client: httpx.AsyncClient) -> None:
    reply = await post(
        client,
        "transaction",
        entry("POST", "Patient", PERSON, 1, ifNoneExist="family=Brandt"),
        entry("POST", "Condition", condition(URN.format(1))),
        entry("PUT", "Patient?family=New", PERSON, 2),
        entry("POST", "Condition", condition(URN.format(2))),
    )
    assert statuses(reply) == ["200", "201", "201", "201"]
    made = [one["response"]["location"] for one in reply.json()["entry"]]
    assert (await client.get(f"/{made[1]}")).json()["subject"]["reference"] == "Patient/pat-b"
    new = made[2].partition("/_history/")[0]
    assert (await client.get(f"/{made[3]}")).json()["subject"]["reference"] == new


FAILING = {
    "no resource": (entry("POST", "Patient"), 400),
    "wrong type": (entry("POST", "Patient", {"resourceType": "Group"}), 400),
    "unknown type": (entry("POST", "Spaceship", {"resourceType": "Spaceship"}), 404),
    "read of nobody": (entry("GET", "Patient/nobody"), 404),
    "stale version": (entry("PUT", "Patient/pat-b", PERSON | {"id": "pat-b"}, ifMatch='W/"9"'), 412),
    "unknown method": (entry("SHOUT", "Patient/pat-b"), 405),
    "no method": ({"request": {"url": "Patient"}}, 400),
    "the same twice": (entry("DELETE", "Patient/pat-a"), 400),
}


@pytest.mark.parametrize(("bad", "status"), FAILING.values(), ids=FAILING.keys())
async def test_all_or_nothing(client: httpx.AsyncClient, bad: dict[str, Any], status: int) -> None:
    before = await client.get("/_history?_count=1000")
    found = await client.get("/Patient?_sort=_id")
    good = [
        entry("POST", "Patient", PERSON),
        entry("PUT", "Patient/pat-a", PERSON | {"id": "pat-a"}),
        entry("DELETE", "Patient/pat-c"),
    ]
    reply = await post(client, "transaction", *good, bad)
    assert (reply.status_code, reply.json()["resourceType"]) == (status, "OperationOutcome")
    assert (await client.get("/_history?_count=1000")).json()["entry"] == before.json()["entry"]
    assert (await client.get("/Patient?_sort=_id")).json()["entry"] == found.json()["entry"]
    assert (await post(client, "transaction", *good)).status_code == 200


async def test_a_batch_goes_on(client: httpx.AsyncClient) -> None:
    reply = await post(
        client,
        "batch",
        entry("GET", "Patient/nobody"),
        entry("GET", "Patient/pat-a"),
        entry("POST", "Patient", {"resourceType": "Group"}),
        entry("POST", "Patient", PERSON),
        entry("GET", "Encounter?patient=pat-b"),
    )
    assert reply.json()["type"] == "batch-response"
    assert statuses(reply) == ["404", "200", "400", "201", "200"]
    first, second, *_, last = reply.json()["entry"]
    assert first["response"]["outcome"]["resourceType"] == "OperationOutcome"
    assert second["resource"]["id"] == "pat-a"
    assert [e["resource"]["id"] for e in last["resource"]["entry"]] == ["enc-b1"]


async def test_a_read_in_a_batch_keeps_its_bytes(client: httpx.AsyncClient) -> None:
    alone = await client.get("/Observation/obs-a-long")
    reply = await post(client, "batch", entry("GET", "Observation/obs-a-long"))
    assert alone.content in reply.content


NO_BATCH = [
    "{",
    "{}",
    '{"resourceType":"Bundle"}',
    '{"resourceType":"Bundle","type":"searchset"}',
    '{"resourceType":"Bundle","type":"batch","entry":[{}]}',
    '{"resourceType":"Patient","type":"batch"}',
]


@pytest.mark.parametrize("body", NO_BATCH)
async def test_what_is_no_batch(client: httpx.AsyncClient, body: str) -> None:
    assert (await client.post("", content=body)).status_code == 400
