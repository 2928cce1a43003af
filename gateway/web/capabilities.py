"""The CapabilityStatement: what this gateway answers, and nothing of the server behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

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
                "resource": [_resource(catalogue, type_, public_base) for type_ in _served(catalogue)],
            }
        ],
    }


def _served(catalogue: Catalogue) -> list[str]:
    return sorted(t for t in catalogue.types if catalogue.access(t).kind != "denied")


OPERATIONS: Final = {
    "MedicationRequest": {
        "confirm": "GET on a prescription, by the pharmacy to which it was presented: is it valid, how often "
        "may it still be dispensed, may it be substituted, does its drug interact with another one."
    }
}
"""By type, the operations on single resources, with what each is about."""


def _resource(catalogue: Catalogue, type_: str, public_base: str) -> dict[str, Any]:
    stated = _interactions(catalogue, type_)
    if type_ in OPERATIONS:
        stated["operation"] = [
            {
                "name": name,
                # A canonical address, which need not lead anywhere (references.html#canonical).
                "definition": f"{public_base}/OperationDefinition/{type_}-{name}",
                "documentation": what,
            }
            for name, what in OPERATIONS[type_].items()
        ]
    return stated


def _interactions(catalogue: Catalogue, type_: str) -> dict[str, Any]:
    params = sorted(catalogue.params(type_).values(), key=lambda param: param.name)
    return {
        "type": type_,
        "interaction": [{"code": code} for code in ("read", "vread", "search-type")],
        "versioning": "versioned",
        "conditionalRead": "not-match",
        "searchParam": [{"name": p.name, "type": p.type} for p in params if p.type != "special"],
    }
