"""`meta.security` of what leaves: labels that tell what there is to hide stay behind.

The level is said if the upstream said one, or if a label that stays behind would have told it; it is that of
what is left. So a resource out of which something was cut is labelled like one that never had it. Whoever may
know the labels of what they get is told those that were found here too, by whom, and on what they rest.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Protocol

from gateway.core.fhir.codec import DROP, Edit, Tree, elements, member, members, parse, quote
from gateway.core.fhir.meta import LABEL_ELEMENTS, UNREADABLE, labels_beside, labels_of, labels_on
from gateway.core.fhir.scan import Place
from gateway.core.values import Label

OBSERVATION_VALUE: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
REDACTED: Final = Label(OBSERVATION_VALUE, "REDACTED")
"""Elements were removed because a consent withholds them."""
INLINE: Final = Label("http://terminology.hl7.org/CodeSystem/v3-ActCode", "PROCESSINLINELABEL")
"""Says that single elements have labels of their own, which stay behind with the others."""


_DS4P: Final = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition"
CLASSIFIER: Final = f"{_DS4P}/extension-sec-label-classifier"
RESTS_ON: Final = f"{_DS4P}/extension-sec-label-basis"


def is_inline_label(address: Tree) -> bool:
    """Whether it is the address of an extension that labels the element on which it stands: of HL7's, however
    it begins, with or without a version, or of one that another guide calls so."""
    return type(address) is str and address.partition("|")[0].rstrip("/ ").endswith("inline-sec-label")


_SAYS_SO: Final = b"sec-label"
_SPELLED_OUT: Final = re.compile(rb"\\u00(?:2[dD]|6[1235cC]|73)")
"""The escape of a letter of that, which nobody needs."""


def may_label_elements(raw: bytes) -> bool:
    """Whether in these bytes of JSON an extension may label an element, or say what a label rests on."""
    return _SAYS_SO in raw or (b"\\u00" in raw and _SPELLED_OUT.search(raw) is not None)


class Basis(NamedTuple):
    """A label that was found in a record, or around it, and in words what it rests on."""

    label: Label
    words: str


class Egress(Protocol):
    """What the labels mean for one who receives them."""

    def level(self, labels: Iterable[Label]) -> Label:
        """The confidentiality of a resource with these labels."""
        ...

    def level_of(self, label: Label) -> Label | None:
        """The confidentiality level that the label is, in HL7's present spelling."""
        ...

    def stays(self, label: Label) -> bool:
        """Whether it may leave: it asks for care and tells nothing of the content."""
        ...

    def harmless(self, labels: frozenset[Label]) -> bool:
        """Whether a resource with these labels, whole, may leave with them as they are."""
        ...

    def obligations(self, labels: Iterable[Label]) -> tuple[Label, ...]:
        """What the receiver has to be told of resources with these labels."""
        ...


