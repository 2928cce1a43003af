"""Which encounter a person chooses for an app: among those that the walk lets them read, and no others."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import pytest_asyncio

from gateway.auth.approval.encounters import GATEWAY, MOST
from gateway.core.values import Ref, Token
from gateway.errors import LedgerUnavailable
from tests.auth.counter import Counter, Visitor, answer_of, application

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKED = "launch/patient launch/encounter patient/Observation.rs"
R4 = {
    "resourceType": "Encounter",
    "id": "enc-1",
    "status": "finished",
    "class": {"code": "VR", "display": "virtual"},
    "type": [{"text": "Check-up"}],
    "period": {"start": "2025-05-12T14:30:00+02:00"},
    "serviceProvider": {"display": "City <Hospital>"},
}
R5 = {
    "resourceType": "Encounter",
    "id": "enc-2",
    "class": [{"coding": [{"display": "ambulatory"}]}],
    "actualPeriod": {"start": "2024-03"},
}
BARE = {"resourceType": "Encounter", "id": "enc-3", "period": {"start": "2024-13-45"}}
ODD = {
    "resourceType": "Encounter",
    "id": "enc-4",
    "status": 7,
    "class": "AMB",
    "type": [None, {"coding": {"display": ["x"]}}],
    "period": ["2025"],
    "serviceProvider": "us",
}
OUTCOME = {"resourceType": "OperationOutcome", "id": "warning"}


@dataclass
class Walk:
    """Answers as the walk does; `asked` are the tokens and queries that came."""

    counter: Counter
    resources: list[dict[str, Any]] = field(default_factory=lambda: [R4, R5, BARE, ODD, OUTCOME])
    status: int = 200
    failing: Exception | None = None
    asked: list[tuple[Token, bytes, bytes]] = field(default_factory=list)

    async def read(self, base: str, text: str, path: bytes, query: bytes) -> tuple[int, bytes]:
        self.asked.append((await self.counter.desk.verify(text, base), path, query))
        if self.failing is not None:
            raise self.failing
        bundle = {"resourceType": "Bundle", "entry": [{"resource": each} for each in self.resources]}
        return self.status, json.dumps(bundle).encode()


@pytest_asyncio.fixture(loop_scope="module")
async def walk(counter: Counter) -> Walk:
    made = Walk(counter)
    counter.app = application(replace(counter.ports, read=made.read), counter.desk)
    return made


@pytest_asyncio.fixture(loop_scope="module")
async def visitor(counter: Counter, walk: Walk) -> AsyncIterator[Visitor]:
    async with counter.browse() as browser:
        yield browser


async def chosen(visitor: Visitor, encounter: str | None, **asked: str) -> Any:
    page = await visitor.open(**{"scope": ASKED, **asked})
    return await visitor.follow(await visitor.submit(page, "encounter", encounter=encounter))


async def test_the_choice_is_shown_in_words(visitor: Visitor) -> None:
    page = (await visitor.open(scope=ASKED)).text
    assert "Which visit?" in page
    for said in ("12 May 2025, 14:30", "Check-up, virtual, finished, City &lt;Hospital&gt;", "March 2024"):
        assert said in page
    assert all(f'value="{encounter}"' in page for encounter in ("enc-3", "enc-4"))
    assert "warning" not in page


async def test_what_was_chosen_is_told_to_the_app(visitor: Visitor) -> None:
    page = await chosen(visitor, "enc-1")
    assert "<strong>enc-1</strong>" in page.text
    tokens = await visitor.tokens(await visitor.allow(page))
    assert (tokens["patient"], tokens["encounter"]) == ("pat-a", "enc-1")
    assert tokens["scope"] == ASKED


async def test_it_stays_with_what_is_renewed(counter: Counter, visitor: Visitor) -> None:
    page = await chosen(visitor, "enc-1", scope=f"{ASKED} offline_access")
    tokens = await visitor.tokens(await visitor.allow(page))
    again = await counter.desk.refresh(tokens["refresh_token"], client_id="diary")
    assert again.json()["encounter"] == "enc-1"


async def test_none_of_them_is_no_scope_for_one(visitor: Visitor, walk: Walk) -> None:
    page = await chosen(visitor, "")
    looks = len(walk.asked)
    tokens = await visitor.tokens(await visitor.allow(page))
    assert "encounter" not in tokens
    assert tokens["scope"] == ASKED.replace(" launch/encounter", "")
    assert len(walk.asked) == looks


async def test_another_can_be_chosen(visitor: Visitor) -> None:
    page = await visitor.follow(await visitor.submit(await chosen(visitor, "enc-1"), "another"))
    assert "Which visit?" in page.text
    page = await visitor.follow(await visitor.submit(page, "encounter", encounter="enc-2"))
    assert (await visitor.tokens(await visitor.allow(page)))["encounter"] == "enc-2"


@pytest.mark.parametrize("encounter", ["enc-9", "enc-1 ", "warning", None])
async def test_what_is_not_there_cannot_be_chosen(visitor: Visitor, encounter: str | None) -> None:
    page = await visitor.open(scope=ASKED)
    refused = await visitor.submit(page, "encounter", encounter=encounter)
    assert (refused.status_code, 'href="#encounter"' in refused.text) == (422, True)


async def test_nothing_is_allowed_by_the_way(visitor: Visitor) -> None:
    """Who skips the choice tells of no encounter."""
    page = await visitor.open(scope=ASKED)
    skipped = await visitor.submit(page, "encounter", step="check")
    assert skipped.status_code == 200
    [until] = re.findall(r'max="([0-9-]+)"', skipped.text)
    ticked = {"t__Observation": "on", "p__Observation__laboratory": "on", "purpose": "HRESCH", "until": until}
    answer = await visitor.allow(skipped, encounter="enc-1", **ticked)
    assert "encounter" not in await visitor.tokens(answer)


async def test_the_look_is_the_persons_own(visitor: Visitor, walk: Walk) -> None:
    await visitor.open(scope=ASKED)
    token, path, query = walk.asked[-1]
    assert (path, query) == (b"/Encounter", b"patient=pat-a&_sort=-date&_count=%d" % MOST)
    assert (token.client, str(token.fhir_user), token.patient) == (GATEWAY, "Patient/pat-a", "pat-a")
    assert [scope.text for scope in token.scopes] == ["patient/Encounter.rs"]
    assert token.consents == ()
    assert token.issued is not None


async def test_a_professional_looks_by_the_consents_that_name_them(
    counter: Counter, visitor: Visitor, walk: Walk
) -> None:
    await counter.desk.permit(grantees=("practitioner:prac-1",))
    page = await visitor.open("doc", scope=ASKED)
    page = await visitor.follow(await visitor.submit(page, "patient", patient="pat-a"))
    assert "Which visit?" in page.text
    token, _, _ = walk.asked[-1]
    assert (token.fhir_user, token.consents) == (Ref("Practitioner", "prac-1"), None)


async def test_who_acts_for_a_patient_has_no_list(counter: Counter, visitor: Visitor, walk: Walk) -> None:
    await counter.may_act("bo", "pat-b")
    page = await visitor.open("bo", scope=ASKED)
    assert walk.asked == []
    assert "encounter" not in await visitor.tokens(await visitor.allow(page))


@pytest.mark.parametrize(
    "changed", [{"resources": []}, {"resources": [OUTCOME]}, {"status": 403}, {"status": 502}], ids=str
)
async def test_where_there_is_nothing_to_choose_it_goes_on(
    visitor: Visitor, walk: Walk, changed: dict[str, Any]
) -> None:
    vars(walk).update(changed)
    page = await visitor.open(scope=ASKED)
    assert "encounter" not in await visitor.tokens(await visitor.allow(page))


async def test_a_look_that_cannot_be_recorded_shows_nothing(visitor: Visitor, walk: Walk) -> None:
    walk.failing = LedgerUnavailable()
    page = await visitor.open(scope=ASKED)
    assert (page.status_code, "enc-1" in page.text) == (503, False)


async def test_an_encounter_needs_a_patient(visitor: Visitor, walk: Walk) -> None:
    """Also where the records that are asked for need none."""
    page = await visitor.open("doc", scope="launch/encounter user/Observation.rs")
    assert "Whose records?" in page.text
    assert answer_of(await visitor.submit(page, "deny"))["error"] == "access_denied"


async def test_who_does_not_ask_is_not_asked(visitor: Visitor, walk: Walk) -> None:
    assert "Which visit?" not in (await visitor.open(scope="launch/patient patient/*.rs")).text
    assert walk.asked == []
