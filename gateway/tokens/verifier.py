"""A bearer token in, a `Token` out, or `Unauthenticated`; verified tokens are remembered for a while.

    1 the compact form, strictly      4 the one key that fits, from the issuer's own set
    2 the issuer, for this FHIR base  5 the signature
    3 the header                      6 the claims

A remembered token answers exactly as a new verification would: never at or after its `exp`, never
with keys that have changed or are older than they may be. Failures are not remembered, and neither
is anything about consents, which are looked at on every request elsewhere.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Set
from dataclasses import dataclass
from hashlib import sha256

from gateway.core.smart.claims import read_claims
from gateway.core.smart.issuers import IssuerRule, read_header
from gateway.core.smart.scopes import Evaluable
from gateway.core.values import Token
from gateway.errors import Unauthenticated
from gateway.tokens.compact import MAX_BYTES, Compact, split
from gateway.tokens.keysets import Keys
from gateway.tokens.signature import VerificationKey, check_signature, choose_key

REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Issuer:
    """An issuer as configured for one FHIR base, and where its keys are."""

    rule: IssuerRule
    keys: Keys


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token, when it was verified, and with which generation of which keys."""

    token: Token
    keys: Keys
    generation: int
    at_s: int


class Verifier:
    """Tokens of all `issuers`; the same issuer may stand for several FHIR bases, once for each."""

    def __init__(
        self,
        issuers: Iterable[Issuer],
        *,
        types: Set[str],
        evaluable: Evaluable,
        remembered: int = REMEMBERED,
    ) -> None:
        """`types` and `evaluable` are as for `parse_scopes`. Raises `ValueError` on a double issuer."""
        self._issuers: dict[tuple[str, str], Issuer] = {}
        for issuer in issuers:
            key = (issuer.rule.fhir_base, issuer.rule.issuer)
            if key in self._issuers:
                raise ValueError("an issuer is configured twice for one FHIR base")
            self._issuers[key] = issuer
        self._types = types
        self._evaluable = evaluable
        self._remembered = remembered
        self._verified: OrderedDict[tuple[str, bytes], _Verified] = OrderedDict()

    async def verify(self, bearer: str, base: str, now_s: int) -> Token:
        """The token `bearer` is at `now_s`, for the FHIR base `base`. Raises `Unauthenticated`."""
        if len(bearer) > MAX_BYTES or not bearer.isascii():
            raise Unauthenticated(f"The token is not up to {MAX_BYTES} characters of ASCII.")
        key = (base, sha256(bearer.encode()).digest())
        known = self._verified.get(key)
        if known is not None:
            self._verified.move_to_end(key)
            if known.at_s <= now_s < known.token.expires_at_s:
                if now_s >= known.keys.fresh_until_s:
                    await known.keys.current(now_s)
                if known.generation == known.keys.generation:
                    return known.token
        verified = await self._verify(bearer, base, now_s, digest=key[1])
        self._verified[key] = verified
        while len(self._verified) > self._remembered:
            self._verified.popitem(last=False)
        return verified.token

    async def _verify(self, bearer: str, base: str, now_s: int, digest: bytes) -> _Verified:
        compact = split(bearer)
        issuer = self._issuer(compact, base)
        algorithm, key_id = read_header(compact.header, issuer.rule.algorithms)
        key = await find_key(issuer.keys, algorithm, key_id, now_s)
        generation = issuer.keys.generation
        check_signature(bearer, compact.signature, algorithm, key)
        token = read_claims(
            compact.claims,
            issuer.rule,
            now_s,
            types=self._types,
            evaluable=self._evaluable,
            digest=digest,
        )
        return _Verified(token, issuer.keys, generation, now_s)

    def _issuer(self, compact: Compact, base: str) -> Issuer:
        """Whose token it says it is; believed only after that issuer's key has verified it."""
        name = compact.claims.get("iss")
        issuer = self._issuers.get((base, name)) if isinstance(name, str) else None
        if issuer is None:
            raise Unauthenticated("The token's issuer is not accepted here.")
        return issuer


async def find_key(keys: Keys, algorithm: str, key_id: str | None, now_s: int) -> VerificationKey:
    """The one key that fits; one that is not known yet may have come with a rotation."""
    key = choose_key(await keys.current(now_s), algorithm, key_id)
    if key is None:
        key = choose_key(await keys.after_miss(now_s), algorithm, key_id)
    if key is None:
        raise Unauthenticated("The token's key is not one of the issuer's.")
    return key
