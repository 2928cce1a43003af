"""Runs a Query over the store: criteria, chains, `_has`, includes, sort, and what to show of each match.

Literal references are looked up in the store's index, the rest is tried one by one. It finds whatever is
there, also what a careful server would hide: includes, chains and `_has` cross patients freely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.literals import unescape
from gateway.core.fhir.match import satisfies
from gateway.core.fhir.paths import walk
from gateway.core.values import Term
from gateway.sandbox.document import only
from gateway.sandbox.message import Pairs, Reply
from gateway.sandbox.query import Chain, Criterion, Cut, Grammar, Has, Include, Plain, Query, cut
from gateway.sandbox.store import Store, Version
from gateway.sandbox.summary import elements_of

_Test = Callable[[Version], bool]


class Search:
    """Search over one store, by one release's search parameters."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self.store = store
        self.catalogue = catalogue
        self.grammar = Grammar(catalogue)

    def run(self, query: Query, base: str) -> tuple[Version, ...]:
        """Every match, in the order asked for, else by creation."""
        pools: list[list[Version]] = []
        tests: list[_Test] = []
        for criterion in query.criteria:
            test, known = self._plan(query.type, criterion, base)
            tests.append(test)
            if known is not None:
                pools.append(known)
        pool = min(pools, key=len) if pools else [*self.store.all(query.type)]
        found = {v.id: v for v in pool if all(test(v) for test in tests)}
        ordered = sorted(found.values(), key=lambda v: v.serial)
        for name in reversed(query.sort):
            ordered = self._sorted(ordered, name)
        return tuple(ordered)

    def renderer(self, query: Query) -> Callable[[Sequence[Version], str], list[bytes]]:
        """Bundle entries for one page of matches, followed by what the page includes."""

        def render(versions: Sequence[Version], base: str) -> list[bytes]:
            included = self._included(versions, query.includes, base) if query.includes else ()
            return [_entry(v, query.cut, base, b"match") for v in versions] + [
                _entry(v, query.cut, base, b"include") for v in included
            ]

        return render

    def _plan(self, type: str, criterion: Criterion, base: str) -> tuple[_Test, list[Version] | None]:
        """A test for one resource, and the resources that could pass it if the index knows them."""
        match criterion:
            case Plain(term):
                return (lambda v: self._meets(v, term, base)), self._pool(type, term, base)
            case Chain(name, inner):
                wanted = {v.path for t, c in inner for v in self.run(Query(t, [c]), base)}
                pool = [v for path in wanted for v in self.store.referring(type, path, base)]
                return (lambda v: not wanted.isdisjoint(self._targets(v, name, base))), pool
            case Has(source, name, inner_criterion):
                sources = self.run(Query(source, [inner_criterion]), base)
                wanted = {target for v in sources for target in self._targets(v, name, base)}
                return (lambda v: v.path in wanted), self._live(wanted)

    def _meets(self, version: Version, term: Term, base: str) -> bool:
        param = self.catalogue.param(version.type, term.name)
        if param and param.type == "reference" and term.modifier is None:
            return not self._targets(version, term.name, base).isdisjoint(map(unescape, term.values))
        if term.modifier not in ("missing", "contains"):
            return satisfies(self.catalogue, version.tree, term, (base,))
        values = self._values(version, term.name)
        if term.modifier == "missing":
            return (not values) == (term.values == ("true",))
        wanted = [unescape(v).casefold() for v in term.values]
        return any(w in text.casefold() for value in values for text in _texts(value) for w in wanted)

    def _pool(self, type: str, term: Term, base: str) -> list[Version] | None:
        param = self.catalogue.param(type, term.name)
        if term.modifier is not None or param is None:
            return None
        if term.name == "_id":
            return self._live(f"{type}/{id}" for id in term.values)
        local = all(self._is_local(value) for value in term.values)
        if param.type == "reference" and local:
            return [v for value in term.values for v in self.store.referring(type, value, base)]
        return None

    def _is_local(self, value: str) -> bool:
        type, slash, id = value.partition("/")
        return type in self.catalogue.types and bool(slash) and "/" not in id

    def _live(self, paths: Iterable[str]) -> list[Version]:
        found = (self.store.current(*path.split("/")) for path in paths if path.count("/") == 1)
        return [v for v in found if v is not None]

    def _targets(self, version: Version, name: str, base: str) -> set[str]:
        """What the references at a parameter's paths lead to: `Type/id`, other servers' URLs, canonicals."""
        found: set[str] = set()
        for value in self._values(version, name):
            if isinstance(value, str):
                found |= {value, value.partition("|")[0]}
            elif isinstance(value, dict) and isinstance(value.get("reference"), str):
                found.add(value["reference"].removeprefix(base + "/").partition("/_history/")[0])
        return found

    def _values(self, version: Version, name: str) -> list[object]:
        param = self.catalogue.param(version.type, name)
        return [value for path in param.paths for value in walk(version.tree, path)] if param else []

    def _sorted(self, versions: list[Version], name: str) -> list[Version]:
        """Stable, by the first value there is; what has none comes last either way."""
        plain = name.removeprefix("-")
        keys = {v.id: next(map(_sort_key, self._values(v, plain)), None) for v in versions}
        having = [v for v in versions if keys[v.id] is not None]
        having.sort(key=lambda v: keys[v.id] or (), reverse=name.startswith("-"))
        return having + [v for v in versions if keys[v.id] is None]

    def _included(self, matches: Sequence[Version], includes: list[Include], base: str) -> list[Version]:
        """Each once, none of the page's matches among them; `:iterate` follows what was included too."""
        seen = {v.path: v for v in matches}
        frontier, wanted = list(matches), includes
        while frontier and wanted:
            reached = {n.path: n for v in frontier for i in wanted for n in self._reach(v, i, base)}
            frontier = [n for path, n in reached.items() if path not in seen]
            seen |= {n.path: n for n in frontier}
            wanted = [i for i in includes if i.iterate]
        return list(seen.values())[len(matches) :]

    def _reach(self, version: Version, include: Include, base: str) -> Iterator[Version]:
        if include.reverse:
            sources = self.store.types() if include.source == "*" else [include.source]
            for source in sources if include.target in (None, version.type) else ():
                for found in self.store.referring(source, version.path, base):
                    if include.name is None or version.path in self._targets(found, include.name, base):
                        yield found
        elif include.source in ("*", version.type):
            name = include.name
            every = (r.removeprefix(base + "/") for r in version.references)
            targets = every if name is None else self._targets(version, name, base)
            yield from (t for t in self._live(sorted(targets)) if include.target in (None, t.type))


