"""An authorization request that waits until somebody has logged in: where the browser goes on then.

The log-in knows such a request by an opaque id and is told a path of this server. No address that came from
outside is ever where a browser is sent by it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

_PATH = re.compile(r"/(?!/)[!-\[\]-~]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An authorization request that waits for a person: the `path` it goes on at, from when a log-in must be
    to count for it (0: any), and the sources (`pages.source_of`) where it may end."""

    path: str
    auth_after_s: int = 0
    form_to: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if _PATH.fullmatch(self.path) is None:
            raise ValueError("not a path of this server")


FindWaiting = Callable[[str], Awaitable[Waiting | None]]
"""The request of an id that waits; None if there is none (any more)."""
