"""JSON as FHIR needs it: read strictly, changed by cutting, never re-typed.

What stays true: a document is read only if every reader would see the same thing in it (UTF-8, no
BOM, no duplicate keys, no lone surrogates, no NaN, bounded depth). A change is an edit of the bytes
that were sent: what is not named by the edit keeps its digits, escapes and order (`7.10` stays `7.10`).
It knows JSON and the frame of a Bundle, and nothing of consent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import jiter
import msgspec

MAX_DEPTH: Final = 64  # FHIR data nests about 20 deep; some parsers fail at a few hundred
MAX_BYTES: Final = 64 * 1024 * 1024
MAX_CONTAINERS: Final = 1_000_000  # an empty object is two bytes to send and over a hundred to hold

Tree = Any
"""None, bool, int, `jiter.LosslessFloat`, str, list or dict, as parsed."""


class CodecError(ValueError):
    """The bytes are not JSON that this gateway reads. The text holds no part of them."""


def parse(data: bytes) -> Tree:
    """The one document in `data`; numbers with a point or exponent keep their text.

    Raises:
        CodecError: not UTF-8 JSON, a key twice in one object, a lone surrogate, a BOM, a number that
            JSON does not have, a NUL in a string, nesting over `MAX_DEPTH`, more than `MAX_BYTES`, or more
            than `MAX_CONTAINERS` opening brackets.
    """
    # Fewer brackets than the limit cannot nest deeper than it.
    tree = _parse(data)
    if _openings(data) > MAX_DEPTH and _deeper_than(tree, MAX_DEPTH):
        raise CodecError("the document nests too deeply")
    return tree


def _openings(data: bytes) -> int:
    """The arrays and objects of a document, or more: brackets inside strings are counted too."""
    return data.count(b"{") + data.count(b"[")


def _check_size(data: bytes) -> None:
    """What must be known before any parser sees the document."""
    # Each container has an opening bracket, so a short document cannot hold too many.
    if len(data) > MAX_BYTES or (len(data) > MAX_CONTAINERS and _openings(data) > MAX_CONTAINERS):
        raise CodecError("the document is too large")


def _parse(data: bytes) -> Tree:
    """As `parse`, with the parser's own limit to the depth."""
    _check_size(data)
    try:
        tree = jiter.from_json(
            data,
            allow_inf_nan=False,
            cache_mode="keys",
            catch_duplicate_keys=True,
            float_mode="lossless-float",
        )
    except ValueError as error:
        raise CodecError("the document is not strict JSON") from error
    if b"\\u0000" in data and _NUL.search(
        data
    ):  # R4 datatypes, string: no control characters but tab, CR and LF
        raise CodecError("a string holds a NUL")
    return tree


_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def _deeper_than(tree: Tree, limit: int) -> bool:
    level = [tree]
    for _ in range(limit):
        below: list[Tree] = []
        for node in level:
            if type(node) is dict:
                below.extend(node.values())
            elif type(node) is list:
                below.extend(node)
        level = [node for node in below if type(node) is dict or type(node) is list]
        if not level:
            return False
    return True


# --- Bundles -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SplitBundle:
    """A Bundle taken apart: `frame` is its tree with 0 for each resource; `resources` their bytes.

    `resources[i]` belongs to `frame["entry"][i]`; None where the entry has no resource.
    """

    frame: dict[str, Tree]
    resources: tuple[bytes | None, ...]


class _RawEntry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw(b"")


class _RawBundle(msgspec.Struct):
    entry: list[_RawEntry] = []


_raw_bundle = msgspec.json.Decoder(_RawBundle)


def split_bundle(data: bytes) -> SplitBundle:
    """The frame and the untouched resources of a Bundle.

    The frame is parsed strictly; each resource has yet to be, by `parse`, before anything of it is used.
    Cutting the resources out and parsing what is left finds a second `entry` or `resource` key, which
    the quick reader of the slices would pass over.

    Raises:
        CodecError: the frame is not strict JSON, or not shaped like a Bundle.
    """
    check_entries(data)
    try:
        entries = _raw_bundle.decode(data).entry
    except (msgspec.DecodeError, RecursionError) as error:
        raise CodecError("the document is not a Bundle") from error
    slices = [bytes(entry.resource) for entry in entries]
    pieces: list[bytes] = []
    start = 0
    for raw in slices:
        if not raw:
            continue
        at = _place_of(raw, data, start)
        pieces.append(data[start:at])
        start = at + len(raw)
    pieces.append(data[start:])
    frame = _parse(b"0".join(pieces))
    framed = frame.get("entry", []) if type(frame) is dict else None
    if type(framed) is not list or len(framed) != len(slices):
        raise CodecError("the document is not a Bundle")
    for entry, raw in zip(framed, slices, strict=True):
        cut_out = type(entry) is dict and entry.get("resource", None) == (0 if raw else None)
        if not cut_out:
            raise CodecError("an entry of the Bundle is not understood")
    return SplitBundle(frame, tuple(raw or None for raw in slices))


