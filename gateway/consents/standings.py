"""What askers stand for, remembered while nothing can change it: within one second, at one state of consents.

A remembered standing answers exactly as a new one would. It is given for the very same token, at the same
mark of the ledger's head, in the same second and for the same house, or not at all: so a withdrawal, the
end of a consent's period and the end of a token count for the next request. What a new standing has in common
with earlier ones, in another second or for another token, is not found out again: see
`gateway.core.consent.remembered`. Used by one thread.
"""

from __future__ import annotations

from typing import Final

from gateway.core.consent.remembered import Bindings
from gateway.core.standing import ConsentView, House, Standing
from gateway.core.values import Token

REMEMBERED: Final = 1024  # askers in one second; beyond that it forgets and starts again


class Standings:
    """The standings of those who asked in the current second, by the digests of their tokens."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._mark, self._now_s = -1, -1
        self._known: dict[bytes, Standing] = {}
        self._bindings = Bindings()

    def of(self, token: Token, mark: int, consents: ConsentView, house: House, now_s: int) -> Standing:
        """The standing of `token` in the second `now_s`, under `consents` as they are at `mark`."""
        if self._mark != mark:
            self._bindings.follow(consents.standing)
        if (self._mark, self._now_s) != (mark, now_s):
            self._mark, self._now_s = mark, now_s
            self._known.clear()
        known = self._known.get(token.digest)
        if known is not None and known.token is token and known.consents is consents and known.house is house:
            return known
        if len(self._known) >= self._remembered:
            self._known.clear()
        standing = self._known[token.digest] = Standing(token, consents, house, now_s, self._bindings)
        return standing
