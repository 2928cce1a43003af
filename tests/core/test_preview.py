"""Who looks at a preview, what it compares, and which nodes it calls idle or overruled."""

from __future__ import annotations

import pytest

from gateway.core.consent.membership import Membership
from gateway.core.consent.rule import Consent, State
from gateway.core.fhir.candidate import Candidate
from gateway.core.preview import Scene, Sight, View, Viewer, idle, overruling, sights, viewers_of, with_draft
from gateway.core.values import Ref
from tests.core.consent.build import NOW_S, consents, deny, permit, rule
from tests.core.deciding import HOUSE, facts
from tests.core.deciding import View as Head

RECORDS = [
    b'{"resourceType":"Condition","id":"1","subject":{"reference":"Patient/p1"}}',
    b'{"resourceType":"Observation","id":"2","subject":{"reference":"Patient/p1"}}',
]
SCENE = Scene([Candidate(raw, facts(raw)) for raw in RECORDS], {}, {}, HOUSE, "https://gw.example", NOW_S)
APP = Viewer(("client:app-1",), "TREAT")
OBSERVATIONS = permit(actors="client:app-1", purposes="TREAT", scopes="patient/Observation.rs")
CONDITIONS = permit(actors="client:app-1", purposes="TREAT", scopes="patient/Condition.rs")


def seen(before: tuple[Consent, ...], after: tuple[Consent, ...], viewer: Viewer = APP) -> list[Sight]:
    head = Head(before)
    return sights(SCENE, viewer, View(head, "p1", before), View(head, "p1", after))


@pytest.mark.parametrize(
    "identities",
    [
        (),
        ("app-1",),
        ("client:a", "client:b"),
        ("nobody:x",),
        ("practitioner:a", "relative:b"),
        ("group:night",),
        ("careteam:c", "client:a"),
    ],
    ids=["nobody", "no kind", "two of a kind", "unknown kind", "two users", "group", "care team"],
)
def test_not_a_viewer(identities: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="viewer"):
        Viewer(identities, "TREAT")


def test_everybody_whom_a_live_consent_names_looks_for_every_purpose() -> None:
    given = consents(
        permit(deny(actors="practitioner:b"), actors="client:app-1", purposes="TREAT"),
        permit(actors="organization:o", purposes="HPAYMT"),
        rule(permit(actors="client:gone", purposes="HRESCH"), state=State.REVOKED),
    )
    assert [(viewer.identities, viewer.purpose) for viewer in viewers_of(given)] == [
        ((who,), purpose)
        for who in ("client:app-1", "organization:o", "practitioner:b")
        for purpose in ("HPAYMT", "TREAT")
    ]


def test_who_is_named_looks_alone_and_for_treatment_if_no_purpose_is() -> None:
    both = ("client:a", "practitioner:b")
    assert viewers_of(consents(permit(actors="client:c")), [both]) == [Viewer(both, "TREAT")]


@pytest.mark.parametrize(
    "who",
    [
        "client:app-1", "organization:o", "practitioner:p", "practitionerrole:r", "patient:x", "relative:m",
        "device:d",
    ],
)  # fmt: skip
def test_whoever_a_consent_can_name_sees_what_it_opens(who: str) -> None:
    given = consents(permit(actors=who, purposes="TREAT"))
    others = consents(permit(actors=f"{who}-2", purposes="TREAT"))
    [viewer] = viewers_of(given)
    assert all(sight.after.visible for sight in seen(given, given, viewer))
    assert not any(sight.after.visible for sight in seen(others, others, viewer))


def test_who_is_named_by_a_role_sees_no_more_than_the_role() -> None:
    given = consents(permit(actors="role:unheard-of", purposes="TREAT"))
    [viewer] = viewers_of(given)
    assert {sight.after.reason for sight in seen(given, given, viewer)} == {"role"}


def test_members_look_in_the_place_of_their_groups() -> None:
    given = consents(permit(actors="group:night careteam:unknown client:app-1", purposes="TREAT"))
    listed = Membership(groups={"group:night": frozenset({"practitioner:a", "careteam:c"}),
                                "careteam:c": frozenset({"practitioner:b"})})  # fmt: skip
    who = [identity for viewer in viewers_of(given, (), listed) for identity in viewer.identities]
    assert who == ["client:app-1", "practitioner:a", "practitioner:b"]


def test_what_a_change_gains_and_loses() -> None:
    before, after = consents(OBSERVATIONS), consents(CONDITIONS)
    made = {sight.ref: sight for sight in seen(before, after)}
    condition, observation = made[Ref("Condition", "1")], made[Ref("Observation", "2")]
    assert (condition.gained, condition.lost) == (True, False)
    assert (observation.gained, observation.lost) == (False, True)
    assert not any(sight.gained or sight.lost for sight in seen(after, after))


def test_a_draft_is_beside_the_others_or_in_the_place_of_what_it_changes() -> None:
    standing = consents(OBSERVATIONS, CONDITIONS)
    new = rule(CONDITIONS)
    assert with_draft(standing, new) == (*standing, new)
    changed = consents(CONDITIONS)[0]
    assert with_draft(standing, changed) == (standing[1], changed)


def test_a_draft_puts_out_of_force_what_it_supersedes() -> None:
    standing = consents(deny(scopes="patient/*.rs"))
    new = consents(deny(), rule(CONDITIONS, supersedes=["c0"]))[1]
    [condition, _] = seen(standing, with_draft(standing, new))
    assert condition.gained


def test_nodes_that_decide_nothing() -> None:
    given = consents(OBSERVATIONS, permit(actors="client:app-1", scopes="patient/Encounter.rs"))
    assert [(consent.id, node.path) for consent, node in idle(given, seen(given, given))] == [("c1", "root")]


def test_what_denies_a_part_of_the_draft() -> None:
    standing = consents(deny(scopes="patient/Condition.rs"))
    draft = consents(deny(), permit(actors="client:app-1", purposes="TREAT", scopes="patient/*.rs"))[1]
    after = with_draft(standing, draft)
    [node] = overruling(draft, seen((draft,), (draft,)), seen(standing, after))
    assert (node.consent_id, node.node_path) == ("c0", "root")
    elsewhere = consents(deny(scopes="patient/Encounter.rs"))
    assert overruling(draft, seen((draft,), (draft,)), seen(elsewhere, with_draft(elsewhere, draft))) == []
