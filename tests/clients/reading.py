"""What the tests see of any client: two calls. Nothing of a client is replaced: its requests, its headers and
how it follows links are its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Resource = dict[str, Any]


class Refused(Exception):
    """The client was given an error; `status` is HTTP's."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Client(Protocol):
    """Both calls raise Refused."""

    def read(self, kind: str, id: str) -> Resource: ...

    def search(self, kind: str, **criteria: str) -> list[Resource]:
        """The resources of all pages, in order."""
        ...


Connect = Callable[[str, str], Client]
"""A client of a FHIR base, without closing slash, that has a bearer token."""
