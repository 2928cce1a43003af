"""The server's log: JSON lines, and nothing in them that an error's text could have quoted."""

from __future__ import annotations

import json
import logging
import sys

from gateway.cli.logs import JsonLines


def line(text: str, *values: object, error: BaseException | None = None) -> dict[str, object]:
    trace = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord("consentry.fhir", logging.ERROR, __file__, 1, text, values, trace)
    record.created = 1767225600.123
    found: dict[str, object] = json.loads(JsonLines().format(record))
    return found


def test_a_line_is_one_object() -> None:
    found = line("worker %d ended", 7)
    assert found.pop("pid")
    assert found == {
        "at": "2026-01-01T00:00:00.123+00:00",
        "level": "error",
        "from": "consentry.fhir",
        "text": "worker 7 ended",
    }


def test_an_exception_is_its_type_and_places() -> None:
    try:
        raise ValueError("Patient/pat-a")
    except ValueError:
        error = sys.exc_info()[1]
    found = line("a request failed", error=error)
    assert found["error"] == "ValueError"
    assert str(found["places"]).startswith("['test_logs.py:")
    assert "pat-a" not in json.dumps(found)
