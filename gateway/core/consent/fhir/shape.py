"""Where R4 and R5 put what a Consent says: the differences between the releases, as a table.

R4B is R4 here. An element that a release does not have is refused there, whatever another says by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.core.fhir.catalogue import Release

ACTIVE, UNKNOWN = "active", "unknown"

_RESOURCE = frozenset(
    {"resourceType", "id", "meta", "implicitRules", "language", "text", "contained", "identifier", "status"}
)
_DIMENSIONS = frozenset(
    {"period", "actor", "action", "securityLabel", "purpose", "code", "dataPeriod", "data", "provision"}
)


@dataclass(frozen=True, slots=True)
class Shape:
    """Names of elements. `classes` are those of a provision that name types; `policy` has its address in
    `address`. `flat`: the consent has no provision of its own at the root, and nested ones have no type."""

    subject: str
    agreed: str
    signed: str
    enforcers: tuple[str, ...]
    base: str
    policy: str
    address: str
    statuses: frozenset[str]
    members: frozenset[str]
    provision: frozenset[str]
    classes: tuple[str, ...]
    flat: bool


_R4: Final = Shape(
    subject="patient",
    agreed="performer",
    signed="dateTime",
    enforcers=("organization",),
    base="policyRule",
    policy="policy",
    address="uri",
    statuses=frozenset({"draft", "proposed", ACTIVE, "rejected", "inactive", "entered-in-error"}),
    members=_RESOURCE
    | {"scope", "category", "patient", "dateTime", "performer", "organization", "sourceAttachment"}
    | {"sourceReference", "policy", "policyRule", "verification", "provision"},
    provision=_DIMENSIONS | {"type", "class"},
    classes=("class",),
    flat=False,
)
_R5: Final = Shape(
    subject="subject",
    agreed="grantor",
    signed="date",
    enforcers=("manager", "controller"),
    base="regulatoryBasis",
    policy="policyBasis",
    address="url",
    statuses=frozenset({"draft", ACTIVE, "inactive", "not-done", "entered-in-error", UNKNOWN}),
    members=_RESOURCE
    | {"category", "subject", "date", "period", "grantor", "grantee", "manager", "controller"}
    | {"sourceAttachment", "sourceReference", "regulatoryBasis", "policyBasis", "policyText"}
    | {"verification", "decision", "provision"},
    provision=_DIMENSIONS | {"documentType", "resourceType", "expression"},
    classes=("resourceType", "documentType"),
    flat=True,
)
SHAPES: Final[Mapping[Release, Shape]] = {"R4": _R4, "R4B": _R4, "R5": _R5}
