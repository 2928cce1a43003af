"""A token of the gateway's own that was ended before its time: no later request knows it."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest

from gateway.auth.tokens.issuing import Issued
from gateway.cli.issue import Wish, issue
from gateway.consents.entries import TOKEN_REVOKE, end_of_token_facts
from gateway.core.record import Draft
from gateway.house import open_house
from tests.support.gateway import Gateway
from tests.walk.canned import Canned, message
from tests.walk.faults import READ, observation, said

REASON = "logout"


def issued(house: Gateway) -> Issued:
    """A token of the gateway's own, from another process's point of view."""
    consent = house.permit()

    async def make() -> Issued:
        async with open_house(house.house.settings) as other:
            wish = Wish("app-1", ("patient/*.rs",), "pat-a", (consent["id"],), ("TREAT",))
            return await issue(other, wish)

    return asyncio.run(make())


def end(house: Gateway, token: Issued, *, hash: str | None = None) -> None:
    async def record() -> None:
        async with open_house(house.house.settings) as other:
            place = (token.entry, hash or token.hash)
            await other.record([Draft(TOKEN_REVOKE, None, end_of_token_facts(place, REASON))])

    asyncio.run(record())


def refused(answer: httpx.Response) -> None:
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert "ledger-entry" not in answer.headers


def test_it_opens_nothing_from_the_next_request_on(house: Gateway, record_server: Canned) -> None:
    record_server.speak(said(body=observation()))
    token, other = issued(house), issued(house)
    assert house.get(READ, token.text).status_code == 200
    end(house, token)
    before = len(house.entries())
    refused(house.get(READ, token.text))
    refused(house.get("/fhir/Observation/x/_history", token.text))  # nor is a refusal of it recorded
    assert len(house.entries()) == before
    assert house.get(READ, other.text).status_code == 200


def test_the_entry_of_another_token_ends_nothing(house: Gateway, record_server: Canned) -> None:
    record_server.speak(said(body=observation()))
    token = issued(house)
    end(house, token, hash="A" * 43)
    assert house.get(READ, token.text).status_code == 200


def test_it_is_ended_while_the_record_server_thinks(house: Gateway, record_server: Canned) -> None:
    token = issued(house)

    def think(connection: socket.socket) -> None:
        end(house, token)
        connection.sendall(message(body=observation()))

    record_server.speak(think)
    answer = house.get(READ, token.text)
    refused(answer)
    assert "CANARY" not in answer.text


@pytest.mark.parametrize("how", ["withdrawn", "ended"])
def test_a_patients_own_token_ends_with_the_consent_it_names(
    house: Gateway, record_server: Canned, how: str
) -> None:
    """A patient's own records need no consent; but what an app was allowed is over when it is taken back."""
    record_server.speak(said(body=observation()))
    consent = house.permit(purposes=["PATRQT"])

    async def make() -> Issued:
        async with open_house(house.house.settings) as other:
            own = Wish("app-1", ("patient/*.rs",), "pat-a", (consent["id"],), ("PATRQT",), "Patient/pat-a")
            return await issue(other, own)

    token = asyncio.run(make())
    assert house.get(READ, token.text).status_code == 200
    if how == "withdrawn":
        house.revoke(consent["id"])
        assert house.get(READ, token.text).status_code == 403
    else:
        end(house, token)
        refused(house.get(READ, token.text))
