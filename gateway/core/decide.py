"""The decision: a verified token, an accepted request and the consents at the ledger head become a plan
or a denial. This is the only place that makes a `Plan`.

What stays true: the answer depends on request, token, consents and mappings, never on stored records.
Steps, as in SMART's access decision:
  1  which scopes are usable, and which of them give the operation on the type
  2  whether any live consent could let anything of the type through
  3  whether what is asked stays with the patients the token may be about
  4  the narrowed question to the upstream, and the judge of its answer
The first two do not depend on the request but for its type: they are the token's `Standing`, which may
answer for every request of one second, as long as the consents are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final, Protocol

from gateway import errors
from gateway.core import canon
from gateway.core.consent.asker import asker_of
from gateway.core.consent.evaluate import Because, Reason, bind
from gateway.core.consent.rule import Consent, State
from gateway.core.fhir import narrow
from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.references import PEOPLE
from gateway.core.fhir.release import Cursor
from gateway.core.judge import Judge
from gateway.core.plan import Deny, Permit, Plan
from gateway.core.values import Ask, ConsentRef, FhirRequest, Interaction, Ref, Scope, Term, Token

NEEDS: Final = {Interaction.READ: "r", Interaction.VREAD: "r", Interaction.SEARCH: "s"}
MAX_LOOK_UPS: Final = 200  # mentioned records looked up for one answer; what is over stays masked


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
    """What is the same for every request to one upstream: its catalogue, addresses and limits."""

    catalogue: Catalogue
    bases: Bases
    narrow_limit: int = 50


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
    """

    def __init__(self, token: Token, consents: ConsentView, house: House, now_s: int) -> None:
        self.token, self.consents, self.house, self.now_s = token, consents, house, now_s
        self.scopes = _usable(token)
        self.myself = token.fhir_user if "fhirUser" in token.context else None
        self.bound = _bound_consents(token, consents)
        self._asker = asker_of(token)
        self._bound = bind(consents.standing, self._asker, now_s, self.bound)
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
        )
        covered = any(self._bound.may_permit(patient, kind, operation) for patient in sorted(judge.patients))
        return Right(grants, judge, covered, operation == "s" and _is_selective(grants, judge))

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


def decide(request: FhirRequest, standing: Standing, cursor: Cursor | None = None) -> Permit | Deny:
    """Whether `request` may be asked, and how. `cursor` continues a search that was permitted before."""
    kind, itself = request.type, standing.is_myself(request)
    assert kind is not None, "only typed interactions are decided"
    if not itself and standing.house.catalogue.access(kind).kind == "denied":
        return Deny(errors.Forbidden(f"{kind} is not served by this gateway."), "type")
    if standing.withdrawn:
        return _withdrawn(standing)
    right = standing.right(kind, NEEDS[request.interaction])
    refusal = None if itself else _refusal(request, right, standing.token)
    return refusal if refusal is not None else Permit(_plan(request, right, standing.house, cursor))


def look_ups(plan: Plan, targets: Iterable[Ref]) -> tuple[Ask, ...]:
    """The searches that find which mentioned records the token may see; part of the permitted plan."""
    judge = plan.judge
    wanted = sorted(targets, key=str)[:MAX_LOOK_UPS]
    asks = []
    for kind, group in groupby(wanted, key=lambda target: target.type):
        ids = [target.id for target in group]
        if not (judge.grants(kind, "r") or judge.grants(kind, "s")):
            continue
        query = [("_id", ",".join(ids)), ("_count", str(len(ids)))]
        own = narrow.to_patients(judge.catalogue.access(kind), judge.patients)
        asks.append(Ask(f"/{kind}", (*query, *own)))
    return tuple(asks)


def next_ask(plan: Plan, cursor: Cursor) -> Ask:
    """The upstream's next page of a permitted search."""
    assert plan.request.interaction is Interaction.SEARCH, "only a search has pages"
    return Ask(cursor.path, raw_query=cursor.query)


# --- 1, 2  Standing --------------------------------------------------------------------------------


def _usable(token: Token) -> tuple[Scope, ...]:
    """A patient/ scope needs a patient in context, a user/ scope a user."""
    has = {"patient": token.patient is not None, "user": token.fhir_user is not None, "system": True}
    return tuple(scope for scope in token.scopes if has[scope.level])


def _bound_consents(token: Token, consents: ConsentView) -> frozenset[str] | None:
    """The consents the token is bound to and that still stand; None when it is bound by look-up."""
    if token.consents is None:
        return None
    return frozenset(ref.id for ref in token.consents if _stands(ref, consents))


def _stands(ref: ConsentRef, consents: ConsentView) -> bool:
    """Whether the reference names an entry of a live consent exactly."""
    consent = consents.get(ref.id)
    return consent is not None and consent.state is State.LIVE and ref in consent.refs


def _is_selective(grants: tuple[Scope, ...], judge: Judge) -> bool:
    """Whether a record of these patients can be kept from the token for what it holds: by its labels, or
    by constraints that the query could not say."""
    unsaid = all(scope.constraints for scope in grants) and not narrow.to_constraints(grants)
    return unsaid or any(judge.bound.label_sensitive(patient) for patient in judge.patients)


# --- 3  Refusals that no stored record has a part in -----------------------------------------------


def _withdrawn(standing: Standing) -> Deny:
    named = [standing.consents.get(ref.id) for ref in standing.token.consents or ()]
    because = tuple(Because(c.id, c.entry, c.root.path) for c in named if c is not None)
    refusal = errors.Forbidden("The consent this token is bound to is not in force.")
    return Deny(refusal, "withdrawn", because)


