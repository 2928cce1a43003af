"""`meta.security` of what leaves: labels that tell what there is to hide stay behind.

The level is said if the upstream said one, or if a label that stays behind would have told it; it is that of
what is left. So a resource out of which something was cut is labelled like one that never had it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from gateway.core.fhir.codec import DROP, Edit, Tree, elements, member, quote
from gateway.core.fhir.meta import UNREADABLE, labels_of, meta_of
from gateway.core.fhir.scan import Place
from gateway.core.values import Label

OBSERVATION_VALUE: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
REDACTED: Final = Label(OBSERVATION_VALUE, "REDACTED")
"""Elements were removed because a consent withholds them."""
INLINE: Final = Label("http://terminology.hl7.org/CodeSystem/v3-ActCode", "PROCESSINLINELABEL")
"""Says that single elements have labels of their own, which stay behind with the others."""


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
    """`left` are the labels of what is left of a resource; `shown`: the reader may know them."""

    egress: Egress
    left: frozenset[Label]
    shown: bool

    def edits(self, raw: bytes, tree: dict[str, Tree], tags: Sequence[Label]) -> Iterator[tuple[Place, Edit]]:
        """What becomes of the labels in the resource `raw`, parsed as `tree`, and in those it contains. The
        labels `tags` are added to its own."""
        yield from self._of((), raw, tree, tags)
        listed = tree.get("contained")
        inner = elements(member(raw, "contained") or b"[]") if type(listed) is list else []
        for index, (part, resource) in enumerate(zip(inner, listed or (), strict=True)):
            if type(resource) is dict and "meta" in resource:
                own = replace(self, left=labels_of(meta_of(resource)) & self.left)
                yield from own._of(("contained", index), part, resource, ())

    def _of(
        self, start: Place, raw: bytes, tree: dict[str, Tree], tags: Sequence[Label]
    ) -> Iterator[tuple[Place, Edit]]:
        meta = member(raw, "meta")
        security = None if meta is None else member(meta, "security")
        codings = [] if security is None else tree["meta"]["security"]
        if type(codings) is list:
            old = [] if security is None else elements(security)
            new = self._security(old, codings, tags)
            if new == old:
                return
        else:
            new = [_coding(label) for label in (self.egress.level([UNREADABLE]), *tags)]
        listed = b"[" + b",".join(new) + b"]"
        if meta is not None:
            yield (*start, "meta", "security"), listed if new else DROP
        else:
            yield (*start, "meta"), b'{"security":' + listed + b"}"

    def _security(self, raws: list[bytes], codings: list[Tree], tags: Sequence[Label]) -> list[bytes]:
        labels = [label for coding in codings for label in labels_of({"security": [coding]})]
        level, levels = self.egress.level(self.left), [self.egress.level_of(label) for label in labels]
        kept, tells = [], False
        for raw, coding, label, said in zip(raws, codings, labels, levels, strict=True):
            handling = said is None and self.egress.stays(label)
            tells |= said is not None or (not handling and label in self.left)
            wanted = self.shown and label in self.left
            if said == level or (handling and label != INLINE) or (said is None and wanted):
                plain = type(coding) is dict and coding.keys() <= _PLAIN
                kept.append(raw if plain else _coding(label))
        added = [level] if tells and level not in levels else []
        added += [tag for tag in (*self.egress.obligations(self.left), *tags) if tag not in labels]
        return [*kept, *map(_coding, added)]


_PLAIN: Final = frozenset({"system", "version", "code", "display", "userSelected"})
"""A coding's own members. Its extensions may say what a label rests on."""


def _coding(label: Label) -> bytes:
    return b'{"system":' + quote(label.system) + b',"code":' + quote(label.code) + b"}"
