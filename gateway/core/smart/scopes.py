"""SMART scopes as they are written, read into `Scope` values (SMART App Launch 2.2, RFC 6749 3.3).

Each token of the text ends in exactly one place: a resource scope, a launch-context or identity
scope, or `dropped` with its reason. What is malformed, unknown or cannot be enforced is dropped
whole and never read as something wider; so are extension scopes (`__name`, URIs), which open nothing
here. Whether a scope is granted is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import cast

from gateway.core.smart.constraints import Refusal, parse_constraints
from gateway.core.values import OPERATIONS, Level, Scope, Term

# v1 permissions and what they mean in v2. Letters are never taken out of these words: `read` has a `d`.
V1_OPERATIONS = {"read": "rs", "write": "cud", "*": "cruds"}
# Scopes that open no data by themselves: OpenID Connect and refresh tokens.
IDENTITY = frozenset({"openid", "fhirUser", "profile", "offline_access", "online_access"})
LEVELS = ("patient", "user", "system")

_NQCHARS = re.compile(r"[!#-\[\]-~]+")  # RFC 6749 appendix A: no space, quote or backslash
_RESOURCE = re.compile(r"(?P<level>[^/?]*)/(?P<type>[^./?]*)\.(?P<permission>[^?]*)(?:\?(?P<query>.*))?")
_LAUNCH = re.compile(r"launch(?:/(?P<type>[a-z]+)(?:\?role=[!#-$'-\[\]-~]+)?)?")

Evaluable = Callable[[str, Term], bool]
"""`evaluable(type, term)`: whether `term` can be enforced on every resource of `type` (`*`: of any type)."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A token that grants nothing, in its own spelling, and why."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class ScopeSet:
    """The tokens of one `scope` text, in order and without repeats.

    `context` holds launch scopes (`launch/patient`) and identity scopes (`openid`) as spelled.
    """

    resources: tuple[Scope, ...] = ()
    context: tuple[str, ...] = ()
    dropped: tuple[Dropped, ...] = ()


def parse_scopes(text: str, *, types: Set[str], evaluable: Evaluable) -> ScopeSet:
    """Read a `scope` text: tokens parted by spaces. Never raises on what a caller sends.

    `types` are the type names of the FHIR release served. A scope of which `evaluable` denies any
    constraint is dropped whole.
    """
    resources: list[Scope] = []
    context: list[str] = []
    dropped: list[Dropped] = []
    for part in dict.fromkeys(filter(None, text.split(" "))):
        try:
            if part in IDENTITY or _is_launch(part, types):
                context.append(part)
            else:
                resources.append(_resource(part, types, evaluable))
        except Refusal as refusal:
            dropped.append(Dropped(part, str(refusal)))
    return ScopeSet(tuple(resources), tuple(context), tuple(dropped))


def _is_launch(text: str, types: Set[str]) -> bool:
    """Whether `text` asks for launch context; raises `Refusal` if it only looks like it."""
    if text != "launch" and not text.startswith("launch/"):
        return False
    match = _LAUNCH.fullmatch(text)
    if match is None:
        raise Refusal("a launch scope is launch/type in lower case, with one role at most")
    if match["type"] is not None and match["type"] not in {name.lower() for name in types}:
        raise Refusal("the launch scope's type is unknown")
    return True


def _resource(text: str, types: Set[str], evaluable: Evaluable) -> Scope:
    if _NQCHARS.fullmatch(text) is None:
        raise Refusal("it has a character that scopes cannot carry")
    match = _RESOURCE.fullmatch(text)
    if match is None:
        raise Refusal("it is not a scope that is known here")
    level, kind, permission, query = match.group("level", "type", "permission", "query")
    if level not in LEVELS:
        raise Refusal("the level is not patient, user or system")
    if kind != "*" and kind not in types:
        raise Refusal("the resource type is unknown")
    operations = _operations(permission, constrained=query is not None)
    constraints = () if query is None else parse_constraints(query)
    if not all(evaluable(kind, term) for term in constraints):
        raise Refusal("a constraint uses a parameter or value that cannot be enforced")
    return Scope(cast("Level", level), kind, operations, constraints, text)


def _operations(permission: str, *, constrained: bool) -> str:
    """The v2 letters of a v1 or v2 permission."""
    if permission in V1_OPERATIONS:
        if constrained:
            raise Refusal("constraints need the v2 form of a scope")
        return V1_OPERATIONS[permission]
    if not permission or "".join(o for o in OPERATIONS if o in permission) != permission:
        raise Refusal("the permission is not a part of cruds in that order")
    return permission
