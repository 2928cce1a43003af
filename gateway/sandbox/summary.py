"""Which top-level elements of a type are required or belong to its summary, by the HL7 definitions.

Read from the `fhir.resources` models (R4B stands in for R4, which it only adds to); a type that they
do not have shows `id` and `meta` alone. Nothing here is on the path of an ordinary read.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Elements:
    required: frozenset[str] = frozenset()
    summary: frozenset[str] = frozenset()


@functools.cache
def elements_of(type: str) -> Elements:
    from fhir.resources.R4B import get_fhir_model_class  # slow to import, and seldom wanted

    try:
        model: Any = get_fhir_model_class(type)
    except KeyError:
        return Elements()
    fields = {f.alias or n: f for n, f in model.model_fields.items()}
    required = {n for n, f in fields.items() if f.is_required() or _extra(f).get("element_required")}
    return Elements(frozenset(required), frozenset(model.summary_elements_sequence()) | required)


def _extra(field: Any) -> dict[str, Any]:
    return field.json_schema_extra or {}
