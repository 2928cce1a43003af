"""The short way through a plain resource says what the long way says, or nothing."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.fhir import facts as facts_module
from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.codec import CodecError
from gateway.core.fhir.facts import Facts, facts_of
from gateway.core.fhir.plain import MAX_BYTES, read_plain
from gateway.core.values import Label
from gateway.mapping import load_catalogue

R4, R5 = load_catalogue("R4"), load_catalogue("R5")
BASES = Bases("https://gw.example/fhir", "http://upstream.internal:8080/fhir")
PEOPLE = Path(__file__).parents[3] / "fixtures" / "people"

CODING = {"system": "http://loinc.org", "code": "15074-8", "display": "Glucose"}
QUANTITY = {"value": 7.5, "unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L"}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "x",
    "meta": {
        "versionId": "1",
        "lastUpdated": "2025-02-03T09:00:00Z",
        "security": [{"system": "s", "code": "c"}],
    },
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">\u00e5</div>'},
    "extension": [{"url": "http://x.example/e", "extension": [{"url": "y", "valueCoding": CODING}]}],
    "identifier": [{"system": "http://x.example/id", "value": "1"}],
    "status": "final",
    "category": [{"coding": [CODING]}],
    "code": {"coding": [CODING], "text": "Glucose"},
    "subject": {"reference": "Patient/a", "display": "A."},
    "encounter": {"reference": "Encounter/e"},
    "performer": [{"reference": "Practitioner/p", "display": "Dr."}],
    "valueQuantity": QUANTITY,
    "component": [{"code": {"text": "part"}, "valueQuantity": QUANTITY}],
}
ENCOUNTER: dict[str, Any] = {
    "resourceType": "Encounter",
    "id": "e",
    "status": "finished",
    "class": {"system": "s", "code": "AMB"},
    "subject": {"reference": "Patient/a"},
    "participant": [{"individual": {"reference": "Practitioner/p", "display": "Dr."}}],
    "location": [{"location": {"reference": "Location/l"}}],
}
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "a",
    "identifier": [{"system": "http://x.example/id", "value": "1"}],
    "name": [{"family": "A", "given": ["B"]}],
    "address": [{"extension": [{"url": "geo", "valueDecimal": 1.5}], "city": "C"}],
    "generalPractitioner": [{"reference": "Practitioner/p"}],
}


def compact(tree: Any) -> bytes:
    return json.dumps(tree, separators=(",", ":"), ensure_ascii=False).encode()


def short(raw: bytes) -> bool:
    return read_plain(raw, R4, BASES) is not None


def outcome(raw: bytes, release: Any = R4, bases: Bases = BASES) -> Facts | type[CodecError]:
    try:
        return facts_of(raw, release, bases)
    except CodecError:
        return CodecError


def assert_same_both_ways(raw: bytes, release: Any = R4, bases: Bases = BASES) -> None:
    found = outcome(raw, release, bases)
    with patch.object(facts_module, "read_plain", lambda *_: None):
        assert found == outcome(raw, release, bases)


# --- What is plain ---------------------------------------------------------------------------------


@pytest.mark.parametrize("tree", [OBSERVATION, ENCOUNTER, PATIENT], ids=lambda tree: tree["resourceType"])
def test_common_records_are_plain(tree: dict[str, Any]) -> None:
    assert short(compact(tree))
    assert_same_both_ways(compact(tree))


def test_what_is_found_in_a_plain_record() -> None:
    found = facts_of(compact(OBSERVATION), R4, BASES)
    assert (found.version, found.updated) == ("1", "2025-02-03T09:00:00Z")
    assert found.owners == {"a"}
    assert found.labels == {Label("s", "c")}
    assert not found.mentions
    assert not found.narratives


OB = compact(OBSERVATION)


def with_(change: bytes, instead_of: bytes, raw: bytes = OB) -> bytes:
    assert raw.count(instead_of) >= 1
    return raw.replace(instead_of, change, 1)


LONG_WAY = {
    "a key twice": with_(b'"id":"x","id":"x"', b'"id":"x"'),
    "a key twice, deep inside": with_(b'"code":{"text":"other","text":"part"}', b'"code":{"text":"part"}'),
    "a key twice, once escaped": with_(b'"id":"x","\\u0069d":"x"', b'"id":"x"'),
    "another subject before the subject": with_(
        b'"subject":{"reference":"Patient/b"},"subject"', b'"subject"'
    ),
    "a second reference": with_(
        b'"reference":"Patient/b","reference":"Patient/a"', b'"reference":"Patient/a"'
    ),
    "an escaped reference": with_(b'{"\\u0072eference":"Encounter/e"}', b'{"reference":"Encounter/e"}'),
    "an escaped slash": with_(b"Encounter\\/e", b"Encounter/e"),
    "an escaped letter in a value": with_(b"Encount\\u0065r/e", b"Encounter/e"),
    "a lone surrogate": with_(b'"part\\ud800"', b'"part"'),
    "a lone surrogate in UTF-8": with_(b'"part\xed\xa0\x80"', b'"part"'),
    "a surrogate pair": with_(b'"\\ud83d\\ude00"', b'"part"'),
    "not UTF-8": with_(b'"part\xff"', b'"part"'),
    "an overlong encoding": with_(b'"part\xc0\xaf"', b'"part"'),
    "a NUL": with_(b'"part\\u0000"', b'"part"'),
    "the text u0000 after a backslash": with_(b'"part\\\\u0000"', b'"part"'),
    "a raw control character": with_(b'"part\x01"', b'"part"'),
    "NaN": with_(b"NaN", b"7.5"),
    "infinity": with_(b"1e999", b"7.5"),
    "a number as text": with_(b'"7.5"', b"7.5"),
    "a number with an exponent": with_(b"75e-1", b"7.5"),
    "a leading zero": with_(b"07.5", b"7.5"),
    "null": with_(b"null", b"7.5"),
    "white space": with_(b'"id": "x"', b'"id":"x"'),
    "white space at the end": OB + b"\n",
    "a byte order mark": b"\xef\xbb\xbf" + OB,
    "two documents": OB + OB,
    "half a document": OB[:-1],
    "another order": compact(dict(reversed(OBSERVATION.items()))),
    "an unknown member": with_(b'"final","note2":1', b'"final"'),
    "an extended primitive": with_(b'"final","_status":{"extension":[]}', b'"final"'),
    "an empty list": with_(b'"final","basedOn":[]', b'"final"'),
    "something contained": with_(b'"contained":[{"resourceType":"Patient"}],"extension"', b'"extension"'),
    "a coding of a display alone": with_(b'{"display":"Glucose"}', compact(CODING)),
    "a reference by identifier": with_(b'{"identifier":{"value":"1"}}', b'{"reference":"Encounter/e"}'),
    "a reference of a display alone": with_(b'{"display":"E."}', b'{"reference":"Encounter/e"}'),
    "a typed reference": with_(b'"Encounter/e","type":"Patient"', b'"Encounter/e"'),
    "an extension's valueUrl": with_(b'"url":"y","valueUrl":"http://10.0.0.1/"', b'"url":"y"'),
    "an extension's reference": with_(b'"url":"y","valueReference":{"reference":"Patient/b"}', b'"url":"y"'),
    "a subject of another server": with_(b"http://x.example/Patient/a", b"Patient/a"),
    "a version of the subject": with_(b"Patient/a/_history/1", b"Patient/a"),
    "the upstream's host": with_(b"see upstream.internal", b"part"),
    "the upstream's host in capitals": with_(b"see UPSTREAM.Internal", b"part"),
    "the upstream's host with a Turkish i": with_("see upstream.\u0130nternal".encode(), b"part"),
    "an id of dots": with_(b'"id":".."', b'"id":"x"'),
    "no id": with_(b"", b'"id":"x",'),
    "a type of no shape": with_(b"Questionnaire", b"Observation"),
    "an unknown type": with_(b"Nonsense", b"Observation"),
    "too long": with_(b"x" * MAX_BYTES, b"part"),
    "very deep": with_(b"[" * 100_000, b"7.5"),
    "no object": b"[]",
    "nothing": b"",
}


@pytest.mark.parametrize("raw", LONG_WAY.values(), ids=LONG_WAY)
def test_anything_else_goes_the_long_way(raw: bytes) -> None:
    assert not short(raw)
    assert_same_both_ways(raw)


# Near misses of those above, which are as plain as before.
STILL_PLAIN = {
    "a number with more digits": with_(b"7.50", b"7.5"),
    "a long number": with_(b"12345678901234567890.123456789012345678901", b"7.5"),
    "minus zero": with_(b"-0.0", b"7.5"),
    "an integer": with_(b"7", b"7.5"),
    "a quotation mark, a line break and a backslash": with_(b'"part\\"\\n\\\\"', b'"part"'),
    "a control character, escaped": with_(b'"part\\u0001"', b'"part"'),
    "beyond the first plane": with_("\U0001f600".encode(), b"part"),
    "a text that speaks of a display": with_(b'{\\"display\\":\\"d\\"}', b"part"),
    "another host": with_(b"see downstream.internal", b"part"),
    "no labels": with_(b"", b',"security":[{"system":"s","code":"c"}]'),
    "no meta": compact({name: value for name, value in OBSERVATION.items() if name != "meta"}),
    "a profile": with_(b'"profile":["http://x.example/p"],"security"', b'"security"'),
    "nobody's": with_(b"", b'"subject":{"reference":"Patient/a","display":"A."},'),
}


@pytest.mark.parametrize("raw", STILL_PLAIN.values(), ids=STILL_PLAIN)
def test_near_misses_are_plain(raw: bytes) -> None:
    assert short(raw)
    assert_same_both_ways(raw)


REFERENCES = [
    "Patient/a", "Patient/b", "Patient/A", "patient/a", "Patient/a2", "Patient/", "Patient", "Patient/..",
    "Patient/a/", "Patient/a/_history/1", "Patient/a#1", "Patient/a|1", "Patient?identifier=1", "#a", "#", "",
    "RelatedPerson/r", "Person/p", "Practitioner/p", "Practitioner/..", "Organization/o", "Encounter/e",
    "Group/g", "Nonsense/n", "Encounter/" + "e" * 64, "Encounter/" + "e" * 65, "urn:uuid:1", "Encounter/e ",
    "E" + "e" * 63 + "/" + "e" * 64, "https://gw.example/fhir/Patient/a", "https://x.example/Patient/a", "http://upstream.internal:8080/fhir/Patient/a",
]  # fmt: skip


@pytest.mark.parametrize("text", REFERENCES)
@pytest.mark.parametrize("display", [{}, {"display": "d"}], ids=["bare", "spoken of"])
@pytest.mark.parametrize("place", ["subject", "encounter", "performer", "individual"])
def test_references_mention_whom_they_mention_the_long_way(
    text: str, display: dict[str, str], place: str
) -> None:
    one = {"reference": text, **display}
    if place == "individual":
        tree = {**ENCOUNTER, "participant": [{"individual": {"reference": "Practitioner/p"}}, {place: one}]}
    else:
        tree = {**OBSERVATION, place: [one] if place == "performer" else one}
    for release in (R4, R5):
        assert_same_both_ways(compact(tree), release)


def test_all_fixtures_are_the_same_both_ways() -> None:
    trees = [tree for file in sorted(PEOPLE.glob("*.json")) for tree in json.loads(file.read_text())]
    assert sum(short(compact(tree)) for tree in trees) > len(trees) / 2
    for tree in trees:
        assert_same_both_ways(compact(tree))
        assert_same_both_ways(json.dumps(tree).encode())


# --- Laws ------------------------------------------------------------------------------------------

NAMES = st.sampled_from([
    "reference", "_reference", "display", "_display", "identifier", "_identifier", "type", "id", "extension",
    "url", "valueUrl", "valueReference", "contained", "code", "coding", "system", "text", "div", "subject",
    "meta", "security", "tag", "profile", "assigner", "resourceType", "class", "individual", "note", "issued",
])  # fmt: skip
TEXTS = st.sampled_from(
    [*REFERENCES, "x", "http://upstream.internal/x", "http://10.0.0.1/", "\u0130", "Patient"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False, width=16) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)


def containers(node: Any) -> Iterator[Any]:
    if isinstance(node, (dict, list)):
        yield node
        for value in node.values() if isinstance(node, dict) else node:
            yield from containers(value)


@given(st.sampled_from([OBSERVATION, ENCOUNTER, PATIENT]), st.data())
def test_a_record_with_something_changed_is_the_same_both_ways(
    base: dict[str, Any], data: st.DataObject
) -> None:
    tree = copy.deepcopy(base)
    for _ in range(data.draw(st.integers(1, 3))):
        places = [place for place in containers(tree) if place]
        where = data.draw(st.sampled_from(places))
        if isinstance(where, list):
            where[data.draw(st.integers(0, len(where) - 1))] = data.draw(VALUES)
        else:
            name = data.draw(NAMES | st.sampled_from(sorted(where)))
            where[name] = copy.deepcopy(data.draw(VALUES | st.sampled_from(places)))
    assert_same_both_ways(compact(tree), data.draw(st.sampled_from([R4, R5])))


PIECES = [
    b'"', b"\\", b"\\u0000", b"\\u0072", b"\\ud800", b"\\/", b"{", b"}", b"[", b"]", b",", b":", b" ",
    b"\x00", b"\xff", b"\xc3\xa9", b"null", b"1", b".", b'"id":"x",', b'"reference":"Patient/b",',
]  # fmt: skip


@given(st.sampled_from([OBSERVATION, ENCOUNTER, PATIENT]), st.data())
def test_bytes_with_something_changed_are_the_same_both_ways(
    base: dict[str, Any], data: st.DataObject
) -> None:
    raw = compact(base)
    for _ in range(data.draw(st.integers(1, 2))):
        start = data.draw(st.integers(0, len(raw)))
        end = data.draw(st.integers(start, min(len(raw), start + 12)))
        piece = data.draw(st.sampled_from([b"", *PIECES]) | st.just(raw[start:end] * 2))
        raw = raw[:start] + piece + raw[end:]
    assert_same_both_ways(raw)
