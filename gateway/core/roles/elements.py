"""Which elements of a record a role's rule takes away: places, as `gateway.core.fhir.mask` cuts them out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from gateway.core.fhir.codec import Tree
from gateway.core.fhir.scan import Place
from gateway.core.roles.profile import Names, Typed, TypeRule


def is_partial(rule: TypeRule | None) -> bool:
    """Whether records under the rule are seen in part."""
    return rule is not None and (rule.keep is not None or rule.drop is not None)


def joined(names: Names, more: Names) -> Names:
    """The elements of both."""
    found = dict(names)
    for name, parts in more.items():
        found[name] = _both(found[name], parts) if name in found else parts
    return found


def _both(one: Names | Typed | None, other: Names | Typed | None) -> Names | Typed | None:
    if one is None or other is None:
        return None
    if not isinstance(one, Typed) and not isinstance(other, Typed):
        return joined(one, other)
    first, second = (each if isinstance(each, Typed) else Typed(frozenset(), each) for each in (one, other))
    return Typed(first.codes | second.codes, joined(first.others, second.others))


ALWAYS: Final = frozenset(
    {"resourceType", "id", "meta", "implicitRules", "language", "contained", "modifierExtension"}
)
"""Members of a resource that no list of elements takes away: what it is, and what qualifies the rest. What is
contained has rules of its own, and goes when nothing refers to it any more."""
_META: Final = frozenset({"id", "versionId", "lastUpdated", "source", "profile", "security", "tag"})
"""What is about a record. Extensions of it may say anything."""
_INNER: Final = frozenset({"id", "modifierExtension"})


def withheld(tree: Tree, rule: TypeRule, at: Place) -> Iterator[Place]:
    """The places that the rule takes away of the resource `tree`, which stands at `at`."""
    if rule.keep is not None:
        yield from _outside(tree, rule.keep, at, ALWAYS)
        meta = tree.get("meta")
        if type(meta) is dict:
            yield from [(*at, "meta", name) for name in meta if name not in _META]
    elif rule.drop is not None:
        yield from _inside(tree, rule.drop, at)


def _outside(node: Tree, names: Names, at: Place, always: frozenset[str]) -> Iterator[Place]:
    """The places below `node` that are in none of the elements `names`."""
    if type(node) is list:
        for index, one in enumerate(node):
            yield from _outside(one, names, (*at, index), always)
    elif type(node) is not dict:
        yield at
    else:
        for key, value in node.items():
            if key in always:
                continue
            name = _named(key, names)
            if name is None:
                yield (*at, key)
                continue
            parts = names[name]
            if isinstance(parts, Typed):
                # Beside a primitive alone FHIR has a `_name`.
                odd = key != name
                yield from [(*at, key)] if odd else _of_other_types(value, parts, (*at, key))
            elif parts is not None:
                yield from _outside(value, parts, (*at, key), _INNER)


def _of_other_types(node: Tree, typed: Typed, at: Place) -> Iterator[Place]:
    """The places below `node`, one Identifier or a list of them, that are in none of those `typed`."""
    if type(node) is list:
        for index, one in enumerate(node):
            yield from _outside_type(one, typed, (*at, index))
    else:
        yield from _outside_type(node, typed, at)


def _outside_type(node: Tree, typed: Typed, at: Place) -> Iterator[Place]:
    if _is_of(node, typed.codes):
        return
    yield from _outside(node, typed.others, at, _INNER) if typed.others else [at]


IDENTIFIER_TYPES: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"


def _is_of(node: Tree, codes: frozenset[str]) -> bool:
    """Whether it is an Identifier with a type of these codes, as far as it says so plainly."""
    match node:
        case {"type": {"coding": list() as codings}}:
            return any(_is_one(coding, codes) for coding in codings)
        case _:
            return False


def _is_one(coding: Tree, codes: frozenset[str]) -> bool:
    match coding:
        case {"system": str() as system, "code": str() as code}:
            return system == IDENTIFIER_TYPES and code in codes
        case _:
            return False


def _inside(node: Tree, names: Names, at: Place) -> Iterator[Place]:
    """The places below `node` of the elements `names`."""
    if type(node) is list:
        for index, one in enumerate(node):
            yield from _inside(one, names, (*at, index))
    elif type(node) is dict:
        for key, value in node.items():
            name = _named(key, names)
            if name is not None:
                parts = names[name]
                there = (*at, key)
                yield from _inside(value, parts, there) if isinstance(parts, Mapping) else [there]


def _named(key: str, names: Names) -> str | None:
    """Which of the names a member has; `_x` stands beside `x`, `valueString` is one of `value[x]`."""
    name = key.removeprefix("_")
    if name in names:
        return name
    for choice in names:
        stem = choice.removesuffix("[x]")
        if stem != choice and name.startswith(stem) and name[len(stem) : len(stem) + 1].isupper():
            return choice
    return None
