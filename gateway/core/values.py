"""The values that travel down the walk: request, token, reference.

Frozen, checked when built, free of behaviour that needs the outside world. A `Token` exists only
after its signature and claims were verified; a `FhirRequest` only after the grammar accepted it.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

# FHIR R4 datatypes, `id`. The pattern alone admits "..", which path libraries resolve: see `is_id`.
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


def is_id(text: str) -> bool:
    """Whether `text` is a FHIR id that is safe as a path segment (not made of dots alone)."""
    return _ID.fullmatch(text) is not None and text.strip(".") != ""


class Interaction(enum.StrEnum):
    """The interactions that the gateway answers, by their FHIR names (FHIR http.html); an operation
    by its own."""

    READ = "read"
    VREAD = "vread"
    SEARCH = "search-type"
    CAPABILITIES = "capabilities"
    CONFIRM = "$confirm"


@dataclass(frozen=True, slots=True)
class Ref:
    """A literal reference on this server: `Type/id`."""

    type: str
    id: str

    def __post_init__(self) -> None:
        if not is_id(self.id):
            raise ValueError("not a FHIR id")

    def __str__(self) -> str:
        return f"{self.type}/{self.id}"


class Label(NamedTuple):
    """One coding of `meta.security`; both empty for one that could not be read."""

    system: str
    code: str


@dataclass(frozen=True, slots=True)
class Term:
    """One search term, `name[:modifier]=value,value`. Repeated terms AND, values OR.

    `values` keep FHIR's own escapes (`\\,` `\\|` `\\$` `\\\\`), so that joining them with commas
    gives back what was asked; reference values are normalised to `Type/id`.
    """

    name: str
    values: tuple[str, ...]
    modifier: str | None = None

    @property
    def key(self) -> str:
        return self.name if self.modifier is None else f"{self.name}:{self.modifier}"

    @property
    def text(self) -> str:
        return ",".join(self.values)


Level = Literal["patient", "user", "system"]
OPERATIONS = "cruds"


@dataclass(frozen=True, slots=True)
class Scope:
    """One SMART resource scope, v1 already read as v2 (SMART App Launch 2.2, scopes).

    `type` is a FHIR type or `*`; `operations` a non-empty ordered subset of `cruds`;
    `constraints` the granular query, all of which hold; `text` the spelling it was granted in.
    """

    level: Level
    type: str
    operations: str
    constraints: tuple[Term, ...] = ()
    text: str = ""

    def __post_init__(self) -> None:
        if not self.operations or "".join(o for o in OPERATIONS if o in self.operations) != self.operations:
            raise ValueError("operations are a non-empty part of 'cruds', in that order")


@dataclass(frozen=True, slots=True)
class Shape:
    """How the client wants the answer cut: applied to what was released, never sent upstream."""

    summary: Literal["true", "text", "data", "false"] | None = None
    elements: tuple[str, ...] = ()
    pretty: bool = False


@dataclass(frozen=True, slots=True)
class FhirRequest:
    """A request that the grammar accepted. `query` is the client's own, normalised, in its order."""

    interaction: Interaction
    type: str | None = None
    id: str | None = None
    version: str | None = None
    terms: tuple[Term, ...] = ()
    sort: tuple[str, ...] = ()
    count: int | None = None
    page: str | None = None
    shape: Shape = Shape()
    query: tuple[tuple[str, str], ...] = ()
    if_none_match: tuple[str, ...] = ()
    if_modified_since: int | None = None
    head: bool = False


@dataclass(frozen=True, slots=True)
class ConsentRef:
    """A consent a token is bound to: its id, and the ledger entry that made or changed it."""

    id: str
    entry: int
    hash: str


class Confirmation(NamedTuple):
    """What the sender of a token must be shown to hold (RFC 7800, `cnf`): the key (`jkt`, RFC 9449 section
    6.1) or the certificate (`x5t#S256`, RFC 8705 section 3.1) with this thumbprint, SHA-256 in base64url."""

    method: Literal["jkt", "x5t#S256"]
    thumbprint: str

    @property
    def text(self) -> str:
        return f"{self.method}:{self.thumbprint}"


class Glass(NamedTuple):
    """That the glass was broken: for which reason (a code), and the entry that says so."""

    reason: str
    entry: int
    hash: str


@dataclass(frozen=True, slots=True)
class Token:
    """A verified access token (RFC 9068 with SMART context). Times are seconds since the epoch.

    `consents` is None when the token names none and its issuer is bound by look-up.
    `case` is the record that begins the case it is limited to, if its role is.
    `context` are the scopes that grant no type (`launch/patient`, `openid`, `fhirUser`, ...).
    `issued` is the index and leaf hash of the entry of its issue, for a token of our own.
    `digest` is SHA-256 of the compact token.
    `confirmation` is what its sender alone holds; None for a bearer token.
    `glass` is what a token for break-glass rests on, of our own issuer alone.
    """

    issuer: str
    subject: str
    client: str
    jti: str
    issued_at_s: int
    expires_at_s: int
    scopes: tuple[Scope, ...]
    purposes: tuple[str, ...]
    context: tuple[str, ...] = ()
    patient: str | None = None
    encounter: str | None = None
    fhir_user: Ref | None = None
    role: str | None = None
    organization: Ref | None = None
    consents: tuple[ConsentRef, ...] | None = None
    case: Ref | None = None
    issued: tuple[int, str] | None = None
    digest: bytes = b""
    confirmation: Confirmation | None = None
    glass: Glass | None = None

    @property
    def root(self) -> Ref | None:
        """What its case begins with: what it names, or else the encounter that it is for."""
        if self.case is None and self.encounter is not None:
            return Ref("Encounter", self.encounter)
        return self.case


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to the upstream: a path below its base address, and query pairs not yet encoded.

    `raw_query` is the upstream's own, for a page it linked to; then `query` is empty.
    """

    path: str
    query: tuple[tuple[str, str], ...] = ()
    raw_query: str = ""


@dataclass(frozen=True, slots=True)
class UpstreamReply:
    """What the upstream said: 200 with FHIR JSON in `body`, or 400, 404 or 410 with nothing kept."""

    status: int
    body: bytes = b""
