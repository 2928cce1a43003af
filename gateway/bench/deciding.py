"""What it costs to decide about one record, by how many consents its patient has and what they look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from gateway.bench.figures import Tick, median_of, quiet_collector, seconds_of
from gateway.bench.options import Options
from gateway.bench.report import Cell, Column, Table
from gateway.core.consent.evaluate import Asker, Permitted, ResourceFacts, bind
from gateway.core.consent.labels import ACT_CODE
from gateway.core.consent.remembered import Bindings
from gateway.core.consent.rule import KINDS, Consent, Effect, Match, Node
from gateway.core.values import ConsentRef, Label, Scope

TIMES: Final = 200
MANY: Final = 100
"""How often each is timed in one turn; a tenth as often with more than that many consents."""
NOW_S: Final = 1_780_308_000
PATIENT: Final = "p1"
COLUMNS: Final = (
    Column("case", "consents of the patient"),
    Column("us", "µs", 1),
    Column("first_us", "the asker's first: µs", 1),
    Column("again_us", "another token or second: µs", 1),
    Column("changed_us", "one changed: µs", 1),
)
NOTE: Final = (
    "One verdict that nothing is remembered of; for records of the same type, owners and labels it is, "
    "unless a rule looks inside: then it costs 0.1 µs. The first decision costs more, for it asks also "
    "whether any of the type may be seen, and whether labels count. For *the asker's first* all consents of "
    "the patient are bound to who asks, what for and when. That is remembered while no period begins or "
    "ends: for *another token or second* nothing is bound, after a change only what changed."
)
FIVE: Final = "five"
DEEP: Final = "five, three deep, with labels"
THOUSAND: Final = "a thousand, ten of them for the asker"
ALL: Final = "a thousand, all for the asker"
_MINE: Final = "client:app-1"
_EVERYTHING: Final = (Scope("patient", "*", "rs"),)
_ASKER: Final = Asker(
    frozenset({_MINE, f"{_MINE}@https://idp.example", "practitioner:prac-1", "organization:org-1"}),
    KINDS,
    purposes=("TREAT",),
)


def measure(options: Options, folder: Path, tick: Tick) -> Table:
    timed = (_verdict_s, _first_s, _again_s, _changed_s)
    taken: dict[str, list[list[float]]] = {name: [] for name in _cases()}
    for _ in range(options.turns):
        tick("deciding")
        for name, (consents, facts) in _cases().items():
            times = options.repeat(TIMES // 10 if len(consents) > MANY else TIMES)
            taken[name].append([seconds(consents, facts, times) for seconds in timed])
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (name, *(seconds * 1e6 for seconds in median_of(turns))) for name, turns in taken.items()
    )
    return Table("decide", "Deciding about a record", NOTE, COLUMNS, rows)


def _verdict_s(consents: tuple[Consent, ...], facts: ResourceFacts, times: int) -> float:
    """Seconds for one verdict of many, each on a kind of record that was not asked about before."""
    bound = bind(lambda _: consents, _ASKER, NOW_S, None)
    assert isinstance(bound.judge(facts, "r"), Permitted)
    kinds = [ResourceFacts(f"Type{n}", facts.labels, facts.patients) for n in range(times)]

    def all_of() -> None:
        for kind in kinds:
            bound.judge(kind, "r")

    with quiet_collector():
        return seconds_of(all_of) / times


def _first_s(consents: tuple[Consent, ...], facts: ResourceFacts, times: int) -> float:
    """Seconds for the first decision of all."""
    return _decisions_s([consents] * times, facts, None)


def _again_s(consents: tuple[Consent, ...], facts: ResourceFacts, times: int) -> float:
    """Seconds for the first decision in another second."""
    return _decisions_s([consents] * times, facts, Bindings())


def _changed_s(consents: tuple[Consent, ...], facts: ResourceFacts, times: int) -> float:
    """Seconds for the first decision after one of the consents changed."""
    changed, *others = consents
    refs = [*changed.refs, ConsentRef(changed.id, len(consents), changed.refs[0].hash)]
    both = (consents, (replace(changed, refs=tuple(refs)), *others))
    return _decisions_s([both[n % 2] for n in range(times)], facts, Bindings())


def _decisions_s(
    states: Sequence[tuple[Consent, ...]], facts: ResourceFacts, known: Bindings | None
) -> float:
    """Seconds for one of the first decisions in as many seconds, each under consents in their state; `known`
    remembers from one to the next."""

    def decide(number: int, consents: tuple[Consent, ...]) -> None:
        bound = bind(lambda _: consents, _ASKER, NOW_S + number, None, bindings=known)
        bound.may_permit(PATIENT, facts.type, "r")
        bound.label_sensitive(PATIENT)
        bound.judge(facts, "r")

    def all_of() -> None:
        for number, consents in enumerate(states):
            decide(number, consents)

    decide(0, states[-1])
    with quiet_collector():
        return seconds_of(all_of) / len(states)


# --- Consents --------------------------------------------------------------------------------------


def _cases() -> Mapping[str, tuple[tuple[Consent, ...], ResourceFacts]]:
    plain = ResourceFacts("Observation", frozenset(), frozenset({PATIENT}))
    labelled = ResourceFacts("Observation", frozenset({Label(ACT_CODE, "PSY")}), frozenset({PATIENT}))
    thousand = (_to(_MINE if n % 100 == 0 else f"client:other-{n}") for n in range(1000))
    return {
        FIVE: (_numbered(_five()), plain),
        DEEP: (_numbered(_deep()), labelled),
        THOUSAND: (_numbered(thousand), plain),
        ALL: (_numbered(_to(_MINE) for _ in range(1000)), plain),
    }


def _five() -> Iterable[Node]:
    yield _to(_MINE)
    yield _to("organization:org-1")
    yield _to("client:app-2")
    yield Node(Effect.DENY, Match(frozenset({"organization:org-2"})))
    yield Node(Effect.DENY, Match(frozenset({"practitioner:prac-1"}), frozenset({"HRESCH"})))


def _deep() -> Iterable[Node]:
    """Each denies a sensitivity to all but an organisation, and of that to one practitioner."""
    for code in ("PSY", "HIV", "SUD", "SDV", "STD"):
        yield _nested(
            Node(Effect.PERMIT, Match(frozenset({_MINE}), frozenset({"TREAT"}), _EVERYTHING)),
            Node(Effect.DENY, Match(labels=frozenset({code}))),
            Node(Effect.PERMIT, Match(frozenset({"organization:org-1"}))),
            Node(Effect.DENY, Match(frozenset({"practitioner:prac-2"}))),
        )


def _to(actor: str) -> Node:
    return Node(Effect.PERMIT, Match(frozenset({actor}), frozenset({"TREAT"}), _EVERYTHING))


def _nested(*nodes: Node, path: str = "root") -> Node:
    head, *rest = nodes
    inner = (_nested(*rest, path=f"{path}.0"),) if rest else ()
    return Node(head.effect, head.match, inner, path)


def _numbered(roots: Iterable[Node]) -> tuple[Consent, ...]:
    return tuple(
        Consent(f"c{number}", PATIENT, root, refs=(ConsentRef(f"c{number}", number, "A" * 43),))
        for number, root in enumerate(roots)
    )
