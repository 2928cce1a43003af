from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from gateway.core.canon import canonical
from gateway.core.consent.document import format_document, is_plain, parse
from gateway.core.consent.rule import ALWAYS, Consent, DataRef, Effect, Match, Node, Period, State
from gateway.core.values import Label, Ref, Scope
from tests.core.consent import generated
from tests.core.consent.build import deny, permit, placed, rule, scope

EXAMPLE = (
    '{"effect":"permit","except":[],"from":null,"grantees":["client:app-1"],"id":"c-1","labels":[],'
    '"patient":"pat-a","purposes":["TREAT"],"scopes":["patient/*.rs"],"supersedes":[],'
    '"until":1798761599,"v":1}'
)


WHOLE = (
    '{"actions":["access"],"classes":[["http://hl7.org/fhir/resource-types","Observation"]],"codes":[],'
    '"custodians":[],"data":[["related","Encounter/5"]],"dataFrom":1640995200,"dataUntil":1672531199,'
    '"effect":"permit","except":[],"from":null,"grantees":["role:clinician"],"grantor":"Patient/pat-a",'
    '"id":"c-2","indeterminate":false,"labels":[],"malformed":false,"opaque":false,"patient":"pat-a",'
    '"purposes":[],"scopes":[],"supersedes":[],"until":null,"v":2}'
)


def read_scope(text: str) -> Scope:
    """A strict stand-in for the SMART parser."""
    found = scope(text)
    if not text.startswith("patient/") or not found.operations:
        raise ValueError("not a scope")
    return found


def test_the_example_of_the_docstring() -> None:
    consent = parse(EXAMPLE, read_scope)
    assert consent == Consent(
        "c-1",
        "pat-a",
        permit(actors="client:app-1", purposes="TREAT", scopes="patient/*.rs"),
        Period(None, 1798761599),
    )
    assert format_document(consent) == EXAMPLE


def test_the_example_of_the_later_version() -> None:
    consent = parse(WHOLE, read_scope)
    assert consent == Consent(
        "c-2",
        "pat-a",
        Node(
            Effect.PERMIT,
            Match(
                frozenset({"role:clinician"}),
                actions=frozenset({"access"}),
                classes=frozenset({Label("http://hl7.org/fhir/resource-types", "Observation")}),
                data_period=Period(1640995200, 1672531199),
                data=frozenset({DataRef("related", Ref("Encounter", "5"))}),
            ),
        ),
        grantor="Patient/pat-a",
    )
    assert format_document(consent) == WHOLE


def test_what_the_first_version_can_say_is_not_written_in_the_later_one() -> None:
    later = {**json.loads(WHOLE), **json.loads(EXAMPLE), "v": 2, "grantor": None}
    later |= {"actions": [], "classes": [], "data": [], "dataFrom": None, "dataUntil": None}
    with pytest.raises(ValueError, match="another form"):
        parse(canonical(later).decode(), read_scope)
    later["grantor"] = "Patient/pat-a"
    assert parse(canonical(later).decode(), read_scope).grantor == "Patient/pat-a"


def test_exceptions_keep_their_places_and_periods() -> None:
    root = permit(deny(permit(period=Period(1, 2)), labels="HIV"), deny(purposes="HRESCH"))
    consent = rule(root, period=Period(0), supersedes=["a", "b"])
    assert parse(format_document(consent), read_scope) == consent


TOP = json.loads(EXAMPLE)
BAD: list[tuple[str, dict[str, Any]]] = [
    ("another version", {"v": 3}),
    ("the later version without its members", {"v": 2}),
    ("a version that is true", {"v": True}),
    ("no id", {"id": ""}),
    ("a bad id", {"id": "a b"}),
    ("a bad patient", {"patient": "Patient/1"}),
    ("another effect", {"effect": "allow"}),
    ("a grantee of no kind", {"grantees": ["app-1"]}),
    ("a grantee that is a number", {"grantees": [1]}),
    ("grantees not a list", {"grantees": "client:app-1"}),
    ("grantees twice", {"grantees": ["client:a", "client:a"]}),
    ("grantees unsorted", {"grantees": ["client:b", "client:a"]}),
    ("a scope that does not parse", {"scopes": ["everything"]}),
    ("an empty scope", {"scopes": [""]}),
    ("a label of no form", {"labels": ["a b"]}),
    ("a period that is a text", {"until": "2027"}),
    ("a period that is true", {"until": True}),
    ("ends before it begins", {"from": 2, "until": 1}),
    ("an end that cannot be written", {"until": 2**53 - 1}),
    ("supersedes itself", {"supersedes": ["c-1"]}),
    ("exceptions not a list", {"except": {}}),
    ("an exception with an id", {"except": [TOP]}),
    ("an exception without an effect", {"except": [{}]}),
    ("a member more", {"note": ""}),
]


