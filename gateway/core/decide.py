"""The decision: a verified token, an accepted request and the consents at the ledger head become a plan
or a denial. This is the only place that makes a `Plan`.

What stays true: the answer depends on request, token, consents and mappings, never on stored records.
Steps, as in SMART's access decision:
  1  which scopes are usable, and which of them give the operation on the type
  2  whether any live consent could let anything of the type through
  3  whether what is asked stays with the patients the token may be about
  4  the narrowed question to the upstream, and the judge of its answer
The first two do not depend on the request but for its type: they are the token's `Standing`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gateway import errors
from gateway.core import canon, confirm
from gateway.core.asks import next_ask
from gateway.core.consent.evaluate import Because, Reason
from gateway.core.fhir import match, narrow
from gateway.core.fhir.references import PEOPLE
from gateway.core.fhir.release import Cursor
from gateway.core.judge import Judge
from gateway.core.labels.asked import excluding
from gateway.core.plan import Deny, Permit, Plan
from gateway.core.standing import House, Right, Standing
from gateway.core.values import Ask, FhirRequest, Interaction, Term, Token

NEEDS: Final = {
    Interaction.READ: "r",
    Interaction.VREAD: "r",
    Interaction.SEARCH: "s",
    Interaction.CONFIRM: "r",
}


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


# --- 3  Refusals that no stored record has a part in -----------------------------------------------


def _withdrawn(standing: Standing) -> Deny:
    named = [standing.consents.get(ref.id) for ref in standing.token.consents or ()]
    because = tuple(Because(c.id, c.entry, c.root.path) for c in named if c is not None)
    refusal = errors.Forbidden("The consent this token is bound to is not in force.")
    return Deny(refusal, "withdrawn", because)


def _refusal(request: FhirRequest, right: Right, token: Token) -> Deny | None:
    kind, judge, grants = request.type or "", right.judge, right.grants
    beyond = None if judge.ceiling is None else judge.ceiling.refusal(kind)
    if beyond is not None:
        return Deny(errors.Forbidden(beyond), "role")
    unasked = None if judge.ceiling is None else judge.ceiling.refuses(request, grants, token)
    if unasked is not None:
        return Deny(errors.Forbidden(unasked), "role")
    if request.interaction is Interaction.CONFIRM and not _confirms(judge):
        return Deny(errors.Forbidden("Only a pharmacy confirms prescriptions."), "role")
    if not judge.scopes and token.scopes:
        return Deny(errors.Forbidden("The token names no patient or user for its scopes."), "no_context")
    if not grants:
        return Deny(errors.Forbidden(f"The token gives no such access to {kind}."), "scope")
    for term in request.terms:
        denial = _foreign(term, kind, judge, patient_only=all(s.level == "patient" for s in grants))
        if denial is not None:
            return denial
    if not right.covered:
        return _uncovered(kind, judge, token)
    return _untellable(request, judge)


def _confirms(judge: Judge) -> bool:
    """The role is needed, and its case: what is told comes from records that are not seen."""
    return judge.ceiling is not None and judge.ceiling.profile.role == confirm.ROLE and judge.root is not None


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


def _untellable(request: FhirRequest, judge: Judge) -> Deny | None:
    """Refuses a term that would have to be looked at here, and cannot be."""
    kind = request.type or ""
    for term in _unasked(request, judge):
        if not match.evaluable(judge.catalogue, kind, term):
            refusal = f"{kind} cannot be searched by {term.key} where records may be shown in part."
            return Deny(errors.Forbidden(refusal), "scope")
    return None


# --- 4  The question -------------------------------------------------------------------------------


def _plan(request: FhirRequest, right: Right, house: House, cursor: Cursor | None) -> Plan:
    if request.interaction is not Interaction.SEARCH:
        here = f"/{request.type}/{request.id}"
        version = (Ask(f"{here}/_history/{request.version}"),) if request.version is not None else ()
        drugs = house.interactions if request.interaction is Interaction.CONFIRM else None
        return Plan(request, (Ask(here), *version), (), right.judge, interactions=drugs)
    if cursor is not None:
        unasked = _unasked(request, right.judge)
        plan = Plan(request, (), (), right.judge, right.selective or bool(unasked), unasked)
        return replace(plan, asks=(next_ask(plan, cursor),))
    return _search_plan(request, right, house)


def _search_plan(request: FhirRequest, right: Right, house: House) -> Plan:
    kind, judge = request.type or "", right.judge
    access = judge.catalogue.access(kind)
    asked_for = _asked_patients(request, access.narrow)
    if _asks_about_strangers(request, judge, access.narrow, asked_for):
        return Plan(request, (), (), judge)  # an empty page, never "no filter"
    patients = judge.patients if asked_for is None else judge.patients & asked_for
    unasked = _unasked(request, judge)
    required = (
        *narrow.to_patients(access, patients, house.narrow_limit),
        *narrow.to_served(access),
        *(() if _is_study(judge) else narrow.to_constraints(right.grants)),
        *narrow.to_values(None if judge.ceiling is None else judge.ceiling.only_with),
    )
    own = [(term.key, term.text) for term in request.terms if term not in unasked]
    control = [("_sort", ",".join(request.sort))] if request.sort else []
    if request.count is not None:
        control.append(("_count", str(request.count)))
    query = (*(pair for pair in own if pair not in required), *required, *control)
    selective = right.selective or bool(unasked)
    return Plan(request, (Ask(f"/{kind}", query),), required, judge, selective, unasked)


def _is_study(judge: Judge) -> bool:
    return judge.ceiling is not None and judge.ceiling.study is not None


def _unasked(request: FhirRequest, judge: Judge) -> tuple[Term, ...]:
    """The terms that would tell, by what the upstream finds, of what is not shown: all of a study, whose
    records leave made anew, and those that exclude where something may be taken out of a record."""
    if _is_study(judge):
        return request.terms
    terms = excluding(request)
    return terms if terms and _may_cut(request.type or "", judge) else ()


def _may_cut(kind: str, judge: Judge) -> bool:
    """Whether a part of a record of the type may be withheld, by the role or by labels."""
    if judge.ceiling is not None and (judge.ceiling.is_partial(kind) or judge.ceiling.weighs_labels):
        return True
    return judge.labelling is not None and any(map(judge.bound.label_sensitive, judge.patients))


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
