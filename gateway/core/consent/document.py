"""The text of a consent as the ledger keeps it: canonical JSON with exactly these members.

    {"effect":"permit","except":[],"from":null,"grantees":["client:app-1"],"id":"c-1","labels":[],
     "patient":"pat-a","purposes":["TREAT"],"scopes":["patient/*.rs"],"supersedes":[],
     "until":1798761599,"v":1}

Exceptions have the members effect, except, from, grantees, labels, purposes, scopes and until. Times are
seconds since the epoch, both ends inclusive. Scopes keep their order, other lists are sorted without
repeats. `parse` takes only what `format_document` writes, so a consent has one text and one digest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from gateway.core.canon import Json, canonical, parse_canonical
from gateway.core.consent.rule import (
    MAX_DEPTH,
    Consent,
    Effect,
    Match,
    Node,
    Period,
    is_grantee,
    is_label,
)
from gateway.core.values import Scope

VERSION: Final = 1

ParseScope: TypeAlias = Callable[[str], Scope]
"""One scope from its text; ValueError for anything that is not exactly one resource scope."""

_NODE: Final = frozenset({"effect", "grantees", "scopes", "purposes", "from", "until", "labels", "except"})
_TOP: Final = _NODE | {"v", "id", "patient", "supersedes"}


def format_document(consent: Consent) -> str:
    """The text of the consent. State and ledger entries are no part of it."""
    return canonical(
        {
            "v": VERSION,
            "id": consent.id,
            "patient": consent.patient,
            "supersedes": _sorted(consent.supersedes),
            **_written(consent.root, consent.period),
        }
    ).decode()


def parse(text: str, parse_scope: ParseScope) -> Consent:
    """The consent of a text, without ledger entries. Raises ValueError for any other text."""
    top = _members(parse_canonical(text.encode()), _TOP)
    if top["v"] != VERSION or type(top["v"]) is not int:
        raise ValueError("a consent document of another version")
    root, period = _node(top, "root", parse_scope)
    consent = Consent(
        id=_text(top["id"]),
        patient=_text(top["patient"]),
        root=root,
        period=period,
        supersedes=frozenset(_texts(top["supersedes"])),
    )
    if format_document(consent) != text:
        raise ValueError("a consent document in another form")
    return consent


# --- Writing ---------------------------------------------------------------------------------------


def _written(node: Node, period: Period) -> dict[str, Json]:
    return {
        "effect": str(node.effect.value),
        "grantees": _sorted(node.match.actors),
        "scopes": [scope.text for scope in node.match.scopes],
        "purposes": _sorted(node.match.purposes),
        "from": period.from_s,
        "until": period.until_s,
        "labels": _sorted(node.match.labels),
        "except": [_written(exception, exception.match.period) for exception in node.exceptions],
    }


def _sorted(texts: Iterable[str]) -> list[Json]:
    return [*sorted(texts)]


# --- Reading ---------------------------------------------------------------------------------------


def _node(members: dict[str, Json], path: str, parse_scope: ParseScope) -> tuple[Node, Period]:
    """The node and its period, which at the root is the consent's own."""
    if path.count(".") > MAX_DEPTH:
        raise ValueError("exceptions are nested too deeply")
    exceptions = members["except"]
    if not isinstance(exceptions, list):
        raise ValueError("exceptions are a list")
    inner = tuple(
        _node(_members(exception, _NODE), f"{path}.{number}", parse_scope)
        for number, exception in enumerate(exceptions)
    )
    period = Period(_seconds(members["from"]), _seconds(members["until"]))
    match = Match(
        actors=_all(is_grantee, members["grantees"]),
        purposes=frozenset(_texts(members["purposes"])),
        scopes=tuple(parse_scope(text) for text in _texts(members["scopes"])),
        labels=_all(is_label, members["labels"]),
        period=Period() if path == "root" else period,
    )
    nodes = tuple(node for node, _ in inner)
    return Node(Effect(_text(members["effect"])), match, nodes, path), period


def _members(value: Json, names: frozenset[str]) -> dict[str, Json]:
    if not isinstance(value, dict) or value.keys() != names:
        raise ValueError("not the members of a consent document")
    return value


def _all(allowed: Callable[[str], bool], value: Json) -> frozenset[str]:
    texts = _texts(value)
    if not all(map(allowed, texts)):
        raise ValueError("a grantee or label of another form")
    return frozenset(texts)


def _texts(value: Json) -> list[str]:
    if not isinstance(value, list):
        raise ValueError("not a list of texts")
    return [_text(item) for item in value]


def _text(value: Json) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("not a text")
    return value


def _seconds(value: Json) -> int | None:
    if value is not None and type(value) is not int:
        raise ValueError("not a time in seconds")
    return value
