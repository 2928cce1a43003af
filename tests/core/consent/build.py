"""Short ways to write rules, askers and records in tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from gateway.core.consent.evaluate import Asker, Because, Bound, Refused, ResourceFacts, Rules, Verdict, bind
from gateway.core.consent.labels import ACT_CODE, CONFIDENTIALITY, LEVELS
from gateway.core.consent.rule import (
    ALWAYS,
    KINDS,
    Consent,
    DataRef,
    Effect,
    Match,
    Node,
    Period,
    State,
    walk,
)
from gateway.core.consent.verdict import UNKNOWN, Content
from gateway.core.values import ConsentRef, Label, Scope, Term

NOW_S = 1_780_308_000  # 2026-06-01T10:00:00Z
HASH = "A" * 43
APP = "client:app-1"
OPT_IN = Rules()


def scope(text: str) -> Scope:
    """`patient/Type.ops` with constraints written `?name=value&...`; a stand-in for the SMART parser."""
    head, _, query = text.partition("?")
    kind, _, operations = head.removeprefix("patient/").partition(".")
    terms = (part.partition("=") for part in query.split("&") if part)
    constraints = tuple(Term(name, tuple(value.split(","))) for name, _, value in terms)
    return Scope("patient", kind, operations, constraints, text)


def match(
    actors: str = "", purposes: str = "", scopes: str = "", labels: str = "", period: Period = ALWAYS
) -> Match:
    return Match(
        frozenset(actors.split()),
        frozenset(purposes.split()),
        tuple(map(scope, scopes.split())),
        frozenset(labels.split()),
        period,
    )


def permit(*exceptions: Node, **dimensions: str | Period) -> Node:
    return _node(Effect.PERMIT, exceptions, dimensions)


def deny(*exceptions: Node, **dimensions: str | Period) -> Node:
    return _node(Effect.DENY, exceptions, dimensions)


def _node(effect: Effect, exceptions: Sequence[Node], dimensions: dict[str, str | Period]) -> Node:
    return placed(Node(effect, match(**dimensions)), exceptions)  # type: ignore[arg-type]


def placed(node: Node, exceptions: Sequence[Node], path: str = "root") -> Node:
    """The node with these exceptions, all paths set anew."""
    inner = tuple(placed(e, e.exceptions, f"{path}.{number}") for number, e in enumerate(exceptions))
    return Node(node.effect, node.match, inner, path)


def consents(*roots: Node | Consent, patient: str = "p1") -> tuple[Consent, ...]:
    """Consents `c0`, `c1` ... of one patient, at the entries 0, 1 ..."""
    made = []
    for number, root in enumerate(roots):
        consent = root if isinstance(root, Consent) else Consent(f"c{number}", patient, root)
        made.append(replace(consent, id=f"c{number}", refs=(ConsentRef(f"c{number}", number, HASH),)))
    return tuple(made)


def rule(
    root: Node,
    *,
    period: Period = ALWAYS,
    supersedes: Iterable[str] = (),
    state: State = State.LIVE,
    patient: str = "p1",
) -> Consent:
    return Consent("draft", patient, root, period, frozenset(supersedes), (), state)


def asker(
    identities: str = APP, purposes: str = "TREAT", *, known: Iterable[str] = KINDS, me: str | None = None
) -> Asker:
    return Asker(frozenset(identities.split()), frozenset(known), me, tuple(purposes.split()))


def label(text: str) -> Label:
    """A level or a code of v3-ActCode, or `system|code`."""
    system, bar, code = text.rpartition("|")
    if bar:
        return Label(system, code)
    return Label(CONFIDENTIALITY if text in tuple(LEVELS) else ACT_CODE, text)


@dataclass(frozen=True)
class Told:
    """Content of which each answer is given: terms by name, codes and classes by code, periods and related
    records by themselves. What is not given cannot be told."""

    terms: dict[str, bool | None] = field(default_factory=dict)
    codes: dict[str, bool | None] = field(default_factory=dict)
    primary: dict[str, bool | None] = field(default_factory=dict)
    classes: dict[str, bool | None] = field(default_factory=dict)
    inside: dict[Period, bool | None] = field(default_factory=dict)
    overlaps: dict[Period, bool | None] = field(default_factory=dict)
    related: dict[DataRef, bool | None] = field(default_factory=dict)

    def holds(self, term: Term) -> bool | None:
        return self.terms.get(term.name)

    def has_code(self, code: Label, *, primary: bool) -> bool | None:
        return (self.primary if primary else self.codes).get(code.code)

    def is_class(self, kind: Label) -> bool | None:
        return self.classes.get(kind.code)

    def within(self, period: Period) -> bool | None:
        return self.inside.get(period)

    def touches(self, period: Period) -> bool | None:
        return self.overlaps.get(period)

    def relates(self, data: DataRef) -> bool | None:
        return self.related.get(data)


@dataclass(frozen=True)
class Terms(Told):
    """Content whose constraints are answered by a function."""

    answer: Callable[[Term], bool | None] = lambda _: None

    def holds(self, term: Term) -> bool | None:
        return self.answer(term)


def record(
    kind: str = "Observation",
    labels: str = "",
    patients: str = "p1",
    holds: Callable[[Term], bool | None] | None = None,
    content: Content = UNKNOWN,
) -> ResourceFacts:
    inside = content if holds is None else Terms(answer=holds)
    return ResourceFacts(
        kind, frozenset(map(label, labels.split())), frozenset(patients.split()), "1", inside
    )


def bound(
    given: Sequence[Consent],
    who: Asker | None = None,
    *,
    now_s: int = NOW_S,
    only: frozenset[str] | None = None,
    contained: bool = False,
    rules: Rules = OPT_IN,
) -> Bound:
    def of(patient: str) -> list[Consent]:
        return [consent for consent in given if consent.patient == patient]

    return bind(of, who or asker(), now_s, only, replace(rules, contained=rules.contained or contained))


def outcome(verdict: Verdict) -> str:
    """`permit`, or the code of the refusal."""
    return verdict.reason.value if isinstance(verdict, Refused) else "permit"


def nodes(given: Iterable[Consent]) -> dict[Because, Node]:
    """Every node of the consents, as a verdict would name it."""
    return {
        Because(consent.id, consent.entry, node.path): node
        for consent in given
        for node in walk(consent.root)
    }