def _refusal(request: FhirRequest, right: Right, token: Token) -> Deny | None:
    kind, judge, grants = request.type or "", right.judge, right.grants
    if not judge.scopes and token.scopes:
        return Deny(errors.Forbidden("The token names no patient or user for its scopes."), "no_context")
    if not grants:
        return Deny(errors.Forbidden(f"The token gives no such access to {kind}."), "scope")
    for term in request.terms:
        denial = _foreign(term, kind, judge, patient_only=all(s.level == "patient" for s in grants))
        if denial is not None:
            return denial
    return None if right.covered else _uncovered(kind, judge, token)


def _uncovered(kind: str, judge: Judge, token: Token) -> Deny:
    refusal = errors.Forbidden(f"No consent in force covers {kind} for this token.")
    if not judge.patients:
        return Deny(refusal, str(Reason.NO_CONSENT))
    short = judge.bound.why_not(token.patient or min(judge.patients), kind, judge.operation)
    return Deny(refusal, str(short.reason), short.because)


def _foreign(term: Term, kind: str, judge: Judge, *, patient_only: bool) -> Deny | None:
    """Refuses a term that asks about somebody else, or joins to records the token may not have."""
    by_id = patient_only and kind == "Patient" and term.name == "_id"
    if by_id and any(value != judge.patient for value in term.values):
        return Deny(errors.Forbidden("The token is for another patient."), "other_patient")
    param = judge.catalogue.param(kind, term.name)
    if param is None or param.type != "reference":
        return None
    for value in term.values:
        target = value.partition("/")[0]
        if target == "Patient":
            if patient_only and value != f"Patient/{judge.patient}":
                return Deny(errors.Forbidden("The token is for another patient."), "other_patient")
        elif target in PEOPLE:
            # Whose relative somebody is cannot be told before the upstream has answered.
            return Deny(errors.Forbidden(f"Searching by {target} is not allowed."), "other_person")
        elif judge.catalogue.access(target).kind == "denied":
            return Deny(errors.Forbidden(f"{target} is not served by this gateway."), "type")
        elif not (judge.grants(target, "r") or judge.grants(target, "s")):
            return Deny(errors.Forbidden(f"The token gives no access to {target}."), "scope")
    return None


# --- 4  The question -------------------------------------------------------------------------------


def _plan(request: FhirRequest, right: Right, house: House, cursor: Cursor | None) -> Plan:
    if request.interaction is not Interaction.SEARCH:
        here = f"/{request.type}/{request.id}"
        version = (Ask(f"{here}/_history/{request.version}"),) if request.version is not None else ()
        return Plan(request, (Ask(here), *version), (), right.judge)
    if cursor is not None:
        plan = Plan(request, (), (), right.judge, right.selective)
        return replace(plan, asks=(next_ask(plan, cursor),))
    return _search_plan(request, right, house)


def _search_plan(request: FhirRequest, right: Right, house: House) -> Plan:
    kind, judge = request.type or "", right.judge
    access = judge.catalogue.access(kind)
    asked_for = _asked_patients(request, access.narrow)
    if _asks_about_strangers(request, judge, access.narrow, asked_for):
        return Plan(request, (), (), judge)  # an empty page, never "no filter"
    patients = judge.patients if asked_for is None else judge.patients & asked_for
    required = (
        *narrow.to_patients(access, patients, house.narrow_limit),
        *narrow.to_constraints(right.grants),
    )
    own = [(term.key, term.text) for term in request.terms]
    control = [("_sort", ",".join(request.sort))] if request.sort else []
    if request.count is not None:
        control.append(("_count", str(request.count)))
    query = (*(pair for pair in own if pair not in required), *required, *control)
    return Plan(request, (Ask(f"/{kind}", query),), required, judge, right.selective)


def _asked_patients(request: FhirRequest, by: str | None) -> frozenset[str] | None:
    """The patients that the client's own terms name with `by`, which we narrow by; None if it names none."""
    named = [
        frozenset(value.removeprefix("Patient/") for value in term.values)
        for term in request.terms
        if term.name == by and term.modifier is None
    ]
    return frozenset.intersection(*named) if named else None


def _asks_about_strangers(
    request: FhirRequest, judge: Judge, by: str | None, asked_for: frozenset[str] | None
) -> bool:
    """Whether an answer could tell something of a patient whose consents let nothing through."""
    if asked_for is not None and not asked_for & judge.patients:
        return True
    return any(
        value.startswith("Patient/") and value.removeprefix("Patient/") not in judge.patients
        for term in request.terms
        if term.name != by
        for value in term.values
        if (param := judge.catalogue.param(request.type or "", term.name)) and param.type == "reference"
    )


# --- Page links ------------------------------------------------------------------------------------


def page_binding(token: Token, plan: Plan) -> bytes:
    """Digest of what a page link depends on: who asks, with which rights, under which consents."""
    judge = plan.judge
    state: list[canon.Json] = [
        [
            patient,
            *(part for covered in judge.bound.coverage(patient) for part in (covered.id, covered.entry)),
        ]
        for patient in sorted(judge.patients)
    ]
    scopes: list[canon.Json] = [*sorted(scope.text for scope in token.scopes)]
    purposes: list[canon.Json] = [*sorted(token.purposes)]
    who: list[canon.Json] = [token.issuer, token.subject, token.client, token.patient, str(token.fhir_user)]
    return canon.sha256(canon.canonical([*who, scopes, purposes, state]))
