"""One walk through a resource, noting what can carry a label: codes, inline labels, text without a code.

Where a value stands is kept as a link to its parent, as in `fhir.scan`. Nothing is judged here; nothing
raises on odd data. `meta` and what is contained are left to others.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.core.fhir.codec import Tree
from gateway.core.fhir.scan import Link
from gateway.core.values import Label

INLINE: Final = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"


class Noted(NamedTuple):
    """`codings` are system (None: it names none) and code; `products` the texts that name a medicine; `odd`
    what stands in the place of a coding and is none; `uncoded` the concepts without a code; `inline` the
    labels of elements, with the element; `locals` the references to what is contained."""

    codings: list[tuple[Link, str | None, str]]
    products: list[tuple[Link, str]]
    odd: list[Link]
    uncoded: list[Link]
    inline: list[tuple[Link, Label]]
    locals: list[tuple[Link, str]]


def note(root: dict[str, Tree], *, drugs: bool) -> Noted:
    """Notes everything in the resource `root`. Texts of products are noted only with `drugs`."""
    noted = Noted([], [], [], [], [], [])
    _members(root, None, drugs, noted)
    return noted


_ELSEWHERE: Final = frozenset({"meta", "contained"})
_CONCEPT: Final = frozenset({"id", "extension", "coding", "text", "_text"})

# Recursion goes as deep as `codec.MAX_DEPTH` at most.


def _members(node: dict[str, Tree], link: Link, drugs: bool, noted: Noted) -> None:
    for key, value in node.items():
        kind = type(value)
        if kind is dict:
            if link is not None or key not in _ELSEWHERE:
                _object(value, (link, key), drugs, noted)
        elif kind is list:
            if link is not None or key not in _ELSEWHERE:
                here = (link, key)
                for index, item in enumerate(value):
                    if type(item) is dict:
                        _object(item, (here, index), drugs, noted)
                    elif key == "coding":
                        noted.odd.append((here, index))
        elif kind is str and key == "reference" and value[:1] == "#":
            noted.locals.append((link, value))


def _object(node: dict[str, Tree], link: Link, drugs: bool, noted: Noted) -> None:
    if "code" in node:
        code = node["code"]
        if type(code) is str:
            # A Quantity has a code too, that of its unit.
            if "value" not in node or node.get("system"):
                _coding(node, code, link, drugs, noted)
        elif type(code) is not dict and type(code) is not list and "system" in node:
            noted.odd.append(link)
    if "coding" in node or "text" in node:
        _concept(node, link, drugs, noted)
    if "url" in node and node["url"] == INLINE:
        noted.inline.append((_holder(link), _label(node.get("valueCoding"))))
    else:
        _members(node, link, drugs, noted)


def _coding(node: dict[str, Tree], code: str, link: Link, drugs: bool, noted: Noted) -> None:
    system = node.get("system")
    if system is None or type(system) is str:
        noted.codings.append((link, system or None, code))
    else:
        noted.odd.append(link)
    if drugs and type(node.get("display")) is str:
        noted.products.append((link, node["display"]))


def _concept(node: dict[str, Tree], link: Link, drugs: bool, noted: Noted) -> None:
    if not _CONCEPT.issuperset(node):
        return
    codings, text = node.get("coding"), node.get("text")
    if type(codings) is not list or not any(type(c) is dict and "code" in c for c in codings):
        noted.uncoded.append(link)
    if drugs and type(text) is str:
        noted.products.append((link, text))


def _holder(link: Link) -> Link:
    """The element that has the extension at `link`."""
    while link is not None:
        link, step = link
        if step in ("extension", "modifierExtension"):
            return link
    return None


def _label(coding: Tree) -> Label:
    """A label's coding; one that is not understood may be any."""
    if type(coding) is not dict:
        return Label("", "")
    system, code = coding.get("system"), coding.get("code")
    return Label(system if type(system) is str else "", code if type(code) is str else "")
