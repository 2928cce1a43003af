"""What the endpoints of the authorization server share of the outside, made by `app`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.auth.store.database import Database
from gateway.auth.tokens.openid import IdTokens
from gateway.consents.service import ConsentService
from gateway.core.record import Draft
from gateway.core.smart.client import AuthMethod
from gateway.core.smart.grant import Served
from gateway.core.smart.scopes import Evaluable
from gateway.core.standing import ConsentView
from gateway.core.values import Token
from gateway.ledger.reading import Receipt
from gateway.tokens.fetch import Fetched
from gateway.tokens.mint import Minter
from gateway.tokens.used_proofs import UsedProofs
from gateway.tokens.vouching import Authorities

WITHOUT_CERTIFICATES: Final[tuple[AuthMethod, ...]] = (
    "none",
    "client_secret_basic",
    "client_secret_post",
    "private_key_jwt",
)


@dataclass(frozen=True, slots=True)
class Base:
    """A FHIR base that tokens can be for: its address as clients see it, its release, and which scopes mean
    something there. `scopes` is the most that can be granted, as `scopes_supported` says."""

    url: str
    release: str
    types: frozenset[str] = field(repr=False)
    evaluable: Evaluable = field(repr=False)
    scopes: tuple[str, ...] = ()

    @property
    def served(self) -> Served:
        return Served(self.types, self.evaluable, self.scopes)


MayRenew = Callable[[str, Token, int], Awaitable[bool]]
"""Whether a token for a FHIR base, not issued yet, may follow another at a time in seconds: not for a
consultation out of its time. Raises LedgerUnavailable, UpstreamUnusable, UpstreamTimeout."""

Read = Callable[[str, str, bytes, bytes], Awaitable[tuple[int, bytes]]]
"""The answer of the whole walk to a GET, status and body, after its record is durable: at a FHIR base, with
an access token, a path below the base and a query. Raises LedgerUnavailable."""


class Consents(Protocol):
    """The registry, brought to the ledger's head. Raises LedgerUnavailable."""

    def at_head(self) -> tuple[int, ConsentView]: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """`issuer` is the gateway's public URL; `bases` are by their own address; `record` is durable when it
    returns; `verify` reads an access token of the gateway's own for a FHIR base at a time in seconds, and
    raises Unauthenticated; `new_secret` gives 43 characters of base64url, 256 random bits. Without
    `id_tokens` there is no single sign-on, and no base serves the scope `openid`; without `read`
    nobody chooses among records, without `may_renew` no time is looked at. `case_roots` is by role what its
    cases can begin with; a role that is not there has none. `certificates` is whether clients may have them,
    for which `authorities` vouch."""

    issuer: str
    bases: Mapping[str, Base]
    policy: str
    database: Database
    minter: Minter
    verify: Callable[[str, str, int], Awaitable[Token]]
    consents: Consents
    service: ConsentService
    record: Callable[[Sequence[Draft]], Awaitable[Sequence[Receipt]]]
    fetch: Callable[[str], Awaitable[Fetched]]
    now_ms: Callable[[], int]
    new_id: Callable[[], str]
    new_secret: Callable[[], str]
    id_tokens: IdTokens | None = None
    read: Read | None = None
    may_renew: MayRenew | None = None
    case_roots: Mapping[str, frozenset[str]] = field(default_factory=dict)
    used_proofs: UsedProofs = field(default_factory=UsedProofs)
    certificates: bool = False
    authorities: Authorities | None = None

    @property
    def auth_methods(self) -> tuple[AuthMethod, ...]:
        """How clients can prove who they are here."""
        owned: tuple[AuthMethod, ...] = ("self_signed_tls_client_auth",) if self.certificates else ()
        vouched: tuple[AuthMethod, ...] = () if self.authorities is None else ("tls_client_auth",)
        return (*WITHOUT_CERTIFICATES, *vouched, *owned)
