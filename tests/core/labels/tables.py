"""The sensitivity tables as the gateway reads them, for tests."""

from __future__ import annotations

from typing import Any

from gateway.core.fhir.addresses import Bases
from gateway.core.labels.findings import Policy
from gateway.core.labels.labeller import Labeller
from gateway.mapping import load_catalogue, load_labeller

BASES = Bases("https://gw.example/fhir", "http://upstream.internal:8080/fhir")


def labeller(**settings: Any) -> Labeller:
    named: dict[str, Any] = {
        name: frozenset(value) if isinstance(value, list) else value for name, value in settings.items()
    }
    return load_labeller(Policy(**named), BASES, load_catalogue("R4"))
