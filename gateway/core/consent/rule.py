"""A consent as a rule: a tree of permit and deny nodes, and where the ledger says it came from.

A node applies where all its dimensions match; an empty dimension is no constraint, the values of one
are alternatives. Exceptions refine the node they hang under: a dimension they restate replaces the one
above, periods intersect. What a tree decides is said in `evaluate`, how it is written in `document`.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Final

from gateway.core.values import ConsentRef, Label, Ref, Scope, is_id

MAX_DEPTH = 16
"""Levels of exceptions below the root; more is refused where a consent enters."""

# The years 1 to 9999, which is what RFC 3339 can write.
_FIRST_S, _LAST_S = -62_135_596_800, 253_402_300_799
CLIENT, ORGANIZATION, PRACTITIONER = "client", "organization", "practitioner"
PATIENT, RELATIVE, ROLE, GROUP = "patient", "relative", "role", "group"
CARE_TEAM, DEVICE, PRACTITIONER_ROLE = "careteam", "device", "practitionerrole"
KINDS = frozenset(
    {CLIENT, ORGANIZATION, PRACTITIONER, PATIENT, RELATIVE, ROLE, GROUP, CARE_TEAM, DEVICE, PRACTITIONER_ROLE}
)
"""The kinds of identities that a consent can name: what stands before the first colon of one."""

READING: Final = frozenset({"access", "collect", "disclose", "use"})
WRITING: Final = frozenset({"correct"})
ACTIONS: Final = READING | WRITING
"""HL7's consentaction, by what they mean here: four ways to say reading, one to say writing."""

RELATED: Final = "related"
AUTHORED: Final = "authoredby"
MEANINGS: Final = frozenset({"instance", RELATED, "dependents", AUTHORED})
"""HL7's consent-data-meaning."""

RESOURCE_TYPES: Final = "http://hl7.org/fhir/resource-types"
PROFILES: Final = "urn:ietf:rfc:3986"  # the system of a class that is a profile's canonical address

# No name has an `@`, so what follows the first one is the issuer.
_CLIENT = re.compile(r"[!-?A-~]{1,255}(@https?://[!-?A-~]{1,255})?")
_ROLE = re.compile(r"[!-~]{1,255}")
_LABEL = re.compile(r"([!-{}~]{1,255}\|)?[!-{}~]{1,64}")
_SYSTEM = re.compile(r"[!-~]{0,255}")
_CODE = re.compile(r"[!-~]{1,255}( [!-~]{1,255}){0,15}")  # FHIR datatypes, `code`: single spaces inside


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
class DataRef:
    """A record that a rule names, and how those that it is about hang together with it (FHIR Consent,
    `provision.data`): the record itself, what it refers to, what refers to it, or what it authored."""

    meaning: str
    ref: Ref

    def __post_init__(self) -> None:
        if self.meaning not in MEANINGS:
            raise ValueError("the meaning of data is one of consent-data-meaning")


@dataclass(frozen=True, slots=True)
class Match:
    """The dimensions of a node.

    `actors` are identities (`client:app-1`, `client:app-1@https://idp.example`, `organization:org-1`,
    `practitioner:prac-1`, `relative:`, `patient:`, `practitionerrole:`, `device:`, `group:`, `careteam:`
    with an id, `role:clinician` or `role:system|code`) of who asks, `custodians` those of who holds the
    record; together they are one dimension, met by either. `purposes` are codes of v3-PurposeOfUse,
    `labels` codes or `system|code`, `actions` codes of consentaction. `scopes` speak of the patient's
    records: type, operations and constraints count, the level does not. `classes` are resource types,
    profiles (their canonical as a code of `PROFILES`) or codings of a document's type, `codes` codings in
    the record, `data_period` the time that it is about, `data` records that it is related to. `opaque`: an
    expression that is not evaluated; no permit applies with it, and in a deny it excludes nothing.
    """

    actors: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()
    scopes: tuple[Scope, ...] = ()
    labels: frozenset[str] = frozenset()
    period: Period = ALWAYS
    custodians: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()
    classes: frozenset[Label] = frozenset()
    codes: frozenset[Label] = frozenset()
    data_period: Period | None = None
    data: frozenset[DataRef] = frozenset()
    opaque: bool = False

    def __post_init__(self) -> None:
        if not self.actions <= ACTIONS:
            raise ValueError("actions are those of consentaction")
        if self.data_period == ALWAYS:
            raise ValueError("a period of the data has a beginning or an end")


ROOT: Final = "root"  # the path of a tree's top


@dataclass(frozen=True, slots=True)
class Node:
    """`path` is the node's place in its tree: `root`, `root.0` for its first exception, `root.0.2`."""

    effect: Effect
    match: Match
    exceptions: tuple[Node, ...] = ()
    path: str = ROOT

    def __post_init__(self) -> None:
        if any(node.path != f"{self.path}.{number}" for number, node in enumerate(self.exceptions)):
            raise ValueError("an exception's path is that of its node and its number")


@dataclass(frozen=True, slots=True)
class Consent:
    """One patient's rule. `refs` are the entries that granted and changed it, oldest first, empty before
    it is in the ledger; `ended` is the entry that revoked or superseded it. `supersedes` are ids.

    Of an `indeterminate` one it is not known whether it is in force: its denies count, its permits do not.
    A `malformed` one grants nothing, and nothing is permitted beside it but by another consent. `grantor`
    is who agreed, as `Type/id`, to be shown and never to decide by.
    """

    id: str
    patient: str
    root: Node
    period: Period = ALWAYS
    supersedes: frozenset[str] = frozenset()
    refs: tuple[ConsentRef, ...] = ()
    state: State = State.LIVE
    ended: ConsentRef | None = None
    indeterminate: bool = False
    malformed: bool = False
    grantor: str | None = None

    def __post_init__(self) -> None:
        if self.grantor is not None and not _is_reference(self.grantor):
            raise ValueError("who agreed to a consent is named as Type/id")
        if not is_id(self.id) or not is_id(self.patient) or not all(map(is_id, self.supersedes)):
            raise ValueError("consents and patients are named by FHIR ids")
        if self.root.path != ROOT:
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
    def doubtful(self) -> bool:
        """Whether its permits do not count, though it is live."""
        return self.indeterminate or self.malformed

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
    if kind == ROLE:
        return _ROLE.fullmatch(name) is not None
    return kind in KINDS and is_id(name)


def kind_of(identity: str) -> str:
    """The kind of an identity; of none of `KINDS` if it is not one."""
    return identity.partition(":")[0]


def vocabulary_of(role: str) -> str:
    """The code system of a role as an identity; empty for one of those that tokens name."""
    return role.partition(":")[2].rpartition("|")[0]


def client_identities(name: str, issuer: str) -> frozenset[str]:
    """A client as consents name it: at any issuer, and at this one. Raises ValueError for a name with an
    `@`, which could spell the client of another issuer."""
    if "@" in name:
        raise ValueError("a client's name has no @")
    return frozenset({f"{CLIENT}:{name}", f"{CLIENT}:{name}@{issuer}"})


def is_label(text: str) -> bool:
    """Whether `text` has the form `code` or `system|code`."""
    return _LABEL.fullmatch(text) is not None


def is_coding(label: Label) -> bool:
    """Whether a class or code has a form that can be written: a code, and a system or none."""
    return _SYSTEM.fullmatch(label.system) is not None and _CODE.fullmatch(label.code) is not None


def _is_reference(text: str) -> bool:
    kind, _, name = text.partition("/")
    return kind.isascii() and kind.isalpha() and is_id(name)
