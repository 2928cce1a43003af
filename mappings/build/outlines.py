"""The outline table: which top-level elements of each type are in its summary, and which are mandatory.

Elements keep the order of the definition. What JSON spells with its type stands once for each type.
"""

from __future__ import annotations

from mappings.build.definitions import Definitions, Element


def outline_table(definitions: Definitions) -> dict[str, dict[str, list[str]]]:
    """{type: {"summary": [name], "mandatory": [name]}} with every concrete type present."""
    return {
        type_: {
            "summary": [name for e in elements if e.summary for name in _spellings(e)],
            "mandatory": [name for e in elements if e.mandatory for name in _spellings(e)],
        }
        for type_, elements in sorted(definitions.types.items())
    }


def _spellings(element: Element) -> list[str]:
    if not element.choice:
        return [element.name]
    return [element.name + kind[0].upper() + kind[1:] for kind in element.types]
