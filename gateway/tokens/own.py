"""The keys of the gateway's own tokens: those that verify, and the one that signs at a time.

They are in files, which are read again when their stamp changes and looked at once a second at most. So a
new key is published and signs, and a retired one verifies nothing, within a second in every process and
without a restart. Keys that cannot be read sign and verify nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from gateway.errors import ConfigError, StateUnavailable, Unauthenticated
from gateway.tokens.jwks import parse_jwks
from gateway.tokens.signature import VerificationKey
from gateway.tokens.signer import Signer

logger = logging.getLogger(__name__)

LOOK_S: Final = 1

Jwk = Mapping[str, str]


class KeysInFiles(Protocol):
    """Private keys, each with the second from which it signs in place of those before it, and the public
    ones to verify with, which are more. There is always one that signs."""

    @property
    def signers(self) -> Sequence[tuple[int, Jwk]]: ...
    @property
    def public(self) -> Sequence[Jwk]: ...


class KeyFiles(Protocol):
    """All raise OSError, ConfigError or ValueError if a file cannot be used."""

    def stamp(self) -> object:
        """Something that differs once a file does."""

    def read(self) -> KeysInFiles:
        """The keys as they are now."""

    def settle_if_free(self, now_s: int) -> None:
        """Deletes the private keys that sign no more."""


class OwnKeys:
    """The keys of one use; as `Keys`, those that verify. `generation` changes exactly when these do."""

    def __init__(self, files: KeyFiles) -> None:
        """Reads the keys. Raises ConfigError, ValueError or OSError if that cannot be done."""
        self.generation = 0
        self.fresh_until_s = 0
        self._files = files
        self._stamp: object = files.stamp()
        self._keys: tuple[VerificationKey, ...] = ()
        self._take(files.read())
        self._signing = self._signers[0][1]
        self.algorithm: Final = self._signing.algorithm

    @property
    def key_id(self) -> str:
        """The id of the key that signs, as of the last look."""
        return self._signing.key_id

    def signer(self, now_s: int) -> Signer:
        """The key that signs at `now_s`. Raises StateUnavailable."""
        if now_s >= self.fresh_until_s and not self._look(now_s):
            raise StateUnavailable
        self._signing = [signer for from_s, signer in self._signers if from_s <= now_s][-1]
        return self._signing

    def public_jwks(self) -> dict[str, list[dict[str, str]]]:
        """The JWK set as the files are now (RFC 7517). Raises StateUnavailable."""
        if not self._read_if_changed():
            raise StateUnavailable
        return {"keys": [dict(key) for key in self._public]}

    async def current(self, now_s: int) -> tuple[VerificationKey, ...]:
        if now_s >= self.fresh_until_s and not self._look(now_s):
            raise _unavailable()
        return self._keys

    async def after_miss(self, now_s: int) -> tuple[VerificationKey, ...]:
        if not self._look(now_s):
            raise _unavailable()
        return self._keys

    # --- Looking -------------------------------------------------------------------------------------

    def _look(self, now_s: int) -> bool:
        """Whether the keys can be used until the next look."""
        if not self._read_if_changed():
            return False
        if len(self._signers) > 1 and self._signers[-1][0] <= now_s:
            self._settle(now_s)
        self.fresh_until_s = now_s + LOOK_S
        return True

    def _read_if_changed(self) -> bool:
        try:
            stamp = self._files.stamp()
            if stamp != self._stamp:
                self._take(self._files.read())
                self._stamp = stamp
        except (OSError, ConfigError, ValueError) as cause:
            logger.warning("The keys of the gateway's own tokens cannot be used: %s", cause)
            self.fresh_until_s = 0
            return False
        return True

    def _take(self, found: KeysInFiles) -> None:
        signers = [(from_s, Signer(jwk)) for from_s, jwk in found.signers]
        keys = parse_jwks(json.dumps({"keys": [dict(key) for key in found.public]}).encode())
        if {key.id for key in keys} != {key.id for key in self._keys}:
            self.generation += 1
        self._signers, self._public, self._keys = signers, tuple(found.public), keys

    def _settle(self, now_s: int) -> None:
        # Who signs does not hang on it: what fails here is tried again at the next look.
        try:
            self._files.settle_if_free(now_s)
        except (OSError, ConfigError) as cause:
            logger.warning("The private part of a replaced key could not be deleted: %s", cause)


def lone_key(private_jwk: Jwk) -> OwnKeys:
    """One key that stays. Raises `ValueError`."""
    return OwnKeys(_Lone(private_jwk))


class _Lone:
    """As `KeyFiles`, for a key that is in no file."""

    def __init__(self, private_jwk: Jwk) -> None:
        self.signers = [(0, private_jwk)]
        self.public = [Signer(private_jwk).public_jwk()]

    def stamp(self) -> object:
        return None

    def read(self) -> KeysInFiles:
        return self

    def settle_if_free(self, now_s: int) -> None:
        """There is nothing to delete."""


def _unavailable() -> Unauthenticated:
    return Unauthenticated("The token cannot be checked: its issuer's keys are not to be had now.")
