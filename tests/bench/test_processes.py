"""Other processes: spoken to in lines, named when they fail, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.bench.machine import usable_cores
from gateway.bench.processes import Child, child, cores_apart
from gateway.errors import ConfigError

ECHO = "import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)"
PID = "import os; print(os.getpid(), flush=True)"
LAST_WORDS = "import sys; sys.exit('no ledger here')"
SETTINGS = "import os; print([n for n in os.environ if n.startswith('CONSENTRY')], flush=True); input()"


@contextmanager
def program(text: str, folder: Path) -> Iterator[Child]:
    """A child that runs `text`, as a module of its own."""
    (folder / "program.py").write_text(text)
    before = os.environ.get("PYTHONPATH")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(folder), before))))
        with child("program", ["program"], folder, usable_cores()) as running:
            yield running


def test_lines_go_both_ways(tmp_path: Path) -> None:
    with program(ECHO, tmp_path) as running:
        running.say("one")
        running.say("two")
        assert [running.line(30), running.line(30)] == ["ONE", "TWO"]


def test_one_that_ends_is_named_with_its_last_words(tmp_path: Path) -> None:
    with program(LAST_WORDS, tmp_path) as running, pytest.raises(ConfigError) as raised:
        running.line(30)
    assert "The program ended. It last wrote: no ledger here" in raised.value.text


def test_one_that_stays_silent_is_not_waited_for(tmp_path: Path) -> None:
    with program(ECHO, tmp_path) as running, pytest.raises(ConfigError, match="did not answer in time"):
        running.line(0.05)


def test_it_is_gone_after_the_block_even_when_that_fails(tmp_path: Path) -> None:
    with contextlib.suppress(KeyError), program(f"{PID}\n{ECHO}", tmp_path) as running:
        pid = int(running.line(30))
        raise KeyError
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_settings_of_another_gateway_stay_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENTRY_SERVER__PORT", "1")
    with program(SETTINGS, tmp_path) as running:
        assert running.line(30) == "[]"


@pytest.mark.parametrize(
    ("cores", "expected"), [((0,), ((0,), (0,))), ((0, 1), ((1,), (0,))), ((2, 3, 5), ((5,), (3,)))]
)
def test_the_gateway_has_a_core_to_itself_where_there_are_two(
    cores: tuple[int, ...], expected: tuple[tuple[int, ...], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["gateway.bench.processes"], "usable_cores", lambda: cores)
    assert cores_apart() == expected
