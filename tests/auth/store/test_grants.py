"""Codes and refresh tokens are claimed once, whichever process is asked; a grant that ended stays ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlmodel import Session

from gateway.auth.store import grants
from gateway.auth.store.database import Database
from gateway.auth.store.grants import GRACE_S, TABLES, Access, Code, Grant, Refresh, Replayed

NOW_S = 1_800_000_000
DIGEST = bytes(32)
Claim = Callable[[Session, bytes, str, int], Code | Refresh | Replayed | None]
CLAIMS: tuple[Claim, ...] = (grants.claim_code, grants.claim_refresh)


@pytest.fixture
def databases(tmp_path: Path) -> Iterator[list[Database]]:
    """The same file, as several processes have it."""
    opened = [Database(tmp_path / "auth.db", TABLES) for _ in range(4)]
    opened[0].run_now(fill)
    yield opened
    for database in opened:
        database.close()


def fill(session: Session) -> None:
    times = {"created_s": NOW_S, "until_s": NOW_S + 1000}
    words = {"client": "app", "audience": "b", "subject": "s", "scope": "", "purposes": "", "context": "{}"}
    session.add(Grant.model_validate({"id": "g", **words, **times}))
    session.flush()
    code = {"redirect_uri": "", "challenge": "", "auth_time_s": NOW_S, "exp_s": NOW_S + 60}
    session.add(Code.model_validate({"digest": DIGEST, "grant": "g", "client": "app", **code}))
    session.add(Refresh(digest=DIGEST, grant="g", client="app", exp_s=NOW_S + 60))


def test_of_many_claims_of_a_code_one_succeeds(databases: list[Database]) -> None:
    def claim(database: Database) -> bool:
        return isinstance(
            database.run_now(lambda session: grants.claim_code(session, DIGEST, "app", NOW_S)), Code
        )

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(claim, databases * 4)) == 1


def test_a_claim_that_is_rolled_back_claims_nothing(databases: list[Database]) -> None:
    def claim_and_fail(session: Session) -> None:
        assert isinstance(grants.claim_code(session, DIGEST, "app", NOW_S), Code)
        raise LookupError

    with pytest.raises(LookupError):
        databases[0].run_now(claim_and_fail)
    assert isinstance(databases[1].run_now(lambda s: grants.claim_code(s, DIGEST, "app", NOW_S)), Code)


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize(
    ("client", "at_s", "found"),
    [("app", NOW_S + 59, True), ("app", NOW_S + 60, False), ("other", NOW_S, False)],
)
def test_a_claim_needs_the_client_and_the_time(
    databases: list[Database], claim: Claim, client: str, at_s: int, found: bool
) -> None:
    claimed = databases[0].run_now(lambda session: claim(session, DIGEST, client, at_s))
    assert (claimed is not None) is found


def test_a_refresh_token_comes_back_within_the_grace_alone(databases: list[Database]) -> None:
    def claim(at_s: int) -> Refresh | Replayed | None:
        return databases[0].run_now(lambda s: grants.claim_refresh(s, DIGEST, "app", at_s))

    assert isinstance(claim(NOW_S), Refresh)
    assert isinstance(claim(NOW_S + GRACE_S), Refresh)
    assert claim(NOW_S + GRACE_S + 1) == Replayed("g")
    assert claim(NOW_S + 60) is None


def test_the_grace_is_over_once_a_successor_was_used(databases: list[Database]) -> None:
    def claim(digest: bytes) -> Refresh | Replayed | None:
        found = databases[0].run_now(lambda s: grants.claim_refresh(s, digest, "app", NOW_S))
        assert not isinstance(found, Code)
        return found

    def follow(number: int) -> bytes:
        made = bytes([number] * 32)
        successor = Refresh(digest=made, grant="g", client="app", before=DIGEST, exp_s=NOW_S + 60)
        databases[0].run_now(lambda session: session.add(successor))
        return made

    assert isinstance(claim(DIGEST), Refresh)
    first, second = follow(1), follow(2)
    assert isinstance(claim(DIGEST), Refresh)  # no successor was used: the answers may have been lost
    assert isinstance(claim(second), Refresh)
    assert claim(DIGEST) == Replayed("g")
    assert isinstance(claim(first), Refresh)


def test_the_grants_of_one_are_ended_and_owed(databases: list[Database]) -> None:
    def fill_more(session: Session) -> None:
        for name, subject in (("g1", "s"), ("g2", "s"), ("h", "t")):
            words = {"client": "app", "audience": "b", "scope": "", "purposes": "", "context": "{}"}
            times = {"created_s": NOW_S, "until_s": NOW_S + 1000}
            session.add(Grant.model_validate({"id": name, "subject": subject, **words, **times}))
            session.flush()
            session.add(Access(entry=len(name) * 10 + ord(name[-1]), hash="h", grant=name, exp_s=NOW_S + 60))

    database = databases[0]
    database.run_now(fill_more)
    assert [g.id for g in database.run_now(lambda s: grants.grants_of(s, "s"))] == ["g", "g1", "g2"]
    database.run_now(lambda s: grants.end_grants(s, grants.grants_of(s, "s"), NOW_S))
    assert database.run_now(lambda s: grants.grants_of(s, "s")) == []
    assert [g.id for g in database.run_now(lambda s: grants.grants_of(s, "t"))] == ["h"]
    assert database.run_now(lambda s: grants.unfinished(s, NOW_S, "s")) == ["g1", "g2"]
    assert database.run_now(lambda s: grants.unfinished(s, NOW_S, "t")) == []
    assert database.run_now(lambda s: grants.unfinished(s, NOW_S)) == ["g1", "g2"]


@pytest.mark.parametrize("claim", CLAIMS)
def test_what_is_given_back_can_be_claimed_again(databases: list[Database], claim: Claim) -> None:
    for at_s in (NOW_S, NOW_S + GRACE_S + 1):
        claimed = claimed_at(databases[1], claim, at_s)
        assert isinstance(claimed, Code | Refresh)
        give_back(databases[0], claimed)


def claimed_at(database: Database, claim: Claim, at_s: int) -> Code | Refresh | Replayed | None:
    return database.run_now(lambda session: claim(session, DIGEST, "app", at_s))


def give_back(database: Database, claimed: Code | Refresh) -> None:
    database.run_now(lambda session: grants.give_back(session, claimed))


def test_an_ended_grant_is_turned_into_nothing(databases: list[Database]) -> None:
    def note(session: Session, entry: int) -> bool:
        access = Access(entry=entry, hash="h", grant="g", exp_s=NOW_S + 60)
        successor = Refresh(digest=bytes([entry] * 32), grant="g", client="app", exp_s=NOW_S + 60)
        return grants.note_access(session, access, successor, NOW_S)

    database = databases[0]
    assert database.run_now(lambda s: note(s, 1)) is True
    assert [a.entry for a in database.run_now(lambda s: grants.end_grant(s, "g", NOW_S))] == [1]
    assert database.run_now(lambda s: note(s, 2)) is False
    assert database.run_now(lambda s: grants.refresh_of(s, bytes([2] * 32))) is None
    assert database.run_now(lambda s: grants.unfinished(s, NOW_S)) == ["g"]
    database.run_now(lambda s: grants.forget_access(s, [1]))
    assert database.run_now(lambda s: grants.unfinished(s, NOW_S)) == []
    assert database.run_now(lambda s: grants.has_given(s, "g")) is False


def test_a_grant_has_given_something_once_there_is_a_token(databases: list[Database]) -> None:
    database = databases[0]
    assert database.run_now(lambda s: grants.has_given(s, "g")) is True  # its refresh token
    database.run_now(lambda s: grants.remove_expired(s, NOW_S + 60))
    assert database.run_now(lambda s: grants.has_given(s, "g")) is False
