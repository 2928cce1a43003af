"""What is recorded of an answer: an entry for each patient, of their own records and consents alone."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gateway.core.canon import Json, sha256, sha256_text
from gateway.core.consent.rule import Consent
from gateway.core.consent.verdict import Because
from gateway.core.fhir.candidate import Candidate
from gateway.core.judgement import Judgement
from gateway.core.plan import Deny
from gateway.core.record import Draft, Occasion, Outcome, deny_draft, normal_query, permit_drafts
from gateway.core.values import ConsentRef, Label, Ref, Token
from gateway.errors import NotFound
from tests.core.consent.build import HASH, NOW_S, permit
from tests.core.deciding import View, facts, request, token

BODY = b'{"resourceType":"Bundle"}'


def consent(name: str, patient: str, entry: int) -> Consent:
    return Consent(name, patient, permit(), refs=(ConsentRef(name, entry, HASH),))


VIEW = View([consent("c7", "85", 7), consent("c8", "85", 8), consent("c9", "99", 9)])
TOP, INSIDE, ALSO, THEIR = (
    Because("c7", 7, "root"),
    Because("c7", 7, "root.0.2"),
    Because("c8", 8, "root"),
    Because("c9", 9, "root"),
)


def by(*nodes: Because, ground: str = "consent") -> Judgement:
    return Judgement(True, ground, nodes)


def candidate(kind: str, ident: str, patient: str | None, judgement: Judgement | None = None) -> Candidate:
    tree = {"resourceType": kind, "id": ident, "meta": {"versionId": "2"}}
    owner = {"subject": {"reference": f"Patient/{patient}"}} if patient else {}
    raw = json.dumps({**tree, **owner}).encode()
    return Candidate(raw, facts(raw), judgement=judgement)


def occasion(who: Token | None = None) -> Occasion:
    return Occasion("r-1", NOW_S, "policy", who or token())


def drafts(*released: Candidate, who: Token | None = None, target: str = "Observation?code=1") -> list[Draft]:
    outcome = Outcome(200, BODY, sha256(BODY), released)
    return permit_drafts(occasion(who), request(target), outcome, VIEW.get)


def expected(patient: str | None, counts: dict[str, Json], lines: str, con: Json = None) -> Draft:
    whose: dict[str, Json] = {} if patient is None else {"pat": f"Patient/{patient}"}
    kept: dict[str, Json] = {
        "rid": "r-1",
        "pol": "policy",
        "cli": "app-1",
        "act": "user-1@https://idp.example",
        "int": "search-type",
        "pou": ["TREAT"],
        "q": sha256_text(b"Observation?code=1"),
        "st": 200,
        "len": len(BODY),
        "bd": sha256_text(BODY),
        "tok": "sha256:",
        "con": con,
        "rty": counts,
    }
    return Draft("read.permit", patient, {**kept, **whose}, {"rids": lines})


def plain(*released: Candidate) -> str:
    return "".join(sorted(one.facts.line for one in released))


def words(line: str) -> str:
    """What a line says behind version and digest."""
    return " ".join(line.split()[2:])


MINE = candidate("Observation", "1", "85", by(TOP))
ALSO_MINE = candidate("Condition", "2", "85", by(TOP))
THEIRS, NOBODYS = candidate("Observation", "3", "99", by(THEIR)), candidate("Practitioner", "4", None)


def test_one_record() -> None:
    assert drafts(MINE) == [expected("85", {"Observation": 1}, plain(MINE), [7, HASH])]


def test_each_patient_has_an_entry_of_their_own_records() -> None:
    assert drafts(MINE, THEIRS, ALSO_MINE) == [
        expected("85", {"Condition": 1, "Observation": 1}, plain(MINE, ALSO_MINE), [7, HASH]),
        expected("99", {"Observation": 1}, plain(THEIRS), [9, HASH]),
    ]


def test_the_places_that_were_cut_are_kept_with_the_version() -> None:
    """Of what is cut for a consent and what a role does not need, by the words of their tags; places are
    pointers without blanks, whatever an element is called."""
    cut = MINE._replace(cuts=(("note",), ("component", 1)), trims=(("odd ~/name", 0),))
    digest = MINE.facts.line.split()[1]
    line = f"Observation/1/2 {digest} REDACTED #/component/1 #/note SUBSETTED #/odd%20~0~1name/0\n"
    [made] = drafts(cut, ALSO_MINE)
    assert made == expected("85", {"Condition": 1, "Observation": 1}, ALSO_MINE.facts.line + line, [7, HASH])
    assert drafts(MINE._replace(trims=())) == drafts(MINE)


HIV, OTHER = Label("http://terminology.hl7.org/CodeSystem/v3-ActCode", "HIV"), Label("urn:x", "so so")

DECIDED: list[tuple[Judgement, str]] = [
    (by(TOP), ""),
    (by(), ""),
    (by(INSIDE), "BY 7/root.0.2"),
    (by(TOP, ALSO), "BY 7/root 8/root"),
    (by(THEIR, INSIDE), "BY 7/root.0.2"),
    (by(THEIR, TOP), ""),
    (by(THEIR), ""),
    (by(ground="implicit"), "BY implicit"),
    (by(TOP, ground="implicit"), "BY implicit 7/root"),
    (by(ground="self"), "BY self"),
    (replace(by(ground="break_glass"), overridden=(THEIR, ALSO)), "BY break_glass OVER 8/root"),
    (replace(by(ground="break_glass"), overridden=(THEIR,)), "BY break_glass"),
    (replace(by(TOP), labels=frozenset({HIV, OTHER})), "LABELLED HIV so%20so"),
]


@pytest.mark.parametrize(("judgement", "told"), DECIDED, ids=[told or "plain" for _, told in DECIDED])
def test_what_decided_is_kept_with_the_version(judgement: Judgement, told: str) -> None:
    """Where it is more than the consent that the entry names; and of this patient's consents alone."""
    [made] = drafts(candidate("Observation", "1", "85", judgement))
    assert words(made.attachments["rids"]) == told
    own = any(node.consent_id == "c7" for node in judgement.because)
    assert made.facts["con"] == ([7, HASH] if own else None)


