"""The locks: every package by hash, the same wherever packages come from, and all that the project names."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NAMED = {
    "requirements.lock": PROJECT["project"]["dependencies"],
    "requirements-dev.lock": [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]],
}
PACKAGE = re.compile(
    r"^([a-z0-9-]+)==\S+(?: ; [^\\]+)? \\(?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)+$", re.M
)


def locked(name: str) -> str:
    """A lock without its comments."""
    return re.sub(r"^ *#.*\n", "", (ROOT / name).read_text(), flags=re.M)


@pytest.mark.parametrize("name", NAMED)
def test_a_lock_is_names_versions_and_hashes(name: str) -> None:
    """So it holds no index, no host and no path."""
    assert PACKAGE.sub("", locked(name)).strip() == ""


@pytest.mark.parametrize("name", NAMED)
def test_a_lock_has_what_the_project_names(name: str) -> None:
    found = {match[1] for match in PACKAGE.finditer(locked(name))}
    wanted = {
        re.split(r"[<>=~!\[ ]", row)[0].lower().replace(".", "-").replace("_", "-") for row in NAMED[name]
    }
    assert wanted <= found


def test_one_package_has_one_version() -> None:
    runtime, everything = ({row for row in locked(name).splitlines() if "==" in row} for name in NAMED)
    assert runtime <= everything
