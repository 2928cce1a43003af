"""An upstream's searchset taken apart: its links, and the bytes of the resources that matched.

What stays true: the frame around the resources was read strictly, by the short way (as in `plain`: writing
again what was read gives the same bytes) or else by `codec.split_bundle`. Nothing is known here of a resource
but where it begins and ends, and nothing of what may be released.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import msgspec

from gateway.core.fhir import codec
from gateway.core.fhir.codec import CodecError, Tree
from gateway.core.fhir.shapes import EMPTY, Count, Meta, Number, Shape, Text

SHORT_BYTES: Final = 8 * 1024 * 1024  # cannot hold so many entries that they must be counted beforehand


class Page(NamedTuple):
    """`links` are addresses by relation, `matches` the resources that were searched for: what else came
    (included records, outcomes with the upstream's own words) was not asked for. `total` is how many the
    upstream says there are on all pages."""

    links: dict[str, str]
    matches: list[bytes]
    total: int | None = None


def read_page(body: bytes) -> Page:
    """The searchset in `body`.

    Raises:
        CodecError: not a strict Bundle, not a searchset, or with links that are not understood.
    """
    page = _short_way(body) if len(body) <= SHORT_BYTES else None
    return _long_way(body) if page is None else page


# --- Short way -------------------------------------------------------------------------------------


class _Search(Shape):
    mode: Literal["match", "include", "outcome"] | None = None
    score: Number = None


class _Entry(Shape, kw_only=True):
    fullUrl: Text = None
    resource: msgspec.Raw
    search: _Search | None = None


class _Link(Shape):
    relation: str
    url: str


class _Searchset(Shape, kw_only=True, tag_field="resourceType", tag="Bundle"):
    id: Text = None
    meta: Meta | None = None
    type: str
    timestamp: Text = None
    total: Count = None
    link: list[_Link] = EMPTY
    entry: list[_Entry] = EMPTY


_decode: Final = msgspec.json.Decoder(_Searchset).decode
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


def _short_way(body: bytes) -> Page | None:
    try:
        frame = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if frame.type != "searchset" or _encode(frame) != body or _holds_nul(frame):
        return None
    links = {link.relation: link.url for link in frame.link}
    return Page(links, [bytes(entry.resource) for entry in frame.entry if _is_match(entry)], frame.total)


def _is_match(entry: _Entry) -> bool:
    return entry.search is None or entry.search.mode in (None, "match")


def _holds_nul(frame: _Searchset) -> bool:
    """Whether a NUL is in a text of the frame, which is all but the resources."""
    urls = "".join([entry.fullUrl for entry in frame.entry if entry.fullUrl is not None])
    return "\0" in urls or b"\\u0000" in _encode((frame.id, frame.meta, frame.timestamp, frame.link))


# --- Long way --------------------------------------------------------------------------------------


def _long_way(body: bytes) -> Page:
    bundle = codec.split_bundle(body)
    frame = bundle.frame
    if frame.get("resourceType") != "Bundle" or frame.get("type") != "searchset":
        raise CodecError("the document is not a searchset")
    entries = zip(frame.get("entry", ()), bundle.resources, strict=True)
    matches = [raw for entry, raw in entries if raw is not None and _mode(entry) == "match"]
    total = frame.get("total")
    return Page(_links(frame), matches, total if type(total) is int else None)


def _mode(entry: dict[str, Tree]) -> str:
    search = entry.get("search", {})
    mode = search.get("mode", "match") if type(search) is dict else ""
    return mode if type(mode) is str else ""


def _links(frame: dict[str, Tree]) -> dict[str, str]:
    links: dict[str, str] = {}
    listed = frame.get("link", [])
    if type(listed) is not list:
        raise CodecError("the links of the Bundle are no list")
    for link in listed:
        relation, url = (link.get("relation"), link.get("url")) if type(link) is dict else (None, None)
        if type(relation) is not str or type(url) is not str:
            raise CodecError("a link of the Bundle is not understood")
        links[relation] = url
    return links
