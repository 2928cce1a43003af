"""Pages for people: templates, the headers that all of them have, and the files they need.

A page loads nothing but our style sheet and icon, is in no frame and no cache, and sends its forms only
here. What is put into a template is text: it is escaped wherever it stands. No page runs a script, but for
those about passkeys, which are nothing without one: that is ours, in a file.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from gateway.errors import ConsentryError

Handler = Callable[[Request], Awaitable[Response]]

HEADERS: Final = {
    "Cache-Control": "no-store",
    # With `no-referrer` browsers say `Origin: null` of our own forms, and could not be told from others.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
IMMUTABLE: Final = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
}
TITLES: Final = {
    403: "That was not accepted",
    429: "Too many attempts",
    503: "Not available at the moment",
}
OTHERWISE: Final = "That did not work"

_HERE: Final = Path(__file__).parent
_MEDIA_TYPES: Final = {
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
    "passkeys.js": "text/javascript",
}
_SOURCE = re.compile(r"[a-z][a-z0-9+.-]*:(//[a-z0-9.:\[\]-]+)?", re.ASCII)

log = logging.getLogger("consentry.auth")


class Pages:
    """The templates, and the static files, whose addresses change with their bytes. `passkeys` is whether
    pages offer them."""

    def __init__(self, *, passkeys: bool = False) -> None:
        self.passkeys = passkeys
        # Here, so that commands, which show no page, do not wait for it.
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        files = {name: (_HERE / "static" / name).read_bytes() for name in _MEDIA_TYPES}
        self._static = {_hashed(name, data): (data, _MEDIA_TYPES[name]) for name, data in files.items()}
        addresses = {name: f"/auth/static/{_hashed(name, data)}" for name, data in files.items()}
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.globals.update(
            style=addresses["style.css"],
            icon=addresses["icon.svg"],
            passkeys_script=addresses["passkeys.js"],
            passkeys_offered=passkeys,
        )

    def page(
        self,
        template: str,
        *,
        status: int = 200,
        form_to: Iterable[str] = (),
        headers: Mapping[str, str] | None = None,
        script: bool = False,
        **values: object,
    ) -> Response:
        """The page of a template. `form_to` are the sources (`source_of`) that a form may lead on to; with
        `script` it may run the scripts of ours that it names."""
        policy = {"Content-Security-Policy": _policy(form_to, script)}
        body = self._templates.get_template(template).render(values)
        return HTMLResponse(body, status, headers={**HEADERS, **policy, **(headers or {})})

    def failure(self, error: ConsentryError) -> Response:
        """What went wrong, in the error's public words."""
        if error.__cause__ is not None:
            log.warning("%s: %s", type(error).__name__, type(error.__cause__).__qualname__)
        title = TITLES.get(error.status, OTHERWISE)
        return self.page("failure.html", status=error.status, title=title, text=error.text)

    def answering(self, handler: Handler) -> Handler:
        """`handler`, with our errors as pages, and a defect as one that tells nothing."""

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except ConsentryError as error:
                return self.failure(error)
            except Exception as error:  # noqa: BLE001 - whatever it is, nothing was done and nothing is told
                log.error("A defect: %s", type(error).__qualname__)  # its text or trace may quote a secret
                return self.failure(ConsentryError("Something is wrong on our side. Try again later."))

        return answer

    def routes(self) -> list[Route]:
        async def static(request: Request) -> Response:
            name = request.path_params["name"]
            if name not in self._static:
                return Response(status_code=404, headers=HEADERS)
            data, media_type = self._static[name]
            return Response(data, media_type=media_type, headers=IMMUTABLE)

        return [Route("/auth/static/{name}", static, methods=["GET"])]


def source_of(redirect_uri: str) -> str:
    """The source that stands for an app's address in a Content-Security-Policy. Raises ValueError.

    Browsers follow a form to an app only if the policy of the page names it, also after a redirect.
    """
    parts = urlsplit(redirect_uri.lower())
    web = parts.scheme in ("http", "https")
    source = f"{parts.scheme}://{parts.netloc}" if web else f"{parts.scheme}:"
    if _SOURCE.fullmatch(source) is None:
        raise ValueError("not an address that a policy can name")
    return source


def _policy(form_to: Iterable[str], script: bool) -> str:
    forms = ["'self'", *form_to]
    if any(_SOURCE.fullmatch(source) is None for source in forms[1:]):
        raise ValueError("not a source")
    return (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        + ("script-src 'self'; " if script else "")
        + f"form-action {' '.join(forms)}"
    )


def _hashed(name: str, data: bytes) -> str:
    stem, _, suffix = name.partition(".")
    return f"{stem}.{hashlib.sha256(data).hexdigest()[:16]}.{suffix}"
