"""A resource on its way out: as it came, with what was judged of it and what of it stays behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from gateway.core.fhir import codec
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.facts import Facts
from gateway.core.fhir.scan import Place
from gateway.core.fhir.security import Basis
from gateway.core.fhir.telling import Telling
from gateway.core.values import Label

Content = Callable[[], Tree]
"""The resource's tree, parsed when a rule asks about its content."""


class Judgement(Protocol):
    """Whether one resource may be seen, and without what; `reason` is a code for what that rests on, or why
    not. `because` are the nodes that decided, `overridden` those that a broken glass passed over, each by
    consent, entry and path; `labels` those that were found, `told` those that a reader who may know is
    told of. The rest as in `Candidate`."""

    @property
    def visible(self) -> bool: ...
    @property
    def reason(self) -> str: ...
    @property
    def cuts(self) -> tuple[Place, ...]: ...
    @property
    def trims(self) -> tuple[Place, ...] | None: ...
    @property
    def left(self) -> frozenset[Label] | None: ...
    @property
    def because(self) -> Sequence[tuple[str, int, str]]: ...
    @property
    def overridden(self) -> Sequence[tuple[str, int, str]]: ...
    @property
    def labels(self) -> frozenset[Label]: ...
    @property
    def told(self) -> tuple[Basis, ...]: ...


class Candidate(NamedTuple):
    """A resource that may be released, as it came, and what of it stays behind.

    `banned` are the indexes of contained records, `cuts` the places that a consent withholds, `trims` those
    that are more than the reader's role needs (None: it keeps the type whole). `left` are the labels of what
    remains, None for those of the whole. `judgement` is what let it go.
    """

    raw: bytes
    facts: Facts
    banned: frozenset[int] = frozenset()
    cuts: tuple[Place, ...] = ()
    trims: tuple[Place, ...] | None = None
    left: frozenset[Label] | None = None
    judgement: Judgement | None = None

    @property
    def is_cut(self) -> bool:
        """Whether a consent withholds something of it."""
        return bool(self.cuts or self.banned)

    @property
    def withheld(self) -> tuple[Place, ...]:
        """The places that stay behind, for whatever reason."""
        return (*self.cuts, *(self.trims or ()))

    @property
    def is_plain(self) -> bool:
        """Whether nothing of it stays behind, and no label comes into it: so are nearly all."""
        _raw, facts, banned, cuts, trims, left, judgement = self
        if cuts or banned or trims or left is not None or facts.inline or facts.labels:
            return False
        return judgement is None or not (judgement.labels or judgement.told)

    @property
    def weighed(self) -> frozenset[Label]:
        """The labels of what is left: those that it came with, and those that were found."""
        if self.left is not None or self.judgement is None:
            return self.facts.labels if self.left is None else self.left
        return self.facts.labels | self.judgement.labels

    def found(self, telling: Telling) -> tuple[Basis, ...]:
        """The labels that were found in what is left, as far as the reader is told of them."""
        return self.judgement.told if telling.shown and self.judgement is not None else ()


def candidate_content(candidate: Candidate) -> Content:
    return lambda: codec.parse(candidate.raw)
