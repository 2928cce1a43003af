"""Labels from around a record: laws over generated records and references, and circles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.consent.labels import CONFIDENTIALITY, LABELS
from gateway.core.labels.findings import UNDETERMINED, Context, Found
from gateway.core.labels.labeller import Labelled, lasting, levelled
from gateway.core.values import Label, Ref
from tests.core.labels.tables import labeller

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
CODES = ["B20", "F10.20", "F32.9", "O80", "Z33.1", "J11.1", "T74.11XA", "A54.00"]
BY = labeller()


def condition(*codes: str, **more: Any) -> dict[str, Any]:
    codings = [{"system": ICD, "code": code} for code in codes]
    return {"resourceType": "Condition", "code": {"coding": codings}, **more}


def observation(*members: str, code: str = "J11.1", **more: Any) -> dict[str, Any]:
    said = {"resourceType": "Observation", "code": {"coding": [{"system": ICD, "code": code}]}, **more}
    return (
        {**said, "hasMember": [{"reference": f"Observation/{name}"} for name in members]} if members else said
    )


def known(records: Mapping[str, dict[str, Any]], by: Any = BY) -> Any:
    found = {name: by.found(name.partition("/")[0], tree) for name, tree in records.items()}

    def look(ref: Ref) -> Found | None:
        return found.get(str(ref))

    return look


def labelled(tree: dict[str, Any], around: Mapping[str, dict[str, Any]], **settings: Any) -> Labelled:
    by = labeller(**settings)
    return by.label(tree["resourceType"], tree, known(around, by))


def codes(found: Labelled) -> set[str]:
    return {label.code for label in found.labels} - {"R"}


def meant(labels: frozenset[Label] | set[Label]) -> set[Label]:
    """The labels but for the level that follows from them."""
    return {label for label in labels if label.system != CONFIDENTIALITY}


# --- Laws ------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(CODES), min_size=1), st.sampled_from(CODES))
def test_another_code_never_takes_a_label_away(said: Sequence[str], more: str) -> None:
    few, many = (BY.label("Condition", condition(*each)).labels for each in (said, [*said, more]))
    assert meant(few) <= meant(many)
    assert LABELS.marks(few).level <= LABELS.marks(many).level


@given(st.permutations(CODES))
def test_order_plays_no_part(said: Sequence[str]) -> None:
    assert BY.label("Condition", condition(*said)).labels == BY.label("Condition", condition(*CODES)).labels


NAMES = "abcdef"


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    return {
        f"Observation/{name}": observation(
            *draw(st.lists(st.sampled_from(NAMES), max_size=3)), code=draw(st.sampled_from(CODES))
        )
        for name in NAMES
    }


@given(graphs())
def test_a_record_has_the_labels_of_all_it_refers_to(around: dict[str, dict[str, Any]]) -> None:
    """Whatever circles there are, up to three steps away, and of nothing that is further."""
    for name, tree in around.items():
        reached, step = {name}, {name}
        for _ in range(3):
            step = {member["reference"] for each in step for member in around[each].get("hasMember", ())}
            reached |= step
        own = {label for each in reached for label in BY.label("Observation", _alone(around[each])).labels}
        assert meant(BY.label("Observation", tree, known(around)).labels) == meant(own)


def _alone(tree: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in tree.items() if name != "hasMember"}


@given(graphs(), st.sampled_from(NAMES))
def test_what_cannot_be_looked_at_adds_and_never_takes_away(
    around: dict[str, dict[str, Any]], lost: str
) -> None:
    tree = observation(*NAMES)
    rest = {name: each for name, each in around.items() if name != f"Observation/{lost}"}
    assert UNDETERMINED in BY.label("Observation", tree, known(rest)).labels
    assert UNDETERMINED not in BY.label("Observation", tree, known(around)).labels


@given(st.sets(st.sampled_from(CODES)))
def test_any_label_makes_a_record_restricted(said: set[str]) -> None:
    found = BY.label("Condition", condition(*said, "J11.1"))
    levels = {label.code for label in found.labels - meant(found.labels)}
    very = {one.label.code for one in found.contributions} & {"SDV", "VIO"}
    assert levels == (({"V"} if very else {"R"}) if found.contributions else set())


# --- Cases -----------------------------------------------------------------------------------------


def test_three_steps_and_not_four() -> None:
    chain = {f"Observation/{n}": observation(str(n + 1)) for n in range(5)}
    chain["Observation/3"] = observation(code="B20")
    assert codes(labelled(observation("1"), chain)) == {"HIV"}
    assert codes(labelled(observation("0"), chain)) == set()


HIV, PLAIN, TO_HIV = condition("B20"), condition("J11.1"), {"reference": "Condition/hiv"}
AROUND: dict[str, dict[str, Any]] = {
    "Condition/hiv": HIV,
    "Condition/plain": PLAIN,
    "Condition/words": condition("J11.1", note=[{"text": "x"}]),
    "Condition/untold": {"resourceType": "Condition", "code": {"text": "x"}},
    "Encounter/visit": {"resourceType": "Encounter", "reasonCode": [condition("F11.20")["code"]]},
    "Encounter/listed": {"resourceType": "Encounter", "diagnosis": [{"condition": TO_HIV}]},
    "EpisodeOfCare/e": {"resourceType": "EpisodeOfCare", "diagnosis": [{"condition": TO_HIV}]},
    "Medication/m": {
        "resourceType": "Medication",
        "code": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "276237"}]},
    },
    "MedicationRequest/r": {
        "resourceType": "MedicationRequest",
        "medicationReference": {"reference": "Medication/m"},
    },
    "Observation/o": observation(code="B20"),
}
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"


def of(kind: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": kind, **more}


def at(ref: str) -> dict[str, str]:
    return {"reference": ref}


CARRIED = [
    ("a report by its result", of("DiagnosticReport", result=[at("Observation/o")]), False),
    ("a reason", of("MedicationRequest", reasonReference=[at("Condition/hiv")]), True),
    ("a reason of R5", of("Procedure", reason=[{"reference": at("Condition/hiv")}]), True),
    ("a prescription by its product", of("MedicationRequest", medicationReference=at("Medication/m")), False),
    ("a product of R5", of("MedicationRequest", medication={"reference": at("Medication/m")}), False),
    ("a dispense", of("MedicationDispense", authorizingPrescription=[at("MedicationRequest/r")]), False),
    ("a plan by what it addresses", of("CarePlan", addresses=[at("Condition/hiv")]), True),
    ("a plan by its activities", of("CarePlan", activity=[{"reference": at("MedicationRequest/r")}]), False),
    ("a list by its entries", of("List", entry=[{"item": at("Condition/hiv")}]), False),
    ("a document by its sections", of("Composition", section=[{"entry": [at("Condition/hiv")]}]), False),
    ("a claim by its diagnosis", of("Claim", diagnosis=[{"diagnosisReference": at("Condition/hiv")}]), True),
    ("an answer to it", of("ExplanationOfBenefit", diagnosis=[{"diagnosisReference": TO_HIV}]), True),
    ("provenance by its target", of("Provenance", target=[at("Condition/hiv")]), False),
    ("a task by its focus", of("Task", focus=at("Condition/hiv")), False),
    ("a message by its subject", of("Communication", about=[at("Condition/hiv")]), False),
    ("a visit by its diagnosis", of("Encounter", diagnosis=[{"condition": at("Condition/hiv")}]), True),
    ("a visit by its order", of("Encounter", basedOn=[at("Observation/o")]), False),
    ("a result by its order", of("Observation", basedOn=[at("MedicationRequest/r")]), False),
    ("an answer to an invitation", of("AppointmentResponse", appointment=at("Observation/o")), False),
    ("an invitation anew", of("Appointment", replaces=[at("Observation/o")]), False),
    ("a mixed medicine", of("Medication", ingredient=[{"itemReference": at("Medication/m")}]), False),
    ("one of R5", of("Medication", ingredient=[{"item": {"reference": at("Medication/m")}}]), False),
    ("a delivery", of("SupplyDelivery", suppliedItem={"itemReference": at("Medication/m")}), False),
    ("what supports an order of R5", of("ServiceRequest", supportingInfo=[{"reference": TO_HIV}]), True),
]  # fmt: skip


@pytest.mark.parametrize(("tree", "separable"), [row[1:] for row in CARRIED], ids=[row[0] for row in CARRIED])
def test_what_carries_labels(tree: dict[str, Any], separable: bool) -> None:
    found = labelled(tree, AROUND)
    assert [(one.label.code, one.separable) for one in found.contributions] == [("HIV", separable)]


def test_a_routine_result_says_nothing_of_what_it_was_ordered_for() -> None:
    laboratory = [{"coding": [{"code": "laboratory"}]}]
    ordered = {"basedOn": [at("MedicationRequest/r")]}
    assert labelled(of("Observation", category=laboratory, **ordered), AROUND).contributions == ()
    assert labelled(
        of("Observation", category=[{"coding": [{"code": "exam"}]}], **ordered), AROUND
    ).contributions


@pytest.mark.parametrize(
    ("reference", "label"),
    [
        ({**TO_HIV, "odd": 7}, "HIV"),
        ({"reference": TO_HIV}, "HIV"),
        ({"concept": {"text": "x"}, "reference": TO_HIV}, "HIV"),
        ({"reference": 7, "odd": 7}, "undetermined"),
        ({"identifier": {"value": "7"}, "odd": 7}, "undetermined"),
    ],
    ids=["another member", "a reference in it", "a concept with it", "no text", "by identifier"],
)
def test_a_reference_with_odd_members_is_followed_all_the_same(reference: Any, label: str) -> None:
    found = labelled(of("DiagnosticReport", result=[reference]), AROUND)
    assert label in codes(found)
    assert not [one for one in found.contributions if one.separable and one.label.code == label]


@pytest.mark.parametrize(
    "tree",
    [
        of("DiagnosticReport", result=[at("Condition/plain")]),
        of("DiagnosticReport", performer=[at("Condition/hiv")]),
        of("MedicationRequest", subject=at("Condition/hiv")),
        of("Condition", **{**PLAIN, "asserter": at("Condition/hiv")}),
        of("CarePlan", addresses=[at("Condition/words")]),
    ],
    ids=["another result", "who performed it", "whose it is", "who said so", "words that can go"],
)
def test_what_carries_none(tree: dict[str, Any]) -> None:
    assert labelled(tree, AROUND).contributions == ()


@pytest.mark.parametrize(
    "reference",
    [
        at("Condition/nowhere"),
        at("Condition/untold"),
        at("https://elsewhere.example/fhir/Condition/hiv"),
        at("urn:uuid:0d2b0c2c-1111-4222-8333-444444444444"),
        {"identifier": {"value": "7"}},
        {"display": "HIV"},
        {"reference": 7},
        {"_reference": {"extension": []}},
        "Condition/hiv",
    ],
    ids=[
        *("missing", "untold", "another server", "no address", "by identifier", "by words", "no text"),
        *("masked", "no reference"),
    ],
)
def test_what_cannot_be_followed_may_be_any(reference: Any) -> None:
    found = labelled(of("DiagnosticReport", result=[reference]), AROUND)
    assert codes(found) == {"undetermined"}
    assert not found.contributions[0].separable
    assert labelled(of("Procedure", reasonReference=[reference]), AROUND).contributions[0].separable


ROLES: dict[str, dict[str, Any]] = {
    "PractitionerRole/in": of("PractitionerRole", organization=at("Organization/detox")),
    "PractitionerRole/out": of(
        "PractitionerRole", organization=at("Organization/other"), specialty=[{"text": "x"}]
    ),
    "PractitionerRole/nowhere": of("PractitionerRole"),
}
MADE = [
    ("by somebody of a programme", observation(performer=[at("PractitionerRole/in")]), {"42CFRPart2"}),
    ("by somebody of another house", observation(performer=[at("PractitionerRole/out")]), set()),
    ("by somebody of no house", observation(performer=[at("PractitionerRole/nowhere")]), set()),
    ("by somebody who is not there", observation(performer=[at("PractitionerRole/lost")]), {"42CFRPart2"}),
    ("by a person", observation(performer=[at("Practitioner/p")]), set()),
    (
        "by somebody of a programme who is contained",
        observation(
            performer=[at("#r")],
            contained=[of("PractitionerRole", id="r", organization=at("Organization/detox"))],
        ),
        {"42CFRPart2"},
    ),
    (
        "by a department of a programme that is contained",
        observation(
            performer=[at("#o")], contained=[of("Organization", id="o", partOf=at("Organization/detox"))]
        ),
        {"42CFRPart2"},
    ),
    (
        "by a department of another house",
        observation(
            performer=[at("#o")], contained=[of("Organization", id="o", partOf=at("Organization/x"))]
        ),
        set(),
    ),
    (
        "a diagnosis that somebody of it recorded",
        condition("J11.1", recorder=at("PractitionerRole/in")),
        {"42CFRPart2"},
    ),
    (
        "a visit that somebody of it took part in",
        of("Encounter", participant=[{"individual": at("PractitionerRole/in")}]),
        {"42CFRPart2"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("tree", "expected"), [row[1:] for row in MADE], ids=[row[0] for row in MADE])
def test_a_programme_is_told_by_who_made_the_record(tree: dict[str, Any], expected: set[str]) -> None:
    assert codes(labelled(tree, ROLES, part2_organizations=["Organization/detox"])) == expected
    assert codes(labelled(tree, ROLES)) == set()
    assert codes(labelled(tree, ROLES, part2_sources=["https://detox.example"])) == set()


VITAL = [{"coding": [{"system": CATEGORY, "code": "vital-signs"}]}]
LAB = [{"coding": [{"system": CATEGORY, "code": "laboratory"}]}]
BOTH = [*LAB, {"coding": [{"system": CATEGORY, "code": "social-history"}]}]
VISIT = {"reference": "Encounter/visit"}
INSIDE = [
    ("a diagnosis", of("Condition", encounter=at("Encounter/visit")), {"clinical", "all"}),
    ("an order", of("MedicationRequest", encounter=at("Encounter/visit")), {"clinical", "all"}),
    ("a document", of("DocumentReference", context={"encounter": [VISIT]}), {"clinical", "all"}),
    ("a document of R5", of("DocumentReference", context=[at("Encounter/visit")]), {"clinical", "all"}),
    ("vital signs", observation(category=VITAL, encounter=at("Encounter/visit")), {"all"}),
    ("routine laboratory", observation(category=LAB, encounter=at("Encounter/visit")), {"all"}),
    ("laboratory and more", observation(category=BOTH, encounter=at("Encounter/visit")), {"clinical", "all"}),
    ("an observation of no category", observation(encounter=at("Encounter/visit")), {"clinical", "all"}),
    ("a vaccination", of("Immunization", encounter=at("Encounter/visit")), {"all"}),
    ("a visit of an episode", of("Encounter", episodeOfCare=[at("EpisodeOfCare/e")]), {"clinical", "all"}),
    ("by a diagnosis of the visit", of("Procedure", encounter=at("Encounter/listed")), {"clinical", "all"}),
]  # fmt: skip


@pytest.mark.parametrize("context", ["none", "clinical", "all"])
@pytest.mark.parametrize(("tree", "where"), [row[1:] for row in INSIDE], ids=[row[0] for row in INSIDE])
def test_the_labels_of_the_visit(tree: dict[str, Any], where: set[str], context: Context) -> None:
    found = labelled(tree, AROUND, context=context)
    assert bool(found.contributions) == (context in where)
    assert not any(one.separable for one in found.contributions)


def test_a_legal_hold_and_abuse_are_very_restricted() -> None:
    act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    assert Label(CONFIDENTIALITY, "V") in levelled([Label(act, "LEGALHOLD"), Label(act, "HIV")])
    assert Label(CONFIDENTIALITY, "V") not in levelled([Label(act, "HIV")])
    for code in ("SDV", "VIO"):
        assert Label(CONFIDENTIALITY, "V") in levelled([Label(act, code)])
    assert levelled([]) == frozenset()


def test_what_is_undetermined_is_reached_by_whoever_keeps_anything_apart() -> None:
    marks = LABELS.marks([UNDETERMINED])
    for label in ("HIV", "SEX", "R"):
        rule = LABELS.rule([label])
        assert rule is not None
        assert rule.denies(marks)
    for label in ("V", "http://hospital.example/labels|x"):
        rule = LABELS.rule([label])
        assert rule is not None
        assert not rule.denies(marks)
    permitted = LABELS.rule(["HIV", "N"])
    assert permitted is not None
    assert not permitted.permits(marks)


def test_versions_share_labels_but_not_words() -> None:
    words = BY.label("Condition", condition("B20", note=[{"text": "x"}])).contributions
    assert {label.code for label in lasting(words)} == {"HIV"}
    untold = BY.label("Condition", {"resourceType": "Condition", "code": {"text": "x"}}).contributions
    assert lasting(untold) == {UNDETERMINED}
