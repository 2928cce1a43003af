"""The records of one page as they leave in a study.

What stays true: what consents and labels take out of a record is taken out before it is made anew, so a study
gets no more than anybody would whom the same consents permit; ids in the answer are pseudonyms, and the order
is theirs, which tells nothing of when records came.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from typing import Final

import jiter
import msgspec

from gateway.core.fhir import codec
from gateway.core.fhir.candidate import Candidate
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.facts import Facts
from gateway.core.fhir.release import Outlines, Review, build_instance
from gateway.core.fhir.telling import Telling
from gateway.core.studies.study import Study
from gateway.core.values import Label, Ref, Shape


def leaving(
    study: Study,
    review: Review,
    visible: Set[Ref],
    outlines: Outlines,
    telling: Telling,
    bases: tuple[str, str],
) -> Review:
    """The review with the records that are left to be sent; nothing is to be taken out of them any more."""
    made = [_made(study, one, visible, outlines, telling, bases) for one in review.candidates]
    return replace(review, candidates=tuple(sorted(made, key=lambda one: one.facts.id)))


def _made(
    study: Study,
    candidate: Candidate,
    visible: Set[Ref],
    outlines: Outlines,
    telling: Telling,
    bases: tuple[str, str],
) -> Candidate:
    permitted = build_instance(candidate, visible, Shape(), outlines, telling)
    made = study.made(candidate.facts, codec.parse(permitted), bases)
    assert made is not None, "it was made when it was judged, and what a consent cuts out only makes it less"
    ident: str = made["id"]
    told = {Label(one["system"], one["code"]) for one in made["meta"]["security"]}
    levels = frozenset(label for label in told if telling.egress.level_of(label) is not None)
    facts = Facts(candidate.facts.type, ident, None, None, frozenset(), levels, "")
    return Candidate(written(made), facts)


def written(made: dict[str, Tree]) -> bytes:
    """A record that was made, as JSON; numbers have the text that they were sent with."""
    return _encode(made)


def _number(value: object) -> msgspec.Raw:
    if isinstance(value, jiter.LosslessFloat):
        return msgspec.Raw(bytes(value))
    raise TypeError("not a value of a record")


_encode: Final = msgspec.json.Encoder(enc_hook=_number).encode