def check_entries(data: bytes) -> None:
    """Whether a Bundle has too many entries to be taken apart. Each is an object; what the resources hold is
    counted when they are parsed.

    Raises:
        CodecError: more than `MAX_BYTES`, or `MAX_CONTAINERS` objects.
    """
    if len(data) > MAX_BYTES or (len(data) > MAX_CONTAINERS and data.count(b"{") > MAX_CONTAINERS):
        raise CodecError("the document is too large")


def _place_of(raw: bytes, data: bytes, start: int) -> int:
    """`data.find(raw, start)`, where `raw` is long and not far away."""
    beginning = raw[:32]
    at = data.find(beginning, start)
    while at >= 0 and not data.startswith(raw, at):
        at = data.find(beginning, at + 1)
    return at


# --- Edits ---------------------------------------------------------------------------------------


class Drop:
    """The edit that leaves a member or element out."""

    def __repr__(self) -> str:
        return "DROP"


DROP: Final = Drop()

Edit = Drop | bytes | Mapping["str | int", "Edit"]
"""What becomes of a value: left out, replaced by these JSON bytes, or edited at these keys or indexes.

A key that the object does not have is added when its edit is bytes.
"""

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])


def apply_edit(raw: bytes, edit: Edit) -> bytes | None:
    """`raw`, a value that `parse` accepted, after `edit`; None when nothing of it is left.

    An object or array that the edit empties goes too: FHIR has no empty ones (json.html), and none of nulls
    alone.
    """
    if isinstance(edit, Drop):
        return None
    if isinstance(edit, bytes):
        return edit
    if raw.lstrip()[:1] == b"{":
        return _edit_object(raw, edit)
    return _edit_array(raw, edit)


def _edit_object(raw: bytes, edit: Mapping[str | int, Edit]) -> bytes | None:
    members: dict[str, bytes | msgspec.Raw] = dict(_object.decode(raw))
    for key, change in edit.items():
        assert isinstance(key, str)
        old = members.get(key)
        if old is None:
            if isinstance(change, bytes):
                members[key] = change
            continue
        new = apply_edit(bytes(old), change)
        if new is None:
            del members[key]
        else:
            members[key] = new
    if not members:
        return None
    return b"{" + b",".join(_quote(key) + b":" + bytes(value) for key, value in members.items()) + b"}"


def _edit_array(raw: bytes, edit: Mapping[str | int, Edit]) -> bytes | None:
    kept: list[bytes] = []
    for index, old in enumerate(_array.decode(raw)):
        new = apply_edit(bytes(old), edit[index]) if index in edit else bytes(old)
        if new is not None:
            kept.append(new)
    return b"[" + b",".join(kept) + b"]" if any(value != b"null" for value in kept) else None


def keep_members(raw: bytes, names: Sequence[str]) -> bytes:
    """The object `raw` with only these members, in its own order (for `_elements` and `_summary`)."""
    wanted = frozenset(names)
    members = _object.decode(raw).items()
    return b"{" + b",".join(_quote(k) + b":" + bytes(v) for k, v in members if k in wanted) + b"}"


def member(raw: bytes, name: str) -> bytes | None:
    """The bytes of one member of the object `raw`."""
    return members(raw, name)[0]


def members(raw: bytes, *names: str) -> list[bytes | None]:
    """The bytes of each of these members of the object `raw`, None for one that it does not have."""
    found = _object.decode(raw)
    return [bytes(found[name]) if name in found else None for name in names]


_quote = msgspec.json.Encoder().encode


def elements(raw: bytes) -> list[bytes]:
    """The bytes of each element of the array `raw`."""
    return [bytes(element) for element in _array.decode(raw)]


def quote(text: str) -> bytes:
    """`text` as a JSON string."""
    return _quote(text)


def pretty(data: bytes) -> bytes:
    """`data` with line breaks and two-space indents; numbers and escapes keep their text."""
    return msgspec.json.format(data, indent=2)
