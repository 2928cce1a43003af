"""How often somebody tried to log in: pauses that grow, and browsers that are known.

    Attempts     tries since the last good one, for a name, an address, a known browser or a person's codes
    Device       a browser that a person has logged in with

An attempt counts before it is tried, so that a thousand at once are a thousand. A pause always ends, and
what a stranger tries under a name never pauses a browser that its owner has used: that one has a count of
its own (OWASP, "Slow Down Online Guessing Attacks with Device Cookies"). Whom a count is for is kept as a
keyed hash, as what is typed for a name may be a password.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from sqlalchemy import delete
from sqlmodel import Field, Session, SQLModel, col, select

FORGET_S: Final = 3600
"""How long a count lasts without another attempt. The longest pauses allow more in an hour than a new count
does, so forgetting gives nothing away; keeping would let strangers fill the database with names."""
DEVICE_S: Final = 180 * 24 * 3600

Kind = Literal["name", "device", "address", "code"]


@dataclass(frozen=True, slots=True)
class Rule:
    """The attempt number `free` brings the first pause, of 2 seconds; each further one doubles it, up to
    `longest_s`. A good attempt ends the count if it is `cleared` by it, else takes itself back: whoever has
    an account must not clear an address for guesses at others."""

    free: int
    longest_s: int
    cleared: bool = True


RULES: Final[dict[Kind, Rule]] = {
    "name": Rule(free=5, longest_s=60),
    "device": Rule(free=5, longest_s=900),
    "address": Rule(free=50, longest_s=60, cleared=False),
    "code": Rule(free=5, longest_s=900),
}


class Counter(NamedTuple):
    """A count: of what kind, and for whom (a keyed hash)."""

    kind: Kind
    digest: bytes


class Attempts(SQLModel, table=True):
    __tablename__ = "auth_attempts"

    digest: bytes = Field(primary_key=True)
    count: int
    last_s: int = Field(index=True)
    until_s: int


class Device(SQLModel, table=True):
    __tablename__ = "auth_device"

    digest: bytes = Field(primary_key=True)
    person: str = Field(primary_key=True, foreign_key="auth_account.id", ondelete="CASCADE")
    exp_s: int


TABLES: tuple[type[SQLModel], ...] = (Attempts, Device)


def pause_s(rule: Rule, count: int) -> int:
    """How long after the attempt number `count` the next one has to wait."""
    over = count - rule.free
    return 0 if over < 0 else min(rule.longest_s, 2 ** (min(over, 30) + 1))


def begin_attempt(session: Session, counters: Sequence[Counter], now_s: int) -> int:
    """Counts an attempt everywhere and gives 0; in a pause gives the seconds left, counting nothing."""
    session.execute(delete(Attempts).where(col(Attempts.last_s) < now_s - FORGET_S))
    rows = [session.get(Attempts, counter.digest) for counter in counters]
    wait_s = max((row.until_s - now_s for row in rows if row is not None), default=0)
    if wait_s > 0:
        return wait_s
    for counter, row in zip(counters, rows, strict=True):
        count = 1 if row is None else row.count + 1
        until_s = now_s + pause_s(RULES[counter.kind], count)
        session.merge(Attempts(digest=counter.digest, count=count, last_s=now_s, until_s=until_s))
    return 0


def end_attempt(session: Session, counters: Sequence[Counter], now_s: int) -> None:
    """The attempt was good: it was none."""
    for counter in counters:
        row = session.get(Attempts, counter.digest)
        if row is None:
            continue
        if RULES[counter.kind].cleared:
            session.delete(row)
        else:
            row.count, row.until_s = max(row.count - 1, 0), now_s


def knows_device(session: Session, digest: bytes, person: str, now_s: int) -> bool:
    device = session.get(Device, (digest, person))
    return device is not None and device.exp_s > now_s


def is_device(session: Session, digest: bytes, now_s: int) -> bool:
    """Whether anybody has logged in with this browser."""
    return (
        session.exec(select(Device).where(Device.digest == digest, Device.exp_s > now_s)).first() is not None
    )


def remember_device(session: Session, digest: bytes, person: str, now_s: int) -> None:
    session.execute(delete(Device).where(col(Device.exp_s) <= now_s))
    session.merge(Device(digest=digest, person=person, exp_s=now_s + DEVICE_S))


def forget_devices(session: Session, person: str) -> None:
    session.execute(delete(Device).where(col(Device.person) == person))
