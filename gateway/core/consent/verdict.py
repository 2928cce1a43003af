"""What is asked about a record, and the answer: permitted or refused, with the nodes that decided.

Reasons are for the ledger and the patient. A caller is never told one: it could speak of a hidden record.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeAlias

from gateway.core.consent.rule import CLIENT, KINDS, ROLE, DataRef, Period, kind_of, vocabulary_of
from gateway.core.values import Label, Term


class Reason(enum.StrEnum):
    """Why not. From `NO_CONSENT` to `DOUBTFUL` in the order of how near a consent came."""

    NO_CONSENT = "no_consent"  # nothing is granted to this asker
    PURPOSE = "purpose"  # a grant for other purposes
    PERIOD = "period"  # a grant not yet or no longer in force
    REVOKED = "revoked"  # a grant that was withdrawn
    SCOPE = "scope"  # a grant for other records or another operation
    LABEL = "label"  # a grant that does not reach the record's labels
    CONTENT = "content"  # a grant for records of another content, or one that cannot be told
    UNBOUND = "unbound"  # a grant that the token is not bound to
    DOUBTFUL = "doubtful"  # a grant of which it is not known that it is in force, or what it says
    DENIED = "denied"  # a consent forbids it
    BREAK_GLASS = "break_glass"  # the glass was not broken as it has to be, or not for this patient
    LAW = "law"  # a legal hold or a statute forbids it, whatever consents say
    NO_PATIENT = "no_patient"  # the record names no patient who could consent


_NEARNESS: Final = {reason: rank for rank, reason in enumerate(Reason)}


class Because(NamedTuple):
    """A deciding node: the consent, the ledger entry that holds it, and the node's path in it."""

    consent_id: str
    entry: int
    node_path: str


class Ground(enum.StrEnum):
    """What a permission rests on; of several patients' the last of these."""

    CONSENT = "consent"
    IMPLICIT = "implicit"  # the policy where no consent governs
    BREAK_GLASS = "break_glass"


@dataclass(frozen=True, slots=True)
class Permitted:
    """`because` names the permits; it is empty for a patient's own record, and may be for another ground than
    consent. `overridden` are the denies that a broken glass passed over."""

    because: tuple[Because, ...] = ()
    ground: Ground = Ground.CONSENT
    overridden: tuple[Because, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """`because` names what denied, or the grants that came nearest; empty if there was none. `denied`: it is
    forbidden, and not merely not permitted."""

    reason: Reason
    because: tuple[Because, ...] = ()
    denied: bool = False


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
    return Refused(near[0].reason, tuple(dict.fromkeys(miss.because for miss in near)))


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """A glass that was broken: for one patient (id), by a user who may, for a reason (a code), until a second
    since the epoch that is not part of it. Having one is the proof that all this was checked."""

    patient: str
    reason: str
    until_s: int

    def __post_init__(self) -> None:
        if not self.patient or not self.reason:
            raise ValueError("the glass is broken for a patient and a reason")

    def opens(self, patient: str, now_s: int) -> bool:
        return patient == self.patient and now_s < self.until_s


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and what for.

    `identities` are closed by the caller: user, organisations and client, in every form that a consent
    could name. `known` are the kinds of which these are all, `settled` the identities of other kinds of which
    it is known whether the asker has them; for the rest the asker may be anybody, so a deny for somebody of
    that kind may apply. Which client asks is always known.
    `self_patient` is the patient id of a user who is one, `patient` that of the token's context. A purpose of
    break-glass counts only with `break_glass`.
    """

    identities: frozenset[str]
    known: frozenset[str] = frozenset({CLIENT})
    self_patient: str | None = None
    purposes: tuple[str, ...] = ()
    patient: str | None = None
    settled: frozenset[str] = frozenset()
    break_glass: BreakGlass | None = None

    def __post_init__(self) -> None:
        if CLIENT not in self.known or not self.known <= KINDS:
            raise ValueError("known are kinds of identities, the client always one of them")

    def may_be_any(self, actors: frozenset[str]) -> bool:
        """Whether the asker could be one of `actors` though none of them is known of it."""
        return any(not self.is_told(actor) for actor in actors)

    def is_told(self, actor: str) -> bool:
        """Whether it is known if the asker is `actor`. Roles of one vocabulary say nothing of another's."""
        kind = kind_of(actor)
        if kind not in self.known:
            return actor in self.settled
        roles = [one for one in self.identities if kind == ROLE == kind_of(one)]
        return not roles or vocabulary_of(actor) in map(vocabulary_of, roles)


class Content(Protocol):
    """What stands in one record, as far as rules ask: None where it cannot be told. It is asked only when
    a rule looks inside."""

    def holds(self, term: Term) -> bool | None:
        """Whether a scope's constraint holds."""
        ...

    def has_code(self, code: Label, *, primary: bool) -> bool | None:
        """Whether it has the coding: in the elements that say what it is, or else anywhere in it, contained
        records included."""
        ...

    def is_class(self, kind: Label) -> bool | None:
        """Whether it is of the profile, or a document of the type."""
        ...

    def within(self, period: Period) -> bool | None:
        """Whether the time it is about is wholly inside; None if it has none, True for a type without."""
        ...

    def touches(self, period: Period) -> bool | None:
        """Whether any time it is about, was recorded or changed at is inside; False for a type without."""
        ...

    def relates(self, data: DataRef) -> bool | None:
        """Whether it is the record that `data` names, or hangs together with it as that says."""
        ...


class Unknown:
    """Content of which nothing can be told."""

    def holds(self, _term: Term) -> bool | None:
        return None

    def has_code(self, _code: Label, *, primary: bool) -> bool | None:
        return None

    def is_class(self, _kind: Label) -> bool | None:
        return None

    def within(self, _period: Period) -> bool | None:
        return None

    def touches(self, _period: Period) -> bool | None:
        return None

    def relates(self, _data: DataRef) -> bool | None:
        return None


UNKNOWN: Final[Content] = Unknown()


@dataclass(frozen=True, slots=True)
class ResourceFacts:
    """What a rule can look at in one record. `patients` are the ids of all that it belongs to, `id` its
    own; `content` is asked only when a rule looks inside."""

    type: str
    labels: frozenset[Label]
    patients: frozenset[str]
    id: str = ""
    content: Content = UNKNOWN
