"""The refusal of a consent that could have no effect, with what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.core.consent.dead import repeated, silencing
from gateway.core.consent.rule import Consent, State
from gateway.core.consent.rules import Rules
from gateway.core.consent.verdict import Because
from gateway.errors import BadRequest


@dataclass(frozen=True, slots=True)
class Silencer:
    """A consent that stands, and its nodes that deny all that another one permits."""

    consent: Consent
    nodes: tuple[Because, ...]

    def __str__(self) -> str:
        name, entry = self.consent.id, self.consent.entry
        paths = ", ".join(node.node_path for node in self.nodes)
        if self.consent.state is State.STOPPED:
            return f"consent {name} was stopped; supersede {name} (entry {entry}, {paths})"
        return f"consent {name} denies it; supersede or revoke {name} (entry {entry}, {paths})"


class NoEffect(BadRequest):
    """`supersede` are the ids of all that would have to give way."""

    code = "business-rule"

    def __init__(self, text: str, supersede: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.supersede = supersede


def check_effect(consent: Consent, standing: Iterable[Consent], now_s: int, rules: Rules) -> None:
    """Raises NoEffect if others deny all that the consent permits, and all that it denies too."""
    over = silencers(consent, standing, now_s, rules)
    if any(repeated(each.consent, consent, now_s, rules) for each in over):
        why = "; and because ".join(map(str, over))
        raise NoEffect(f"This consent has no effect because {why}.", tuple(each.consent.id for each in over))


def silencers(
    consent: Consent, standing: Iterable[Consent], now_s: int, rules: Rules
) -> tuple[Silencer, ...]:
    """Those that stand, each of which denies all that the consent permits."""
    others = (other for other in standing if other.id not in {consent.id, *consent.supersedes})
    found = (Silencer(other, silencing(other, consent, now_s, rules)) for other in others)
    return tuple(each for each in found if each.nodes)
