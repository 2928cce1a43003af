"""What it costs to decide about one record, by how many consents its patient has and what they look at."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from gateway.bench.figures import Tick, quiet_collector, seconds_of
from gateway.bench.options import Options
from gateway.bench.report import Cell, Column, Table
from gateway.core.consent.evaluate import Asker, Bound, Permitted, ResourceFacts, bind
from gateway.core.consent.labels import ACT_CODE
from gateway.core.consent.rule import KINDS, Consent, Effect, Match, Node
from gateway.core.values import ConsentRef, Label, Scope

TIMES: Final = 1000
NOW_S: Final = 1_780_308_000
PATIENT: Final = "p1"
COLUMNS: Final = (
    Column("case", "consents of the patient"),
    Column("us", "µs", 1),
    Column("first_us", "the token's first: µs", 1),
)
NOTE: Final = (
    "One verdict that nothing is remembered of. The first record under a token, once in a second, costs "
    "more: the patient's consents are bound to who asks, what for and when. A verdict is remembered for "
    "records of the same type, owners and labels, unless a rule looks inside; then it costs 0.1 µs."
)
FIVE: Final = "five"
DEEP: Final = "five, three deep, with labels"
THOUSAND: Final = "a thousand, ten of them for the asker"
_MINE: Final = "client:app-1"
_ALL: Final = (Scope("patient", "*", "rs"),)
_ASKER: Final = Asker(
    frozenset({_MINE, f"{_MINE}@https://idp.example", "practitioner:prac-1", "organization:org-1"}),
    KINDS,
    purposes=("TREAT",),
)


def measure(options: Options, folder: Path, tick: Tick) -> Table:
    taken: dict[str, list[float]] = {name: [] for name in _cases()}
    first: dict[str, list[float]] = {name: [] for name in _cases()}
    for _ in range(options.turns):
        tick("deciding")
        for name, (consents, facts) in _cases().items():
            taken[name].append(_verdict_s(consents, facts, options.repeat(TIMES)))
            first[name].append(_first_s(consents, facts, options.repeat(TIMES // 10)))
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (name, statistics.median(taken[name]) * 1e6, statistics.median(first[name]) * 1e6) for name in taken
    )
    return Table("decide", "Deciding about a record", NOTE, COLUMNS, rows)


def _verdict_s(consents: tuple[Consent, ...], facts: ResourceFacts, times: int) -> float:
    """Seconds for one verdict of many, each on a kind of record that was not asked about before."""
    bound = _bound(consents)
    assert isinstance(bound.judge(facts, "r"), Permitted)
    kinds = [ResourceFacts(f"Type{n}", facts.labels, facts.patients) for n in range(times)]

    def all_of() -> None:
        for kind in kinds:
            bound.judge(kind, "r")

    with quiet_collector():
        return seconds_of(all_of) / times


def _first_s(consents: tuple[Consent, ...], facts: ResourceFacts, times: int) -> float:
    def all_of() -> None:
        for _ in range(times):
            _bound(consents).judge(facts, "r")

    with quiet_collector():
        return seconds_of(all_of) / times


def _bound(consents: tuple[Consent, ...]) -> Bound:
    return bind(lambda _: consents, _ASKER, NOW_S, None)


# --- Consents --------------------------------------------------------------------------------------


def _cases() -> Mapping[str, tuple[tuple[Consent, ...], ResourceFacts]]:
    plain = ResourceFacts("Observation", frozenset(), frozenset({PATIENT}))
    labelled = ResourceFacts("Observation", frozenset({Label(ACT_CODE, "PSY")}), frozenset({PATIENT}))
    thousand = (_to(_MINE) if n % 100 == 0 else _to(f"client:other-{n}") for n in range(1000))
    return {
        FIVE: (_numbered(_five()), plain),
        DEEP: (_numbered(_deep()), labelled),
        THOUSAND: (_numbered(thousand), plain),
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
            Node(Effect.PERMIT, Match(frozenset({_MINE}), frozenset({"TREAT"}), _ALL)),
            Node(Effect.DENY, Match(labels=frozenset({code}))),
            Node(Effect.PERMIT, Match(frozenset({"organization:org-1"}))),
            Node(Effect.DENY, Match(frozenset({"practitioner:prac-2"}))),
        )


def _to(actor: str) -> Node:
    return Node(Effect.PERMIT, Match(frozenset({actor}), frozenset({"TREAT"}), _ALL))


def _nested(*nodes: Node, path: str = "root") -> Node:
    head, *rest = nodes
    inner = (_nested(*rest, path=f"{path}.0"),) if rest else ()
    return Node(head.effect, head.match, inner, path)


def _numbered(roots: Iterable[Node]) -> tuple[Consent, ...]:
    return tuple(
        Consent(f"c{number}", PATIENT, root, refs=(ConsentRef(f"c{number}", number, "A" * 43),))
        for number, root in enumerate(roots)
    )
