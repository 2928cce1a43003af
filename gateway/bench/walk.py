"""The walk of one request inside this process, without network and ledger, and a stop-watch on it.

The walk is the gateway's own (`pipeline.serve`), with the ports that `app` makes; only the two outer ones
are replaced: an upstream that has the answer at hand, and a record that is kept here. Between the two lies
the release.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from gateway import app
from gateway.bench.house import BenchHouse
from gateway.bench.records import PATIENT, Template, observations, patient
from gateway.config import Upstream
from gateway.core.record import Draft
from gateway.core.values import Ask, UpstreamReply
from gateway.house import OpenHouse, open_house
from gateway.ledger.reading import Receipt
from gateway.ledger.store import SealedEntry
from gateway.pipeline import serve
from gateway.ports import Incoming, Ports
from gateway.tokens.fetch import HttpxFetch

BASE: Final = "new"
READ: Final = f"/Patient/{PATIENT}"


def search(count: int) -> str:
    """The request target of a search for `count` observations, below the base."""
    return f"/Observation?_count={count}"


@dataclass(slots=True)
class Passage:
    """One request's way: its answer, the entries that were to be made of it, and the seconds from having
    the upstream's bytes to having the drafts of the record."""

    upstream: bytes
    drafts: Sequence[Draft] = ()
    answer: bytes = b""
    release_s: float = 0.0
    _begin: float = field(default=0.0, repr=False)

    async def fetch(self, ask: Ask) -> UpstreamReply:
        self._begin = time.perf_counter()
        return UpstreamReply(200, self.upstream)

    async def record(self, drafts: Sequence[Draft]) -> Sequence[Receipt]:
        self.release_s = time.perf_counter() - self._begin
        self.drafts = drafts
        return [Receipt("bench.example", number, bytes(32)) for number, _ in enumerate(drafts)]


@dataclass(frozen=True, slots=True)
class Walk:
    """An open house, seen from below the FHIR base of `upstream`."""

    bench: BenchHouse
    house: OpenHouse
    upstream: Upstream
    fetch: HttpxFetch

    @property
    def audience(self) -> str:
        return self.bench.settings.audience(self.upstream)

    def ports(self) -> Ports:
        """Those of a gateway that has just started: they remember no token and no resource."""
        return app.ports_of(self.house, self.upstream, app.transport_to(self.upstream), self.fetch, {})

    def page(self, count: int) -> Template:
        """A searchset of `count` observations, as the upstream sends it."""
        return Template(observations(count, self.upstream.base_url, named_encounters=False))

    async def passage(self, ports: Ports, target: str, upstream: bytes) -> Passage:
        """The way of GET `target`, which the upstream answers with `upstream`."""
        passage = Passage(upstream)
        path, _, query = target.partition("?")
        bearer = f"Bearer {self.bench.tokens[BASE]}".encode()
        incoming = Incoming("GET", path.encode(), query.encode(), {}, [bearer], b"")
        answer = await serve(replace(ports, upstream=passage, record=passage.record), incoming)
        assert answer.status == 200, "the consent covers everything"
        passage.answer = answer.body
        return passage

    async def draft_of(self, target: str, upstream: bytes) -> Draft:
        """The entry that records GET `target`."""
        [draft] = (await self.passage(self.ports(), target, upstream)).drafts
        return draft

    async def draft_of_read(self) -> Draft:
        return await self.draft_of(READ, Template(patient()).numbered(1))

    def sealed(self, draft: Draft, at_ms: int) -> SealedEntry:
        """`draft` as an entry of its own, as of `at_ms`."""
        facts = {**draft.facts, "ms": at_ms}
        return self.house.recorder.seal(draft.kind, facts, draft.patient, at_ms, draft.attachments)


@asynccontextmanager
async def open_walk(bench: BenchHouse) -> AsyncIterator[Walk]:
    """The walk in an open house; it belongs to the running event loop."""
    upstream = next(u for u in bench.settings.upstreams if u.name == BASE)
    async with open_house(bench.settings) as house:
        house.consents.at_head()
        yield Walk(bench, house, upstream, HttpxFetch())
