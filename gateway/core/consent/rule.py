"""A consent as a rule: a tree of permit and deny nodes, and where the ledger says it came from.

A node applies where all its dimensions match; an empty dimension is no constraint, the values of one
are alternatives. Exceptions refine the node they hang under: a dimension they restate replaces the one
above, periods intersect. What a tree decides is said in `evaluate`, how it is written in `document`.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from gateway.core.values import ConsentRef, Scope, is_id

MAX_DEPTH = 16
"""Levels of exceptions below the root; more is refused where a consent enters."""

# The years 1 to 9999, which is what RFC 3339 can write.
_FIRST_S, _LAST_S = -62_135_596_800, 253_402_300_799
CLIENT, ORGANIZATION, PRACTITIONER = "client", "organization", "practitioner"
KINDS = frozenset({CLIENT, ORGANIZATION, PRACTITIONER})
"""The kinds of identities that a consent can name: what stands before the first colon of one."""

# No name has an `@`, so what follows the first one is the issuer.
_CLIENT = re.compile(r"[!-?A-~]{1,255}(@https?://[!-?A-~]{1,255})?")
_LABEL = re.compile(r"([!-{}~]{1,255}\|)?[!-{}~]{1,64}")


class Effect(enum.StrEnum):
    PERMIT = "permit"
    DENY = "deny"


class State(enum.StrEnum):
    """A live consent applies as written, a revoked one no more. A stopped one denies from then on what it
    permitted; a superseded one is out for good, whatever becomes of its successor."""

    LIVE = "live"
    REVOKED = "revoked"
    STOPPED = "stopped"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Period:
    """Whole seconds since the epoch, both ends inclusive; None is open (FHIR datatypes, Period)."""

    from_s: int | None = None
    until_s: int | None = None

    def __post_init__(self) -> None:
        if any(end is not None and not _FIRST_S <= end <= _LAST_S for end in (self.from_s, self.until_s)):
            raise ValueError("a period begins or ends at a time that cannot be written")
        if self.from_s is not None and self.until_s is not None and self.until_s < self.from_s:
            raise ValueError("a period ends before it begins")

    def includes(self, now_s: int) -> bool:
        return (self.from_s is None or self.from_s <= now_s) and (
            self.until_s is None or now_s <= self.until_s
        )


ALWAYS = Period()


@dataclass(frozen=True, slots=True)
class Match:
    """The dimensions of a node.

    `actors` are identities (`client:app-1`, `client:app-1@https://idp.example`, `organization:org-1`,
    `practitioner:prac-1`), `purposes` codes of v3-PurposeOfUse, `labels` codes or `system|code`. `scopes`
    speak of the patient's records: type, operations and constraints count, the level does not.
    """

    actors: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()
    scopes: tuple[Scope, ...] = ()
    labels: frozenset[str] = frozenset()
    period: Period = ALWAYS


@dataclass(frozen=True, slots=True)
class Node:
    """`path` is the node's place in its tree: `root`, `root.0` for its first exception, `root.0.2`."""

    effect: Effect
    match: Match
    exceptions: tuple[Node, ...] = ()
    path: str = "root"

    def __post_init__(self) -> None:
        if any(node.path != f"{self.path}.{number}" for number, node in enumerate(self.exceptions)):
            raise ValueError("an exception's path is that of its node and its number")


@dataclass(frozen=True, slots=True)
class Consent:
    """One patient's rule. `refs` are the entries that granted and changed it, oldest first, empty before
    it is in the ledger; `ended` is the entry that revoked or superseded it. `supersedes` are ids."""

    id: str
    patient: str
    root: Node
    period: Period = ALWAYS
    supersedes: frozenset[str] = frozenset()
    refs: tuple[ConsentRef, ...] = ()
    state: State = State.LIVE
    ended: ConsentRef | None = None

    def __post_init__(self) -> None:
        if not is_id(self.id) or not is_id(self.patient) or not all(map(is_id, self.supersedes)):
            raise ValueError("consents and patients are named by FHIR ids")
        if self.root.path != "root":
            raise ValueError("the path of a tree's top is 'root'")
        if self.id in self.supersedes:
            raise ValueError("a consent cannot supersede itself")

    @property
    def entry(self) -> int:
        """The ledger index of what it says now."""
        return self.refs[-1].entry

    @property
    def from_s(self) -> int | None:
        return self.period.from_s

    @property
    def until_s(self) -> int | None:
        return self.period.until_s

    @property
    def grantees(self) -> frozenset[str]:
        """Every identity that any of its nodes names."""
        return frozenset().union(*(node.match.actors for node in walk(self.root)))


def walk(node: Node) -> tuple[Node, ...]:
    """The node and all below it, in order of path."""
    return (node, *(inner for exception in node.exceptions for inner in walk(exception)))


def is_grantee(text: str) -> bool:
    """Whether `text` is an identity that can be named in a consent."""
    kind, _, name = text.partition(":")
    if kind == CLIENT:
        return _CLIENT.fullmatch(name) is not None
    return kind in KINDS and is_id(name)


def kind_of(identity: str) -> str:
    """The kind of an identity; of none of `KINDS` if it is not one."""
    return identity.partition(":")[0]


def client_identities(name: str, issuer: str) -> frozenset[str]:
    """A client as consents name it: at any issuer, and at this one. Raises ValueError for a name with an
    `@`, which could spell the client of another issuer."""
    if "@" in name:
        raise ValueError("a client's name has no @")
    return frozenset({f"{CLIENT}:{name}", f"{CLIENT}:{name}@{issuer}"})


def is_label(text: str) -> bool:
    """Whether `text` has the form `code` or `system|code`."""
    return _LABEL.fullmatch(text) is not None
