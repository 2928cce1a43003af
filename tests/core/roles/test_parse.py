"""Profiles as files: what is accepted, and that every fault is told with its line."""

from __future__ import annotations

import pytest

from gateway.core.fhir.catalogue import VERSIONS
from gateway.core.roles.parse import Faulty, parse_profile
from gateway.core.roles.profile import WHOLE, Condition, More, Profile, Typed, TypeRule
from gateway.core.values import Term
from gateway.mapping import load_catalogue
from gateway.yaml_lines import read_yaml

CATALOGUES = [load_catalogue(release) for release in VERSIONS]
HEAD = "role: r\nabout: a role\npurposes: [TREAT]\n"


def profile(text: str) -> Profile:
    return parse_profile("r", read_yaml(text), CATALOGUES)


def faults(text: str) -> list[tuple[int, str]]:
    with pytest.raises(Faulty) as wrong:
        profile(text)
    return wrong.value.faults


def test_a_whole_profile() -> None:
    made = profile(
        HEAD
        + """
labels: shown
case: {roots: [Encounter], without: whole, grace: 2h}
types:
  Patient: all
  Condition: {only: [clinical-status=active, case], keep: [code, "onset[x]", stage.type, stage.summary]}
  Observation: {only: ["category=laboratory,vital-signs&date=ge{today-2y}"], drop: [note]}
  ServiceRequest:
    only: ["case&performer={organization}", "status=active&intent=order"]
    keep: [code]
    more:
      - {when: code=1, keep: [reasonCode]}
      - {when: code-concept=2, keep: [reason, specimen.display]}
  "*": {only: [case]}
never:
  Claim: all
  Procedure: ["code=1,2", status=not-done]
blocks: [PSYTHPN]
"""
    )
    labs = (Term("category", ("laboratory", "vital-signs")), Term("date", ("ge{today-2y}",)))
    assert made.types == {
        "Patient": WHOLE,
        "Condition": TypeRule(
            only=(Condition((Term("clinical-status", ("active",)),)), Condition(in_case=True)),
            keep={"code": None, "onset[x]": None, "stage": {"type": None, "summary": None}},
        ),
        "Observation": TypeRule(only=(Condition(labs),), drop={"note": None}),
        "ServiceRequest": TypeRule(
            only=(
                Condition((Term("performer", ("{organization}",)),), in_case=True),
                Condition((Term("status", ("active",)), Term("intent", ("order",)))),
            ),
            keep={"code": None},
            more=(
                More((Term("code", ("1",)),), {"reasonCode": None}),
                More((Term("code-concept", ("2",)),), {"reason": None, "specimen": {"display": None}}),
            ),
        ),
        "*": TypeRule(only=(Condition(in_case=True),)),
    }
    assert made.never == {
        "Claim": None,
        "Procedure": ((Term("code", ("1", "2")),), (Term("status", ("not-done",)),)),
    }
    assert (made.role, made.about) == ("r", "a role")
    assert (made.purposes, made.roots) == (frozenset({"TREAT"}), frozenset({"Encounter"}))
    assert made.blocks is not None
    assert (made.open_without_case, made.grace_s, made.shows_labels) == (True, 7200, True)


def test_identifiers_of_some_types() -> None:
    made = profile(
        TYPES
        + """
  Patient: {keep: ["identifier[type=MB]", "identifier[type=L&I]", name]}
  DocumentReference:
    keep: [status, "masterIdentifier[type=MB]", identifier.system]
    more: [{when: status=current, keep: ["identifier[type=SS]"]}]
"""
    )
    assert made.types["Patient"].keep == {"identifier": Typed(frozenset({"MB", "L&I"})), "name": None}
    master = {"status": None, "masterIdentifier": Typed(frozenset({"MB"})), "identifier": {"system": None}}
    assert made.types["DocumentReference"].keep == master
    assert made.types["DocumentReference"].more[0].keep == {"identifier": Typed(frozenset({"SS"}))}


@pytest.mark.parametrize(("text", "seconds"), [("1h", 3600), ("9h", 32_400), ("24h", 86_400)])
def test_how_long_tokens_live(text: str, seconds: int) -> None:
    assert profile(HEAD + f"lifetime: {text}\ntypes: {{}}\n").lifetime_s == seconds
    assert profile(HEAD + "types: {}\n").lifetime_s is None


