"""The decision: a verified token, an accepted request and the consents at the ledger head become a plan
or a denial. This is the only place that makes a `Plan`.

What stays true: the answer depends on request, token, consents and mappings, never on stored records.
Steps, as in SMART's access decision:
  1  which scopes are usable, and which of them give the operation on the type
  2  whether what is asked stays with the patients the token may be about
  3  whether any live consent could let anything of the type through
  4  the narrowed question to the upstream, and the judge of its answer
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final, Protocol

from gateway import errors
from gateway.core import canon
from gateway.core.consent.evaluate import Asker, Because, Reason, bind
from gateway.core.consent.rule import (
    CLIENT,
    ORGANIZATION,
    PRACTITIONER,
    Consent,
    State,
    client_identities,
)
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


@dataclass(frozen=True, slots=True)
class House:
    """What is the same for every request to one upstream: its catalogue, addresses and limits."""

    catalogue: Catalogue
    bases: Bases
    narrow_limit: int = 50


def decide(
    request: FhirRequest,
    token: Token,
    consents: ConsentView,
    house: House,
    now_s: int,
    cursor: Cursor | None = None,
) -> Permit | Deny:
    """Whether `request` may be asked, and how. `cursor` continues a search that was permitted before."""
    kind, operation = request.type, NEEDS[request.interaction]
    assert kind is not None, "only typed interactions are decided"
    if house.catalogue.access(kind).kind == "denied" and not _is_myself(request, token):
        return Deny(errors.Forbidden(f"{kind} is not served by this gateway."), "type")
    scopes = _usable(token)
    bound_ids = _bound_consents(token, consents)
    if isinstance(bound_ids, Deny):
        return bound_ids
    grants = tuple(s for s in scopes if s.type in (kind, "*") and operation in s.operations)
    judge = Judge(
        operation=operation,
        scopes=scopes,
        patient=token.patient,
        myself=token.fhir_user if "fhirUser" in token.context else None,
        patients=_patients(grants, token, consents, bound_ids),
        bound=bind(consents.standing, _asker(token), now_s, bound_ids),
        catalogue=house.catalogue,
        bases=house.bases,
    )
    refusal = None if _is_myself(request, token) else _refusal(request, judge, grants, token)
    return refusal if refusal is not None else Permit(_plan(request, judge, house, cursor))


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
        asks.append(Ask(f"/{kind}", (*query, *_narrow_to_patients(kind, judge, None))))
    return tuple(asks)


def next_ask(plan: Plan, cursor: Cursor) -> Ask:
    """The upstream's next page of a permitted search."""
    assert plan.request.interaction is Interaction.SEARCH, "only a search has pages"
    return Ask(cursor.path, raw_query=cursor.query)


# --- 1  Scopes -------------------------------------------------------------------------------------


def _usable(token: Token) -> tuple[Scope, ...]:
    """A patient/ scope needs a patient in context, a user/ scope a user."""
    has = {"patient": token.patient is not None, "user": token.fhir_user is not None, "system": True}
    return tuple(scope for scope in token.scopes if has[scope.level])


def _is_myself(request: FhirRequest, token: Token) -> bool:
    """The `fhirUser` scope lets a user read the one resource that stands for them (OpenID quick start)."""
    return (
        request.interaction is Interaction.READ
        and "fhirUser" in token.context
        and token.fhir_user is not None
        and (token.fhir_user.type, token.fhir_user.id) == (request.type, request.id)
    )


# --- 2, 3  Refusals that no stored record has a part in --------------------------------------------


def _refusal(request: FhirRequest, judge: Judge, grants: tuple[Scope, ...], token: Token) -> Deny | None:
    kind, operation = request.type or "", judge.operation
    if not judge.scopes and token.scopes:
        return Deny(errors.Forbidden("The token names no patient or user for its scopes."), "no_context")
    if not grants:
        return Deny(errors.Forbidden(f"The token gives no such access to {kind}."), "scope")
    for term in request.terms:
        denial = _foreign(term, kind, judge, patient_only=all(s.level == "patient" for s in grants))
        if denial is not None:
            return denial
    patients = sorted(judge.patients)
    if any(judge.bound.may_permit(patient, kind, operation) for patient in patients):
        return None
    refusal = errors.Forbidden(f"No consent in force covers {kind} for this token.")
    if not patients:
        return Deny(refusal, str(Reason.NO_CONSENT))
    short = judge.bound.why_not(token.patient or patients[0], kind, operation)
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


def _bound_consents(token: Token, consents: ConsentView) -> frozenset[str] | Deny | None:
    """The consents the token is bound to and that still stand; None when it is bound by look-up."""
    if token.consents is None:
        return None
    standing = frozenset(ref.id for ref in token.consents if _stands(ref, consents))
    own = token.fhir_user is not None and token.fhir_user.type == "Patient"
    if token.consents and not standing and not own:
        named = [known for ref in token.consents if (known := consents.get(ref.id)) is not None]
        because = tuple(Because(consent.id, consent.entry, consent.root.path) for consent in named)
        refusal = errors.Forbidden("The consent this token is bound to is not in force.")
        return Deny(refusal, "withdrawn", because)
    return standing


def _stands(ref: ConsentRef, consents: ConsentView) -> bool:
    """Whether the reference names an entry of a live consent exactly."""
    consent = consents.get(ref.id)
    return consent is not None and consent.state is State.LIVE and ref in consent.refs


