"""Consents as FHIR: what is written reads back as the same rule, and decides as it did."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from fhir.resources.consent import Consent as R5Consent
from fhir.resources.R4B.consent import Consent as R4BConsent
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.consent.fhir.plain import plain
from gateway.core.consent.fhir.terms import Read
from gateway.core.consent.fhir.write import Fits, Misfit, write
from gateway.core.consent.rule import (
    ACTIONS,
    ALWAYS,
    PROFILES,
    RESOURCE_TYPES,
    Consent,
    DataRef,
    Effect,
    Match,
    Node,
    Period,
    State,
)
from gateway.core.consent.verdict import Reason, Refused
from gateway.core.fhir.catalogue import Release
from gateway.core.values import Label, Ref
from tests.core.consent.build import NOW_S, asker, bound, consents, deny, permit, record, rule, scope
from tests.core.consent.build import outcome as outcome_of
from tests.core.consent.fhir.said import cases, outcome, said

RELEASES: tuple[Release, ...] = ("R4", "R4B", "R5")
MODELS: dict[Release, Any] = {"R4": R4BConsent, "R4B": R4BConsent, "R5": R5Consent}


def fitted(consent: Consent, release: Release) -> dict[str, Any]:
    """The resource of a consent that fits; FHIR's own models take it."""
    made = write(consent, release)
    assert isinstance(made, Fits), made
    MODELS[release].model_validate_json(json.dumps(made.tree))
    return made.tree


def back(tree: dict[str, Any], release: Release) -> Consent:
    found = outcome(release, tree)
    assert isinstance(found, Read), found
    return found.consent


# --- Round trips -----------------------------------------------------------------------------------

_ACTORS = ["client:app-1", "client:app-1@https://idp.example", "organization:org-a", "practitioner:dr-1",
           "patient:pat-b", "relative:mother", "group:er", "careteam:ct", "device:d", "practitionerrole:pr",
           "role:clinician", "role:http://snomed.info/sct|106289002"]  # fmt: skip
_LABELS = ["HIV", "R", "N", "https://labels.example|VIP", "http://hl7.org/fhir/v3/ActCode|PSY"]
_CLASSES = [Label(RESOURCE_TYPES, "Observation"), Label(RESOURCE_TYPES, "Condition"),
            Label("http://loinc.org", "34133-9"), Label(PROFILES, "https://profiles.example/bp")]  # fmt: skip
_CODES = [Label("http://loinc.org", "8480-6"), Label("urn:oid:2.16.840.1.113883.6.1", "5221-7")]
_DATA = [DataRef("instance", Ref("Observation", "o")), DataRef("related", Ref("Encounter", "e"))]


def some(values: list[Any]) -> st.SearchStrategy[frozenset[Any]]:
    return st.frozensets(st.sampled_from(values), max_size=2)


def periods(always: Period | None) -> st.SearchStrategy[Any]:
    days = st.integers(-10, 10).map(lambda day: NOW_S + day * 86_400)
    one = st.builds(Period, from_s=days) | st.builds(Period, until_s=days)
    both = st.tuples(days, days).map(lambda ends: Period(min(ends), max(ends)))
    return st.just(always) | one | both


def matches(root: bool = False) -> st.SearchStrategy[Match]:
    return st.builds(
        Match,
        actors=some(_ACTORS),
        purposes=some(["TREAT", "HPAYMT", "HRESCH", "BTG"]),
        labels=some(_LABELS),
        period=st.just(ALWAYS) if root else periods(ALWAYS),
        custodians=some(["organization:org-a", "organization:org-b"]),
        actions=some(sorted(ACTIONS)),
        classes=some(_CLASSES),
        codes=some(_CODES),
        data_period=periods(None),
        data=some(_DATA),
    )


@st.composite
def nodes(draw: st.DrawFn, path: str = "root", flat: bool = False, effect: Effect | None = None) -> Node:
    own = effect or draw(st.sampled_from(Effect))
    match = Match() if flat and path == "root" else draw(matches(path == "root"))
    if own is Effect.DENY:
        match = replace(match, actors=match.actors | match.custodians)
    below = draw(st.integers(0, 2)) if path.count(".") < 3 else 0
    other = next(each for each in Effect if each is not own)
    inner = tuple(draw(nodes(f"{path}.{number}", flat, other if flat else None)) for number in range(below))
    return Node(own, match, inner, path)


