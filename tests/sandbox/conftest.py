"""A sandbox filled with the synthetic people, and a client that speaks HTTP to it in the same process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from gateway.sandbox.app import sandbox_app
from gateway.sandbox.load import texts

PEOPLE = Path(__file__).parents[2] / "fixtures" / "people"


class Clock:
    """Starts on 1 March 2025 and moves one second forward each time it is read."""

    def __init__(self) -> None:
        self.moment = datetime(2025, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.moment += timedelta(seconds=1)
        return self.moment


@pytest.fixture
def app() -> Starlette:
    return sandbox_app(now=Clock(), data=texts([PEOPLE]))


@pytest.fixture
async def client(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox.test/fhir") as client:
        yield client


@pytest.fixture
async def empty() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(sandbox_app(now=Clock()))
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox.test/fhir") as client:
        yield client
