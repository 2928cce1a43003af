"""A code that an app has bound to its key when it asked (RFC 9449 section 10)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from gateway.core.canon import b64url
from tests.auth.counter import APP, PLAIN, Counter, Visitor, answer_of, open_counter
from tests.support.house import PUBLIC
from tests.tokens.holder import Holder

HOLDER, OTHER = Holder(), Holder(number=1)
CERTIFIED = replace(PLAIN, id="certified", certificate_bound=True)
TOKEN = f"{PUBLIC}/auth/token"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def counter(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Counter]:
    async with open_counter(tmp_path_factory.mktemp("counter"), (APP, PLAIN, CERTIFIED)) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def visitor(counter: Counter) -> AsyncIterator[Visitor]:
    async with counter.browse() as browser:
        yield browser


async def exchanged(counter: Counter, code: str, holder: Holder | None = None) -> tuple[int, str]:
    """The status, and the error or the kind of token."""
    proofs = {} if holder is None else {"DPoP": holder.prove("POST", TOKEN, counter.desk.now_s)}
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": "https://app.example/cb",
        "code_verifier": "v" * 64,
        "client_id": "diary",
    }
    response = await counter.desk.post("/auth/token", form, **proofs)
    answer = response.json()
    return response.status_code, answer.get("error") or answer["token_type"]


async def test_the_code_is_for_whoever_holds_the_key(counter: Counter, visitor: Visitor) -> None:
    answer = await visitor.allow(await visitor.open(dpop_jkt=HOLDER.thumbprint))
    assert await exchanged(counter, answer["code"]) == (400, "invalid_grant")
    assert await exchanged(counter, answer["code"], OTHER) == (400, "invalid_grant")
    assert await exchanged(counter, answer["code"], HOLDER) == (200, "DPoP")


async def test_a_code_that_was_not_bound_takes_any_key(counter: Counter, visitor: Visitor) -> None:
    answer = await visitor.allow(await visitor.open())
    assert await exchanged(counter, answer["code"], OTHER) == (200, "DPoP")


@pytest.mark.parametrize(
    "jkt",
    [
        HOLDER.thumbprint[:-1],
        HOLDER.thumbprint + "A",
        HOLDER.thumbprint + "=",
        HOLDER.thumbprint[:-1] + "B",
        b64url(bytes(20)),
    ],
    ids=["short", "long", "padded", "stray bits", "SHA-1"],
)
async def test_what_is_no_thumbprint_is_refused(visitor: Visitor, jkt: str) -> None:
    assert answer_of(await visitor.ask(dpop_jkt=jkt))["error"] == "invalid_request"


async def test_a_client_of_certificates_has_no_key(visitor: Visitor) -> None:
    asked = {"client_id": "certified", "scope": "patient/*.rs"}
    assert (await visitor.ask(**asked)).status_code == 303
    refused = answer_of(await visitor.ask(**asked, dpop_jkt=HOLDER.thumbprint))
    assert refused["error"] == "invalid_request"
