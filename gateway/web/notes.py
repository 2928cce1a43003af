"""What the operator's log says of requests that failed: our own words alone, and never too many of them.

A request without a valid token is in no ledger, as nobody is known who asked, so it has a line here. Each
process writes at most `MOST_LINES` of those in a second, and then how many more there were: whoever knocks
fast must not fill the disk.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from gateway import errors

MOST_LINES: Final = 10
WINDOW_S: Final = 1.0


class Notes:
    """The lines of one logger. `note` is called in a running event loop."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._knocks = 0

    def note(self, error: errors.ConsentryError) -> None:
        """The operator learns what kind of failure is behind an answer, and never foreign words."""
        if isinstance(error, errors.Unauthenticated):
            self._knock(error)
        elif error.__cause__ is not None:
            self._log.warning("%s: %s", type(error).__name__, _words(error.__cause__))

    def _knock(self, error: errors.Unauthenticated) -> None:
        self._knocks += 1
        if self._knocks == 1:
            asyncio.get_running_loop().call_later(WINDOW_S, self._end_window)
        if self._knocks <= MOST_LINES:
            why = "" if error.__cause__ is None else f" ({_words(error.__cause__)})"
            code = error.oauth_error or "no token"
            self._log.warning("Unauthenticated, %s: %s%s", code, error.text, why)

    def _end_window(self) -> None:
        if self._knocks > MOST_LINES:
            more = self._knocks - MOST_LINES
            self._log.warning("Unauthenticated: %d more within a second, not logged", more)
        self._knocks = 0


def _words(cause: BaseException) -> str:
    return str(cause) if isinstance(cause, errors.Cause) else type(cause).__qualname__
