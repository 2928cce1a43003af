"""What may lie beside a checkout: found, not there at all, or there and incomplete."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import shared
from tests.support.require import OPTIONAL
from tests.support.shared import shared_file


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the shared folder would be; not made yet."""
    monkeypatch.setattr(shared, "SHARED", tmp_path / "shared")
    return tmp_path / "shared"


def test_a_file_that_is_there(beside: Path) -> None:
    (beside / "vectors").mkdir(parents=True)
    (beside / "vectors" / "a.json").write_text("{}")
    assert shared_file("vectors/a.json").read_text() == "{}"


def test_without_the_folder_the_test_skips(beside: Path) -> None:
    with pytest.raises(pytest.skip.Exception, match=f"^{OPTIONAL}: vectors/a.json"):
        shared_file("vectors/a.json")


def test_a_folder_without_the_file_is_an_error(beside: Path) -> None:
    beside.mkdir()
    with pytest.raises(FileNotFoundError, match=r"vectors/a\.json"):
        shared_file("vectors/a.json")
