"""Medplum's FHIR router over its repository in memory, as an upstream: Node.js and npm.

It differs from HAPI where a gateway can notice: offset paging with a total, no chains and no
includes, uuid versions, `patient=pat-a` finds nothing (it wants `Patient/pat-a`), and `7.10` comes
back as `7.1`.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx

from tests.upstreams.base import Missing, Process, Upstream

HERE = Path(__file__).resolve().parent.parent / "medplum"
OLDEST_NODE = (20, 19)


@contextmanager
def medplum() -> Iterator[Upstream]:
    """An empty server. Raises Missing without Node.js or npm."""
    if missing := [tool for tool in ("node", "npm") if shutil.which(tool) is None]:
        raise Missing(f"Medplum needs {' and '.join(missing)}")
    if _node_version() < OLDEST_NODE:
        raise Missing(f"Medplum needs Node.js {'.'.join(map(str, OLDEST_NODE))} or newer")
    _install()
    with tempfile.TemporaryDirectory() as folder:
        process = Process(["node", "server.mjs"], HERE, Path(folder) / "medplum.log", start_s=60)
        with process, closing(Upstream("medplum", process.base_url, _wipe)) as upstream:
            yield upstream


def _node_version() -> tuple[int, ...]:
    text = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout
    return tuple(int(part) for part in text.strip().removeprefix("v").split(".")[:2])


def _install() -> None:
    """The packages of the lock, from npm; asked again only when the lock is newer."""
    done, lock = HERE / "node_modules" / ".package-lock.json", HERE / "package-lock.json"
    if done.exists() and done.stat().st_mtime >= lock.stat().st_mtime:
        return
    command = ["npm", "ci", "--no-fund", "--no-audit", "--loglevel=error"]
    subprocess.run(command, cwd=HERE, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    done.touch()


def _wipe(client: httpx.Client, base_url: str) -> httpx.Response:
    return client.delete(base_url)
