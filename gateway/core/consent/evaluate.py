"""Whether a patient's consents let this asker have this record.

    for every patient that the record names, and every purpose that is asked:
        a deny that applies refuses, whoever is permitted otherwise
        else a permit that applies, of a consent that the token is bound to, permits
        else nothing does: refused

Order plays no part: not of consents, exceptions or dates. A consent gives way to another only if that
one names it in `supersedes`; a stopped consent denies what it permitted until one does. Patients' own
denies do not bind themselves. With nothing permitted the answer is no, so a permit that names its records
closes off all others without saying so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gateway.core.consent.applied import Case, always_denies, descend, frontier, may_apply, missed
from gateway.core.consent.bound import BoundNode, BoundTree, Frame, Part, bind_consents
from gateway.core.consent.hierarchy import Hierarchy
from gateway.core.consent.labels import LABELS, LabelOrder, LabelRule
from gateway.core.consent.purposes import BREAK_GLASS, PURPOSES
from gateway.core.consent.rule import Consent
from gateway.core.consent.verdict import (
    Asker,
    Because,
    Miss,
    Permitted,
    Reason,
    Refused,
    ResourceFacts,
    Verdict,
    nearest,
)
from gateway.core.values import Label

__all__ = [
    "Asker",
    "Because",
    "Bound",
    "Covered",
    "Permitted",
    "Reason",
    "Refused",
    "ResourceFacts",
    "Verdict",
    "bind",
]

_KEPT = 4096  # patients and verdicts remembered; a bulk export forgets and starts again

_Key = tuple[frozenset[str], str, frozenset[Label], str]


@dataclass(frozen=True, slots=True, order=True)
class Covered:
    """A consent that concerns the asker, and the ledger entry of what it says."""

    id: str
    entry: int


def bind(
    consents_of: Callable[[str], Sequence[Consent]],
    asker: Asker,
    now_s: int,
    bound: frozenset[str] | None,
    *,
    labels: LabelOrder = LABELS,
    purposes: Hierarchy = PURPOSES,
    contained: bool = False,
) -> Bound:
    """The consents as they stand for one request, each patient's read when first needed.

    `consents_of(patient)` gives them in any order. `bound` are the ids that the token rests on: only
    those permit, all deny; None means any. With `contained` an exception counts only where the node
    above it applies; without, it stands for itself (as the IHE PCF examples need).
    """
    return Bound(consents_of, asker, now_s, bound, labels, purposes, contained)


class Bound:
    """Consents bound to a request. What `consents_of` raises passes through.

    `whole`: whether every patient's consents are still as they were when they were first read. Somebody
    who asks about very many patients has them read again, perhaps in a newer state.
    """

    def __init__(
        self,
        consents_of: Callable[[str], Sequence[Consent]],
        asker: Asker,
        now_s: int,
        bound: frozenset[str] | None,
        labels: LabelOrder,
        purposes: Hierarchy,
        contained: bool,
    ) -> None:
        self._consents_of = consents_of
        self._asker = asker
        self._now_s = now_s
        self._bound = bound
        self._labels = labels
        self._purposes = purposes
        self._contained = contained
        self.whole = True
        self._parts: dict[str, tuple[Part, ...]] = {}
        self._verdicts: dict[_Key, Verdict] = {}

    def judge(self, facts: ResourceFacts, operation: str) -> Verdict:
        """The verdict on one record for `operation`, a letter of `cruds`."""
        key = (facts.patients, facts.type, facts.labels, operation)
        verdict = self._verdicts.get(key)
        return verdict if verdict is not None else self._judge(facts, operation, key)

    def may_permit(self, patient: str, kind: str, operation: str) -> bool:
        """Whether any record of the type could be permitted. Depends on no record."""
        if BREAK_GLASS in self._asker.purposes:
            return False
        if patient == self._asker.self_patient:
            return True
        if self.barred(patient, kind, operation):
            return False
        return all(
            any(
                not node.denies and may_apply(node, kind, operation)
                for tree in part.trees
                if tree.usable
                for node in descend(tree.root)
            )
            for part in self._of(patient)
        )

    def barred(
        self, patient: str, kind: str, operation: str, within: LabelRule | None = None
    ) -> tuple[Because, ...]:
        """The nodes that deny this asker every record of the type, or every one that `within` permits."""
        return tuple(
            node.because
            for part in self._of(patient)
            for tree in part.trees
            for node in always_denies(tree.root, kind, operation, self._contained, within)
        )

    def why_not(self, patient: str, kind: str, operation: str) -> Refused:
        """What kept `may_permit` from a yes: the denies that bar the type, or the nearest grants."""
        if BREAK_GLASS in self._asker.purposes:
            return Refused(Reason.BREAK_GLASS)
        barring = self.barred(patient, kind, operation)
        if barring:
            return Refused(Reason.DENIED, _unique(barring))
        return nearest([miss for part in self._of(patient) for miss in _short_of(part, kind, operation)])

    def label_sensitive(self, patient: str) -> bool:
        """Whether labels or content of a record can make a difference."""
        if patient == self._asker.self_patient:
            return False
        return any(_looks_inside(node) for tree in self._trees(patient) for node in descend(tree.root))

    def coverage(self, patient: str) -> tuple[Covered, ...]:
        """The consents in force that concern the asker, by id: a change of it can change a verdict."""
        return tuple(sorted({Covered(tree.id, tree.entry) for tree in self._trees(patient)}))

    # --- One verdict -------------------------------------------------------------------------------

    def _judge(self, facts: ResourceFacts, operation: str, key: _Key) -> Verdict:
        case = Case(facts, operation, self._labels)
        verdict = self._decide(case, facts.patients)
        if not case.looked_inside:
            if len(self._verdicts) >= _KEPT:
                self._verdicts.clear()
            self._verdicts[key] = verdict
        return verdict

    def _decide(self, case: Case, patients: frozenset[str]) -> Verdict:
        if BREAK_GLASS in self._asker.purposes:
            return Refused(Reason.BREAK_GLASS)
        if not patients:
            return Refused(Reason.NO_PATIENT)
        because: list[Because] = []
        for patient in sorted(patients):
            if patient == self._asker.self_patient:
                continue
            verdict = self._decide_for(patient, case)
            if isinstance(verdict, Refused):
                return verdict
            because += verdict.because
        return Permitted(tuple(because))

    def _decide_for(self, patient: str, case: Case) -> Verdict:
        parts = self._of(patient)
        deciding = [
            [
                (node, tree.usable)
                for tree in part.trees
                for node in frontier(tree.root, case, self._contained)
            ]
            for part in parts
        ]
        denies = [node for nodes in deciding for node, _ in nodes if node.denies]
        if denies:
            stopped = all(node.stopped for node in denies)
            reason = Reason.REVOKED if stopped else Reason.DENIED
            return Refused(reason, _unique([node.because for node in denies]))
        because: list[Because] = []
        for part, nodes in zip(parts, deciding, strict=True):
            permits = [node.because for node, usable in nodes if usable]
            if not permits:
                unbound = [Miss(Reason.UNBOUND, node.because) for node, _ in nodes]
                return nearest([*part.misses, *_misses(part.trees, case), *unbound])
            because += permits
        return Permitted(_unique(because))

    # --- One patient -------------------------------------------------------------------------------

    def _trees(self, patient: str) -> list[BoundTree]:
        return [tree for part in self._of(patient) for tree in part.trees]

    def _of(self, patient: str) -> tuple[Part, ...]:
        parts = self._parts.get(patient)
        if parts is None:
            if len(self._parts) >= _KEPT:
                self.whole = False
                self._parts.clear()
            parts = self._parts[patient] = self._read(patient)
        return parts

    def _read(self, patient: str) -> tuple[Part, ...]:
        consents = sorted(self._consents_of(patient), key=lambda consent: (consent.entry, consent.id))
        superseded = frozenset().union(*(consent.supersedes for consent in consents))
        standing = [consent for consent in consents if consent.id not in superseded]
        asked = tuple(dict.fromkeys(self._asker.purposes)) or (None,)
        return tuple(bind_consents(standing, self._frame(purpose), self._bound) for purpose in asked)

    def _frame(self, purpose: str | None) -> Frame:
        return Frame(self._asker, purpose, self._now_s, self._contained, self._labels, self._purposes)


def _misses(trees: Sequence[BoundTree], case: Case) -> list[Miss]:
    """The permits that the request meets and the record does not."""
    return [
        Miss(reason, node.because)
        for tree in trees
        for node in descend(tree.root)
        if not node.denies and node.missed is None and (reason := missed(node, case)) is not None
    ]


def _short_of(part: Part, kind: str, operation: str) -> Iterator[Miss]:
    """The permits that cannot reach the type, or that the token is not bound to."""
    yield from part.misses
    for tree in part.trees:
        for node in descend(tree.root):
            if node.denies or node.missed is not None:
                continue
            if not may_apply(node, kind, operation):
                yield Miss(Reason.SCOPE, node.because)
            elif not tree.usable:
                yield Miss(Reason.UNBOUND, node.because)


def _looks_inside(node: BoundNode) -> bool:
    if node.missed is not None:
        return False
    return node.labels is not None or any(scope.constraints for scope in node.scopes)


def _unique(because: Sequence[Because]) -> tuple[Because, ...]:
    return tuple(dict.fromkeys(because))
