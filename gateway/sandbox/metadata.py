"""The CapabilityStatement of the sandbox: what it really does, per type, from the search parameters."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from gateway.core.fhir.catalogue import Catalogue, Param
from gateway.sandbox.document import instant
from gateway.sandbox.message import Reply

_INTERACTIONS = (
    "read",
    "vread",
    "update",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
)
_SYSTEM = ("transaction", "batch", "history-system")
_COMMON = ("_id", "_lastUpdated", "_profile", "_security", "_source", "_tag")


def statement(catalogue: Catalogue, base: str, now: datetime) -> Reply:
    """The statement of one server address."""
    tree = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(now),
        "kind": "instance",
        "software": {"name": "Sandbox FHIR server, synthetic data only, no access control"},
        "implementation": {"description": "For the demonstration and the tests", "url": base},
        "fhirVersion": catalogue.version,
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "resource": [_resource(catalogue, type) for type in sorted(catalogue.types)],
                "interaction": [{"code": code} for code in _SYSTEM],
            }
        ],
    }
    return Reply(200, msgspec.json.encode(tree))


def _resource(catalogue: Catalogue, type: str) -> dict[str, Any]:
    params = {name: catalogue.param(type, name) for name in (*_COMMON, *sorted(catalogue.params(type)))}
    known = [p for p in params.values() if p is not None and p.paths]
    return {
        "type": type,
        "interaction": [{"code": code} for code in _INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "single",
        "searchInclude": ["*", *(f"{type}:{p.name}" for p in known if p.type == "reference")],
        "searchParam": [_param(p) for p in known],
    }


def _param(param: Param) -> dict[str, str]:
    return {"name": param.name, "type": param.type}