@pytest.mark.parametrize("text", ["0h", "01h", "25h", "240h", "60m", "1", "1h30", " 1h", "1 h", "1H", "-1h"])
def test_lifetimes_that_are_none(text: str) -> None:
    expected = [(4, "lifetime is a number of hours from 1h to 24h")]
    assert faults(HEAD + f'lifetime: "{text}"\ntypes: {{}}\n') == expected


NO_NAMES = [
    "identifier[type=]",
    "identifier[type=mb]",
    "identifier[type=MB,SS]",
    "identifier[type=MB].value",
    "identifier[use=official]",
    "identifier[TYPE=MB]",
    "identifier[type = MB]",
    "identifier[x][type=MB]",
    "link.identifier[type=MB]",
    "[type=MB]",
]


@pytest.mark.parametrize("text", NO_NAMES)
def test_filters_that_are_none(text: str) -> None:
    wrong = f"Patient.keep: {text} is not the name of an element"
    assert faults(TYPES + f'  Patient:\n    keep:\n      - name\n      - "{text}"\n') == [(8, wrong)]


def test_what_is_left_out_is_closed() -> None:
    made = profile(HEAD + "types: {}\n")
    assert made == Profile("r", "a role", frozenset({"TREAT"}), {})
    assert made.rule("Patient") is None


