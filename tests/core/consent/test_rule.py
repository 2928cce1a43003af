from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.consent.rule import (
    Consent,
    Effect,
    Match,
    Node,
    Period,
    client_identities,
    is_grantee,
    is_label,
    walk,
)
from gateway.core.consent.verdict import Asker
from tests.core.consent.build import consents, deny, permit

GRANTEES = [
    ("client:app-1", True),
    ("client:app-1@https://idp.example", True),
    ("client:app-1@http://localhost:8080/realms/x", True),
    ("client:app-1@idp.example", False),
    ("client:app 1", False),
    ("client:", False),
    ("client:@https://idp.example", False),
    ("client:a@b@https://idp.example", False),
    ("client:app-1@https://a@b", False),
    ("organization:org-1", True),
    ("organization:org_1", False),
    ("organization:..", False),
    ("practitioner:prac-1", True),
    ("practitioner:", False),
    ("Practitioner/prac-1", False),
    ("group:g", True),
    ("careteam:c", True),
    ("patient:p-1", True),
    ("relative:r-1", True),
    ("device:d", True),
    ("practitionerrole:pr", True),
    ("role:clinician", True),
    ("role:http://x.example/roles|nurse", True),
    ("role:", False),
    ("role:head nurse", False),
    ("person:p", False),
    ("app-1", False),
    ("", False),
]


@pytest.mark.parametrize(("text", "expected"), GRANTEES)
def test_is_grantee(text: str, expected: bool) -> None:
    assert is_grantee(text) is expected


def test_a_client_has_a_name_at_any_issuer_and_one_at_its_own() -> None:
    here = client_identities("app-1", "https://idp.example")
    assert here == {"client:app-1", "client:app-1@https://idp.example"}
    assert all(map(is_grantee, here))
    assert not here & client_identities("app-2", "https://idp.example")
    assert here & client_identities("app-1", "https://other.example") == {"client:app-1"}


def test_no_client_spells_the_client_of_another_issuer() -> None:
    with pytest.raises(ValueError, match="no @"):
        client_identities("app-1@https://idp.example", "https://other.example")


@pytest.mark.parametrize(
    "known", [frozenset(), frozenset({"organization", "practitioner"}), frozenset({"client", "person"})]
)
def test_the_client_is_always_known_and_nothing_else_is_a_kind(known: frozenset[str]) -> None:
    with pytest.raises(ValueError, match="known are kinds"):
        Asker(frozenset(), known)
    assert Asker(frozenset()).known == {"client"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HIV", True),
        ("s|c", True),
        ("http://a/b|c", True),
        ("|c", False),
        ("s|", False),
        ("a b", False),
        ("", False),
    ],
)
def test_is_label(text: str, expected: bool) -> None:
    assert is_label(text) is expected


@pytest.mark.parametrize(
    ("period", "now_s", "expected"),
    [
        (Period(), 5, True),
        (Period(5, 5), 5, True),
        (Period(5, 9), 4, False),
        (Period(5, 9), 10, False),
        (Period(None, 9), 9, True),
        (Period(5, None), 5, True),
    ],
)
def test_period(period: Period, now_s: int, expected: bool) -> None:
    assert period.includes(now_s) is expected


@pytest.mark.parametrize(("from_s", "until_s"), [(2, 1), (None, 2**53), (-(2**53), None)])
def test_a_period_that_cannot_be(from_s: int | None, until_s: int | None) -> None:
    with pytest.raises(ValueError, match="period"):
        Period(from_s, until_s)


def test_paths_are_places() -> None:
    tree = permit(deny(permit(), deny()), permit())
    assert [node.path for node in walk(tree)] == ["root", "root.0", "root.0.0", "root.0.1", "root.1"]
    with pytest.raises(ValueError, match="path"):
        Node(Effect.PERMIT, Match(), (Node(Effect.DENY, Match(), (), "root.1"),))
    with pytest.raises(ValueError, match="top"):
        Consent("c", "p", Node(Effect.PERMIT, Match(), (), "root.0"))


@pytest.mark.parametrize(
    "change", [{"id": "c 1"}, {"id": ""}, {"patient": "p/1"}, {"supersedes": frozenset({"c0"})},
               {"supersedes": frozenset({"a b"})}],
)  # fmt: skip
def test_what_is_not_a_consent(change: dict[str, object]) -> None:
    (consent,) = consents(permit())
    with pytest.raises(ValueError, match="consent"):
        replace(consent, **change)  # type: ignore[arg-type]


def test_grantees_are_those_of_all_nodes() -> None:
    (consent,) = consents(permit(deny(actors="client:b"), actors="client:a organization:o"))
    assert consent.grantees == {"client:a", "client:b", "organization:o"}
