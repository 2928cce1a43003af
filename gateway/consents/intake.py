"""FHIR Consents taken in and given out: read, checked, granted as ledger entries, and written back.

A Consent that cannot be honoured is refused with every place, before anything is recorded. Who may agree for
a patient is looked up once for each, in the authorities that are recorded here. When they agreed is what they
say themselves, so a relative has to have the authority now as well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import TypeAlias

from gateway.consents import models
from gateway.consents.service import ConsentService, unrecorded
from gateway.core.consent.fhir.codes import CATEGORIES
from gateway.core.consent.fhir.element import Problem
from gateway.core.consent.fhir.read import malformed, patient_of, read
from gateway.core.consent.fhir.terms import MayAgree, Outcome, Refusal, Terms
from gateway.core.consent.fhir.write import Misfit, write
from gateway.core.consent.rule import Consent
from gateway.core.fhir import codec
from gateway.core.fhir.catalogue import Release
from gateway.core.fhir.codec import Tree
from gateway.core.values import ConsentRef, Label, is_id
from gateway.errors import BadRequest, ConsentryError, NotAcceptable


@dataclass(frozen=True, slots=True)
class Authority:
    """That a RelatedPerson (id) may act for a patient from the second in which it was recorded until another,
    both included, or until it was ended before."""

    person: str
    since_s: int
    until_s: int
    ended_s: int | None = None

    def holds(self, at_s: int) -> bool:
        return self.since_s <= at_s <= self.until_s and (self.ended_s is None or at_s < self.ended_s)


Authorities: TypeAlias = Callable[[str], Awaitable[Sequence[Authority]]]
"""All authorities that were ever recorded for a patient (id)."""


@dataclass(frozen=True, slots=True)
class Ours:
    """What of `Terms` the settings say; `types` by release, `categories` beside those that are known, `above`
    the organisations that `organization` is part of."""

    bases: tuple[str, ...]
    types: Mapping[Release, Set[str]]
    organization: str | None = None
    categories: Set[Label] = frozenset()
    verified_only: bool = False
    contained: bool = False
    above: Set[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Taken:
    """A Consent that was recorded; `warnings` are for whoever sent it."""

    ref: ConsentRef
    warnings: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Drafted:
    """What a Consent would be; it is in no ledger. `warnings` are as in `Taken`."""

    consent: Consent
    warnings: tuple[Problem, ...]


class ConsentRefused(ConsentryError):
    """A Consent resource that cannot be a consent here; `problems` are all that is wrong with it."""

    status, code = 422, "processing"

    def __init__(self, text: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(text)
        self.problems = tuple(problems)


class DoesNotFit(NotAcceptable):
    """A consent that is none in that release of FHIR; `problems` are the nodes of its rule."""

    def __init__(self, text: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(text)
        self.problems = tuple(problems)


class ConsentIntake:
    """`new_id` gives a fresh consent id, `now` the time in whole seconds."""

    def __init__(
        self,
        service: ConsentService,
        ours: Ours,
        authorities: Authorities,
        new_id: Callable[[], str],
        now: Callable[[], int],
    ) -> None:
        self._service = service
        self._ours = ours
        self._authorities = authorities
        self._new_id = new_id
        self._now = now

    async def grant(self, raw: bytes, release: Release, supersedes: Sequence[str] = ()) -> Taken:
        """Record the Consent resource as a new consent that puts those of `supersedes` out of force.

        Raises BadRequest, which is NoEffect if another consent denies all that it permits; ConsentRefused;
        NotFound for one that is superseded; LedgerUnavailable.
        """
        found = await self._taken(raw, release, self._new_id(), supersedes)
        return Taken(await self._service.grant_rule(found.consent), found.warnings)

    async def draft(
        self, raw: bytes, release: Release, consent_id: str | None = None, supersedes: Sequence[str] = ()
    ) -> Drafted:
        """What `grant` would record, under the id of a consent that is there or a new one. Nothing is
        recorded, and nothing is refused for what other consents are.

        Raises BadRequest, ConsentRefused; NotFound if no consent has the id.
        """
        if consent_id is not None:
            self._service.show(consent_id)
        found = await self._taken(raw, release, consent_id or self._new_id(), supersedes)
        return replace(found, consent=unrecorded(found.consent))

    async def read(self, raw: bytes, release: Release, consent_id: str) -> Outcome:
        """What the Consent resource would be, under that id. Raises BadRequest for what is not JSON."""
        try:
            tree = codec.parse(raw)
        except codec.CodecError as error:
            raise BadRequest("The Consent is not JSON.") from error
        patient = patient_of(tree, release, self._ours.bases)
        terms = Terms(
            bases=self._ours.bases,
            types=self._ours.types[release],
            may_agree=await self._may_agree(patient),
            organization=self._ours.organization,
            above=self._ours.above,
            categories=CATEGORIES | self._ours.categories,
            verified_only=self._ours.verified_only,
            contained=self._ours.contained,
        )
        return _with_models(read(tree, release, consent_id, terms), raw, release)

    def show(self, consent_id: str, release: Release) -> dict[str, Tree]:
        """The consent as a Consent resource. Raises NotFound, DoesNotFit."""
        consent = self._service.show(consent_id)
        made = write(consent, release)
        if isinstance(made, Misfit):
            raise DoesNotFit(f"It is no {release} Consent: {_listed(made.problems)}.", made.problems)
        return made.tree

    async def _taken(
        self, raw: bytes, release: Release, consent_id: str, supersedes: Sequence[str]
    ) -> Drafted:
        found = await self.read(raw, release, consent_id)
        if isinstance(found, Refusal):
            raise _refused(found.problems)
        if consent_id in supersedes or not all(map(is_id, supersedes)):
            raise BadRequest("A consent supersedes others, named by their ids.")
        consent = replace(found.consent, supersedes=frozenset(supersedes))
        if consent.until_s is not None and consent.until_s < self._now():
            raise _refused([Problem("Consent", "ended before it was sent")])
        vain = [Problem("Consent", f"permits in vain: {each}") for each in self._service.silencers(consent)]
        return Drafted(consent, (*found.warnings, *vain))

    async def _may_agree(self, patient: str | None) -> MayAgree:
        recorded = [] if patient is None else await self._authorities(patient)
        now_s = self._now()

        def may_agree(person: str, for_patient: str, at_s: int | None) -> bool:
            theirs = [authority for authority in recorded if authority.person == person]
            moments = {now_s} if at_s is None else {now_s, at_s}
            return for_patient == patient and all(any(a.holds(s) for a in theirs) for s in moments)

        return may_agree


def _refused(problems: Sequence[Problem]) -> ConsentRefused:
    return ConsentRefused(f"The Consent cannot be taken: {_listed(problems)}.", problems)


def _listed(problems: Sequence[Problem]) -> str:
    return "; ".join(map(str, problems))


def _with_models(found: Outcome, raw: bytes, release: Release) -> Outcome:
    """The outcome, with what FHIR's models find beside it. What is malformed by them alone is malformed."""
    wrong = models.problems(raw, release)
    if isinstance(found, Refusal):
        told = {problem.place for problem in found.problems}
        return replace(found, problems=(*found.problems, *(p for p in wrong if p.place not in told)))
    if not wrong:
        return found
    return Refusal(wrong, instead=malformed(found.consent.id, found.consent.patient))
