"""Who acts for a patient does so in a role that is for it, whatever they work as: from the authority over the
page, the code and the refresh to the records that are seen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.auth.people.registry import Profile
from gateway.core.decide import decide
from gateway.core.fhir.candidate import Candidate, candidate_content
from gateway.core.fhir.facts import facts_of
from gateway.core.plan import Permit
from gateway.core.roles.ceiling import Roles
from gateway.core.standing import House, Standing
from gateway.core.values import Ref, Token
from gateway.mapping import load_profiles
from tests.auth.approval.test_approve import LAUNCHED, form_of
from tests.auth.counter import Counter, Visitor, answer_of
from tests.auth.site import PASSWORD
from tests.core.deciding import BASES, R4, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOUSE = House(R4, BASES, roles=Roles(load_profiles()))
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
LABELS = (None, "ADOL", "PSYTHPN")
ALL = set(LABELS)
FAMILY = ["FAMRQT", "PWATRNY", "SUPNWK"]


def seen(counter: Counter, token: Token, kind: str = "Condition") -> set[str | None]:
    """The labels of the records of the token's patient that it sees."""
    _, view = counter.ports.consents.at_head()
    asked = decide(request(f"{kind}/c"), Standing(token, view, HOUSE, counter.desk.now_s))
    if not isinstance(asked, Permit):
        return set()
    found = set()
    for label in LABELS:
        meta = {} if label is None else {"meta": {"security": [{"system": ACT, "code": label}]}}
        whose = "patient" if kind == "AllergyIntolerance" else "subject"
        raw = json.dumps(
            {"resourceType": kind, "id": "c", **meta, whose: {"reference": f"Patient/{token.patient}"}}
        ).encode()
        facts = facts_of(raw, R4, BASES)
        if asked.plan.judge(facts, candidate_content(Candidate(raw, facts))).visible:
            found.add(label)
    return found


PARENTS: dict[str, tuple[Ref | None, str | None, str, str]] = {
    "a patient without a role": (Ref("Patient", "pat-m1"), None, "MTH", "proxy"),
    "a patient": (Ref("Patient", "pat-m2"), "patient", "FTH", "proxy"),
    "a login alone": (None, None, "GUARD", "proxy"),
    "a relative": (Ref("RelatedPerson", "rel-m4"), "proxy", "PRN", "proxy"),
    "a clinician": (Ref("Practitioner", "prac-m5"), "clinician", "MTH", "proxy"),
    "a carer by the account": (Ref("RelatedPerson", "rel-m6"), "caregiver", "MTH", "caregiver"),
    "a carer by the authority": (Ref("RelatedPerson", "rel-m7"), None, "CAREGIVER", "caregiver"),
    "a clinician who cares": (Ref("Practitioner", "prac-m8"), "clinician", "CAREGIVER", "caregiver"),
}


@pytest.mark.parametrize(("user", "works_as", "relationship", "role"), PARENTS.values(), ids=PARENTS)
@pytest.mark.parametrize("purpose", [None, *FAMILY])
async def test_a_parent_sees_the_child_as_a_parent(
    counter: Counter, user: Ref | None, works_as: str | None, relationship: str, role: str, purpose: Any
) -> None:
    login = f"m{counter.desk.ports.new_id()}"[:40]
    await counter.people.add(Profile(login, login, user, works_as), PASSWORD, counter.desk.now_s)
    await counter.may_act(login, "pat-child", relationship=relationship)
    async with counter.browse() as visitor:
        page = await visitor.open(login, scope="launch/patient offline_access patient/*.rs")
        if "Whose records?" in page.text:
            page = await visitor.follow(await visitor.submit(page, "patient", patient="pat-child"))
        form = form_of(page)
        assert (form.boxes["purpose"], form.fields["purpose"]) == (FAMILY, "FAMRQT")
        for other in ("PATRQT", "TREAT"):
            assert (await visitor.submit(page, "allow", purpose=other)).status_code == 422
        chosen = {} if purpose is None else {"purpose": purpose}
        answer = await visitor.tokens(await visitor.allow(page, **chosen))
    for _ in range(2):
        token = await counter.desk.verify(answer["access_token"])
        assert (token.role, token.patient, token.purposes) == (role, "pat-child", (purpose or "FAMRQT",))
        assert counter.desk.entries("token.issue")[-1].facts["rol"] == role
        assert seen(counter, token) == ({None} if role == "proxy" else set())
        assert seen(counter, token, "AllergyIntolerance") == {None}
        answer = (await counter.desk.refresh(answer["refresh_token"], client_id="diary")).json()


@pytest.mark.parametrize("works_as", [None, "patient", "proxy", "caregiver"])
async def test_their_own_records_they_see_as_the_patient(counter: Counter, works_as: str | None) -> None:
    login = f"own-{works_as}"
    me = Profile(login, login, Ref("Patient", f"pat-{login}"), works_as)
    await counter.people.add(me, PASSWORD, counter.desk.now_s)
    await counter.may_act(login, "pat-child")
    async with counter.browse() as visitor:
        page = await visitor.open(login)
        page = await visitor.follow(await visitor.submit(page, "patient", patient=f"pat-{login}"))
        assert form_of(page).fields["purpose"] == "PATRQT"
        token = await counter.desk.verify((await visitor.tokens(await visitor.allow(page)))["access_token"])
    assert (token.role, token.purposes) == (None if works_as is None else "patient", ("PATRQT",))
    assert seen(counter, token) == ALL


async def launched(counter: Counter, visitor: Visitor, login: str, **body: Any) -> Any:
    made = await counter.launch(encounter=None, **body)
    await visitor.log_in(login)
    return await visitor.follow(await visitor.ask(scope=LAUNCHED, launch=made["launch"]))


async def test_a_professional_at_work_reads_as_one_also_of_their_child(
    counter: Counter, visitor: Visitor
) -> None:
    who = Profile("doc-m", "Dr M", Ref("Practitioner", "prac-m"), "doctor")
    await counter.people.add(who, PASSWORD, counter.desk.now_s)
    await counter.may_act("doc-m", "pat-own")
    page = await launched(counter, visitor, "doc-m", user="Practitioner/prac-m", patient="pat-own")
    assert form_of(page).boxes["purpose"] == ["TREAT", "HPAYMT", "HOPERAT"]
    token = await counter.desk.verify((await visitor.tokens(await visitor.allow(page)))["access_token"])
    assert (token.role, token.consents, token.patient) == ("doctor", None, "pat-own")


@pytest.mark.parametrize("case", [None, "Claim/7"])
async def test_a_relative_whom_an_ehr_sends_has_no_cases(
    counter: Counter, visitor: Visitor, case: str | None
) -> None:
    login = "with-case" if case else "without-case"
    who = Profile(login, login, Ref("RelatedPerson", login), "doctor")
    await counter.people.add(who, PASSWORD, counter.desk.now_s)
    await counter.may_act(login, "pat-child")
    page = await launched(
        counter, visitor, login, user=f"RelatedPerson/{login}", patient="pat-child", case=case
    )
    if case:
        assert answer_of(page)["error"] == "access_denied"
        return
    assert form_of(page).boxes["purpose"] == FAMILY
    token = await counter.desk.verify((await visitor.tokens(await visitor.allow(page)))["access_token"])
    assert token.role == "proxy"
