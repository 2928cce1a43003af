"""Whether one resource may be seen by the token that asks: scope, owner and consent, in that order.

A `Judge` is made by `decide` alone and travels in the plan. It looks at a resource by itself, wherever
it came from: a match, a page, a mentioned record. A resource is visible when one granted scope covers it
with that scope's own constraint, it belongs to whom the scope is about, and the consents of everybody it
belongs to allow it. Types that the access table does not know are never visible.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core.consent.evaluate import Because, Bound, Permitted, Reason, ResourceFacts
from gateway.core.fhir import match
from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.contained import Inner
from gateway.core.fhir.facts import Facts
from gateway.core.fhir.release import Content
from gateway.core.values import Ref, Scope, Term


@dataclass(frozen=True, slots=True)
class Judgement:
    """`because` names the consent nodes that decided; `reason` is a code of `docs/walk.md`."""

    visible: bool
    reason: str
    because: tuple[Because, ...] = ()


HIDDEN_TYPE = Judgement(False, "type")
OUT_OF_SCOPE = Judgement(False, "scope")
NOBODYS = Judgement(False, "no_owner")

_KEPT = 4096  # kinds of records remembered; one who asks about more patients forgets and starts again


@dataclass(frozen=True, slots=True)
class Judge:
    """`scopes` are the usable ones; `patient` the token's context; `myself` the resource of its user,
    readable if the token has the `fhirUser` scope; `patients` whose consents could let anything through."""

    operation: str
    scopes: tuple[Scope, ...]
    patient: str | None
    myself: Ref | None
    patients: frozenset[str]
    bound: Bound
    catalogue: Catalogue
    bases: Bases
    _known: dict[tuple[object, ...], Judgement] = field(default_factory=dict, compare=False, repr=False)

    def __call__(self, facts: Facts, content: Content) -> Judgement:
        return self.judge(facts, content, self.operation)

    def sees(self, facts: Facts, content: Content) -> Judgement:
        """Whether the token could get at the resource at all, by reading or by searching."""
        by_reading = self.judge(facts, content, "r")
        return by_reading if by_reading.visible else self.judge(facts, content, "s")

    def stays(self, facts: Facts, inner: Inner) -> bool:
        """Whether a contained record may stay in its container: it travels with it, whatever the scopes,
        unless a consent forbids records of its type or labels."""
        verdict = self.bound.judge(ResourceFacts(inner.type, inner.labels, facts.owners), self.operation)
        return isinstance(verdict, Permitted) or verdict.reason is not Reason.DENIED

    def judge(self, facts: Facts, content: Content, operation: str) -> Judgement:
        """The judgement for one operation. Records that no rule looks into share one per kind of record."""
        if operation == "r" and self.myself is not None and facts.is_of(self.myself):
            return Judgement(True, "self")
        key = (operation, facts.type, facts.owners, facts.labels)
        known = self._known.get(key)
        if known is not None:
            return known
        looked_into = False

        def watched() -> Tree:
            nonlocal looked_into
            looked_into = True
            return content()

        judgement = self._judge(facts, watched, operation)
        if not looked_into:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[key] = judgement
        return judgement

    def _judge(self, facts: Facts, content: Content, operation: str) -> Judgement:
        access = self.catalogue.access(facts.type)
        if access.kind == "denied":
            return HIDDEN_TYPE
        if not self._in_scope(facts, content, operation):
            return OUT_OF_SCOPE
        if access.kind == "shared":
            return self._shared(facts, content, operation)
        if not facts.owners:
            return NOBODYS
        return self._consented(facts, facts.owners, content, operation)

    def grants(self, kind: str, operation: str) -> tuple[Scope, ...]:
        """The scopes that give `operation` on type `kind`."""
        return tuple(s for s in self.scopes if s.type in (kind, "*") and operation in s.operations)

    def _in_scope(self, facts: Facts, content: Content, operation: str) -> bool:
        about_patient = self.patient in facts.owners or self.catalogue.access(facts.type).kind == "shared"
        return any(
            (scope.level != "patient" or about_patient) and self._holds_all(scope.constraints, content)
            for scope in self.grants(facts.type, operation)
        )

    def _holds_all(self, constraints: tuple[Term, ...], content: Content) -> bool:
        return not constraints or all(self._holds(term, content) is True for term in constraints)

    def _holds(self, term: Term, content: Content) -> bool | None:
        return match.tells(self.catalogue, content(), term, self.bases.both)

    def _shared(self, facts: Facts, content: Content, operation: str) -> Judgement:
        """Directory records belong to no patient: the consents of any one that cover it open it."""
        judgement = Judgement(False, "no_consent")
        for patient in sorted(self.patients):
            judgement = self._consented(facts, frozenset({patient}), content, operation)
            if judgement.visible:
                break
        return judgement

    def _consented(
        self, facts: Facts, patients: frozenset[str], content: Content, operation: str
    ) -> Judgement:
        verdict = self.bound.judge(
            ResourceFacts(
                type=facts.type,
                labels=facts.labels,
                patients=patients,
                holds=lambda term: self._holds(term, content),
            ),
            operation,
        )
        if isinstance(verdict, Permitted):
            return Judgement(True, "consent", verdict.because)
        return Judgement(False, str(verdict.reason), verdict.because)
