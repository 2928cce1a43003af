"""Clients that people use read through the gateway, and find what a read of the record server finds."""

from __future__ import annotations

import pytest

from tests.clients.conftest import Serving
from tests.clients.launching import ids, is_permitted, without_text
from tests.clients.reading import Client, Connect, Refused, Resource
from tests.upstreams.base import Upstream

EVERYTHING = "1000"
HIV = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}


@pytest.fixture(scope="module")
def client(serving: Serving, connect: Connect) -> Client:
    """With a token for all of pat-a that is not denied."""
    return connect(serving.base, serving.token(serving.permit()))


def stored(records: Upstream, kind: str, **criteria: str) -> list[Resource]:
    """What the record server itself finds for pat-a, in its order and on one page."""
    bundle = records.get(kind, patient="pat-a", **criteria, _count=EVERYTHING).json()
    assert all(link["relation"] != "next" for link in bundle["link"])
    return [entry["resource"] for entry in bundle["entry"]]


def open_to_all(found: list[Resource]) -> list[Resource]:
    """Those that are not labelled HIV."""
    return [one for one in found if HIV not in one["meta"].get("security", ())]


@pytest.mark.parametrize(
    ("kind", "id"),
    [
        ("Observation", "obs-a-exact"),
        ("Observation", "obs-a-long"),
    ],
)
def test_a_read_is_of_what_is_stored(client: Client, records: Upstream, kind: str, id: str) -> None:
    assert client.read(kind, id) == records.get(f"{kind}/{id}").json()


def test_a_record_in_part_is_one_that_clients_can_read(client: Client, records: Upstream) -> None:
    """Free text may speak of what is denied."""
    for kind, id, text in (
        ("Condition", "cond-a-asthma", "note"),
        ("Observation", "obs-a-text", "valueString"),
    ):
        whole = records.get(f"{kind}/{id}").json()
        assert whole.pop(text)
        assert client.read(kind, id) == whole
    assert client.read("Patient", "pat-a") == without_text(records.get("Patient/pat-a").json())


def test_a_search_goes_through_all_pages(client: Client, records: Upstream) -> None:
    found = ids(client.search("Observation", patient="pat-a"))
    assert len(found) > 100
    assert is_permitted(found, records)


def test_a_search_finds_the_records_as_they_are_stored(client: Client, records: Upstream) -> None:
    """By a code and a date, on more than one page."""
    query = {"code": "29463-7", "date": "ge2025-01-05"}
    expected = stored(records, "Observation", **query)
    assert 20 < len(expected) < len(stored(records, "Observation", code="29463-7"))
    assert client.search("Observation", patient="pat-a", **query) == expected


def test_what_is_denied_is_not_there(client: Client, records: Upstream) -> None:
    """Neither in a search nor to be read: as if there were no such record."""
    conditions = stored(records, "Condition")
    assert "cond-a-hiv" in ids(conditions)
    found = ids(client.search("Condition", patient="pat-a"))
    # Others, of which it cannot be told what they are about, are not there either.
    assert set(found) <= set(ids(open_to_all(conditions)))
    assert {"cond-a-asthma", "cond-a-psy"} <= set(found)
    assert "cond-a-hiv" not in found
    for id in ("cond-a-hiv", "no-such-condition"):
        with pytest.raises(Refused) as refused:
            client.read("Condition", id)
        assert refused.value.status == 404


def test_records_of_somebody_else(client: Client, records: Upstream) -> None:
    assert records.get("Patient/pat-b").status_code == 200
    with pytest.raises(Refused) as refused:
        client.read("Patient", "pat-b")
    assert refused.value.status == 404


def test_without_a_token_that_is_ours(serving: Serving, connect: Connect) -> None:
    token = serving.token(serving.permit())
    for other in ("x", token[:-8] + token[-8:].swapcase()):
        with pytest.raises(Refused) as refused:
            connect(serving.base, other).read("Patient", "pat-a")
        assert refused.value.status == 401


def test_a_withdrawal_holds_from_the_next_request(serving: Serving, connect: Connect) -> None:
    consent = serving.permit()
    client = connect(serving.base, serving.token(consent))
    assert client.read("Patient", "pat-a")["id"] == "pat-a"
    serving.revoke(consent)
    with pytest.raises(Refused) as refused:
        client.read("Patient", "pat-a")
    assert refused.value.status == 403
    with pytest.raises(Refused) as refused:
        client.search("Observation", patient="pat-a")
    assert refused.value.status == 403
