"""Reads the situations of `fixtures/decisions`: consents, who asks, a record, and what comes of it.

A case leaves out what is as usual: a client that is fully known and asks for treatment at 10:00 UTC on the
first of June 2026 to read a plain Observation of `p1`.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any, Final

from gateway.consents.draft import instant
from gateway.core.consent.authors import as_told, not_told
from gateway.core.consent.content import RecordContent
from gateway.core.consent.evaluate import Asker, Bound, ResourceFacts, Rules, bind
from gateway.core.consent.membership import Membership
from gateway.core.consent.rule import KINDS, Consent, DataRef, Effect, Match, Node, Period, State, kind_of
from gateway.core.consent.rules import Implicit
from gateway.core.consent.verdict import BreakGlass
from gateway.core.values import ConsentRef, Label, Ref
from tests.core.consent.build import HASH, label, scope
from tests.core.deciding import BASES, R4

FOLDER: Final = Path(__file__).parents[3] / "fixtures" / "decisions"
_RECORD: Final = {"resourceType": "Observation", "id": "1", "status": "final", "code": {"text": "x"}}
_CASE: Final = {
    "name",
    "why",
    "consents",
    "request",
    "record",
    "agents",
    "labels",
    "patients",
    "rules",
    "expect",
    "because",
}
_REQUEST: Final = {
    "identities",
    "known",
    "purposes",
    "at",
    "me",
    "patient",
    "only",
    "operation",
    "glass",
    "groups",
    "part_of",
}
_NODE: Final = {"permit", "deny", "except"}
_CONSENT: Final = {"patient", "period", "state", "supersedes", "indeterminate", "malformed"}


def load() -> list[tuple[str, dict[str, Any]]]:
    """All cases, by situation and name."""
    return [
        (f"{path.stem}: {case['name']}", case)
        for path in sorted(FOLDER.glob("*.json"))
        for case in json.loads(path.read_text("utf-8"))
    ]


def bound_of(case: dict[str, Any]) -> Bound:
    _only(case, _CASE)
    given = [_consent(data, number) for number, data in enumerate(case["consents"])]
    request = case.get("request", {})
    only = request.get("only")
    return bind(
        lambda patient: [consent for consent in given if consent.patient == patient],
        asker_of(request),
        instant(request.get("at", "2026-06-01T10:00:00Z"), last=True),
        None if only is None else frozenset(only),
        _rules(case.get("rules", {})),
    )


def asker_of(request: dict[str, Any]) -> Asker:
    _only(request, _REQUEST)
    known = frozenset(request.get("known", KINDS)) | {"client"}
    groups = {group: frozenset(members) for group, members in request.get("groups", {}).items()}
    membership = Membership(request.get("part_of", {}), groups)
    glass = request.get("glass")
    return Asker(
        membership.closed(frozenset(request.get("identities", ["client:app-1"]))),
        known,
        request.get("me"),
        tuple(request.get("purposes", ["TREAT"])),
        request.get("patient", "p1"),
        membership.settled(lambda one: kind_of(one) in known),
        None
        if glass is None
        else BreakGlass(glass["patient"], "unconscious", instant(glass["until"], last=True)),
    )


def record_of(case: dict[str, Any]) -> ResourceFacts:
    tree = {**_RECORD, **case.get("record", {})}
    kind, ident = tree["resourceType"], tree["id"]
    labels = frozenset(label(text) for text in case.get("labels", []))
    read = case.get("agents", [])  # null: the Provenance was not read
    agents = not_told if read is None else partial(as_told, [{"reference": agent} for agent in read])
    content = RecordContent(kind, ident, lambda: tree, R4, BASES, agents=agents)
    return ResourceFacts(kind, labels, frozenset(case.get("patients", ["p1"])), ident, content)


def operation_of(case: dict[str, Any]) -> str:
    return str(case.get("request", {}).get("operation", "r"))


def _rules(data: dict[str, Any]) -> Rules:
    _only(data, {"implicit", "nesting", "custodians", "holds"})
    custodians = data.get("custodians")
    return Rules(
        Implicit(data.get("implicit", "break-glass-only")),
        data.get("nesting") == "contain",
        None if custodians is None else frozenset(custodians),
        frozenset(data.get("holds", [])),
    )


def _consent(data: dict[str, Any], number: int) -> Consent:
    _only(data, _NODE | _CONSENT)
    name = f"c{number}"
    return Consent(
        id=name,
        patient=data.get("patient", "p1"),
        root=_node({key: value for key, value in data.items() if key in _NODE}, "root"),
        period=_period(data.get("period")) or Period(),
        supersedes=frozenset(data.get("supersedes", [])),
        refs=(ConsentRef(name, number, HASH),),
        state=State(data.get("state", "live")),
        indeterminate=data.get("indeterminate", False),
        malformed=data.get("malformed", False),
    )


def _node(data: dict[str, Any], path: str) -> Node:
    _only(data, _NODE)
    [effect] = data.keys() & {"permit", "deny"}
    inner = tuple(_node(one, f"{path}.{number}") for number, one in enumerate(data.get("except", [])))
    return Node(Effect(effect), _match(data[effect]), inner, path)


def _match(data: dict[str, Any]) -> Match:
    _only(data, set(Match.__slots__))
    return Match(
        actors=frozenset(data.get("actors", [])),
        purposes=frozenset(data.get("purposes", [])),
        scopes=tuple(map(scope, data.get("scopes", []))),
        labels=frozenset(data.get("labels", [])),
        period=_period(data.get("period")) or Period(),
        custodians=frozenset(data.get("custodians", [])),
        actions=frozenset(data.get("actions", [])),
        classes=frozenset(map(_coding, data.get("classes", []))),
        codes=frozenset(map(_coding, data.get("codes", []))),
        data_period=_period(data.get("data_period")),
        data=frozenset(_data_ref(text) for text in data.get("data", [])),
        opaque=data.get("opaque", False),
    )


def _period(ends: list[str | None] | None) -> Period | None:
    if ends is None:
        return None
    first, last = ends
    return Period(
        None if first is None else instant(first, last=False),
        None if last is None else instant(last, last=True),
    )


def _coding(text: str) -> Label:
    system, _, code = text.partition("|")
    return Label(system, code)


def _data_ref(text: str) -> DataRef:
    meaning, _, reference = text.partition(" ")
    return DataRef(meaning, Ref(*reference.split("/")))


def _only(data: dict[str, Any], known: set[str]) -> None:
    assert data.keys() <= known, f"not understood: {data.keys() - known}"
