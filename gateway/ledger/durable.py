"""Files that must survive a power cut: written whole or not at all, and synced with their folder."""

from __future__ import annotations

import os
from pathlib import Path


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Create `path`, which must not exist, with `mode` from its first moment. The folder is not synced."""
    _write(path, data, mode, os.O_EXCL)


def replace(path: Path, data: bytes, mode: int) -> None:
    """Put `data` in place of `path` in one step: a reader, and a crash, meet the old or the new file."""
    fresh = path.with_name(f".{path.name}.new")
    _write(fresh, data, mode, os.O_TRUNC)
    os.rename(fresh, path)
    # Commit point: before this sync a crash may bring the old file back, whole.
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable, as fsync of a file does not."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(path: Path, data: bytes, mode: int, flag: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | flag, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(handle)
