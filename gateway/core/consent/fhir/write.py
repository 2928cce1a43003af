"""A consent of the ledger as a FHIR Consent, when it fits one.

What is written is read back as the same rule, in the form of `plain`. Nothing is added that the ledger does
not know: a consent of which it is not kept who agreed names nobody, and is therefore not taken in again as a
permit. What a release cannot say is said, node by node, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.core.consent.fhir import codes
from gateway.core.consent.fhir.element import Problem
from gateway.core.consent.fhir.plain import plain
from gateway.core.consent.fhir.shape import ACTIVE, SHAPES, UNKNOWN, Shape
from gateway.core.consent.fhir.times import written
from gateway.core.consent.fhir.written import misfits, provision
from gateway.core.consent.labels import ACT_CODE
from gateway.core.consent.rule import ALWAYS, Consent, Effect, State
from gateway.core.fhir.catalogue import Release
from gateway.core.fhir.codec import Tree

_CATEGORY: Final = {"coding": [{"system": codes.LOINC, "code": "59284-0"}]}
_SCOPE: Final = {"coding": [{"system": codes.CONSENT_SCOPE, "code": codes.PRIVACY}]}
_BASE: Final = {Effect.PERMIT: "OPTIN", Effect.DENY: "OPTOUT"}


@dataclass(frozen=True, slots=True)
class Fits:
    tree: dict[str, Tree]


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why not: places are nodes of the rule, `root.0`, or `Consent` for the whole."""

    problems: tuple[Problem, ...]


Written: TypeAlias = Fits | Misfit


def write(consent: Consent, release: Release) -> Written:
    """The consent as a Consent resource of that release, or everything that does not fit it."""
    shape = SHAPES[release]
    said = plain(consent)
    problems = [*_misfits(consent, shape), *(said if isinstance(said, tuple) else misfits(said.root, shape))]
    if problems or isinstance(said, tuple):
        return Misfit(tuple(problems))
    parts = {
        "resourceType": "Consent",
        "id": consent.id,
        "status": _status(consent),
        "category": [_CATEGORY],
        shape.subject: {"reference": f"Patient/{consent.patient}"},
        shape.agreed: [{"reference": consent.grantor}] if consent.grantor else None,
        **(_flat(said, shape) if shape.flat else _rooted(said, shape)),
    }
    return Fits({name: value for name, value in parts.items() if value})


def _misfits(consent: Consent, shape: Shape) -> Iterator[Problem]:
    if consent.malformed:
        yield Problem("Consent", "stands for one that could not be understood")
    if consent.state is State.STOPPED:
        yield Problem("Consent", "was stopped, so that it denies what it permitted")
    if consent.indeterminate and UNKNOWN not in shape.statuses:
        yield Problem("Consent", "may be in force or not, and only R5 can say so")


def _status(consent: Consent) -> str:
    if consent.state is not State.LIVE:
        return "inactive"
    return UNKNOWN if consent.indeterminate else ACTIVE


def _rooted(consent: Consent, shape: Shape) -> dict[str, Tree]:
    root = provision(consent.root, shape)
    if consent.period != ALWAYS:
        root["period"] = written(consent.period)
    base = {"coding": [{"system": ACT_CODE, "code": _BASE[consent.root.effect]}]}
    return {"scope": _SCOPE, "policyRule": base, "provision": root}


def _flat(consent: Consent, shape: Shape) -> dict[str, Tree]:
    return {
        "period": written(consent.period) if consent.period != ALWAYS else None,
        "decision": str(consent.root.effect),
        "provision": [provision(each, shape) for each in consent.root.exceptions],
    }
