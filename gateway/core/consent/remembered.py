"""What patients' consents come to for those who ask, remembered for as long as it stays so.

What is remembered answers exactly as binding anew would: it is taken for the very same consents, the same
identities and purpose, and within the span of time in which none of their periods begins or ends. After a
change only what changed is bound again. Nothing is kept of a consent that was changed or is gone, once its
patient is asked about again or `follow` was called. Used by one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway.core.consent.binding import Frame, bind_consent, passes_by
from gateway.core.consent.bound import EVER, NOTHING, Binding
from gateway.core.consent.laid import Laid, lay
from gateway.core.consent.parts import Part, part_of
from gateway.core.consent.rule import Consent
from gateway.core.consent.rules import Rules

PATIENTS: Final = 512
BINDINGS: Final = 50_000
"""How much is remembered, over all patients and askers; beyond that it forgets and starts again."""

ConsentsOf = Callable[[str], Sequence[Consent]]


class _Asking(NamedTuple):
    """All of a request that its bindings depend on, but for the time and the rules."""

    identities: frozenset[str]
    known: frozenset[str]
    settled: frozenset[str]
    purpose: str | None
    implied: bool


@dataclass(slots=True)
class _Answer:
    """The binding of each consent, by id, and what they make together."""

    bindings: dict[str, Binding] = field(default_factory=dict)
    part: Part | None = None


class Bindings:
    """`patients` and `bindings` are how many of them are remembered. They are those under one set of rules:
    other rules begin anew."""

    def __init__(self, patients: int = PATIENTS, bindings: int = BINDINGS) -> None:
        self._most_patients, self._most_bindings = patients, bindings
        self._rules: Rules | None = None
        self._patients: dict[str, _Patient] = {}
        self._held = 0

    def part(self, patient: str, consents: Sequence[Consent], frame: Frame) -> Part:
        """What the patient's `consents`, all that are to be considered, come to in the frame."""
        if self._rules is not frame.rules:
            self._forget()
            self._rules = frame.rules
        if self._held >= self._most_bindings:
            self._forget()
        known = self._patients.get(patient)
        if known is None:
            if len(self._patients) >= self._most_patients:
                self._forget()
            known = self._patients[patient] = _Patient()
        before = known.size
        known.follow(consents)
        part = known.part(frame)
        self._held += known.size - before
        return part

    def follow(self, consents_of: ConsentsOf) -> None:
        """Forget what does not belong to the consents as they are now."""
        for patient, known in list(self._patients.items()):
            before = known.size
            known.follow(consents_of(patient))
            left = known.size if known.consents else 0
            self._held += left - before
            if not known.consents:
                del self._patients[patient]

    def _forget(self) -> None:
        self._patients.clear()
        self._held = 0


class _Patient:
    """One patient's consents, those of them that nothing supersedes (by id, oldest first), and what those
    came to for each asker. `laid` is filled as they are needed."""

    def __init__(self) -> None:
        self.consents: tuple[Consent, ...] = ()
        self._standing: dict[str, Consent] = {}
        self._laid: dict[str, Laid] = {}
        self._answers: dict[_Asking, _Answer] = {}

    @property
    def size(self) -> int:
        return (len(self._standing) + 1) * len(self._answers)

    def follow(self, consents: Sequence[Consent]) -> None:
        """Take `consents` for the patient's; what was found out about others is forgotten."""
        given = tuple(consents)
        if given is self.consents:
            return
        before, self._standing = self._standing, _standing(given)
        self.consents = given
        gone = [name for name, consent in before.items() if self._standing.get(name) is not consent]
        for name in gone:
            self._laid.pop(name, None)
        for answer in self._answers.values():
            answer.part = None
            for name in gone:
                answer.bindings.pop(name, None)

    def part(self, frame: Frame) -> Part:
        asker = frame.asker
        asking = _Asking(asker.identities, asker.known, asker.settled, frame.purpose, frame.implied)
        answer = self._answers.get(asking)
        if answer is None:
            answer = self._answers[asking] = _Answer()
        if answer.part is None or not answer.part.span.includes(frame.now_s):
            bound = self._bound(answer.bindings, frame)
            answer.part = part_of(bound, contained=frame.rules.contained, implied=frame.implied)
        return answer.part

    def _bound(self, known: dict[str, Binding], frame: Frame) -> Iterator[Binding]:
        """The bindings of all that stand; what is not `known`, or no longer so, is bound and added."""
        for name, consent in self._standing.items():
            binding = known.get(name)
            if binding is None or not (binding.span is EVER or binding.span.includes(frame.now_s)):
                binding = known[name] = self._bind(consent, frame)
            yield binding

    def _bind(self, consent: Consent, frame: Frame) -> Binding:
        if passes_by(consent, frame):
            return NOTHING
        laid = self._laid.get(consent.id)
        if laid is None:
            laid = self._laid[consent.id] = lay(consent, frame.rules.labels)
        return bind_consent(laid, frame)


def _standing(consents: Sequence[Consent]) -> dict[str, Consent]:
    """Those that no other one supersedes."""
    superseded = frozenset().union(*(consent.supersedes for consent in consents))
    by_age = sorted(consents, key=lambda consent: (consent.entry, consent.id))
    return {consent.id: consent for consent in by_age if consent.id not in superseded}
