"""A consent that is said to have no effect has none: nothing is permitted with it that was not without."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.consent.dead import repeated, silencing
from gateway.core.consent.evaluate import Asker, ResourceFacts
from gateway.core.consent.rule import Consent, Effect, Match, Node, Period, State
from gateway.core.consent.verdict import Permitted
from gateway.core.values import ConsentRef, Label
from tests.core.consent.build import HASH, NOW_S, bound, deny, permit, rule
from tests.core.consent.generated import ASKERS, PERIODS, RECORDS, TREES, law

LATER_S = NOW_S + 1000
UNTIL_LATER = Period(None, LATER_S)
WRITING = Node(Effect.PERMIT, Match(actions=frozenset({"correct"})))
HELD = Node(Effect.PERMIT, Match(custodians=frozenset({"organization:h"})))
DOCUMENT = Node(Effect.PERMIT, Match(classes=frozenset({Label("http://loinc.org", "34133-9")})))


def recorded(root: Node, period: Period | None = None, state: State = State.LIVE) -> Consent:
    made = rule(root, period=period or Period(), state=state)
    return replace(made, id="c-1", refs=(ConsentRef("c-1", 7, HASH),))


def paths(standing: Node | Consent, consent: Node | Consent) -> list[str]:
    """The nodes of what stands that silence the other."""
    old = standing if isinstance(standing, Consent) else recorded(standing)
    new = consent if isinstance(consent, Consent) else rule(consent)
    found = silencing(old, new, NOW_S)
    assert all((node.consent_id, node.entry) == ("c-1", 7) for node in found)
    return [node.node_path for node in found]


SILENCED = [
    ("a deny of everything", deny(), permit(purposes="TREAT"), ["root"]),
    ("a deny of who is permitted", deny(actors="client:a"), permit(actors="client:a"), ["root"]),
    ("a deny of the client at any issuer", deny(actors="client:a"), permit(actors="client:a@https://i"),
     ["root"]),
    ("a nested deny", permit(deny(actors="client:a")), permit(actors="client:a"), ["root.0"]),
    ("two nested denies", permit(deny(actors="client:a"), deny(actors="client:b")),
     permit(actors="client:a client:b"), ["root.0", "root.1"]),
    ("every permit of several", deny(), deny(permit(actors="client:a"), permit(actors="client:b")), ["root"]),
    ("a broader purpose", deny(purposes="TREAT"), permit(purposes="ETREAT"), ["root"]),
    ("a deny of writing too", deny(), WRITING, ["root"]),
    ("a deny of documents too", deny(), DOCUMENT, ["root"]),
    ("a deny for as long", recorded(deny(), UNTIL_LATER), rule(permit(), period=UNTIL_LATER), ["root"]),
    ("a permit whose later half is over", deny(),
     deny(permit(actors="client:a"), permit(period=Period(None, NOW_S - 1))), ["root"]),
    ("a consent that was stopped", recorded(permit(), state=State.STOPPED), permit(), ["root"]),
]  # fmt: skip
HEARD = [
    ("nothing is permitted", deny(), deny()),
    ("somebody else is denied", deny(actors="client:a"), permit(actors="client:b")),
    ("one of two is denied", deny(actors="client:a"), permit(actors="client:a client:b")),
    ("everybody is permitted, one denied", deny(actors="client:a"), permit()),
    ("one of two permits is left", deny(actors="client:a"), 
     deny(permit(actors="client:a"), permit(actors="client:b"))),
    ("a narrower purpose is denied", deny(purposes="ETREAT"), permit(purposes="TREAT")),
    ("an exception is left", deny(permit(actors="client:a")), permit(actors="client:a")),
    ("reading alone is denied", deny(scopes="patient/*.rs"), WRITING),
    ("a type alone is denied", deny(scopes="patient/Observation.cruds"), DOCUMENT),
    ("a label alone is denied", deny(labels="HIV"), permit()),
    ("the deny ends first", recorded(deny(), Period(None, LATER_S - 1)), rule(permit(), period=UNTIL_LATER)),
    ("the deny begins later", recorded(deny(), Period(LATER_S)), permit()),
    ("the deny has a gap", permit(deny(period=Period(None, NOW_S)), deny(period=Period(LATER_S))), permit()),
    ("a custodian is permitted", deny(), HELD),
    ("break-glass is spoken of", deny(), permit(purposes="BTG")),
    ("a consent that was withdrawn", recorded(deny(), state=State.REVOKED), permit()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("standing", "consent", "expected"), [c[1:] for c in SILENCED], ids=[c[0] for c in SILENCED]
)
def test_what_is_denied_whole(standing: Node, consent: Node, expected: list[str]) -> None:
    assert paths(standing, consent) == expected


@pytest.mark.parametrize(
    ("standing", "consent"), [case[1:] for case in HEARD], ids=[case[0] for case in HEARD]
)
def test_what_is_not_denied_whole(standing: Node, consent: Node) -> None:
    assert paths(standing, consent) == []


@pytest.mark.parametrize(
    ("standing", "consent", "expected"),
    [
        (deny(), permit(), True),
        (deny(), permit(deny(labels="HIV")), True),
        (deny(), deny(permit(actors="client:a")), True),
        (deny(labels="HIV"), permit(deny(labels="HIV")), True),
        (deny(actors="client:a"), permit(deny(labels="HIV")), False),
        (deny(labels="HIV"), permit(deny(labels="R")), False),
        (deny(permit(actors="client:a")), permit(deny(actors="client:a")), False),
    ],
)
def test_what_denies_no_more_than_what_stands(standing: Node, consent: Node, expected: bool) -> None:
    assert repeated(recorded(standing), rule(consent), NOW_S) == expected


# --- Laws ------------------------------------------------------------------------------------------

CONSENTS = st.builds(lambda root, period: rule(root, period=period), TREES, PERIODS)
DENIERS = st.sampled_from(
    [
        deny(),
        deny(actors="client:a organization:o"),
        deny(purposes="TREAT"),
        deny(labels="R"),
        deny(permit(actors="client:a"), purposes="TREAT HRESCH"),
        deny(permit(deny(labels="HIV"), actors="practitioner:d")),
        permit(deny(actors="client:a"), deny(actors="client:b", purposes="TREAT")),
    ]
).map(recorded)


@law(4)
@given(DENIERS, CONSENTS, ASKERS, RECORDS, st.sampled_from("rsu"))
def test_what_is_said_to_be_in_vain_is_in_vain(
    standing: Consent, consent: Consent, asker: Asker, facts: ResourceFacts, operation: str
) -> None:
    if not silencing(standing, consent, NOW_S):
        return
    new = replace(consent, id="c-2", refs=(ConsentRef("c-2", 8, HASH),))
    before, after = (bound(given, asker).judge(facts, operation) for given in ([standing], [standing, new]))
    if isinstance(after, Permitted):
        assert isinstance(before, Permitted)
    if repeated(standing, consent, NOW_S):
        assert isinstance(after, Permitted) == isinstance(before, Permitted)
