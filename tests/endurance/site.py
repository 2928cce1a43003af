"""A gateway as an operator has it: a folder with settings, keys and a ledger, served by `consentry serve`.

The server is a process of its own, started and ended here by its id. Tokens are made with the key of the
folder, of the gateway's own issuer.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from gateway.ledger.keys import load_keys
from gateway.tokens.mint import Minter
from tests.endurance.upstream import ROOT

PUBLIC_URL = "http://gateway.example"
SETTINGS = """
[server]
port = {port}
public_url = "{public_url}"

[ledger]
origin = "hospital.example/consentry"
store = "sqlite:///ledger.db"
keys = "keys"

[[upstreams]]
name = "main"
path = "/fhir"
base_url = "{upstream}"
fhir_version = "R4"
"""


@dataclass
class Running:
    """A server process. `url` has no closing slash; `log` is its standard error so far."""

    process: subprocess.Popen[str]
    url: str
    _log: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def resident_mb(self) -> float:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    @property
    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def children(self) -> list[int]:
        """The ids of its worker processes."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def kill(self) -> None:
        """SIGKILL: nothing is tidied up."""
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@dataclass(frozen=True)
class Failed:
    """A server that did not start."""

    status: int
    log: str


@dataclass(frozen=True)
class Site:
    """The folder, and what is done with it from outside."""

    folder: Path
    _minters: list[Minter] = field(default_factory=list)

    @classmethod
    def make(cls, folder: Path, upstream: str) -> Site:
        folder.mkdir()
        text = SETTINGS.format(port=1, public_url=PUBLIC_URL, upstream=upstream)
        (folder / "consentry.toml").write_text(text)
        site = cls(folder)
        site.command("keys", "init")
        return site

    @property
    def store(self) -> Path:
        return self.folder / "ledger.db"

    @property
    def vkey(self) -> Path:
        return self.folder / "keys/log.vkey"

    def command(self, *arguments: str, status: int = 0) -> str:
        """What `consentry ARGUMENTS` prints; it must end with `status`."""
        done = subprocess.run(
            [sys.executable, "-m", "gateway", *arguments, "--config", str(self.folder / "consentry.toml")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def grant(self, patient: str, client: str) -> dict[str, object]:
        """A consent for `client` to read all of `patient`; its reference, as a token names it."""
        granted = self.command(
            "consent", "grant", "--json", "--patient", patient, "--grantee", f"client:{client}",
            "--scope", "patient/*.rs", "--purpose", "TREAT",
        )  # fmt: skip
        ref: dict[str, object] = json.loads(granted)
        return ref

    def token(self, patient: str, client: str, consent: dict[str, object] | None = None) -> str:
        """For `client` under `consent`, or for the patient's own records."""
        if not self._minters:
            self._minters.append(Minter(json.loads(load_keys(self.folder / "keys").issuer_jwk), PUBLIC_URL))
        audience = f"{PUBLIC_URL}/fhir"
        claims: dict[str, object] = {
            "aud": audience,
            "sub": patient,
            "client_id": client,
            "scope": "patient/*.rs",
            "patient": patient,
        }
        if consent is None:
            claims |= {"fhirUser": f"{audience}/Patient/{patient}", "purpose_of_use": ["PATRQT"]}
        else:
            claims |= {"consent": [consent], "purpose_of_use": ["TREAT"]}
        return self._minters[0].mint(claims, now_s=int(time.time()), lifetime_s=3600, jti=os.urandom(8).hex())

    def start(self, http: str = "httptools", workers: int = 1) -> Running | Failed:
        """A server on a free port, up; or why there is none."""
        log = self.folder / f"serve-{time.monotonic_ns()}.log"
        with log.open("w") as errors:
            process = _serve(self.folder, http, workers, errors)
        assert process.stdout is not None
        line = process.stdout.readline()
        if (match := re.search(r"serving (http://[^ ]+)", line)) is None:
            process.stdout.close()
            return Failed(process.wait(20), log.read_text())
        return Running(process, match[1], log)

    @contextmanager
    def served(self, http: str = "httptools", workers: int = 1) -> Iterator[Running]:
        """A server for the block. It is ended, however the block ends, unless it was before."""
        running = self.start(http, workers)
        assert isinstance(running, Running), running
        try:
            yield running
        finally:
            if running.process.poll() is None:
                running.kill()
            assert running.process.stdout is not None
            running.process.stdout.close()


def _serve(folder: Path, http: str, workers: int, errors: IO[str]) -> subprocess.Popen[str]:
    options = ["--config", str(folder / "consentry.toml"), "--port", "0"]
    return subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve", *options, "--http", http, "--workers", str(workers)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )
