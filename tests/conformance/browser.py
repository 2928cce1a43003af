"""A person's browser: one cookie jar, forms as they stand on the pages, and no script."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin

import httpx

from tests.auth.counter import Form, Reader
from tests.conformance.apps import KIT
from tests.conformance.site import PASSWORD, Site

Choice = Mapping[str, Collection[str]]
"""The types that a person ticks, each with the categories of it that they tick, or `ALL` of them."""
ALL: Final = ("*",)
MOST_STEPS: Final = 24


class Stuck(Exception):
    """The browser is at a page that leads nowhere: an error."""

    def __init__(self, page: httpx.Response) -> None:
        super().__init__(f"{page.status_code}: {page.text}")
        self.page = page


@dataclass
class Person:
    """Who sits at the browser, whose records they choose, of which encounter, and what they tick:
    everything if `choice` is None. `offered` are the boxes of the page on which they decided."""

    login: str = "anna"
    patient: str = "pat-a"
    encounter: str = ""
    choice: Choice | None = None
    allows: bool = True
    offered: set[str] = field(default_factory=set)


class Browser:
    def __init__(self, site: Site) -> None:
        self._site = site
        self.client = site.client()

    def close(self) -> None:
        self.client.close()

    def open(self, url: str, parameters: Mapping[str, str], method: str = "GET") -> httpx.Response:
        """The answer of the authorization endpoint. A POST is another site's form, to which no cookie of
        the gateway's goes along (SameSite)."""
        if method == "GET":
            return self.client.get(str(httpx.URL(url).copy_merge_params(parameters)))
        with self._site.client() as foreign:
            answer = foreign.post(url, data=dict(parameters), headers={"Origin": KIT})
        assert "set-cookie" not in answer.headers
        return answer

    def go_on(self, answer: httpx.Response, person: Person) -> str:
        """The address at which the browser leaves the gateway, after all forms. Raises Stuck."""
        for _ in range(MOST_STEPS):
            if not answer.is_redirect:
                answer = self._fill(answer, person)
            elif self._is_ours(answer):
                answer = self._follow(answer)
            else:
                return answer.headers["location"]
        raise Stuck(answer)

    def log_in(self, url: str, person: Person) -> httpx.Response:
        """The page at an address of the gateway for which one has to be logged in. Raises Stuck."""
        return self._page(self._fill(self._page(self.client.get(url)), person))

    def submit(self, page: httpx.Response, form: Form, fields: Mapping[str, str]) -> httpx.Response:
        address = urljoin(str(page.url), form.action)
        return self.client.post(address, data=dict(fields), headers={"Origin": self._site.url})

    def _page(self, answer: httpx.Response) -> httpx.Response:
        while answer.is_redirect:
            answer = self._follow(answer)
        return answer

    def _follow(self, answer: httpx.Response) -> httpx.Response:
        return self.client.get(urljoin(str(answer.url), answer.headers["location"]))

    def _is_ours(self, answer: httpx.Response) -> bool:
        return urljoin(str(answer.url), answer.headers["location"]).startswith(f"{self._site.url}/")

    def _fill(self, page: httpx.Response, person: Person) -> httpx.Response:
        """Sends the form that the page is about."""
        for form in Reader(page.text).forms:
            steps = {value for name, value in form.buttons if name == "step"}
            for step, fill in FILLED.items():
                if step in steps:
                    return self.submit(page, form, fill(form, person))
        raise Stuck(page)


def _log_in(form: Form, person: Person) -> Mapping[str, str]:
    return {**form.fields, "step": "password", "login": person.login, "password": PASSWORD}


def _pick(form: Form, person: Person) -> Mapping[str, str]:
    return {**form.fields, "step": "patient", "patient": person.patient}


def _visit(form: Form, person: Person) -> Mapping[str, str]:
    return {**form.fields, "step": "encounter", "encounter": person.encounter}


def _decide(form: Form, person: Person) -> Mapping[str, str]:
    person.offered |= form.boxes.keys()
    return {**_ticked(form, person.choice), "step": "allow" if person.allows else "deny"}


FILLED: Final[dict[str, Callable[[Form, Person], Mapping[str, str]]]] = {
    "password": _log_in,
    "patient": _pick,
    "encounter": _visit,
    "allow": _decide,
}
"""How a form is filled in, by a step that it has a button for."""


def _ticked(form: Form, choice: Choice | None) -> dict[str, str]:
    """The fields, with what the person does not want unticked."""
    if choice is None:
        return form.fields
    return {name: value for name, value in form.fields.items() if _wanted(name, choice)}


def _wanted(box: str, choice: Choice) -> bool:
    """Boxes are `t.TYPE`, `p.TYPE.CATEGORY`, `later` for all other types; whatever else stays."""
    kind, _, rest = box.partition(".")
    type, _, category = rest.partition(".")
    if kind == "t":
        return type in choice
    if kind == "p":
        return type in choice and (choice[type] == ALL or category in choice[type])
    return box != "later"
