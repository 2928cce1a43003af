"""What apps may look like: an address that changes when the document does."""

from __future__ import annotations

import httpx
from starlette.applications import Starlette

from gateway.auth.style import PATH, STYLE, style_routes
from gateway.core.canon import sha256


async def test_it_is_at_the_address_of_its_content() -> None:
    transport = httpx.ASGITransport(Starlette(routes=style_routes()))
    async with httpx.AsyncClient(transport=transport, base_url="https://gw.example") as client:
        answer = await client.get(PATH, headers={"Origin": "https://app.example"})
        other = await client.get(PATH.replace(".json", "0.json"))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert f"/auth/style/{sha256(answer.content).hex()[:16]}.json" == PATH
    assert sha256(STYLE + b" ").hex()[:16] not in PATH
    assert other.status_code == 404


async def test_its_members_are_those_of_smart_with_colours_and_sizes() -> None:
    transport = httpx.ASGITransport(Starlette(routes=style_routes()))
    async with httpx.AsyncClient(transport=transport, base_url="https://gw.example") as client:
        style = (await client.get(PATH)).json()
    assert all(name.startswith(("color_", "dim_", "font_")) for name in style)
    assert all(isinstance(value, str) for value in style.values())
    assert {"color_background", "color_text", "dim_font_size", "font_family_body"} <= style.keys()
