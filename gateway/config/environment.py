"""Variables of the environment as settings: `CONSENTRY_SERVER__PORT`, `CONSENTRY_SERVER__TLS__KEY`,
`CONSENTRY_UPSTREAMS__0__BASE_URL`.

A variable that is written like a setting, or begins like a section, and is neither is a problem with a
hint: what was meant would otherwise not be in force. Any other variable, such as `CONSENTRY_CONFIG`, is
not looked at.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.config.report import Place, Report
from gateway.config.settings import LISTS, SECTIONS, SETTINGS

PREFIX: Final = "CONSENTRY_"

_VARIABLE = re.compile(PREFIX + r"(?P<section>[A-Z_]+?)(?:__(?P<index>0|[1-9][0-9]?))?__(?P<name>[A-Z_]+)")
# With a second "__", or with one underscore after the name of a section, in the singular too.
_MEANT = re.compile(
    PREFIX + rf"(.*__|({'|'.join(section.removesuffix('s') for section in SECTIONS)})S?_)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, order=True)
class Override:
    """`text` in place of a setting's value; `index` is 0 where there are no several tables."""

    section: str
    index: int
    name: str
    variable: str
    text: str


def overrides(environ: Mapping[str, str], report: Report) -> list[Override]:
    """What `environ` sets, in an order in which tables can be added one after the other."""
    found = []
    for variable, text in environ.items():
        if not _MEANT.match(variable):
            continue
        match = _VARIABLE.fullmatch(variable)
        section, name = _setting(match["section"].lower(), match["name"].lower()) if match else ("", "")
        if match is None or section not in SECTIONS or (match["index"] is not None) != (section in LISTS):
            report.add(Place.of_variable(variable), "environment", _expected(variable))
        else:
            found.append(Override(section, int(match["index"] or 0), name, variable, text))
    return sorted(found)


def _setting(section: str, name: str) -> tuple[str, str]:
    """Section and name: `SERVER__TLS__KEY` is `key` of the section `server.tls`."""
    inner, parted, rest = name.partition("__")
    return (f"{section}.{inner}", rest) if parted and f"{section}.{inner}" in SECTIONS else (section, name)


def _expected(variable: str) -> str:
    """What to write in place of a variable that is no setting."""
    known = {_plain(name): name for name in _names(variable)}
    near = difflib.get_close_matches(_plain(variable), known, n=1, cutoff=0.85)
    usual = f"write {PREFIX}SECTION__NAME, or {PREFIX}SECTION__INDEX__NAME for a list"
    return f"{usual}; did you mean {known[near[0]]}?" if near else usual


def _names(variable: str) -> Iterator[str]:
    """The variables of all settings, in lists with the index that `variable` has, if any."""
    index = re.search(r"_([0-9]{1,2})_", variable)
    for section, rows in SETTINGS.items():
        place = f"{int(index[1]) if index else 0}__" if section in LISTS else ""
        yield from (f"{PREFIX}{section.replace('.', '__')}__{place}{name}".upper() for name in rows)


def _plain(variable: str) -> str:
    return re.sub("_+", "_", variable).upper()
