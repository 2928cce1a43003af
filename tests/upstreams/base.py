"""What the tests see of any FHIR server, and how one runs as a child process.

A server prints `READY <base url>` and ends at the end of its standard input, so that it ends with
the tests however they end. Nothing is stopped by name.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

import httpx

FHIR_JSON = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}


class Missing(Exception):
    """The machine lacks what this server needs; the text says what."""


class Upstream:
    """One running FHIR server. `base_url` has no closing slash."""

    def __init__(self, name: str, base_url: str, wipe: Callable[[httpx.Client, str], httpx.Response]) -> None:
        self.name = name
        self.base_url = base_url
        self._wipe = wipe
        self._client = httpx.Client(headers=FHIR_JSON, timeout=120, trust_env=False)

    def load(self, resources: Iterable[Mapping[str, Any]]) -> None:
        """Puts each resource under its own id, in order; the same id again makes its next version."""
        for resource in resources:
            url = f"{self.base_url}/{resource['resourceType']}/{resource['id']}"
            self._client.put(url, content=json.dumps(resource)).raise_for_status()

    def load_bundle(self, path: Path) -> None:
        """Posts a transaction or batch (`.json` or `.json.gz`), all of whose entries must succeed.

        Servers give new ids to what is posted in it: loaded twice, it is there twice.
        """
        data = path.read_bytes()
        reply = self._client.post(
            self.base_url, content=gzip.decompress(data) if path.suffix == ".gz" else data
        )
        statuses = [entry["response"]["status"] for entry in reply.raise_for_status().json()["entry"]]
        assert statuses, f"{path.name} is empty"
        assert all(status.startswith("2") for status in statuses), statuses

    def get(self, path: str, **parameters: str) -> httpx.Response:
        """What the server itself says, for comparison."""
        return self._client.get(f"{self.base_url}/{path}", params=parameters or None)

    def wipe(self) -> None:
        """Removes every resource with its history."""
        self._wipe(self._client, self.base_url).raise_for_status()

    def close(self) -> None:
        self._client.close()


class Process:
    """A server as a child process, up when the `with` block begins and gone when it ends."""

    def __init__(self, command: Sequence[str], cwd: Path, log: Path, start_s: float) -> None:
        self._command, self._cwd, self._log_path, self._start_s = command, cwd, log, start_s

    def __enter__(self) -> Self:
        self._log: IO[str] = self._log_path.open("w")
        self._child = subprocess.Popen(
            self._command,
            cwd=self._cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.base_url = self._await_ready()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.close()
        try:
            self._child.wait(60)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child.stdout.close()
        self._log.close()

    def _await_ready(self) -> str:
        assert self._child.stdout is not None
        late = threading.Timer(self._start_s, self._child.kill)
        late.start()
        try:
            for line in self._child.stdout:
                if line.startswith("READY "):
                    return line.split()[1]
        finally:
            late.cancel()
        self.__exit__()
        end = self._log_path.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{self._command[0]} did not start (status {self._child.returncode}):\n{end}")
