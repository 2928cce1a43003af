"""The reference of all settings, as the tables in `docs/configuration.md`.

    python -m gateway.config.reference docs/configuration.md

rewrites what stands between the two marks in that file and nothing else.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gateway.config.environment import PREFIX
from gateway.config.rows import Row
from gateway.config.settings import LISTS, SECTIONS, SETTINGS

BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"


def reference() -> str:
    """One Markdown section with a table for each section of the file."""
    return "\n".join(_section(section) for section in SECTIONS)


def updated(page: str) -> str:
    """`page` with the present reference between its marks. Raises ValueError when it has no marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


def _section(section: str) -> str:
    header, variable = f"[{section}]", f"{PREFIX}{section.upper().replace('.', '__')}__"
    if section in LISTS:
        header, variable = f"[{header}]", f"{variable}0__"
    rows = [
        f"| `{name}` | {row.kind.label} | {_default(row)} | {row.help} |"
        for name, row in SETTINGS[section].items()
    ]
    return "\n".join(
        [
            f"### `{header}`",
            "",
            f"{SECTIONS[section].__doc__} In the environment: `{variable}NAME`.",
            "",
            "| setting | kind | default | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _default(row: Row) -> str:
    if row.required:
        return "required"
    return "none" if row.default is None else f"`{json.dumps(row.default)}`"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(updated(page.read_text("utf-8")), "utf-8")
