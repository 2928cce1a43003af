"""What the walk is given and what it gives: a request, everything it needs of the outside, an answer.

Made by `app`, or by a test; the walk reaches the outside by these and nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway import errors
from gateway.casebook import Casebook
from gateway.consents.standings import Standings
from gateway.core.fhir.release import FactsOf, Outlines
from gateway.core.fhir.telling import Notice
from gateway.core.record import Draft
from gateway.core.standing import ConsentView, House
from gateway.core.values import Token
from gateway.ledger.reading import Receipt
from gateway.tokens.pages import PageSealer
from gateway.tokens.used_proofs import UsedProofs
from gateway.upstream.client import Transport


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as the web layer hands it over: its bytes, and headers known to be single. `proof` is that of
    DPoP, whatever it is; `certificate` that of the client's TLS connection (DER)."""

    method: str
    path: bytes
    query: bytes
    headers: Mapping[str, str] = field(repr=False)
    authorization: Sequence[bytes] = field(repr=False)
    body: bytes = field(repr=False)
    proof: bytes | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What leaves. `error` is the refusal that the web layer renders; then there is no body.

    `tag` is the opaque part of a weak entity tag, `modified` in seconds since the epoch. `noticed`: it says
    that something may be withheld.
    """

    status: int
    body: bytes = field(repr=False)
    receipts: tuple[Receipt, ...]
    tag: str | None = None
    modified: int | None = None
    error: errors.ConsentryError | None = None
    noticed: bool = False


class Consents(Protocol):
    """The registry as the walk sees it."""

    def at_head(self) -> tuple[int, ConsentView]:
        """The consents at the ledger head, and a number that changes when they do.

        Raises:
            LedgerUnavailable: the head cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything the walk needs of the outside, made by `app`."""

    house: House
    capabilities: bytes
    outlines: Outlines
    facts_of: FactsOf
    audience: str
    policy: str
    max_count: int
    verify: Callable[[str, str, int], Awaitable[Token]]
    consents: Consents
    upstream: Transport
    record: Callable[[Sequence[Draft]], Awaitable[Sequence[Receipt]]]
    pages: PageSealer
    now_ms: Callable[[], int]
    new_id: Callable[[], str]
    notice: Notice = "silent"
    standings: Standings = field(default_factory=Standings)
    used_proofs: UsedProofs = field(default_factory=UsedProofs)
    cases: Casebook = field(default_factory=Casebook)
