"""The text of a consent as the ledger keeps it: canonical JSON with exactly these members.

    {"effect":"permit","except":[],"from":null,"grantees":["client:app-1"],"id":"c-1","labels":[],
     "patient":"pat-a","purposes":["TREAT"],"scopes":["patient/*.rs"],"supersedes":[],
     "until":1798761599,"v":1}

Exceptions have the members effect, except, from, grantees, labels, purposes, scopes and until. Version 2
adds to each node actions, classes, codes, custodians, data, dataFrom, dataUntil and opaque, and at the top
grantor, indeterminate and malformed; it is written only for what version 1 cannot say. Times are seconds
since the epoch, both ends inclusive. Scopes keep their order, other lists are sorted without repeats.
`parse` takes only what `format_document` writes, so a consent has one text and one digest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from gateway.core.canon import Json, canonical, parse_canonical
from gateway.core.consent.rule import (
    MAX_DEPTH,
    Consent,
    DataRef,
    Effect,
    Match,
    Node,
    Period,
    is_coding,
    is_grantee,
    is_label,
    walk,
)
from gateway.core.values import Label, Ref, Scope

ParseScope: TypeAlias = Callable[[str], Scope]
"""One scope from its text; ValueError for anything that is not exactly one resource scope."""

_NODE: Final = frozenset({"effect", "grantees", "scopes", "purposes", "from", "until", "labels", "except"})
_INSIDE: Final = frozenset(
    {"actions", "classes", "codes", "custodians", "data", "dataFrom", "dataUntil", "opaque"}
)
_NODES: Final[Mapping[int, frozenset[str]]] = {1: _NODE, 2: _NODE | _INSIDE}
_TOP: Final = frozenset({"v", "id", "patient", "supersedes"})
_TOPS: Final[Mapping[int, frozenset[str]]] = {1: _TOP, 2: _TOP | {"grantor", "indeterminate", "malformed"}}


def format_document(consent: Consent) -> str:
    """The text of the consent. State and ledger entries are no part of it."""
    version = 1 if is_plain(consent) else 2
    about: dict[str, Json] = {
        "v": version,
        "id": consent.id,
        "patient": consent.patient,
        "supersedes": _sorted(consent.supersedes),
        "grantor": consent.grantor,
        "indeterminate": consent.indeterminate,
        "malformed": consent.malformed,
    }
    top = {name: about[name] for name in _TOPS[version]}
    return canonical({**top, **_written(consent.root, consent.period, version)}).decode()


def parse(text: str, parse_scope: ParseScope) -> Consent:
    """The consent of a text, without ledger entries. Raises ValueError for any other text."""
    value = parse_canonical(text.encode())
    version = value.get("v") if isinstance(value, dict) else None
    if type(version) is not int or version not in _TOPS:
        raise ValueError("not the members of a consent document of a version that is known")
    top = _members(value, _TOPS[version] | _NODES[version])
    root, period = _node(top, "root", version, parse_scope)
    consent = Consent(
        id=_text(top["id"]),
        patient=_text(top["patient"]),
        root=root,
        period=period,
        supersedes=frozenset(_texts(top["supersedes"])),
        indeterminate=_flag(top.get("indeterminate", False)),
        malformed=_flag(top.get("malformed", False)),
        grantor=None if top.get("grantor") is None else _text(top["grantor"]),
    )
    if format_document(consent) != text:
        raise ValueError("a consent document in another form")
    return consent


def is_plain(consent: Consent) -> bool:
    """Whether version 1 can say all of the consent."""
    plain = not consent.doubtful and consent.grantor is None
    return plain and all(map(_is_plain, walk(consent.root)))


def _is_plain(node: Node) -> bool:
    match = node.match
    return match == Match(match.actors, match.purposes, match.scopes, match.labels, match.period)


# --- Writing ---------------------------------------------------------------------------------------


def _written(node: Node, period: Period, version: int) -> dict[str, Json]:
    match = node.match
    members: dict[str, Json] = {
        "effect": str(node.effect.value),
        "grantees": _sorted(match.actors),
        "scopes": [scope.text for scope in match.scopes],
        "purposes": _sorted(match.purposes),
        "from": period.from_s,
        "until": period.until_s,
        "labels": _sorted(match.labels),
        "except": [_written(inner, inner.match.period, version) for inner in node.exceptions],
    }
    return members if version == 1 else {**members, **_inside(match)}


def _inside(match: Match) -> dict[str, Json]:
    about = match.data_period
    return {
        "actions": _sorted(match.actions),
        "classes": _pairs(match.classes),
        "codes": _pairs(match.codes),
        "custodians": _sorted(match.custodians),
        "data": _pairs((data.meaning, str(data.ref)) for data in match.data),
        "dataFrom": None if about is None else about.from_s,
        "dataUntil": None if about is None else about.until_s,
        "opaque": match.opaque,
    }


def _sorted(texts: Iterable[str]) -> list[Json]:
    return [*sorted(texts)]


def _pairs(pairs: Iterable[tuple[str, str]]) -> list[Json]:
    return [[*pair] for pair in sorted(pairs)]


# --- Reading ---------------------------------------------------------------------------------------


def _node(members: dict[str, Json], path: str, version: int, parse_scope: ParseScope) -> tuple[Node, Period]:
    """The node and its period, which at the root is the consent's own."""
    if path.count(".") > MAX_DEPTH:
        raise ValueError("exceptions are nested too deeply")
    exceptions = members["except"]
    if not isinstance(exceptions, list):
        raise ValueError("exceptions are a list")
    inner = tuple(
        _node(_members(exception, _NODES[version]), f"{path}.{number}", version, parse_scope)
        for number, exception in enumerate(exceptions)
    )
    period = Period(_seconds(members["from"]), _seconds(members["until"]))
    match = Match(
        actors=_all(is_grantee, members["grantees"]),
        purposes=frozenset(_texts(members["purposes"])),
        scopes=tuple(parse_scope(text) for text in _texts(members["scopes"])),
        labels=_all(is_label, members["labels"]),
        period=Period() if path == "root" else period,
        custodians=_all(is_grantee, members.get("custodians", [])),
        actions=frozenset(_texts(members.get("actions", []))),
        classes=_codings(members.get("classes", [])),
        codes=_codings(members.get("codes", [])),
        data_period=_data_period(members),
        data=frozenset(DataRef(meaning, _ref(ref)) for meaning, ref in _read_pairs(members.get("data", []))),
        opaque=_flag(members.get("opaque", False)),
    )
    nodes = tuple(node for node, _ in inner)
    return Node(Effect(_text(members["effect"])), match, nodes, path), period


def _data_period(members: dict[str, Json]) -> Period | None:
    period = Period(_seconds(members.get("dataFrom")), _seconds(members.get("dataUntil")))
    return None if period == Period() else period


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


def _codings(value: Json) -> frozenset[Label]:
    codings = frozenset(Label(system, code) for system, code in _read_pairs(value))
    if not all(map(is_coding, codings)):
        raise ValueError("a class or code of another form")
    return codings


def _read_pairs(value: Json) -> list[tuple[str, str]]:
    pairs = []
    for item in value if isinstance(value, list) else [None]:
        match item:
            case [str(first), str(second)]:
                pairs.append((first, second))
            case _:
                raise ValueError("not a list of pairs")
    return pairs


def _ref(text: str) -> Ref:
    kind, slash, name = text.partition("/")
    if not slash or not kind.isascii() or not kind.isalpha():
        raise ValueError("not a reference to a record")
    return Ref(kind, name)


def _flag(value: Json) -> bool:
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")
    return value


def _text(value: Json) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("not a text")
    return value


def _seconds(value: Json) -> int | None:
    if value is not None and type(value) is not int:
        raise ValueError("not a time in seconds")
    return value
