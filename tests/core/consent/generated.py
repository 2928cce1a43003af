"""Strategies for consents, askers, records and rules: every dimension, few values, so that they meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from hypothesis import settings
from hypothesis import strategies as st

from gateway.core.consent.evaluate import Asker, ResourceFacts, Rules
from gateway.core.consent.labels import CONFIDENTIALITY
from gateway.core.consent.rule import (
    ACTIONS,
    ALWAYS,
    KINDS,
    RESOURCE_TYPES,
    Consent,
    DataRef,
    Effect,
    Match,
    Node,
    Period,
    State,
)
from gateway.core.consent.rules import Implicit
from gateway.core.consent.verdict import BreakGlass
from gateway.core.values import ConsentRef, Label, Ref
from tests.core.consent.build import HASH, NOW_S, Told, label, placed, scope

ACTORS: Final = (
    "client:a", "client:b", "organization:o", "practitioner:d", "group:g", "role:clinician", "relative:m",
)  # fmt: skip
CUSTODIANS: Final = ("organization:h", "organization:k")
PURPOSES: Final = ("TREAT", "ETREAT", "HRESCH", "HPAYMT", "BTG")
SCOPES: Final = (
    "patient/*.rs", "patient/Observation.rs", "patient/Observation.r", "patient/Condition.s",
    "patient/Observation.rs?code=1", "patient/*.rs?code=1&status=2",
)  # fmt: skip
CODES: Final = ("N", "R", "V", "HIV", "SUD", "ETHUD", "42CFRPart2", "https://x.example|Z")
FOREIGN: Final = label("https://y.example|Q")
ODD: Final = (Label("", ""), label("hiv"), Label(CONFIDENTIALITY, "NR"), Label("", "Hiv "))
LAWFUL: Final = (label("LEGALHOLD"), label("HIPAASelfPay"))
CLASSES: Final = (
    Label(RESOURCE_TYPES, "Observation"), Label(RESOURCE_TYPES, "Condition"), Label("urn:ietf:rfc:3986", "p"),
)  # fmt: skip
CODINGS: Final = (Label("http://loinc.org", "1-1"), Label("http://loinc.org", "2-2"))
PAST: Final = Period(None, NOW_S - 100_000)
DATA: Final = (DataRef("instance", Ref("Observation", "1")), DataRef("related", Ref("Encounter", "5")))
PERIODS: Final = st.sampled_from([*[ALWAYS] * 6, Period(NOW_S), Period(NOW_S + 1), Period(None, NOW_S - 1)])
THREE: Final = st.sampled_from([True, False, None])


def law(times: int = 2) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A law is tried on `times` as many examples as the profile says."""
    return settings(max_examples=times * settings().max_examples)


def some(values: Sequence[Any], most: int = 2) -> st.SearchStrategy[frozenset[Any]]:
    return st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from(values), max_size=most))


def rare(values: Sequence[Any]) -> st.SearchStrategy[frozenset[Any]]:
    """Mostly none: a rule with a value in each dimension applies to nothing."""
    return st.integers(0, 5).flatmap(
        lambda chance: (
            st.frozensets(st.sampled_from(values), min_size=1, max_size=2)
            if chance == 5
            else st.just(frozenset())
        )
    )


MATCHES: Final = st.builds(
    Match,
    actors=some(ACTORS, 3),
    purposes=rare(PURPOSES),
    scopes=rare(SCOPES).map(lambda texts: tuple(map(scope, sorted(texts)))),
    labels=rare(CODES),
    period=PERIODS,
    custodians=rare(CUSTODIANS),
    actions=rare(sorted(ACTIONS)),
    classes=rare(CLASSES),
    codes=rare(CODINGS),
    data_period=st.sampled_from([None, None, None, PAST]),
    data=rare(DATA),
    opaque=st.sampled_from([False, False, False, False, True]),
)


