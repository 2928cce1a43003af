"""The clients from npm: fhir-kit-client on Node.js, and SMART's fhirclient in a browser."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Page

from tests.browser.chromium import NoChromium, chromium
from tests.clients import packages
from tests.clients.reading import Client, Connect, Refused, Resource
from tests.upstreams.base import Missing

_REQUEST = """async ([base, token, address, options]) => {
  const client = FHIR.client({ serverUrl: base, tokenResponse: { access_token: token } });
  try {
    return { found: await client.request(address, options) };
  } catch (error) {
    if (!error.status) throw error;
    return { refused: error.status };
  }
}"""


@contextmanager
def fhir_kit_client() -> Iterator[Connect]:
    """Raises Missing."""
    packages.folder()
    yield lambda base, token: _FhirKitClient(base, token)


@contextmanager
def fhirclient_js() -> Iterator[Connect]:
    """In pages of the gateway's own origin. Raises Missing."""
    script = packages.smart_js()
    try:
        with chromium() as browser:

            def connect(base: str, token: str) -> Client:
                page = browser.new_page(bypass_csp=True)
                page.goto(f"{base}/metadata")
                page.add_script_tag(path=script)
                return _FhirclientJs(page, base, token)

            yield connect
    except NoChromium as missing:
        raise Missing(str(missing)) from missing


def discovered(base: str) -> dict[str, Any]:
    """What fhir-kit-client finds of a FHIR base without a token: {auth, statement}. Raises Missing."""
    packages.folder()
    found: dict[str, Any] = _kit(base=base, discover=True)
    return found


class _FhirKitClient:
    def __init__(self, base: str, token: str) -> None:
        self._base, self._token = base, token

    def read(self, kind: str, id: str) -> Resource:
        found: Resource = self._done(read={"resourceType": kind, "id": id})
        return found

    def search(self, kind: str, **criteria: str) -> list[Resource]:
        found: list[Resource] = self._done(search={"resourceType": kind, "searchParams": criteria})
        return found

    def _done(self, **what: object) -> Any:
        return _kit(base=self._base, token=self._token, **what)


class _FhirclientJs:
    def __init__(self, page: Page, base: str, token: str) -> None:
        self._page, self._base, self._token = page, base, token

    def read(self, kind: str, id: str) -> Resource:
        found: Resource = self._done(f"{kind}/{id}", {})
        return found

    def search(self, kind: str, **criteria: str) -> list[Resource]:
        found: list[Resource] = self._done(f"{kind}?{urlencode(criteria)}", {"pageLimit": 0, "flat": True})
        return found

    def _done(self, address: str, options: dict[str, object]) -> Any:
        return found(self._page.evaluate(_REQUEST, [self._base, self._token, address, options]))


def _kit(**told: object) -> Any:
    process = subprocess.run(
        ["node", "kit.mjs"],
        cwd=packages.HERE, input=json.dumps(told), stdout=subprocess.PIPE, text=True, timeout=60, check=True,
    )  # fmt: skip
    return found(json.loads(process.stdout))


def found(answer: dict[str, Any]) -> Any:
    """What is in an answer of theirs: {found}, or {refused}. Raises Refused."""
    if "refused" in answer:
        raise Refused(answer["refused"])
    return answer["found"]
