"""Where the sandbox is found and how it links: by the Host it was asked at, or by the base it was given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from gateway.sandbox.app import sandbox_app

PATIENT = b'{"resourceType":"Patient","id":"a"}'
PLACES = {
    "by Host": (None, "http://any.test:8090/fhir", "http://any.test:8090/fhir"),
    "given": ("https://records.example/r4/", "http://any.test/r4", "https://records.example/r4"),
    "given without a path": ("https://records.example", "http://any.test", "https://records.example"),
}


@pytest.mark.parametrize(("base_url", "asked", "linked"), PLACES.values(), ids=PLACES.keys())
async def test_links(base_url: str | None, asked: str, linked: str) -> None:
    app = sandbox_app(
        now=lambda: datetime(2025, 3, 1, tzinfo=UTC), base_url=base_url, page_size=1, data=[PATIENT] * 2
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=asked) as client:
        assert (await client.get(f"{asked}/Patient/a")).headers[
            "content-location"
        ] == f"{linked}/Patient/a/_history/2"
        bundle = (await client.get(f"{asked}/Patient/_history")).json()
        assert bundle["entry"][0]["fullUrl"] == f"{linked}/Patient/a"
        self_link, next_link = (link["url"] for link in bundle["link"])
        assert self_link == f"{linked}/Patient/_history"
        assert next_link.startswith(f"{linked}?_getpages=")
        following = await client.get(next_link.replace(linked, asked))
        assert len(following.json()["entry"]) == 1
        assert (await client.get("http://any.test/elsewhere/Patient/a")).status_code == 404


async def test_a_body_in_pieces() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(PATIENT), 5):
            yield PATIENT[start : start + 5]

    app = sandbox_app(now=lambda: datetime(2025, 3, 1, tzinfo=UTC))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://any.test/fhir"
    ) as client:
        assert (await client.put("/Patient/a", content=pieces())).status_code == 201
