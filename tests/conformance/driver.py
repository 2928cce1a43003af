"""The kits' steps against a gateway: discovery, launches, tokens, reads.

A `Kit` has a browser for each launch, with its own cookies, and an app's client that keeps none. The
app's redirect address need not exist: what comes to it is read from the last Location.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.conformance.apps import REDIRECT_URI, App
from tests.conformance.browser import Browser, Person
from tests.conformance.site import Site
from tests.tokens import forge

STANDALONE: Final = "launch/patient openid fhirUser offline_access patient/*.rs"
WELL_KNOWN: Final = "/.well-known/smart-configuration"
MOST_PAGES: Final = 20


@dataclass(frozen=True)
class Launch:
    """An authorization request and what came back to the app."""

    app: App
    asked: Mapping[str, str]
    verifier: str
    answer: Mapping[str, str]

    @property
    def code(self) -> str:
        """Raises AssertionError unless there is one for this request, and no error."""
        assert self.answer["state"] == self.asked["state"]
        assert "error" not in self.answer, self.answer
        assert self.answer["code"]
        return self.answer["code"]


class Kit:
    def __init__(self, site: Site) -> None:
        self.site = site
        self.http = site.client()
        self.configuration: dict[str, Any] = self.http.get(site.base + WELL_KNOWN).json()

    def close(self) -> None:
        assert not self.http.cookies
        self.http.close()

    @property
    def token_url(self) -> str:
        url: str = self.configuration["token_endpoint"]
        return url

    # --- Launches ---------------------------------------------------------------------------------

    def asking(self, app: App, scope: str, **changed: str) -> tuple[dict[str, str], str]:
        """The parameters of an authorization request, and its verifier."""
        verifier = f"{uuid.uuid4()}-{uuid.uuid4()}"
        usual = {
            "response_type": "code",
            "client_id": app.id,
            "redirect_uri": REDIRECT_URI,
            "scope": scope,
            "state": str(uuid.uuid4()),
            "aud": self.site.base,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        }
        return {**usual, **changed}, verifier

    def launch(
        self,
        app: App,
        scope: str = STANDALONE,
        person: Person | None = None,
        *,
        method: str = "GET",
        **changed: str,
    ) -> Launch:
        """A person at a new browser decides about the request. Raises Stuck."""
        asked, verifier = self.asking(app, scope, **changed)
        with closing(Browser(self.site)) as browser:
            answer = browser.open(self.configuration["authorization_endpoint"], asked, method)
            address = browser.go_on(answer, person or Person())
        assert address.startswith(asked["redirect_uri"])
        return Launch(app, asked, verifier, single(urlsplit(address).query))

    def ehr_launch(self, app: App, *, status: int = 201, **body: Any) -> dict[str, Any]:
        """What the EHR is told when it opens an app for its user."""
        usual = {"client": app.id, "user": "Practitioner/prac-gp", "patient": "pat-a", "encounter": "enc-a1"}
        answer = self.http.post(
            f"{self.site.url}/auth/launch",
            json={**usual, **body},
            headers={"Authorization": f"Bearer {self.site.secret}"},
        )
        assert answer.status_code == status, answer.text
        told: dict[str, Any] = answer.json()
        return told

    # --- Tokens -----------------------------------------------------------------------------------

    def post(self, app: App, form: Mapping[str, str | None], url: str | None = None) -> httpx.Response:
        """A form from the client, at the token endpoint or another; None leaves a parameter out."""
        address = url or self.token_url
        proof, headers = app.proof(self.token_url, self.site.now_s)
        data = {name: value for name, value in {**proof, **form}.items() if value is not None}
        return self.http.post(address, data=data, headers=headers)

    def exchange(self, launch: Launch, /, *, app: App | None = None, **changed: str | None) -> httpx.Response:
        form = {
            "grant_type": "authorization_code",
            "code": launch.code,
            "redirect_uri": launch.asked["redirect_uri"],
            "code_verifier": launch.verifier,
        }
        return self.post(app or launch.app, {**form, **changed})

    def refresh(self, app: App, token: str, scope: str | None = None) -> httpx.Response:
        return self.post(app, {"grant_type": "refresh_token", "refresh_token": token, "scope": scope})

    def serve(self, app: App, scope: str = "system/*.read") -> httpx.Response:
        """A token of a backend service."""
        return self.post(app, {"grant_type": "client_credentials", "scope": scope})

    def tokens(self, app: App, scope: str = STANDALONE, person: Person | None = None, **how: Any) -> Tokens:
        """The tokens of a whole launch."""
        return self.granted(self.exchange(self.launch(app, scope, person, **how)))

    def granted(self, answer: httpx.Response) -> Tokens:
        assert answer.status_code == 200, answer.text
        return Tokens(self, answer.json())

    # --- Records ----------------------------------------------------------------------------------

    def get(self, path: str, token: str | None = None, **headers: str) -> httpx.Response:
        """Below the FHIR base, or at an address of a page after the first."""
        url = path if path.startswith("http") else f"{self.site.base}/{path}"
        bearer = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.http.get(url, headers={**bearer, **headers})


@dataclass(frozen=True)
class Tokens:
    """A token response."""

    kit: Kit = field(repr=False)
    body: Mapping[str, Any]

    @property
    def access(self) -> str:
        return str(self.body["access_token"])

    @property
    def scopes(self) -> list[str]:
        return str(self.body["scope"]).split(" ")

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.kit.get(path, self.access, **headers)

    def search(self, kind: str, query: Mapping[str, str], method: str = "GET") -> httpx.Response:
        """The first page."""
        url, bearer = f"{self.kit.site.base}/{kind}", {"Authorization": f"Bearer {self.access}"}
        if method == "GET":
            return self.kit.http.get(url, params=dict(query), headers=bearer)
        return self.kit.http.post(f"{url}/_search", data=dict(query), headers=bearer)

    def found(self, kind: str, query: Mapping[str, str], method: str = "GET") -> dict[str, dict[str, Any]]:
        """The resources of that type on all pages, by id; none for a search that is refused."""
        answer = self.search(kind, query, method)
        if answer.status_code != 200:
            return {}
        return {
            r["id"]: r for page in self._pages(answer) for r in _resources(page) if r["resourceType"] == kind
        }

    def _pages(self, answer: httpx.Response) -> Iterator[dict[str, Any]]:
        for _ in range(MOST_PAGES):
            assert answer.status_code == 200, answer.text
            page: dict[str, Any] = answer.json()
            yield page
            after = [link["url"] for link in page["link"] if link["relation"] == "next"]
            if not after:
                return
            answer = self.get(after[0])
        raise AssertionError("there are too many pages")


def single(query: str) -> dict[str, str]:
    """The parameters of an address, each of which is there once."""
    found = parse_qs(query, keep_blank_values=True, strict_parsing=True)
    assert all(len(values) == 1 for values in found.values()), query
    return {name: values[0] for name, values in found.items()}


def challenge_of(verifier: str) -> str:
    return forge.b64(hashlib.sha256(verifier.encode()).digest())


def decoded(jwt: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, of which nothing is checked."""
    header, claims, _ = map(unb64, jwt.split("."))
    return json.loads(header), json.loads(claims)


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _resources(page: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return (entry["resource"] for entry in page.get("entry", ()))
