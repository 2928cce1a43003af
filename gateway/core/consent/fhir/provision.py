"""One provision of a Consent, and all below it, as nodes of a rule.

Within a provision the elements all hold, the repetitions of one are alternatives. That is so for purposes
too, whatever the text of FHIR's binding says: IHE PCF, and every engine there is, reads them so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.core.consent.fhir import codes
from gateway.core.consent.fhir.actors import actors, literal
from gateway.core.consent.fhir.classes import kind_of_record
from gateway.core.consent.fhir.element import Element
from gateway.core.consent.fhir.shape import Shape
from gateway.core.consent.fhir.terms import Terms
from gateway.core.consent.fhir.times import period
from gateway.core.consent.purposes import BREAK_GLASS, PURPOSES
from gateway.core.consent.rule import (
    ALWAYS,
    MAX_DEPTH,
    MEANINGS,
    DataRef,
    Effect,
    Match,
    Node,
)
from gateway.core.consent.rule import Period as Span
from gateway.core.values import Label

_FLIPPED: Final = {Effect.PERMIT: Effect.DENY, Effect.DENY: Effect.PERMIT}
_DEEPEST: Final = MAX_DEPTH - 1  # a base policy may put a node above the root
_DATA: Final = frozenset({"meaning", "reference"})


@dataclass(frozen=True, slots=True)
class Provisions:
    """Reads provisions of one release."""

    shape: Shape
    terms: Terms

    def node(self, at: Element, effect: Effect, path: str, window: Span) -> Node:
        """The node of a provision. `window` is the time in which any of it can apply; the period of a root
        is the consent's and no part of its node."""
        at.only(self.shape.provision)
        denies = effect is Effect.DENY
        own = ALWAYS if path == "root" else self._period(at, window, denies)
        who = actors(at.each("actor"), self.terms.bases, denies=denies, flat=self.shape.flat)
        data_period = at.one("dataPeriod")
        match = Match(
            actors=who.requesters,
            custodians=who.custodians,
            purposes=frozenset(_purposes(at, denies)),
            labels=frozenset(_labels(at)),
            period=own,
            actions=frozenset(_actions(at)),
            classes=frozenset(self._classes(at)),
            codes=frozenset(code for each in at.each("code") for code in codes.concept(each)),
            data_period=None if data_period is None else period(data_period, inwards=not denies),
            data=frozenset(self._data(at)),
            opaque=_is_opaque(at),
        )
        return Node(effect, match, self.exceptions(at, effect, path, window), path)

    def exceptions(self, at: Element, effect: Effect, path: str, window: Span) -> tuple[Node, ...]:
        """The nodes of the provisions that `at` has, below a node of this effect and path."""
        below = at.each("provision")
        if below and path.count(".") >= _DEEPEST:
            at.refuse(f"is nested more than {_DEEPEST} deep", "provision")
            return ()
        return tuple(
            self.node(each, self._effect(each, effect), f"{path}.{number}", window)
            for number, each in enumerate(below)
        )

    def _effect(self, at: Element, above: Effect) -> Effect:
        """R4 has it in every nested provision, in R5 each negates the level above."""
        if self.shape.flat:
            return _FLIPPED[above]
        stated = stated_effect(at, "type")
        if stated is None and "type" not in at.tree:
            at.refuse("is missing, and every nested provision needs one", "type")
        return stated or Effect.DENY

    def _period(self, at: Element, window: Span, denies: bool) -> Span:
        inner = at.one("period")
        if inner is None:
            return ALWAYS
        own = period(inner, inwards=not denies) or ALWAYS
        if _apart(own, window):
            inner.warn("lies outside the consent's own period, so this provision never applies")
        elif not _inside(own, window) and not denies:
            inner.warn("reaches beyond the consent's own period, which ends what it permits")
        return own

    def _classes(self, at: Element) -> Iterator[Label]:
        named = {name: at.each(name) for name in self.shape.classes}
        if all(named.values()) and len(named) > 1:
            at.refuse("cannot be kept beside documentType: give each a provision of its own", "resourceType")
        for name, several in named.items():
            for each in several:
                found = kind_of_record(each, self.terms.types, type_alone=name == "resourceType")
                if found is not None:
                    yield found

    def _data(self, at: Element) -> Iterator[DataRef]:
        for each in at.each("data"):
            each.only(_DATA)
            meaning, reference = each.text("meaning"), each.one("reference")
            if meaning not in MEANINGS:
                each.refuse("is not instance, related, dependents or authoredby", "meaning")
            if reference is None:
                each.refuse("is missing", "reference")
                continue
            ref = literal(reference, self.terms.bases)
            if ref is not None and ref.type not in self.terms.types:
                reference.refuse("names no resource type of this release", "reference")
            elif ref is not None and meaning in MEANINGS:
                yield DataRef(meaning, ref)


def stated_effect(at: Element, name: str) -> Effect | None:
    """The effect that a code stands for; None if it is absent, or a problem."""
    text = at.text(name)
    if text is None:
        return None
    if text not in ("permit", "deny"):
        at.refuse("is neither permit nor deny", name)
        return None
    return Effect(text)


def _purposes(at: Element, denies: bool) -> Iterator[str]:
    for each in at.each("purpose"):
        found = codes.coding(each)
        if found is None:
            continue
        if found.system != codes.ACT_REASON or found.code not in PURPOSES.codes:
            each.refuse("is not a purpose of use of v3-ActReason")
            continue
        if found.code == BREAK_GLASS and not denies:
            each.warn("permits nothing by itself: break-glass access is opened by its own rules")
        yield found.code


def _labels(at: Element) -> Iterator[str]:
    for each in at.each("securityLabel"):
        found = codes.coding(each)
        if found is None:
            continue
        text, reason = codes.label_text(found), codes.not_a_label(found)
        if text is None:
            each.refuse("is a label of a form that cannot be kept")
        elif reason is not None:
            each.refuse(reason)
        else:
            yield text


def _actions(at: Element) -> Iterator[str]:
    for each in at.each("action"):
        said = codes.concept(each)
        found = codes.action(said)
        if codes.differ(said):
            each.refuse(codes.DIFFER)
        elif found is not None:
            yield found
        elif "coding" in each.tree:
            each.refuse("is not an action of consentaction: access, collect, correct, disclose or use")


def _is_opaque(at: Element) -> bool:
    if "expression" not in at.tree:
        return False
    at.warn(
        "is not evaluated: what it limits is not permitted, and what it denies is all denied", "expression"
    )
    return True


def _apart(own: Span, window: Span) -> bool:
    late = window.until_s is not None and own.from_s is not None and own.from_s > window.until_s
    early = window.from_s is not None and own.until_s is not None and own.until_s < window.from_s
    return late or early


def _inside(own: Span, window: Span) -> bool:
    ends = window.until_s is None or (own.until_s is not None and own.until_s <= window.until_s)
    begins = window.from_s is None or (own.from_s is not None and own.from_s >= window.from_s)
    return ends and begins
