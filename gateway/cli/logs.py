"""The server's log: one JSON object a line on standard error, with ids, counts and reasons.

An exception is written as its type and the places it passed, never its text: a text may quote what a
record server or a caller sent.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import PurePath
from types import TracebackType

# Libraries that tell, at `info`, of every step, or of single requests with their addresses.
_TALKATIVE = ("uvicorn.error", "httpx", "httpcore", "asyncio")


def log_as_json(level: str) -> None:
    """Send everything from `level` up to standard error. Called once, at the start of a server."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


class JsonLines(logging.Formatter):
    """Members `at`, `level`, `from`, `pid` and `text`; of an exception also `error` and `places`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "from": record.name,
            "pid": record.process,
            "text": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            kind, _, trace = record.exc_info
            line |= {"error": kind.__qualname__, "places": _places(trace)}
        return json.dumps(line, ensure_ascii=False)


def _places(trace: TracebackType | None) -> list[str]:
    return [
        f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(trace)
    ]
