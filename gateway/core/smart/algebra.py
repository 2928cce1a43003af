"""Which scope holds which, and what two have in common: ceilings for clients, refresh and consent.

The order is by right: `contains(p, q)` if everything `q` permits is permitted by `p`. Levels never
contain each other. Spelling (`text`) carries no meaning, and is kept where the right is unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gateway.core.smart.constraints import format_constraints
from gateway.core.values import OPERATIONS, Scope


def contains(p: Scope, q: Scope) -> bool:
    """Whether `p` permits everything that `q` does."""
    return (
        p.level == q.level
        and p.type in ("*", q.type)
        and set(p.operations) >= set(q.operations)
        and set(p.constraints) <= set(q.constraints)
    )


def contains_all(ps: Iterable[Scope], q: Scope) -> bool:
    """Whether the union of `ps` permits everything that `q` does; each operation may have its own scope."""
    held = tuple(ps)
    return all(any(contains(p, replace(q, operations=o)) for p in held) for o in q.operations)


def intersect(p: Scope, q: Scope) -> Scope | None:
    """The widest scope that both contain, or None. It keeps the spelling of `p` if it is `p`."""
    operations = "".join(o for o in OPERATIONS if o in p.operations and o in q.operations)
    if p.level != q.level or not operations or ("*" not in (p.type, q.type) and p.type != q.type):
        return None
    if contains(q, p):
        return p
    constraints = tuple(dict.fromkeys(p.constraints + q.constraints))
    return _spelled(Scope(p.level, q.type if p.type == "*" else p.type, operations, constraints))


def narrow(asked: Iterable[Scope], ceiling: Iterable[Scope]) -> tuple[Scope, ...]:
    """What of `asked` lies within `ceiling`: all of it, and nothing else.

    A scope that the ceiling covers whole keeps its spelling (SMART App Launch 2.2: a v1 request is
    answered in v1), also where several scopes of the ceiling cover it together.
    """
    limits = tuple(ceiling)
    granted: list[Scope] = []
    for scope in asked:
        granted += [scope] if contains_all(limits, scope) else _common(scope, limits)
    return tuple(dict.fromkeys(granted))


def format_scope(scope: Scope) -> str:
    """The v2 spelling of `scope`, which parses to the same right."""
    query = f"?{format_constraints(scope.constraints)}" if scope.constraints else ""
    return f"{scope.level}/{scope.type}.{scope.operations}{query}"


def _common(scope: Scope, limits: tuple[Scope, ...]) -> list[Scope]:
    """What `scope` has in common with each limit, without what another of these contains."""
    shared = [common for limit in limits if (common := intersect(scope, limit)) is not None]
    kept: list[Scope] = []
    for common in shared:
        if not any(contains(other, common) for other in kept):
            kept = [other for other in kept if not contains(common, other)] + [common]
    return kept


def _spelled(scope: Scope) -> Scope:
    return replace(scope, text=format_scope(scope))
