"""What a token comes to under the consents at one ledger head: who asks, for what, resting on which consents.

It does not depend on the request but for its type, and on no stored record, so one `Standing` may answer for
every request of its second, as long as the consents are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.core.consent.asker import asker_of
from gateway.core.consent.evaluate import Rules, bind
from gateway.core.consent.membership import NOBODY, Membership
from gateway.core.consent.purposes import BREAK_GLASS
from gateway.core.consent.remembered import Bindings
from gateway.core.consent.rule import RELATIVE, Consent, State
from gateway.core.consent.rules import ACTING, OPT_IN
from gateway.core.consent.verdict import BreakGlass
from gateway.core.drugs import NO_INTERACTIONS, Interactions
from gateway.core.fhir import narrow
from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.candidate import Content
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.facts import Facts
from gateway.core.judge import Judge
from gateway.core.labels.remembered import Labelling
from gateway.core.roles.ceiling import NO_ROLES, Roles
from gateway.core.values import ConsentRef, FhirRequest, Interaction, Scope, Token


class ConsentView(Protocol):
    """The consents at one ledger head."""

    def standing(self, patient: str) -> Sequence[Consent]:
        """The patient's consents, withdrawn ones too, so that a decision can say what was withdrawn."""
        ...

    def get(self, consent_id: str) -> Consent | None: ...

    def by_grantee(self, identity: str) -> frozenset[str]:
        """Patients with a live consent that names `identity`."""
        ...

    def is_revoked(self, issued: tuple[int, str]) -> bool:
        """Whether a token of our own was ended, by the entry of its issue."""
        ...


@dataclass(frozen=True, slots=True)
class House:
    """What is the same for every request to one upstream: its catalogue, addresses and limits, how consents
    are read, who belongs to whom, how sensitive records are known (without `labelling` by the labels alone
    that they come with), what each role needs to see, and which
    drugs interact."""

    catalogue: Catalogue
    bases: Bases
    narrow_limit: int = 50
    rules: Rules = OPT_IN
    membership: Membership = NOBODY
    labelling: Labelling | None = None
    roles: Roles = NO_ROLES
    interactions: Interactions = NO_INTERACTIONS


@dataclass(frozen=True, slots=True)
class Right:
    """What a token gives for one operation on one type: the scopes, and the judge of records.

    `covered`: the consents of some patient could let something of the type through. `selective`: the judge
    may keep a record from a search for what it holds.
    """

    grants: tuple[Scope, ...]
    judge: Judge
    covered: bool
    selective: bool


