"""What is found in one reading of a resource, what is no resource, and what is remembered."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.codec import CodecError
from gateway.core.fhir.facts import HEAVIEST, Facts, Inspector, facts_of, weight
from gateway.core.values import Label, Ref
from gateway.mapping import load_catalogue

R4 = load_catalogue("R4")
BASES = Bases("https://gw.example/fhir", "http://upstream.internal:8080/fhir")


def of(tree: Any) -> Facts:
    return facts_of(json.dumps(tree).encode(), R4, BASES)


def observation(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": "x", "subject": {"reference": "Patient/a"}, **more}


def test_head() -> None:
    found = of(observation(meta={"versionId": "3", "lastUpdated": "2026-01-01T00:00:00Z"}))
    assert (found.type, found.id, found.version, found.updated) == (
        "Observation",
        "x",
        "3",
        "2026-01-01T00:00:00Z",
    )
    assert found.ref == Ref("Observation", "x")
    assert found.owners == {"a"}
    assert of(observation(meta={"versionId": 3})).version is None


@pytest.mark.parametrize(
    "tree",
    [
        [],
        "x",
        None,
        7,
        {},
        {"id": "x"},
        {"resourceType": "Observation"},
        {"resourceType": "Nonsense", "id": "x"},
        {"resourceType": "observation", "id": "x"},
        {"resourceType": ["Observation"], "id": "x"},
        observation(id=1),
        observation(id=".."),
        observation(id="x/y"),
        observation(id=""),
        observation(meta=[]),
        observation(meta="x"),
        observation(contained={}),
        observation(contained=["x"]),
        observation(contained=[None]),
        observation(contained=[{"resourceType": "Organization", "contained": [{"resourceType": "Patient"}]}]),
        observation(contained=[{"resourceType": "Patient", "contained": []}]),
        observation(contained=[{"resourceType": "Practitioner", "meta": {"tag": "HIV"}}]),
    ],
)
def test_what_is_no_resource(tree: object) -> None:
    with pytest.raises(CodecError):
        of(tree)


@pytest.mark.parametrize("odd", [None, 7, "x", {}, [7], [[]]], ids=repr)
@pytest.mark.parametrize("name", ["tag", "profile"])
def test_a_meta_that_is_not_understood(name: str, odd: object) -> None:
    with pytest.raises(CodecError):
        of(observation(meta={name: odd}))
    with pytest.raises(CodecError):
        of(observation(meta={name: ["x" if name != "profile" else {}]}))


def test_a_meta_that_is() -> None:
    meta = {"tag": [{}], "security": [], "profile": ["http://x.example/p", None], "project": "p"}
    assert of(observation(meta=meta)).labels == frozenset()


@pytest.mark.parametrize(
    ("security", "labels"),
    [
        ([{"system": "s", "code": "c"}], {Label("s", "c")}),
        ([{"system": "s", "code": "c"}, {"code": "d"}], {Label("s", "c"), Label("", "d")}),
        ([{"system": 1, "code": "c"}], {Label("", "c")}),
        ([{"display": "HIV"}], {Label("", "")}),
        ([7], {Label("", "")}),
        ("HIV", {Label("", "")}),
        (None, {Label("", "")}),
        ([], set()),
    ],
)
def test_labels(security: object, labels: set[Label]) -> None:
    assert of(observation(meta={"security": security})).labels == labels


def test_narratives_are_looked_for_where_something_is_mentioned() -> None:
    text = {"status": "generated", "div": "<div/>"}
    quiet = {"resourceType": "Composition", "id": "x", "text": text, "section": [{"text": text}]}
    assert of(quiet).narratives == ()
    spoken = {**quiet, "subject": {"reference": "Patient/b"}, "author": [{"reference": "Patient/c"}]}
    assert set(of(spoken).narratives) == {("text",), ("section", 0, "text")}
    concept = observation(code={"text": "glucose"}, focus=[{"reference": "Patient/b"}])
    assert of(concept).narratives == (("text",),)


def test_an_inspector_remembers_by_content() -> None:
    raws = [json.dumps(observation(id=f"x{n}")).encode() for n in range(20)]
    inspector = Inspector(R4, BASES, capacity=4 * weight(facts_of(raws[0], R4, BASES)))
    for _ in range(2):
        assert [inspector(raw).id for raw in raws] == [f"x{n}" for n in range(20)]
    assert inspector(raws[-1]) is inspector(raws[-1])
    assert inspector(raws[0]) == facts_of(raws[0], R4, BASES)


def members(count: int) -> bytes:
    return json.dumps(
        observation(hasMember=[{"reference": f"Observation/m{n}", "display": "d"} for n in range(count)])
    ).encode()


def test_an_inspector_keeps_nothing_heavy() -> None:
    inspector = Inspector(R4, BASES)
    assert weight(of(json.loads(members(50)))) < HEAVIEST < weight(of(json.loads(members(500))))
    assert inspector(members(50)) is inspector(members(50))
    assert inspector(members(500)) is not inspector(members(500))


def test_a_resource_that_mentions_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.core.fhir.facts.MAX_MENTIONS", 10)
    assert len(of(json.loads(members(10))).mentions) == 10
    with pytest.raises(CodecError, match="too many"):
        of(json.loads(members(11)))


def test_an_inspector_takes_no_more_memory_than_it_says() -> None:
    inspector = Inspector(R4, BASES, capacity=2_000_000)
    raws = [members(20 + n % 60).replace(b'"x"', b'"x%d"' % n, 1) for n in range(200)]
    tracemalloc.start()
    for raw in raws:
        inspector(raw)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 200_000 < kept < 2_000_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("abP/#:", max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["reference", "display", "identifier", "type", "subject", "text", "div", "url", "_display"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(["subject", "focus", "contained", "meta", "text", "hasMember"]), JSON, max_size=4
    )
)
def test_odd_data_is_understood_or_refused(members: dict[str, Any]) -> None:
    try:
        found = of({"resourceType": "Observation", "id": "x", **members})
    except CodecError:
        return
    assert all(isinstance(mention.place, tuple) for mention in found.mentions)
