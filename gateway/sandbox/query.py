"""The search grammar of the sandbox: query pairs to a Query (FHIR R4 search.html).

What is not known is left out, or refused when the client asked for `Prefer: handling=strict`; a value
that is known but malformed is always refused. Nothing is looked up here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from gateway.core.fhir.catalogue import Catalogue, Param
from gateway.core.fhir.literals import split
from gateway.core.fhir.match import evaluable
from gateway.core.values import Term
from gateway.errors import BadRequest, NotFound
from gateway.sandbox.message import Pairs

# A reference may have a hundred types, each with parameters of the next name: chains multiply.
MAX_CHAIN = 3
IGNORED = frozenset({"_format", "_pretty"})
SUMMARIES = frozenset({"true", "text", "data", "count", "false"})


@dataclass(frozen=True, slots=True)
class Plain:
    """A term on the resource itself."""

    term: Term


@dataclass(frozen=True, slots=True)
class Chain:
    """`name:Type.rest`: the reference leads to a resource of one of the types that meets its criterion."""

    name: str
    inner: tuple[tuple[str, Criterion], ...]


@dataclass(frozen=True, slots=True)
class Has:
    """`_has:type:name:rest`: a resource of `type` that meets the criterion refers here by `name`."""

    type: str
    name: str
    inner: Criterion


Criterion = Plain | Chain | Has


@dataclass(frozen=True, slots=True)
class Include:
    """`_include` or `_revinclude`: `source` and `name` are None for `*`; `target` narrows the type."""

    source: str
    name: str | None
    target: str | None
    reverse: bool
    iterate: bool


@dataclass(frozen=True, slots=True)
class Cut:
    """Which part of each resource to show: by `_elements`, by `_summary`, or all of it."""

    elements: tuple[str, ...] = ()
    summary: str = "false"


@dataclass(slots=True)
class Query:
    """A parsed search. `used` are the pairs that were understood, in their order."""

    type: str
    criteria: list[Criterion] = field(default_factory=list)
    sort: tuple[str, ...] = ()
    includes: list[Include] = field(default_factory=list)
    cut: Cut = Cut()
    count: str | None = None
    total: bool = False
    used: list[tuple[str, str]] = field(default_factory=list)

    @property
    def counted(self) -> bool:
        return self.cut.summary == "count"

    @property
    def path(self) -> str:
        query = "&".join(f"{quote_plus(k, ':_*')}={quote_plus(v, ':/|,$')}" for k, v in self.used)
        return f"{self.type}?{query}" if query else self.type


class Grammar:
    """Reads queries by a catalogue of search parameters."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def check_type(self, type: str) -> None:
        if type not in self.catalogue.types:
            raise NotFound("This server knows no such resource type.")

    def query(self, type: str, pairs: Pairs, base: str, strict: bool) -> Query:
        """Raises BadRequest for a malformed value, and under `strict` for a key that is not known."""
        self.check_type(type)
        query = Query(type, cut=cut(pairs))
        for key, value in pairs:
            if self._take(query, key, value, base):
                query.used.append((key, value))
            elif strict and key not in IGNORED:
                raise BadRequest(f"This server has no search parameter of that name for {type}.")
        return query

    def _take(self, query: Query, key: str, value: str, base: str) -> bool:
        match key:
            case "_sort":
                query.sort = tuple(n for n in value.split(",") if self.param(query.type, n.removeprefix("-")))
                return bool(query.sort)
            case "_count":
                query.count = value
            case "_total":
                query.total = value in ("accurate", "estimate")
            case "_elements" | "_summary":
                pass
            case "_include" | "_revinclude" | "_include:iterate" | "_revinclude:iterate":
                query.includes.append(self._include(key, value))
            case _:
                criterion = self._criterion(query.type, key, value, base)
                if criterion is None:
                    return False
                query.criteria.append(criterion)
        return True

    def param(self, type: str, name: str) -> Param | None:
        return self.catalogue.param(type, name)

    def _criterion(self, type: str, key: str, value: str, base: str) -> Criterion | None:
        """None for a key that the type does not have, or a value that is empty."""
        if key.startswith("_has:"):
            return self._has(key, value, base)
        head, dot, rest = key.partition(".")
        name, _, modifier = head.partition(":")
        param = self.param(type, name)
        if param is None or not param.paths or not value.strip(", "):
            return None
        if rest.count(".") >= MAX_CHAIN:
            raise BadRequest(f"A chain has at most {MAX_CHAIN} references.")
        if dot:
            return self._chain(param, modifier, rest, value, base)
        return self._plain(type, param, modifier, value, base)

    def _has(self, key: str, value: str, base: str) -> Has | None:
        _, type, name, rest = (*key.split(":", 3), "", "", "")[:4]
        param = self.param(type, name) if type in self.catalogue.types else None
        inner = self._criterion(type, rest, value, base) if param and param.type == "reference" else None
        return Has(type, name, inner) if inner else None

    def _chain(self, param: Param, target: str, rest: str, value: str, base: str) -> Chain | None:
        if param.type != "reference":
            return None
        types = [t for t in self._targets(param) if target in ("", t)]
        found = [(t, inner) for t in types if (inner := self._criterion(t, rest, value, base))]
        return Chain(param.name, tuple(found)) if found else None

    def _targets(self, param: Param) -> list[str]:
        return sorted(param.targets & self.catalogue.types or self.catalogue.types)

    def _plain(self, type: str, param: Param, modifier: str, value: str, base: str) -> Plain | None:
        values = _parts(value)
        if param.type == "reference" and modifier in ("", *self.catalogue.types):
            targets = [modifier] if modifier else self._targets(param)
            values, modifier = [r for v in values for r in _literal(v, targets, base)], ""
        term = Term(param.name, tuple(values), modifier or None)
        known = (
            values in (["true"], ["false"])
            if modifier == "missing"
            else (modifier == "contains" and param.type == "string") or evaluable(self.catalogue, type, term)
        )
        if not known and modifier in ("", "missing"):
            raise BadRequest(f"A value of {param.name} is not what that search parameter takes.")
        return Plain(term) if known else None

    def _include(self, key: str, value: str) -> Include:
        source, _, rest = value.partition(":")
        name, _, target = rest.partition(":")
        if source != "*" and (
            source not in self.catalogue.types or (name != "*" and not self.param(source, name))
        ):
            raise BadRequest("There is no such reference to include.")
        every = source == "*" or name == "*"
        reverse = key.startswith("_rev")
        return Include(source, None if every else name, target or None, reverse, key.endswith(":iterate"))


def cut(pairs: Pairs) -> Cut:
    """The `_elements` and `_summary` of a read or search."""
    query = dict(pairs)
    summary = query.get("_summary", "false")
    if summary not in SUMMARIES:
        raise BadRequest("_summary is one of true, text, data, count and false.")
    return Cut(tuple(e for e in query.get("_elements", "").split(",") if e), summary)


def _parts(value: str) -> list[str]:
    try:
        return [part for part in split(value, ",") if part]
    except ValueError as error:
        raise BadRequest("A backslash in a search value escapes only , | $ and itself.") from error


def _literal(value: str, targets: Iterable[str], base: str) -> list[str]:
    """A reference value as `Type/id`; a bare id could be any of the target types."""
    value = value.removeprefix(base + "/")
    return [value] if "/" in value or ":" in value else [f"{t}/{value}" for t in targets]
