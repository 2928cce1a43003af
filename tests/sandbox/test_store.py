"""The store against a plain model of it: any order of writes and undone writes leaves the same state."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Gone, NotFound
from gateway.sandbox.document import parse
from gateway.sandbox.store import Store

NOW = datetime(2025, 3, 1, tzinfo=UTC)
BASE = "http://sandbox.test/fhir"


def put(store: Store, id: str, patient: str) -> None:
    body = b'{"resourceType":"Condition","subject":{"reference":"%b"}}' % patient.encode()
    store.put(parse(body), id, "PUT", NOW)


def view(store: Store) -> dict[str, object]:
    """Everything the store says of two conditions and two patients."""
    return {
        "current": {v.id: v.body for v in store.all("Condition")},
        "history": [(v.path, v.number, v.method) for v in store.history()],
        "referring": {
            p: {v.id for v in store.referring("Condition", p, BASE)} for p in ("Patient/1", "Patient/2")
        },
    }


WRITES = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["Patient/1", "Patient/2", "delete"])), max_size=8
)


def apply(store: Store, writes: list[tuple[str, str]]) -> None:
    for id, what in writes:
        if what == "delete":
            store.delete("Condition", id, NOW)
        else:
            put(store, id, what)


@given(kept=WRITES, undone=WRITES, after=WRITES)
def test_rollback_leaves_no_trace(
    kept: list[tuple[str, str]], undone: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    with_undone, without = Store(), Store()
    apply(with_undone, kept)
    mark, before = with_undone.mark(), view(with_undone)
    apply(with_undone, undone)
    with_undone.rollback(mark)
    assert view(with_undone) == before
    for store, writes in ((with_undone, after), (without, kept + after)):
        apply(store, writes)
    assert view(with_undone) == view(without)


@given(writes=WRITES)
def test_indexes_agree_with_what_is_current(writes: list[tuple[str, str]]) -> None:
    store, model = Store(), {}
    for id, what in writes:
        apply(store, [(id, what)])
        model[id] = what
        live = {i: w for i, w in model.items() if w != "delete"}
        assert {v.id for v in store.all("Condition")} == live.keys()
        for patient in ("Patient/1", "Patient/2"):
            referring = {v.id for v in store.referring("Condition", patient, BASE)}
            assert referring == {i for i, w in live.items() if w == patient}


def test_revision_grows_with_every_change() -> None:
    store, seen = Store(), []
    put(store, "a", "Patient/1")
    seen.append(store.revision)
    put(store, "a", "Patient/1")
    seen.append(store.revision)
    store.rollback(1)
    seen.append(store.revision)
    assert seen == sorted(set(seen))


def test_read() -> None:
    store = Store()
    put(store, "a", "Patient/1")
    store.delete("Condition", "a", NOW)
    assert store.read("Condition", "a", "1").number == 1
    for number in (None, "2"):
        with pytest.raises(Gone):
            store.read("Condition", "a", number)
    for id, number in (("a", "3"), ("a", "01"), ("b", None)):
        with pytest.raises(NotFound):
            store.read("Condition", id, number)


def test_new_ids_were_never_used() -> None:
    store = Store()
    for id in ("1", "2"):
        put(store, id, "Patient/1")
    store.delete("Condition", "1", NOW)
    assert store.new_id("Condition") == "3"


def test_a_reference_by_the_servers_own_address_is_found() -> None:
    store = Store()
    put(store, "near", f"{BASE}/Patient/1")
    put(store, "far", "http://other.test/fhir/Patient/1")
    assert [v.id for v in store.referring("Condition", "Patient/1", BASE)] == ["near"]