def trees(effects: st.SearchStrategy[Effect]) -> st.SearchStrategy[Node]:
    leaves = st.builds(Node, effects, MATCHES)
    deeper = st.recursive(
        leaves,
        lambda inner: st.builds(placed, leaves, st.lists(inner, min_size=1, max_size=2)),
        max_leaves=5,
    )
    return st.one_of(leaves, deeper)


TREES: Final = trees(st.sampled_from(Effect))
RARELY: Final = st.integers(0, 9).map(lambda chance: chance == 9)


@st.composite
def consent_lists(draw: st.DrawFn, most: int = 4) -> list[Consent]:
    made = []
    for number in range(draw(st.integers(0, most))):
        name = f"c{number}"
        earlier = [f"c{before}" for before in range(number)]
        made.append(
            Consent(
                name,
                draw(st.sampled_from(["p1", "p1", "p1", "p2"])),
                draw(TREES),
                draw(PERIODS),
                draw(st.frozensets(st.sampled_from(earlier), max_size=1)) if earlier else frozenset(),
                (ConsentRef(name, number, HASH),),
                draw(st.sampled_from([*[State.LIVE] * 6, *State])),
                indeterminate=draw(RARELY),
                malformed=draw(RARELY),
            )
        )
    return made


ASKERS: Final = st.builds(
    Asker,
    some(ACTORS, 3),
    st.one_of(
        st.just(KINDS), st.frozensets(st.sampled_from(sorted(KINDS))).map(lambda kinds: kinds | {"client"})
    ),
    st.sampled_from([*[None] * 9, "p1"]),
    st.sampled_from([("TREAT",), ("TREAT",), ("ETREAT",), ("HRESCH",), ("TREAT", "HPAYMT"), ("COC",), ()]),
    patient=st.sampled_from(["p1", "p1", "p1", None]),
    settled=st.sampled_from([frozenset(), frozenset({"group:g"})]),
)
GLASSES: Final = st.sampled_from(
    [
        *[None] * 9,
        *[BreakGlass("p1", "r", NOW_S + 1)] * 3,
        BreakGlass("p1", "r", NOW_S),
        BreakGlass("p2", "r", NOW_S + 1),
    ]
)
RULES: Final = st.builds(
    Rules,
    st.sampled_from([*Implicit, Implicit.ALL_NORMAL]),
    st.booleans(),
    st.sampled_from([None, frozenset({"organization:h"})]),
)
CONTENTS: Final = st.builds(
    Told,
    terms=st.fixed_dictionaries({"code": THREE, "status": THREE}),
    codes=st.fixed_dictionaries({"1-1": THREE, "2-2": THREE}),
    classes=st.fixed_dictionaries({"p": THREE}),
    related=st.fixed_dictionaries(dict.fromkeys(DATA, THREE)),
).flatmap(
    # What stands in the elements that say what a record is stands in it; what is inside a period overlaps it.
    lambda told: st.sampled_from([False, None, True]).map(
        lambda value: Told(
            told.terms,
            told.codes,
            {code: held if value is not False else False for code, held in told.codes.items()},
            told.classes,
            {PAST: value},
            {PAST: value},
            told.related,
        )
    )
)
RECORDS: Final = st.builds(
    ResourceFacts,
    st.sampled_from(["Observation", "Condition"]),
    st.one_of(
        st.just(frozenset()),
        st.frozensets(st.sampled_from([*map(label, CODES), FOREIGN, label("MASK")]), max_size=2),
        st.frozensets(st.sampled_from([*map(label, CODES), FOREIGN, *ODD, *LAWFUL]), max_size=3),
    ),
    st.sampled_from([*[frozenset({"p1"})] * 6, frozenset({"p1", "p2"}), frozenset()]),
    st.just("1"),
    CONTENTS,
)
OPERATIONS: Final = st.sampled_from("rrssu")
ONLY: Final = st.one_of(st.none(), st.none(), st.frozensets(st.sampled_from(["c0", "c1", "c2", "c3"])))