@st.composite
def rules(draw: st.DrawFn, flat: bool) -> Consent:
    root, period = draw(nodes(flat=flat)), draw(periods(ALWAYS))
    return Consent("c-1", "pat-a", root, period, grantor="Patient/pat-a")


@given(rules(flat=False))
def test_what_is_written_in_r4_reads_back_the_same(consent: Consent) -> None:
    if any(actor.startswith("role:") for actor in consent.grantees):
        return
    assert back(fitted(consent, "R4"), "R4") == plain(consent)


@given(rules(flat=True))
def test_what_is_written_in_r5_reads_back_the_same(consent: Consent) -> None:
    if isinstance(write(consent, "R5"), Misfit):
        return
    assert back(fitted(consent, "R5"), "R5") == plain(consent)


@given(rules(flat=True) | rules(flat=False), st.sampled_from(RELEASES))
def test_a_consent_is_written_whole_or_what_is_left_is_said(consent: Consent, release: Release) -> None:
    match write(consent, release):
        case Fits(tree):
            assert back(tree, release) == plain(consent)
        case Misfit(problems):
            assert problems


@pytest.mark.parametrize(
    "case",
    [case for case in [*cases("r4"), *cases("r5")] if not case.get("settings")],
    ids=lambda case: f"{case['release']} {case['name']}",
)
def test_what_came_in_goes_out_and_in_again_the_same(case: dict[str, Any]) -> None:
    first = back(case["consent"], case["release"])
    made = write(first, case["release"])
    if isinstance(made, Misfit):
        # R5's root has no limits, its levels alternate, and an expression is not kept.
        assert case["release"] == "R5"
        words = " ".join(problem.text for problem in made.problems)
        assert "limits of its own" in words or "an expression" in words or "only the other" in words
        return
    tree = fitted(first, case["release"])
    again = back({"performer": None, "grantor": None, **tree}, case["release"])
    assert again == first
    assert fitted(again, case["release"]) == tree


# --- Scopes ----------------------------------------------------------------------------------------

