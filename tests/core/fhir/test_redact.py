"""Cutting a permitted resource: masks, strangers, narrative, addresses, shapes; and that nothing is added."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.edits import applied
from gateway.core.fhir.facts import Facts, facts_of
from gateway.core.fhir.mask import MASKED
from gateway.core.fhir.outline import Outline
from gateway.core.fhir.redact import SUBSETTED, hidden_targets, redactions, reshape
from gateway.core.values import Ref, Shape
from gateway.mapping import load_catalogue, load_outlines

R4 = load_catalogue("R4")
BASES = Bases("https://gw.example/fhir", "http://upstream.internal:8080/fhir")
SEEN = Ref("Observation", "y")
NARRATIVE = {"status": "generated", "div": "<div>all of it</div>"}
MASK = json.loads(MASKED)


def observation(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": "x",
        "text": NARRATIVE,
        "subject": {"reference": "Patient/a"},
        **more,
    }


def redact(raw: bytes, facts: Facts, *seen: frozenset[Any]) -> bytes:
    return applied(raw, redactions(facts, *seen))


def redacted(tree: dict[str, Any], *visible: Ref) -> dict[str, Any]:
    raw = json.dumps(tree).encode()
    left: dict[str, Any] = json.loads(redact(raw, facts_of(raw, R4, BASES), frozenset(visible)))
    return left


def test_what_needs_nothing_keeps_its_bytes() -> None:
    raw = b'{ "resourceType" : "Observation","id":"x" ,"v":7.10e-3,"t":"\\u00e9\\/"}'
    assert redact(raw, facts_of(raw, R4, BASES), frozenset()) is raw


def test_what_is_cut_keeps_the_bytes_around_it() -> None:
    raw = (
        b'{"resourceType":"Observation","id":"x","subject":{"reference":"Patient/a"},'
        b'"hasMember":[{"reference":"Observation/y","display":"d"}],'
        b'"valueQuantity":{"value": 7.10},"t":"\\u00e9"}'
    )
    left = redact(raw, facts_of(raw, R4, BASES), frozenset())
    assert b'"valueQuantity":{"value": 7.10},"t":"\\u00e9"' in left
    assert b'"hasMember":[{"reference":"Observation/y"}]' in left


@pytest.mark.parametrize(
    ("node", "hidden"),
    [
        ({"reference": "Observation/y", "display": "d"}, {"reference": "Observation/y"}),
        (
            {
                "reference": "Observation/y",
                "display": "d",
                "identifier": {"value": "1"},
                "_display": {"id": "1"},
            },
            {"reference": "Observation/y"},
        ),
        (
            {"reference": "Observation/y", "type": "Observation", "display": "d"},
            {"reference": "Observation/y", "type": "Observation"},
        ),
        (
            {"reference": "Observation/y", "extension": [{"url": "u", "valueString": "HIV"}]},
            {"reference": "Observation/y"},
        ),
        (
            {"reference": "Observation/y", "_reference": {"id": "HIV"}, "note": "HIV"},
            {"reference": "Observation/y"},
        ),
        ({"reference": "Patient/b", "display": "d"}, MASK),
        ({"reference": "Patient/b/", "display": "d"}, MASK),
        ({"type": "Patient", "display": "d"}, MASK),
    ],
)
def test_a_mention_is_silenced_unless_its_target_is_seen(
    node: dict[str, Any], hidden: dict[str, Any]
) -> None:
    left = redacted(observation(focus=[node]))
    assert left["focus"] == [hidden]
    assert "text" not in left, "narrative repeats what was taken out"
    if node.get("reference") == "Observation/y":
        assert redacted(observation(focus=[node]), SEEN) == observation(focus=[node])


def test_strangers_go_with_their_references() -> None:
    donor = {"resourceType": "Patient", "id": "d", "name": [{"family": "X"}], "text": NARRATIVE}
    doctor = {"resourceType": "Practitioner", "id": "p"}
    left = redacted(
        observation(contained=[donor, doctor], performer=[{"reference": "#d"}, {"reference": "#p"}])
    )
    assert left["contained"] == [doctor]
    assert left["performer"] == [MASK, {"reference": "#p"}]
    assert "text" not in left
    assert "contained" not in redacted(observation(contained=[donor]))


CONDITION = {
    "resourceType": "Condition",
    "id": "c",
    "subject": {"reference": "Patient/a"},
    "code": {"text": "HIV"},
}


def test_a_banned_record_goes_with_its_references() -> None:
    doctor = {"resourceType": "Practitioner", "id": "p"}
    tree = observation(
        contained=[doctor, CONDITION], focus=[{"reference": "#c", "display": "HIV"}, {"reference": "#p"}]
    )
    raw = json.dumps(tree).encode()
    facts = facts_of(raw, R4, BASES)
    assert [inner.index for inner in facts.inner] == [0, 1]
    assert redact(raw, facts, frozenset()) is raw
    left = json.loads(redact(raw, facts, frozenset(), frozenset({1})))
    assert left == {
        **{key: value for key, value in tree.items() if key != "text"},
        "contained": [doctor],
        "focus": [MASK, {"reference": "#p"}],
    }
    left = json.loads(redact(raw, facts, frozenset(), frozenset({0})))
    assert (left["contained"], left["focus"][1]) == ([CONDITION], MASK)


def test_one_of_two_records_is_banned() -> None:
    other = {**CONDITION, "id": "d", "code": {"text": "flu"}, "evidence": [{"detail": [{"reference": "#c"}]}]}
    raw = json.dumps(
        observation(contained=[CONDITION, other], focus=[{"reference": "#c"}, {"reference": "#d"}])
    ).encode()
    left = json.loads(redact(raw, facts_of(raw, R4, BASES), frozenset(), frozenset({0})))
    assert left["contained"] == [{**other, "evidence": [{"detail": [MASK]}]}]
    assert left["focus"] == [MASK, {"reference": "#d"}]


@pytest.mark.parametrize(
    "value", ["Patient/b", "https://x.example/fhir/Patient/b", 7, {"reference": "Patient/b"}, ["Patient/b"]]
)
def test_a_resources_own_reference_is_no_reference(value: object) -> None:
    issue = {
        "resourceType": "DetectedIssue",
        "id": "x",
        "patient": {"reference": "Patient/a"},
        "status": "final",
    }
    assert redacted({**issue, "reference": value}) == issue
    assert redacted(observation(reference=value)) == {k: v for k, v in observation().items() if k != "text"}
    cited = {**issue, "reference": "https://doi.org/10.1000/182"}
    assert redacted(cited) == cited


def test_sections_lose_their_narrative() -> None:
    hidden = {"reference": "Condition/c", "display": "d"}
    tree = {
        "resourceType": "Composition",
        "id": "x",
        "subject": {"reference": "Patient/a"},
        "section": [{"title": "t", "text": NARRATIVE, "entry": [hidden]}, {"text": NARRATIVE, "title": "u"}],
    }
    left = redacted(tree)
    assert left["section"] == [{"title": "t", "entry": [{"reference": "Condition/c"}]}, {"title": "u"}]
    assert redacted(tree, Ref("Condition", "c")) == tree


def test_addresses_become_ours_or_go() -> None:
    tree = observation(
        note=[{"text": "see http://upstream.internal:8080/fhir/Observation/x"}],
        extension=[{"url": "x", "valueUrl": "http://upstream.internal:8080/actuator"}],
    )
    left = redacted(tree)
    assert left["note"] == [{"text": "see https://gw.example/fhir/Observation/x"}]
    assert left["extension"] == [{"url": "x"}]
    assert left["text"] == NARRATIVE


def test_a_mask_wins_over_edits_inside_it() -> None:
    node = {"reference": "http://upstream.internal:8080/fhir/Patient/b", "display": "d"}
    assert redacted(observation(focus=[node]))["focus"] == [MASK]
    inner = {"reference": "Observation/z", "display": "d"}
    stranger = {
        "resourceType": "Patient",
        "id": "d",
        "link": [{"other": {"reference": "Patient/c"}}],
        "extension": [inner],
    }
    assert "contained" not in redacted(observation(contained=[stranger], focus=[{"reference": "#d"}]))


def test_hidden_targets_are_those_that_could_be_shown() -> None:
    raw = json.dumps(
        observation(
            focus=[
                {"reference": "Observation/y", "display": "d"},
                {"reference": "Group/g", "display": "d"},
                {"reference": "RelatedPerson/r"},
            ]
        )
    ).encode()
    assert set(hidden_targets(facts_of(raw, R4, BASES))) == {SEEN, Ref("RelatedPerson", "r")}


# --- Nothing is added --------------------------------------------------------------------------------

REFERENCES = st.fixed_dictionaries(
    {},
    optional={
        "reference": st.sampled_from(
            ["Patient/a", "Patient/b", "Observation/y", "Practitioner/p", "#d", "#p", "urn:uuid:1",
             "Condition/c",
             "https://x.example/fhir/Patient/a", "http://upstream.internal:8080/fhir/Condition/c"]
        ),
        "display": st.sampled_from(["d1", "d2"]),
        "type": st.sampled_from(["Patient", "Practitioner", "Condition"]),
        "identifier": st.just({"system": "s", "value": "i1"}),
    },
)  # fmt: skip
CONTAINED = st.sampled_from(
    [
        {"resourceType": "Patient", "id": "d", "name": [{"family": "n1"}]},
        {"resourceType": "Practitioner", "id": "p", "name": [{"family": "n2"}]},
        {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/b", "display": "n3"}},
        {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/a"}, "text": NARRATIVE},
    ]
)
TREES = st.fixed_dictionaries(
    {"resourceType": st.just("Observation"), "id": st.just("x"), "subject": REFERENCES},
    optional={
        "text": st.just(NARRATIVE),
        "focus": st.lists(REFERENCES, max_size=3),
        "hasMember": st.lists(REFERENCES, max_size=2),
        "contained": st.lists(CONTAINED, max_size=2),
        "note": st.just(
            [{"text": "at http://upstream.internal:8080/fhir/x", "authorReference": {"display": "d3"}}]
        ),
        "valueQuantity": st.just({"value": 7}),
    },
)
VISIBLE = st.frozensets(st.sampled_from([SEEN, Ref("Condition", "c")]))


def leaves(value: Any, place: tuple[Any, ...] = ()) -> set[tuple[Any, Any]]:
    """Values with the keys that lead to them; indexes left out, as elements before them may go."""
    if isinstance(value, dict):
        return set().union(*(leaves(inner, (*place, key)) for key, inner in value.items()))
    if isinstance(value, list):
        return set().union(*(leaves(inner, place) for inner in value))
    return {(place, value)}


@settings(max_examples=300, deadline=None)
@given(TREES, VISIBLE)
def test_nothing_is_added(tree: dict[str, Any], visible: frozenset[Ref]) -> None:
    """But for masks and for our own address in the place of the upstream's, what is left was there."""
    left = redacted(tree, *visible)
    ours = json.loads(json.dumps(tree).replace(BASES.upstream, BASES.public))
    masks = leaves(MASK)
    added = leaves(left) - leaves(tree) - leaves(ours)
    assert all((place[-2:] if len(place) > 1 else place, value) in masks for place, value in added)


