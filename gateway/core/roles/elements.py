"""Which elements of a record a role's rule takes away: places, as `gateway.core.fhir.mask` cuts them out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.core.fhir.codec import Tree
from gateway.core.fhir.scan import Place
from gateway.core.roles.profile import Names, TypeRule


def is_partial(rule: TypeRule | None) -> bool:
    """Whether records under the rule are seen in part."""
    return rule is not None and (rule.keep is not None or rule.drop is not None)


def joined(names: Names, more: Names) -> Names:
    """The elements of both."""
    found = dict(names)
    for name, parts in more.items():
        known = found.get(name, parts)
        found[name] = None if known is None or parts is None else joined(known, parts)
    return found


ALWAYS: Final = frozenset(
    {"resourceType", "id", "meta", "implicitRules", "language", "contained", "modifierExtension"}
)
"""Members of a resource that no list of elements takes away: what it is, and what qualifies the rest. What is
contained has rules of its own, and goes when nothing refers to it any more."""
_INNER: Final = frozenset({"id", "modifierExtension"})


def withheld(tree: Tree, rule: TypeRule, at: Place) -> Iterator[Place]:
    """The places that the rule takes away of the resource `tree`, which stands at `at`."""
    if rule.keep is not None:
        yield from _outside(tree, rule.keep, at, ALWAYS)
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
            elif (parts := names[name]) is not None:
                yield from _outside(value, parts, (*at, key), _INNER)


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
                yield from [(*at, key)] if parts is None else _inside(value, parts, (*at, key))


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
