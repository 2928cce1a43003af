"""What is remembered of an asker is what would be found anew: at every second and state of the consents."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.consents.standings import Standings
from gateway.core.consent.rule import Consent, Match, Period, State
from gateway.core.decide import decide
from gateway.core.fhir.addresses import Bases
from gateway.core.plan import Deny
from gateway.core.standing import House, Standing
from gateway.core.values import ConsentRef, Token
from tests.core.consent.build import HASH, NOW_S, consents, permit
from tests.core.deciding import HOUSE, View, request, token
from tests.core.test_standing import MORE_TARGETS, TIMES, outcome, states

OPEN = consents(permit(actors="client:app-1", scopes="patient/*.rs"), patient="85")
WHO = replace(token(), digest=b"1" * 32)
BOUND = replace(WHO, digest=b"2" * 32, consents=OPEN[0].refs)


class Head:
    """The consents at a head that moves on, in one object, as a registry is."""

    def __init__(self, given_: Sequence[Consent]) -> None:
        self.mark, self.view = 0, View(list(given_))

    def becomes(self, given_: Sequence[Consent]) -> None:
        self.mark += 1
        assert isinstance(self.view.given, list)
        self.view.given[:] = given_


class Asking:
    def __init__(self, given_: Sequence[Consent] = OPEN, remembered: int = 4) -> None:
        self.head, self.standings = Head(given_), Standings(remembered)

    def standing(self, who: Token = WHO, now_s: int = NOW_S, house: House = HOUSE) -> Standing:
        return self.standings.of(who, self.head.mark, self.head.view, house, now_s)

    def reason(self, who: Token = WHO, now_s: int = NOW_S, target: str = "Observation/1") -> str | None:
        made = decide(request(target), self.standing(who, now_s))
        return made.reason if isinstance(made, Deny) else None


# --- Named cases -------------------------------------------------------------------------------------


def test_the_same_asker_in_the_same_second_is_remembered() -> None:
    asking = Asking()
    assert asking.standing() is asking.standing()
    assert asking.standing(BOUND) is asking.standing(BOUND) is not asking.standing()


@pytest.mark.parametrize("who", [WHO, BOUND], ids=["looked up", "bound"])
def test_a_consent_ends_between_two_requests(who: Token) -> None:
    asking = Asking([replace(OPEN[0], period=Period(None, NOW_S))])
    assert asking.reason(who, NOW_S) is None
    assert asking.reason(who, NOW_S + 1) == "period"
    assert asking.reason(who, NOW_S) is None


def test_a_part_of_a_consent_ends_between_two_requests() -> None:
    """The period of a node ends as that of the consent does."""
    asking = Asking(
        consents(
            permit(
                permit(actors="client:app-2"),
                actors="client:app-1",
                scopes="patient/*.rs",
                period=Period(NOW_S, NOW_S + 5),
            ),
            patient="85",
        )
    )
    found = [asking.reason(now_s=NOW_S + later) for later in (-1, 0, 5, 6)]
    assert found == ["period", None, None, "period"]


@pytest.mark.parametrize(
    ("who", "reason"), [(WHO, "revoked"), (BOUND, "withdrawn")], ids=["looked up", "bound"]
)
def test_a_consent_is_revoked_between_two_requests(who: Token, reason: str) -> None:
    asking = Asking()
    assert asking.reason(who) is None
    asking.head.becomes([replace(OPEN[0], state=State.REVOKED)])
    assert asking.reason(who) == reason


def test_a_consent_is_given_and_changed_between_two_requests() -> None:
    asking = Asking(())
    assert asking.reason() == "no_consent"
    asking.head.becomes(OPEN)
    assert asking.reason() is None
    narrower = consents(permit(actors="client:app-1", scopes="patient/Condition.rs"), patient="85")
    asking.head.becomes([replace(narrower[0], refs=(*OPEN[0].refs, ConsentRef("c0", 7, HASH)))])
    assert asking.reason() == "scope"
    assert asking.reason(target="Condition/1") is None


def test_another_house_has_its_own_standing() -> None:
    asking = Asking()
    other = House(HOUSE.catalogue, Bases("https://gw.example/lab", "http://lab.internal/fhir"))
    here, there = asking.standing(), asking.standing(house=other)
    assert (here.house, there.house) == (HOUSE, other)
    assert asking.standing().house is HOUSE


def test_another_registry_has_its_own_standing() -> None:
    asking = Asking()
    assert asking.reason() is None
    asking.head.view = View([])
    assert asking.reason() == "no_consent"


def test_a_token_with_the_digest_of_another_is_not_taken_for_it() -> None:
    """Neither a token read anew, under other rules perhaps, nor one without a digest."""
    asking = Asking()
    assert asking.reason() is None
    assert asking.reason(replace(token(client="app-2"), digest=WHO.digest)) == "no_consent"
    assert asking.reason() is None


def test_what_is_gone_from_the_registry_is_not_kept() -> None:
    """Whoever asks next, and about whom: an erasure is one."""

    class Actors(frozenset[str]):
        pass

    def granted() -> tuple[Asking, weakref.ref[Actors]]:
        actors = Actors({"client:app-1"})
        consent = replace(OPEN[0], root=replace(OPEN[0].root, match=Match(actors)))
        return Asking([consent]), weakref.ref(actors)

    asking, left = granted()
    assert asking.reason() is None
    asking.head.becomes(())
    assert left() is not None
    asking.standing(token(patient="99"))
    gc.collect()
    assert left() is None


def test_only_so_many_are_remembered() -> None:
    asking = Asking(remembered=2)
    many = [replace(WHO, digest=bytes([number])) for number in range(3)]
    first, second = asking.standing(many[0]), asking.standing(many[1])
    assert (asking.standing(many[0]), asking.standing(many[1])) == (first, second)
    third = asking.standing(many[2])
    assert asking.standing(many[2]) is third
    assert asking.standing(many[0]) is not first


# --- The law -----------------------------------------------------------------------------------------

ASKERS = [
    replace(who, digest=bytes([number]))
    for number, who in enumerate(
        (
            token("patient/*.rs"),
            token("patient/*.rs fhirUser", "99", purposes="TREAT HPAYMT"),
            token("system/Observation.rs", None),
            replace(token(), consents=(ConsentRef("c0", 0, HASH), ConsentRef("c1", 1, HASH))),
        )
    )
]
STEPS = st.one_of(
    st.tuples(st.sampled_from(ASKERS), st.sampled_from(MORE_TARGETS), st.sampled_from(TIMES)), states()
)


@settings(max_examples=100, deadline=None)
@given(states(), st.lists(STEPS, max_size=10))
def test_remembered_or_anew_is_the_same(
    given_: list[Consent], steps: list[tuple[Token, str, int] | list[Consent]]
) -> None:
    asking = Asking(given_, remembered=3)
    for step in steps:
        if isinstance(step, list):
            asking.head.becomes(step)
            continue
        who, target, now_s = step
        anew = Standing(who, asking.head.view, HOUSE, now_s)
        assert outcome(target, asking.standing(who, now_s)) == outcome(target, anew)
