"""Consents as JSON for people and programs: times in RFC 3339, entries with their leaf hashes.

Dimensions that only some consents have are members of those alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from gateway.core.canon import Json
from gateway.core.consent.rule import ALWAYS, Consent, Match, Node, Period
from gateway.core.values import ConsentRef


def ref_json(ref: ConsentRef) -> dict[str, Json]:
    """What granting, changing and revoking print: `{"id", "entry", "hash"}`."""
    return {"id": ref.id, "entry": ref.entry, "hash": ref.hash}


def consent_json(consent: Consent) -> dict[str, Json]:
    """The whole consent; `ended` is the entry that revoked or superseded it, or null."""
    return {
        "id": consent.id,
        "patient": consent.patient,
        "state": consent.state.value,
        **_node(consent.root, consent.period),
        "supersedes": [*sorted(consent.supersedes)],
        "entries": [_place(ref) for ref in consent.refs],
        "ended": None if consent.ended is None else _place(consent.ended),
        **_said({name: getattr(consent, name) for name in ("indeterminate", "malformed", "grantor")}),
    }


def _node(node: Node, period: Period) -> dict[str, Json]:
    match = node.match
    return {
        "effect": node.effect.value,
        "grantees": [*sorted(match.actors)],
        "scopes": [scope.text for scope in match.scopes],
        "purposes": [*sorted(match.purposes)],
        "from": _time(period.from_s),
        "until": _time(period.until_s),
        "labels": [*sorted(match.labels)],
        **_said(_inside(match)),
        "except": [_node(exception, exception.match.period) for exception in node.exceptions],
    }


def _inside(match: Match) -> dict[str, Json]:
    about = match.data_period or ALWAYS
    return {
        "actions": [*sorted(match.actions)],
        "custodians": [*sorted(match.custodians)],
        "classes": [f"{system}|{code}" for system, code in sorted(match.classes)],
        "codes": [f"{system}|{code}" for system, code in sorted(match.codes)],
        "data_from": _time(about.from_s),
        "data_until": _time(about.until_s),
        "data": [*sorted(f"{data.meaning} {data.ref}" for data in match.data)],
        "opaque": match.opaque,
    }


def _said(members: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in members.items() if value}


def _place(ref: ConsentRef) -> dict[str, Json]:
    return {"entry": ref.entry, "hash": ref.hash}


def _time(at_s: int | None) -> Json:
    if at_s is None:
        return None
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
