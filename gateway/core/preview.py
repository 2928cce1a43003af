"""What consents come to for a patient's real records: who sees which, why, and what a change would change.

Each record is judged as a request for it would be, by the judge that `Standing` makes, so a preview and a
read cannot differ. Nothing is asked, released or recorded here. A viewer is somebody whom a consent names:
what is not known about them counts against them, as it does for a token that does not say it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Final

from gateway.core.consent.authors import Agents
from gateway.core.consent.evaluate import Because
from gateway.core.consent.membership import NOBODY as UNLISTED
from gateway.core.consent.membership import Membership
from gateway.core.consent.rule import (
    CLIENT,
    DEVICE,
    ORGANIZATION,
    PATIENT,
    PRACTITIONER,
    PRACTITIONER_ROLE,
    RELATIVE,
    ROLE,
    Consent,
    Effect,
    Node,
    State,
    is_grantee,
    kind_of,
    walk,
)
from gateway.core.fhir.candidate import Candidate, candidate_content
from gateway.core.fhir.codec import Tree
from gateway.core.judgement import Judgement
from gateway.core.labels.findings import Found
from gateway.core.standing import ConsentView, House, Standing
from gateway.core.studies.study import Study
from gateway.core.values import Ref, Scope, Token

TREATMENT: Final = "TREAT"
NOBODY: Final = "(nobody)"  # the client of a viewer who is named without one
_EVERYTHING: Final = Scope("patient", "*", "rs", text="patient/*.rs")
_OF_ALL: Final = Scope("system", "*", "rs", text="system/*.rs")
_USERS: Final[Mapping[str, str]] = {
    PRACTITIONER: "Practitioner",
    PRACTITIONER_ROLE: "PractitionerRole",
    PATIENT: "Patient",
    RELATIVE: "RelatedPerson",
    DEVICE: "Device",
}
"""Identities of users, of whom a token has one, and their resource types."""
_ALONE: Final = frozenset({CLIENT, ORGANIZATION, ROLE, *_USERS})


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who could ask for one purpose: identities as consents name them, one of a kind and one user.

    Raises ValueError for others. A group asks for nothing, its members do.
    """

    identities: tuple[str, ...]
    purpose: str

    def __post_init__(self) -> None:
        if not self.identities or not all(map(is_grantee, self.identities)):
            raise ValueError("a viewer is named by identities such as practitioner:prac-1")
        kinds = {kind_of(identity) for identity in self.identities}
        if len(kinds) < len(self.identities) or len(kinds & _USERS.keys()) > 1:
            raise ValueError("a viewer has one identity of a kind, and is one user")
        if not kinds <= _ALONE:
            raise ValueError("a viewer is no group or care team, but one of its members")


@dataclass(frozen=True, slots=True)
class Sight:
    """One record for one viewer, under the consents before and after the change."""

    ref: Ref
    before: Judgement
    after: Judgement

    @property
    def gained(self) -> bool:
        return self.after.visible and not self.before.visible

    @property
    def lost(self) -> bool:
        return self.before.visible and not self.after.visible


@dataclass(frozen=True, slots=True)
class View:
    """The consents at one head, as they would be for `patient` if those were `consents`."""

    head: ConsentView
    patient: str
    consents: Sequence[Consent]

    def standing(self, patient: str) -> Sequence[Consent]:
        return self.consents if patient == self.patient else self.head.standing(patient)

    def get(self, consent_id: str) -> Consent | None:
        mine = (consent for consent in self.consents if consent.id == consent_id)
        return next(mine, None) or self.head.get(consent_id)

    def by_grantee(self, identity: str) -> frozenset[str]:
        named = any(c.state is State.LIVE and identity in c.grantees for c in self.consents)
        others = self.head.by_grantee(identity) - {self.patient}
        return others | {self.patient} if named else others

    def is_revoked(self, issued: tuple[int, str]) -> bool:
        return self.head.is_revoked(issued)


def viewers_of(
    consents: Iterable[Consent], named: Sequence[tuple[str, ...]] = (), membership: Membership = UNLISTED
) -> list[Viewer]:
    """Those `named`, or everybody whom the live ones of `consents` name, members in the place of their
    groups, for each purpose that one names.

    Raises ValueError as `Viewer` does.
    """
    live = [consent for consent in consents if consent.state is State.LIVE]
    nodes = [node.match for consent in live for node in walk(consent.root)]
    purposes = sorted(frozenset().union(*(match.purposes for match in nodes))) or [TREATMENT]
    actors = sorted(_members(frozenset().union(*(match.actors for match in nodes)), membership))
    return [Viewer(who, purpose) for who, purpose in product(named or [(a,) for a in actors], purposes)]


