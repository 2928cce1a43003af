"""What one FHIR release knows: its types, search parameters, patient compartment, and who owns what.

A `Catalogue` is parsed from four tables of `mappings/` (formats in mappings/README.md) and never
changes. A type that the access table does not list does not exist for the gateway; a search
parameter that is not listed is unknown, and unknown means no. Reading files is `gateway.mapping`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from gateway.core.fhir.case_table import CaseRule, inward_links, parse_case_table
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.content_table import NOTHING_KNOWN, ContentRow, parse_content_table
from gateway.core.fhir.directive import is_directive
from gateway.core.fhir.paths import Path

Release = Literal["R4", "R4B", "R5"]
ParamType = Literal[
    "token", "date", "reference", "string", "number", "quantity", "uri", "composite", "special"
]
Kind = Literal["compartment", "shared", "denied"]

VERSIONS: dict[Release, str] = {"R4": "4.0.1", "R4B": "4.3.0", "R5": "5.0.0"}
_HEADER = {"origin", "licence", "fhirVersion"}


@dataclass(frozen=True, slots=True)
class Param:
    """A search parameter of one type. No `paths`: it can be asked upstream, not evaluated here.

    `targets` are the types a reference may point at, empty for any type; `components` the names of
    a composite's parts, in order, empty when a part is no parameter of its own.
    """

    name: str
    type: ParamType
    paths: tuple[Path, ...] = ()
    targets: frozenset[str] = frozenset()
    components: tuple[str, ...] = ()

    def may_target(self, type_: str) -> bool:
        return self.type == "reference" and (not self.targets or type_ in self.targets)


@dataclass(frozen=True, slots=True)
class TypeAccess:
    """How records of a type may be reached, whatever the token says.

    compartment: owned by the patients at `owner`; `narrow` is the search parameter to inject.
    shared: about no patient. denied: never, for the reason `why`.
    `only`: of a compartment type, those records alone; the others are denied, for the reason `why`.
    `members` are the paths of HL7's literal compartment, of which `owner` is the subject-like part.
    """

    kind: Kind
    owner: tuple[Path, ...] = ()
    narrow: str | None = None
    owner_params: tuple[str, ...] = ()
    members: tuple[Path, ...] = ()
    only: Literal["directives"] | None = None
    why: str = ""

    def serves(self, resource: Tree) -> bool:
        """Whether a resource of the type may be reached at all."""
        return self.kind != "denied" and (self.only is None or is_directive(resource))


@dataclass(frozen=True, slots=True)
class Catalogue:
    """One release. `types` are all its concrete resource types, denied ones included."""

    release: Release
    types: frozenset[str]
    _access: Mapping[str, TypeAccess] = field(repr=False)
    _params: Mapping[str, Mapping[str, Param]] = field(repr=False)
    _common: Mapping[str, Param] = field(repr=False)
    _private: Mapping[str, frozenset[str]] = field(repr=False)
    _targets: Mapping[str, Mapping[str, frozenset[str]]] = field(repr=False)
    _content: Mapping[str, ContentRow] = field(repr=False)
    _cases: Mapping[str, CaseRule] = field(repr=False)

    @classmethod
    def parse(
        cls,
        search_params: Mapping[str, Any],
        compartment: Mapping[str, Any],
        access: Mapping[str, Any],
        content: Mapping[str, Any],
    ) -> Catalogue:
        """The four tables as parsed JSON. Raises ValueError naming the place that is wrong."""
        return _parse(search_params, compartment, access, content)

    @property
    def version(self) -> str:
        """The release's version as FHIR writes it: `4.0.1`."""
        return VERSIONS[self.release]

    def access(self, type_: str) -> TypeAccess:
        """How `type_` may be reached; an unknown type is denied."""
        return self._access.get(type_, _UNLISTED)

    def param(self, type_: str, name: str) -> Param | None:
        """The search parameter `name` of `type_`, the common ones (`_id` ...) included."""
        return self._params.get(type_, {}).get(name) or self._common.get(name)

    def params(self, type_: str) -> Mapping[str, Param]:
        """The search parameters that are `type_`'s own, by name."""
        return self._params.get(type_, {})

    def private_references(self, type_: str) -> frozenset[str]:
        """The elements of `type_`, as dotted names, where only people and their records can stand."""
        return self._private.get(type_, frozenset())

    def targets(self, type_: str, element: str) -> frozenset[str] | None:
        """The types that a reference at the element of `type_`, as a dotted name, can point at: empty for
        any, None for an element of which nothing is known."""
        return self._targets.get(type_, {}).get(element)

    def content(self, type_: str) -> ContentRow:
        """Where a record of `type_` says what it is about, when it was and who wrote it."""
        return self._content.get(type_, NOTHING_KNOWN)

    def case(self, type_: str) -> CaseRule | None:
        """What belongs to a case whose root is of `type_`; None if there are no such cases."""
        return self._cases.get(type_)


