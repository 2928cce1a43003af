"""A rule in the words of FHIR: scopes said as actions and resource types, codes in one spelling.

It decides as the rule did, or it is not made. Where a scope says more than an action and a type can, the
reasons name the node, as `root.0`. This is also the form that a Consent which was written is read back in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from gateway.core.consent.fhir.codes import label_text, spelt
from gateway.core.consent.fhir.element import Problem
from gateway.core.consent.labels import LABELS
from gateway.core.consent.rule import (
    ACTIONS,
    READING,
    RESOURCE_TYPES,
    WRITING,
    Consent,
    Effect,
    Match,
    Node,
    walk,
)
from gateway.core.values import Label, Scope

_READS: Final = frozenset("rs")
_WRITES: Final = frozenset("cud")


def plain(consent: Consent) -> Consent | tuple[Problem, ...]:
    """The consent without scopes, or why not."""
    nodes = walk(consent.root)
    problems: list[Problem] = []
    scoped = any(node.match.scopes for node in nodes)
    if scoped and any(node.match.actions or node.match.classes for node in nodes):
        problems.append(Problem("root", "names scopes in one place and actions or types in another"))
    root = _node(consent.root, Match(), problems)
    return tuple(problems) or replace(consent, root=root)


def _node(node: Node, above: Match, problems: list[Problem]) -> Node:
    """The node, where `above` has the actions and classes that hold above it."""
    match = replace(
        node.match,
        scopes=(),
        labels=frozenset(map(_label, node.match.labels)),
        classes=frozenset(map(_spelt, node.match.classes)),
        codes=frozenset(map(_spelt, node.match.codes)),
    )
    if node.match.scopes:
        found = list(_reasons(node, above))
        problems += [Problem(node.path, text) for text in found]
        if not found:
            match = replace(match, actions=_actions(node, above), classes=_types(node.match.scopes))
    holding = Match(actions=match.actions or above.actions, classes=match.classes or above.classes)
    return replace(node, match=match, exceptions=tuple(_node(e, holding, problems) for e in node.exceptions))


def _reasons(node: Node, above: Match) -> Iterator[str]:
    """Why the node's scopes cannot be said as actions and types."""
    scopes, alone = node.match.scopes, _denies_alone(node)
    if any(scope.constraints for scope in scopes):
        yield "limits a scope to part of a type"
    if any(_said(scope, alone) is None for scope in scopes):
        yield "names operations that no action stands for: only reading with searching, and all of writing"
    elif len({_said(scope, alone) for scope in scopes}) > 1:
        yield "names other operations for one type than for another"
    if above.classes and not _types(scopes):
        yield "names every type below a node that names some"


def _denies_alone(node: Node) -> bool:
    """Whether it is a deny from which no exception takes its scopes over: of reading or searching it then
    denies both, where a permit would have the one."""
    return node.effect is Effect.DENY and not node.exceptions


def _said(scope: Scope, either: bool) -> frozenset[str] | None:
    """The actions that the scope's operations are; None if there are none. With `either`, reading or
    searching stands for both."""
    operations = frozenset(scope.operations)
    reads, writes = operations & _READS, operations & _WRITES
    if (writes and writes != _WRITES) or (reads and reads != _READS and not either):
        return None
    return (READING if reads else frozenset()) | (WRITING if writes else frozenset())


def _actions(node: Node, above: Match) -> frozenset[str]:
    said = _said(node.match.scopes[0], _denies_alone(node)) or ACTIONS
    return frozenset() if said == ACTIONS and not above.actions else said


def _types(scopes: tuple[Scope, ...]) -> frozenset[Label]:
    """The types of the scopes; empty for every type."""
    types = {scope.type for scope in scopes}
    return frozenset() if "*" in types else frozenset(Label(RESOURCE_TYPES, kind) for kind in types)


def _label(text: str) -> str:
    return label_text(LABELS.named(text)) or text


def _spelt(label: Label) -> Label:
    return Label(spelt(label.system), label.code)
