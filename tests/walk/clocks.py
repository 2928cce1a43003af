"""Clocks that stand where they were put."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.support.gateway import Clock


class Stopped(Clock):
    """A clock that stands at `moment`, in UTC, until it is put elsewhere."""

    def __init__(self, moment: str) -> None:
        super().__init__()
        self.put(moment)

    def put(self, moment: str) -> None:
        self.at_ms = int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()) * 1000

    def __call__(self) -> int:
        return self.at_ms
