"""Challenges for passkeys: each for one browser and one use, for five minutes, and kept nowhere until used.

16 random bytes | when it is over, seconds as 8 bytes | HMAC-SHA-256 over use, browser and these, 32 bytes
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

Use = Literal["register", "log-in"]

LASTS_S: Final = 5 * 60
_RANDOM: Final = 16
_TIME: Final = 8
_LENGTH: Final = _RANDOM + _TIME + 32


@dataclass(frozen=True, slots=True)
class Challenges:
    """`key` is secret, 32 bytes; `random` gives n random bytes; a `browser` is named by its secret."""

    key: bytes = field(repr=False)
    random: Callable[[int], bytes]

    def make(self, use: Use, browser: str, now_s: int) -> bytes:
        open_part = self.random(_RANDOM) + (now_s + LASTS_S).to_bytes(_TIME, "big")
        return open_part + self._seal(open_part, use, browser)

    def ends_s(self, challenge: bytes, use: Use, browser: str, now_s: int) -> int | None:
        """When it is over; None if it is not one of ours for this use and browser, or is over."""
        open_part, seal = challenge[: _RANDOM + _TIME], challenge[_RANDOM + _TIME :]
        if len(challenge) != _LENGTH or not hmac.compare_digest(seal, self._seal(open_part, use, browser)):
            return None
        ends_s = int.from_bytes(open_part[_RANDOM:], "big")
        return ends_s if now_s < ends_s else None

    def _seal(self, open_part: bytes, use: Use, browser: str) -> bytes:
        label = f"consentry/passkey/v1 {use} {browser} ".encode()
        return hmac.digest(self.key, label + open_part, "sha256")
