"""The nodes of a rule as provisions of a Consent, in one release of FHIR."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from gateway.core.consent.fhir import codes
from gateway.core.consent.fhir.actors import KINDS
from gateway.core.consent.fhir.element import Problem
from gateway.core.consent.fhir.shape import Shape
from gateway.core.consent.fhir.times import written
from gateway.core.consent.labels import LABELS
from gateway.core.consent.rule import ALWAYS, CLIENT, RESOURCE_TYPES, ROLE, Effect, Match, Node, kind_of, walk
from gateway.core.fhir.codec import Tree
from gateway.core.values import Label

_TYPES: Final = {kind: name for name, kind in KINDS.items()}
_RECIPIENT: Final = {"coding": [{"system": codes.PARTICIPATION, "code": "IRCP"}]}
_CUSTODIAN: Final = {"coding": [{"system": codes.PARTICIPATION, "code": codes.CUSTODIAN}]}


def misfits(root: Node, shape: Shape) -> Iterator[Problem]:
    """What of the tree no provision of this release can say."""
    for node in walk(root):
        for text in _reasons(node, shape):
            yield Problem(node.path, text)
        for inner in node.exceptions:
            if shape.flat and inner.effect is node.effect:
                yield Problem(
                    inner.path, f"is a {inner.effect} below a {node.effect}, and R5 has only the other"
                )
    if shape.flat and root.match != Match():
        yield Problem("root", "has limits of its own, and in R5 the root is a decision with a period alone")


def provision(node: Node, shape: Shape) -> dict[str, Tree]:
    """The provision of a node that has no misfits; that of a root has yet to be given its period."""
    match = node.match
    parts: dict[str, Tree] = {
        "type": None if shape.flat else str(node.effect),
        "period": written(match.period) if match.period != ALWAYS else None,
        "actor": [*_actors(match, node.effect is Effect.DENY)],
        "action": [
            {"coding": [_coding(Label(codes.CONSENT_ACTION, code))]} for code in sorted(match.actions)
        ],
        "securityLabel": [_coding(LABELS.named(text)) for text in sorted(match.labels)],
        "purpose": [_coding(Label(codes.ACT_REASON, code)) for code in sorted(match.purposes)],
        **_classes(match.classes, shape),
        "code": [{"coding": [_coding(label)]} for label in sorted(match.codes)],
        "dataPeriod": written(match.data_period) if match.data_period else None,
        "data": [
            {"meaning": data.meaning, "reference": {"reference": str(data.ref)}}
            for data in sorted(match.data, key=lambda data: (data.meaning, str(data.ref)))
        ],
        "provision": [provision(each, shape) for each in node.exceptions],
    }
    return {name: value for name, value in parts.items() if value}


def _reasons(node: Node, shape: Shape) -> Iterator[str]:
    match = node.match
    if shape.flat and match == Match() and not node.exceptions and node.path != "root":
        yield "has no limits, and R5 would have an empty provision"
    if match.opaque:
        yield "has an expression, of which only its being there is kept"
    if any(not label.system for label in match.classes | match.codes):
        yield "has a code without its system"
    if not shape.flat and any(kind_of(actor) == ROLE for actor in match.actors):
        yield "names a role alone, and in R4 an actor is somebody in particular"
    if shape.flat and len({label.system == RESOURCE_TYPES for label in match.classes}) > 1:
        yield "names resource types or documents, and R5 would have them both"
    if node.effect is Effect.DENY and not match.custodians <= match.actors:
        yield "denies what somebody holds and not what they ask for, and who is denied as CST is denied both"


def _actors(match: Match, denies: bool) -> Iterator[Tree]:
    """Who is denied as custodian is denied as requester too, so those are written once."""
    requesters = match.actors - match.custodians if denies else match.actors
    for actor in sorted(requesters):
        kind, _, name = actor.partition(":")
        if kind == ROLE:
            yield {"role": {"coding": [_coding(_role(name))]}}
        else:
            yield {"role": _RECIPIENT, "reference": _reference(kind, name)}
    for custodian in sorted(match.custodians):
        kind, _, name = custodian.partition(":")
        yield {"role": _CUSTODIAN, "reference": _reference(kind, name)}


def _reference(kind: str, name: str) -> Tree:
    if kind == CLIENT:
        return {"type": "Device", "identifier": {"system": codes.CLIENT_IDS, "value": name}}
    return {"reference": f"{_TYPES[kind]}/{name}"}


def _role(name: str) -> Label:
    system, bar, code = name.rpartition("|")
    return Label(system, code) if bar else Label(codes.ROLE_NAMES, name)


def _classes(classes: Iterable[Label], shape: Shape) -> dict[str, Tree]:
    types = [_coding(label) for label in sorted(classes) if label.system == RESOURCE_TYPES]
    others = [_coding(label) for label in sorted(classes) if label.system != RESOURCE_TYPES]
    if not shape.flat:
        return {"class": types + others}
    return {"resourceType": types, "documentType": others}


def _coding(label: Label) -> Tree:
    return {"system": label.system, "code": label.code}
