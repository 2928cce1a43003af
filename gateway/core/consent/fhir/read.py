"""A FHIR Consent, R4, R4B or R5, as the rule that the ledger keeps.

What the resource says becomes the rule exactly, or it is refused with every problem and its place. Nothing
is passed over that could change its meaning. Identifiers, narrative and sources say nothing that is decided
by; R5's `grantee` is there for searching alone, and provisions are what counts.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace
from typing import Final

from gateway.core.consent.fhir import codes
from gateway.core.consent.fhir.actors import literal
from gateway.core.consent.fhir.element import Element, Notes, modifiers
from gateway.core.consent.fhir.provision import Provisions
from gateway.core.consent.fhir.root import Root, root
from gateway.core.consent.fhir.shape import ACTIVE, SHAPES, UNKNOWN, Shape
from gateway.core.consent.fhir.terms import Outcome, Read, Refusal, Terms
from gateway.core.consent.fhir.times import instant, last_second
from gateway.core.consent.part2 import lacking
from gateway.core.consent.purposes import PURPOSES
from gateway.core.consent.rule import Consent, Effect, Match, Node, walk
from gateway.core.fhir.catalogue import Release
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.compartment import reference_of
from gateway.core.values import Label, Ref

_RESEARCH: Final = "HRESCH"
_NOTHING: Final = Node(Effect.PERMIT, Match(opaque=True))  # a permit that never applies


def read(tree: Tree, release: Release, consent_id: str, terms: Terms) -> Outcome:
    """The rule `consent_id` that the Consent resource `tree` makes, or why it makes none."""
    notes = Notes()
    at = Element(tree if type(tree) is dict else {}, "Consent", notes)
    if at.tree.get("resourceType") != "Consent":
        at.refuse("is not the resource type", "resourceType")
        return Refusal(tuple(notes.problems))
    return _Reading(at, SHAPES[release], terms, consent_id).outcome()


def patient_of(tree: Tree, release: Release, bases: Sequence[str]) -> str | None:
    """The id of the patient whom a Consent is about, None if it names none that is ours."""
    subject = tree.get(SHAPES[release].subject) if type(tree) is dict else None
    found = reference_of(subject, bases)
    return None if found is None or found.type != "Patient" else found.id


def malformed(consent_id: str, patient: str) -> Consent:
    """What stands in the place of a Consent that is in force and cannot be honoured."""
    return Consent(consent_id, patient, _NOTHING, malformed=True)


class _Reading:
    """One Consent being read."""

    def __init__(self, at: Element, shape: Shape, terms: Terms, consent_id: str) -> None:
        self._at, self._shape, self._terms, self._id = at, shape, terms, consent_id
        self._aside = False

    def outcome(self) -> Outcome:
        self._check_understood()
        indeterminate = self._status() == UNKNOWN
        kinds = self._kinds()
        self._check_enforcer()
        patient = self._patient()
        found = root(self._at, Provisions(self._shape, self._terms))
        if found is not None and codes.RESEARCH in kinds:
            name, alone = "category" if self._shape.flat else "scope", len(kinds) == 1
            found = replace(found, node=_for_research(found.node, self._at, name, alone=alone))
        permits = found is not None and any(node.effect is Effect.PERMIT for node in walk(found.node))
        grantor = self._grantor(patient, permits)
        denies = found is not None and any(node.effect is Effect.DENY for node in walk(found.node))
        self._check_verified(permits, denies)
        for lack in () if found is None else lacking(found.node):
            self._at.refuse(lack, "provision")
        notes = self._at.notes
        if notes.problems or found is None or patient is None:
            return self._refused(patient)
        consent = _consent(self._id, patient, found, indeterminate, grantor)
        return Read(consent, tuple(notes.warnings))

    def _refused(self, patient: str | None) -> Refusal:
        instead = None
        if patient is not None and not self._aside:
            instead = malformed(self._id, patient)
        return Refusal(tuple(self._at.notes.problems), self._aside, instead)

    # --- What has to be so before anything of it is a rule ------------------------------------------

    def _check_understood(self) -> None:
        at = self._at
        at.only(self._shape.members)
        for place in modifiers(at.tree, at.place):
            at.refuse("changes the meaning in a way that is not understood", place.removeprefix("Consent."))
        if "implicitRules" in at.tree:
            at.refuse("names rules that are not understood", "implicitRules")

    def _status(self) -> str | None:
        status = self._at.text("status")
        if status is None and "status" not in self._at.tree:
            self._at.refuse("is missing", "status")
        elif status is not None and status not in self._shape.statuses:
            self._at.refuse("is not known in this release of FHIR", "status")
        elif status not in (None, ACTIVE, UNKNOWN):
            self._set_aside(f"is {status}, and only an active consent is in force", "status")
        return status

    def _kinds(self) -> Set[str]:
        """Whether it is about privacy, about research, or both. R4 says one by `scope`, R5 by `category`."""
        if self._shape.flat:
            return self._kinds_by_category()
        scope = self._at.one("scope")
        said = [] if scope is None else codes.concept(scope)
        found = [each.code for each in said if each.system == codes.CONSENT_SCOPE]
        if scope is None:
            self._at.refuse("is missing", "scope")
        elif said and not set(found) & {codes.PRIVACY, codes.RESEARCH}:
            self._set_aside("is neither patient-privacy nor research, and no other kind is enforced", "scope")
        elif codes.differ(said):
            self._at.refuse(codes.DIFFER, "scope")
        return frozenset(found)

    def _kinds_by_category(self) -> Set[str]:
        said = {c for each in self._at.each("category") if "coding" in each.tree for c in codes.concept(each)}
        if not said:
            self._at.refuse("is missing, so what kind of consent it is cannot be told", "category")
        elif not said & self._terms.categories:
            self._set_aside("names no kind of consent that is enforced here", "category")
        elif any(each.system == codes.CONSENT_SCOPE and each not in self._terms.categories for each in said):
            self._at.refuse("names a kind that is enforced here beside one that is not", "category")
        research = Label(codes.CONSENT_SCOPE, codes.RESEARCH)
        kinds = {codes.RESEARCH} if research in said else set()
        return kinds | {codes.PRIVACY} if said & self._terms.categories - {research} else kinds

    def _check_enforcer(self) -> None:
        own = self._terms.organization
        named = [each for name in self._shape.enforcers for each in self._at.each(name)]
        if own is None or not named:
            return
        found = [literal(each, self._terms.bases) for each in named]
        ours = {Ref("Organization", name) for name in {own, *self._terms.above}}
        if None not in found and ours.isdisjoint(found):
            self._set_aside(f"names others than Organization/{own} to enforce it", self._shape.enforcers[0])

    def _set_aside(self, text: str, name: str) -> None:
        self._aside = True
        self._at.refuse(text, name)

    # --- Whose it is, and who agreed ----------------------------------------------------------------

    def _patient(self) -> str | None:
        name = self._shape.subject
        subject = self._at.one(name)
        if subject is None:
            if name not in self._at.tree:
                self._at.refuse(
                    "is missing: a consent is one patient's, and what holds for all is a setting", name
                )
            return None
        found = literal(subject, self._terms.bases)
        if found is not None and found.type != "Patient":
            subject.refuse("is no patient", "reference")
            return None
        return None if found is None else found.id

    def _grantor(self, patient: str | None, permits: bool) -> str | None:
        """Who agreed, with a right to if the consent permits anything."""
        name = self._shape.agreed
        found = [ref for each in self._at.each(name) if (ref := literal(each, self._terms.bases)) is not None]
        signed = instant(self._at, self._shape.signed)
        at_s = None if signed is None else last_second(signed)
        entitled = [ref for ref in found if patient is not None and self._may_agree(ref, patient, at_s)]
        if permits and not entitled:
            self._at.refuse(
                "names neither the patient nor a RelatedPerson with a recorded authority; a permit needs one",
                name,
            )
        return next(map(str, [*entitled, *found]), None)

    def _may_agree(self, who: Ref, patient: str, at_s: int | None) -> bool:
        if who.type == "RelatedPerson":
            return self._terms.may_agree(who.id, patient, at_s)
        return who == Ref("Patient", patient)

    def _check_verified(self, permits: bool, denies: bool) -> None:
        """A permit that was not verified does not count, and leaves what is implied as it is; one that has
        exceptions does not either, and its exceptions have to have something stand for them."""
        if not permits or not self._terms.verified_only:
            return
        if not any(each.tree.get("verified") is True for each in self._at.each("verification")):
            refuse = self._at.refuse if denies else self._set_aside
            refuse("does not say that the consent was verified, which a permit has to be", "verification")


def _consent(consent_id: str, patient: str, found: Root, indeterminate: bool, grantor: str | None) -> Consent:
    return Consent(
        consent_id, patient, found.node, found.period, indeterminate=indeterminate, grantor=grantor
    )


def _for_research(node: Node, at: Element, name: str, *, alone: bool) -> Node:
    """The root of a research consent, which speaks of research alone. Unless it is about research `alone`, a
    permit is limited to that, a deny is not, and what both permits and denies cannot be understood."""
    effects = {each.effect for each in walk(node)}
    if not alone and effects == {Effect.DENY}:
        return node
    if not alone and len(effects) > 1:
        at.refuse("is research and something else, so it cannot be told of which it denies what", name)
    research = PURPOSES.below(_RESEARCH)
    if any(not each.match.purposes <= research for each in walk(node)):
        at.refuse("is research, and a purpose of its provisions is not", name)
    if node.match.purposes:
        return node
    return replace(node, match=replace(node.match, purposes=frozenset({_RESEARCH})))
