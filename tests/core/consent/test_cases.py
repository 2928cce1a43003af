"""Cases: what is followed from each kind of root, and what is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.consent.cases import Case, Wish, closure, is_member, may_hold
from gateway.core.fhir.catalogue import Catalogue, Release
from gateway.core.fhir.compartment import reference_of
from gateway.core.fhir.elements import values_at
from gateway.core.values import Ref
from gateway.mapping import load_catalogue

BASES = ("https://gw.example/fhir", "http://up.example/fhir")
ROUNDS = 5  # more than any rule is deep


def record(ref: str, **elements: Any) -> dict[str, Any]:
    kind, _, ident = ref.partition("/")
    return {"resourceType": kind, "id": ident, **{name: linked(value) for name, value in elements.items()}}


def linked(value: Any) -> Any:
    """`->Encounter/5` written short, anywhere below."""
    match value:
        case str() if value.startswith("->"):
            return {"reference": value[2:]}
        case list():
            return [linked(one) for one in value]
        case dict():
            return {name: linked(one) for name, one in value.items()}
        case _:
            return value


def ref(text: str) -> Ref:
    return Ref(*text.split("/"))


def found(wish: Wish, store: list[dict[str, Any]], catalogue: Catalogue) -> Iterator[dict[str, Any]]:
    """A record server: what the search finds in `store`."""
    param = catalogue.param(wish.kind, wish.term.name)
    assert param is not None
    for one in store:
        if one["resourceType"] == wish.kind:
            held = [value for path in param.paths for value in values_at(one, path)]
            texts = {str(reference_of(value, BASES)) if isinstance(value, dict) else value for value in held}
            if texts & set(wish.term.values):
                yield one


def case_of(root: str, store: list[dict[str, Any]], release: Release = "R4") -> Case:
    catalogue, answers = load_catalogue(release), dict[Wish, list[dict[str, Any]]]()
    for _ in range(ROUNDS):
        step = closure(ref(root), answers, catalogue, BASES)
        if isinstance(step, Case):
            return step
        assert not set(step) & answers.keys(), "nothing is asked twice"
        answers |= {wish: list(found(wish, store, catalogue)) for wish in step}
    raise AssertionError("it does not end")


def belonging(root: str, store: list[dict[str, Any]], release: Release = "R4") -> dict[str, str]:
    """Each record of `store`: `+` belongs, `-` does not, `?` cannot be told."""
    case, catalogue = case_of(root, store, release), load_catalogue(release)
    answers = {
        f"{one['resourceType']}/{one['id']}": is_member(
            case, Ref(one["resourceType"], one["id"]), one, catalogue, BASES
        )
        for one in store
    }
    return {name: "?" if answer is None else "-+"[answer] for name, answer in answers.items()}


STAY = [
    (record("EpisodeOfCare/3"), "+-"),
    (record("EpisodeOfCare/4"), "--"),
    (record("Encounter/5", episodeOfCare=["->EpisodeOfCare/3"], reasonReference=["->Condition/x"]), "++"),
    (record("Encounter/6", episodeOfCare=["->EpisodeOfCare/3"]), "+-"),
    (record("Encounter/7", episodeOfCare=["->EpisodeOfCare/4"]), "--"),
    (record("Encounter/8", partOf="->Encounter/5"), "--"),
    (record("Observation/of-5", encounter="->Encounter/5"), "++"),
    (record("Observation/of-5-here", encounter="->http://up.example/fhir/Encounter/5"), "++"),
    (record("Observation/of-6", encounter="->Encounter/6"), "+-"),
    (record("Observation/of-7", encounter="->Encounter/7"), "--"),
    (record("Observation/of-none"), "--"),
    (record("Observation/elsewhere", encounter="->https://other.example/fhir/Encounter/5"), "??"),
    (record("Observation/in-words", encounter={"display": "the stay in May"}), "??"),
    (record("Observation/by-number", encounter={"identifier": {"value": "A1"}}), "??"),
    (record("Observation/after", hasMember=["->Observation/of-5"]), "--"),
    (record("DocumentReference/note", context={"encounter": ["->Encounter/5"]}), "++"),
    (record("MedicationAdministration/dose", context="->EpisodeOfCare/3"), "+-"),
    (record("MedicationAdministration/other", context="->Encounter/5"), "++"),
    (record("Condition/x"), "--"),
    (record("Claim/1", item=[{"encounter": ["->Encounter/5"]}]), "--"),
    (record("Patient/pat-a"), "--"),
]  # fmt: skip


def test_an_episode_and_one_of_its_encounters() -> None:
    store = [one for one, _ in STAY]
    expected = {f"{one['resourceType']}/{one['id']}": answers for one, answers in STAY}
    assert belonging("EpisodeOfCare/3", store) == {name: both[0] for name, both in expected.items()}
    assert belonging("Encounter/5", store) == {name: both[1] for name, both in expected.items()}


ORDER = {
    "ServiceRequest/1": record(
        "ServiceRequest/1",
        subject="->Patient/pat-a",
        specimen=["->Specimen/1"],
        supportingInfo=["->Condition/1", "->ServiceRequest/2"],
        basedOn=["->CarePlan/1"],
    ),
    "Patient/pat-a": record("Patient/pat-a"),
    "Specimen/1": record("Specimen/1"),
    "Specimen/2": record("Specimen/2", request=["->ServiceRequest/1"]),
    "Condition/1": record("Condition/1"),
    "Observation/result": record("Observation/result", basedOn=["->ServiceRequest/1"]),
    "DiagnosticReport/report": record("DiagnosticReport/report", basedOn=["->ServiceRequest/1"]),
    # Named by the order and not followed from there.
    "ServiceRequest/2": record("ServiceRequest/2", specimen=["->Specimen/3"]),
}
NOT_ORDER = {
    "CarePlan/1": record("CarePlan/1"),
    "Specimen/3": record("Specimen/3"),
    "Observation/of-2": record("Observation/of-2", basedOn=["->ServiceRequest/2"]),
    "Observation/mentions": record("Observation/mentions", focus=["->ServiceRequest/1"]),
    "Procedure/1": record("Procedure/1", basedOn=["->ServiceRequest/1"]),
}
PRESCRIPTION = {
    "MedicationRequest/1": record(
        "MedicationRequest/1",
        subject="->Patient/pat-a",
        insurance=["->Coverage/1"],
        medicationReference="->Medication/1",
        priorPrescription="->MedicationRequest/0",
    ),
    "Coverage/1": record("Coverage/1"),
    "Medication/1": record("Medication/1"),
    "Patient/pat-a": record("Patient/pat-a"),
    "MedicationDispense/1": record("MedicationDispense/1", authorizingPrescription=["->MedicationRequest/1"]),
}
NOT_PRESCRIPTION = {
    "MedicationRequest/0": record("MedicationRequest/0"),
    "MedicationRequest/2": record("MedicationRequest/2", basedOn=["->MedicationRequest/1"]),
    "MedicationDispense/2": record("MedicationDispense/2", authorizingPrescription=["->MedicationRequest/2"]),
}
CLAIM = {
    "Claim/7": record(
        "Claim/7",
        patient="->Patient/pat-a",
        provider="->Organization/a",
        careTeam=[{"provider": "->Practitioner/ann"}],
        insurance=[{"coverage": "->Coverage/1"}],
        prescription="->MedicationRequest/1",
        item=[{"encounter": ["->Encounter/5"]}],
        procedure=[{"procedureReference": "->Procedure/8"}],
        diagnosis=[{"diagnosisReference": "->Condition/1"}],
        supportingInfo=[{"valueReference": "->DocumentReference/1"}],
        related=[{"claim": "->Claim/6"}],
    ),
    "Patient/pat-a": record("Patient/pat-a"),
    "Organization/a": record("Organization/a"),
    "Practitioner/ann": record("Practitioner/ann"),
    "Coverage/1": record("Coverage/1"),
    "MedicationRequest/1": record("MedicationRequest/1", encounter="->Encounter/5"),
    "MedicationDispense/1": record("MedicationDispense/1", authorizingPrescription=["->MedicationRequest/1"]),
    "Encounter/5": record("Encounter/5", diagnosis=[{"condition": "->Condition/2"}]),
    "Procedure/8": record("Procedure/8", report=["->DiagnosticReport/1"]),
    "Condition/1": record("Condition/1", evidence=[{"detail": ["->Observation/9"]}]),
}
NOT_CLAIM = {
    "Observation/9": record("Observation/9", encounter="->Encounter/5"),
    "Condition/2": record("Condition/2", encounter="->Encounter/5"),
    "DiagnosticReport/1": record("DiagnosticReport/1", encounter="->Encounter/5"),
    "DocumentReference/1": record("DocumentReference/1", context={"encounter": ["->Encounter/5"]}),
    "Claim/6": record("Claim/6"),
    "MedicationDispense/2": record("MedicationDispense/2", authorizingPrescription=["->MedicationRequest/2"]),
    "Encounter/6": record("Encounter/6"),
}
CONSULTATION = {
    "Appointment/1": record(
        "Appointment/1",
        participant=[{"actor": "->Patient/pat-a"}, {"actor": "->Practitioner/tele"}],
        supportingInformation=["->DocumentReference/ticked", "->Encounter/4"],
        basedOn=["->ServiceRequest/1"],
    ),
    "Patient/pat-a": record("Patient/pat-a"),
    "Practitioner/tele": record("Practitioner/tele"),
    "DocumentReference/ticked": record("DocumentReference/ticked"),
    "Encounter/4": record("Encounter/4"),
    "Encounter/5": record("Encounter/5", appointment=["->Appointment/1"]),
    "Observation/1": record("Observation/1", encounter="->Encounter/5"),
}
NOT_CONSULTATION = {
    "ServiceRequest/1": record("ServiceRequest/1"),
    "Encounter/6": record("Encounter/6", appointment=["->Appointment/2"]),
    # What the patient ticked is that encounter alone.
    "Observation/2": record("Observation/2", encounter="->Encounter/4"),
    "Observation/3": record("Observation/3", encounter="->Encounter/6"),
}
CASES = [
    ("ServiceRequest/1", ORDER, NOT_ORDER),
    ("MedicationRequest/1", PRESCRIPTION, NOT_PRESCRIPTION),
    ("Claim/7", CLAIM, NOT_CLAIM),
    ("Appointment/1", CONSULTATION, NOT_CONSULTATION),
]


@pytest.mark.parametrize(("root", "inside", "outside"), CASES, ids=[root for root, _, _ in CASES])
def test_what_belongs_and_what_does_not(
    root: str, inside: dict[str, dict[str, Any]], outside: dict[str, dict[str, Any]]
) -> None:
    answers = belonging(root, [*inside.values(), *outside.values()])
    assert answers == dict.fromkeys(inside, "+") | dict.fromkeys(outside, "-")


@pytest.mark.parametrize(
    ("root", "inside", "outside"),
    [
        (
            "ServiceRequest/1",
            record("ServiceRequest/1", supportingInfo=[{"reference": "->Condition/1"}]),
            record("ServiceRequest/1", supportingInfo=["->Condition/1"]),
        ),
        (
            "MedicationRequest/1",
            record("MedicationRequest/1", medication={"reference": "->Condition/1"}),
            record("MedicationRequest/1", medicationReference="->Condition/1"),
        ),
        (
            "Claim/1",
            record("Claim/1", encounter=["->Condition/1"]),
            record("Claim/1", encounters=["->Condition/1"]),
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_r5_has_its_own_elements(root: str, inside: dict[str, Any], outside: dict[str, Any]) -> None:
    condition = record("Condition/1")
    assert belonging(root, [inside, condition], "R5")["Condition/1"] == "+"
    assert belonging(root, [outside, condition], "R5")["Condition/1"] == "-"


def test_a_root_that_is_not_there_has_nothing() -> None:
    assert case_of("Claim/9", list(CLAIM.values())).members == {ref("Claim/9")}
    assert case_of("Appointment/9", list(CONSULTATION.values())).members == {ref("Appointment/9")}


def test_what_is_answered_besides_what_was_asked_is_not_followed() -> None:
    r4 = load_catalogue("R4")
    root = ref("Appointment/1")
    wishes = closure(root, {}, r4, BASES)
    assert isinstance(wishes, tuple)
    strangers = [record("Appointment/2", supportingInformation=["->Condition/1"]), record("Encounter/6")]
    case = closure(root, {wish: strangers for wish in wishes}, r4, BASES)
    assert isinstance(case, Case)
    assert case.members == {root}


def test_a_type_without_cases_is_refused() -> None:
    with pytest.raises(ValueError, match="no case"):
        closure(ref("Observation/1"), {}, load_catalogue("R4"), BASES)


@pytest.mark.parametrize(
    ("root", "kind", "may"),
    [
        ("Encounter", "Encounter", True),
        ("Encounter", "Observation", True),
        ("Encounter", "Practitioner", False),
        ("Encounter", "Patient", False),
        ("EpisodeOfCare", "EpisodeOfCare", True),
        ("EpisodeOfCare", "Encounter", True),
        ("EpisodeOfCare", "Organization", False),
        ("ServiceRequest", "Practitioner", True),  # an order can name anything
        ("Claim", "Patient", True),
        ("Observation", "Observation", False),
    ],
)
def test_which_types_a_case_can_hold(root: str, kind: str, may: bool) -> None:
    assert may_hold(root, kind, load_catalogue("R4")) == may


# --- Laws ------------------------------------------------------------------------------------------

NAMES = [
    f"{kind}/{number}" for kind in ("Appointment", "EpisodeOfCare", "Encounter", "Claim") for number in "123"
]
ELEMENTS = ["episodeOfCare", "appointment", "encounter", "supportingInformation", "prescription", "patient"]
STORES = st.lists(
    st.tuples(
        st.sampled_from(NAMES), st.dictionaries(st.sampled_from(ELEMENTS), st.sampled_from(NAMES), max_size=3)
    ),
    max_size=8,
    unique_by=lambda pair: pair[0],
).map(lambda rows: [record(name, **{k: f"->{v}" for k, v in links.items()}) for name, links in rows])


@given(STORES, st.sampled_from(NAMES), st.randoms(use_true_random=False))
def test_it_ends_in_any_tangle_and_in_any_order(store: list[dict[str, Any]], root: str, order: Any) -> None:
    shuffled = list(store)
    order.shuffle(shuffled)
    assert case_of(root, store) == case_of(root, shuffled)


@given(STORES, STORES, st.sampled_from(NAMES))
def test_a_further_record_takes_none_away(
    store: list[dict[str, Any]], more: list[dict[str, Any]], root: str
) -> None:
    names = {(one["resourceType"], one["id"]) for one in store}
    both = [*store, *(one for one in more if (one["resourceType"], one["id"]) not in names)]
    assert case_of(root, store).members <= case_of(root, both).members


@given(STORES, st.sampled_from(NAMES))
def test_no_member_is_of_a_type_that_the_case_cannot_hold(store: list[dict[str, Any]], root: str) -> None:
    kind, catalogue = ref(root).type, load_catalogue("R4")
    for name, answer in belonging(root, store).items():
        assert answer == "-" or may_hold(kind, ref(name).type, catalogue)
