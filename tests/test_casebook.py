"""What is kept of cases: for the very token that it was followed for, for a while, and never for another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.casebook import Casebook, KeptCase, Place
from gateway.core.consent.cases import Case
from gateway.core.consent.rule import Consent, Period, State
from gateway.core.judge import Judge
from gateway.core.roles.ceiling import Roles
from gateway.core.standing import House, Standing
from gateway.core.values import Ref, Token
from gateway.mapping import load_profiles
from tests.core.consent.build import NOW_S, consents, deny, permit
from tests.core.deciding import BASES, R4, View, token

HOUSE = House(R4, BASES, roles=Roles(load_profiles()))
EPISODE = Ref("EpisodeOfCare", "3")
GIVEN = consents(permit(), patient="85")
WHO = replace(token(), role="clinician", case=EPISODE, digest=b"d" * 32)


@dataclass(frozen=True)
class Head(View):
    """The consents at one head, and the tokens of our own that were ended before it."""

    ended: frozenset[tuple[int, str]] = frozenset()

    def is_revoked(self, issued: tuple[int, str]) -> bool:
        return issued in self.ended


HEAD = Head(GIVEN)


def judge_of(who: Token, head: Head = HEAD, now_s: int = NOW_S, kind: str = "Observation") -> Judge:
    return Standing(who, head, HOUSE, now_s).right(kind, "r").judge


def place(book: Casebook, who: Token = WHO, mark: int = 1, head: Head = HEAD) -> Place | None:
    return book.place(who, judge_of(who, head), mark, head)


def found(*members: str, at_s: int = NOW_S, times: Period | None = None) -> KeptCase:
    reached = {
        "": frozenset({EPISODE}),
        "Encounter.episodeOfCare": frozenset(Ref("Encounter", m) for m in members),
    }
    return KeptCase(Case(EPISODE, reached), times, at_s)


CASE = found("5")


def kept(book: Casebook, who: Token = WHO, mark: int = 1, head: Head = HEAD, now_s: int = NOW_S) -> bool:
    there = place(book, who, mark, head)
    return there is not None and there.kept(now_s) is not None


@pytest.fixture
def book() -> Casebook:
    made = Casebook()
    there = place(made)
    assert there is not None
    there.keep(CASE)
    return made


def test_what_was_followed_is_kept_for_its_token(book: Casebook) -> None:
    there = place(book)
    assert there is not None
    assert there.kept(NOW_S) == CASE


# --- Near misses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"digest": b"e" * 32},
        {"issued": (7, "A" * 43)},
        {"role": "patient"},
        {"role": None},
        {"case": Ref("EpisodeOfCare", "4")},
        {"case": Ref("Encounter", "3")},
        {"case": Ref("Claim", "3")},
        {"case": None},
        {"case": None, "encounter": "3"},
        {"patient": "86"},
        {"patient": None},
        {"digest": b""},
    ],
    ids=str,
)
def test_it_is_nobody_elses(book: Casebook, changed: dict[str, Any]) -> None:
    assert not kept(book, replace(WHO, **changed))
    assert kept(book)


def test_nor_is_it_another_roles() -> None:
    clinician = load_profiles()["clinician"]
    both = {"clinician": clinician, "nurse": replace(clinician, role="nurse")}
    house, book = replace(HOUSE, roles=Roles(both)), Casebook()
    first, second = (
        book.place(who, Standing(who, HEAD, house, NOW_S).right("Observation", "r").judge, 1, HEAD)
        for who in (WHO, replace(WHO, role="nurse"))
    )
    assert first is not None
    assert second is not None
    first.keep(CASE)
    assert second.kept(NOW_S) is None


@pytest.mark.parametrize("who", [{"role": "patient"}, {"case": Ref("Claim", "3")}, {"case": None}], ids=str)
def test_a_token_without_a_case_has_no_place(who: dict[str, Any]) -> None:
    assert place(Casebook(), replace(WHO, **who)) is None


@pytest.mark.parametrize(("after_s", "counts"), [(-1, False), (0, True), (59, True), (60, False)])
def test_it_counts_for_a_minute(book: Casebook, after_s: int, counts: bool) -> None:
    assert kept(book, now_s=NOW_S + after_s) == counts


@pytest.mark.parametrize(("after_s", "counts"), [(9, True), (10, False)])
def test_it_ends_with_the_token(after_s: int, counts: bool) -> None:
    book, short = Casebook(3600), replace(WHO, expires_at_s=NOW_S + 10)
    there = place(book, short)
    assert there is not None
    there.keep(CASE)
    assert kept(book, short, now_s=NOW_S + after_s) == counts


def test_with_zero_seconds_nothing_is_kept() -> None:
    assert place(Casebook(0)) is None


CHANGED: dict[str, Sequence[Consent]] = {
    "withdrawn": [replace(GIVEN[0], state=State.REVOKED)],
    "stopped": [replace(GIVEN[0], state=State.STOPPED)],
    "superseded": [replace(GIVEN[0], state=State.SUPERSEDED)],
    "erased": [],
    "another": consents(permit(), deny(labels="HIV"), patient="85"),
    "changed": [replace(GIVEN[0], refs=(*GIVEN[0].refs, replace(GIVEN[0].refs[0], entry=9)))],
}
SAME: dict[str, Sequence[Consent]] = {
    "nothing": GIVEN,
    "another patient's": [*GIVEN, *consents(permit(), patient="86")],
}


@pytest.mark.parametrize("now", CHANGED.values(), ids=CHANGED)
def test_it_ends_when_the_patients_consents_change(book: Casebook, now: Sequence[Consent]) -> None:
    assert not kept(book, mark=2, head=Head(tuple(now)))
    assert len(book) == 0


@pytest.mark.parametrize("now", SAME.values(), ids=SAME)
def test_it_stays_when_others_change(book: Casebook, now: Sequence[Consent]) -> None:
    assert kept(book, mark=2, head=Head(tuple(now)))


def test_it_ends_with_the_token_that_was_ended() -> None:
    book, ours, theirs = Casebook(), replace(WHO, issued=(7, "A" * 43)), replace(WHO, issued=(8, "B" * 43))
    for who in (ours, theirs, WHO):
        there = place(book, who)
        assert there is not None
        there.keep(CASE)
    ended = Head(GIVEN, frozenset({(7, "A" * 43)}))
    assert kept(book, theirs, mark=2, head=ended)
    assert kept(book, WHO, mark=2, head=ended)
    assert len(book) == 2


def test_what_was_followed_under_an_older_head_is_not_kept(book: Casebook) -> None:
    late = place(book)
    assert place(book, mark=2) is not None
    assert late is not None
    late.keep(found("6", at_s=NOW_S + 1))
    there = place(book, mark=2)
    assert there is not None
    assert there.kept(NOW_S + 1) == CASE


def test_a_request_under_older_consents_has_nothing_of_what_came_later(book: Casebook) -> None:
    early, head = place(book), Head(tuple(CHANGED["another"]))
    late = place(book, mark=2, head=head)
    assert early is not None
    assert late is not None
    late.keep(found("6"))
    assert late.kept(NOW_S) == found("6")
    assert early.kept(NOW_S) is None


@pytest.mark.parametrize(("at_s", "members"), [(NOW_S - 1, "5"), (NOW_S, "6"), (NOW_S + 1, "6")])
def test_the_newer_one_stays(book: Casebook, at_s: int, members: str) -> None:
    there = place(book)
    assert there is not None
    there.keep(found("6", at_s=at_s))
    assert there.kept(NOW_S + 1) == found(members, at_s=max(at_s, NOW_S))


def test_what_is_forgotten_is_gone(book: Casebook) -> None:
    there = place(book)
    assert there is not None
    there.forget()
    there.forget()
    assert there.kept(NOW_S) is None


# --- Bounds ----------------------------------------------------------------------------------------


def fill(book: Casebook, number: int, *members: str, at_s: int = NOW_S) -> Token:
    who = replace(WHO, digest=bytes([number]) * 32)
    there = place(book, who)
    assert there is not None
    there.keep(found(*members, at_s=at_s))
    return who


def test_of_too_many_the_oldest_is_forgotten() -> None:
    book = Casebook(most=3)
    who = [fill(book, number) for number in range(4)]
    assert [kept(book, each) for each in who] == [False, True, True, True]


def test_of_too_many_records_the_oldest_are_forgotten() -> None:
    book = Casebook(most_records=6)
    who = [fill(book, 1, "a"), fill(book, 2, "a", "b"), fill(book, 3, "a", "b", "c")]
    assert [kept(book, each) for each in who] == [False, False, True]
    assert not kept(book, fill(book, 4, *"abcdef"))
    assert kept(book, who[2])


def test_what_is_over_is_not_held() -> None:
    book = Casebook()
    fill(book, 1)
    fill(book, 2, at_s=NOW_S + 30)
    fill(book, 3, at_s=NOW_S + 60)
    assert len(book) == 2


# --- The law ---------------------------------------------------------------------------------------

TOKENS = [
    WHO,
    replace(WHO, digest=b"e" * 32),
    replace(WHO, issued=(7, "A" * 43)),
    replace(WHO, role="telehealth", case=Ref("Encounter", "5"), expires_at_s=NOW_S + 70),
]
HEADS = [
    HEAD,
    Head(CHANGED["another"]),
    Head(GIVEN, frozenset({(7, "A" * 43)})),
    Head(SAME["another patient's"]),
]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(range(len(TOKENS))),
        st.sampled_from([0, 0, 1, 20, 59, 60, 61, -1]),
        st.sampled_from([None, None, None, *range(len(HEADS))]),
        st.booleans(),
    ),
    max_size=25,
)


@given(STEPS, st.sampled_from([1, 2, 1024]))
def test_it_is_the_tokens_own_and_not_older_than_a_minute(
    steps: list[tuple[int, int, int | None, bool]], most: int
) -> None:
    """Whatever came before: what is given was put by the same token, under the same consents of its patient,
    within the minute."""
    book, now_s, mark, head, known = Casebook(most=most), NOW_S, 1, HEAD, dict[str, Any]()
    for number, (index, later_s, turn, follows) in enumerate(steps):
        now_s += later_s
        if turn is not None:
            mark, head = mark + 1, HEADS[turn]
        who = TOKENS[index]
        there = book.place(who, judge_of(who, head, now_s), mark, head)
        assert there is not None
        given_case = there.kept(now_s)
        if given_case is not None:
            [(_, name)] = [ref for ref in _names(given_case)]
            by, at_s, standing = known[name]
            assert by is who
            assert 0 <= now_s - at_s < 60
            assert now_s < who.expires_at_s
            assert standing == head.standing("85")
        if follows:
            known[f"n{number}"] = (who, now_s, head.standing("85"))
            there.keep(found(f"n{number}", at_s=now_s))
        assert len(book) <= most


def _names(case: KeptCase) -> list[tuple[str, str]]:
    return [(ref.type, ref.id) for ref in case.case.reached["Encounter.episodeOfCare"]]
