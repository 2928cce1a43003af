"""What belongs to the cases of tokens, kept for a short while with the token that it was followed for.

A kept case is given for the same token, role, root and patients, under the same consents of these patients,
within `lasts_s` seconds of the request that it was followed for and before the token's end, or not at all.
What was followed under an older head of the ledger is not kept, and with a token that was ended its cases
go. It is in the memory of one process, of one upstream. Used by one thread; nothing is fetched here.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeAlias

from gateway.core.consent.cases import Case
from gateway.core.consent.rule import Period, State
from gateway.core.judge import Judge
from gateway.core.standing import ConsentView
from gateway.core.values import Ref, Token

LASTS_S: Final = 60
MOST: Final = 1024  # cases
MOST_RECORDS: Final = 100_000  # of all cases together; beyond either the oldest are forgotten

_Name: TypeAlias = tuple[int, str] | bytes
_Consents: TypeAlias = tuple[tuple[str, tuple[tuple[str, int, State], ...]], ...]


@dataclass(frozen=True, slots=True)
class KeptCase:
    """A case as a request of the second `at_s` found it. `times`: when the consultation that it is may be
    worked on; None for a case that is open at any time."""

    case: Case
    times: Period | None
    at_s: int

    def is_open(self, now_s: int) -> bool:
        return self.times is None or self.times.includes(now_s)


class _Key(NamedTuple):
    """Whose case it is. A token of our own is known by the entry of its issue, another by its digest."""

    token: _Name
    role: str
    root: Ref
    patients: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Entry:
    """`consents` are the patients' as they were at the ledger head `mark`."""

    kept: KeptCase
    until_s: int
    consents: _Consents
    mark: int

    @property
    def size(self) -> int:
        return len(self.kept.case.members)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the case of one token is kept, for a request that was decided at the ledger head `mark`."""

    book: Casebook
    key: _Key
    exp_s: int
    consents: _Consents
    mark: int

    def kept(self, now_s: int) -> KeptCase | None:
        """What is kept and still counts in the second `now_s`; whether it is open is another question."""
        return self.book.find(self, now_s)

    def keep(self, found: KeptCase) -> None:
        """Keeps it in place of what was found before, if it is not older."""
        self.book.put(self, found)

    def forget(self) -> None:
        self.book.drop(self.key)


class Casebook:
    """Cases are kept for `lasts_s` seconds, 0 for none; at most `most` of them, with `most_records`."""

    def __init__(self, lasts_s: int = LASTS_S, *, most: int = MOST, most_records: int = MOST_RECORDS) -> None:
        self._lasts_s, self._most, self._most_records = lasts_s, most, most_records
        self._entries: dict[_Key, _Entry] = {}
        self._records = 0
        self._mark = -1
        self._swept_s = 0

    def __len__(self) -> int:
        return len(self._entries)

    def place(self, token: Token, judge: Judge, mark: int, consents: ConsentView) -> Place | None:
        """The place of the case of `token` for what `judge` judges, with `consents` as they are at `mark`.
        None where nothing is kept: the token has no case, its role none that begin so, or nothing tells it
        from another."""
        root, ceiling, name = judge.root, judge.ceiling, token.issued or token.digest
        if not self._lasts_s or not name or root is None or ceiling is None:
            return None
        if root.type not in ceiling.profile.roots:
            return None
        self._turn_to(mark, consents)
        key = _Key(name, ceiling.profile.role, root, judge.patients)
        known = self._entries.get(key)
        if known is not None and known.mark == mark:
            return Place(self, key, token.expires_at_s, known.consents, mark)
        given = _consents(judge.patients, consents)
        if known is not None and known.consents == given:
            self._entries[key] = replace(known, mark=mark)
        else:
            self.drop(key)
        return Place(self, key, token.expires_at_s, given, mark)

    def find(self, place: Place, now_s: int) -> KeptCase | None:
        entry = self._entries.get(place.key)
        if entry is None or entry.consents != place.consents:
            return None
        return entry.kept if entry.kept.at_s <= now_s < entry.until_s else None

    def put(self, place: Place, found: KeptCase) -> None:
        if place.mark != self._mark:
            return  # a consent, or the token, may have ended since the request was decided
        self._sweep(found.at_s)
        before = self._entries.get(place.key)
        if before is not None and before.kept.at_s > found.at_s:
            return
        self.drop(place.key)
        until_s = min(found.at_s + self._lasts_s, place.exp_s)
        entry = _Entry(found, until_s, place.consents, place.mark)
        if entry.size > self._most_records:
            return
        self._entries[place.key] = entry
        self._records += entry.size
        while len(self._entries) > self._most or self._records > self._most_records:
            self.drop(next(iter(self._entries)))

    def drop(self, key: _Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._records -= entry.size

    def _turn_to(self, mark: int, consents: ConsentView) -> None:
        """Forgets the cases of tokens that were ended before the ledger head `mark`."""
        if mark != self._mark:
            self._mark = mark
            for key in [key for key in self._entries if _is_ended(key.token, consents)]:
                self.drop(key)

    def _sweep(self, now_s: int) -> None:
        """Forgets what is over, once a second at most."""
        if now_s > self._swept_s:
            self._swept_s = now_s
            for key in [key for key, entry in self._entries.items() if entry.until_s <= now_s]:
                self.drop(key)


def _is_ended(name: _Name, consents: ConsentView) -> bool:
    return not isinstance(name, bytes) and consents.is_revoked(name)


def _consents(patients: Set[str], consents: ConsentView) -> _Consents:
    """The consents of the patients, each by the entry that it is of and its state."""
    return tuple(
        (patient, tuple((each.id, each.entry, each.state) for each in consents.standing(patient)))
        for patient in sorted(patients)
    )
