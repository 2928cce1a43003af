"""What is asked about a record, and the answer: permitted or refused, with the nodes that decided.

Reasons are for the ledger and the patient. A caller is never told one: it could speak of a hidden record.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.core.consent.rule import CLIENT, KINDS
from gateway.core.values import Label, Term


class Reason(enum.StrEnum):
    """Why not. From `NO_CONSENT` to `UNBOUND` in the order of how near a consent came."""

    NO_CONSENT = "no_consent"  # nothing is granted to this asker
    PURPOSE = "purpose"  # a grant for other purposes
    PERIOD = "period"  # a grant not yet or no longer in force
    REVOKED = "revoked"  # a grant that was withdrawn
    SCOPE = "scope"  # a grant for other records or another operation
    LABEL = "label"  # a grant that does not reach the record's labels
    UNBOUND = "unbound"  # a grant that the token is not bound to
    DENIED = "denied"  # a consent forbids it
    BREAK_GLASS = "break_glass"  # no consent can open that
    NO_PATIENT = "no_patient"  # the record names no patient who could consent


_NEARNESS: Final = {reason: rank for rank, reason in enumerate(Reason)}


@dataclass(frozen=True, slots=True)
class Because:
    """A deciding node: the consent, the ledger entry that holds it, and the node's path in it."""

    consent_id: str
    entry: int
    node_path: str


@dataclass(frozen=True, slots=True)
class Permitted:
    """`because` is empty for a patient's own record alone."""

    because: tuple[Because, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """`because` names what denied, or the grants that came nearest; empty if there was none."""

    reason: Reason
    because: tuple[Because, ...] = ()


Verdict: TypeAlias = Permitted | Refused


@dataclass(frozen=True, slots=True)
class Miss:
    """A permit node that did not apply, and the first dimension that kept it from applying."""

    reason: Reason
    because: Because


def nearest(misses: list[Miss]) -> Refused:
    """The refusal that names the misses that came nearest, and no others."""
    if not misses:
        return Refused(Reason.NO_CONSENT)
    rank = max(_NEARNESS[miss.reason] for miss in misses)
    near = [miss for miss in misses if _NEARNESS[miss.reason] == rank]
    return Refused(near[0].reason, tuple(miss.because for miss in near))


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and what for.

    `identities` are closed by the caller: user, organisations and client, in every form that a consent
    could name. `known` are the kinds of which these are all; of another kind the asker may be anybody, so
    a deny for somebody of that kind may apply. Which client asks is always known.
    `self_patient` is the patient id of a user who is one.
    """

    identities: frozenset[str]
    known: frozenset[str] = frozenset({CLIENT})
    self_patient: str | None = None
    purposes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if CLIENT not in self.known or not self.known <= KINDS:
            raise ValueError("known are kinds of identities, the client always one of them")


Holds: TypeAlias = Callable[[Term], bool | None]
"""Whether a scope's constraint holds for the record; None when that cannot be told."""


def _cannot_tell(_term: Term) -> None:
    return None


@dataclass(frozen=True, slots=True)
class ResourceFacts:
    """What a rule can look at in one record. `patients` are the ids of all that it belongs to; `holds`
    is asked only when a rule is limited to part of a type."""

    type: str
    labels: frozenset[Label]
    patients: frozenset[str]
    holds: Holds = _cannot_tell
