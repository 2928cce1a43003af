"""The scopes that a consent may name: exactly one patient-level resource scope per text."""

from __future__ import annotations

from collections.abc import Set

from gateway.core.consent.document import ParseScope
from gateway.core.smart.scopes import Evaluable, parse_scopes
from gateway.core.values import Scope


def scope_parser(types: Set[str], evaluable: Evaluable) -> ParseScope:
    """A reader of one scope; `types` and `evaluable` are those of `parse_scopes`.

    It raises ValueError, whose text finishes the sentence "The scope ... cannot be used: ".
    """

    def parse_scope(text: str) -> Scope:
        found = parse_scopes(text, types=types, evaluable=evaluable)
        if found.dropped:
            raise ValueError(found.dropped[0].reason)
        if len(found.resources) != 1 or found.resources[0].text != text:
            raise ValueError("it is not one resource scope")
        if found.resources[0].level != "patient":
            raise ValueError("a consent speaks of one patient, so its level is patient")
        return found.resources[0]

    return parse_scope
