"""The tables of a ledger's SQLite file, and whether a file has these and nothing else.

A trigger, a view or an index on other terms would decide what readers are given, so a file is refused
for anything that is not below. Contents are not looked at here.
"""

from __future__ import annotations

import apsw

from gateway.ledger.store import STATE_KINDS

STATE_FILTER = f"kind IN ({', '.join(repr(kind) for kind in sorted(STATE_KINDS))})"
SCHEMA = f"""
    CREATE TABLE entry(idx INTEGER PRIMARY KEY, kind TEXT NOT NULL, at_s INTEGER NOT NULL,
        nonce BLOB NOT NULL, leaf BLOB NOT NULL);
    CREATE INDEX entry_state ON entry(idx) WHERE {STATE_FILTER};
    CREATE TABLE sidecar(idx INTEGER PRIMARY KEY, key_id BLOB NOT NULL, data BLOB NOT NULL);
    CREATE TABLE tile(level INTEGER, n INTEGER, data BLOB NOT NULL, PRIMARY KEY(level, n)) WITHOUT ROWID;
    CREATE TABLE head(one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, root BLOB NOT NULL,
        frontier BLOB NOT NULL, mark INTEGER NOT NULL);
    CREATE TABLE checkpoint(size INTEGER PRIMARY KEY, note BLOB NOT NULL);
    PRAGMA application_id = 1129271876;
"""


def foreign_part(db: apsw.Connection) -> str | None:
    """Kind and name of a part of the schema that is missing, changed or not a ledger's; None if all fits."""
    made = apsw.Connection(":memory:")
    try:
        made.execute(SCHEMA)
        different = sorted(_parts(made) ^ _parts(db))
    finally:
        made.close()
    return f"{different[0][0]} {different[0][1]}" if different else None


def _parts(db: apsw.Connection) -> set[tuple[str, str, str, str]]:
    # The statistics that ANALYZE leaves steer how fast an answer is, not which.
    return set(
        db.execute(
            "SELECT type, name, tbl_name, COALESCE(sql, '') FROM sqlite_schema"
            " WHERE NOT (type = 'table' AND name LIKE 'sqlite_stat_')"
        )
    )
