"""The file itself: opened by several processes at once, used whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlmodel import Session

from gateway.auth.server import open_database
from gateway.auth.store.assertions import first_use
from gateway.auth.store.database import Database
from gateway.errors import StateUnavailable

OPEN = """
import sys
from pathlib import Path
from gateway.auth.server import open_database
sys.stdin.readline()
open_database(Path(sys.argv[1])).close()
"""


def test_several_processes_open_a_new_file_at_once(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(tmp_path / "auth.db")],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    for worker in workers:
        _, told = worker.communicate(timeout=60)
        assert worker.returncode == 0, told


def test_what_fails_changes_nothing(tmp_path: Path) -> None:
    database = open_database(tmp_path / "auth.db")

    def work(session: Session) -> None:
        assert first_use(session, "app", "jti-1", 100, 1)
        raise ValueError("after the change")

    with pytest.raises(ValueError, match="after the change"):
        database.run_now(work)
    assert database.run_now(lambda session: first_use(session, "app", "jti-1", 100, 1))
    assert not database.run_now(lambda session: first_use(session, "app", "jti-1", 100, 1))
    database.close()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StateUnavailable):
        Database(path, ())
    with pytest.raises(StateUnavailable):
        Database(tmp_path / "missing" / "auth.db", ())
    assert path.read_bytes() == b"not a database" * 100
