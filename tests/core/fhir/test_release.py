"""Judging what the record server answers, and building what leaves."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.consent.egress import EGRESS, PART_2
from gateway.core.fhir import codec
from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.candidate import Candidate, Content
from gateway.core.fhir.contained import Inner
from gateway.core.fhir.facts import Facts, facts_of
from gateway.core.fhir.release import Cursor, Review, as_judged, build_instance, build_searchset, review_page
from gateway.core.fhir.scan import Place
from gateway.core.fhir.security import Basis
from gateway.core.fhir.telling import NOTICE, Notice, Telling
from gateway.core.values import Label, Ref, Shape
from gateway.errors import UpstreamUnusable
from gateway.mapping import load_catalogue, load_outlines

R4 = load_catalogue("R4")
OUTLINES = load_outlines("R4")
BASES = Bases("https://gw.example/fhir", "http://upstream.internal:8080/fhir")
UP = BASES.upstream


@dataclass(frozen=True)
class Said:
    visible: bool
    reason: str
    cuts: tuple[Place, ...] = ()
    trims: tuple[Place, ...] | None = None
    left: frozenset[Label] | None = None
    because: tuple[tuple[str, int, str], ...] = ()
    overridden: tuple[tuple[str, int, str], ...] = ()
    labels: frozenset[Label] = frozenset()
    told: tuple[Basis, ...] = ()


SILENT = Telling("silent", EGRESS)


def of_a(facts: Facts, content: Content) -> Said:
    return Said("a" in facts.owners, "consent" if "a" in facts.owners else "no_consent")


def facts(raw: bytes) -> Facts:
    return facts_of(raw, R4, BASES)


def observation(id: str = "x", patient: str = "a", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": id, "subject": {"reference": f"Patient/{patient}"}, **more}


def bundle(*entries: Any, links: dict[str, str] | None = None, **more: Any) -> bytes:
    wrapped = [{"resource": entry} if "resourceType" in entry else entry for entry in entries]
    link = [{"relation": relation, "url": url} for relation, url in (links or {}).items()]
    return json.dumps(
        {"resourceType": "Bundle", "type": "searchset", "link": link, "entry": wrapped, **more}
    ).encode()


def review(body: bytes, *required: tuple[str, str]) -> Review:
    return review_page(body, "Observation", BASES, required, facts, of_a, lambda holder, inner, content: True)


def ids(found: Review) -> list[str]:
    return [candidate.facts.id for candidate in found.candidates]


def test_a_page_keeps_what_is_seen_and_counts_the_rest() -> None:
    found = review(
        bundle(
            observation("1"),
            observation("2", "b"),
            observation("3"),
            {**observation("4"), "resourceType": "Condition"},
        )
    )
    assert ids(found) == ["1", "3"]
    assert found.withheld == {"no_consent": 1, "other_type": 1}
    assert found.complete


@pytest.mark.parametrize(
    "entry",
    [
        {"fullUrl": "x"},
        {"resource": observation(), "search": {"mode": "include"}},
        {"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}},
        {"resource": observation(), "search": {"mode": 1}},
        {"resource": observation(), "search": "match"},
    ],
)
def test_entries_that_are_no_match_are_passed_over(entry: dict[str, Any]) -> None:
    assert ids(review(bundle(entry, observation("1")))) == ["1"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"resourceType":"Observation","id":"x"}',
        bundle(type="history"),
        bundle(type=None),
        bundle(entry={}),
        bundle(entry=["x"]),
        bundle(entry=[{"resource": "x"}]),
        bundle(entry=[{"resource": {"resourceType": "Observation"}}]),
        bundle(link=[{"relation": "self"}]),
        bundle(link=["x"]),
        bundle()[:-1],
        b'{"resourceType":"Bundle","type":"searchset","type":"searchset"}',
        b'{"resourceType":"Bundle","type":"searchset","entry":[],"entry":[]}',
    ],
)
def test_what_is_no_searchset(body: bytes) -> None:
    with pytest.raises(UpstreamUnusable):
        review(body)


NARROW = (("patient", "Patient/a"), ("category", "s|c"))


@pytest.mark.parametrize(
    ("self_link", "good"),
    [
        (f"{UP}/Observation?patient=Patient/a&category=s%7Cc", True),
        (f"{UP}/Observation?category=s%7Cc&x=1&patient=Patient%2Fa", True),
        (f"{UP}/Observation", True),
        (f"{UP}/Observation?patient=Patient/a", False),
        (f"{UP}/Observation?patient=Patient/a&category=s", False),
        (f"{UP}/Observation?patient=Patient/b&category=s%7Cc", False),
        (f"{UP}/Observation?patient=Patient/a,Patient/b&category=s%7Cc", False),
        (f"{UP}/Observation?x", False),
        ("http://[", False),
    ],
)
def test_the_self_link_shows_what_was_done(self_link: str, good: bool) -> None:
    body = bundle(observation(), links={"self": self_link})
    if good:
        assert ids(review(body, *NARROW)) == ["x"]
    else:
        with pytest.raises(UpstreamUnusable):
            review(body, *NARROW)


@pytest.mark.parametrize(
    ("url", "cursor"),
    [
        (f"{UP}?_getpages=1", Cursor("", "_getpages=1")),
        (f"{UP}/Observation?page=2", Cursor("/Observation", "page=2")),
        ("/fhir/Observation?page=2", Cursor("/Observation", "page=2")),
        ("Observation?page=2", Cursor("/Observation", "page=2")),
        ("http://evil.example/fhir?x=1", None),
        ("https://upstream.internal:8080/fhir?x=1", None),
        ("http://upstream.internal/fhir?x=1", None),
        ("http://upstream.internal:8080/fhirx?x=1", None),
        ("http://upstream.internal:8080@evil.example/fhir", None),
        ("http://upstream.internal:8080/", None),
        ("//evil.example/fhir", None),
        ("/admin", None),
        ("javascript:alert(1)", None),
        ("data:text/plain,x", None),
        (f"{UP}/../admin", None),
        (f"{UP}/%2e%2e/admin", None),
        (f"{UP}/a;b", None),
        (f"{UP}#x", None),
        ("http://[", None),
    ],
)
def test_next_links(url: str, cursor: Cursor | None) -> None:
    body = bundle(observation(), links={"next": url})
    if cursor is None:
        with pytest.raises(UpstreamUnusable):
            review(body)
    else:
        found = review(body)
        assert found.cursor == cursor
        assert not found.complete


def test_mentions_are_open_until_looked_up() -> None:
    speaking = observation(
        "1",
        hasMember=[
            {"reference": "Observation/2", "display": "d"},
            {"reference": "Observation/9", "display": "e"},
        ],
    )
    found = review(bundle(speaking, observation("2")))
    assert found.unresolved() == {Ref("Observation", "9")}


def searchset(found: Review, next_link: str | None = None) -> dict[str, Any]:
    body = build_searchset(
        found,
        frozenset(),
        Shape(),
        OUTLINES,
        BASES.public,
        "https://gw.example/fhir/Observation?a=%22",
        next_link,
        SILENT,
    )
    made: dict[str, Any] = json.loads(body)
    return made


def test_a_searchset_of_our_own() -> None:
    made = searchset(review(bundle(observation("1"), observation("2", "b"), total=9, id="up", meta={"x": 1})))
    assert made == {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 1,
        "link": [{"relation": "self", "url": "https://gw.example/fhir/Observation?a=%22"}],
        "entry": [
            {
                "fullUrl": "https://gw.example/fhir/Observation/1",
                "resource": observation("1"),
                "search": {"mode": "match"},
            }
        ],
    }


def test_a_page_of_several_has_no_total() -> None:
    made = searchset(review(bundle(observation("1"), links={"next": f"{UP}?p=2"})), "https://gw.example/next")
    assert "total" not in made
    assert made["link"][1] == {"relation": "next", "url": "https://gw.example/next"}
    assert "entry" not in searchset(review(bundle()))
    assert searchset(review(bundle()))["total"] == 0


def test_a_mention_is_kept_for_who_sees_its_target() -> None:
    raw = json.dumps(observation(hasMember=[{"reference": "Observation/y", "display": "d"}])).encode()
    candidate = Candidate(raw, facts(raw))
    assert build_instance(candidate, {Ref("Observation", "y")}, Shape(), OUTLINES, SILENT) == raw
    assert b'"d"' not in build_instance(candidate, frozenset(), Shape(), OUTLINES, SILENT)


ON_ELEMENT = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"


@pytest.mark.parametrize(
    "address",
    [
        *(ON_ELEMENT, ON_ELEMENT.replace("http:", "https:"), f"{ON_ELEMENT}|1.0.0", f"{ON_ELEMENT}/"),
        "http://hospital.example/inline-sec-label",
    ],
)
@pytest.mark.parametrize("escaped", [None, "-", "s", "c", "l"])
def test_labels_of_elements_stay_behind_however_they_are_written(address: str, escaped: str | None) -> None:
    label = {"url": address, "valueCoding": {"system": "x", "code": "HIV"}}
    text = json.dumps(observation(_issued={"extension": [label]}, issued="2026-01-01T00:00:00Z"))
    if escaped is not None:
        before, _, after = text.rpartition("inline-sec-label")
        text = before + "inline-sec-label".replace(escaped, f"\\u{ord(escaped):04x}") + after
    of = facts(text.encode())
    assert of.inline
    made = json.loads(build_instance(Candidate(text.encode(), of), frozenset(), Shape(), OUTLINES, SILENT))
    assert made == observation(issued="2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    "more", [{"url": f"{ON_ELEMENT}x"}, {"url": "http://x.example/\u00e9", "valueString": "<\n"}]
)
def test_another_extension_stays(more: dict[str, Any]) -> None:
    raw = json.dumps(observation(extension=[more])).encode()
    of = facts(raw)
    assert of.inline == ("sec-label" in more["url"])
    assert build_instance(Candidate(raw, of), frozenset(), Shape(), OUTLINES, SILENT) == raw


OUTCOME = {"resource": json.loads(NOTICE), "search": {"mode": "outcome"}}


@pytest.mark.parametrize(
    ("notice", "of_a_cut", "of_a_whole", "of_none"),
    [
        ("silent", [], [], []),
        ("generic", [OUTCOME], [OUTCOME], [OUTCOME]),
        ("explicit", [OUTCOME], [], []),
    ],
)
def test_a_searchset_says_that_something_may_be_withheld(
    notice: Notice, of_a_cut: list[object], of_a_whole: list[object], of_none: list[object]
) -> None:
    """Generic, it is the same whatever was hidden; whole records that are withheld are not told of at all."""

    def entries(*patients: str, cuts: tuple[Place, ...] = ()) -> Any:
        def judge(found: Facts, content: Content) -> Said:
            return replace(of_a(found, content), cuts=cuts)

        raw = bundle(*(observation(f"o{n}", patient) for n, patient in enumerate(patients)))
        page = review_page(raw, "Observation", BASES, (), facts, judge, lambda *_: True)
        told = Telling(notice, EGRESS)
        made = json.loads(build_searchset(page, frozenset(), Shape(), OUTLINES, "b", "s", None, told))
        assert made["total"] == len(page.candidates)
        return [entry for entry in made.get("entry", []) if entry["search"]["mode"] == "outcome"]

    assert entries("a", "a", cuts=(("code",),)) == of_a_cut
    assert entries("a", "b") == of_a_whole
    assert entries("b") == entries() == of_none


LEVEL = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


def labelled(ident: str, *codes: str, patient: str = "a", **more: Any) -> dict[str, Any]:
    security = [{"system": LEVEL if len(code) == 1 else ACT_CODE, "code": code} for code in codes]
    return observation(ident, patient, meta={"security": security}, **more)


DRUG = {"resourceType": "Medication", "id": "m", "meta": {"security": [{"system": LEVEL, "code": "R"}]}}
CONTAINING: dict[str, Any] = {"contained": [DRUG], "focus": [{"reference": "#m"}]}


@pytest.mark.parametrize(
    ("records", "marked"),
    [
        ([], None),
        ([observation("1")], None),
        ([observation("1"), labelled("2", "N")], "N"),
        ([labelled("1", "L"), labelled("2", "L")], "L"),
        ([labelled("1", "N"), labelled("2", "V"), labelled("3", "R")], "V"),
        ([labelled("1", "N"), labelled("2", "HIV")], "R"),
        ([labelled("1", "N"), labelled("2", "V", patient="b")], "N"),
        ([observation("1"), labelled("2", "V", patient="b")], None),
        ([labelled("1", "NORDSCLCD")], None),
        ([labelled("1", "42CFRPart2")], "R"),
        ([observation("1", **CONTAINING)], "R"),
    ],
)
def test_a_searchset_is_as_confidential_as_the_most_confidential_in_it(
    records: list[dict[str, Any]], marked: str | None
) -> None:
    """Of what is in it, not of what was withheld; and nothing else is said of it."""
    made = searchset(review(bundle(*records)))
    said = None if marked is None else {"security": [{"system": LEVEL, "code": marked}]}
    assert made.get("meta") == said
    assert list(made)[:2] == ["resourceType", "type" if said is None else "meta"]


def test_labels_that_were_found_count_for_a_reader_who_is_told() -> None:
    [candidate] = review(bundle(observation("1"))).candidates
    judged = Said(True, "consent", told=(Basis(Label(ACT_CODE, "HIV"), "hiv.json row 1"),))
    page = Review((candidate._replace(judgement=judged),), {}, complete=True)
    for telling, marked in ((replace(SILENT, shown=True), "R"), (SILENT, None)):
        made = json.loads(build_searchset(page, frozenset(), Shape(), OUTLINES, "b", "s", None, telling))
        said = made.get("meta", {}).get("security")
        assert said == (None if marked is None else [{"system": LEVEL, "code": marked}])


MARKS = ["NORDSCLCD", "RedisclosureProhibitionMark"]


@pytest.mark.parametrize(
    ("came", "judged", "codes"),
    [
        ([], Said(True, "consent", labels=frozenset({PART_2})), MARKS),
        ([], Said(True, "consent", labels=frozenset({Label(ACT_CODE, "SUD")})), []),
        (["NORDSCLCD"], Said(True, "consent", labels=frozenset({PART_2})), MARKS),
        (["HIV"], Said(True, "consent", labels=frozenset({PART_2, Label(ACT_CODE, "HIV")})), ["R", *MARKS]),
        # Its reason was of a programme, and was cut out.
        (
            [],
            Said(True, "consent", (("reasonCode",),), left=frozenset(), labels=frozenset({PART_2})),
            [],
        ),
        (
            [],
            Said(True, "consent", (("note",),), left=frozenset({PART_2}), labels=frozenset({PART_2})),
            MARKS,
        ),
    ],
)
def test_what_was_found_puts_obligations_on_what_leaves(
    came: list[str], judged: Said, codes: list[str]
) -> None:
    """Whether or not the upstream knew of it, and whether or not something was cut; each once."""
    security = [{"system": ACT_CODE, "code": code} for code in came]
    record = observation("1", reasonCode=[{}], note=[{}]) | ({"meta": {"security": security}} if came else {})
    [candidate] = review(bundle(record)).candidates
    made = as_judged(candidate, judged, lambda *_: True)
    told = json.loads(build_instance(made, frozenset(), Shape(), OUTLINES, SILENT))
    said = [coding["code"] for coding in told.get("meta", {}).get("security", ())]
    assert sorted(said) == sorted(codes)


def test_mentions_of_a_record_that_is_cut_do_not_speak() -> None:
    found = review(bundle(observation("1"), observation("2")))
    [whole, other] = found.candidates
    cut = replace(found, candidates=(whole, other._replace(cuts=(("code",),))))
    assert cut.released() == {Ref("Observation", "1")}
    trimmed = replace(found, candidates=(whole._replace(trims=(("code",),)), other._replace(trims=())))
    assert trimmed.released() == {Ref("Observation", "2")}


def condition(id: str, label: str | None = None) -> dict[str, Any]:
    meta = {"meta": {"security": [{"system": "s", "code": label}]}} if label else {}
    return {"resourceType": "Condition", "id": id, **meta, "subject": {"reference": "Patient/a"}}


def test_contained_records_are_judged() -> None:
    doctor = {"resourceType": "Practitioner", "id": "p"}
    body = bundle(
        observation("1", contained=[doctor, condition("c", "HIV"), condition("d")]), observation("2")
    )

    asked: list[str] = []

    def but_hiv(holder: Facts, inner: Inner, content: Content) -> bool:
        assert holder.id == "1"
        asked.append(inner.type)
        return Label("s", "HIV") not in inner.labels

    found = review_page(body, "Observation", BASES, (), facts, of_a, but_hiv)
    assert [candidate.banned for candidate in found.candidates] == [{1}, frozenset()]
    assert asked == ["Practitioner", "Condition", "Condition"]
    first = searchset(found)["entry"][0]["resource"]
    assert first["contained"] == [doctor, condition("d")]
    assert [candidate.banned for candidate in review(body).candidates] == [frozenset()] * 2
    alone = as_judged(
        Candidate(json.dumps(condition("c")).encode(), facts(json.dumps(condition("c")).encode())),
        Said(True, "consent"),
        but_hiv,
    )
    assert alone.banned == frozenset()


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["match", "include", "outcome", None])), max_size=8
    )
)
def test_a_page_never_shows_more_than_it_was_given(rows: list[tuple[str, str | None]]) -> None:
    entries = [
        {"resource": observation(f"o{n}", patient), **({"search": {"mode": mode}} if mode else {})}
        for n, (patient, mode) in enumerate(rows)
    ]
    found = review(bundle(*entries))
    expected = [
        f"o{n}" for n, (patient, mode) in enumerate(rows) if patient == "a" and mode in ("match", None)
    ]
    assert ids(found) == expected
    assert [entry["resource"]["id"] for entry in searchset(found).get("entry", [])] == expected


NAMES = [
    *("reference", "_reference", "display", "identifier", "type", "extension", "concept", "contained"),
    *("tag", "security", "profile", "text", "div", "url", "_url", "id", "resourceType", "code", "subject"),
]
LEAVES = ["x", " ", "Patient/b", "Observation/y", "#c", "https://x.example/y?z", UP, f"{UP}/x"]
ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(LEAVES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = st.sampled_from(
    ["subject", "focus", "contained", "meta", "text", "hasMember", "code", "extension", "reference"]
)
SUMMARIES = [Shape(summary=cut) for cut in ("true", "text", "data", "false")]
SHAPES = st.sampled_from([*SUMMARIES, Shape(elements=("code", "focus"))])
BLANKS = st.sampled_from([(",", ":"), (" , ", " : "), (",\n", ":\t")])


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(MEMBERS, ODD, max_size=5), SHAPES, BLANKS, st.booleans())
def test_what_leaves_is_strict_json(
    members: dict[str, Any], shape: Shape, blanks: tuple[str, str], bans: bool
) -> None:
    tree = {"resourceType": "Observation", "id": "x", **members}
    raw = json.dumps(tree, separators=blanks).replace("[]", "[ ]").replace("{}", "{\r}").encode()
    try:
        found = facts(raw)
    except codec.CodecError:
        return
    candidate = as_judged(
        Candidate(raw, found), Said(True, "consent"), lambda holder, inner, content: not bans
    )
    left = codec.parse(build_instance(candidate, frozenset(), shape, OUTLINES, SILENT))
    assert (left["resourceType"], left["id"]) == ("Observation", "x")
    page = build_searchset(
        Review((candidate,), {}), frozenset(), shape, OUTLINES, BASES.public, "s", None, SILENT
    )
    assert codec.parse(page)["entry"][0]["resource"] == left
