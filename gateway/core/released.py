"""What the ledger keeps of each version that is released: a line of `rids` (docs/formats.md, section 8).

A line says which version went, as the upstream sent it, and in words behind that whatever is not plain: by
which nodes of consents it went if not by the whole of the one that the entry names, and what of it stayed
behind. A line in one patient's entry names no nodes of another's consents.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from urllib.parse import quote

from gateway.core.consent.rule import ROOT, Consent
from gateway.core.consent.verdict import Ground
from gateway.core.fhir.candidate import Candidate, Judgement
from gateway.core.fhir.scan import Place, pointer
from gateway.core.values import ConsentRef

ConsentOf = Callable[[str], Consent | None]
"""The consent of an id, as it stood when it decided."""


def no_consent(_consent_id: str) -> None:
    """For what no consent had a part in."""


Node = tuple[str, int, str]
"""A node of a consent, as `Because` has it: the consent's id, its entry, the path."""


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of one patient's entry; `patient` None is the organisation's, which names no consents.
    `bearer` are words on who was shown the records, where the entry of a token does not say so."""

    patient: str | None
    consent_of: ConsentOf
    bearer: tuple[str, ...] = ()

    def consent(self, candidates: Collection[Candidate]) -> ConsentRef | None:
        """The entry of the patient's consent that let the first of their records go; None for one's own."""
        judgements = {id(c.judgement): c.judgement for c in candidates if c.judgement is not None}
        found = (self.named(judgement.because) for judgement in judgements.values())
        return next((ref for ref in found if ref is not None), None)

    def named(self, because: Iterable[Node]) -> ConsentRef | None:
        """The entry of the first of the nodes that is the patient's own."""
        refs = (self._ref(name, entry) for name, entry, _ in because if self._is_own(name))
        return next((ref for ref in refs if ref is not None), None)

    def text(self, candidates: Collection[Candidate], named: ConsentRef | None) -> str:
        """A line for each, sorted. `named` is the consent that the entry names."""
        # Records of one kind share a judgement, and nearly all lines are plain.
        judgements = {id(c.judgement): c.judgement for c in candidates}
        said = {key: self._decided(judgement, named) for key, judgement in judgements.items()}
        plain = not self.bearer and not any(said.values())
        lines = [
            c.facts.line if plain and not c.cuts and not c.trims else self._line(c, said[id(c.judgement)])
            for c in candidates
        ]
        return "".join(sorted(lines))

    def nodes(self, because: Iterable[Node]) -> list[str]:
        """The patient's own of the nodes, as `entry/path`."""
        return [f"{entry}/{path}" for name, entry, path in because if self._is_own(name)]

    def _line(self, candidate: Candidate, words: Iterable[str]) -> str:
        places = _places("REDACTED", candidate.cuts), _places("SUBSETTED", candidate.trims or ())
        return " ".join([candidate.facts.line.rstrip(), *self.bearer, *words, *places[0], *places[1]]) + "\n"

    def _decided(self, judgement: Judgement | None, named: ConsentRef | None) -> tuple[str, ...]:
        if judgement is None:
            return ()
        nodes, words = self.nodes(judgement.because), list[str]()
        ground = [] if judgement.reason == Ground.CONSENT else [judgement.reason]
        if ground or (nodes and (named is None or nodes != [f"{named.entry}/{ROOT}"])):
            words += ("BY", *ground, *nodes)
        over = self.nodes(judgement.overridden)
        if over:
            words += ("OVER", *over)
        if judgement.labels:
            words += ("LABELLED", *sorted(quote(label.code, safe="") for label in judgement.labels))
        return tuple(words)

    def _is_own(self, consent_id: str) -> bool:
        consent = self.consent_of(consent_id)
        return self.patient is not None and consent is not None and consent.patient == self.patient

    def _ref(self, consent_id: str, entry: int) -> ConsentRef | None:
        consent = self.consent_of(consent_id)
        refs = () if consent is None else consent.refs
        return next((ref for ref in refs if ref.entry == entry), None)


def _places(tag: str, places: Iterable[Place]) -> tuple[str, ...]:
    found = sorted(map(pointer, places))
    return (tag, *found) if found else ()