_UNLISTED = TypeAccess("denied", why="the type is not listed")


# --- parsing: every key is known, every reference between the tables resolves -------------------


def _parse(
    search: Mapping[str, Any],
    compartment: Mapping[str, Any],
    access: Mapping[str, Any],
    content: Mapping[str, Any],
) -> Catalogue:
    release = _release(search, "search parameters")
    for table, place in ((compartment, "compartment"), (access, "access"), (content, "content")):
        if _release(table, place) != release:
            raise ValueError(f"{place}: is of another FHIR release than the search parameters")
    _keys(search, _HEADER | {"common", "types"}, "search parameters")
    _keys(compartment, _HEADER | {"types"}, "compartment")
    _keys(access, _HEADER | {"types"}, "access")
    _keys(content, _HEADER | {"types", "cases"}, "content")
    params = {
        type_: {n: _param(n, row, f"{type_}.{n}") for n, row in rows.items() if n not in _BY_LABEL}
        for type_, rows in search["types"].items()
    }
    common = {name: _param(name, row, name) for name, row in search["common"].items()}
    _check_components(params)
    if access["types"].keys() != params.keys():
        odd = sorted(access["types"].keys() ^ params.keys())
        raise ValueError(f"access: lists other types than the search parameters: {', '.join(odd)}")
    accesses = {
        type_: _access(type_, row, params[type_] | common, compartment["types"].get(type_, []))
        for type_, row in access["types"].items()
    }
    contents = parse_content_table(content["types"])
    served = {type_ for type_, row in accesses.items() if row.kind != "denied"}
    if contents.keys() != served:
        raise ValueError(f"content: lists other types than are served: {', '.join(contents.keys() ^ served)}")
    cases = _cases(content["cases"], params)
    private = {
        type_: _private_references(rows, accesses) | _encounters(contents.get(type_, NOTHING_KNOWN))
        for type_, rows in params.items()
    }
    targets = {type_: _targets(rows) for type_, rows in params.items()}
    return Catalogue(release, frozenset(params), accesses, params, common, private, targets, contents, cases)


_BY_LABEL: Final = frozenset({"security-label", "confidentiality"})
"""Parameters that ask by labels, as `_security` does: for the gateway they do not exist."""


def _private_references(params: Mapping[str, Param], accesses: Mapping[str, TypeAccess]) -> frozenset[str]:
    return frozenset(
        ".".join(step.name for step in path.steps)
        for param in params.values()
        if param.targets and not any(accesses.get(t, _UNLISTED).kind == "shared" for t in param.targets)
        for path in param.paths
    )


def _encounters(row: ContentRow) -> frozenset[str]:
    """The elements for the encounter that a record was made in, which need no search parameter."""
    return frozenset(path.text for path in row.encounter)


def _cases(rows: Any, params: Mapping[str, Mapping[str, Param]]) -> dict[str, CaseRule]:
    rules = parse_case_table(rows)
    for type_, rule in rules.items():
        if type_ not in params:
            raise ValueError(f"cases: there is no type {type_}")
        for link in inward_links(rule):
            param = params.get(link.type or "", {}).get(link.search or "")
            if link.search is not None and (param is None or param.paths != (link.path,)):
                raise ValueError(f"cases.{type_}: {link.search} does not find what {link.name} holds")
    return rules


