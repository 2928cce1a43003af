"""What a person sees of what they have allowed, and how it ends."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from gateway.auth.glass.notices import Told, add
from gateway.consents.draft import Draft
from gateway.consents.service import ConsentService
from gateway.core.consent.rule import State
from gateway.errors import LedgerUnavailable
from tests.auth.counter import Counter, Reader, Visitor
from tests.support.house import PUBLIC

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCOPE = "launch/patient offline_access patient/Patient.rs patient/Goal.rs"


async def allowed(visitor: Visitor, login: str = "anna", scope: str = SCOPE) -> dict[str, Any]:
    """The tokens of what a person allowed just now."""
    return await visitor.tokens(await visitor.allow(await visitor.open(login, scope=scope)))


def items(page: Any) -> list[tuple[str, str]]:
    """What there is to withdraw: its kind and id."""
    fields = [form.fields for form in Reader(page.text).forms]
    return [(kind, found[kind]) for found in fields for kind in ("consent", "grant") if kind in found]


async def withdraw(visitor: Visitor, item: tuple[str, str], **changed: str) -> Any:
    page = await visitor.client.get("/auth/manage")
    token = Reader(page.text).forms[-1].fields["csrf"]
    sent = {"csrf": token, item[0]: item[1], **changed}
    return await visitor.client.post("/auth/manage", data=sent, headers={"Origin": PUBLIC})


async def test_who_is_not_logged_in_comes_back_after_the_log_in(visitor: Visitor) -> None:
    page = await visitor.follow(await visitor.client.get("/auth/manage"))
    assert "Login name" in page.text
    assert "What apps may have" in (await visitor.log_in("nobody", page)).text


async def test_what_was_allowed_is_there_in_words(counter: Counter, visitor: Visitor) -> None:
    await allowed(visitor)
    page = await visitor.client.get("/auth/manage")
    assert page.headers["cache-control"] == "no-store"
    for words in (
        "Blood Pressure Diary",
        "pat-a (you)",
        "Personal details; Goals",
        "For the patient&#39;s own use",
        "Last used",
    ):
        assert words in page.text
    assert items(page)


async def test_withdrawing_ends_everything_at_once(counter: Counter, visitor: Visitor) -> None:
    tokens = await allowed(visitor)
    token = await counter.desk.verify(tokens["access_token"])
    assert token.consents is not None
    before = items(await visitor.client.get("/auth/manage"))
    item = ("consent", token.consents[0].id)
    assert item in before
    done = await visitor.follow(await withdraw(visitor, item))
    assert "It is withdrawn, from now on." in done.text
    assert items(done) == [other for other in before if other != item]
    _, view = counter.ports.consents.at_head()
    consent = view.get(item[1])
    assert consent is not None
    assert consent.state is State.REVOKED
    assert counter.desk.is_over(token)
    refused = await counter.desk.refresh(tokens["refresh_token"], client_id="diary")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    again = await withdraw(visitor, item)
    assert again.status_code == 303


async def test_a_code_of_what_was_withdrawn_is_worth_nothing(counter: Counter, visitor: Visitor) -> None:
    answer = await visitor.allow(await visitor.open(scope=SCOPE))
    for item in items(await visitor.client.get("/auth/manage")):
        await withdraw(visitor, item)
    refused = await counter.desk.exchange(answer["code"], client_id="diary")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


async def test_what_is_withdrawn_elsewhere_is_gone(counter: Counter, visitor: Visitor) -> None:
    await allowed(visitor)
    item = items(await visitor.client.get("/auth/manage"))[-1]
    await counter.ports.service.revoke(item[1], "operator")
    assert item not in items(await visitor.client.get("/auth/manage"))


async def test_a_proxy_sees_and_withdraws_while_the_authority_lasts(
    counter: Counter, visitor: Visitor
) -> None:
    authority = await counter.may_act("bo", "pat-b")
    await allowed(visitor, "bo")
    page = await visitor.client.get("/auth/manage")
    assert "pat-b (you are their mother)" in page.text
    [item] = items(page)
    await counter.authorities.end_authority(authority, counter.desk.now_s)
    assert items(await visitor.client.get("/auth/manage")) == []
    await withdraw(visitor, item)
    assert counter.ports.service.show(item[1]).state is State.LIVE
    await counter.may_act("bo", "pat-b")
    await withdraw(visitor, item)
    counter.ports.consents.at_head()
    assert counter.ports.service.show(item[1]).state is State.REVOKED


async def test_nobody_withdraws_what_is_anothers(counter: Counter, visitor: Visitor) -> None:
    await allowed(visitor)
    item = items(await visitor.client.get("/auth/manage"))[-1]
    async with counter.browse() as other:
        await other.log_in("nobody")
        assert (await withdraw(other, item)).status_code == 303
    counter.ports.consents.at_head()
    assert counter.ports.service.show(item[1]).state is State.LIVE


@pytest.mark.parametrize(
    ("login", "patient", "actor"),
    [("anna", None, "Patient/pat-a"), ("bo", "pat-b", "RelatedPerson/rel-1"), ("nobody", "pat-c", None)],
    ids=["patient", "proxy", "proxy without a resource"],
)
async def test_the_ledger_names_who_gave_and_who_withdrew(
    counter: Counter, visitor: Visitor, login: str, patient: str | None, actor: str | None
) -> None:
    if patient is not None:
        await counter.may_act(login, patient)
    tokens = await allowed(visitor, login)
    token = await counter.desk.verify(tokens["access_token"])
    assert token.consents is not None
    await withdraw(visitor, ("consent", token.consents[0].id))
    [given] = [e for e in counter.desk.entries("consent.grant") if e.index == token.consents[0].entry]
    taken, ended = counter.desk.entries("consent.revoke")[-1], counter.desk.entries("token.revoke")[-1]
    who = token.subject if actor is None else actor
    assert [entry.facts["act"] for entry in (given, taken, ended)] == [who] * 3
    assert "operator" not in who


async def test_a_professional_withdraws_their_own_grant(counter: Counter, visitor: Visitor) -> None:
    tokens = await allowed(visitor, "doc", "offline_access user/Patient.rs")
    token = await counter.desk.verify(tokens["access_token"])
    [item] = items(await visitor.client.get("/auth/manage"))
    assert item[0] == "grant"
    async with counter.browse() as other:
        await other.log_in("doc2")
        await withdraw(other, item)
        assert not counter.desk.is_over(token)
    await withdraw(visitor, item)
    assert counter.desk.is_over(token)
    assert items(await visitor.client.get("/auth/manage")) == []
    assert (await counter.desk.refresh(tokens["refresh_token"], client_id="diary")).status_code == 400


async def test_consents_for_others_than_apps_are_not_here(counter: Counter, visitor: Visitor) -> None:
    await visitor.log_in()
    before = items(await visitor.client.get("/auth/manage"))
    for grantee in ("practitioner:prac-1", "organization:org-1"):
        await counter.ports.service.grant(Draft("pat-a", (grantee,), ("patient/*.rs",)))
    deny = await counter.ports.service.grant(Draft("pat-a", ("client:z",), ("patient/*.rs",), effect="deny"))
    assert items(await visitor.client.get("/auth/manage")) == before
    await counter.ports.service.grant(Draft("pat-a", ("client:x@https://idp.example",), ("patient/*.rs",)))
    page = await visitor.client.get("/auth/manage")
    assert len(items(page)) == len(before) + 1
    assert "x@https://idp.example" in page.text
    counter.ports.consents.at_head()
    await counter.ports.service.revoke(deny.id, "operator")


async def test_without_the_ledger_nothing_is_said_to_be_withdrawn(
    counter: Counter, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise LedgerUnavailable

    await allowed(visitor)
    item = items(await visitor.client.get("/auth/manage"))[-1]
    with monkeypatch.context() as patched:
        patched.setattr(ConsentService, "revoke", fails)
        assert (await withdraw(visitor, item)).status_code == 503
    assert item in items(await visitor.client.get("/auth/manage"))


@pytest.mark.parametrize(
    "changed", [{"csrf": "x" * 43}, {"csrf": ""}, {"grant": "x"}, {"unheard-of": "1"}], ids=repr
)
async def test_a_form_that_is_not_ours_withdraws_nothing(
    counter: Counter, visitor: Visitor, changed: dict[str, str]
) -> None:
    await allowed(visitor)
    item = items(await visitor.client.get("/auth/manage"))[-1]
    assert (await withdraw(visitor, item, **changed)).status_code in (400, 403)
    assert item in items(await visitor.client.get("/auth/manage"))


async def test_a_form_from_another_site_withdraws_nothing(counter: Counter, visitor: Visitor) -> None:
    await allowed(visitor)
    page = await visitor.client.get("/auth/manage")
    item = items(page)[-1]
    data = {"csrf": Reader(page.text).forms[-1].fields["csrf"], item[0]: item[1]}
    headers = {"Origin": "https://evil.example"}
    assert (await visitor.client.post("/auth/manage", data=data, headers=headers)).status_code == 403
    assert item in items(await visitor.client.get("/auth/manage"))


async def test_who_broke_the_glass_is_told(counter: Counter, visitor: Visitor) -> None:
    told = Told(7, "h", "pat-a", "Practitioner/prac-er", "Dr Er", counter.desk.now_s, counter.desk.now_s + 60)
    others = replace(told, entry=8, patient="pat-z", name="Dr Other")
    for each in (told, others):
        await counter.ports.database.run(partial(add, told=each, reason="life-threat"))
    await allowed(visitor)
    page = (await visitor.client.get("/auth/manage")).text
    assert "Emergency access" in page
    assert "Dr Er, records of pat-a. The patient&#39;s life or health is in danger now." in page
    assert "Dr Other" not in page
