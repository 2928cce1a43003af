"""One walk through a resource, noting what can carry a label: codes, inline labels, words without a code.

Where a value stands is kept as a link to its parent, as in `fhir.scan`. Nothing is judged here; nothing
raises on odd data. What is contained is left to others, and so is `meta.security`, but for labels on it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.core.fhir.codec import Tree
from gateway.core.fhir.scan import Link
from gateway.core.fhir.security import is_inline_label
from gateway.core.values import Label


class Noted(NamedTuple):
    """`codings` are system (None: it names none) and code; `products` the texts that name a medicine; `odd`
    what stands in the place of a coding and is none; `uncoded` the concepts without a code; `worded` the
    extensions whose value is words; `inline` the labels of elements, with the element; `locals` the
    references to what is contained."""

    codings: list[tuple[Link, str | None, str]]
    products: list[tuple[Link, str]]
    odd: list[Link]
    uncoded: list[Link]
    worded: list[Link]
    inline: list[tuple[Link, Label]]
    locals: list[tuple[Link, str]]


def note(root: dict[str, Tree], *, drugs: bool) -> Noted:
    """Notes everything in the resource `root`. Texts of products are noted only with `drugs`."""
    noted = Noted([], [], [], [], [], [], [])
    _members(root, None, drugs, noted)
    meta = root.get("meta")
    if type(meta) is dict and not meta.keys() <= _SILENT_META:
        about = Noted([], [], [], [], [], [], [])
        _members(meta, (None, "meta"), False, about)
        noted.inline.extend((None, label) for _, label in about.inline)
        # Labels speak for themselves: elsewhere they are read as such, and made anew.
        rest = {name: value for name, value in meta.items() if name not in ("security", "_security")}
        _members(rest, (None, "meta"), False, noted._replace(inline=[], locals=[]))
    return noted


_SILENT_META: Final = frozenset({"versionId", "lastUpdated"})


_ELSEWHERE: Final = frozenset({"meta", "contained"})
_CONCEPT: Final = frozenset({"id", "extension", "coding", "text", "_text"})
_CODING: Final = frozenset({"id", "extension", "system", "version", "display", "_display", "userSelected"})
_WORDS: Final = frozenset(
    {
        *("valueString", "valueMarkdown", "valueAnnotation", "valueAttachment", "valueDosage"),
        *("valueExpression", "valueRelatedArtifact", "_valueString", "_valueMarkdown"),
    }
)
NAMES: Final = frozenset({"name", "address", "locationAddress", "valueHumanName", "valueAddress"})
"""Elements of whom and where, that may have a text and no more, as a concept may; no concept is called so."""
NO_CODES: Final = frozenset(
    {
        "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
        "http://terminology.hl7.org/CodeSystem/data-absent-reason",
        "http://hl7.org/fhir/v3/NullFlavor",
        "urn:oid:2.16.840.1.113883.5.1008",
    }
)
"""Systems whose codes say that there is none."""
_NO_CONCEPTS: Final = NAMES | {"valueAnnotation", "valueDosage"}

# Recursion goes as deep as `codec.MAX_DEPTH` at most.


def _members(node: dict[str, Tree], link: Link, drugs: bool, noted: Noted) -> None:
    for key, value in node.items():
        kind = type(value)
        if kind is dict:
            if link is not None or key not in _ELSEWHERE:
                _object(value, (link, key), drugs, noted)
        elif kind is list:
            if link is not None or key not in _ELSEWHERE:
                _items(value, key, (link, key), drugs, noted)
        elif kind is str and key == "reference" and value[:1] == "#":
            noted.locals.append((link, value))


def _items(node: list[Tree], key: str, link: Link, drugs: bool, noted: Noted) -> None:
    for index, item in enumerate(node):
        kind = type(item)
        if kind is dict:
            _object(item, (link, index), drugs, noted)
        elif kind is list:  # FHIR has none in a list: it may mean anything
            noted.odd.append((link, index))
            _items(item, key, (link, index), drugs, noted)
        elif key == "coding":
            noted.odd.append((link, index))


def _object(node: dict[str, Tree], link: Link, drugs: bool, noted: Noted) -> None:
    if "code" in node:
        code = node["code"]
        if type(code) is str:
            # A Quantity has a code too, that of its unit.
            if "value" not in node or node.get("system"):
                _coding(node, code, link, drugs, noted)
        elif "system" in node or _name(link) == "coding":
            noted.odd.append(link)
    elif "display" in node and _is_bare_coding(node, _name(link)):
        noted.uncoded.append(link)
    if "coding" in node or "text" in node:
        _concept(node, link, drugs, noted)
    if "url" in node:
        if is_inline_label(node["url"]):
            noted.inline.append((_holder(link), _label(node.get("valueCoding"))))
            return
        if not _WORDS.isdisjoint(node):
            noted.worded.append(link)
    _members(node, link, drugs, noted)


def _is_bare_coding(node: dict[str, Tree], name: str) -> bool:
    """Whether the element called `name` is a Coding with nothing but words, and not one of a concept. A
    Reference may have the same members."""
    known = ("system" in node and name != "coding") or name in ("class", "valueCoding")
    return known and _CODING.issuperset(node)


def _name(link: Link) -> str:
    """The name of the element at `link`, or of the list that it is in."""
    while link is not None:
        link, step = link
        if type(step) is str:
            return step
    return ""


def _coding(node: dict[str, Tree], code: str, link: Link, drugs: bool, noted: Noted) -> None:
    system = node.get("system")
    if system is None or type(system) is str:
        noted.codings.append((link, system or None, code))
    else:
        noted.odd.append(link)
    if drugs and type(node.get("display")) is str:
        noted.products.append((link, node["display"]))


def _concept(node: dict[str, Tree], link: Link, drugs: bool, noted: Noted) -> None:
    if not _CONCEPT.issuperset(node) or _name(link) in _NO_CONCEPTS:
        return
    codings, text = node.get("coding"), node.get("text")
    if not _is_coded(codings if type(codings) is list else [], text is not None or "_text" in node):
        noted.uncoded.append(link)
    if drugs and type(text) is str:
        noted.products.append((link, text))


def _is_coded(codings: list[Tree], has_text: bool) -> bool:
    """Whether a code says what is meant. One that says that there is none does so too, but not of a text."""
    codes = [coding for coding in codings if type(coding) is dict and "code" in coding]
    return (not has_text and bool(codes)) or not all(map(_says_none, codes))


def _says_none(coding: dict[str, Tree]) -> bool:
    system = coding.get("system")
    return type(system) is str and system in NO_CODES


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
