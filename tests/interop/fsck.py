"""Tessera's `fsck`, the C2SP tlog-tiles checker written by others, run as it is over a served log.

Its exit status is 0 whatever it finds, it hangs once each of its workers has met a bad tile, and without
`--ui=false` it checks nothing unless it has a terminal. So one line of its output counts, within a time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.upstreams.base import Missing

ROOT = Path(__file__).resolve().parents[2]
MODULE = b"github.com/transparency-dev/tessera"


def accepts(checker: Path, url: str, vkey: Path, size: int, *, within_s: float = 60) -> bool:
    """Whether `checker` derives the log of `size` entries below `url` from its bytes, under key `vkey`."""
    command = [str(checker), f"--storage_url={url}/", f"--public_key={vkey}", "--ui=false", "-N", "4"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            said, _ = process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            return False
    return f"Successfully fsck'd log with size {size} and root" in said


def program() -> Path:
    """Where it is: `CONSENTRY_FSCK`, the environment of `make upstreams`, or the PATH. Raises Missing."""
    for path in _places():
        # A bare `fsck` is mostly the system's checker of disks, which is not to be run to find out.
        if path.is_file() and MODULE in path.read_bytes():
            return path
    raise Missing("tessera's fsck is not there; `make upstreams` builds it, with Go")


def _places() -> Iterator[Path]:
    if named := os.environ.get("CONSENTRY_FSCK"):
        yield Path(named)
    yield ROOT / ".venv/bin/fsck"
    for folder in os.get_exec_path():
        if found := shutil.which("fsck", path=folder):
            yield Path(found)