SAID = [
    (permit(scopes="patient/*.cruds"), "permit{}"),
    (permit(scopes="patient/*.rs"), "permit{actions access collect disclose use}"),
    (
        permit(scopes="patient/Observation.rs patient/Condition.rs"),
        f"permit{{actions access collect disclose use; "
        f"classes {RESOURCE_TYPES}|Condition {RESOURCE_TYPES}|Observation}}",
    ),
    (permit(scopes="patient/Condition.rs patient/*.rs"), "permit{actions access collect disclose use}"),
    (permit(scopes="patient/*.cud"), "permit{actions correct}"),
    (deny(scopes="patient/*.r"), "deny{actions access collect disclose use}"),
    (
        permit(deny(scopes="patient/Observation.cruds"), scopes="patient/*.rs"),
        "permit{actions access collect disclose use}[deny{actions access collect correct disclose use; "
        f"classes {RESOURCE_TYPES}|Observation}}]",
    ),
    (
        permit(deny(labels="HIV"), scopes="patient/*.rs", actors="client:app-1"),
        "permit{actors client:app-1; actions access collect disclose use}[deny{labels HIV}]",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("root", "expected"), SAID, ids=[expected for _, expected in SAID])
def test_scopes_are_said_as_actions_and_types(root: Node, expected: str) -> None:
    made = plain(rule(root))
    assert isinstance(made, Consent), made
    assert said(made) == expected


READ_DENIED = Node(Effect.DENY, Match(actions=frozenset({"access"})))


@pytest.mark.parametrize(
    ("root", "place", "words"),
    [
        (permit(scopes="patient/*.r"), "root", "only reading with searching"),
        (permit(scopes="patient/*.s"), "root", "only reading with searching"),
        (permit(scopes="patient/*.crs"), "root", "all of writing"),
        (deny(permit(), scopes="patient/*.r"), "root", "only reading with searching"),
        (deny(scopes="patient/*.c"), "root", "all of writing"),
        (permit(scopes="patient/Observation.rs?category=laboratory"), "root", "part of a type"),
        (permit(scopes="patient/Observation.rs patient/Condition.cruds"), "root", "other operations"),
        (permit(deny(scopes="patient/*.rs"), scopes="patient/Observation.rs"), "root.0", "every type"),
        (permit(READ_DENIED, scopes="patient/*.rs"), "root", "names scopes in one place"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_scopes_that_say_more_do_not_fit(root: Node, place: str, words: str) -> None:
    made = write(rule(root), "R4")
    assert isinstance(made, Misfit)
    assert [(problem.place, words in problem.text) for problem in made.problems] == [(place, True)]


_SCOPES = ["patient/*.cruds", "patient/*.rs", "patient/*.cud", "patient/Observation.rs", "patient/*.r",
           "patient/Condition.rs", "patient/Observation.cruds", "patient/Condition.cud"]  # fmt: skip


@st.composite
def scoped(draw: st.DrawFn, path: str = "root") -> Node:
    named = draw(st.lists(st.sampled_from(_SCOPES), max_size=2, unique=True))
    match = Match(
        scopes=tuple(map(scope, named)), labels=draw(some(["HIV", "R"])), purposes=draw(some(["TREAT"]))
    )
    below = draw(st.integers(0, 2)) if path.count(".") < 2 else 0
    inner = tuple(draw(scoped(f"{path}.{number}")) for number in range(below))
    return Node(draw(st.sampled_from(Effect)), match, inner, path)


@given(
    st.lists(scoped(), min_size=1, max_size=3),
    st.sampled_from(["Observation", "Condition", "Patient"]),
    st.sampled_from(["", "HIV", "R", "HIV V"]),
    st.sampled_from("cruds"),
)
def test_a_rule_without_scopes_decides_as_it_did(
    roots: list[Node], kind: str, labels: str, operation: str
) -> None:
    made = [plain(rule(root)) for root in roots]
    told = [each for each in made if isinstance(each, Consent)]
    if len(told) < len(made):
        return
    facts = record(kind, labels)
    before = bound(consents(*roots), asker()).judge(facts, operation)
    after = bound(consents(*(each.root for each in told)), asker()).judge(facts, operation)
    assert outcome_of(before) in (outcome_of(after), "scope")
    if not isinstance(before, Refused) or before.reason is Reason.DENIED:
        assert before == after


# --- What does not fit -----------------------------------------------------------------------------

PERMIT = Node(Effect.PERMIT, Match())


@pytest.mark.parametrize(
    ("consent", "release", "place", "words"),
    [
        (rule(PERMIT, state=State.STOPPED), "R4", "Consent", "was stopped"),
        (replace(rule(PERMIT), malformed=True), "R5", "Consent", "could not be understood"),
        (replace(rule(PERMIT), indeterminate=True), "R4", "Consent", "only R5 can say so"),
        (rule(permit(actors="role:clinician")), "R4", "root", "a role alone"),
        (rule(permit(actors="organization:a")), "R5", "root", "limits of its own"),
        (rule(permit(permit(labels="R"))), "R5", "root.0", "only the other"),
        (rule(permit(deny())), "R5", "root.0", "an empty provision"),
        (rule(Node(Effect.DENY, Match(custodians=frozenset({"organization:a"})))), "R4", "root", "as CST"),
        (rule(Node(Effect.DENY, Match(opaque=True))), "R4", "root", "an expression"),
        (rule(Node(Effect.DENY, Match(codes=frozenset({Label("", "x")})))), "R4", "root", "its system"),
        (
            rule(permit(Node(Effect.DENY, Match(classes=frozenset(_CLASSES)), (), "root.0"))),
            "R5", "root.0", "both",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_does_not_fit_is_named(consent: Consent, release: Release, place: str, words: str) -> None:
    made = write(consent, release)
    assert isinstance(made, Misfit)
    assert [(problem.place, words in problem.text) for problem in made.problems] == [(place, True)]


def test_a_consent_that_ended_is_written_as_inactive() -> None:
    tree = fitted(replace(rule(PERMIT), state=State.REVOKED), "R4")
    assert tree["status"] == "inactive"


def test_who_agreed_is_not_made_up() -> None:
    assert "performer" not in fitted(rule(PERMIT), "R4")
    assert not isinstance(outcome("R4", {"performer": None, **fitted(rule(PERMIT), "R4")}), Read)
