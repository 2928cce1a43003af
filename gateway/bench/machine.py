"""The machine a run is of, in words: figures without it say nothing."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final

PACKAGES: Final = ("uvloop", "uvicorn", "httptools", "msgspec", "cryptography", "apsw")


def describe(folder: Path) -> dict[str, str]:
    """Processor, system, packages, and the disk that `folder` is on, where the ledgers of the run are."""
    busy, _, _ = os.getloadavg()
    return {
        "processor": _processor(),
        "cores": str(len(usable_cores())),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "disk": file_system(folder),
        "load before": f"{busy:.1f} (1-minute average; above 0.3, others were at work)",
        "Python": platform.python_version(),
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


def usable_cores() -> tuple[int, ...]:
    """The cores this process may use; one that is nobody's where the system does not tell."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def cpu_seconds(pid: int) -> float | None:
    """CPU time of the process, all its threads and its children; None where the system does not tell."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        own = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
        children = {int(child) for task in tasks for child in (task / "children").read_text().split()}
    except (OSError, ValueError, IndexError):
        return None
    return own + sum(cpu_seconds(child) or 0.0 for child in children)


def file_system(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """Type and device under `folder`, because an fsync on tmpfs costs nothing and means nothing."""
    try:
        rows = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:
        return "unknown"
    inside = [row for row in rows if len(row) > 2 and folder.resolve().is_relative_to(row[1])]
    device, _, kind, *_ = max(inside, key=lambda row: len(row[1]), default=["?", "/", "unknown"])
    return f"{kind} on {device}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
