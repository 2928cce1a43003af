"""A gateway's folder for tests, its commands in this process, and the server as a real one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from gateway.cli import main
from tests.support.ports import unused_port

ROOT = Path(__file__).parents[2]
START_S = 60
CONFIG = """\
[server]
port = {port}
public_url = "http://127.0.0.1:{port}"
log_level = "warning"

[ledger]
origin = "hospital.example/consentry"

[[upstreams]]
name = "main"
path = "/fhir"
base_url = "{upstream}"
fhir_version = "R4"
"""
GRANT = ("consent", "grant", "--patient", "pat-a", "--grantee", "client:app-1", "--scope", "patient/*.rs")


@dataclass(frozen=True)
class Place:
    """A folder with settings, and the commands on them, run in this process."""

    folder: Path
    port: int

    @property
    def config(self) -> Path:
        return self.folder / "consentry.toml"

    def run(self, *arguments: str) -> Result:
        environment = {"CONSENTRY_CONFIG": str(self.config)}
        return CliRunner().invoke(main, arguments, env=environment, prog_name="consentry")

    def good(self, *arguments: str) -> str:
        """What a command that succeeds prints."""
        result = self.run(*arguments)
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        return result.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.good(*arguments, "--json"))

    def refused(self, *arguments: str, status: int = 2) -> str:
        """The one line of a command that fails."""
        result = self.run(*arguments)
        assert (result.exit_code, result.stdout) == (status, ""), result.output
        assert re.fullmatch(r"consentry: \S.*\n", result.stderr), result.stderr
        return result.stderr


def process_refused(*arguments: str, status: int = 2) -> str:
    """The one line of a command that fails, run as a process: servers set up logging, which is for good."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=START_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (status, ""), done
    assert re.fullmatch(r"consentry: \S.*\n", done.stderr), done.stderr
    return done.stderr


def place(folder: Path, upstream: str = "http://127.0.0.1:9/fhir", extra: str = "") -> Place:
    made = Place(folder, unused_port())
    made.config.write_text(CONFIG.format(port=made.port, upstream=upstream) + extra)
    return made


@dataclass(frozen=True)
class Served:
    """A running command, and what it printed until it was up."""

    process: subprocess.Popen[str]
    said: str

    @property
    def url(self) -> str:
        """The first address in it."""
        found = re.search(r"http://[^\s/]+", self.said)
        assert found is not None, self.said
        return found[0]

    def end(self, number: int = signal.SIGTERM, within_s: float = 20) -> int:
        self.process.send_signal(number)
        return self.process.wait(within_s)


@contextmanager
def command(*arguments: str, until: str = "consentry: serving ") -> Iterator[Served]:
    """`consentry ARGUMENTS` as a process, from the line that begins with `until` on."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    late = threading.Timer(START_S, process.kill)
    late.start()
    try:
        yield Served(process, _said(process, until))
    finally:
        late.cancel()
        if process.poll() is None:
            process.kill()
        process.communicate()


def _said(process: subprocess.Popen[str], until: str) -> str:
    assert process.stdout is not None
    assert process.stderr is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith(until):
            return said
    raise AssertionError(f"ended with status {process.wait()}: {process.stderr.read()}")


def children_of(pid: int) -> list[int]:
    """The processes that `pid` started and that still run."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
