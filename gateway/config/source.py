"""Where in the file a setting stands, for messages.

tomllib keeps no positions, so the text is scanned for headers and keys. The scan need not
understand TOML: it is asked only about files that tomllib has read, and a key it cannot see
(in an inline table, say) falls back to the line of what encloses it.
"""

from __future__ import annotations

import re
from collections import Counter

Spot = tuple[str | int, ...]  # ("server", "port") or ("upstreams", 0, "path")

_HEADER = re.compile(r"\s*(\[\[?)\s*([\w.\"' -]+?)\s*\]\]?\s*(#.*)?")
_KEY = re.compile(r"\s*([\w.\"' -]+?)\s*=")


def line_numbers(text: str) -> dict[Spot, int]:
    """The line, counted from 1, of each header and key."""
    found: dict[Spot, int] = {}
    seen: Counter[str] = Counter()
    table: Spot = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.fullmatch(line):
            table = _parts(header[2])
            if header[1] == "[[":
                name = ".".join(map(str, table))
                table = (*table, seen[name])
                seen[name] += 1
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            found.setdefault(table + _parts(key[1]), number)
    return found


def line_of(found: dict[Spot, int], spot: Spot) -> int:
    """The line of `spot` or of the nearest thing around it; line 1 when there is none."""
    while spot and spot not in found:
        spot = spot[:-1]
    return found.get(spot, 1)


def _parts(dotted: str) -> Spot:
    return tuple(part.strip(" \"'") for part in dotted.split("."))