def test_the_entry_names_one_consent_and_lines_the_others() -> None:
    [made] = drafts(MINE, candidate("Condition", "2", "85", by(ALSO)), candidate("Goal", "3", "85", by(TOP)))
    assert made.facts["con"] == [7, HASH]
    assert list(map(words, made.attachments["rids"].splitlines())) == ["BY 8/root", "", ""]


def test_a_record_of_two_patients_names_in_each_entry_what_is_theirs() -> None:
    raw = json.dumps(
        {
            "resourceType": "Appointment",
            "id": "1",
            "participant": [{"actor": {"reference": f"Patient/{one}"}} for one in ("85", "99")],
        }
    ).encode()
    made = drafts(Candidate(raw, facts(raw), judgement=by(INSIDE, THEIR)))
    assert [(one.facts["con"], words(one.attachments["rids"])) for one in made] == [
        ([7, HASH], "BY 7/root.0.2"),
        ([9, HASH], ""),
    ]


def test_what_belongs_to_nobody_names_no_consent_in_the_organisations_entry() -> None:
    [made] = drafts(NOBODYS._replace(judgement=by(INSIDE)), who=token("system/*.rs", None))
    assert made.facts["con"] is None
    assert words(made.attachments["rids"]) == ""


SHOWN: list[tuple[dict[str, object], str, dict[str, str]]] = [
    ({}, "", {}),
    ({"role": "payer"}, "AS payer", {"rol": "payer"}),
    ({"organization": Ref("Organization", "o1")}, "OF Organization/o1", {"org": "Organization/o1"}),
    ({"case": Ref("Claim", "c1")}, "IN Claim/c1", {"cas": "Claim/c1"}),
    ({"encounter": "e1"}, "IN Encounter/e1", {"cas": "Encounter/e1"}),
    ({"case": Ref("Claim", "c1"), "encounter": "e1", "role": "payer"}, "AS payer IN Claim/c1",
     {"rol": "payer", "cas": "Claim/c1"}),
    ({"case": Ref("Claim", "c1"), "role": "payer", "issued": (3, HASH)}, "", {}),
]  # fmt: skip


@pytest.mark.parametrize(("has", "told", "denied"), SHOWN)
def test_as_whom_it_was_shown_is_kept_where_no_entry_of_the_issue_says_so(
    has: dict[str, object], told: str, denied: dict[str, str]
) -> None:
    who = replace(token(), **has)  # type: ignore[arg-type]
    [made] = drafts(MINE, who=who)
    assert words(made.attachments["rids"]) == told
    refused = deny_draft(occasion(who), None, Deny(NotFound(), "label"), VIEW.get)
    assert {name: refused.facts[name] for name in ("rol", "org", "cas") if name in refused.facts} == denied


DENIALS: list[tuple[tuple[Because, ...], str, Json, Json]] = [
    ((), "85", None, None),
    ((INSIDE, TOP), "85", [7, HASH], ["7/root.0.2", "7/root"]),
    ((THEIR,), "99", [9, HASH], ["9/root"]),
    ((THEIR, ALSO), "85", [8, HASH], ["8/root"]),
    ((Because("gone", 4, "root"),), "85", None, None),
]


@pytest.mark.parametrize(("because", "patient", "con", "by"), DENIALS)
def test_a_denial_is_one_entry_of_whose_consent_decided(
    because: tuple[Because, ...], patient: str, con: Json, by: Json
) -> None:
    """Two receipts would tell who asks that something is there. It names the nodes of that patient alone."""
    made = deny_draft(occasion(), None, Deny(NotFound(), "denied", because), VIEW.get)
    assert (made.kind, made.patient, made.facts["rsn"]) == ("read.deny", patient, "denied")
    assert (made.facts["con"], made.facts.get("by")) == (con, by)


@pytest.mark.parametrize("purposes", [("HMARKT",), ("TREAT", "HPAYMT")])
def test_a_denial_says_what_for_and_what_was_asked(purposes: tuple[str, ...]) -> None:
    who, asked = replace(token(), purposes=purposes), request("Observation")
    made = deny_draft(occasion(who), asked, Deny(NotFound(), "denied"), VIEW.get)
    assert (made.facts["pou"], made.facts["q"]) == ([*purposes], sha256_text(normal_query(asked).encode()))
    unread = deny_draft(occasion(who), None, Deny(NotFound(), "denied"), VIEW.get)
    assert (unread.facts["pou"], unread.facts["int"], "q" in unread.facts) == ([*purposes], "refused", False)


@pytest.mark.parametrize("patient", ["85", None], ids=["the patient in context", "the organisation"])
def test_what_belongs_to_nobody_goes_under(patient: str | None) -> None:
    who = token("system/*.rs", patient)
    assert drafts(NOBODYS, who=who) == [expected(patient, {"Practitioner": 1}, plain(NOBODYS))]
    assert drafts(who=who) == [expected(patient, {}, "")]


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("Observation/1", "Observation/1?"),
        ("Observation/1/_history/2", "Observation/1/2?"),
        ("Observation", "Observation?"),
        ("Observation?code=a%20b&_count=5", "Observation?code=a+b&_count=5"),
        ("Patient/85/Observation", "Observation?patient=Patient%2F85"),
    ],
)
def test_a_request_in_one_spelling(target: str, text: str) -> None:
    assert normal_query(request(target)) == text
