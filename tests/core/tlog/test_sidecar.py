from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.canon import Json, b64url, canonical, parse_canonical, sha256_text
from gateway.core.tlog.entry import Entry
from gateway.core.tlog.sidecar import Sidecar, encode_sidecar
from gateway.errors import VerificationFailed
from tests.core.tlog.support import load, make_entry

DOCUMENT = '{"resourceType":"Consent","status":"active"}'
BUILT = make_entry(1, "consent.grant", pat="Patient/123", doc=sha256_text(DOCUMENT.encode()))
ENTRY = Entry.parse(BUILT.leaf)
SIDECAR = Sidecar(BUILT.disclosures, BUILT.digests, {"doc": DOCUMENT})
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def members() -> dict[str, Json]:
    value = parse_canonical(SIDECAR.encode())
    assert isinstance(value, dict)
    return value


def test_the_facts_of_an_entry_come_back() -> None:
    sidecar = Sidecar.parse(SIDECAR.encode())
    assert sidecar == SIDECAR
    assert sidecar.check(ENTRY) == {"pat": "Patient/123", "doc": sha256_text(DOCUMENT.encode())}
    assert sidecar.attachments["doc"] == DOCUMENT


def test_the_form_is_canonical_json() -> None:
    assert members() == {
        "a": {"doc": DOCUMENT},
        "d": [*BUILT.disclosures],
        "g": b64url(b"".join(BUILT.digests)),
    }


def test_what_was_just_built_is_encoded_the_same_way() -> None:
    assert encode_sidecar(BUILT.disclosures, BUILT.digests, {"doc": DOCUMENT}) == SIDECAR.encode()
    assert encode_sidecar(BUILT.disclosures, BUILT.digests, {}) == replace(SIDECAR, attachments={}).encode()
    with pytest.raises(ValueError, match="doc, rids or rsn"):
        encode_sidecar(BUILT.disclosures, BUILT.digests, {"pat": "x"})


@given(st.lists(TEXT, max_size=16), st.dictionaries(st.sampled_from(["doc", "rids"]), TEXT))
def test_sidecars_round_trip(disclosures: list[str], attachments: dict[str, str]) -> None:
    sidecar = Sidecar(tuple(disclosures), BUILT.digests, attachments)
    assert Sidecar.parse(sidecar.encode()) == sidecar


@pytest.mark.parametrize("text", [DOCUMENT + " ", "", DOCUMENT.replace("active", "inactive")])
def test_an_altered_attachment_is_found(text: str) -> None:
    with pytest.raises(VerificationFailed, match="attachment doc"):
        Sidecar(BUILT.disclosures, BUILT.digests, {"doc": text}).check(ENTRY)


def test_an_attachment_needs_its_fact() -> None:
    without = make_entry(2, "consent.grant", pat="Patient/123")
    with pytest.raises(VerificationFailed, match="attachment doc"):
        Sidecar(without.disclosures, without.digests, {"doc": DOCUMENT}).check(Entry.parse(without.leaf))


def test_the_lines_of_released_versions_are_attached_too() -> None:
    lines = "Observation/1/1 " + "0" * 64
    built = make_entry(3, rids=sha256_text(lines.encode()))
    sidecar = Sidecar(built.disclosures, built.digests, {"rids": lines})
    assert sidecar.check(Entry.parse(built.leaf)) == {"rids": sha256_text(lines.encode())}


def test_the_sidecar_of_another_entry_is_refused() -> None:
    other = make_entry(4, "consent.grant", pat="Patient/123")
    with pytest.raises(VerificationFailed, match="not those it commits to"):
        SIDECAR.check(Entry.parse(other.leaf))


CHANGES: dict[str, dict[str, Json]] = {
    "unknown member": {"x": 1},
    "attachments as list": {"a": []},
    "unknown attachment": {"a": {"pat": "x"}},
    "attachment not text": {"a": {"doc": 1}},
    "disclosures as text": {"d": "x"},
    "disclosure not text": {"d": [1]},
    "digests as list": {"g": []},
    "no digests": {"g": ""},
    "fifteen digests": {"g": b64url(b"".join(BUILT.digests[:-1]))},
    "seventeen digests": {"g": b64url(b"".join(BUILT.digests) + b"\xff" * 32)},
    "half a digest more": {"g": b64url(b"".join(BUILT.digests) + b"\xff" * 16)},
    "unsorted digests": {"g": b64url(b"".join(BUILT.digests[::-1]))},
    "padded digests": {"g": b64url(b"".join(BUILT.digests)) + "="},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_refused_sidecars(change: dict[str, Json]) -> None:
    with pytest.raises(ValueError):
        Sidecar.parse(canonical(members() | change))


@pytest.mark.parametrize("name", ["a", "d", "g"])
def test_every_member_is_needed(name: str) -> None:
    rest = members()
    del rest[name]
    with pytest.raises(ValueError):
        Sidecar.parse(canonical(rest))


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b" " + SIDECAR.encode(), SIDECAR.encode() + b"\n"])
def test_refused_bytes(data: bytes) -> None:
    with pytest.raises(ValueError):
        Sidecar.parse(data)


def test_the_sidecar_of_the_published_entry_is_small_and_not_printed() -> None:
    facts = load("entry_read_permit.json")["facts"]
    built = make_entry(5, **facts)
    assert len(Sidecar(built.disclosures, built.digests).encode()) < 2000
    assert "WyJ" not in repr(SIDECAR)
    assert "Consent" not in repr(SIDECAR)
