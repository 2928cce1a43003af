"""A permit that names records of substance use programmes says to whom and what for (42 CFR 2.31(a))."""

from __future__ import annotations

import pytest

from gateway.core.consent.part2 import lacking
from gateway.core.consent.rule import Node
from gateway.core.consent.statute import PROGRAMME
from tests.core.consent.build import deny, permit

WHOM, WHY = "practitioner:dr-bob", "TREAT"
SYSTEM = "http://terminology.hl7.org/CodeSystem/v3-ActCode"

CASES: list[tuple[str, Node, list[str]]] = [
    ("said", permit(labels=PROGRAMME, actors=WHOM, purposes=WHY), []),
    ("said above", permit(permit(labels=PROGRAMME), actors=WHOM, purposes=WHY), []),
    ("in part", permit(labels=PROGRAMME, actors=WHOM), ["what for (root)"]),
    ("in the other part", permit(labels=PROGRAMME, purposes=WHY), ["to whom (root)"]),
    ("neither", permit(labels=PROGRAMME), ["to whom (root)", "what for (root)"]),
    ("with its system", permit(labels=f"{SYSTEM}|{PROGRAMME}", actors=WHOM), ["what for (root)"]),
    ("in other letters", permit(labels="42cfrpart2", actors=WHOM), ["what for (root)"]),
    ("beside another", permit(labels=f"HIV {PROGRAMME}", actors=WHOM), ["what for (root)"]),
    ("below a deny", deny(permit(actors=WHOM), labels=PROGRAMME), ["what for (root.0)"]),
    ("in an exception that restates labels", permit(permit(labels="HIV"), labels=PROGRAMME, actors=WHOM,
     purposes=WHY), []),
    ("a deny", deny(labels=PROGRAMME), []),
    ("another label", permit(labels="SUD"), []),
    ("no label", permit(), []),
]  # fmt: skip


@pytest.mark.parametrize(("root", "lacks"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_a_permit_lacks(root: Node, lacks: list[str]) -> None:
    found = lacking(root)
    assert [text.partition("without saying ")[2] for text in found] == lacks
