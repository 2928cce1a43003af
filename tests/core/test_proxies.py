"""Who acts for a patient: by an authority of ours, or by a consent that names them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.consent.rule import Node
from gateway.core.decide import decide
from gateway.core.plan import Deny
from gateway.core.roles.ceiling import Roles
from gateway.core.standing import House, Standing
from gateway.core.values import Glass, Ref, Token
from gateway.mapping import load_profiles
from tests.core.consent.build import NOW_S, consents, permit
from tests.core.deciding import BASES, R4, View, request, token

HOUSE = House(R4, BASES, roles=Roles(load_profiles()))
MUM = Ref("RelatedPerson", "mum")
OF_THE_CLIENT = permit(actors="client:app-1", purposes="FAMRQT")
OF_MUM = permit(actors="relative:mum", purposes="FAMRQT")
OF_BOTH = permit(actors="client:app-1 relative:mum", purposes="FAMRQT")
OF_DAD = permit(actors="relative:dad", purposes="FAMRQT")


def proxy(role: str | None = "proxy", **more: Any) -> Token:
    made = replace(token(purposes="FAMRQT", user=more.pop("user", MUM)), role=role)
    return replace(made, **more)


def permitted(who: Token, *rules: Node) -> bool:
    view = View(consents(*rules, patient="85"))
    return not isinstance(decide(request("AllergyIntolerance"), Standing(who, view, HOUSE, NOW_S)), Deny)


@pytest.mark.parametrize("role", ["proxy", "caregiver"])
@pytest.mark.parametrize(
    ("rules", "changed", "seen"),
    [
        ([OF_MUM], {}, True),
        ([OF_BOTH], {}, True),
        ([OF_THE_CLIENT], {}, False),
        ([OF_DAD], {}, False),
        ([OF_DAD, OF_THE_CLIENT], {}, False),
        ([OF_DAD, OF_MUM], {}, True),
        ([permit()], {}, False),
        ([], {}, False),
        ([OF_THE_CLIENT], {"issued": (1, "h" * 43)}, True),
        ([OF_MUM], {"user": None}, False),
        ([OF_MUM], {"user": Ref("Practitioner", "mum")}, False),
        ([OF_MUM], {"patient": "86"}, False),
    ],
    ids=[
        "named",
        "named beside the client",
        "the client alone",
        "another relative",
        "another, and the client",
        "one of two",
        "anybody",
        "no consent",
        "of our own issuer, by an authority",
        "nobody knows who",
        "no relative",
        "of another patient",
    ],
)
def test_who_acts_for_a_patient_is_named(
    role: str, rules: list[Node], changed: dict[str, Any], seen: bool
) -> None:
    assert permitted(proxy(role, **changed), *rules) == seen


def test_a_consent_for_the_client_does_not_widen_one_for_the_relative() -> None:
    view = View(consents(OF_THE_CLIENT, OF_MUM, patient="85"))
    standing = Standing(proxy(), view, HOUSE, NOW_S)
    assert standing.bound == frozenset({view.given[1].id})
    bound = proxy(consents=(view.given[0].refs[0],))
    assert Standing(bound, view, HOUSE, NOW_S).bound == frozenset()
    assert not permitted(bound, OF_THE_CLIENT, OF_MUM)


@pytest.mark.parametrize("role", [None, "clinician", "patient"])
def test_other_roles_rest_on_what_they_did(role: str | None) -> None:
    assert Standing(proxy(role), View(consents(OF_THE_CLIENT, patient="85")), HOUSE, NOW_S).bound is None


def test_who_breaks_the_glass_does_so_as_nobodys_proxy() -> None:
    who = proxy(purposes=("BTG",), glass=Glass("life-threat", 1, "h" * 43), issued=(1, "h" * 43))
    assert permitted(who)
