"""Search result parameters: how the answer is cut, ordered and paged (`_count`, `_elements`, ...).

They choose among what may be seen and never widen it: counts and totals are refused, sorting stays on
the type's own parameters, and `_summary` and `_elements` are applied here after the release.
Source: FHIR search.html, section Modifying Search Results; http.html, section General Parameters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.headers import FORMATS
from gateway.core.fhir.query import Pair
from gateway.core.fhir.refused import COUNTS, SORT_CHAIN
from gateway.core.values import Shape
from gateway.errors import BadRequest, NotAcceptable

READ: Final = frozenset({"_format", "_pretty", "_summary", "_elements"})
SEARCH: Final = READ | {"_count", "_sort", "_total", "_page"}
CAPABILITIES: Final = frozenset({"_format", "_pretty"})
# What may stand beside `_page`: all the rest is sealed inside it.
BESIDE_PAGE: Final = frozenset({"_page", "_format", "_pretty"})
MAX_SORT: Final = 8
MAX_ELEMENTS: Final = 64

Summary = Literal["true", "text", "data", "false"]


@dataclass(frozen=True, slots=True)
class Controls:
    """The values; `pairs` are the same, normalised, as a query would say them."""

    sort: tuple[str, ...] = ()
    count: int | None = None
    page: str | None = None
    shape: Shape = field(default_factory=Shape)
    pairs: tuple[Pair, ...] = ()

    @property
    def says_format(self) -> bool:
        """Whether `_format` was given, which then stands for the Accept header."""
        return any(name == "_format" for name, _ in self.pairs)


NO_CONTROLS: Final = Controls()


def parse_controls(
    pairs: Iterable[Pair], catalogue: Catalogue, type_: str | None, *, max_count: int
) -> Controls:
    """The controls that `pairs` (control names only) ask for. Raises BadRequest, NotAcceptable, Forbidden."""
    found: dict[str, str] = {}
    sort: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    count: int | None = None
    page: str | None = None
    summary: Summary | None = None
    spaced = False
    for name, value in pairs:
        if name in found:
            raise BadRequest(f"{name} can be given once.")
        match name:
            case "_format":
                value = _format(value)
            case "_pretty":
                spaced = _pretty(value)
            case "_summary":
                summary = _summary(value)
            case "_elements":
                elements = _elements(value)
            case "_count":
                count = min(_count(value), max_count)
                value = str(count)
            case "_sort":
                sort = _sort(value, catalogue, type_)
            case "_total":
                if value != "none":
                    raise COUNTS.raised()
            case _:
                page = _page(value)
        found[name] = value
    if elements and summary not in (None, "false"):
        raise BadRequest("_elements and _summary cannot be combined.")
    if page is not None and not found.keys() <= BESIDE_PAGE:
        raise BadRequest("_page stands alone, beside _format and _pretty.")
    return Controls(sort, count, page, Shape(summary, elements, spaced), tuple(found.items()))


def _format(value: str) -> str:
    if value not in FORMATS:
        raise NotAcceptable("Only JSON is answered: _format=json.")
    return "json"


def _pretty(value: str) -> bool:
    if value not in ("true", "false"):
        raise BadRequest("_pretty is true or false.")
    return value == "true"


def _summary(value: str) -> Summary:
    match value:
        case "true" | "text" | "data" | "false":
            return value
        case "count":
            raise COUNTS.raised()
        case _:
            raise BadRequest("_summary is one of: true, text, data, false.")


def _elements(value: str) -> tuple[str, ...]:
    names = tuple(value.split(","))
    if len(names) > MAX_ELEMENTS or not all(re.fullmatch(r"[a-z][A-Za-z0-9]*", n) for n in names):
        raise BadRequest("_elements is a list of the names of top-level elements.")
    return names


def _count(value: str) -> int:
    if re.fullmatch(r"[0-9]{1,9}", value) is None:
        raise BadRequest("_count is a number of entries, at least 1.")
    if int(value) == 0:
        raise COUNTS.raised()  # FHIR R4 search, "Page count": the same as _summary=count
    return int(value)


# A sort shows an order, so it stays on values of the record itself: no references, no labels.
_SORTABLE: Final = {"token", "date", "string", "number", "quantity", "uri"}


def _sort(value: str, catalogue: Catalogue, type_: str | None) -> tuple[str, ...]:
    names = tuple(value.split(","))
    if len(names) > MAX_SORT:
        raise BadRequest("_sort names too many parameters.")
    for name in (n.removeprefix("-") for n in names):
        if "." in name:
            raise SORT_CHAIN.raised()
        param = catalogue.param(type_ or "", name)
        labels = name.startswith("_") and name not in ("_id", "_lastUpdated")
        if param is None or param.type not in _SORTABLE or labels:
            raise BadRequest("_sort names a parameter that cannot be sorted by.")
    return names


def _page(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_-]{1,7168}", value) is None:
        raise BadRequest("_page is not one that this gateway has given.")
    return value
