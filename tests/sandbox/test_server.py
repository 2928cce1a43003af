"""The interactions over HTTP, each with the near miss that is refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

PATIENT = {"resourceType": "Patient", "gender": "other"}


def own(id: str, **more: Any) -> dict[str, Any]:
    return PATIENT | {"id": id} | more


async def test_create_and_read(empty: httpx.AsyncClient) -> None:
    created = await empty.post("/Patient", json=own("mine"))
    assert created.status_code == 201
    assert created.headers["location"] == "http://sandbox.test/fhir/Patient/1/_history/1"
    assert created.headers["etag"] == 'W/"1"'
    read = await empty.get("/Patient/1")
    assert read.status_code == 200
    assert read.json()["id"] == "1"
    assert read.headers["content-type"] == "application/fhir+json;charset=UTF-8"
    assert read.headers["content-location"] == created.headers["location"]
    assert read.headers["last-modified"] == "Sat, 01 Mar 2025 00:00:01 GMT"
    assert read.json()["meta"] == {"versionId": "1", "lastUpdated": "2025-03-01T00:00:01.000+00:00"}


async def test_update_makes_versions(empty: httpx.AsyncClient) -> None:
    first = await empty.put("/Patient/me", json=own("me"))
    second = await empty.put("/Patient/me", json=own("me", gender="female"))
    assert [(r.status_code, r.headers["etag"]) for r in (first, second)] == [(201, 'W/"1"'), (200, 'W/"2"')]
    assert second.headers["location"].endswith("/Patient/me/_history/2")
    assert (await empty.get("/Patient/me")).content == second.content
    assert (await empty.get("/Patient/me/_history/1")).content == first.content
    assert (await empty.get("/Patient/me/_history/3")).status_code == 404


@pytest.mark.parametrize(
    ("header", "status"), [('W/"1"', 200), ('"1"', 200), ('W/"2"', 412), ('W/"11"', 412), ("1", 412)]
)
async def test_if_match(empty: httpx.AsyncClient, header: str, status: int) -> None:
    await empty.put("/Patient/me", json=own("me"))
    reply = await empty.put("/Patient/me", json=own("me"), headers={"if-match": header})
    assert reply.status_code == status
    assert (await empty.get("/Patient/me")).headers["etag"] == ('W/"2"' if status == 200 else 'W/"1"')
    version = reply.headers["etag"] if status == 200 else header
    deleted = await empty.delete("/Patient/me", headers={"if-match": version})
    assert deleted.status_code == status


async def test_if_match_of_nothing(empty: httpx.AsyncClient) -> None:
    reply = await empty.put("/Patient/me", json=own("me"), headers={"if-match": 'W/"1"'})
    assert reply.status_code == 412
    assert (await empty.get("/Patient/me")).status_code == 404


async def test_delete(empty: httpx.AsyncClient) -> None:
    await empty.put("/Patient/me", json=own("me"))
    for _ in range(2):
        assert (await empty.delete("/Patient/me")).status_code == 200
    gone = await empty.get("/Patient/me")
    assert (gone.status_code, gone.json()["resourceType"]) == (410, "OperationOutcome")
    assert (await empty.get("/Patient/me/_history/2")).status_code == 410
    assert (await empty.get("/Patient/me/_history/1")).status_code == 200
    back = await empty.put("/Patient/me", json=own("me"))
    assert (back.status_code, back.headers["etag"]) == (201, 'W/"3"')


async def test_history(empty: httpx.AsyncClient) -> None:
    await empty.put("/Patient/me", json=own("me"))
    await empty.post("/Group", json={"resourceType": "Group"})
    await empty.put("/Patient/me", json=own("me"))
    await empty.delete("/Patient/me")
    expected = [
        ("DELETE", "Patient/me", 'W/"3"'), ("PUT", "Patient/me", 'W/"2"'),
        ("POST", "Group", 'W/"1"'), ("PUT", "Patient/me", 'W/"1"'),
    ]  # fmt: skip
    of_patient = [row for row in expected if row[1] != "Group"]
    for place, rows in (
        ("/_history", expected),
        ("/Patient/_history", of_patient),
        ("/Patient/me/_history", of_patient),
    ):
        bundle = (await empty.get(place)).json()
        shown = [
            (e["request"]["method"], e["request"]["url"], e["response"]["etag"]) for e in bundle["entry"]
        ]
        assert (bundle["type"], bundle["total"], shown) == ("history", len(rows), rows)
        assert ["resource" in e for e in bundle["entry"]] == [row[0] != "DELETE" for row in rows]
    late = (await empty.get("/_history?_since=2025-03-01T00:00:03Z")).json()
    assert [e["request"]["method"] for e in late["entry"]] == ["DELETE", "PUT"]
    assert (await empty.get("/Patient/nobody/_history")).status_code == 404
    assert (await empty.get("/_history?_since=then")).status_code == 400


async def test_conditional_read(client: httpx.AsyncClient) -> None:
    read = await client.get("/Patient/pat-a")
    for headers, status in (
        ({"if-none-match": 'W/"1"'}, 304),
        ({"if-none-match": 'W/"7", W/"1"'}, 304),
        ({"if-none-match": 'W/"2"'}, 200),
        ({"if-modified-since": read.headers["last-modified"]}, 304),
        ({"if-modified-since": "Fri, 28 Feb 2025 00:00:00 GMT"}, 200),
        ({"if-modified-since": "when it rained"}, 200),
    ):
        reply = await client.get("/Patient/pat-a", headers=headers)
        assert (reply.status_code, reply.content) == (status, read.content if status == 200 else b""), headers


async def test_conditional_writes(client: httpx.AsyncClient) -> None:
    one, several, none = "family=Brandt", "name=alm", "family=Nobody"
    patients = len((await client.get("/Patient")).json()["entry"])
    for query, status in ((one, 200), (several, 412), (none, 201)):
        reply = await client.post("/Patient", json=PATIENT, headers={"if-none-exist": query})
        assert reply.status_code == status
    assert len((await client.get("/Patient")).json()["entry"]) == patients + 1
    updated = await client.put("/Patient?family=Brandt", json=PATIENT | {"name": [{"family": "Brandt"}]})
    assert (updated.status_code, updated.json()["id"]) == (200, "pat-b")
    for query, status in ((several, 412), ("colour=blue", 400), ("", 400)):
        assert (await client.put(f"/Patient?{query}", json=PATIENT)).status_code == status
        assert (await client.delete(f"/Patient?{query}")).status_code == status
    assert (await client.delete("/Patient?family=Nobody")).status_code == 200
    assert (await client.delete("/Patient?family=Brandt")).status_code == 200
    assert (await client.get("/Patient/pat-b")).status_code == 410


async def test_prefer_return(empty: httpx.AsyncClient) -> None:
    bodies = {}
    for wanted in ("minimal", "representation", "OperationOutcome"):
        reply = await empty.post("/Patient", json=PATIENT, headers={"prefer": f"return={wanted}"})
        assert reply.status_code == 201
        assert "location" in reply.headers
        bodies[wanted] = reply.json()["resourceType"] if reply.content else None
    assert bodies == {"minimal": None, "representation": "Patient", "OperationOutcome": "OperationOutcome"}


async def test_head_is_get_without_body(client: httpx.AsyncClient) -> None:
    for place in ("/Patient/pat-a", "/Patient?_id=pat-a", "/Patient/nobody"):
        get, head = await client.get(place), await client.head(place)
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert head.headers["content-length"] == get.headers["content-length"]


async def test_binary(client: httpx.AsyncClient) -> None:
    raw = await client.get("/Binary/bin-a")
    assert (raw.headers["content-type"], raw.text) == ("text/plain", "Ann's letter, invented.\n")
    resource = await client.get("/Binary/bin-a", headers={"accept": "application/fhir+json"})
    assert resource.json()["contentType"] == "text/plain"
    made = await client.post("/Binary", content=b"\x00\xff", headers={"content-type": "image/png"})
    back = await client.get(made.headers["location"].partition("/_history")[0])
    assert (back.headers["content-type"], back.content) == ("image/png", b"\x00\xff")


@pytest.mark.parametrize(
    "odd", [{"contentType": "a\r\nSet-Cookie: b"}, {"contentType": "文"}, {"data": "?"}, {"data": 1}]
)
async def test_a_binary_that_is_none_is_shown_as_the_resource(
    empty: httpx.AsyncClient, odd: dict[str, Any]
) -> None:
    made = await empty.post("/Binary", json={"resourceType": "Binary", "contentType": "text/plain"} | odd)
    back = await empty.get("/Binary/1")
    assert (back.headers["content-type"], back.content) == (made.headers["content-type"], made.content)


REFUSED = [
    ("POST", "/Patient", "{", 400),
    ("POST", "/Patient", '{"resourceType":"Group"}', 400),
    ("POST", "/Spaceship", '{"resourceType":"Spaceship"}', 404),
    ("POST", "/Patient/me", '{"resourceType":"Patient","id":"me"}', 405),
    ("PUT", "/Patient/me", '{"resourceType":"Patient","id":"you"}', 400),
    ("PUT", "/Patient/me", '{"resourceType":"Patient"}', 400),
    ("PUT", "/Patient/m_e", '{"resourceType":"Patient","id":"m_e"}', 400),
    ("PUT", "/", '{"resourceType":"Patient"}', 405),
    ("PATCH", "/Patient/pat-a", "[]", 405),
    ("DELETE", "/", "", 405),
    ("GET", "/Patient/pat-a/$everything", "", 405),
    ("GET", "/Patient/pat-a?_format=xml", "", 406),
    ("GET", "/Patient/pat-a?_summary=short", "", 400),
    ("POST", "/Patient/_search", "name=%ff", 400),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"), REFUSED, ids=[f"{m} {p} {s}" for m, p, _, s in REFUSED]
)
async def test_refused(client: httpx.AsyncClient, method: str, path: str, body: str, status: int) -> None:
    form = "application/x-www-form-urlencoded"
    headers = {"content-type": form if path.endswith("_search") else "application/fhir+json"}
    before = (await client.get("/_history?_count=0")).json()["total"]
    reply = await client.request(method, path, content=body, headers=headers)
    assert (reply.status_code, reply.json()["resourceType"]) == (status, "OperationOutcome")
    assert (await client.get("/_history?_count=0")).json()["total"] == before


async def test_accept_of_another_format(client: httpx.AsyncClient) -> None:
    for accept, status in (("application/fhir+xml", 406), ("application/fhir+xml, */*;q=0.1", 200)):
        assert (await client.get("/Patient/pat-a", headers={"accept": accept})).status_code == status


async def test_nothing_outside_the_base(client: httpx.AsyncClient) -> None:
    for place in ("/", "/fhirx/Patient/pat-a", "/Patient/pat-a"):
        assert (await client.get(f"http://sandbox.test{place}")).status_code == 404


async def test_metadata_lists_what_a_search_takes(client: httpx.AsyncClient) -> None:
    statement = (await client.get("/metadata")).json()
    assert (statement["resourceType"], statement["fhirVersion"]) == ("CapabilityStatement", "4.0.1")
    rows = {row["type"]: row for row in statement["rest"][0]["resource"]}
    assert rows.keys() >= {"Patient", "Observation", "Binary"}
    for param in rows["Observation"]["searchParam"]:
        reply = await client.get(
            f"/Observation?{param['name']}:missing=true&_count=1", headers={"prefer": "handling=strict"}
        )
        assert reply.status_code == 200, param
    assert {"name": "patient", "type": "reference"} in rows["Observation"]["searchParam"]
    assert "Observation:patient" in rows["Observation"]["searchInclude"]