class Standing:
    """What a token comes to under the consents at one ledger head, in the second `now_s`: who asks, the
    usable scopes, the consents that it rests on, and its right to each type, found when first asked for.
    `bindings` remembers what was found out for other standings.
    """

    def __init__(
        self,
        token: Token,
        consents: ConsentView,
        house: House,
        now_s: int,
        bindings: Bindings | None = None,
    ) -> None:
        self.token, self.consents, self.house, self.now_s = token, consents, house, now_s
        self.scopes = _usable(token)
        self.bound = _bound_consents(token, consents)
        self._asker = asker_of(token, house.membership, _glass(token))
        self._bound = bind(consents.standing, self._asker, now_s, self.bound, house.rules, bindings)
        self._ceiling = house.roles.ceiling(token, now_s, house.catalogue, house.bases.both)
        studied = self._ceiling is not None and self._ceiling.study is not None
        self.myself = token.fhir_user if "fhirUser" in token.context and not studied else None
        self._is_timed = self._ceiling is not None and self._ceiling.is_timed
        self._root = token.root
        self._rights: dict[tuple[str, str], Right] = {}

    @property
    def withdrawn(self) -> bool:
        """Whether nothing is left of the consents the token names. One for a patient's own records needs
        none, but if it names one, that is what its client was allowed."""
        return bool(self.token.consents) and not self.bound

    def is_myself(self, request: FhirRequest) -> bool:
        """The `fhirUser` scope lets a user read the resource that stands for them (OpenID quick start)."""
        me = self.myself
        return (
            me is not None
            and request.interaction is Interaction.READ
            and (me.type, me.id) == (request.type, request.id)
        )

    def right(self, kind: str, operation: str) -> Right:
        """The right to `operation` on `kind`. At most as many are kept as the catalogue has types."""
        found = self._rights.get((kind, operation))
        if found is None:
            found = self._rights[kind, operation] = self._right(kind, operation)
        return found

    def _right(self, kind: str, operation: str) -> Right:
        grants = tuple(s for s in self.scopes if s.type in (kind, "*") and operation in s.operations)
        judge = Judge(
            operation=operation,
            scopes=self.scopes,
            patient=self.token.patient,
            myself=self.myself,
            patients=self._patients(grants),
            bound=self._bound,
            catalogue=self.house.catalogue,
            bases=self.house.bases,
            labelling=self.house.labelling,
            ceiling=self._ceiling,
            root=self._root,
            within=None if self._root is None or self._is_timed else _unknown_case,
            now_s=self.now_s,
            membership=self.house.membership,
        )
        covered = any(self._bound.may_permit(patient, kind, operation) for patient in sorted(judge.patients))
        return Right(grants, judge, covered, operation == "s" and _is_selective(kind, grants, judge))

    def _patients(self, grants: tuple[Scope, ...]) -> frozenset[str]:
        """The patients whose consents, or own right, could let this token see anything."""
        patient = self.token.patient
        in_context = frozenset((patient,) if patient is not None else ())
        if all(scope.level == "patient" for scope in grants):
            return in_context
        if self.bound is not None:
            named = (self.consents.get(consent_id) for consent_id in self.bound)
            return in_context | frozenset(consent.patient for consent in named if consent is not None)
        return in_context.union(*map(self.consents.by_grantee, self._asker.identities))


def _usable(token: Token) -> tuple[Scope, ...]:
    """A patient/ scope needs a patient in context, a user/ scope a user."""
    has = {"patient": token.patient is not None, "user": token.fhir_user is not None, "system": True}
    return tuple(scope for scope in token.scopes if has[scope.level])


def _glass(token: Token) -> BreakGlass | None:
    """What a token for break-glass opens: the one patient's records, for as long as it lives."""
    if token.glass is None or token.patient is None:
        return None
    return BreakGlass(token.patient, token.glass.reason, token.expires_at_s)


def _bound_consents(token: Token, consents: ConsentView) -> frozenset[str] | None:
    """The consents the token is bound to and that still stand; None when it is bound by look-up."""
    named = None
    if token.consents is not None:
        named = frozenset(ref.id for ref in token.consents if _stands(ref, consents))
    if token.role not in ACTING or token.issued is not None or BREAK_GLASS in token.purposes:
        return named
    # Our own tokens for who acts for a patient rest on an authority in the ledger. Another issuer's rest on
    # none that is known, so there the patient has to name the relative.
    acting = _naming(token, consents)
    return acting if named is None else named & acting


def _naming(token: Token, consents: ConsentView) -> frozenset[str]:
    """The consents of the token's patient that name the relative whose token it is."""
    user = token.fhir_user
    if token.patient is None or user is None or user.type != "RelatedPerson":
        return frozenset()
    given = consents.standing(token.patient)
    return frozenset(consent.id for consent in given if f"{RELATIVE}:{user.id}" in consent.grantees)


def _stands(ref: ConsentRef, consents: ConsentView) -> bool:
    """Whether the reference names an entry of a live consent exactly."""
    consent = consents.get(ref.id)
    return consent is not None and consent.state is State.LIVE and ref in consent.refs


def _unknown_case(_facts: Facts, _content: Content) -> None:
    """Whether a record belongs to a case that was not looked at."""


def _is_selective(kind: str, grants: tuple[Scope, ...], judge: Judge) -> bool:
    """Whether a record of these patients can be kept from the token for what it holds: as one of a type of
    which not all are served, by its labels, by the role, or by constraints that the query could not say."""
    if judge.catalogue.access(kind).only is not None:
        return True
    if judge.ceiling is not None and judge.ceiling.is_selective(kind):
        return True
    unsaid = all(scope.constraints for scope in grants) and not narrow.to_constraints(grants)
    return unsaid or any(judge.bound.label_sensitive(patient) for patient in judge.patients)
