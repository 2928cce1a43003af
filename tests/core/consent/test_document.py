from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.canon import canonical
from gateway.core.consent.document import format_document, parse
from gateway.core.consent.rule import Consent, Effect, Match, Node, Period
from gateway.core.values import Scope
from tests.core.consent.build import deny, permit, placed, rule, scope

EXAMPLE = (
    '{"effect":"permit","except":[],"from":null,"grantees":["client:app-1"],"id":"c-1","labels":[],'
    '"patient":"pat-a","purposes":["TREAT"],"scopes":["patient/*.rs"],"supersedes":[],'
    '"until":1798761599,"v":1}'
)


def read_scope(text: str) -> Scope:
    """A strict stand-in for the SMART parser."""
    found = scope(text)
    if not text.startswith("patient/") or not found.operations:
        raise ValueError("not a scope")
    return found


def test_the_example_of_the_docstring() -> None:
    consent = parse(EXAMPLE, read_scope)
    assert consent == Consent(
        "c-1",
        "pat-a",
        permit(actors="client:app-1", purposes="TREAT", scopes="patient/*.rs"),
        Period(None, 1798761599),
    )
    assert format_document(consent) == EXAMPLE


def test_exceptions_keep_their_places_and_periods() -> None:
    root = permit(deny(permit(period=Period(1, 2)), labels="HIV"), deny(purposes="HRESCH"))
    consent = rule(root, period=Period(0), supersedes=["a", "b"])
    assert parse(format_document(consent), read_scope) == consent


TOP = json.loads(EXAMPLE)
BAD: list[tuple[str, dict[str, Any]]] = [
    ("another version", {"v": 2}),
    ("a version that is true", {"v": True}),
    ("no id", {"id": ""}),
    ("a bad id", {"id": "a b"}),
    ("a bad patient", {"patient": "Patient/1"}),
    ("another effect", {"effect": "allow"}),
    ("a grantee of no kind", {"grantees": ["app-1"]}),
    ("a grantee that is a number", {"grantees": [1]}),
    ("grantees not a list", {"grantees": "client:app-1"}),
    ("grantees twice", {"grantees": ["client:a", "client:a"]}),
    ("grantees unsorted", {"grantees": ["client:b", "client:a"]}),
    ("a scope that does not parse", {"scopes": ["everything"]}),
    ("an empty scope", {"scopes": [""]}),
    ("a label of no form", {"labels": ["a b"]}),
    ("a period that is a text", {"until": "2027"}),
    ("a period that is true", {"until": True}),
    ("ends before it begins", {"from": 2, "until": 1}),
    ("an end that cannot be written", {"until": 2**53 - 1}),
    ("supersedes itself", {"supersedes": ["c-1"]}),
    ("exceptions not a list", {"except": {}}),
    ("an exception with an id", {"except": [TOP]}),
    ("an exception without an effect", {"except": [{}]}),
    ("a member more", {"note": ""}),
]


@pytest.mark.parametrize("change", [row[1] for row in BAD], ids=[row[0] for row in BAD])
def test_other_texts_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(canonical({**TOP, **change}).decode(), read_scope)


@pytest.mark.parametrize("name", sorted(TOP))
def test_every_member_is_needed(name: str) -> None:
    with pytest.raises(ValueError, match="members"):
        parse(canonical({key: value for key, value in TOP.items() if key != name}).decode(), read_scope)


@pytest.mark.parametrize(
    "text",
    [EXAMPLE + " ", " " + EXAMPLE, json.dumps(TOP), EXAMPLE.replace('"v":1', '"v":1,"v":1'),
     EXAMPLE.replace("1798761599", "1798761599.0"), EXAMPLE.replace("TREAT", "\\u0054REAT"),
     "", "null", "[]"],
)  # fmt: skip
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text, read_scope)


def test_depth_has_a_limit() -> None:
    def nested(levels: int) -> Consent:
        root = permit()
        for _ in range(levels):
            root = placed(permit(), [root])
        return rule(root)

    assert parse(format_document(nested(16)), read_scope) == nested(16)
    with pytest.raises(ValueError, match="deeply"):
        parse(format_document(nested(17)), read_scope)


TIMES = st.integers(0, 2_000_000_000)
PERIODS = st.one_of(
    st.builds(Period, TIMES),
    st.builds(Period, st.none(), TIMES),
    st.builds(lambda start, length: Period(start, start + length), TIMES, TIMES),
    st.just(Period()),
)
MATCHES = st.builds(
    Match,
    st.frozensets(st.sampled_from(["client:a", "client:b@https://i.example", "organization:o"])),
    st.frozensets(st.sampled_from(["TREAT", "HRESCH"])),
    st.lists(st.sampled_from(["patient/*.rs", "patient/Observation.r"]), unique=True).map(
        lambda texts: tuple(map(scope, texts))
    ),
    st.frozensets(st.sampled_from(["HIV", "R", "https://x.example|Z"])),
)
LEAVES = st.builds(Node, st.sampled_from(Effect), MATCHES)
INNER = st.builds(
    lambda node, period: Node(
        node.effect, Match(node.match.actors, node.match.purposes, (), node.match.labels, period)
    ),
    LEAVES,
    PERIODS,
)
CONSENTS = st.builds(
    lambda root, inner, period, others: rule(placed(root, inner), period=period, supersedes=others),
    LEAVES,
    st.lists(INNER, max_size=3),
    PERIODS,
    st.frozensets(st.sampled_from(["x", "y"])),
)


@given(CONSENTS)
def test_what_is_written_is_read_and_written_the_same(consent: Consent) -> None:
    text = format_document(consent)
    assert parse(text, read_scope) == consent
    assert format_document(parse(text, read_scope)) == text
