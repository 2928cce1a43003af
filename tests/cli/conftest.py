"""Folders with settings, without keys and with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.support import Place, place


@pytest.fixture
def bare(tmp_path: Path) -> Place:
    """Settings alone."""
    return place(tmp_path)


@pytest.fixture
def made(bare: Place) -> Place:
    """Settings, keys and a ledger with its two first entries."""
    bare.good("keys", "init")
    return bare
