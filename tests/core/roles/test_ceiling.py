"""A profile applied: conditions, elements, labels, and that what cannot be told is not seen."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.fhir.catalogue import VERSIONS
from gateway.core.fhir.scan import Place
from gateway.core.roles.ceiling import NO_ROLES, Ceiling, Roles, Sight
from gateway.core.roles.elements import joined
from gateway.core.roles.parse import parse_profile
from gateway.core.roles.profile import Names, Typed
from gateway.core.values import Label, Ref, Token
from gateway.mapping import load_catalogue
from gateway.yaml_lines import read_yaml
from tests.core.consent.build import NOW_S
from tests.core.deciding import BASES, R4, facts, token

CATALOGUES = [load_catalogue(release) for release in VERSIONS]
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
HEAD = "role: r\nabout: a role\npurposes: [TREAT]\n"


def ceiling(text: str, who: Token | None = None) -> Ceiling:
    profile = parse_profile("r", read_yaml(HEAD + text), CATALOGUES)
    made = Roles({"r": profile, "emergency": profile}).ceiling(who or with_role(), NOW_S, R4, BASES.both)
    assert made is not None
    return made


def with_role(role: str | None = "r", **more: Any) -> Token:
    made = token(**more)
    return type(made)(**{**{name: getattr(made, name) for name in made.__slots__}, "role": role})


def sight(by: Ceiling, tree: dict[str, Any], within: bool | str | None = "none") -> Sight | None:
    """What is seen of a record; `within` is what is told of its case, "none" that the token has none."""
    raw = json.dumps({"id": "x", **tree}).encode()
    asks = None if within == "none" else lambda *_: within
    return by.sight(facts(raw), lambda: json.loads(raw), asks)  # type: ignore[arg-type]


def condition(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "subject": {"reference": "Patient/85"}, **more}


ACTIVE = {"clinicalStatus": {"coding": [{"code": "active"}]}}
ENDED = {"clinicalStatus": {"coding": [{"code": "resolved"}]}}
UNSAID = {"clinicalStatus": {"text": "active"}}


@pytest.mark.parametrize(
    ("more", "within", "seen"),
    [
        (ACTIVE, "none", True),
        (ACTIVE, False, True),
        (ENDED, "none", False),
        (ENDED, True, True),
        (ENDED, False, False),
        (ENDED, None, False),
        (UNSAID, "none", False),
        ({}, "none", False),
    ],
    ids=[
        "holds",
        "holds outside the case",
        "does not",
        "in the case",
        "not in it",
        "not known",
        "unsaid",
        "absent",
    ],
)
def test_one_of_the_conditions_has_to_hold(more: dict[str, Any], within: Any, seen: bool) -> None:
    by = ceiling(
        "case: {roots: [Encounter], without: nothing}\n"
        "types: {Condition: {only: [clinical-status=active, case]}}\n"
    )
    assert (sight(by, condition(**more), within) is not None) == seen


@pytest.mark.parametrize(("without", "seen"), [("whole", True), ("nothing", False)])
def test_a_token_without_a_case(without: str, seen: bool) -> None:
    by = ceiling(
        f"case: {{roots: [Encounter], without: {without}}}\ntypes: {{Condition: {{only: [case]}}}}\n"
    )
    assert (sight(by, condition()) is not None) == seen
    assert sight(by, condition(), within=None) is None, "a case of which nothing is known opens nothing"
    assert sight(by, condition(), within=True) == Sight(None)


def order(performer: str | None) -> dict[str, Any]:
    named = {} if performer is None else {"performer": [{"reference": performer}]}
    return {"resourceType": "ServiceRequest", "subject": {"reference": "Patient/85"}, **named}


@pytest.mark.parametrize(
    ("performer", "within", "seen"),
    [
        ("Organization/lab", True, True),
        ("Organization/other", True, False),
        (None, True, False),
        ("Organization/lab", False, False),
        ("Organization/lab", None, False),
        ("Organization/lab", "none", False),
    ],
    ids=["both", "another's", "nobody's", "not in the case", "not known", "without a case"],
)
def test_a_case_and_a_query(performer: str | None, within: Any, seen: bool) -> None:
    by = ceiling(
        "case: {roots: [ServiceRequest], without: nothing}\n"
        'types: {ServiceRequest: {only: ["case&performer={organization}"]}}\n',
        with_role(organization=Ref("Organization", "lab")),
    )
    assert by.weighs_case("ServiceRequest")
    assert (sight(by, order(performer), within) is not None) == seen


def test_a_case_and_a_query_where_none_is_needed() -> None:
    by = ceiling(
        "case: {roots: [Encounter], without: whole}\n"
        "types: {Condition: {only: [case&clinical-status=active]}}\n"
    )
    assert sight(by, condition(**ACTIVE)) is not None
    assert sight(by, condition(**ENDED)) is None
    assert sight(by, condition(**ENDED), within=True) is None


TIMED = "case: {{roots: [Encounter], without: {without}, grace: 24h}}\ntypes: {{Condition: all}}\n"


@pytest.mark.parametrize("without", ["whole", "nothing"])
def test_out_of_the_time_of_its_case_a_role_sees_nothing(without: str) -> None:
    by = ceiling(TIMED.format(without=without))
    assert sight(by, condition()) is None
    assert sight(by, condition(), within=False) == Sight(None)
    assert by.is_timed
    assert by.is_selective("Condition")


@pytest.mark.parametrize(
    ("more", "seen"), [(ACTIVE, False), (ENDED, True), (UNSAID, False)], ids=["holds", "does not", "unsaid"]
)
def test_never_hides_what_may_be_meant(more: dict[str, Any], seen: bool) -> None:
    by = ceiling("types: {Condition: all}\nnever: {Condition: [clinical-status=active]}\n")
    assert (sight(by, condition(**more)) is not None) == seen


@pytest.mark.parametrize(
    ("organization", "performer", "seen"),
    [
        (Ref("Organization", "lab"), "Organization/lab", True),
        (Ref("Organization", "lab"), "Organization/other", False),
        (None, "Organization/lab", False),
    ],
    ids=["its own", "another's", "of a token without one"],
)
def test_queries_speak_of_the_token(organization: Ref | None, performer: str, seen: bool) -> None:
    by = ceiling(
        'types: {Observation: {only: ["performer={organization}"]}}\n', with_role(organization=organization)
    )
    record = {
        "resourceType": "Observation",
        "subject": {"reference": "Patient/85"},
        "performer": [{"reference": performer}],
    }
    assert (sight(by, record) is not None) == seen


@pytest.mark.parametrize(
    ("labels", "blocked"),
    [
        (set(), False),
        ({Label(ACT_CODE, "PSYTHPN")}, True),
        ({Label(ACT_CODE, "PSY")}, False),
        ({Label(ACT_CODE, "psythpn")}, True),
        ({Label("https://x.example", "PSYTHPN")}, True),
    ],
    ids=["none", "the label", "one above it", "perhaps it", "of an unknown system"],
)
def test_labels(labels: set[Label], blocked: bool) -> None:
    by = ceiling("types: {Condition: all}\nblocks: [PSYTHPN]\n")
    assert by.blocks(frozenset(labels)) == blocked
    assert by.travels("Condition", frozenset(labels)) != blocked
    assert by.weighs_labels
    assert not ceiling("types: {Condition: all}\n").blocks(frozenset(labels))


BLOCKING = (
    "types: {Condition: all}\nblocks: [PSYTHPN, {label: R, unless: ETREAT}, {label: HIV, unless: COC}]\n"
)


@pytest.mark.parametrize(
    ("purposes", "label", "blocked"),
    [
        ("TREAT", "SDV", True),
        ("ETREAT", "SDV", False),
        ("TREAT ETREAT", "SDV", False),
        ("ERTREAT", "SDV", True),
        ("ETREAT", "PSYTHPN", True),
        ("ETREAT", "HIV", True),
        ("ETREAT COC", "HIV", False),
        ("COC", "HIV", True),
    ],
)
def test_labels_that_a_purpose_opens(purposes: str, label: str, blocked: bool) -> None:
    by = ceiling(BLOCKING, with_role(purposes=purposes))
    assert by.blocks(frozenset({Label(ACT_CODE, label)})) == blocked
    assert not by.blocks(frozenset())
    assert by.weighs_labels


# --- Before any record ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "refused"),
    [
        (with_role(), None),
        (with_role(purposes="COC"), None),
        (with_role(purposes="HPAYMT"), "The role of this token is for other purposes of use."),
        (with_role(purposes="TREAT HPAYMT"), "The role of this token is for other purposes of use."),
        (with_role(purposes=""), "The role of this token is for other purposes of use."),
        (with_role(purposes="BTG"), "The role of this token is for other purposes of use."),
        (with_role("s"), "The role of this token sees nothing here."),
        (with_role("R"), "The role of this token sees nothing here."),
    ],
    ids=[
        "good",
        "a narrower purpose",
        "another",
        "one of two",
        "none",
        "break-glass unnamed",
        "no such role",
        "in capitals",
    ],
)
def test_roles_and_purposes(who: Token, refused: str | None) -> None:
    by = ceiling("types: {Condition: all}\n", who)
    assert by.refusal("Condition") == refused
    assert (sight(by, condition()) is None) == (refused is not None)
    assert by.refusal("Observation") is not None


@pytest.mark.parametrize(("lives_s", "refused"), [(3600, False), (3601, True), (86_400, True), (1, False)])
def test_a_token_that_lives_longer_than_its_role_lets_it(lives_s: int, refused: bool) -> None:
    """However much of its life is over."""
    made = with_role()
    for begun_s in (0, lives_s - 1):
        issued = NOW_S - begun_s
        who = replace(made, issued_at_s=issued, expires_at_s=issued + lives_s)
        by = ceiling("lifetime: 1h\ntypes: {Condition: all}\n", who)
        assert (by.refusal("Condition") == "This token lives longer than one of its role may.") == refused
        assert (sight(by, condition()) is None) == refused
        assert by.travels("Condition", frozenset()) != refused
        assert ceiling("types: {Condition: all}\n", who).refusal("Condition") is None


def test_who_breaks_the_glass_has_the_role_for_it() -> None:
    who = with_role("clinician", purposes="BTG")
    emergency = parse_profile(
        "r", read_yaml("role: r\nabout: a\npurposes: [BTG]\ntypes: {Condition: all}\n"), CATALOGUES
    )
    made = Roles({"emergency": emergency}).ceiling(who, NOW_S, R4, BASES.both)
    assert made is not None
    assert made.refusal("Condition") is None
    assert Roles({"clinician": emergency}).ceiling(who, NOW_S, R4, BASES.both) == Ceiling(
        Roles().ceiling(with_role("x"), NOW_S, R4, BASES.both).profile,  # type: ignore[union-attr]
        who.purposes,
        made.values,
        R4,
        BASES.both,
    )


def test_a_token_without_a_role() -> None:
    assert NO_ROLES.ceiling(token(), NOW_S, R4, BASES.both) is None
    closed = Roles(required=True).ceiling(token(), NOW_S, R4, BASES.both)
    assert closed is not None
    assert closed.refusal("Patient") is not None


@pytest.mark.parametrize(
    ("text", "kind", "selective"),
    [
        ("types: {Condition: all}\n", "Condition", False),
        ("types: {Condition: {keep: [code]}}\n", "Condition", False),
        ("types: {Condition: {only: [clinical-status=active]}}\n", "Condition", True),
        ("types: {Condition: all}\nnever: {Condition: [clinical-status=active]}\n", "Condition", True),
        ("types: {Condition: all}\nblocks: [ADOL]\n", "Condition", True),
    ],
)
def test_what_keeps_records_back_for_what_they_hold(text: str, kind: str, selective: bool) -> None:
    assert ceiling(text).is_selective(kind) == selective


# --- Elements ---------------------------------------------------------------------------------------

RECORD = {
    "resourceType": "MedicationRequest",
    "id": "x",
    "meta": {"versionId": "1"},
    "text": {"div": "d"},
    "modifierExtension": [{"url": "u"}],
    "status": "active",
    "_status": {"id": "s"},
    "medicationReference": {"reference": "#m"},
    "subject": {"reference": "Patient/85"},
    "note": [{"text": "n"}],
    "dosageInstruction": [{"id": "1", "text": "t", "route": {"text": "r"}}, {"text": "u"}, "odd"],
    "contained": [{"resourceType": "Medication", "id": "m", "code": {"text": "c"}}],
}
ELEMENTS: list[tuple[str, list[Place]]] = [
    (
        '{keep: [status, "medication[x]", subject, dosageInstruction.route]}',
        [
            ("text",),
            ("note",),
            ("dosageInstruction", 0, "text"),
            ("dosageInstruction", 1, "text"),
            ("dosageInstruction", 2),
        ],
    ),
    (
        "{keep: [text, note, dosageInstruction]}",
        [("status",), ("_status",), ("medicationReference",), ("subject",)],
    ),
    ("{keep: [medicationReference, status, subject, note, text, dosageInstruction]}", []),
    (
        "{drop: [note, dosageInstruction.text]}",
        [("note",), ("dosageInstruction", 0, "text"), ("dosageInstruction", 1, "text")],
    ),
    ('{drop: ["medication[x]", status]}', [("status",), ("_status",), ("medicationReference",)]),
    ("{drop: [groupIdentifier]}", []),
]


@pytest.mark.parametrize(("rule", "trims"), ELEMENTS, ids=[row[0] for row in ELEMENTS])
def test_elements(rule: str, trims: list[Place]) -> None:
    found = sight(ceiling(f"types: {{MedicationRequest: {rule}}}\n"), RECORD)
    assert found is not None
    assert found.trims is not None
    assert sorted(found.trims, key=str) == sorted(trims, key=str)


V2 = "http://terminology.hl7.org/CodeSystem/v2-0203"


def typed(code: Any, system: Any = V2, **more: Any) -> dict[str, Any]:
    return {"type": {"coding": [{"system": system, "code": code}]}, "value": "1", **more}


MEMBER = typed("MB")
IDENTIFIERS: dict[str, tuple[Any, list[Place]]] = {
    "the member number": ([MEMBER], []),
    "among others": ([typed("SS"), MEMBER, typed("MR")], [("identifier", 0), ("identifier", 2)]),
    "one of two codings": ([{"type": {"coding": [{"code": "x"}, *MEMBER["type"]["coding"]]}}], []),
    "one alone": (MEMBER, []),
    "one alone, of another type": (typed("SS"), [("identifier",)]),
    "another code": ([typed("SS")], [("identifier", 0)]),
    "the code in other letters": ([typed("mb")], [("identifier", 0)]),
    "the code with more": ([typed("MB ")], [("identifier", 0)]),
    "another system": ([typed("MB", "http://terminology.hl7.org/CodeSystem/v2-0204")], [("identifier", 0)]),
    "no system": ([{"type": {"coding": [{"code": "MB"}]}}], [("identifier", 0)]),
    "a system that is a list": ([typed("MB", [V2])], [("identifier", 0)]),
    "a code that is a list": ([typed(["MB"])], [("identifier", 0)]),
    "no type": ([{"system": V2, "value": "MB"}], [("identifier", 0)]),
    "a type in words": ([{"type": {"text": "MB"}}], [("identifier", 0)]),
    "a type that is a coding": ([{"type": {"system": V2, "code": "MB"}}], [("identifier", 0)]),
    "a coding that is no list": ([{"type": {"coding": {"system": V2, "code": "MB"}}}], [("identifier", 0)]),
    "a list of types": ([{"type": [MEMBER["type"]]}], [("identifier", 0)]),
    "codings that are none": ([{"type": {"coding": ["MB", None, [V2, "MB"]]}}], [("identifier", 0)]),
    "a list in the list": ([[MEMBER]], [("identifier", 0)]),
    "texts and nothing": (["MB", None, 7], [("identifier", 0), ("identifier", 1), ("identifier", 2)]),
    "nothing": (None, [("identifier",)]),
    "a text": ("MB", [("identifier",)]),
    "an empty list": ([], []),
}
OF_TYPE = 'types: {Patient: {keep: ["identifier[type=MB]", name]}}\n'


@pytest.mark.parametrize(("value", "trims"), IDENTIFIERS.values(), ids=IDENTIFIERS)
@pytest.mark.parametrize("release", VERSIONS)
def test_identifiers_of_a_type(value: Any, trims: list[Place], release: str) -> None:
    """Of all that `identifier` may hold what is plainly of the type, in every release."""
    by = replace(ceiling(OF_TYPE), catalogue=load_catalogue(release))
    person = {"resourceType": "Patient", "id": "p", "identifier": value, "name": [{"family": "F"}]}
    assert sight(by, person) == Sight(tuple(trims))


@pytest.mark.parametrize("beside", [[None], [MEMBER], None, {"id": "i"}], ids=["null", "one", "none", "id"])
def test_what_stands_beside_identifiers_is_not_seen(beside: Any) -> None:
    person = {"resourceType": "Patient", "identifier": [MEMBER], "_identifier": beside}
    assert sight(ceiling(OF_TYPE), person) == Sight((("_identifier",),))


def test_identifiers_of_a_type_and_what_is_needed_of_others() -> None:
    by = ceiling(
        'types: {Patient: {keep: ["identifier[type=MB]"], more: ['
        '{when: gender=male, keep: ["identifier[type=SS]"]}, '
        "{when: active=true, keep: [identifier.system]}]}}\n"
    )
    person = {"resourceType": "Patient", "identifier": [MEMBER, typed("SS"), {"system": "s", "value": "2"}]}

    def seen(**more: Any) -> Any:
        found = sight(by, {**person, **more})
        return {place for place in (found.trims or ()) if place[0] == "identifier"} if found else None

    assert seen() == {("identifier", 1), ("identifier", 2)}
    assert seen(gender="male") == {("identifier", 2)}
    parts = {("identifier", 1, "type"), ("identifier", 1, "value"), ("identifier", 2, "value")}
    assert seen(active=True) == parts
    assert seen(active=True, gender="male") == {("identifier", 2, "value")}


NAMES_OF = st.none() | st.builds(
    lambda codes, others: Typed(codes, dict.fromkeys(others)),
    st.frozensets(st.sampled_from(["MB", "SS"])),
    st.frozensets(st.sampled_from(["system", "value"])),
)
LISTS = st.dictionaries(
    st.sampled_from(["identifier", "name"]),
    NAMES_OF | st.dictionaries(st.sampled_from(["system", "value"]), st.none(), min_size=1),
)


@given(LISTS, LISTS, LISTS)
def test_lists_are_joined_in_any_order(one: Names, two: Names, three: Names) -> None:
    assert joined(one, one) == one
    assert joined(one, two) == joined(two, one)
    assert joined(joined(one, two), three) == joined(one, joined(two, three))


MORE = (
    "types: {Condition: {keep: [code, stage.type], more: ["
    "{when: 'code=s|1', keep: [note]}, {when: 'severity=s|2', keep: [stage.summary]}]}}\n"
)


def coded(code: str) -> dict[str, Any]:
    return {"coding": [{"system": "s", "code": code}]}


@pytest.mark.parametrize(
    ("more", "gone"),
    [
        ({"code": coded("3")}, {("note",), ("stage", 0, "summary")}),
        ({"code": coded("1")}, {("stage", 0, "summary")}),
        ({"code": {"text": "1"}}, {("note",), ("stage", 0, "summary")}),
        ({"severity": coded("2")}, {("note",), ("severity",)}),
        ({"code": coded("1"), "severity": coded("2")}, {("severity",)}),
    ],
    ids=["none holds", "one does", "it cannot be told", "the other", "both"],
)
def test_elements_that_are_needed_of_some(more: dict[str, Any], gone: set[Place]) -> None:
    tree = condition(note=[{"text": "n"}], stage=[{"type": coded("t"), "summary": coded("u")}], **more)
    found = sight(ceiling(MORE), tree)
    assert found is not None
    assert {*(found.trims or ())} - {("subject",)} == gone
    outer = {"resourceType": "Procedure", "subject": tree["subject"], "contained": [{**tree, "id": "c"}]}
    inner = sight(ceiling(MORE.replace("types: {", "types: {Procedure: all, ")), outer)
    assert inner is not None
    there = {("contained", 0, *each) for each in gone}
    assert {*(inner.trims or ())} - {("contained", 0, "subject")} == there


def test_what_is_contained_has_its_own_rule() -> None:
    inner = condition(id="c", code={"text": "c"}, note=[{"text": "n"}])
    tree = {"resourceType": "Procedure", "subject": {"reference": "Patient/85"}, "contained": [inner]}
    by = ceiling("types: {Procedure: all, Condition: {keep: [code, subject]}}\n")
    assert sight(by, tree) == Sight((("contained", 0, "note"),))
    assert sight(ceiling("types: {Procedure: all}\n"), tree) == Sight(None)
    assert not ceiling("types: {Procedure: all}\n").travels("Condition", frozenset())


NAMES = st.sampled_from(["status", "note", "subject", "code", "text", "valueString", "_status", "id", "meta"])
VALUES = st.recursive(
    st.none() | st.integers(0, 3) | st.just("s"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(NAMES.filter(lambda name: name not in ("id", "meta")), VALUES, max_size=5))
def test_what_is_kept_and_what_is_dropped_are_the_whole(members: dict[str, Any]) -> None:
    """The same names as keep and as drop divide the members between them."""
    tree = condition(**members)
    try:
        kept = sight(ceiling("types: {Condition: {keep: [status, note]}}\n"), tree)
        gone = sight(ceiling("types: {Condition: {drop: [status, note]}}\n"), tree)
    except ValueError:
        return  # no resource
    assert kept is not None
    assert gone is not None
    places = [*(kept.trims or ()), *(gone.trims or ())]
    assert sorted(places) == sorted((name,) for name in tree if name not in ("resourceType", "id", "meta"))


@pytest.mark.parametrize(
    ("meta", "gone"),
    [
        ({"versionId": "1", "lastUpdated": "2026-01-01T00:00:00Z", "source": "#x"}, []),
        ({"profile": ["http://h.example/p"], "tag": [{"code": "x"}], "security": []}, []),
        ({"extension": [{"url": "http://h.example/x", "valueString": "more"}]}, ["extension"]),
        ({"profile": [None], "_profile": [{"id": "1"}], "_source": {"id": "1"}}, ["_profile", "_source"]),
    ],
    ids=json.dumps,
)
def test_what_extends_meta_is_in_no_list(meta: dict[str, Any], gone: list[str]) -> None:
    kept = ceiling("types: {Condition: {keep: [code]}}\n")
    assert sight(kept, condition(meta=meta)) == Sight((("subject",), *(("meta", name) for name in gone)))
    whole = ceiling("types: {Condition: all}\n")
    assert sight(whole, condition(meta=meta)) == Sight(None)