def _patients(
    grants: tuple[Scope, ...], token: Token, consents: ConsentView, bound_ids: frozenset[str] | None
) -> frozenset[str]:
    """The patients whose consents, or own right, could let this token see anything."""
    in_context = frozenset({token.patient} if token.patient is not None else ())
    if all(scope.level == "patient" for scope in grants):
        return in_context
    if bound_ids is not None:
        named = (consents.get(consent_id) for consent_id in bound_ids)
        return in_context | frozenset(consent.patient for consent in named if consent is not None)
    return in_context.union(*(consents.by_grantee(identity) for identity in _asker(token).identities))


def _asker(token: Token) -> Asker:
    identities, known = set(client_identities(token.client, token.issuer)), {CLIENT}
    user = token.fhir_user
    # A PractitionerRole or Person may stand for any practitioner; a patient or relative is none.
    if user is not None and user.type in ("Practitioner", "Patient", "RelatedPerson"):
        known.add(PRACTITIONER)
    if user is not None and user.type == "Practitioner":
        identities.add(f"{PRACTITIONER}:{user.id}")
    if token.organization is not None:
        known.add(ORGANIZATION)
        identities.add(f"{ORGANIZATION}:{token.organization.id}")
    return Asker(
        identities=frozenset(identities),
        known=frozenset(known),
        self_patient=user.id if user is not None and user.type == "Patient" else None,
        purposes=token.purposes,
    )


# --- 4  The question -------------------------------------------------------------------------------


def _plan(request: FhirRequest, judge: Judge, house: House, cursor: Cursor | None) -> Plan:
    if request.interaction is not Interaction.SEARCH:
        here = f"/{request.type}/{request.id}"
        version = (Ask(f"{here}/_history/{request.version}"),) if request.version is not None else ()
        return Plan(request, (Ask(here), *version), (), judge)
    if cursor is not None:
        plan = Plan(request, (), (), judge, _is_selective(request.type or "", judge))
        return replace(plan, asks=(next_ask(plan, cursor),))
    return _search_plan(request, judge, house)


def _search_plan(request: FhirRequest, judge: Judge, house: House) -> Plan:
    kind = request.type or ""
    asked_for = _asked_patients(request, judge)
    if _asks_about_strangers(request, judge, asked_for):
        return Plan(request, (), (), judge)  # an empty page, never "no filter"
    narrow = (
        *_narrow_to_patients(kind, judge, asked_for, house.narrow_limit),
        *_narrow_to_constraints(judge.grants(kind, "s")),
    )
    own = [(term.key, term.text) for term in request.terms]
    control = [("_sort", ",".join(request.sort))] if request.sort else []
    if request.count is not None:
        control.append(("_count", str(request.count)))
    query = (*(pair for pair in own if pair not in narrow), *narrow, *control)
    return Plan(request, (Ask(f"/{kind}", query),), narrow, judge, _is_selective(kind, judge))


def _is_selective(kind: str, judge: Judge) -> bool:
    """Whether a record of these patients can be kept from the token for what it holds: by its labels, or
    by constraints that the query could not say."""
    grants = judge.grants(kind, "s")
    unsaid = all(scope.constraints for scope in grants) and not _narrow_to_constraints(grants)
    return unsaid or any(judge.bound.label_sensitive(patient) for patient in judge.patients)


def _asked_patients(request: FhirRequest, judge: Judge) -> frozenset[str] | None:
    """The patients that the client's own terms name by the parameter we narrow by; None if it names none."""
    narrow = judge.catalogue.access(request.type or "").narrow
    named = [
        frozenset(value.removeprefix("Patient/") for value in term.values)
        for term in request.terms
        if term.name == narrow and term.modifier is None
    ]
    return frozenset.intersection(*named) if named else None


def _asks_about_strangers(request: FhirRequest, judge: Judge, asked_for: frozenset[str] | None) -> bool:
    """Whether an answer could tell something of a patient whose consents let nothing through."""
    if asked_for is not None and not asked_for & judge.patients:
        return True
    narrow = judge.catalogue.access(request.type or "").narrow
    return any(
        value.startswith("Patient/") and value.removeprefix("Patient/") not in judge.patients
        for term in request.terms
        if term.name != narrow
        for value in term.values
        if (param := judge.catalogue.param(request.type or "", term.name)) and param.type == "reference"
    )


def _narrow_to_patients(
    kind: str, judge: Judge, asked_for: frozenset[str] | None, limit: int = 50
) -> tuple[tuple[str, str], ...]:
    """The injected compartment parameter. It is an aid: the judge is the boundary, so more patients than
    one query carries are left to it."""
    access = judge.catalogue.access(kind)
    patients = judge.patients if asked_for is None else judge.patients & asked_for
    if access.kind != "compartment" or access.narrow is None or not 0 < len(patients) <= limit:
        return ()
    prefix = "" if access.narrow == "_id" else "Patient/"
    return ((access.narrow, ",".join(prefix + patient for patient in sorted(patients))),)


def _narrow_to_constraints(grants: Sequence[Scope]) -> tuple[tuple[str, str], ...]:
    """The granular constraints, when one query can say them: all of a single scope, or one same parameter
    of each. Anything else is left to the judge."""
    if not grants or any(not scope.constraints for scope in grants):
        return ()
    if len(grants) == 1:
        return tuple((term.key, term.text) for term in grants[0].constraints)
    names = {tuple(term.key for term in scope.constraints) for scope in grants}
    if len(names) != 1 or len(only := names.pop()) != 1:
        return ()
    return ((only[0], ",".join(scope.constraints[0].text for scope in grants)),)


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
