"""Entity tags speak of released bytes only; conditions are answered from them."""

from __future__ import annotations

import pytest

from gateway.core.canon import sha256
from gateway.core.fhir.conditional import entity_tag, http_date, modified_s, unchanged

AT = 1_767_225_600  # 2026-01-01T00:00:00Z
INSTANTS = {
    "2026-01-01T00:00:00Z": AT,
    "2026-01-01T00:00:00.999Z": AT,
    "2026-01-01T01:00:00+01:00": AT,
    "2026-01-01T00:00:01Z": AT + 1,
    "2026-01-01T00:00:00": None,
    "2026": None,
    "yesterday": None,
    "9999-12-31T23:59:59-14:00": None,
    "0001-01-01T00:00:00+14:00": None,
    "": None,
}


@pytest.mark.parametrize(("text", "seconds"), INSTANTS.items(), ids=INSTANTS)
def test_last_updated_in_seconds(text: str, seconds: int | None) -> None:
    assert modified_s(text) == seconds


def test_no_last_updated() -> None:
    assert modified_s(None) is None


def test_http_date() -> None:
    assert http_date(AT) == "Thu, 01 Jan 2026 00:00:00 GMT"


def test_other_bytes_have_another_tag() -> None:
    assert entity_tag(sha256(b"{}")) == entity_tag(sha256(b"{}"))
    assert entity_tag(sha256(b"{}")) != entity_tag(sha256(b"{} "))


TAG = entity_tag(sha256(b"{}"))
CONDITIONS = [
    ("nothing asked", (), None, False),
    ("the same tag", (TAG,), None, True),
    ("one of several tags", ("x", TAG), None, True),
    ("another tag", ("x",), None, False),
    ("any tag", ("*",), None, True),
    ("not since then", (), AT, True),
    ("since just before", (), AT - 1, False),
    ("another tag goes before the time", ("x",), AT + 100, False),
    ("the same tag goes before the time", (TAG,), AT - 100, True),
]


@pytest.mark.parametrize(
    ("tags", "since", "known"), [row[1:] for row in CONDITIONS], ids=[row[0] for row in CONDITIONS]
)
def test_unchanged(tags: tuple[str, ...], since: int | None, known: bool) -> None:
    assert unchanged(TAG, AT, tags, since) is known


def test_a_record_without_a_time_is_never_unchanged_since() -> None:
    assert not unchanged(TAG, None, (), AT)
