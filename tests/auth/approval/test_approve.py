"""The decision: whose records, what of them, for what and until when; and what comes of it in the ledger."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import Session, col, func, select

from gateway.auth.clients.registry import Secrets
from gateway.auth.store.grants import Code, Grant
from gateway.consents.draft import Draft
from gateway.consents.service import ConsentService
from gateway.core.canon import b64url
from gateway.core.consent.rule import Consent, State
from gateway.core.values import Ref
from gateway.errors import LedgerUnavailable, StateUnavailable
from tests.auth.counter import (
    APP,
    PEOPLE,
    PLAIN,
    STATE,
    STYLE,
    Counter,
    Form,
    Reader,
    Visitor,
    answer_of,
)
from tests.auth.site import PASSWORD
from tests.support.house import PUBLIC

pytestmark = pytest.mark.asyncio(loop_scope="module")

HL7 = "http://terminology.hl7.org/CodeSystem"
NOT_OBSERVATIONS = re.compile(r"later|t[.](?!Observation$).*")


def consents_of(counter: Counter, patient: str = "pat-a") -> tuple[Consent, ...]:
    counter.ports.consents.at_head()
    return counter.ports.service.of_patient(patient)


async def count_grants(counter: Counter) -> tuple[int, int]:
    """How many grants and codes there are."""

    def work(session: Session) -> tuple[int, int]:
        return session.exec(select(func.count(col(Grant.id)))).one(), session.exec(
            select(func.count()).select_from(Code)
        ).one()

    return await counter.ports.database.run(work)


def form_of(page: Any, button: str = "allow") -> Form:
    return next(form for form in Reader(page.text).forms if button in {value for _, value in form.buttons})


def day(counter: Counter, days: int) -> str:
    return (datetime.fromtimestamp(counter.desk.now_s, UTC).date() + timedelta(days)).isoformat()


# --- What a patient allows -------------------------------------------------------------------------


async def test_what_is_allowed_is_a_consent_that_the_token_rests_on(
    counter: Counter, visitor: Visitor
) -> None:
    before = len(consents_of(counter))
    answer = await visitor.allow(await visitor.open())
    assert answer.keys() == {"code", "state"}
    assert answer["state"] == STATE
    [consent] = consents_of(counter)[before:]
    assert consent.state is State.LIVE
    assert consent.grantees == {f"client:diary@{PUBLIC}"}
    assert [scope.text for scope in consent.root.match.scopes] == ["patient/*.rs"]
    assert consent.root.match.purposes == {"PATRQT"}
    tokens = await visitor.tokens(answer)
    assert (tokens["patient"], tokens["scope"]) == ("pat-a", "launch/patient patient/*.rs")
    token = await counter.desk.verify(tokens["access_token"])
    assert token.consents == (consent.refs[-1],)
    assert (token.purposes, token.patient, token.fhir_user) == (("PATRQT",), "pat-a", Ref("Patient", "pat-a"))


NARROWED: dict[str, tuple[str, Any, str]] = {
    "one kind": ("patient/Condition.rs patient/Patient.rs", {"t.Condition"}, "patient/Patient.rs"),
    "limited": (
        "patient/*.rs", re.compile(r"later|t[.](?!Patient$|Goal$).*"), "patient/Patient.rs patient/Goal.rs",
    ),
    "granular": (
        "patient/Observation.rs patient/Patient.rs",
        re.compile(r"p[.]Observation[.](?!laboratory|survey).*"),
        f"patient/Observation.rs?category={HL7}/observation-category|laboratory "
        f"patient/Observation.rs?category={HL7}/observation-category|survey patient/Patient.rs",
    ),
    "v1": ("patient/Condition.read patient/Patient.read", {"t.Condition"}, "patient/Patient.read"),
    "its own spelling": (
        f"patient/Observation.rs?category={HL7}/observation-category%7Claboratory patient/Goal.rs",
        {"t.Goal"},
        f"patient/Observation.rs?category={HL7}/observation-category%7Claboratory",
    ),
    "not offline": ("offline_access patient/Patient.rs", {"stay"}, "patient/Patient.rs"),
    "offline": ("offline_access patient/Patient.rs", (), "offline_access patient/Patient.rs"),
    "user level": ("user/Patient.rs user/Goal.rs", {"t.Goal"}, "user/Patient.rs"),
    "encounter that is not known": ("launch/encounter patient/Patient.rs", (), "patient/Patient.rs"),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "off", "left"), NARROWED.values(), ids=NARROWED.keys())
async def test_what_is_not_ticked_is_in_neither_token_nor_consent(
    counter: Counter, visitor: Visitor, asked: str, off: Any, left: str
) -> None:
    untick = off.fullmatch if isinstance(off, re.Pattern) else off
    tokens = await visitor.tokens(await visitor.allow(await visitor.open(scope=asked), untick=untick))
    assert tokens["scope"] == left
    assert ("refresh_token" in tokens) is ("offline_access" in left)
    resources = [word.replace("user/", "patient/") for word in left.split() if "/" in word]
    assert [scope.text for scope in consents_of(counter)[-1].root.match.scopes] == resources


async def test_online_access_is_of_this_session(counter: Counter, visitor: Visitor) -> None:
    page = await visitor.open(scope="online_access patient/Patient.rs")
    assert "Its access ends when you log out." in page.text
    tokens = await visitor.tokens(await visitor.allow(page))
    renewed = await counter.desk.refresh(tokens["refresh_token"], client_id="diary")
    assert renewed.status_code == 200
    await visitor.submit(await visitor.client.get("/auth/login"), "", step=None)
    late = await counter.desk.refresh(renewed.json()["refresh_token"], client_id="diary")
    assert (late.status_code, late.json()["error"]) == (400, "invalid_grant")


async def test_who_it_is_can_be_told_without_any_consent(counter: Counter, visitor: Visitor) -> None:
    before = len(consents_of(counter))
    page = await visitor.open(scope="openid fhirUser")
    assert "It asks for no health records" in page.text
    tokens = await visitor.tokens(await visitor.allow(page))
    assert tokens["scope"] == "openid fhirUser"
    assert "patient" not in tokens
    assert len(consents_of(counter)) == before


@pytest.mark.parametrize("untick", [lambda _: True, {"t.Patient"}], ids=["all", "the only kind"])
async def test_nothing_ticked_is_not_allowed(counter: Counter, visitor: Visitor, untick: Any) -> None:
    before = await count_grants(counter)
    page = await visitor.open(scope="openid patient/Patient.rs")
    again = await visitor.submit(page, "allow", untick=untick)
    assert again.status_code == 422
    assert "Nothing is ticked" in again.text
    assert 'href="#records"' in again.text
    assert await count_grants(counter) == before
    assert (await visitor.allow(page)).keys() == {"code", "state"}


async def test_all_boxes_can_be_unticked_at_once(visitor: Visitor) -> None:
    page = await visitor.open()
    bare = await visitor.client.get(f"{page.request.url}&tick=none")
    form = form_of(bare)
    assert len(form.boxes) > 70
    assert form.fields.keys() & form.boxes.keys() == {"purpose"}
    full = await visitor.client.get(f"{page.request.url}&tick=all")
    assert form_of(full).fields == form_of(page).fields


async def test_what_was_filled_in_is_kept_when_something_does_not_fit(visitor: Visitor) -> None:
    page = await visitor.open()
    again = await visitor.submit(page, "allow", untick={"t.Goal"}, until="soon", purpose="TREAT")
    assert again.status_code == 422
    fields = form_of(again).fields
    assert "t.Goal" not in fields
    assert (fields["t.Patient"], fields["purpose"], fields["until"]) == ("on", "TREAT", "soon")


# --- For what, and until when ----------------------------------------------------------------------


@pytest.mark.parametrize("purpose", ["PATRQT", "TREAT", "CAREMGT", "COVERAGE", "HRESCH"])
async def test_the_purpose_is_the_persons_choice(counter: Counter, visitor: Visitor, purpose: str) -> None:
    tokens = await visitor.tokens(await visitor.allow(await visitor.open(), purpose=purpose))
    assert (await counter.desk.verify(tokens["access_token"])).purposes == (purpose,)
    assert consents_of(counter)[-1].root.match.purposes == {purpose}


@pytest.mark.parametrize("purpose", ["BTG", "HPAYMT", "HMARKT", "treat", "", None])
async def test_another_purpose_is_none(visitor: Visitor, purpose: str | None) -> None:
    page = await visitor.open()
    again = await visitor.submit(page, "allow", purpose=purpose)
    assert (again.status_code, 'href="#purpose"' in again.text) == (422, True)


@pytest.mark.parametrize("days", [0, 1, 365, 3 * 365])
async def test_it_lasts_until_the_end_of_the_day(counter: Counter, visitor: Visitor, days: int) -> None:
    until = day(counter, days)
    await visitor.allow(await visitor.open(), until=until)
    end = datetime.fromisoformat(f"{until}T23:59:59+00:00")
    assert consents_of(counter)[-1].until_s == int(end.timestamp())


@pytest.mark.parametrize("days", [-1, 3 * 365 + 1, 40_000])
async def test_it_cannot_end_before_today_nor_too_late(counter: Counter, visitor: Visitor, days: int) -> None:
    again = await visitor.submit(await visitor.open(), "allow", until=day(counter, days))
    assert (again.status_code, 'href="#until"' in again.text) == (422, True)


@pytest.mark.parametrize("until", ["", None, "2027", "2027-02-30", "tomorrow", "2027-01-01T00:00:00Z", "١٢"])
async def test_what_is_no_day_is_refused(visitor: Visitor, until: str | None) -> None:
    assert (await visitor.submit(await visitor.open(), "allow", until=until)).status_code == 422


# --- Denying, and what goes wrong ------------------------------------------------------------------


async def test_denying_is_said_to_the_app(counter: Counter, visitor: Visitor) -> None:
    before = await count_grants(counter), len(consents_of(counter))
    page = await visitor.open()
    answer = answer_of(await visitor.submit(page, "deny", purpose="x", until="y"))
    assert (answer["error"], answer["state"]) == ("access_denied", STATE)
    assert (await count_grants(counter), len(consents_of(counter))) == before
    assert (await visitor.submit(page, "allow")).status_code == 400


async def test_it_is_decided_once(counter: Counter, visitor: Visitor) -> None:
    page = await visitor.open()
    before = await count_grants(counter), len(consents_of(counter))
    assert "code" in await visitor.allow(page)
    for button in ("allow", "deny", "check"):
        again = await visitor.submit(page, button)
        assert (again.status_code, "location" in again.headers) == (400, False)
    assert (await visitor.client.get(page.request.url)).status_code == 400
    grants, codes = before[0]
    assert await count_grants(counter) == (grants + 1, codes + 1)
    assert len(consents_of(counter)) == before[1] + 1


async def test_two_answers_at_once_are_one(counter: Counter, visitor: Visitor) -> None:
    page = await visitor.open()
    before = await count_grants(counter), len(consents_of(counter))
    answers = await asyncio.gather(*(visitor.submit(page, "allow") for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [303, 400, 400, 400]
    assert (await count_grants(counter))[1] == before[0][1] + 1
    assert len(consents_of(counter)) == before[1] + 1


async def test_without_the_ledger_nothing_is_granted(
    counter: Counter, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise LedgerUnavailable

    before = await count_grants(counter)
    page = await visitor.open()
    monkeypatch.setattr(ConsentService, "grant", fails)
    answer = await visitor.allow(page)
    assert (answer["error"], answer["state"]) == ("temporarily_unavailable", STATE)
    assert await count_grants(counter) == before


async def test_a_consent_whose_grant_is_lost_is_withdrawn(
    counter: Counter, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise StateUnavailable

    before = await count_grants(counter)
    page = await visitor.open()
    monkeypatch.setattr("gateway.auth.approval.granting.keep", fails)
    assert (await visitor.allow(page))["error"] == "temporarily_unavailable"
    assert await count_grants(counter) == before
    assert consents_of(counter)[-1].state is State.REVOKED


async def test_what_another_consent_denies_is_said_on_the_page(counter: Counter, visitor: Visitor) -> None:
    deny = Draft("pat-a", scopes=("patient/*.rs",), effect="deny")
    ref = await counter.ports.service.grant(deny)
    page = await visitor.open()
    again = await visitor.submit(page, "allow")
    assert again.status_code == 422
    assert "denies it" in again.text
    await counter.ports.service.revoke(ref.id, "operator")
    counter.ports.consents.at_head()
    assert "code" in await visitor.allow(page)


@pytest.mark.parametrize(
    "changed",
    [
        {"csrf": None},
        {"csrf": "x" * 43},
        {"request": None},
        {"request": "x" * 43},
        {"step": None},
        {"step": "maybe"},
        {"step": "password"},
        {"unheard-of": "1"},
        {"t.Nothing": "on"},
        {"write": "on"},
        {"stay": "on"},
        {"next": "/elsewhere"},
    ],
    ids=repr,
)
async def test_a_form_that_is_not_ours_changes_nothing(
    counter: Counter, visitor: Visitor, changed: dict[str, str | None]
) -> None:
    before = await count_grants(counter)
    page = await visitor.open()
    form = form_of(page)
    sent = {**form.fields, "step": "allow", **changed}
    data = {name: value for name, value in sent.items() if value is not None}
    refused = await visitor.client.post(form.action, data=data)
    assert refused.status_code in (400, 403)
    assert "location" not in refused.headers
    assert await count_grants(counter) == before
    assert "code" in await visitor.allow(page)


@pytest.mark.parametrize("origin", ["https://app.example", "null", f"{PUBLIC}.evil.example"])
async def test_a_form_from_another_site_changes_nothing(visitor: Visitor, origin: str) -> None:
    page = await visitor.open()
    form = form_of(page)
    data = {**form.fields, "step": "allow"}
    refused = await visitor.client.post(form.action, data=data, headers={"Origin": origin})
    assert refused.status_code == 403
    assert "code" in await visitor.allow(page)


@pytest.mark.parametrize(
    "query", ["", "?request=", "?request=x", "?request=x&request=y", "?request=%zz", "?a=b"]
)
async def test_an_address_without_a_request_is_a_page(visitor: Visitor, query: str) -> None:
    await visitor.log_in()
    page = await visitor.client.get(f"/auth/approve{query}")
    assert (page.status_code, "location" in page.headers) == (400, False)


async def test_the_pages_are_in_no_cache_and_no_frame(visitor: Visitor) -> None:
    page = await visitor.open()
    assert page.headers["cache-control"] == "no-store"
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' https://app.example" in policy
    assert "<script" not in page.text


async def test_an_apps_own_words_are_text(counter: Counter, visitor: Visitor) -> None:
    odd = '"><script>alert(1)</script> & Co'
    await counter.desk.clients.replace(replace(PLAIN, name=odd))
    page = await visitor.open(client_id="plain", scope="patient/*.rs")
    assert "<script" not in page.text
    assert "&amp; Co asks for access" in page.text
    await counter.desk.clients.replace(PLAIN)


# --- Who decides -----------------------------------------------------------------------------------


async def test_another_session_does_not_decide_it(counter: Counter, visitor: Visitor) -> None:
    page = await visitor.open()
    async with counter.browse() as other:
        await other.log_in()
        assert (await other.client.get(page.request.url)).status_code == 400
        form = {**form_of(page).fields, "step": "allow"}
        form["csrf"] = form_of(await other.open()).fields["csrf"]
        assert (await other.client.post("/auth/approve", data=form)).status_code == 400
    assert "code" in await visitor.allow(page)


async def test_after_a_log_out_somebody_else_can(counter: Counter, visitor: Visitor) -> None:
    await counter.may_act("bo", "pat-b")
    page = await visitor.open()
    login = await visitor.follow(await visitor.submit(page, "again"))
    assert "Login name" in login.text
    theirs = await visitor.log_in("bo", login)
    assert "pat-b" in theirs.text
    assert "pat-a" not in theirs.text
    assert (await visitor.tokens(await visitor.allow(theirs)))["patient"] == "pat-b"


async def test_a_session_that_ended_decides_nothing(visitor: Visitor) -> None:
    page = await visitor.open()
    kept = dict(visitor.client.cookies)
    await visitor.submit(await visitor.client.get("/auth/login"), "", step=None)
    visitor.client.cookies.update(kept)
    late = await visitor.submit(page, "allow")
    assert late.status_code == 303
    assert late.headers["location"].startswith("/auth/login?next=")


async def test_a_person_who_was_disabled_decides_nothing(counter: Counter, visitor: Visitor) -> None:
    page = await visitor.open()
    await counter.people.set_disabled("anna", True, counter.desk.now_s)
    assert (await visitor.submit(page, "allow")).headers["location"].startswith("/auth/login")
    await counter.people.set_disabled("anna", False, counter.desk.now_s)


# --- Proxies ---------------------------------------------------------------------------------------


async def test_who_acts_for_several_chooses_whose_records(counter: Counter) -> None:
    await _fresh(counter, "mia")
    await counter.may_act("mia", "pat-c")
    async with counter.browse() as visitor:
        page = await visitor.open("mia")
        assert "Whose records?" in page.text
        assert form_of(page, "patient").boxes == {"patient": ["pat-mia", "pat-c"]}
        assert "you are their mother" in page.text
        for wrong in (None, "", "pat-a", "pat-x"):
            assert (await visitor.submit(page, "patient", patient=wrong)).status_code == 422
        early = {**form_of(page, "patient").fields, "step": "allow", "patient": "pat-c"}
        assert (await visitor.client.post("/auth/approve", data=early)).status_code == 400
        chosen = await visitor.follow(await visitor.submit(page, "patient", patient="pat-c"))
        assert "pat-c" in chosen.text
        other = await visitor.follow(await visitor.submit(chosen, "other"))
        assert "Whose records?" in other.text
        chosen = await visitor.follow(await visitor.submit(other, "patient", patient="pat-c"))
        tokens = await visitor.tokens(await visitor.allow(chosen))
    assert tokens["patient"] == "pat-c"
    assert consents_of(counter, "pat-c")[-1].patient == "pat-c"


async def test_a_proxy_lasts_no_longer_than_the_authority(counter: Counter) -> None:
    await _fresh(counter, "ned", Ref("RelatedPerson", "rel-9"))
    await counter.may_act("ned", "pat-d", days=10)
    async with counter.browse() as visitor:
        page = await visitor.open("ned")
        form = form_of(page)
        assert day(counter, 8) <= form.fields["until"] <= day(counter, 10)
        assert (await visitor.submit(page, "allow", until=day(counter, 11))).status_code == 422
        assert "code" in await visitor.allow(page)
    assert (consents_of(counter, "pat-d")[-1].until_s or 0) <= counter.desk.now_s + 10 * 86_400
    authority = counter.desk.entries("authority.grant")[-1]
    entry = counter.desk.entries("consent.grant")[-1]
    assert (authority.facts["who"], entry.facts["act"]) == ("RelatedPerson/rel-9", "RelatedPerson/rel-9")
    assert entry.facts["aut"] == [authority.index, b64url(authority.leaf_hash)]


async def test_an_authority_that_ends_today_carries_no_further(counter: Counter) -> None:
    await _fresh(counter, "liv", Ref("RelatedPerson", "rel-7"))
    now_s = counter.desk.now_s
    made = await counter.authorities.allow("liv", "pat-h", "MTH", now_s + 300, "operator", now_s)
    async with counter.browse() as visitor:
        tokens = await visitor.tokens(await visitor.allow(await visitor.open("liv")))
    end = datetime.fromisoformat(f"{day(counter, 0)}T23:59:59+00:00")
    assert consents_of(counter, "pat-h")[-1].until_s == min(made.until_s, int(end.timestamp()))
    assert 0 < tokens["expires_in"] <= 301


async def test_an_authority_that_ended_meanwhile_allows_nothing(counter: Counter) -> None:
    await _fresh(counter, "ole", Ref("RelatedPerson", "rel-8"))
    authority = await counter.may_act("ole", "pat-e")
    async with counter.browse() as visitor:
        page = await visitor.open("ole")
        await counter.authorities.end_authority(authority, counter.desk.now_s)
        answer = await visitor.allow(page)
    assert answer["error"] == "access_denied"
    assert consents_of(counter, "pat-e") == ()


async def test_an_authority_for_the_chosen_one_that_ended_goes_back_to_the_choice(counter: Counter) -> None:
    await _fresh(counter, "pia")
    authority = await counter.may_act("pia", "pat-f")
    await counter.may_act("pia", "pat-g")
    async with counter.browse() as visitor:
        page = await visitor.submit(await visitor.open("pia"), "patient", patient="pat-f")
        page = await visitor.follow(page)
        await counter.authorities.end_authority(authority, counter.desk.now_s)
        refused = await visitor.submit(page, "allow")
        assert refused.status_code == 400
        assert "Whose records?" in (await visitor.client.get(page.request.url)).text
    assert consents_of(counter, "pat-f") == ()


async def test_who_acts_for_nobody_is_told_to_the_app(visitor: Visitor) -> None:
    await visitor.log_in("nobody")
    answer = answer_of(await visitor.follow(await visitor.ask()))
    assert (answer["error"], answer["state"]) == ("access_denied", STATE)


# --- Professionals ---------------------------------------------------------------------------------


async def test_a_professional_gives_no_consent(counter: Counter, visitor: Visitor) -> None:
    page = await visitor.open("doc", scope="user/*.rs")
    assert "health records that you can see yourself" in page.text
    before = [len(consents_of(counter, patient)) for patient in ("pat-a", "pat-b")]
    answer = await visitor.allow(page)
    tokens = await visitor.tokens(answer)
    token = await counter.desk.verify(tokens["access_token"])
    assert (token.consents, token.patient, token.purposes) == (None, None, ("TREAT",))
    assert (token.role, token.organization) == ("doctor", Ref("Organization", "org-1"))
    assert [len(consents_of(counter, patient)) for patient in ("pat-a", "pat-b")] == before


async def test_a_professional_chooses_among_who_has_consented_to_them(counter: Counter) -> None:
    service = counter.ports.service
    consents: dict[str, dict[str, Any]] = {
        "pat-1": {"grantees": ("practitioner:prac-1",)},
        "pat-2": {"grantees": ("organization:org-1",)},
        "pat-3": {"grantees": ("practitioner:prac-9",)},
        "pat-4": {"grantees": ("practitioner:prac-1",), "from_": day(counter, 2)},
        "pat-5": {"grantees": ("practitioner:prac-1",), "effect": "deny"},
        "pat-6": {"grantees": ("client:diary",)},
    }
    for patient, draft in consents.items():
        await service.grant(Draft(patient, scopes=("patient/*.rs",), **draft))
    gone = await service.grant(Draft("pat-7", ("practitioner:prac-1",), ("patient/*.rs",)))
    counter.ports.consents.at_head()
    await service.revoke(gone.id, "operator")
    async with counter.browse() as visitor:
        page = await visitor.open("doc")
        assert form_of(page, "patient").boxes == {"patient": ["pat-1", "pat-2"]}
        refused = await visitor.submit(page, "patient", patient="pat-3")
        assert refused.status_code == 422
        chosen = await visitor.follow(await visitor.submit(page, "patient", patient="pat-1"))
        assert "This is no consent of the patient" in chosen.text
        tokens = await visitor.tokens(await visitor.allow(chosen))
    assert tokens["patient"] == "pat-1"
    assert (await counter.desk.verify(tokens["access_token"])).consents is None
    assert len(consents_of(counter, "pat-1")) == 1


async def test_many_patients_are_typed_rather_than_listed(counter: Counter) -> None:
    await _fresh(counter, "lea", Ref("Practitioner", "prac-many"))
    for number in range(31):
        draft = Draft(f"many-{number}", ("practitioner:prac-many",), ("patient/*.rs",))
        await counter.ports.service.grant(draft)
    async with counter.browse() as visitor:
        page = await visitor.open("lea")
        assert "many-7" not in page.text
        assert (await visitor.submit(page, "patient", patient="pat-a")).status_code == 422
        chosen = await visitor.follow(await visitor.submit(page, "patient", patient=" many-7 "))
        assert "many-7" in chosen.text


# --- EHR launch ------------------------------------------------------------------------------------

LAUNCHED = "launch openid fhirUser offline_access user/*.rs patient/Patient.rs"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_launch_tells_the_app_its_context(counter: Counter, visitor: Visitor, method: str) -> None:
    about = [{"reference": "ImagingStudy/img-1", "type": "ImagingStudy"}]
    made = await counter.launch(intent="reconcile", need_patient_banner=False, fhirContext=about)
    await visitor.log_in("doc")
    page = await visitor.follow(await visitor.ask(method, scope=LAUNCHED, launch=made["launch"]))
    assert "chosen in the record system" in page.text
    assert "Choose another patient" not in page.text
    assert "everybody else whose records you can see" in page.text
    tokens = await visitor.tokens(await visitor.allow(page))
    assert tokens["scope"] == LAUNCHED
    told = {"patient", "encounter", "intent", "need_patient_banner", "fhirContext", "smart_style_url"}
    assert {name: tokens.get(name) for name in told} == {
        "patient": "pat-a",
        "encounter": "enc-1",
        "intent": "reconcile",
        "need_patient_banner": False,
        "fhirContext": about,
        "smart_style_url": STYLE,
    }


async def _launched(counter: Counter, visitor: Visitor, login: str, **body: Any) -> Mapping[str, str]:
    """What the app is told when its launch for `doc` comes to somebody."""
    made = await counter.launch(**body)
    await visitor.log_in(login)
    return answer_of(await visitor.follow(await visitor.ask(scope=LAUNCHED, launch=made["launch"])))


@pytest.mark.parametrize("login", ["doc2", "anna", "nobody"])
async def test_a_launch_is_for_its_user_alone(counter: Counter, visitor: Visitor, login: str) -> None:
    answer = await _launched(counter, visitor, login)
    assert (answer["error"], answer["state"]) == ("access_denied", STATE)


async def test_a_launch_by_a_patient_is_for_whom_they_act_for(counter: Counter, visitor: Visitor) -> None:
    answer = await _launched(counter, visitor, "anna", user="Patient/pat-a", patient="pat-x", encounter=None)
    assert answer["error"] == "access_denied"


async def test_a_patient_who_is_launched_gives_consent(counter: Counter, visitor: Visitor) -> None:
    made = await counter.launch(user="Patient/pat-a", encounter=None)
    before = len(consents_of(counter))
    page = await visitor.open("anna", scope="launch patient/*.rs", launch=made["launch"])
    tokens = await visitor.tokens(await visitor.allow(page))
    assert (tokens["patient"], tokens["need_patient_banner"]) == ("pat-a", True)
    assert len(consents_of(counter)) == before + 1


async def test_a_launch_without_a_patient_needs_a_choice(counter: Counter, visitor: Visitor) -> None:
    made = await counter.launch(patient=None, encounter=None)
    page = await visitor.open("doc", scope="launch patient/*.rs", launch=made["launch"])
    assert "Whose records?" in page.text


async def test_a_launch_value_works_once(counter: Counter, visitor: Visitor) -> None:
    made = await counter.launch()
    first = await visitor.ask(scope=LAUNCHED, launch=made["launch"])
    assert first.status_code == 303
    second = answer_of(await visitor.ask(scope=LAUNCHED, launch=made["launch"]))
    assert second["error"] == "invalid_request"
    assert (await visitor.follow(first)).status_code == 200


async def test_another_clients_attempt_uses_no_launch_up(counter: Counter, visitor: Visitor) -> None:
    await counter.desk.clients.add(replace(APP, id="diary2"), "operator", Secrets(), counter.desk.now_s)
    made = await counter.launch()
    stolen = answer_of(await visitor.ask(scope=LAUNCHED, launch=made["launch"], client_id="diary2"))
    assert stolen["error"] == "invalid_request"
    assert (await visitor.ask(scope=LAUNCHED, launch=made["launch"])).status_code == 303


async def test_a_launch_is_over_soon(counter: Counter, visitor: Visitor) -> None:
    made = await counter.launch()
    counter.desk.ahead_s += made["expires_in"] - 10
    assert (await visitor.ask(scope=LAUNCHED, launch=made["launch"])).status_code == 303
    made = await counter.launch()
    counter.desk.ahead_s += made["expires_in"]
    assert answer_of(await visitor.ask(scope=LAUNCHED, launch=made["launch"]))["error"] == "invalid_request"


async def _fresh(counter: Counter, login: str, user: Ref | None = None) -> None:
    """A new person, who is the patient `pat-<login>` unless said otherwise."""
    profile = replace(PEOPLE["anna"], login=login, user=user or Ref("Patient", f"pat-{login}"))
    await counter.people.add(profile, PASSWORD, counter.desk.now_s)
