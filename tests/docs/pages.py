"""The documents as text: their files, their marked parts, their tables."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))


def page(name: str) -> str:
    """The text of the document at `name`, relative to the root."""
    return (ROOT / name).read_text("utf-8")


def part(text: str, mark: str) -> str:
    """What stands between `<!-- mark: begin -->` and `<!-- mark: end -->`. Raises AttributeError."""
    found = re.search(rf"<!-- {mark}: begin -->\n(.*)<!-- {mark}: end -->", text, re.S)
    assert found is not None, f"the page has no part {mark!r}"
    return found[1].strip()


def rows(table: str) -> list[tuple[str, ...]]:
    """The cells of a Markdown table below its head; `\\|` is a bar inside a cell."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]) for line in lines[2:]]


def slug(heading: str) -> str:
    """The anchor that a heading gets on the usual hosts."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def prose(text: str) -> list[str]:
    """The lines that are neither table rows nor inside a fence."""
    fenced, kept = False, []
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced and not line.startswith("|"):
            kept.append(line)
    return kept