TYPES = HEAD + "types:\n"
CASE = HEAD + "case: {roots: [Encounter], without: nothing}\ntypes:\n"
FAULTS: dict[str, tuple[str, list[tuple[int, str]]]] = {
    "no table": ("- a\n", [(1, "the profile is a table")]),
    "a key missing": ("role: r\nabout: a\npurposes: [TREAT]\n", [(1, "the profile: types is missing")]),
    "an unknown key": (HEAD + "types: {}\ntype: {}\n", [(5, "the profile: there is no key type")]),
    "a key twice": (HEAD + "types: {}\nabout: b\n", [(5, "the profile: about is there twice")]),
    "a key that is no text": (HEAD + "types: {}\n1: 2\n", [(5, "a key of the profile is a text")]),
    "another role": (
        "role: s\nabout: a\npurposes: [TREAT]\ntypes: {}\n",
        [(1, "role, which is the name of the file: there is no s")],
    ),
    "a text that is a number": (
        "role: r\nabout: 7\npurposes: [TREAT]\ntypes: {}\n",
        [(2, "about is a text")],
    ),
    "an unknown purpose": (
        "role: r\nabout: a\npurposes: [TREAT, CURE]\ntypes: {}\n",
        [(3, "purposes: there is no CURE")],
    ),
    "a purpose twice": (
        "role: r\nabout: a\npurposes: [TREAT, TREAT]\ntypes: {}\n",
        [(3, "purposes: TREAT is there twice")],
    ),
    "no purpose": (
        "role: r\nabout: a\npurposes: []\ntypes: {}\n",
        [(3, "purposes is a list of one or more")],
    ),
    "an unknown type": (TYPES + "  Observatoin: all\n", [(5, "types: there is no Observatoin")]),
    "a type neither all nor a table": (TYPES + "  Patient: some\n", [(5, "Patient: there is no some")]),
    "a truth value": (TYPES + "  Patient: true\n", [(5, "Patient is a table")]),
    "no, which is a text": (TYPES + "  Patient: no\n", [(5, "Patient: there is no no")]),
    "an unknown key of a type": (
        TYPES + "  Patient: {keeps: [a]}\n",
        [(5, "Patient: there is no key keeps")],
    ),
    "keep and drop": (
        TYPES + "  Patient:\n    keep: [name]\n    drop: [note]\n",
        [(7, "Patient: keep says what stays, drop what goes: one of them")],
    ),
    "no element": (TYPES + "  Patient: {keep: []}\n", [(5, "Patient.keep is a list of one or more")]),
    "no name of an element": (
        TYPES + "  Patient:\n    keep:\n      - name\n      - Name\n      - a..b\n",
        [
            (8, "Patient.keep: Name is not the name of an element"),
            (9, "Patient.keep: a..b is not the name of an element"),
        ],
    ),
    "an element and a part of it": (
        TYPES + "  Patient: {keep: [name, name.family]}\n",
        [(5, "Patient.keep: name.family is part of another, or the other of it")],
    ),
    "a part of an element and all of it": (
        TYPES + "  Patient: {keep: [name.family, name]}\n",
        [(5, "Patient.keep: name is part of another, or the other of it")],
    ),
    "a type of what are no Identifiers": (
        TYPES + '  Patient: {keep: ["name[type=MB]"]}\n',
        [(5, "Patient.keep: name does not hold Identifiers")],
    ),
    "a type of what only another type of record has": (
        TYPES + '  Patient: {keep: ["masterIdentifier[type=MB]"]}\n',
        [(5, "Patient.keep: masterIdentifier does not hold Identifiers")],
    ),
    "a type of a record without Identifiers": (
        TYPES + '  Binary: {keep: ["identifier[type=MB]"]}\n',
        [(5, "Binary.keep: identifier does not hold Identifiers")],
    ),
    "a type of what goes": (
        TYPES + '  Patient: {drop: ["identifier[type=SS]"]}\n',
        [(5, "Patient.drop: identifier[type=SS]: a type stands in what is kept")],
    ),
    "Identifiers of a type and all": (
        TYPES + '  Patient: {keep: ["identifier[type=MB]", identifier]}\n',
        [(5, "Patient.keep: identifier is part of another, or the other of it")],
    ),
    "all Identifiers and those of a type": (
        TYPES + '  Patient: {keep: [identifier, "identifier[type=MB]"]}\n',
        [(5, "Patient.keep: identifier[type=MB] is part of another, or the other of it")],
    ),
    "Identifiers of a type and parts of them": (
        TYPES + '  Patient: {keep: ["identifier[type=MB]", identifier.value]}\n',
        [(5, "Patient.keep: identifier.value is part of another, or the other of it")],
    ),
    "more Identifiers of a type that is kept": (
        TYPES
        + '  Patient:\n    keep: ["identifier[type=MB]"]\n    more:\n'
        + '      - {when: gender=male, keep: ["identifier[type=MB]"]}\n',
        [(8, "Patient.more.keep: all of it is kept anyway")],
    ),
    "a lifetime that is no text": (
        HEAD + "lifetime: 1\ntypes: {}\n",
        [(4, "lifetime is a text")],
    ),
    "an unknown parameter": (
        TYPES + "  Condition: {only: [stat=active]}\n",
        [(5, f"Condition: stat cannot be evaluated in {release}") for release in VERSIONS],
    ),
    "no query": (
        TYPES + "  Condition: {only: [active]}\n",
        [(5, "Condition: a constraint needs a name and a value")],
    ),
    "a chain": (
        TYPES + "  Condition: {only: [subject.name=x]}\n",
        [(5, "Condition: modifiers, chains and _filter are experimental in scopes and not supported")],
    ),
    "a value that is none": (
        TYPES + "  Observation: {only: [date=soon]}\n",
        [(5, f"Observation: date cannot be evaluated in {release}") for release in VERSIONS],
    ),
    "an unknown placeholder": (
        TYPES + '  Observation: {only: ["performer={me}"]}\n',
        [(5, "Observation: there is no {me}")],
    ),
    "a brace alone": (
        TYPES + '  Observation: {only: ["performer={me"]}\n',
        [(5, "Observation: a brace stands alone")],
    ),
    "a case of which nothing is said": (
        TYPES + "  Condition: {only: [case]}\n",
        [(5, "Condition.only: the profile says nothing of a case")],
    ),
    "a query in a case of which nothing is said": (
        TYPES + "  Condition: {only: [case&clinical-status=active]}\n",
        [(5, "Condition.only: the profile says nothing of a case")],
    ),
    "an unknown parameter in a case": (
        CASE + "  Patient: all\n  Condition:\n    only:\n      - case&stat=active\n",
        [(9, f"Condition: stat cannot be evaluated in {release}") for release in VERSIONS],
    ),
    "a case twice": (
        CASE + "  Condition: {only: [case&case]}\n",
        [(6, "Condition: a constraint needs a name and a value")],
    ),
    "a case behind a query": (
        CASE + "  Condition: {only: [clinical-status=active&case]}\n",
        [(6, "Condition: a constraint needs a name and a value")],
    ),
    "a case and nothing": (
        CASE + "  Condition: {only: [case&]}\n",
        [(6, "a query of Condition is a text")],
    ),
    "a case and a query for all types": (
        CASE + '  "*": {only: [case&_id=x]}\n',
        [(6, "types.*: only takes case alone")],
    ),
    "more than all": (
        TYPES + "  Condition:\n    more:\n      - {when: code=1, keep: [note]}\n",
        [(7, "Condition: more is beside keep")],
    ),
    "more without a query": (
        TYPES + "  Condition:\n    keep: [code]\n    more:\n      - {keep: [note]}\n",
        [(8, "Condition.more: when is missing")],
    ),
    "more by a parameter of no release": (
        TYPES + "  Condition:\n    keep: [code]\n    more:\n      - {when: cod=1, keep: [note]}\n",
        [(8, "Condition: cod cannot be evaluated in any release")],
    ),
    "more of no element": (
        TYPES + "  Condition:\n    keep: [code]\n    more:\n      - {when: code=1, keep: [Note]}\n",
        [(8, "Condition.more.keep: Note is not the name of an element")],
    ),
    "more of what is kept": (
        TYPES + "  Condition:\n    keep: [stage]\n    more:\n      - {when: code=1, keep: [stage.type]}\n",
        [(8, "Condition.more.keep: all of it is kept anyway")],
    ),
    "a query for all types": (CASE + '  "*": {only: [_id=x]}\n', [(6, "types.*: only takes case alone")]),
    "elements of all types": (CASE + '  "*": {keep: [code]}\n', [(6, "types.*: keep is for one type")]),
    "an unknown root": (
        HEAD + "case: {roots: [Stay], without: nothing}\ntypes: {}\n",
        [(4, "roots: there is no Stay")],
    ),
    "a case without what is without it": (
        HEAD + "case: {roots: [Encounter]}\ntypes: {}\n",
        [(4, "case: without is missing")],
    ),
    "an unknown word": (
        HEAD + "case: {roots: [Encounter], without: all}\ntypes: {}\n",
        [(4, "without: there is no all")],
    ),
    "a time that is none": (
        HEAD + "case: {roots: [Encounter], without: nothing, grace: 1d}\ntypes: {}\n",
        [(4, "grace is a number of hours, such as 24h")],
    ),
    "labels neither shown nor hidden": (HEAD + "labels: yes\ntypes: {}\n", [(4, "labels: there is no yes")]),
    "an unknown label": (HEAD + "blocks: [PSYTHPM]\ntypes: {}\n", [(4, "blocks: there is no label PSYTHPM")]),
    "a label unless for an unknown purpose": (
        HEAD + "blocks:\n  - PSYTHPN\n  - {label: R, unless: BGT}\ntypes: {}\n",
        [(6, "unless: there is no BGT")],
    ),
    "an unknown label unless for a purpose": (
        HEAD + "blocks: [{label: RR, unless: BTG}]\ntypes: {}\n",
        [(4, "blocks: there is no label RR")],
    ),
    "a label that nothing opens, as a table": (
        HEAD + "blocks: [{label: R}]\ntypes: {}\n",
        [(4, "a label: unless is missing")],
    ),
    "neither label nor table": (HEAD + "blocks: [[R]]\ntypes: {}\n", [(4, "a label is a text")]),
    "never an unknown type": (HEAD + "never: {Clam: all}\ntypes: {}\n", [(4, "never: there is no Clam")]),
    "never a word": (HEAD + "never: {Claim: some}\ntypes: {}\n", [(4, "never.Claim: there is no some")]),
    "several, in the order of the lines": (
        "about: b\nrole: r\npurposes: [X]\ntypes:\n  Patient: some\nmore: 1\n",
        [
            (3, "purposes: there is no X"),
            (5, "Patient: there is no some"),
            (6, "the profile: there is no key more"),
        ],
    ),
}


@pytest.mark.parametrize(("text", "expected"), FAULTS.values(), ids=FAULTS)
def test_faults(text: str, expected: list[tuple[int, str]]) -> None:
    assert faults(text) == expected
