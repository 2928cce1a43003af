"""Breaking the glass: for which reasons, for how long, how often, and how it stands in the ledger.

Who breaks the glass gets at one patient's records although no consent says so, for a reason that is in the
ledger before the first byte, for four hours, once more if it must be, and has it reviewed. A legal hold it
does not pass (`evaluate`).

    bg.open     rsn digest of the statement, scp, exp, bg the entry that it renews; rol, org of who broke it,
                src whose records (the FHIR base)
    bg.review   bg the entry reviewed, rev who reviewed, out outcome, n_reads

The statement is the attachment `rsn`: a reason's code, a line feed, and what the user wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.core.canon import Json, sha256_text
from gateway.core.tlog.opened import OpenedEntry
from gateway.errors import BadRequest, VerificationFailed

OPEN: Final = "bg.open"
REVIEW: Final = "bg.review"
KINDS: Final = frozenset({OPEN, REVIEW})

LASTS_S: Final = 4 * 3600
ROLE: Final = "emergency"
SCOPE: Final = "patient/*.rs"

REASONS: Final[Mapping[str, str]] = {
    "life-threat": "The patient's life or health is in danger now.",
    "cannot-consent": "The patient cannot be asked, and care cannot wait.",
    "no-answer": "Whoever could consent for the patient cannot be reached in time.",
    "danger-to-others": "Somebody else is in danger.",
}
OUTCOMES: Final = ("justified", "not-justified", "escalated")
_LEAST, _MOST = 10, 1000

Place = tuple[int, str]
"""Index and base64url leaf hash of an entry."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Why the glass is broken: a code of `REASONS`, and what the user says of it. Raises BadRequest."""

    reason: str
    text: str

    def __post_init__(self) -> None:
        if self.reason not in REASONS:
            raise BadRequest(f"The reason is one of {', '.join(REASONS)}.")
        if not _LEAST <= len(self.text.strip()) <= _MOST or not self.text.isprintable():
            raise BadRequest(f"What happened is said in {_LEAST} to {_MOST} printable characters.")

    @property
    def written(self) -> str:
        return f"{self.reason}\n{self.text.strip()}"


@dataclass(frozen=True, slots=True)
class Broken:
    """A glass that was broken, as its entry says. `user` is as entries name who acts; `renews` is the entry
    that it goes on from."""

    index: int
    at_s: int
    patient: str
    user: str
    client: str
    until_s: int
    reason: str
    text: str
    renews: int | None


@dataclass(frozen=True, slots=True)
class Review:
    """What a reviewer found. `broken` is the index of the entry reviewed, `reads` how often it was used."""

    index: int
    at_s: int
    broken: int
    reviewer: str
    outcome: str
    reads: int


def open_facts(
    statement: Statement, until_s: int, renews: Place | None
) -> tuple[dict[str, Json], dict[str, str]]:
    """The facts and attachments of an entry that the glass is broken."""
    facts: dict[str, Json] = {"rsn": sha256_text(statement.written.encode()), "scp": [SCOPE], "exp": until_s}
    if renews is not None:
        facts["bg"] = [*renews]
    return facts, {"rsn": statement.written}


def review_facts(broken: Place, reviewer: str, outcome: str, reads: int) -> dict[str, Json]:
    """The facts of a review. Raises BadRequest for an outcome that there is not."""
    if outcome not in OUTCOMES:
        raise BadRequest(f"The outcome is one of {', '.join(OUTCOMES)}.")
    return {"bg": [*broken], "rev": reviewer, "out": outcome, "n_reads": reads}


def read_open(entry: OpenedEntry) -> Broken:
    """Raises VerificationFailed for an entry that is none of ours."""
    reason, _, text = entry.attachments.get("rsn", "").partition("\n")
    match entry.facts:
        case {"pat": str(patient), "act": str(user), "cli": str(client), "exp": int(until_s), **rest}:
            renews = _index(rest["bg"]) if "bg" in rest else None
            return Broken(
                entry.index,
                entry.at_s,
                patient.removeprefix("Patient/"),
                user,
                client,
                until_s,
                reason,
                text,
                renews,
            )
        case _:
            raise VerificationFailed(f"break-glass: entry {entry.index} does not say who broke the glass")


def read_review(entry: OpenedEntry) -> Review:
    """Raises VerificationFailed for an entry that is none of ours."""
    match entry.facts:
        case {"bg": place, "rev": str(reviewer), "out": str(outcome), "n_reads": int(reads)}:
            return Review(entry.index, entry.at_s, _index(place), reviewer, outcome, reads)
        case _:
            raise VerificationFailed(f"break-glass: entry {entry.index} is no review")


def _index(place: Json) -> int:
    match place:
        case [int(index), str()]:
            return index
        case _:
            raise VerificationFailed("break-glass: an entry names no other")
