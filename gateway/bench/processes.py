"""The other processes of a run: started, spoken to in lines, and gone at the end whatever happens.

Gateway, upstream and load generator do not share an interpreter, so that none slows another in ways that
do not happen in life. On two cores or more the gateway has one to itself.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import gateway
from gateway.bench.machine import cpu_seconds, usable_cores
from gateway.errors import ConfigError

START_S: Final = 60.0
END_S: Final = 10.0


class Child:
    """A process that answers in lines. `name` is for messages; what it writes to standard error is kept
    in `log`."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log
        self._unread = b""

    def say(self, line: str) -> None:
        assert self._process.stdin is not None, "started with a pipe"
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def line(self, within_s: float) -> str:
        """The next line it writes. Raises ConfigError if it ends or stays silent."""
        until = time.monotonic() + within_s
        while b"\n" not in self._unread:
            self._unread += self._more(until - time.monotonic())
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def cpu_seconds(self) -> float | None:
        return cpu_seconds(self._process.pid)

    def end(self) -> None:
        """Ends it as an operator would (SIGTERM), and by force if it does not."""
        self._process.terminate()
        try:
            self._process.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def _more(self, within_s: float) -> bytes:
        assert self._process.stdout is not None, "started with a pipe"
        if not select.select([self._process.stdout], [], [], max(within_s, 0))[0]:
            raise ConfigError(f"The {self.name} did not answer in time. {self._last_words()}")
        data = os.read(self._process.stdout.fileno(), 65536)
        if not data:
            raise ConfigError(f"The {self.name} ended. {self._last_words()}")
        return data

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return f"It last wrote: {lines[-1]}" if lines else "It wrote nothing."


@contextlib.contextmanager
def child(name: str, arguments: Sequence[str], folder: Path, cores: Sequence[int]) -> Iterator[Child]:
    """`python -m ARGUMENTS` on `cores` for as long as the block; its standard error is kept in `folder`."""
    log = folder / f"{name.replace(' ', '-')}.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(  # noqa: S603 - this interpreter, our own modules
            [sys.executable, "-m", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=_environment(),
        )
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, cores)  # before it has threads, which inherit it
    running = Child(name, process, log)
    try:
        yield running
    finally:
        running.end()


def cores_apart() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(of the gateway, of all else): the last core, and one other; the same where there is but one."""
    cores = usable_cores()
    return cores[-1:], cores[-2:-1] or cores


def _environment() -> dict[str, str]:
    """Ours without settings of another gateway, and with this package where the interpreter finds it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CONSENTRY_")}
    root = str(Path(gateway.__file__).parent.parent)
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, (root, kept.get("PYTHONPATH"))))}
