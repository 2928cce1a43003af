"""Rotating and retiring the keys that sign tokens, each recorded as `key.rotate` before it takes effect.

One process at a time, by the lock of the key folder. Every step can be cut off: what was begun is in the
files and in the ledger, and the same command goes on from there without recording it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.auth.tokens.openid import AHEAD_S
from gateway.cli.common import in_house
from gateway.config import Settings
from gateway.core.canon import Json, b64url
from gateway.core.record import Draft
from gateway.errors import BadRequest, ConfigError
from gateway.house import OpenHouse, new_id, now_ms
from gateway.ledger.keys import load_keys
from gateway.ledger.token_key_files import TokenKeyFiles
from gateway.ledger.token_keys import OVERLAP_S, TokenKeys, Use

KEY_ROTATE: Final = "key.rotate"
BEGINNING: Final = 8
"""As many characters of a key's id are enough to name it, if no other begins so."""
TIMES: Final = ("signs_from", "until")
"""The members of a listed key that are times."""


@dataclass(frozen=True, slots=True)
class Change:
    """What became of the keys of one use. `at_s` is when a new key signs from, or a retired one ended;
    `entry` and `hash` are where the ledger says so."""

    use: Use
    old: str
    new: str | None
    at_s: int
    entry: int
    hash: str

    def described(self) -> dict[str, Json]:
        named: dict[str, Json] = {
            "use": self.use.name,
            "kind": self.use.kind,
            "old": self.old,
            "new": self.new,
        }
        if self.new is not None:
            named |= {"signs_from": time_text(self.at_s), "old_until": time_text(self.at_s + OVERLAP_S)}
        return {**named, "entry": self.entry, "hash": self.hash}


def rotate(settings: Settings, use: Use, *, at_once: bool) -> Change:
    """A new key, published now. It signs once every copy of the key set without it is out of use, or at once.

    With a key to come already there, `at_once` lets that one sign. Raises BadRequest if one is to come and
    is not to sign at once, ConfigError, LedgerUnavailable.
    """
    files = _files(settings, use)
    with files.locked():
        files.settle(_now_s())
        keys = files.read()
        if keys.coming is not None and keys.coming.from_s is not None and not at_once:
            raise BadRequest(
                f"The key {keys.coming.kid} is to come already, and signs from "
                f"{time_text(keys.coming.from_s)}; give --now to let it sign at once."
            )
        files.publish()
        keys = files.read()
        assert keys.coming is not None
        old, new = keys.first.kid, keys.coming.kid
        entry, digest = in_house(settings, lambda house: _recorded(house, use, old, new))
        # Commit point: the entry is durable. A crash here leaves a key that is published and does not sign.
        from_s = _now_s() + (0 if at_once else AHEAD_S)
        files.schedule(from_s)
        files.settle(_now_s())
    return Change(use, old, new, from_s, entry, digest)


def retire(settings: Settings, use: Use, kid: str, *, at_once: bool) -> Change:
    """Ends a key that was replaced; `at_once` even if tokens that it signed are still good: they are no more.

    `kid` is its id or `BEGINNING` characters of it. Raises BadRequest, ConfigError, LedgerUnavailable.
    """
    files = _files(settings, use)
    with files.locked():
        files.settle(_now_s())
        keys = files.read()
        old, until_s = _replaced(keys, kid)
        if _now_s() < until_s and not at_once:
            raise BadRequest(
                f"Tokens that the key {old} signed may be good until {time_text(until_s)}; "
                "retire it then, or give --now to end them all at once."
            )
        entry, digest = in_house(settings, lambda house: _recorded(house, use, old, None))
        # Commit point: the entry is durable. A crash here leaves the key published; the next call ends it.
        files.retire(old)
    return Change(use, old, None, _now_s(), entry, digest)


def listed(keys: TokenKeys, now_s: int) -> Iterator[dict[str, Json]]:
    """Each key with its state at `now_s`: to come, signing, replaced."""
    due = keys.coming is not None and keys.coming.is_due(now_s)
    if keys.coming is not None and not due:
        yield {"kid": keys.coming.kid, "state": "to come", "signs_from": _time_or_none(keys.coming.from_s)}
    if keys.coming is not None and keys.coming.from_s is not None and due:
        yield {"kid": keys.coming.kid, "state": "signing"}
        until_s = keys.coming.from_s + OVERLAP_S
        yield {"kid": keys.first.kid, "state": "replaced", "until": time_text(until_s)}
    else:
        yield {"kid": keys.first.kid, "state": "signing"}
    for key in keys.replaced:
        yield {"kid": key.kid, "state": "replaced", "until": time_text(key.until_s)}


def time_text(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time_or_none(at_s: int | None) -> str | None:
    return None if at_s is None else time_text(at_s)


def _now_s() -> int:
    return now_ms() // 1000


def _files(settings: Settings, use: Use) -> TokenKeyFiles:
    folder = settings.ledger.keys
    load_keys(folder)
    if not (folder / f"{use.name}.jwk").exists():
        raise ConfigError(f"There is no key {use.name}.jwk in {folder} yet; run `consentry keys init`.")
    return TokenKeyFiles(folder, use)


def _replaced(keys: TokenKeys, kid: str) -> tuple[str, int]:
    """The one replaced key whose id begins so, and when it ends. Raises BadRequest."""
    found = [key for key in keys.replaced if key.kid.startswith(kid)] if len(kid) >= BEGINNING else []
    if len(found) == 1:
        return found[0].kid, found[0].until_s
    if found:
        raise BadRequest(f"The ids of several keys begin with {kid}: give it whole.")
    private = [keys.first, *([] if keys.coming is None else [keys.coming])]
    if any(key.kid.startswith(kid) for key in private) and len(kid) >= BEGINNING:
        raise BadRequest(f"The key {kid} signs, or is to: run `consentry keys rotate {keys.use.name}` first.")
    raise BadRequest(f"There is no replaced key {kid}; `consentry keys show` lists the keys.")


async def _recorded(house: OpenHouse, use: Use, old: str, new: str | None) -> tuple[int, str]:
    """Where the ledger says that `new` comes after `old`. Recorded, unless that is its last word on `old`."""
    rotations = (house.reader.open(stored) for stored in house.ledger.entries_of(frozenset({KEY_ROTATE}), -1))
    of_old = [e for e in rotations if (e.facts.get("kind"), e.facts.get("old")) == (use.kind, old)]
    if of_old and of_old[-1].facts.get("new") == new:
        return of_old[-1].index, b64url(of_old[-1].leaf_hash)
    facts: dict[str, Json] = {
        "act": "operator",
        "kind": use.kind,
        "new": new,
        "old": old,
        "pol": house.policy,
        "rid": new_id(),
    }
    [receipt] = await house.record([Draft(KEY_ROTATE, None, facts)])
    return receipt.index, b64url(receipt.leaf_hash)
