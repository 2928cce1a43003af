"""Every assertion of the kits is shown by a test here, or has its reason."""

from __future__ import annotations

import importlib
from collections import defaultdict
from pathlib import Path

import pytest

from tests.conformance.assertions import ASSERTIONS, NOT_SHOWN

HERE = Path(__file__).parent


def shown() -> dict[int, list[str]]:
    """The tests that show each assertion, as `module::name`."""
    found = defaultdict(list)
    for path in sorted(HERE.glob("test_*.py")):
        module = importlib.import_module(f"tests.conformance.{path.stem}")
        for name, test in vars(module).items():
            for number in getattr(test, "shows", ()) if name.startswith("test_") else ():
                found[number].append(f"{path.stem}::{name}")
    return found


def test_they_are_numbered_from_1_to_75() -> None:
    assert [*ASSERTIONS] == [*range(1, 76)]


@pytest.mark.parametrize(("number", "what"), ASSERTIONS.items(), ids=lambda part: str(part))
def test_each_is_shown_or_has_its_reason(number: int, what: str) -> None:
    assert (number in NOT_SHOWN) != bool(shown().get(number)), what


def test_nothing_else_is_shown() -> None:
    assert shown().keys() <= ASSERTIONS.keys()
    assert NOT_SHOWN.keys() <= ASSERTIONS.keys()
