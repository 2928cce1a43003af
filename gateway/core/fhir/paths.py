"""Element paths into the FHIR JSON tree: the part of FHIRPath that search parameters need.

A path is dotted element names as JSON spells them (`component.valueQuantity`); the last or any step
may carry one filter: `telecom[system=phone]` keeps objects whose `system` is `phone`, and
`subject[->Patient]` keeps references to a Patient. Lists are walked through.

Nothing here raises on odd data: what does not have the expected shape is not found. That a
reference is to *our* Patient is not decided here, see `compartment`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_STEP = re.compile(r"([a-z][A-Za-z]*)(?:\[([a-z][A-Za-z]*)=([a-z\-]+)\]|\[->([A-Z][A-Za-z]*)\])?")


@dataclass(frozen=True, slots=True)
class Step:
    """One element name and at most one filter: a pair to match, or a type to refer to."""

    name: str
    where: tuple[str, str] | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path; `Path.parse(text).text == text`."""

    text: str
    steps: tuple[Step, ...]

    @classmethod
    def parse(cls, text: str) -> Path:
        """`text` as a path. Raises ValueError when it is not one."""
        return cls(text, tuple(_parse_step(s) for s in text.split(".")))


def walk(resource: object, path: Path) -> Iterator[object]:
    """The values at `path`, in document order; lists are opened, nulls are left out."""
    found = [resource]
    for step in path.steps:
        found = _children(found, step.name)
        if step.where is not None:
            name, value = step.where
            found = [v for v in found if isinstance(v, dict) and v.get(name) == value]
        elif step.target is not None:
            found = [v for v in found if referred_type(v) == step.target]
        if not found:
            break
    return iter(found)


def referred_type(value: object) -> str | None:
    """The type a Reference says it points at, on whatever server: `https://x/fhir/Patient/1` says Patient."""
    reference = value.get("reference") if isinstance(value, dict) else None
    if not isinstance(reference, str):
        return None
    parts = reference.split("/")
    if len(parts) >= 4 and parts[-2] == "_history":
        parts = parts[:-2]
    return parts[-2] if len(parts) >= 2 else None


def _parse_step(text: str) -> Step:
    found = _STEP.fullmatch(text)
    if found is None:
        raise ValueError(f"not a path step: {text!r}")
    name, key, value, target = found.groups()
    return Step(name, None if key is None else (key, value), target)


def _children(nodes: list[object], name: str) -> list[object]:
    found: list[object] = []
    for node in nodes:
        value = node.get(name) if isinstance(node, dict) else None
        if isinstance(value, list):
            # FHIR has no lists of lists; one inside is odd data and is not found.
            found += [v for v in value if v is not None and not isinstance(v, list)]
        elif value is not None:
            found.append(value)
    return found
