"""An EHR opens an app about a case: its tokens are limited to it, from the first to the last refresh."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.canon import b64url
from gateway.core.values import Ref
from tests.auth.approval.test_approve import LAUNCHED
from tests.auth.counter import Counter, Visitor, answer_of

CLAIM = "Claim/7"

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def opened(counter: Counter, visitor: Visitor, login: str = "doc", **body: Any) -> Any:
    """The page, or the answer to the app, that a launch leads to."""
    made = await counter.launch(**body)
    await visitor.log_in(login)
    return await visitor.follow(await visitor.ask(scope=LAUNCHED, launch=made["launch"]))


async def test_the_tokens_are_limited_to_the_case(counter: Counter, visitor: Visitor) -> None:
    page = await opened(counter, visitor, case=CLAIM)
    assert f"what belongs to <strong>{CLAIM}</strong>" in page.text
    answer = await visitor.tokens(await visitor.allow(page))
    for _ in range(3):
        assert (answer["case"], answer["patient"], answer["encounter"]) == (CLAIM, "pat-a", "enc-1")
        token = await counter.desk.verify(answer["access_token"])
        assert (token.case, token.role, token.encounter) == (Ref("Claim", "7"), "doctor", "enc-1")
        [entry] = counter.desk.entries("token.issue")[-1:]
        assert entry.facts["cas"] == CLAIM
        assert token.issued == (entry.index, b64url(entry.leaf_hash))
        answer = (await counter.desk.refresh(answer["refresh_token"], client_id="diary")).json()


async def test_a_launch_without_a_case_has_none(counter: Counter, visitor: Visitor) -> None:
    page = await opened(counter, visitor)
    assert "Limited by your role" not in page.text
    answer = await visitor.tokens(await visitor.allow(page))
    assert "case" not in answer
    assert (await counter.desk.verify(answer["access_token"])).case is None
    assert "cas" not in counter.desk.entries("token.issue")[-1].facts


NO_LIMIT: dict[str, dict[str, Any]] = {
    "a role with other cases": {"case": "EpisodeOfCare/3"},
    "no role": {"login": "doc2", "user": "Practitioner/prac-2", "case": CLAIM},
    "a patient": {"login": "anna", "user": "Patient/pat-a", "case": CLAIM, "encounter": None},
}


@pytest.mark.parametrize("body", NO_LIMIT.values(), ids=NO_LIMIT)
async def test_whom_a_case_would_not_limit_gets_nothing(
    counter: Counter, visitor: Visitor, body: dict[str, Any]
) -> None:
    answer = answer_of(await opened(counter, visitor, **body))
    assert answer["error"] == "access_denied"
    assert "code" not in answer


@pytest.mark.parametrize("body", NO_LIMIT.values(), ids=NO_LIMIT)
async def test_and_is_served_without_one(counter: Counter, visitor: Visitor, body: dict[str, Any]) -> None:
    page = await opened(counter, visitor, **{**body, "case": None})
    assert page.status_code == 200