def _members(actors: Set[str], membership: Membership) -> frozenset[str]:
    """The actors that can ask, with the members of those that are groups."""
    found, waiting = set[str](), [*actors]
    while waiting:
        actor = waiting.pop()
        if kind_of(actor) in _ALONE:
            found.add(actor)
        elif actor not in found:
            found.add(actor)
            waiting += membership.groups.get(actor, ())
    return frozenset(actor for actor in found if kind_of(actor) in _ALONE)


def with_draft(standing: Sequence[Consent], draft: Consent) -> tuple[Consent, ...]:
    """The patient's consents as they would be with `draft`, which may be a new text of one of them."""
    return (*(consent for consent in standing if consent.id != draft.id), draft)


@dataclass(frozen=True, slots=True)
class Scene:
    """What every sight is of: the patient's `records`, what is known `around` them, and the records that
    rules name, and who made records by what Provenance says (`Judge.knowing`). `issuer` is whose tokens a
    client has who is named without one."""

    records: Sequence[Candidate]
    around: Mapping[Ref, Found]
    named: Mapping[Ref, Tree]
    house: House
    issuer: str
    now_s: int
    agents: Mapping[Ref, Agents] = field(default_factory=dict)


def sights(scene: Scene, viewer: Viewer, before: View, after: View) -> list[Sight]:
    """Each record as the viewer would see it under either of two views."""
    first, second = (_judged(scene, standing_of(viewer, v, scene)) for v in (before, after))
    refs = [record.facts.ref for record in scene.records]
    return list(map(Sight, refs, first, second))


def standing_of(viewer: Viewer, view: View, scene: Scene) -> Standing:
    """What the viewer's token for everything of the patient would come to."""
    token = _token(viewer, view.patient, scene.issuer, scene.now_s)
    if scene.house.roles.study(token) is not None:  # which is never for one patient
        token = replace(token, patient=None, scopes=(_OF_ALL,))
    return Standing(token, view, scene.house, scene.now_s)


def study_of(viewer: Viewer, patient: str, scene: Scene) -> Study | None:
    """The study that the viewer asks for."""
    token = _token(viewer, patient, scene.issuer, scene.now_s)
    return scene.house.roles.study(token)


def idle(consents: Iterable[Consent], seen: Iterable[Sight]) -> list[tuple[Consent, Node]]:
    """The nodes of live consents that decide none of what was seen: dead, or about nothing that is there."""
    deciding = {
        (because.consent_id, because.node_path)
        for sight in seen
        if sight.after.visible or sight.after.reason in _DENIED
        for because in sight.after.because
    }
    return [
        (consent, node)
        for consent in consents
        if consent.state is State.LIVE
        for node in walk(consent.root)
        if (consent.id, node.path) not in deciding
    ]


def overruling(draft: Consent, alone: Iterable[Sight], seen: Iterable[Sight]) -> list[Because]:
    """What denies records that the draft, were it the only consent, would show; each once."""
    shown = {sight.ref for sight in alone if sight.after.visible}
    denying = (
        because
        for sight in seen
        if sight.ref in shown and sight.after.reason in _DENIED
        for because in sight.after.because
        if because.consent_id != draft.id
    )
    return list(dict.fromkeys(denying)) if draft.root.effect is Effect.PERMIT else []


_DENIED: Final = frozenset({"denied", "revoked"})


def _judged(scene: Scene, standing: Standing) -> list[Judgement]:
    types = {record.facts.type for record in scene.records}
    known = (scene.around, scene.named, scene.agents)
    judges = {kind: standing.right(kind, "r").judge.knowing(*known) for kind in types}
    return [judges[record.facts.type](record.facts, candidate_content(record)) for record in scene.records]


def _token(viewer: Viewer, patient: str, issuer: str, now_s: int) -> Token:
    """The token that the viewer would have for everything of the patient."""
    named = dict(_named(viewer.identities))
    client, _, of_issuer = named.get(CLIENT, NOBODY).partition("@")
    user = next((Ref(type_, named[kind]) for kind, type_ in _USERS.items() if kind in named), None)
    return Token(
        issuer=of_issuer or issuer,
        subject=" ".join(viewer.identities),
        client=client,
        jti="preview",
        issued_at_s=now_s,
        expires_at_s=now_s + 1,
        scopes=(_EVERYTHING,),
        purposes=(viewer.purpose,),
        patient=patient,
        fhir_user=user,
        role=named.get(ROLE),
        organization=Ref("Organization", named[ORGANIZATION]) if ORGANIZATION in named else None,
    )


def _named(identities: Iterable[str]) -> Iterator[tuple[str, str]]:
    for identity in identities:
        kind, _, name = identity.partition(":")
        yield kind, name
