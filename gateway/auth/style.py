"""How apps that an EHR launches may look like it (SMART App Launch 2.2, `smart_style_url`).

The address holds a digest of the document, so that it changes when the document does.
"""

from __future__ import annotations

import json
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.auth import cors
from gateway.core.canon import sha256

STYLE: Final = json.dumps(
    {
        "color_background": "#ffffff",
        "color_error": "#b3261e",
        "color_highlight": "#0b57d0",
        "color_modal_backdrop": "",
        "color_success": "#146c2e",
        "color_text": "#1f1f1f",
        "dim_border_radius": "8px",
        "dim_font_size": "16px",
        "dim_spacing_size": "16px",
        "font_family_body": "system-ui, sans-serif",
        "font_family_heading": "system-ui, sans-serif",
    },
    separators=(",", ":"),
).encode()
PATH: Final = f"/auth/style/{sha256(STYLE).hex()[:16]}.json"


def style_routes() -> list[Route]:
    headers = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}

    async def style(_: Request) -> Response:
        return Response(STYLE, media_type="application/json", headers=headers)

    return [cors.route(PATH, {"GET": style}, cors.everyone)]
