"""Whether one resource may be seen by the token that asks: scope, owner and consent, in that order.

A `Judge` is made by `decide` alone and travels in the plan. It looks at a resource by itself, wherever
it came from: a match, a page, a mentioned record. A resource is visible when one granted scope covers it
with that scope's own constraint, it belongs to whom the scope is about, and the consents of everybody it
belongs to allow it. Types that the access table does not know are never visible. Where consents look at
labels, those that are found in the record count as much as those it comes with; if what brings them can be
taken out, the rest may be visible. The role of whoever asks is a ceiling on all that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from gateway.core.consent.authors import Agents, AgentsFor, Author, as_hoped, as_told, hopes, not_told
from gateway.core.consent.content import RecordContent
from gateway.core.consent.evaluate import Bound, Permitted, Reason, ResourceFacts
from gateway.core.consent.membership import NOBODY, Membership
from gateway.core.consent.together import together
from gateway.core.fhir import match
from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.candidate import Content
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.contained import Inner
from gateway.core.fhir.facts import Facts
from gateway.core.fhir.security import Basis
from gateway.core.judgement import HIDDEN_TYPE, MYSELF, NOBODYS, OUT_OF_ROLE, OUT_OF_SCOPE, Judgement
from gateway.core.labels.findings import INLINE, PART_2, UNDETERMINED, Contribution, Found
from gateway.core.labels.labeller import spread
from gateway.core.labels.remembered import Labelling
from gateway.core.labels.separate import kept_labels, labels_left, places_without, told_of
from gateway.core.roles.ceiling import Ceiling, Within
from gateway.core.values import Label, Ref, Scope, Term, is_id

_KEPT = 4096  # kinds of records remembered; one who asks about more patients forgets and starts again


@dataclass(frozen=True, slots=True)
class Judge:
    """`scopes` are the usable ones; `patient` the token's context; `myself` the resource of its user,
    readable if the token has the `fhirUser` scope; `patients` whose consents could let anything through.
    `around` is what records say of themselves to which the judged ones refer; `named` are the records that
    rules name as related to others, as far as they were read; `agents` who made a record by what Provenance
    says, if that was read; `hoped` who is taken for its author else, see `hopeful`. `root` begins the token's
    case; `within` tells what belongs to it, and is made when that is asked. Without it there is none, or it
    is not open."""

    operation: str
    scopes: tuple[Scope, ...]
    patient: str | None
    myself: Ref | None
    patients: frozenset[str]
    bound: Bound
    catalogue: Catalogue
    bases: Bases
    labelling: Labelling | None = None
    around: Mapping[Ref, Found] = field(default_factory=dict, repr=False)
    named: Mapping[Ref, Tree] = field(default_factory=dict, repr=False)
    agents: Mapping[Ref, Agents] = field(default_factory=dict, repr=False)
    hoped: frozenset[Ref] | None = None
    membership: Membership = NOBODY
    ceiling: Ceiling | None = None
    root: Ref | None = None
    within: Within | None = None
    now_s: int = 0
    _known: dict[tuple[object, ...], Judgement] = field(default_factory=dict, compare=False, repr=False)
    _labelled: dict[tuple[object, ...], Judgement] = field(default_factory=dict, compare=False, repr=False)
    _weighed: dict[frozenset[str], bool] = field(default_factory=dict, compare=False, repr=False)
    _named: dict[frozenset[str], frozenset[Ref]] = field(default_factory=dict, compare=False, repr=False)
    _authors: dict[frozenset[str], frozenset[Author]] = field(default_factory=dict, compare=False, repr=False)

    def __call__(self, facts: Facts, content: Content) -> Judgement:
        return self.judge(facts, content, self.operation)

    def sees(self, facts: Facts, content: Content) -> Judgement:
        """Whether the token could get at the resource at all, by reading or by searching."""
        by_reading = self.judge(facts, content, "r")
        return by_reading if by_reading.visible else self.judge(facts, content, "s")

    def stays(self, facts: Facts, inner: Inner, content: Content) -> bool:
        """Whether a contained record may stay in its container: it travels with it, whatever the scopes,
        unless a consent forbids records of its type, labels or content, or the role has no use for them."""
        if self.ceiling is not None and not self.ceiling.travels(inner.type, inner.labels):
            return False

        def within() -> Tree:
            return content()["contained"][inner.index]

        named = (inner.local_id or "").removeprefix("#")
        said = self._content(facts, inner.type, named if is_id(named) else "-", within)
        asked = ResourceFacts(inner.type, inner.labels, facts.owners, named, said)
        verdict = self.bound.judge(asked, self.operation)
        return isinstance(verdict, Permitted) or not verdict.denied

    def judge(self, facts: Facts, content: Content, operation: str) -> Judgement:
        """The judgement for one operation. Records that no rule looks into share one per kind of record."""
        if operation == "r" and self._is_myself(facts, content):
            return MYSELF
        judgement = self._by_consents(facts, content, operation)
        if not judgement.visible:
            return judgement
        if self.labelling is not None and self.labelling.has_programmes:
            judgement = self._marked(judgement, facts, content)
        return judgement if self.ceiling is None else self._under_role(judgement, facts, content)

    def _is_myself(self, facts: Facts, content: Content) -> bool:
        """Whether it is the user's own resource, which needs nobody's consent; law and role may still keep
        it back."""
        if self.myself is None or not facts.is_of(self.myself):
            return False
        labels = facts.labels
        if self.labels_matter(facts):
            labels |= {one.label for one in self.found(facts, content)}
        blocked = self.ceiling is not None and self.ceiling.blocks(labels - {UNDETERMINED})
        return not blocked and not self.bound.forbids(labels)

    def _marked(self, judgement: Judgement, facts: Facts, content: Content) -> Judgement:
        """The judgement with the label of a programme under 42 CFR Part 2 if one made the record: whoever
        receives it has to be told, whether or not a rule looks at labels."""
        if not self.asks_programme(facts):
            return judgement
        if not spread(self.programme(facts, content), self.around.get):
            return judgement
        return replace(judgement, labels=judgement.labels | {PART_2})

    def _under_role(self, judgement: Judgement, facts: Facts, content: Content) -> Judgement:
        """What the role leaves of a record that the consents permit."""
        if self.ceiling is None:
            return judgement
        sight = self.ceiling.sight(facts, content, self.within)
        if sight is None:
            return OUT_OF_ROLE
        told: tuple[Basis, ...] = ()
        if self.ceiling.shows_labels and self.labels_matter(facts):
            told = told_of(self.found(facts, content), (*judgement.cuts, *(sight.trims or ())))
        return replace(judgement, trims=sight.trims, told=told)

    def _by_consents(self, facts: Facts, content: Content, operation: str) -> Judgement:
        known = self._known.get((operation, facts.type, facts.owners, facts.labels))
        if known is not None and not facts.inline:
            return known
        if self.labels_matter(facts):
            return self._by_labels(facts, self.found(facts, content), content, operation)
        return self._settled(facts, content, operation, self._known)

    def grants(self, kind: str, operation: str) -> tuple[Scope, ...]:
        """The scopes that give `operation` on type `kind`."""
        return tuple(s for s in self.scopes if s.type in (kind, "*") and operation in s.operations)

    # --- Labels ------------------------------------------------------------------------------------

    def labels_matter(self, facts: Facts) -> bool:
        """Whether labels could make a difference for the record. Those on single elements always may: what
        law or a hold keeps back is kept whatever consents say."""
        return self.labelling is not None and (facts.inline or self._weighs_labels(facts))

    def _weighs_labels(self, facts: Facts) -> bool:
        """Whether a consent or the role weighs them. In a record of nobody's they say nothing."""
        matter = self._weighed.get(facts.owners)
        if matter is None:
            matter = self._role_weighs_labels(facts) or any(
                self.bound.weighs_labels(patient) for patient in sorted(facts.owners)
            )
            if len(self._weighed) >= _KEPT:
                self._weighed.clear()
            self._weighed[facts.owners] = matter
        return matter

    def asks_programme(self, facts: Facts) -> bool:
        """Whether it has to be found out who made the record, though no rule looks at its labels."""
        known = self.labelling is not None and self.labelling.has_programmes
        return known and bool(facts.owners) and not self._weighs_labels(facts)

    def programme(self, facts: Facts, content: Content) -> Found:
        """What the record says of whether a programme under 42 CFR Part 2 made it."""
        assert self.labelling is not None, "asked only where `asks_programme`"
        return self.labelling.programme(facts, content)

    def _role_weighs_labels(self, facts: Facts) -> bool:
        ceiling = self.ceiling if facts.owners else None
        return ceiling is not None and (ceiling.weighs_labels or ceiling.shows_labels)

    def knowing(
        self,
        around: Mapping[Ref, Found],
        named: Mapping[Ref, Tree] | None = None,
        agents: Mapping[Ref, Agents] | None = None,
    ) -> Judge:
        """The same judge, to whom `around` says what further records say of themselves, `named` what those
        are that rules name, and `agents` who made records by what Provenance says."""
        named = self.named if named is None else named
        return replace(self, around=around, named=named, agents=self.agents if agents is None else agents)

    def own(self, facts: Facts, content: Content) -> Found:
        """What a record says of itself."""
        assert self.labelling is not None, "asked only where labels matter"
        return self.labelling.found(facts, content)

    def depends_on_others(self, facts: Facts, content: Content) -> bool:
        """Whether labels that come from other records could change what is decided on this one. One that is
        hidden for itself costs no more than one that is not there."""
        if self.labelling is None or not self._weighs_labels(facts):
            return False
        own = self.own(facts, content).contributions
        labels = facts.labels | {one.label for one in own if not one.separable}
        labelled = facts._replace(labels=labels)
        return any(one._is_open(labelled, content) for one in self.hopeful(facts))

    def _is_open(self, facts: Facts, content: Content) -> bool:
        """Whether a record with these labels may be seen, if it is not for labels."""
        alone = self._settled(facts, content, self.operation, self._labelled)
        if not alone.visible and alone.reason != Reason.LABEL:
            return False
        limited = self.root is not None or (self.ceiling is not None and self.ceiling.is_timed)
        return not limited or self._under_role(alone, facts, content) is not OUT_OF_ROLE

    def found(self, facts: Facts, content: Content) -> tuple[Contribution, ...]:
        """The reasons for labels in the record and around it; on its elements alone if no more is weighed."""
        own = self.own(facts, content)
        if self._weighs_labels(facts):
            return spread(own, self.around.get)
        return tuple(one for one in own.contributions if one.basis == INLINE)

    def _by_labels(
        self, facts: Facts, found: tuple[Contribution, ...], content: Content, operation: str
    ) -> Judgement:
        """The judgement on the record with its labels, or on what remains without those that forbid it."""

        def judged(labels: frozenset[Label]) -> Judgement:
            labelled = facts._replace(labels=facts.labels | labels)
            return self._settled(labelled, content, operation, self._labelled)

        kept = kept_labels(found, lambda labels: judged(labels).visible)
        if kept is None:
            return judged(frozenset(one.label for one in found))
        cuts = places_without(found, kept)
        if not cuts:
            return judged(kept)
        labels = facts.labels | {one.label for one in found}
        left = labels_left(facts.labels, found, kept)
        return replace(judged(kept), cuts=cuts, left=left, labels=labels)

    # --- What other records tell of one --------------------------------------------------------------

    def names(self, owners: frozenset[str]) -> frozenset[Ref]:
        """The records that rules about a record of these patients name as related to others."""
        return together(owners, self.patients, self.bound.named, self._named)

    def authors(self, owners: frozenset[str]) -> frozenset[Author]:
        """Those whom rules about a record of these patients are about as authors: none, if it is nobody's
        (`ContentRow.exempt`)."""
        return together(owners, self.patients, self.bound.authors, self._authors) if owners else frozenset()

    def hopeful(self, facts: Facts) -> tuple[Judge, ...]:
        """This judge, and as it may be once it is read who made the record."""
        authors = self.authors(facts.owners)
        if not authors or facts.ref in self.agents:
            return (self,)
        return (self, *(replace(self, hoped=hope) for hope in hopes(authors)))

    # --- One kind of record ------------------------------------------------------------------------

    def _settled(
        self, facts: Facts, content: Content, operation: str, known: dict[tuple[object, ...], Judgement]
    ) -> Judgement:
        """The judgement with these labels, remembered in `known` unless the content had a part in it."""
        key = (operation, facts.type, facts.owners, facts.labels)
        judgement = known.get(key)
        if judgement is not None:
            return judgement
        looked_into = False

        def watched() -> Tree:
            nonlocal looked_into
            looked_into = True
            return content()

        judgement = self._judge(facts, watched, operation)
        if not looked_into:
            if len(known) >= _KEPT:
                known.clear()
            known[key] = judgement
        return judgement

    def _judge(self, facts: Facts, content: Content, operation: str) -> Judgement:
        access = self.catalogue.access(facts.type)
        if access.kind == "denied" or (access.only is not None and not access.serves(content())):
            return HIDDEN_TYPE
        # What cannot be told of free text is for consents to weigh: a role blocks what is known.
        if self.ceiling is not None and self.ceiling.blocks(facts.labels - {UNDETERMINED}):
            return OUT_OF_ROLE
        if not self._in_scope(facts, content, operation):
            return OUT_OF_SCOPE
        if access.kind == "shared":
            return self._shared(facts, content, operation)
        if not facts.owners:
            return NOBODYS
        return self._consented(facts, facts.owners, content, operation)

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
        said = self._content(facts, facts.type, facts.id, content)
        asked = ResourceFacts(facts.type, facts.labels, patients, facts.id, said)
        verdict = self.bound.judge(asked, operation)
        if isinstance(verdict, Permitted):
            ground, over = verdict.ground.value, verdict.overridden
            return Judgement(True, ground, verdict.because, overridden=over, labels=facts.labels)
        return Judgement(False, str(verdict.reason), verdict.because)

    def _content(self, facts: Facts, kind: str, ident: str, content: Content) -> RecordContent:
        """What rules ask of a record, or of one that it contains, which has the same Provenance."""
        told = self.agents.get(facts.ref)
        agents: AgentsFor = not_told
        if self.hoped is not None:
            agents = partial(as_hoped, self.hoped)
        elif told is not None:
            agents = partial(as_told, told)
        catalogue, bases = self.catalogue, self.bases
        return RecordContent(kind, ident, content, catalogue, bases, self.named.get, self.membership, agents)
