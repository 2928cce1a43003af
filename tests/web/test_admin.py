"""No address of the operator's opens without the operator's secret, whichever are added."""

from __future__ import annotations

from unittest.mock import Mock

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from gateway.errors import NotFound
from gateway.web.admin import admin_routes
from gateway.web.operator import guarded_by
from gateway.web.previews import preview_routes

SECRET = "right"


def routes(service: Mock, consents: Mock) -> list[Route]:
    guarded = guarded_by(SECRET, consents)
    previews = preview_routes(service, Mock(), {}, "https://gw.example", guarded)
    return [*admin_routes(service, Mock(), guarded), *previews]


ADDRESSES = [
    (method, route.path.replace("{id}", "x"))
    for route in routes(Mock(), Mock())
    for method in sorted((route.methods or set()) - {"HEAD"})
]


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {SECRET}"}, {"X-Secret": SECRET}],
    ids=["none", "wrong", "another scheme", "another header"],
)
@pytest.mark.parametrize(("method", "path"), ADDRESSES, ids=[" ".join(a) for a in ADDRESSES])
async def test_refused_before_anything_is_looked_at(method: str, path: str, headers: dict[str, str]) -> None:
    service, consents = Mock(**{"show.side_effect": NotFound()}), Mock()
    app = Starlette(routes=routes(service, consents))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        answer = await client.request(method, path, headers=headers, content=b"{")
        assert answer.status_code == 401
        assert service.mock_calls == consents.mock_calls == []
        right = await client.request(
            method, path, headers={"Authorization": f"Bearer {SECRET}"}, content=b"{"
        )
        assert right.status_code != 401


def test_there_are_addresses() -> None:
    assert len(ADDRESSES) >= 5
