"""Reading one key file: others must not be able to, and what it holds must be a key of its kind.

A file that does not fit is named, never quoted and never repaired.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gateway.errors import ConfigError

T = TypeVar("T")
REMEDY = "run `consentry keys init`, or put the folder back from its backup"


def read_key(path: Path, parse: Callable[[str], T]) -> T:
    """What `parse` makes of the file's one line. Raises ConfigError naming the file and the remedy."""
    try:
        return parse(path.read_text("ascii").removesuffix("\n"))
    except (OSError, ValueError) as wrong:
        raise ConfigError(f"{path} cannot be used: {_why(wrong)}; {REMEDY}.") from wrong


def refuse_open(path: Path, right: str = "600") -> None:
    """Raises ConfigError if `path` is missing or others can read it: the key may be known by then."""
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except OSError as missing:
        raise ConfigError(f"{path} is missing or unreadable; {REMEDY}.") from missing
    if mode & 0o077:
        raise ConfigError(f"{path} can be read by others (mode {mode:03o}); run `chmod {right} {path}`.")


def _why(wrong: OSError | ValueError) -> str:
    if isinstance(wrong, OSError):
        return wrong.strerror or "it cannot be read"
    if isinstance(wrong, UnicodeError):
        return "it is not text"
    return str(wrong)
