"""What is found in one reading of a resource: owners, labels, mentions, strangers, addresses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.codec import CodecError
from gateway.core.fhir.facts import Facts, Inspector, facts_of
from gateway.core.fhir.mentions import Mention
from gateway.core.values import Label, Ref
from gateway.mapping import load_catalogue

R4 = load_catalogue("R4")
BASES = Bases("https://gw.example/fhir", "http://upstream.internal:8080/fhir")
SEEN = Ref("Observation", "y")


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
    ],
)
def test_what_is_no_resource(tree: object) -> None:
    with pytest.raises(CodecError):
        of(tree)


@pytest.mark.parametrize(
    ("security", "labels"),
    [
        ([{"system": "s", "code": "c"}], {Label("s", "c")}),
        ([{"system": "s", "code": "c"}, {"code": "d"}], {Label("s", "c"), Label("", "d")}),
        ([{"system": 1, "code": "c"}], {Label("", "c")}),
        ([7], {Label("", "")}),
        ("HIV", {Label("", "")}),
        (None, {Label("", "")}),
        ([], set()),
    ],
)
def test_labels(security: object, labels: set[Label]) -> None:
    assert of(observation(meta={"security": security})).labels == labels


INNER = {"resourceType": "Condition", "id": "c", "meta": {"security": [{"system": "s", "code": "c"}]}}


@pytest.mark.parametrize(
    ("inner", "stranger"),
    [
        ({"resourceType": "Practitioner", "id": "c"}, False),
        ({"resourceType": "Medication", "id": "c"}, False),
        ({**INNER, "subject": {"reference": "Patient/a"}}, False),
        ({**INNER, "subject": {"reference": "Patient/b"}}, True),
        ({**INNER, "subject": {"reference": "Patient/a2"}}, True),
        (INNER, True),
        ({"resourceType": "Patient", "id": "c"}, True),
        ({"resourceType": "RelatedPerson", "id": "c", "patient": {"reference": "Patient/a"}}, True),
        ({"resourceType": "Group", "id": "c"}, True),
        ({"resourceType": "Nonsense", "id": "c"}, True),
        ({"id": "c"}, True),
    ],
)
def test_contained(inner: dict[str, Any], stranger: bool) -> None:
    found = of(
        observation(
            contained=[{"resourceType": "Practitioner", "id": "p"}, inner], focus=[{"reference": "#c"}]
        )
    )
    assert found.strangers == ((1,) if stranger else ())
    outside = [mention.place for mention in found.mentions if mention.place[0] != "contained"]
    assert outside == ([("focus", 0)] if stranger else [])
    labelled = "meta" in inner and not stranger
    assert found.labels == ({Label("s", "c")} if labelled else set())


def whole(place: tuple[str | int, ...], target: Ref | None = None) -> Mention:
    return Mention(place, target, True)


FOCUS: tuple[str | int, ...] = ("focus", 0)
LOST = Mention(FOCUS, None, False)
UP = BASES.upstream
MENTIONS: list[tuple[str, dict[str, Any], Mention | None]] = [
    ("own patient", {"reference": "Patient/a", "display": "me"}, None),
    ("own patient, absolute", {"reference": "https://gw.example/fhir/Patient/a", "display": "me"}, None),
    ("own patient, a version", {"reference": "Patient/a/_history/1", "display": "me"}, None),
    ("another patient", {"reference": "Patient/b"}, whole(FOCUS)),
    ("a prefix twin", {"reference": "Patient/a2"}, whole(FOCUS)),
    ("another server's patient", {"reference": "https://x.example/fhir/Patient/a"}, whole(FOCUS)),
    ("a conditional reference", {"reference": "Patient?identifier=x"}, whole(FOCUS)),
    ("a relative", {"reference": "RelatedPerson/r"}, whole(FOCUS, Ref("RelatedPerson", "r"))),
    ("a person", {"reference": "Person/p"}, whole(FOCUS)),
    ("a doctor", {"reference": "Practitioner/p", "display": "Dr."}, None),
    ("a doctor elsewhere", {"reference": "https://x.example/fhir/Practitioner/p", "display": "Dr."}, None),
    ("a record, bare", {"reference": "Observation/y"}, None),
    ("a record, spoken of", {"reference": "Observation/y", "display": "d"}, Mention(FOCUS, SEEN, False)),
    ("a record, identified", {"reference": "Observation/y", "identifier": {}}, Mention(FOCUS, SEEN, False)),
    ("a record, extended", {"reference": "Observation/y", "_display": {}}, Mention(FOCUS, SEEN, False)),
    ("a record, absolute", {"reference": f"{UP}/Observation/y", "display": "d"}, Mention(FOCUS, SEEN, False)),
    ("a record elsewhere", {"reference": "https://x.example/Observation/y", "display": "d"}, LOST),
    ("a denied type", {"reference": "Group/g", "display": "d"}, Mention(FOCUS, None, False)),
    ("a placeholder", {"reference": "urn:uuid:1", "display": "d"}, Mention(FOCUS, None, False)),
    ("a type that lies", {"reference": "Patient/b", "type": "Practitioner"}, whole(FOCUS)),
    ("logical, a person", {"type": "Patient", "identifier": {"value": "1"}}, whole(FOCUS)),
    ("logical, a record", {"type": "Condition", "display": "d"}, whole(FOCUS)),
    ("logical, a doctor", {"type": "Practitioner", "display": "Dr."}, None),
    ("a contained one that stays", {"reference": "#p", "display": "d"}, None),
    ("no reference", {"reference": None, "display": "d"}, whole(FOCUS)),
    ("a number", {"reference": 7, "display": "d"}, whole(FOCUS)),
    ("a coding", {"system": "s", "code": "c", "display": "d"}, None),
]  # fmt: skip


@pytest.mark.parametrize(("node", "mention"), [row[1:] for row in MENTIONS], ids=[row[0] for row in MENTIONS])
def test_mentions(node: dict[str, Any], mention: Mention | None) -> None:
    found = of(observation(focus=[node], contained=[{"resourceType": "Practitioner", "id": "p"}]))
    assert found.mentions == (() if mention is None else (mention,))


PRIVATE: list[tuple[str, dict[str, Any], bool]] = [
    ("hasMember", {"display": "d"}, True),
    ("hasMember", {"identifier": {"value": "1"}}, True),
    ("hasMember", {"display": "d", "_reference": {"extension": []}}, True),
    ("hasMember", {"_display": {"extension": []}}, True),
    ("hasMember", {"display": "d", "code": "c"}, False),
    ("performer", {"display": "Dr."}, False),
    ("method", {"display": "d"}, False),
]


@pytest.mark.parametrize(("element", "node", "found"), PRIVATE)
def test_logical_references_where_only_records_stand(element: str, node: dict[str, Any], found: bool) -> None:
    assert [m.place for m in of(observation(**{element: [node]})).mentions] == (
        [(element, 0)] if found else []
    )


@pytest.mark.parametrize(
    ("url", "becomes"),
    [
        ("http://upstream.internal:8080/fhir/Binary/b", "https://gw.example/fhir/Binary/b"),
        ("http://upstream.internal:8080/fhir", "https://gw.example/fhir"),
        ("http://upstream.internal:8080/actuator", None),
        ("http://pacs.local/x", None),
        ("http://host/x", None),
        ("http://10.0.0.1/x", None),
        ("http://172.20.0.1/x", None),
        ("http://[::1]/x", None),
        ("ftp://public.example/x", None),
        ("https://user@public.example/x", None),
        ("https://public.example/x?token=1", None),
    ],
)
def test_attachment_addresses(url: str, becomes: str | None) -> None:
    tree = {**observation(), "resourceType": "DocumentReference", "content": [{"attachment": {"url": url}}]}
    assert of(tree).addresses == ((("content", 0, "attachment", "url"), becomes),)


@pytest.mark.parametrize(
    "url",
    [
        "Binary/b",
        "https://public.example/x.pdf",
        "https://gw.example/fhir/Binary/b",
        "http://172.32.0.1/x",
        "urn:oid:1.2",
    ],
)
def test_attachment_addresses_that_stay(url: str) -> None:
    tree = {**observation(), "resourceType": "DocumentReference", "content": [{"attachment": {"url": url}}]}
    assert of(tree).addresses == ()


def test_an_escaped_address_is_found_too() -> None:
    text = rb"http:\/\/upstream.internal:8080\u002ffhir/x"
    raw = b'{"resourceType":"Observation","id":"x","note":[{"text":"%b"}]}' % text
    assert facts_of(raw, R4, BASES).addresses == ((("note", 0, "text"), "https://gw.example/fhir/x"),)


def test_an_extensions_url_is_a_name() -> None:
    assert of(observation(extension=[{"url": "http://intranet/x", "valueString": "v"}])).addresses == ()


def test_narratives_are_looked_for_where_something_is_mentioned() -> None:
    text = {"status": "generated", "div": "<div/>"}
    quiet = {"resourceType": "Composition", "id": "x", "text": text, "section": [{"text": text}]}
    assert of(quiet).narratives == ()
    spoken = {**quiet, "subject": {"reference": "Patient/b"}, "author": [{"reference": "Patient/c"}]}
    assert set(of(spoken).narratives) == {("text",), ("section", 0, "text")}
    concept = observation(code={"text": "glucose"}, focus=[{"reference": "Patient/b"}])
    assert of(concept).narratives == (("text",),)


def test_an_inspector_remembers_by_content() -> None:
    inspector = Inspector(R4, BASES, capacity=4)
    raws = [json.dumps(observation(id=f"x{n}")).encode() for n in range(20)]
    for _ in range(2):
        assert [inspector(raw).id for raw in raws] == [f"x{n}" for n in range(20)]
    assert inspector(raws[-1]) is inspector(raws[-1])
    assert inspector(raws[0]) == facts_of(raws[0], R4, BASES)


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
