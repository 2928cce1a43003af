"""Vectors and records that may lie beside a checkout, in `../shared`. A clone alone is legitimate.

Without the folder a test that wants it skips, also under `CONSENTRY_REQUIRE=all`: there is nothing to
install. A file missing from a folder that is there is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.require import OPTIONAL

SHARED = Path(__file__).resolve().parents[3] / "shared"


def shared_file(relative: str) -> Path:
    """The file or folder `relative` of the shared folder; skips the test when that folder is not there.

    Raises FileNotFoundError when the shared folder is there and `relative` is not in it.
    """
    if not SHARED.is_dir():
        pytest.skip(f"{OPTIONAL}: {relative} is not beside the checkout")
    found = SHARED / relative
    if not found.exists():
        raise FileNotFoundError(f"{relative} is missing from the shared folder")
    return found


def or_none(cases: Sequence[object]) -> Sequence[object]:
    """For `parametrize`: the cases that were read from the folder, or one that skips when there is none."""
    absent = pytest.mark.skip(reason=f"{OPTIONAL}: the cases are not beside the checkout")
    return cases or [pytest.param(None, marks=absent)]