@dataclass(frozen=True, slots=True)
class Relabelling:
    """`left` are the labels of what is left of a resource, as it came; `shown`: the reader may know them.
    `found` are those that were found in what is left, for a reader who may know; who found them is the
    `classifier`."""

    egress: Egress
    left: frozenset[Label]
    shown: bool
    found: tuple[Basis, ...] = ()
    classifier: str = ""

    def edits(self, raw: bytes, tree: dict[str, Tree], tags: Sequence[Label]) -> Iterator[tuple[Place, Edit]]:
        """What becomes of the labels in the resource `raw`, parsed as `tree`, and in those it contains. The
        labels `tags` are added to its own."""
        yield from self._of((), raw, tree, tags)
        listed = tree.get("contained")
        inner = elements(member(raw, "contained") or b"[]") if type(listed) is list else []
        for index, (part, resource) in enumerate(zip(inner, listed or (), strict=True)):
            # One whose `meta` is none is nobody's, and goes as a whole.
            if type(resource) is dict and type(resource.get("meta", {})) is dict:
                own = replace(self, left=labels_on(resource) & self.left, found=())
                yield from own._of(("contained", index), part, resource, ())

    def _of(
        self, start: Place, raw: bytes, tree: dict[str, Tree], tags: Sequence[Label]
    ) -> Iterator[tuple[Place, Edit]]:
        beside = labels_beside(tree)
        stays = self.shown and beside <= self.left
        for name in LABEL_ELEMENTS:
            for spelled in (name, f"_{name}"):
                if spelled in tree and not stays:
                    yield (*start, spelled), DROP
        meta = member(raw, "meta")
        security = None if meta is None else member(meta, "security")
        codings = [] if security is None else tree["meta"]["security"]
        if type(codings) is list:
            old = [] if security is None else elements(security)
            new = self._security(old, codings, tags, gone=bool(beside) and not stays)
            if new == old:
                return
        else:
            new = [*map(coding, (self.egress.level([UNREADABLE]), *tags)), *self._told(())]
        listed = b"[" + b",".join(new) + b"]"
        if meta is not None:
            yield (*start, "meta", "security"), listed if new else DROP
        else:
            yield (*start, "meta"), b'{"security":' + listed + b"}"

    def _security(
        self, raws: list[bytes], codings: list[Tree], tags: Sequence[Label], *, gone: bool
    ) -> list[bytes]:
        """The codings that leave; labels elsewhere are `gone`."""
        labels = [label for tree in codings for label in labels_of({"security": [tree]})]
        whole = self.left.union(each.label for each in self.found)
        level, levels = self.egress.level(whole), [self.egress.level_of(label) for label in labels]
        kept, tells = [], gone or bool(self.found)
        for raw, tree, label, said in zip(raws, codings, labels, levels, strict=True):
            handling = said is None and self.egress.stays(label)
            tells |= said is not None or (not handling and label in self.left)
            wanted = self.shown and label in self.left
            if said == level or (handling and label != INLINE) or (said is None and wanted):
                bases = _bases(raw) if wanted and type(tree) is dict else b""
                kept.append(raw if _is_plain(tree) else coding(label, bases))
        more = [level] if tells and level not in levels else []
        asked = dict.fromkeys((*self.egress.obligations(whole), *tags))
        more += [tag for tag in asked if tag not in labels]
        return [*kept, *map(coding, more), *self._told(labels)]

    def _told(self, known: Collection[Label]) -> Iterator[bytes]:
        """The codings of the labels that were found and are not `known`, with who found each and on what it
        rests (HL7 DS4P). A level is counted, and stands by itself."""
        for label, words in self.found:
            if label not in known and self.egress.level_of(label) is None:
                who, why = quote(self.classifier), quote(words)
                extensions = (
                    b'{"url":"' + CLASSIFIER.encode() + b'","valueReference":{"display":' + who + b"}},"
                    b'{"url":"' + RESTS_ON.encode() + b'","valueCoding":{"display":' + why + b"}}"
                )
                yield coding(label, extensions)


_PLAIN: Final = frozenset({"system", "version", "code", "display", "userSelected"})
"""A coding's own members. Its extensions may say what a label rests on."""


def _is_plain(value: Tree) -> bool:
    return type(value) is dict and value.keys() <= _PLAIN


def _bases(raw: bytes) -> bytes:
    """What the upstream says that the label `raw` rests on, if by a code: references stay behind."""
    listed = member(raw, "extension") or b"[]"
    found = [] if listed[:1] != b"[" else [(each, parse(each)) for each in elements(listed)]
    return b",".join(
        each
        for each, tree in found
        if type(tree) is dict and tree.keys() == {"url", "valueCoding"} and _is_plain(tree["valueCoding"])
        if tree["url"] == RESTS_ON
    )


def labels_in(raw: bytes) -> Iterator[Label]:
    """The labels that the resource `raw` and those in it are marked with."""
    (contained,) = members(raw, "contained")
    for each in (raw, *elements(contained or b"[]")):
        said = zip(_LABELLED, members(each, *_LABELLED), strict=True)
        resource = {name: parse(value) for name, value in said if value is not None}
        yield from labels_on(resource)


_LABELLED: Final = ("meta", "securityLabel", "confidentiality", "_confidentiality")


def coding(label: Label, extensions: bytes = b"") -> bytes:
    """A coding of the label, with the bytes of its `extensions`."""
    said = b'"system":' + quote(label.system) + b',"code":' + quote(label.code) + b"}"
    return b'{"extension":[' + extensions + b"]," + said if extensions else b"{" + said
