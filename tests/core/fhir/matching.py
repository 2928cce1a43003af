"""Short ways to put a search term to a resource, and trees of every shape."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from gateway.core.fhir.match import satisfies, tells
from gateway.core.values import Term
from gateway.mapping import load_catalogue

R4 = load_catalogue("R4")
BASES = ("https://gw.example/fhir",)
TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.sampled_from(["x", "2026", "Patient/a", "9999-12-31T23:59:60+14:00"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["coding", "code", "system", "value", "start", "end", "event", "reference"]),
            inner,
            max_size=3,
        )
    ),
)


def term(text: str) -> Term:
    key, _, value = text.partition("=")
    name, _, modifier = key.partition(":")
    parts = value.replace("\\,", "\0").split(",")
    return Term(name, tuple(p.replace("\0", "\\,") for p in parts), modifier or None)


def told(resource: Any, text: str) -> bool | None:
    return tells(R4, resource, term(text), BASES)


def holds(resource: dict[str, Any], text: str) -> bool:
    return satisfies(R4, resource, term(text), BASES)
