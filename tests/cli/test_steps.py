"""The lines that the demo prints: how the program is called again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli import steps


def test_a_script_is_called_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "consentry").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["./consentry", "demo"])
    assert steps._command() == [str(tmp_path / "consentry")]


def test_a_module_is_called_so_that_any_folder_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["gateway/__main__.py", "demo"])
    done = subprocess.run(
        [*steps._command(), "--version"], cwd="/", capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("consentry ")
