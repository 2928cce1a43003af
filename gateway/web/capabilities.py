"""The CapabilityStatement: what this gateway answers, and nothing of the server behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway import __version__
from gateway.core.fhir.catalogue import Catalogue


def capability_statement(
    catalogue: Catalogue, public_base: str, date: str, security: Mapping[str, object]
) -> dict[str, Any]:
    """The statement for one upstream (FHIR capabilitystatement.html). `date` is when this gateway started,
    `security` what its authorization server says of itself."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": {"name": "Consentry", "version": __version__},
        "implementation": {"description": "Consentry FHIR gateway", "url": public_base},
        "fhirVersion": catalogue.version,
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "security": security,
                "resource": [_resource(catalogue, type_) for type_ in _served(catalogue)],
            }
        ],
    }


def _served(catalogue: Catalogue) -> list[str]:
    return sorted(t for t in catalogue.types if catalogue.access(t).kind != "denied")


def _resource(catalogue: Catalogue, type_: str) -> dict[str, Any]:
    params = sorted(catalogue.params(type_).values(), key=lambda param: param.name)
    return {
        "type": type_,
        "interaction": [{"code": code} for code in ("read", "vread", "search-type")],
        "versioning": "versioned",
        "conditionalRead": "not-match",
        "searchParam": [{"name": p.name, "type": p.type} for p in params if p.type != "special"],
    }
