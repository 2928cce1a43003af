"""Each role that the product has, seeing and not seeing each type: decided, and judged under a consent."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

import pytest

from gateway.core.consent.labels import ACT_CODE, CONFIDENTIALITY, LABELS, LEVELS
from gateway.core.decide import decide
from gateway.core.fhir import codec
from gateway.core.judgement import Judgement
from gateway.core.labels.findings import Policy
from gateway.core.labels.remembered import Labelling
from gateway.core.plan import Deny, Permit
from gateway.core.roles.ceiling import Roles
from gateway.core.standing import House, Standing
from gateway.core.values import Glass, Ref, Token
from gateway.mapping import load_labeller, load_profiles
from tests.core.consent.build import NOW_S, consents, permit
from tests.core.deciding import HOUSE, View, facts, request, token
from tests.support.hospital import OWNER_OF

SUBJECT: Final = {"subject": {"reference": "Patient/85"}}
PATIENT: Final = {"patient": {"reference": "Patient/85"}}
LAB: Final = Ref("Organization", "lab")
OWNER: Final[dict[str, dict[str, Any]]] = {
    "ServiceRequest": {**SUBJECT, "performer": [{"reference": str(LAB)}]},
    "Patient": {"id": "85"},
    "AllergyIntolerance": PATIENT,
    "Immunization": PATIENT,
    "Claim": PATIENT,
    "ClaimResponse": PATIENT,
    "ExplanationOfBenefit": PATIENT,
    "Device": PATIENT,
    "RelatedPerson": PATIENT,
    "Consent": {**PATIENT, **OWNER_OF["Consent"]},
    "FamilyMemberHistory": PATIENT,
    "EpisodeOfCare": PATIENT,
    "Coverage": {"beneficiary": PATIENT["patient"]},
    "Appointment": {"participant": [{"actor": PATIENT["patient"]}]},
    "Practitioner": {},
    "PractitionerRole": {},
    "Organization": {},
    "Location": {},
    "Medication": {},
}
TYPES: Final = (
    *OWNER,
    *("Condition", "Procedure", "Observation", "DiagnosticReport", "DocumentReference", "Composition"),
    *(
        "ClinicalImpression",
        "QuestionnaireResponse",
        "Encounter",
        "CarePlan",
        "Communication",
    ),
    *("MedicationRequest", "MedicationDispense", "MedicationStatement", "Specimen"),
)
DIRECTORY: Final = "Practitioner PractitionerRole Organization"
# By role: the purpose, the types seen by anybody of the role, and those seen of the case alone.
ALWAYS: Final = "Patient AllergyIntolerance Immunization"
BILLS: Final = "Claim ClaimResponse ExplanationOfBenefit"
SEEN: dict[str, tuple[str, str, str]] = {
    "clinician": ("TREAT", f"{ALWAYS} Coverage", f"* {BILLS}"),
    "laboratory": ("TREAT", f"Patient {DIRECTORY}", "ServiceRequest Specimen Observation DiagnosticReport"),
    "laboratory-billing": ("HPAYMT", "Patient Coverage Organization", "ServiceRequest"),
    "pharmacy": (
        "TREAT",
        f"Patient AllergyIntolerance Coverage Medication {DIRECTORY}",
        "MedicationRequest MedicationDispense",
    ),
    "payer": (
        "HPAYMT",
        f"Patient Location {DIRECTORY}",
        "Claim Coverage Encounter Procedure Condition MedicationRequest MedicationDispense",
    ),
    "telehealth": ("TREAT", ALWAYS, f"* {BILLS} Coverage"),
    "emergency": (
        "ETREAT",
        f"{ALWAYS} RelatedPerson MedicationRequest MedicationStatement Condition Procedure Device Consent",
        "",
    ),
    "researcher": ("HRESCH", "", ""),
    "patient": ("PATRQT", "*", ""),
    "proxy": ("FAMRQT", "*", ""),
    "caregiver": (
        "FAMRQT",
        "Patient Appointment MedicationRequest MedicationStatement MedicationDispense Medication "
        f"AllergyIntolerance CarePlan Location {DIRECTORY}",
        "",
    ),
}
BY_CONTENT: Final = {("emergency", "Observation"), ("emergency", "DocumentReference")}
"""Seen by what they hold: below."""

PROFILES = load_profiles()


def house(role: str, *, opened: bool = False) -> House:
    """A house with this role, of which a token without a case sees nothing that takes one."""
    profile = replace(PROFILES[role], open_without_case=opened)
    return replace(HOUSE, roles=Roles({**PROFILES, role: profile}))


def who(role: str, purpose: str, **more: Any) -> Token:
    """A token of our own issuer: there alone is an authority to act for somebody."""
    made = token("system/*.rs patient/*.rs", purposes=purpose, **more)
    return replace(made, role=role, issued=(1, "h" * 43))


def asked(by: House, asker: Token, kind: str) -> Permit | Deny:
    given = consents(permit(actors="client:app-1", scopes="patient/*.rs"), patient="85")
    return decide(request(kind), Standing(asker, View(given), by, NOW_S))


def judged(by: House, asker: Token, tree: dict[str, Any], *, within: Any = None) -> Judgement:
    outcome = asked(by, asker, tree["resourceType"])
    if isinstance(outcome, Deny):
        assert outcome.error.status == 403
        return Judgement(False, outcome.reason)
    raw = json.dumps({"id": "x", **tree}).encode()
    judge = replace(outcome.plan.judge, within=within)
    return judge(facts(raw), lambda: codec.parse(raw))


def record(kind: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": kind, "id": "x", **OWNER.get(kind, SUBJECT), **more}


def test_every_role_is_in_the_table() -> None:
    assert SEEN.keys() == PROFILES.keys()
    assert len(TYPES) == len(set(TYPES))


ROWS = [(role, kind) for role in SEEN for kind in TYPES if (role, kind) not in BY_CONTENT]


@pytest.mark.parametrize(("role", "kind"), ROWS, ids=[f"{role} {kind}" for role, kind in ROWS])
def test_what_a_role_sees_of_a_type(role: str, kind: str) -> None:
    purpose, always, in_case = SEEN[role]
    asker, by = who(role, purpose, organization=LAB), house(role)
    free = kind in always.split() or always == "*"
    # A `*` is followed by the types that it leaves out.
    named = in_case.split()
    limited = kind not in named if named[:1] == ["*"] else kind in named
    # What has a time shows nothing out of it, be it ever so free in it.
    timed = by.roles.profiles[role].grace_s is not None
    assert judged(by, asker, record(kind)).visible == (free and not timed)
    assert judged(by, asker, record(kind), within=lambda *_: True).visible == (free or limited)
    assert judged(by, asker, record(kind), within=lambda *_: None).visible == free
    refused = isinstance(asked(by, asker, kind), Deny)
    assert refused == (not free and not limited), "what is seen of no record is not asked for"


@pytest.mark.parametrize("role", SEEN)
def test_a_role_has_no_other_purpose(role: str) -> None:
    for purpose in ("HMARKT", "HPAYMT" if SEEN[role][0] != "HPAYMT" else "TREAT"):
        for kind in ("Patient", "Practitioner"):
            assert judged(house(role), who(role, purpose), record(kind)).reason == "role"


@pytest.mark.parametrize(
    ("role", "purpose", "label", "seen"),
    [
        ("clinician", "TREAT", "PSYTHPN", False),
        ("clinician", "TREAT", "PSY", True),
        ("clinician", "TREAT", "HIV", True),
        ("payer", "HPAYMT", "HIPAASelfPay", False),
        ("emergency", "ETREAT", "PSYTHPN", False),
        ("emergency", "ETREAT", "HIV", False),
        ("emergency", "ETREAT", "R", False),
        ("emergency", "ETREAT", "N", True),
        ("emergency", "ERTREAT", "SUD", False),
        ("emergency", "BTG", "HIV", True),
        ("emergency", "BTG", "R", True),
        ("emergency", "BTG", "PSYTHPN", False),
        ("clinician", "BTG", "HIV", True),
        ("clinician", "BTG", "PSYTHPN", False),
        ("proxy", "FAMRQT", "ADOL", False),
        ("proxy", "FAMRQT", "PSYTHPN", False),
        ("proxy", "FAMRQT", "PREGNANT", True),
        ("caregiver", "FAMRQT", "ADOL", False),
        ("patient", "PATRQT", "ADOL", True),
        ("patient", "PATRQT", "PSYTHPN", True),
        ("patient", "PATRQT", "NOPAT", False),
    ],
)
def test_labels_that_a_role_never_sees(role: str, purpose: str, label: str, seen: bool) -> None:
    system = CONFIDENTIALITY if label in tuple(LEVELS) else ACT_CODE
    meta = {"meta": {"security": [{"system": system, "code": label}]}}
    by, kind = house(role, opened=True), "CarePlan" if role == "caregiver" else "Condition"
    glass = Glass("life-threat", 1, "h" * 43) if purpose == "BTG" else None
    asker = replace(who(role, purpose), patient="85", glass=glass)
    assert judged(by, asker, record(kind, **meta)).visible == seen


CODED: Final = {"coding": [{"code": "x"}]}
ELEMENTS: dict[str, tuple[str, str, dict[str, Any], set[str]]] = {
    "a prescription in a pharmacy": (
        "pharmacy TREAT",
        "MedicationRequest",
        {
            "status": "active",
            "medicationCodeableConcept": CODED,
            "dosageInstruction": [{"text": "one a day"}],
            "reasonCode": [CODED],
            "note": [{"text": "n"}],
            "text": {"div": "d"},
            "encounter": {"reference": "Encounter/1"},
        },
        {"reasonCode", "note", "text", "encounter"},
    ),
    "an allergy in a pharmacy": (
        "pharmacy TREAT",
        "AllergyIntolerance",
        {
            "code": CODED,
            "criticality": "high",
            "note": [{"text": "n"}],
            "recorder": {"reference": "Practitioner/1"},
            "reaction": [{"severity": "severe"}],
        },
        {"note", "recorder"},
    ),
    "how an allergy shows, in a pharmacy": (
        "pharmacy TREAT",
        "AllergyIntolerance",
        {"code": CODED, "reaction": [{"manifestation": [CODED], "severity": "severe"}]},
        {"reaction"},
    ),
    "a procedure for a payer": (
        "payer HPAYMT",
        "Procedure",
        {
            "status": "completed",
            "code": CODED,
            "performedDateTime": "2026",
            "report": [],
            "note": [{"text": "n"}],
        },
        {"report", "note"},
    ),
    "a claim for a payer": (
        "payer HPAYMT",
        "Claim",
        {
            "status": "active",
            "diagnosis": [{"sequence": 1}],
            "supportingInfo": [{"sequence": 1}],
            "text": {"div": "d"},
        },
        {"supportingInfo", "text"},
    ),
    "a person for a payer": (
        "payer HPAYMT",
        "Patient",
        {
            "name": [{"family": "F"}],
            "birthDate": "1970-01-01",
            "address": [{"city": "C"}],
            "telecom": [{"value": "1"}],
        },
        {"address", "telecom"},
    ),
    "an order in a laboratory": (
        "laboratory TREAT",
        "ServiceRequest",
        {
            "status": "active",
            "intent": "order",
            "code": CODED,
            "reasonCode": [CODED],
            "note": [{"text": "n"}],
        },
        {"reasonCode", "note"},
    ),
    "an order of a test that nobody interprets without its reason": (
        "laboratory TREAT",
        "ServiceRequest",
        {
            "status": "active",
            "code": {"coding": [{"system": "http://loinc.org", "code": "600-7"}]},
            "reasonCode": [CODED],
            "reasonReference": [{"reference": "Condition/1"}],
            "note": [{"text": "n"}],
        },
        {"reasonReference", "note"},
    ),
    "an order with such a code of another system": (
        "laboratory TREAT",
        "ServiceRequest",
        {"status": "active", "code": {"coding": [{"code": "600-7"}]}, "reasonCode": [CODED]},
        {"reasonCode"},
    ),
    "an order for who bills": (
        "laboratory-billing HPAYMT",
        "ServiceRequest",
        {
            "status": "active",
            "code": {"coding": [{"system": "http://loinc.org", "code": "600-7"}]},
            "reasonCode": [CODED],
            "insurance": [{"reference": "Coverage/1"}],
            "specimen": [{"reference": "Specimen/1"}],
        },
        {"reasonCode", "specimen"},
    ),
    "a coverage for who bills": (
        "laboratory-billing HPAYMT",
        "Coverage",
        {"status": "active", "subscriberId": "1", "contract": [{"reference": "Contract/1"}]},
        {"contract"},
    ),
    "other people in a patient's own record": (
        "patient PATRQT",
        "Patient",
        {"name": [{"family": "F"}], "telecom": [{"value": "1"}], "contact": [{"name": {"family": "G"}}]},
        {"contact"},
    ),
    "a relative, for the patient": (
        "patient PATRQT",
        "RelatedPerson",
        {
            "active": True,
            "relationship": [CODED],
            "name": [{"family": "G"}],
            "telecom": [{"value": "1"}],
            "birthDate": "1950-01-01",
            "address": [{"city": "C"}],
            "photo": [{"title": "p"}],
        },
        {"telecom", "birthDate", "address", "photo"},
    ),
    "illness in the family, for the patient": (
        "patient PATRQT",
        "FamilyMemberHistory",
        {
            "relationship": CODED,
            "condition": [{"code": CODED}],
            "name": "G",
            "bornDate": "1950-01-01",
            "deceasedDate": "2001-01-01",
        },
        {"name", "bornDate", "deceasedDate"},
    ),
    "what is the patient's own": (
        "patient PATRQT",
        "Condition",
        {"code": CODED, "note": [{"text": "n"}]},
        set(),
    ),
    "the patient, for a caregiver": (
        "caregiver FAMRQT",
        "Patient",
        {"name": [{"family": "F"}], "birthDate": "1970-01-01", "address": [{"city": "C"}], "contact": []},
        {"address", "contact"},
    ),
    "a condition for a clinician": (
        "clinician TREAT",
        "Condition",
        {"code": CODED, "note": [{"text": "n"}]},
        set(),
    ),
}


@pytest.mark.parametrize(("role", "kind", "more", "gone"), ELEMENTS.values(), ids=ELEMENTS)
def test_elements_that_a_role_does_not_need(
    role: str, kind: str, more: dict[str, Any], gone: set[str]
) -> None:
    name, purpose = role.split()
    asker = who(name, purpose, organization=LAB)
    judgement = judged(house(name), asker, record(kind, **more), within=lambda *_: True)
    assert judgement.visible
    assert judgement.cuts == ()
    assert {place[0] for place in judgement.trims or ()} == gone
    assert (judgement.trims is None) == (not gone)


@pytest.mark.parametrize(
    ("more", "seen"),
    [
        ({"category": [{"coding": [{"code": "laboratory"}]}], "effectiveDateTime": "{now}"}, True),
        ({"category": [{"coding": [{"code": "laboratory"}]}], "effectiveDateTime": "2001-01-01"}, False),
        ({"category": [{"coding": [{"code": "laboratory"}]}]}, False),
        ({"category": [{"coding": [{"code": "survey"}]}], "effectiveDateTime": "{now}"}, False),
    ],
    ids=["new", "old", "undated", "of another kind"],
)
def test_what_an_emergency_sees_of_observations(more: dict[str, Any], seen: bool) -> None:
    by, asker = house("emergency"), who("emergency", "ETREAT")
    today = by.roles.ceiling(asker, NOW_S, by.catalogue, by.bases.both).values["today"]  # type: ignore[union-attr]
    made = json.loads(json.dumps(record("Observation", **more)).replace("{now}", today or ""))
    assert judged(by, asker, made).visible == seen


@pytest.mark.parametrize("role", ["clinician", "telehealth"])
@pytest.mark.parametrize("kind", ["AllergyIntolerance", "Immunization", "MedicationRequest", "Condition"])
@pytest.mark.parametrize(("patient", "seen"), [("85", True), ("86", False)])
def test_what_is_always_needed_is_of_the_patient_of_the_token(
    role: str, kind: str, patient: str, seen: bool
) -> None:
    """A client to whom several patients gave leave treats one of them."""
    by, asker = house(role), who(role, "TREAT")
    active = {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
    }
    more: dict[str, Any] = {
        "MedicationRequest": {"status": "active"},
        "Condition": {"clinicalStatus": active},
    }
    owner = {name: {"reference": f"Patient/{patient}"} for name in ("patient", "subject")}
    given = [
        *consents(permit(actors="client:app-1", scopes="patient/*.rs"), patient="85"),
        *consents(permit(actors="client:app-1", scopes="patient/*.rs"), patient="86"),
    ]
    given = [replace(one, id=f"c{at}") for at, one in enumerate(given)]
    asker = replace(asker, scopes=token("user/*.rs").scopes, fhir_user=Ref("Practitioner", "1"), patient="85")
    outcome = decide(request(kind), Standing(asker, View(tuple(given)), by, NOW_S))
    assert isinstance(outcome, Permit), outcome
    raw = json.dumps({"resourceType": kind, "id": "x", **owner, **more.get(kind, {})}).encode()
    judge = replace(outcome.plan.judge, within=lambda *_: False)
    assert judge.patients == {"85", "86"}
    assert judge(facts(raw), lambda: codec.parse(raw)).visible is seen


@pytest.mark.parametrize(("performer", "seen"), [("Organization/lab", True), ("Organization/other", False)])
def test_a_laboratory_sees_its_own_results(performer: str, seen: bool) -> None:
    asker = who("laboratory", "TREAT", organization=Ref("Organization", "lab"))
    made = record("Observation", performer=[{"reference": performer}])
    assert judged(house("laboratory"), asker, made).visible == seen


@pytest.mark.parametrize(
    ("performer", "organization", "seen"),
    [(LAB, LAB, True), (LAB, Ref("Organization", "other"), False), (LAB, None, False), (None, LAB, False)],
    ids=["its own", "another's", "of nobody knows whom", "nobody's"],
)
def test_a_laboratory_does_its_own_orders(
    performer: Ref | None, organization: Ref | None, seen: bool
) -> None:
    asker = who("laboratory", "TREAT", organization=organization)
    named = None if performer is None else [{"reference": str(performer)}]
    made = {**record("ServiceRequest"), "performer": named or []}
    assert judged(house("laboratory"), asker, made, within=lambda *_: True).visible == seen
    assert not judged(house("laboratory"), asker, made, within=lambda *_: False).visible


def test_who_breaks_the_glass_sees_what_an_emergency_needs() -> None:
    asker = who("payer", "BTG")
    ceiling = house("payer").roles.ceiling(asker, NOW_S, HOUSE.catalogue, HOUSE.bases.both)
    assert ceiling is not None
    assert ceiling.profile.role == "emergency"
    assert ceiling.refusal("Condition") is None
    assert ceiling.refusal("Coverage") is not None


def test_a_role_opens_nothing_that_no_consent_permits() -> None:
    nothing = decide(
        request("Condition"), Standing(who("patient", "PATRQT"), View(()), house("patient"), NOW_S)
    )
    assert isinstance(nothing, Deny)
    assert nothing.reason == "no_consent"


def test_contained_records_that_a_role_does_not_see_stay_behind() -> None:
    inner = {"resourceType": "Observation", "id": "o", **SUBJECT}
    raw = json.dumps(record("Procedure", contained=[inner])).encode()
    for role, purpose, stays in (("payer", "HPAYMT", False), ("clinician", "TREAT", True)):
        outcome = asked(house(role), who(role, purpose), "Procedure")
        assert isinstance(outcome, Permit)
        found = facts(raw)
        assert outcome.plan.judge.stays(found, found.inner[0], lambda: codec.parse(raw)) == stays


ICD: Final = "http://hl7.org/fhir/sid/icd-10-cm"
HIV: Final = {"coding": [{"system": ICD, "code": "B20"}]}
FLU: Final = {"coding": [{"system": ICD, "code": "J11.1"}]}


@pytest.mark.parametrize(
    ("tree", "seen", "cuts"),
    [
        (record("Condition", code=FLU), True, ()),
        (record("Condition", code=HIV), False, ()),
        (record("Procedure", code=FLU, reasonCode=[HIV]), True, (("reasonCode", 0),)),
        (record("Procedure", code=FLU, note=[{"text": "n"}]), True, ()),
    ],
    ids=["another", "what it is about", "its reason", "free text, of which nothing is known"],
)
def test_blocked_labels_are_found_in_records(tree: dict[str, Any], seen: bool, cuts: tuple[Any, ...]) -> None:
    by = house("clinician", opened=True)
    blocking = replace(by.roles.profiles["clinician"], blocks=LABELS.rule(["HIV"]))
    labelling = Labelling(load_labeller(Policy(), HOUSE.bases, HOUSE.catalogue))
    by = replace(by, labelling=labelling, roles=Roles({"clinician": blocking}))
    judgement = judged(by, who("clinician", "TREAT"), tree)
    assert judgement.visible == seen
    assert judgement.cuts == cuts


@pytest.mark.parametrize(("code", "seen"), [("11510-5", False), ("28627-8", True), ("11506-3", True)])
@pytest.mark.parametrize("role", ["clinician", "telehealth"])
def test_notes_of_psychotherapy_are_closed_to_roles_by_their_type(role: str, code: str, seen: bool) -> None:
    """Of a psychologist, of a psychiatrist, of anybody."""
    by = house(role, opened=True)
    by = replace(by, labelling=Labelling(load_labeller(Policy(), HOUSE.bases, HOUSE.catalogue)))
    note = record("DocumentReference", type={"coding": [{"system": "http://loinc.org", "code": code}]})
    assert judged(by, who(role, "TREAT"), note, within=lambda *_: True).visible == seen
