"""Edits of one resource, gathered place by place and applied to its bytes at once.

Indexes are those of the bytes as they came, whatever else is cut. An edit of a whole value wins over edits
inside it, and to leave a value out wins over all else.
"""

from __future__ import annotations

from typing import Any

from gateway.core.fhir.codec import DROP, Edit, apply_edit
from gateway.core.fhir.scan import Place

Edits = dict["str | int", Any]
"""An `Edit` that is still added to: keys and indexes to edits, or to more of the same."""


def put(edits: Edits, place: Place, edit: Edit) -> None:
    """Adds `edit` at `place`."""
    node = edits
    for step in place[:-1]:
        node = node.setdefault(step, {})
        if not isinstance(node, dict):
            return
    if node.get(place[-1]) is not DROP:
        node[place[-1]] = edit


def applied(raw: bytes, edits: Edits) -> bytes:
    """The resource `raw` after `edits`, none of which takes its type or id; `raw` itself without any."""
    if not edits:
        return raw
    left = apply_edit(raw, edits)
    assert left is not None, "resourceType and id are never edited"
    return left
