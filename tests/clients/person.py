"""A person who decides about apps, with the simplest of browsers: it follows redirects, keeps cookies and
sends forms as they are filled in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

import httpx

from tests.auth.counter import Form, Reader

LOGIN: Final = "anna"
DOCTOR: Final = "gp"
PASSWORD: Final = "correct horse battery"
STEPS: Final = ("password", "patient")
"""The buttons of the pages before the last."""


class Person:
    def __init__(self, client: httpx.Client, login: str) -> None:
        self._client = client
        self._filled_in = {
            "password": {"login": login, "password": PASSWORD},
            "patient": {"patient": "pat-a"},
        }

    def decide(self, address: str, button: str = "allow", untick: Collection[str] = ()) -> httpx.URL:
        """Opens what an app asks for, goes through all pages, and gives where they lead to in the end."""
        page = self._followed(self._client.get(address))
        while not page.has_redirect_location:
            assert page.status_code == 200, page.text
            form, step = _next_step(page.text, button)
            fields = {name: value for name, value in form.fields.items() if name not in untick}
            page = self._send(form, {**fields, **self._filled_in.get(step, {}), "step": step})
        return httpx.URL(page.headers["location"])

    def withdraw(self) -> None:
        """Takes back all that was allowed."""
        page = self._client.get("/auth/manage").text
        while given := [form for form in Reader(page).forms if "consent" in form.fields]:
            page = self._send(given[0], given[0].fields).text
            assert "It is withdrawn" in page

    def _send(self, form: Form, fields: dict[str, str]) -> httpx.Response:
        return self._followed(self._client.post(form.action, data=fields))

    def _followed(self, page: httpx.Response) -> httpx.Response:
        """The page that a redirect within the gateway leads to; or the redirect that leaves it."""
        while page.has_redirect_location and page.headers["location"].startswith("/"):
            page = self._client.get(page.headers["location"])
        return page


@contextmanager
def person(gateway: str, login: str = LOGIN) -> Iterator[Person]:
    """Who is at the pages of a gateway, given without closing slash."""
    with httpx.Client(base_url=gateway, headers={"Origin": gateway}, trust_env=False, timeout=60) as client:
        yield Person(client, login)


def _next_step(text: str, button: str) -> tuple[Form, str]:
    """The form that goes on, and its button: on the last page this one."""
    for step in (*STEPS, button):
        for form in Reader(text).forms:
            if ("step", step) in form.buttons:
                return form, step
    raise AssertionError(text)