def _targets(params: Mapping[str, Param]) -> dict[str, frozenset[str]]:
    """Element to what its references can point at, where a parameter speaks of all of them."""
    found: dict[str, frozenset[str]] = {}
    for param in params.values():
        for path in param.paths if param.type == "reference" else ():
            if all(step.where is None and step.target is None for step in path.steps):
                known = found.get(path.text, param.targets)
                found[path.text] = known | param.targets if known and param.targets else frozenset()
    return found


def _release(table: Mapping[str, Any], place: str) -> Release:
    for release, version in VERSIONS.items():
        if table.get("fhirVersion") == version:
            return release
    raise ValueError(f"{place}: fhirVersion is not one of {', '.join(VERSIONS.values())}")


def _param(name: str, row: Mapping[str, Any], place: str) -> Param:
    _keys(row, {"type", "paths", "targets", "components"}, place)
    if row.get("type") not in get_args(ParamType):
        raise ValueError(f"{place}: unknown search parameter type {row.get('type')!r}")
    return Param(
        name,
        row["type"],
        tuple(_path(p, place) for p in _texts(row, "paths", place)),
        frozenset(_texts(row, "targets", place)),
        tuple(_texts(row, "components", place)),
    )


def _check_components(params: Mapping[str, Mapping[str, Param]]) -> None:
    for type_, rows in params.items():
        for param in rows.values():
            missing = [c for c in param.components if c not in rows]
            if missing:
                raise ValueError(f"{type_}.{param.name}: no such component: {', '.join(missing)}")


def _access(
    type_: str, row: Mapping[str, Any], params: Mapping[str, Param], members: list[str]
) -> TypeAccess:
    _keys(row, {"kind", "owner", "narrow", "only", "why"}, type_)
    why, only = row.get("why", ""), row.get("only")
    if only is not None and (only != "directives" or type_ != "Consent" or not why):
        raise ValueError(f"{type_}: only Consent has `only`, with a why, and that is directives")
    match row.get("kind"):
        case "compartment":
            # A Patient is its own owner (`{def}`), so it alone names no parameter.
            owners = tuple(_texts(row, "owner", type_))
            if (type_ == "Patient") != (not owners):
                raise ValueError(f"{type_}: a compartment type names its owner parameters, Patient none")
            if type_ != "Patient" or row.get("narrow") != "_id":
                _reference(type_, params, [row.get("narrow", "")])
            literal = [m for m in members if m != "{def}"]
            return TypeAccess(
                "compartment",
                _reference(type_, params, owners),
                row["narrow"],
                owners,
                _reference(type_, params, literal),
                only,
                why,
            )
        case "shared" | "denied" as kind if row.keys() <= {"kind", "why"} and (kind == "shared" or why):
            return TypeAccess(kind, why=why)
        case _:
            raise ValueError(f"{type_}: kind is compartment, shared, or denied with a why")


def _reference(type_: str, params: Mapping[str, Param], names: Sequence[str]) -> tuple[Path, ...]:
    paths: dict[Path, None] = {}
    for name in names:
        param = params.get(name)
        if param is None or not param.may_target("Patient") or not param.paths:
            raise ValueError(f"{type_}.{name}: is not a reference parameter that can name a patient")
        paths.update(dict.fromkeys(param.paths))
    return tuple(paths)


def _path(text: str, place: str) -> Path:
    try:
        return Path.parse(text)
    except ValueError as wrong:
        raise ValueError(f"{place}: {wrong}") from wrong


def _texts(row: Mapping[str, Any], key: str, place: str) -> list[str]:
    value = row.get(key, [])
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise ValueError(f"{place}: {key} is a list of texts")
    return value


def _keys(row: Mapping[str, Any], known: set[str], place: str) -> None:
    if not isinstance(row, Mapping):
        raise ValueError(f"{place}: is not an object")
    unknown = sorted(row.keys() - known)
    if unknown:
        raise ValueError(f"{place}: unknown key {', '.join(unknown)}")
