"""An answer as the client saw it, and whether the ledger says the same of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

from gateway.core.canon import sha256_text
from gateway.ledger.reading import Receipt
from gateway.ledger.recorder import OpenedEntry

NOT_FOUND: Final = b"There is no such resource."


@dataclass(frozen=True, slots=True)
class Exchange:
    """One answer to one request, as the client saw it."""

    method: str
    target: str
    response: httpx.Response

    @property
    def must_be_recorded(self) -> bool:
        """Whether the answer says something to the bearer of a valid token."""
        status = self.response.status_code
        if not self.target.startswith("/fhir") or self.target.partition("?")[0] == "/fhir/metadata":
            return False
        hidden = status == 404 and (NOT_FOUND in self.response.content or self.method == "HEAD")
        return status in (200, 304, 403, 410, 502, 504) or hidden


def parsed(answer: bytes) -> httpx.Response:
    """The first HTTP/1.1 answer in `answer`; status 400 without a body when the connection just ended."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    if not first.startswith("HTTP/1.1 "):
        return httpx.Response(400)
    headers = [(n, v.strip()) for n, _, v in (line.partition(":") for line in lines)]
    return httpx.Response(int(first.split()[1]), headers=headers, content=body)


def receipts_of(response: httpx.Response) -> list[Receipt]:
    return [Receipt.parse(value) for value in response.headers.get_list("ledger-entry")]


def check_entries(exchange: Exchange, entries: Sequence[OpenedEntry]) -> None:
    """What was recorded is what was answered: these entries, and in them the resources of the body."""
    for entry in entries:
        _check_entry(exchange, entry)
    if entries and exchange.response.status_code == 200 and exchange.method != "HEAD":
        confirmed = exchange.target.removesuffix("/$confirm").removeprefix("/fhir/")
        went, named = released(entries), _named(exchange.response.json(), confirmed)
        # In a study records leave under other names, none of which is their own.
        in_study = any(" STUDY " in entry.attachments["rids"] for entry in entries)
        assert went == named or (in_study and len(went) == len(named) and not went & named), exchange


def released(entries: Iterable[OpenedEntry]) -> set[str]:
    """The resources that entries say were released, as `Type/id`."""
    lines = [line for entry in entries for line in entry.attachments["rids"].splitlines()]
    return {line.partition(" ")[0].rpartition("/")[0] for line in lines}


def _named(body: dict[str, Any], confirmed: str) -> set[str]:
    """The resources in an answer, as `Type/id`, or the one that was confirmed; an outcome is of no record."""
    if body["resourceType"] == "Parameters":
        return {confirmed}
    found = [body]
    if body["resourceType"] == "Bundle":
        entries = body.get("entry", ())
        found = [entry["resource"] for entry in entries if entry["search"]["mode"] != "outcome"]
    return {f"{resource['resourceType']}/{resource['id']}" for resource in found}


def _check_entry(exchange: Exchange, entry: OpenedEntry) -> None:
    response = exchange.response
    if response.status_code not in (200, 304):
        assert entry.kind == "read.deny", exchange
        return
    assert entry.kind == "read.permit", exchange
    assert entry.facts["st"] == response.status_code, exchange
    if exchange.method != "HEAD":
        assert entry.facts["len"] == len(response.content), exchange
        assert entry.facts["bd"] == sha256_text(response.content), exchange
