"""An entry as whoever holds its keys reads it: its facts, opened and checked against the leaf."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gateway.core.canon import Json


class OpenedEntry(Protocol):
    """`leaf_hash` is 32 bytes, `at_s` seconds since the epoch; attachments are by their facts' names."""

    @property
    def index(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def at_s(self) -> int: ...
    @property
    def leaf_hash(self) -> bytes: ...
    @property
    def facts(self) -> Mapping[str, Json]: ...
    @property
    def attachments(self) -> Mapping[str, str]: ...
