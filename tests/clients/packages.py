"""The clients that come from npm, as the lock beside this file has them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.upstreams.base import Missing
from tests.upstreams.medplum import OLDEST_NODE

HERE = Path(__file__).resolve().parent


def folder() -> Path:
    """`node_modules`, with every package in it. Raises Missing without npm or a Node.js that is new enough.

    npm is asked again only when the lock is newer than what is there.
    """
    if missing := [tool for tool in ("node", "npm") if shutil.which(tool) is None]:
        raise Missing(f"clients from npm need {' and '.join(missing)}")
    version = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout
    if tuple(map(int, version.strip().removeprefix("v").split("."))) < OLDEST_NODE:
        raise Missing(f"clients from npm need Node.js {'.'.join(map(str, OLDEST_NODE))} or newer")
    modules, lock = HERE / "node_modules", HERE / "package-lock.json"
    done = modules / ".package-lock.json"
    if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
        command = ["npm", "ci", "--no-fund", "--no-audit", "--loglevel=error"]
        subprocess.run(command, cwd=HERE, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        done.touch()
    return modules


def smart_js() -> Path:
    """The SMART client for browsers: one script, which defines `FHIR`. Raises Missing."""
    return folder() / "fhirclient/build/fhir-client.min.js"