def shaped(reply: Reply, query: Pairs) -> Reply:
    """A read cut by the `_elements` and `_summary` of its query."""
    asked = cut(query)
    if reply.version is None or asked == Cut():
        return reply
    return replace(reply, body=_cut(reply.version, asked))


def _cut(version: Version, asked: Cut) -> bytes:
    assert version.body is not None
    if asked.elements:
        names = {e.rpartition(".")[2] for e in asked.elements if e.rpartition(".")[0] in ("", version.type)}
        return only(version.body, names | elements_of(version.type).required)
    match asked.summary:
        case "text":
            return only(version.body, {"text"} | elements_of(version.type).required)
        case "data":
            return only(version.body, version.tree.keys() - {"text"})
        case "true":
            return only(version.body, elements_of(version.type).summary)
        case _:
            return version.body


def _entry(version: Version, asked: Cut, base: str, mode: bytes) -> bytes:
    assert version.body is not None
    body = version.body if asked == Cut() else _cut(version, asked)
    url = f"{base}/{version.path}".encode()
    return b'{"fullUrl":"%b","resource":%b,"search":{"mode":"%b"}}' % (url, body, mode)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(inner)


def _sort_key(value: Any) -> tuple[int, Decimal, str]:
    """Numbers by size, anything else by its text; an object by the member one would read it by."""
    if isinstance(value, dict):
        for name in ("value", "start", "reference", "code", "family", "text", "display", "system"):
            if name in value:
                return _sort_key(value[name])
        inner = value.get("coding") or value.get("given") or [""]
        return _sort_key(inner[0])
    text = str(value)
    try:
        return (0, Decimal(text), "") if not isinstance(value, str) else (1, Decimal(0), text.casefold())
    except InvalidOperation:
        return (1, Decimal(0), text.casefold())