@settings(max_examples=300, deadline=None)
@given(TREES)
def test_who_sees_less_is_told_less(tree: dict[str, Any]) -> None:
    shown = {visible: leaves(redacted(tree, *visible)) for visible in (frozenset(), frozenset({SEEN}))}
    everything = leaves(redacted(tree, SEEN, Ref("Condition", "c")))
    masks = leaves(MASK)
    for less in shown.values():
        assert all((place[-2:], value) in masks for place, value in less - everything)


# --- Shape -------------------------------------------------------------------------------------------

OUTLINE = Outline(summary=("status", "code"), mandatory=("status",))
RAW = (
    b'{"resourceType":"Observation","id":"x","meta":{"versionId":"1"},"text":{"div":"d"},'
    b'"status":"final","code":{},"value":7.10}'
)
SUB = json.loads(SUBSETTED)


@pytest.mark.parametrize(
    ("shape", "kept"),
    [
        (Shape(summary="true"), {"status", "code"}),
        (Shape(summary="text"), {"text", "status"}),
        (Shape(summary="data"), {"status", "code", "value"}),
        (Shape(elements=("value",)), {"value", "status"}),
        (Shape(elements=("nothing",)), {"status"}),
    ],
    ids=["summary", "text", "data", "elements", "no such element"],
)
def test_shapes(shape: Shape, kept: set[str]) -> None:
    left = json.loads(reshape(RAW, shape, OUTLINE))
    assert left.keys() == {"resourceType", "id", "meta"} | kept
    assert left["meta"] == {"versionId": "1", "tag": [SUB]}


@pytest.mark.parametrize("shape", [Shape(), Shape(summary="false"), Shape(pretty=True)])
def test_whole_shapes(shape: Shape) -> None:
    assert reshape(RAW, shape, OUTLINE) is RAW


@pytest.mark.parametrize(
    ("meta", "tags"),
    [
        (b"", [SUB]),
        (b',"meta":{}', [SUB]),
        (b',"meta":{"tag":[]}', [SUB]),
        (b',"meta":{"tag":[ ]}', [SUB]),
        (b',"meta":{"tag": [\n{"code":"t"} ] }', [{"code": "t"}, SUB]),
    ],
)
def test_tags_that_are_there_stay(meta: bytes, tags: list[object]) -> None:
    raw = b'{"resourceType":"Observation","id":"x"' + meta + b"}"
    left = json.loads(reshape(raw, Shape(elements=("value",)), OUTLINE))
    assert left["meta"]["tag"] == tags


def test_every_type_that_is_served_has_an_outline() -> None:
    outlines = load_outlines("R4")
    served = {type for type in R4.types if R4.access(type).kind != "denied"}
    assert served <= outlines.keys()
