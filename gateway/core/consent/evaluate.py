"""Whether a patient's consents let this asker have this record.

    what law or a legal hold forbids is refused, whatever consents say
    for every patient that the record names, and every purpose that is asked:
        a deny that applies refuses, whoever is permitted otherwise
        else a permit that applies, of a consent that the token is bound to, permits
        else the implicit policy does, if no consent governs the request
        else nothing does: refused

Order plays no part: not of consents, exceptions or dates. A consent gives way to another only if that
one names it in `supersedes`; a stopped consent denies what it permitted until one does. Patients' own
denies do not bind themselves. Where the glass was broken, only denies that name it count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.core.consent import statute
from gateway.core.consent.applied import Case, descend, frontier, may_apply
from gateway.core.consent.authors import Author
from gateway.core.consent.binding import Frame
from gateway.core.consent.bound import BoundNode, BoundTree, Covered
from gateway.core.consent.labels import LabelRule
from gateway.core.consent.parts import Part
from gateway.core.consent.purposes import BREAK_GLASS
from gateway.core.consent.remembered import Bindings
from gateway.core.consent.rule import Consent
from gateway.core.consent.rules import NORMAL, OPT_IN, Implicit, Rules
from gateway.core.consent.short import missed_by, short_of
from gateway.core.consent.verdict import (
    Asker,
    Because,
    Ground,
    Miss,
    Permitted,
    Reason,
    Refused,
    ResourceFacts,
    Verdict,
    nearest,
)
from gateway.core.values import Label, Ref

__all__ = [
    "Asker",
    "Because",
    "Bound",
    "Covered",
    "Permitted",
    "Reason",
    "Refused",
    "ResourceFacts",
    "Rules",
    "Verdict",
    "bind",
]

_KEPT = 4096  # patients and verdicts remembered; a bulk export forgets and starts again
_READING = "rs"
_STRICTEST = tuple(Ground)  # of several patients' grounds the last one counts

_Key = tuple[frozenset[str], str, frozenset[Label], str]
_Deciding = list[tuple[BoundNode, BoundTree]]


def bind(
    consents_of: Callable[[str], Sequence[Consent]],
    asker: Asker,
    now_s: int,
    bound: frozenset[str] | None,
    rules: Rules = OPT_IN,
    bindings: Bindings | None = None,
) -> Bound:
    """The consents as they stand for one request, each patient's read when first needed.

    `consents_of(patient)` gives them in any order. `bound` are the ids that the token rests on: only
    those permit, all deny; None means any, and that the implicit policy counts. `bindings` remembers what was
    found out for other requests.
    """
    return Bound(consents_of, asker, now_s, bound, rules, bindings or Bindings())


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
        rules: Rules,
        bindings: Bindings,
    ) -> None:
        self._consents_of = consents_of
        self._bindings = bindings
        self._asker = asker
        self._now_s = now_s
        self._bound = bound
        self._rules = rules
        # Break-glass is a way of asking and no purpose among others: with it, it is the only one.
        self._glass = BREAK_GLASS in asker.purposes
        self._myself = None if self._glass else asker.self_patient
        self._purposes = (BREAK_GLASS,) if self._glass else tuple(dict.fromkeys(asker.purposes)) or (None,)
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
        if self._glass:
            return self._breaks(patient)
        if patient == self._myself:
            return True
        if self.barred(patient, kind, operation):
            return False
        return all(
            self._may_imply(part, operation) or self._may_rest(part, kind, operation)
            for part in self._of(patient)
        )

    def barred(
        self, patient: str, kind: str, operation: str, within: LabelRule | None = None
    ) -> tuple[Because, ...]:
        """The nodes that deny this asker every record of the type, or every one that `within` permits."""
        return tuple(
            because for part in self._of(patient) for because in part.barring(kind, operation, within)
        )

    def why_not(self, patient: str, kind: str, operation: str) -> Refused:
        """What kept `may_permit` from a yes: the denies that bar the type, or the nearest grants."""
        if self._glass:
            return Refused(Reason.BREAK_GLASS)
        barring = self.barred(patient, kind, operation)
        if barring:
            return Refused(Reason.DENIED, _unique(barring))
        short = (short_of(part, kind, operation, self._bound) for part in self._of(patient))
        return nearest([miss for misses in short for miss in misses])

    def label_sensitive(self, patient: str) -> bool:
        """Whether labels or content of a record can make a difference: those that the house names as legal
        holds do for everybody. Of what else law forbids nobody knows whether there is any."""
        if self._rules.holds:
            return True
        if patient == self._myself:
            return False
        if statute.weighs_labels(self._asker, self._rules.purposes):
            return True
        return any(part.looks_inside for part in self._of(patient))

    def weighs_labels(self, patient: str) -> bool:
        """Whether labels of a record can make a difference, but for what law forbids."""
        if patient == self._myself:
            return False
        if statute.weighs_labels(self._asker, self._rules.purposes):
            return True
        return any(part.weighs_labels for part in self._of(patient))

    def named(self, patient: str) -> frozenset[Ref]:
        """The records whose own references matter: those that rules for the patient name as related."""
        return frozenset().union(*(part.named for part in self._of(patient)))

    def authors(self, patient: str) -> frozenset[Author]:
        """Those whom rules for the patient are about as authors of records."""
        if patient == self._myself:
            return frozenset()
        return frozenset().union(*(part.authors for part in self._of(patient)))

    def coverage(self, patient: str) -> tuple[Covered, ...]:
        """The consents in force that concern the asker, by id: a change of it can change a verdict."""
        return tuple(sorted(frozenset().union(*(part.coverage for part in self._of(patient)))))

    @property
    def looked_at(self) -> frozenset[str]:
        """The patients whose consents were read for some verdict."""
        return frozenset(self._parts)

    def forbids(self, labels: frozenset[Label]) -> bool:
        """Whether law or a hold keeps records with these labels from the asker, whosever they are."""
        return statute.forbids(labels, self._asker, self._rules.holds, self._rules.purposes)

    # --- One verdict -------------------------------------------------------------------------------

    def _judge(self, facts: ResourceFacts, operation: str, key: _Key) -> Verdict:
        case = Case(facts, operation, self._rules.labels)
        verdict = self._decide(case, facts.patients)
        if not case.looked_inside:
            if len(self._verdicts) >= _KEPT:
                self._verdicts.clear()
            self._verdicts[key] = verdict
        return verdict

    def _decide(self, case: Case, patients: frozenset[str]) -> Verdict:
        if statute.forbids(case.labels, self._asker, self._rules.holds, self._rules.purposes):
            return Refused(Reason.LAW, denied=True)
        if not patients:
            return Refused(Reason.BREAK_GLASS if self._glass else Reason.NO_PATIENT)
        decide_for = self._break_for if self._glass else self._decide_for
        found: list[Permitted] = []
        for patient in sorted(patients):
            if patient == self._myself:
                continue
            verdict = decide_for(patient, case)
            if isinstance(verdict, Refused):
                return verdict
            found.append(verdict)
        return found[0] if len(found) == 1 else _together(found)

    def _decide_for(self, patient: str, case: Case) -> Verdict:
        parts = self._of(patient)
        deciding = [self._deciding(part, case) for part in parts]
        denies = [node for nodes in deciding for node, _ in nodes if node.denies]
        if denies:
            stopped = all(node.stopped for node in denies)
            reason = Reason.REVOKED if stopped else Reason.DENIED
            return Refused(reason, _unique([node.because for node in denies]), denied=True)
        by_name = statute.opens_by_name(case.labels, self._asker, self._rules.purposes)
        because: list[Because] = []
        ground = Ground.CONSENT
        for part, nodes in zip(parts, deciding, strict=True):
            usable = [node for node, tree in nodes if tree.unusable(self._bound) is None]
            permits = [node.because for node in usable if not by_name or statute.names_programme(node.labels)]
            if not permits and not self._implies(part, case):
                short = [
                    Miss(tree.unusable(self._bound) or Reason.LABEL, node.because) for node, tree in nodes
                ]
                return nearest([*part.misses, *part.shut, *missed_by(part.trees, case), *short])
            because += permits
            ground = ground if permits else Ground.IMPLICIT
        return Permitted(_unique(because), ground)

    def _deciding(self, part: Part, case: Case) -> _Deciding:
        return [
            (node, tree)
            for tree, always in part.candidates(case.type, case.operation)
            for node in ((always,) if always is not None else frontier(tree.root, case, part.contained))
        ]

    def _may_rest(self, part: Part, kind: str, operation: str) -> bool:
        """Whether a permit that the token may rest on applies to some record of the type."""
        return any(
            not node.denies and may_apply(node, kind, operation)
            for tree, _ in part.candidates(kind, operation)
            if tree.unusable(self._bound) is None
            for node in descend(tree.root)
        )

    # --- The implicit policy -----------------------------------------------------------------------

    def _implies(self, part: Part, case: Case) -> bool:
        return self._may_imply(part, case.operation) and NORMAL.permits(case.marks)

    def _may_imply(self, part: Part, operation: str) -> bool:
        return part.open and operation in _READING and not any(tree.governs(operation) for tree in part.trees)

    # --- Break-glass -------------------------------------------------------------------------------

    def _breaks(self, patient: str) -> bool:
        glass = self._asker.break_glass
        return glass is not None and glass.opens(patient, self._now_s)

    def _break_for(self, patient: str, case: Case) -> Verdict:
        if not self._breaks(patient):
            return Refused(Reason.BREAK_GLASS)
        nodes = [deciding for part in self._of(patient) for deciding in self._deciding(part, case)]
        denies = [node.because for node, _ in nodes if node.denies and node.glass]
        if denies:
            return Refused(Reason.DENIED, _unique(denies), denied=True)
        permits = [
            node.because
            for node, tree in nodes
            if not node.denies and node.glass and tree.unusable(self._bound) is None
        ]
        if not permits and self._rules.implicit is Implicit.DENY:
            return Refused(Reason.BREAK_GLASS)
        overridden = [node.because for node, _ in nodes if node.denies]
        return Permitted(_unique(permits), Ground.BREAK_GLASS, _unique(overridden))

    # --- One patient -------------------------------------------------------------------------------

    def _of(self, patient: str) -> tuple[Part, ...]:
        parts = self._parts.get(patient)
        if parts is None:
            if len(self._parts) >= _KEPT:
                self.whole = False
                self._parts.clear()
            parts = self._parts[patient] = self._read(patient)
        return parts

    def _read(self, patient: str) -> tuple[Part, ...]:
        consents = tuple(self._consents_of(patient))
        return tuple(
            self._bindings.part(patient, consents, self._frame(patient, purpose))
            for purpose in self._purposes
        )

    def _frame(self, patient: str, purpose: str | None) -> Frame:
        # A token that rests on consents was given for them and no more.
        implied = patient == self._asker.patient and self._bound is None
        implied = implied and self._rules.implies(self._asker, purpose)
        return Frame(self._asker, purpose, self._now_s, self._rules, implied)


def _together(verdicts: Sequence[Permitted]) -> Permitted:
    """What several patients permit; nobody's permission is needed for one's own record."""
    return Permitted(
        tuple(because for verdict in verdicts for because in verdict.because),
        max((verdict.ground for verdict in verdicts), key=_STRICTEST.index, default=Ground.CONSENT),
        tuple(because for verdict in verdicts for because in verdict.overridden),
    )


def _unique(because: Sequence[Because]) -> tuple[Because, ...]:
    """Each once: for several purposes the same node may decide again."""
    return tuple(dict.fromkeys(because))
