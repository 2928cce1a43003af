"""The keys of the gateway's own issuer: at hand, and the same until a restart."""

from __future__ import annotations

from typing import Final

from gateway.tokens.signature import VerificationKey

NEVER: Final = 2**62


class OwnKeys:
    """`Keys` that need no looking up."""

    def __init__(self, keys: tuple[VerificationKey, ...]) -> None:
        self.generation = 0
        self.fresh_until_s = NEVER
        self._keys = keys

    async def current(self, now_s: int) -> tuple[VerificationKey, ...]:
        return self._keys

    async def after_miss(self, now_s: int) -> tuple[VerificationKey, ...]:
        return self._keys
