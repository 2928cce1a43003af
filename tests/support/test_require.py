"""Skips become failures when everything is required, and only then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

CASES = {
    "skip_mark": "import pytest\n@pytest.mark.skip(reason='needs a tool')\ndef test_it(): pass\n",
    "skip_call": "import pytest\ndef test_it(): pytest.skip('needs a tool')\n",
    "skip_in_fixture": (
        "import pytest\n@pytest.fixture\ndef tool(): pytest.skip('needs a tool')\ndef test_it(tool): pass\n"
    ),
    "skip_module": (
        "import pytest\npytest.skip('needs a tool', allow_module_level=True)\ndef test_it(): pass\n"
    ),
}


def run(folder: Path, source: str, require: str | None) -> tuple[int, str]:
    (folder / "test_case.py").write_text(source)
    (folder / "pytest.ini").write_text("[pytest]\n")
    environ = {name: value for name, value in os.environ.items() if name != "CONSENTRY_REQUIRE"}
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.require", "-p", "no:asyncio", "-q", "-rs"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "-c", folder / "pytest.ini", folder],
        cwd=ROOT,
        env=environ if require is None else environ | {"CONSENTRY_REQUIRE": require},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("source", CASES.values(), ids=CASES)
def test_a_skip_fails_when_all_is_required(tmp_path: Path, source: str) -> None:
    status, output = run(tmp_path, source, "all")
    assert status in (1, 2)
    assert "CONSENTRY_REQUIRE=all, but: " in output
    assert "needs a tool" in output


@pytest.mark.parametrize("source", CASES.values(), ids=CASES)
def test_a_skip_stays_one_otherwise(tmp_path: Path, source: str) -> None:
    status, output = run(tmp_path, source, None)
    assert status in (0, 5)
    assert "1 skipped" in output


@pytest.mark.parametrize("source", CASES.values(), ids=CASES)
def test_an_optional_skip_stays_one_always(tmp_path: Path, source: str) -> None:
    status, output = run(tmp_path, source.replace("'needs", "'optional: needs"), "all")
    assert status in (0, 5)
    assert "1 skipped" in output


@pytest.mark.parametrize("reason", ["not optional: a tool", "optional", "optionally: a tool"])
def test_only_the_opening_of_a_reason_makes_it_optional(tmp_path: Path, reason: str) -> None:
    status, output = run(tmp_path, f"import pytest\ndef test_it(): pytest.skip('{reason}')\n", "all")
    assert status == 1
    assert "CONSENTRY_REQUIRE=all, but: " in output


def test_an_expected_failure_stays_one(tmp_path: Path) -> None:
    source = "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False\n"
    status, output = run(tmp_path, source, "all")
    assert status == 0
    assert "1 xfailed" in output
