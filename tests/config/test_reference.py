"""The page of all settings is made of the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.reference import updated

ROOT = Path(__file__).resolve().parents[2]


def test_the_reference_is_in_step_with_the_settings() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert updated(page) == page, "run: make docs"


def test_the_reference_needs_its_marks() -> None:
    with pytest.raises(ValueError, match="settings: begin"):
        updated("a page without marks")
