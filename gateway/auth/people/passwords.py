"""Passwords: what a new one must be, and argon2id for keeping and comparing them.

Each hash is worked out in a worker thread, a few at a time, as it takes memory on purpose. Comparing for
nobody takes as long as for somebody, so that time does not tell whose name exists. Text is normalised
(NFC, as RFC 8265 OpaqueString), so that one password is one whichever keyboard wrote it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from anyio import CapacityLimiter, to_thread
from argon2 import PasswordHasher, Type
from argon2.exceptions import Argon2Error, InvalidHashError, VerifyMismatchError

from gateway.errors import BadRequest, StateUnavailable

T = TypeVar("T")

SHORTEST: Final = 12
LONGEST: Final = 256
AT_ONCE: Final = 4
MOST_WAITING: Final = 100


@dataclass(frozen=True, slots=True)
class Cost:
    """Passes over the memory, its size, and lanes that can run side by side."""

    passes: int
    memory_kib: int
    lanes: int


OWASP: Final = Cost(passes=2, memory_kib=19 * 1024, lanes=1)
"""OWASP Password Storage Cheat Sheet, argon2id."""


class Passwords:
    """Hashes of one cost; those of another still compare."""

    def __init__(self, cost: Cost = OWASP) -> None:
        self._hasher = PasswordHasher(cost.passes, cost.memory_kib, cost.lanes, type=Type.ID)
        self._nobodys = self._hasher.hash("nobody's password")
        self._limiter = CapacityLimiter(AT_ONCE)
        self._in_line = 0

    async def hashed(self, password: str) -> str:
        """A PHC string, with a salt of its own. Raises StateUnavailable when too many wait."""
        return await self._in_turn(self._hasher.hash, _normal(password))

    async def match(self, stored: str | None, password: str) -> bool:
        """Whether `password` is that of the hash; of None never, which takes as long.

        Raises StateUnavailable for a hash that is none, and when too many wait.
        """
        compared = self._nobodys if stored is None else stored
        same = await self._in_turn(self._compare, compared, _normal(password))
        return same and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made at another cost than is asked for now."""
        return self._hasher.check_needs_rehash(stored)

    async def _in_turn(self, work: Callable[..., T], *given: str) -> T:
        if self._in_line >= AT_ONCE + MOST_WAITING:
            raise StateUnavailable("Too many people are logging in. Try again in a moment.")
        self._in_line += 1
        try:
            return await to_thread.run_sync(work, *given, limiter=self._limiter)
        finally:
            self._in_line -= 1

    def _compare(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except VerifyMismatchError:
            return False
        except (Argon2Error, InvalidHashError) as error:
            raise StateUnavailable from error


def check_new(password: str, login: str) -> None:
    """Whether it can become a password. Raises BadRequest with what is wrong.

    Length is what counts, not kinds of characters (NIST SP 800-63B section 3.1.1.2).
    """
    normal = _normal(password)
    if len(normal) < SHORTEST:
        raise BadRequest(f"The password is too short: it has at least {SHORTEST} characters.")
    if len(normal) > LONGEST:
        raise BadRequest(f"The password is too long: it has at most {LONGEST} characters.")
    if not normal.casefold().replace(login.casefold(), "").strip():
        raise BadRequest("The password is the login name; choose another.")
    if len(set(normal)) < SHORTEST // 3:
        raise BadRequest("The password repeats a few characters; choose another.")


def _normal(password: str) -> str:
    return unicodedata.normalize("NFC", password)