@pytest.mark.parametrize("change", [row[1] for row in BAD], ids=[row[0] for row in BAD])
def test_other_texts_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(canonical({**TOP, **change}).decode(), read_scope)


LATER = json.loads(WHOLE)
BAD_LATER: list[tuple[str, dict[str, Any]]] = [
    ("the version of the first", {"v": 1}),
    ("an action that is none", {"actions": ["read"]}),
    ("actions unsorted", {"actions": ["use", "access"]}),
    ("a class that is no pair", {"classes": ["Observation"]}),
    ("a class of three", {"classes": [["a", "b", "c"]]}),
    ("classes not a list", {"classes": {}}),
    ("a code that is empty", {"codes": [["http://loinc.org", ""]]}),
    ("a code of two lines", {"codes": [["http://loinc.org", "a\nb"]]}),
    ("a custodian of no kind", {"custodians": ["hospital"]}),
    ("a meaning that is none", {"data": [["about", "Encounter/5"]]}),
    ("a record without an id", {"data": [["related", "Encounter"]]}),
    ("data twice", {"data": [["related", "Encounter/5"], ["related", "Encounter/5"]]}),
    ("data of a period that ends before", {"dataFrom": 2, "dataUntil": 1}),
    ("a text for a flag", {"opaque": "no"}),
    ("a number for a flag", {"malformed": 0}),
    ("an unknown that is null", {"indeterminate": None}),
    ("a grantor without a type", {"grantor": "pat-a"}),
    ("a grantor that is empty", {"grantor": ""}),
    ("an exception of the first version", {"except": [{"effect": "deny", "grantees": [], "scopes": [],
        "purposes": [], "from": None, "until": None, "labels": [], "except": []}]}),
]  # fmt: skip


@pytest.mark.parametrize("change", [row[1] for row in BAD_LATER], ids=[row[0] for row in BAD_LATER])
def test_other_texts_of_the_later_version_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(canonical({**LATER, **change}).decode(), read_scope)


@pytest.mark.parametrize("name", sorted(LATER))
def test_every_member_of_the_later_version_is_needed(name: str) -> None:
    with pytest.raises(ValueError, match="members"):
        parse(canonical({key: value for key, value in LATER.items() if key != name}).decode(), read_scope)


@pytest.mark.parametrize("name", sorted(TOP))
def test_every_member_is_needed(name: str) -> None:
    with pytest.raises(ValueError, match="members"):
        parse(canonical({key: value for key, value in TOP.items() if key != name}).decode(), read_scope)


@pytest.mark.parametrize(
    "text",
    [EXAMPLE + " ", " " + EXAMPLE, json.dumps(TOP), EXAMPLE.replace('"v":1', '"v":1,"v":1'),
     EXAMPLE.replace("1798761599", "1798761599.0"), EXAMPLE.replace("TREAT", "\\u0054REAT"),
     "", "null", "[]"],
)  # fmt: skip
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text, read_scope)


def test_depth_has_a_limit() -> None:
    def nested(levels: int) -> Consent:
        root = permit()
        for _ in range(levels):
            root = placed(permit(), [root])
        return rule(root)

    assert parse(format_document(nested(16)), read_scope) == nested(16)
    with pytest.raises(ValueError, match="deeply"):
        parse(format_document(nested(17)), read_scope)


NAMED = generated.consent_lists(most=3)


@given(NAMED)
def test_what_is_written_is_read_and_written_the_same(consents: list[Consent]) -> None:
    for consent in consents:
        said = replace(consent, refs=(), state=State.LIVE)
        said = replace(said, root=replace(said.root, match=replace(said.root.match, period=ALWAYS)))
        text = format_document(said)
        assert parse(text, read_scope) == said
        assert format_document(parse(text, read_scope)) == text
        assert json.loads(text)["v"] == (1 if is_plain(said) else 2)
