"""Profiles of studies: what their files must say, and whom they are for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.fhir.catalogue import VERSIONS
from gateway.core.roles.ceiling import Ceiling, Roles
from gateway.core.roles.parse import Faulty, parse_profile
from gateway.core.roles.profile import Profile
from gateway.core.values import Token
from gateway.mapping import load_catalogue, load_profiles
from gateway.yaml_lines import read_yaml
from tests.core.consent.build import NOW_S
from tests.core.deciding import BASES, R4, token
from tests.core.studies.building import HEART

CATALOGUES = [load_catalogue(release) for release in VERSIONS]
HEAD = "role: r\nabout: a role\npurposes: [HRESCH]\ntransform: study\n"
LEAST = 'Procedure: {keep: [status, code, subject, "performed[x]"]}'


def profile(text: str) -> Profile:
    return parse_profile("r", read_yaml(text), CATALOGUES)


def test_the_least_profile() -> None:
    made = profile(f"{HEAD}types:\n  {LEAST}\n")
    assert made.in_studies
    assert not profile("role: r\nabout: a\npurposes: [HRESCH]\ntypes: {}\n").in_studies


FAULTS: dict[str, tuple[str, list[tuple[int, str]]]] = {
    "another transform": (
        HEAD.replace("study", "anonymous") + "types: {}\n",
        [(4, "transform: there is no anonymous")],
    ),
    "labels": (HEAD + "labels: shown\ntypes: {}\n", [(5, "transform: a study has no labels")]),
    "a case": (
        HEAD + "case: {roots: [Encounter], without: whole}\ntypes: {}\n",
        [(5, "transform: a study has no case")],
    ),
    "all of a type": (
        HEAD + "types:\n  Procedure: all\n",
        [(6, "transform: Procedure has to say what it keeps")],
    ),
    "all but": (
        HEAD + "types:\n  Procedure: {drop: [note]}\n",
        [(6, "transform: Procedure has to say what it keeps")],
    ),
    "all types": (HEAD + 'types: {"*": all}\n', [(5, "transform: * cannot be made anew")]),
    "a type that names people": (
        HEAD + "types:\n  Patient: {keep: [gender]}\n",
        [(6, "transform: Patient cannot be made anew")],
    ),
    "an element that cannot leave": (
        HEAD
        + "types:\n  Procedure:\n    keep:\n      - status\n      - code\n      - subject\n      - note\n",
        [(11, "transform: Procedure.note cannot be made anew")],
    ),
    "a choice that there is not": (
        HEAD + 'types:\n  Procedure: {keep: [status, code, subject, "value[x]"]}\n',
        [(6, "transform: Procedure.value[x] cannot be made anew")],
    ),
    "without what changes the meaning": (
        HEAD + "types:\n  Procedure: {keep: [code, subject]}\n",
        [(6, "transform: Procedure has to keep status")],
    ),
}


@pytest.mark.parametrize(("text", "expected"), FAULTS.values(), ids=FAULTS)
def test_faults(text: str, expected: list[tuple[int, str]]) -> None:
    with pytest.raises(Faulty) as wrong:
        profile(text)
    assert wrong.value.faults == expected


# --- Whom they are for ------------------------------------------------------------------------------

ROLES = Roles(load_profiles(), studies=(HEART,))
BEGUN_S = int(HEART.until.timestamp())


def ceiling(who: Token, roles: Roles = ROLES, now_s: int = NOW_S) -> Ceiling | None:
    return roles.ceiling(who, now_s, R4, BASES.both)


def asker(client: str = "study-app", role: str | None = None, **more: Any) -> Token:
    return replace(token("system/*.rs", None, purposes="HRESCH", client=client), role=role, **more)


SEEN: dict[str, tuple[Token, str | None]] = {
    "a client of the study": (asker(), None),
    "with the role": (asker(role="researcher"), None),
    "with another role": (asker(role="clinician"), None),
    "with a role that there is not": (asker(role="nobody"), None),
    "for another purpose": (
        asker(purposes=("TREAT",)),
        "The role of this token is for other purposes of use.",
    ),
    "for no purpose": (asker(purposes=()), "The role of this token is for other purposes of use."),
    "for an emergency": (asker(purposes=("BTG",)), "The role of this token is for other purposes of use."),
    "another client": (asker("app-1", "researcher"), "The client of this token has no study."),
    "a client in capitals": (asker("Study-App", "researcher"), "The client of this token has no study."),
}


@pytest.mark.parametrize("row", SEEN)
def test_whose_the_study_is(row: str) -> None:
    who, refused = SEEN[row]
    by = ceiling(who)
    assert by is not None
    assert by.refusal("Observation") == refused


@pytest.mark.parametrize(
    ("named", "issuer", "its"),
    [
        ("study-app", "https://idp.example", True),
        ("study-app@https://idp.example", "https://idp.example", True),
        ("study-app@https://idp.example", "https://other.example", False),
        ("study-app@", "https://idp.example", False),
    ],
)
def test_clients_of_one_issuer(named: str, issuer: str, its: bool) -> None:
    study = replace(HEART, clients=frozenset({named}))
    by = ceiling(asker(issuer=issuer), replace(ROLES, studies=(study,)))
    assert (by is not None and by.study is study) == its


@pytest.mark.parametrize(("now_s", "begun"), [(BEGUN_S - 1, False), (BEGUN_S, True)])
def test_before_its_day_a_study_gets_nothing(now_s: int, begun: bool) -> None:
    by = ceiling(asker(), now_s=now_s)
    assert by is not None
    assert (by.refusal("Observation") is None) == begun


def test_a_study_whose_role_is_for_something_else_sees_nothing() -> None:
    for role in ("clinician", "nobody"):
        by = ceiling(asker(), replace(ROLES, studies=(replace(HEART, role=role),)))
        assert by is not None
        assert by.refusal("Observation") is not None


@pytest.mark.parametrize(
    "kind", ["Patient", "Encounter", "DiagnosticReport", "Practitioner", "RelatedPerson"]
)
def test_no_other_type_is_seen(kind: str) -> None:
    by = ceiling(asker())
    assert by is not None
    assert by.refusal(kind) == f"The role of this token has no access to {kind}."
