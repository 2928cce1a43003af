"""What may be asked, and how: the access table of SMART row by row, refusals, narrowing, page bindings."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import errors
from gateway.core.asks import look_ups, next_ask
from gateway.core.consent.rule import Consent, Period, State
from gateway.core.decide import decide, page_binding
from gateway.core.fhir import directive
from gateway.core.fhir.release import Cursor
from gateway.core.plan import Deny, Permit
from gateway.core.standing import House, Standing
from gateway.core.values import Ask, ConsentRef, Ref
from tests.core.consent.build import HASH, NOW_S, consents, deny, permit, rule
from tests.core.deciding import HOUSE, View, decided, request, seen, token

SYS = "http://terminology.hl7.org/CodeSystem/observation-category"
LAB = f"patient/Observation.rs?category={SYS}|laboratory"
SURVEY = f"patient/Observation.rs?category={SYS}|survey"
SOCIAL = f"patient/Observation.rs?category={SYS}|social-history"
OF_85 = consents(permit(actors="client:app-1", scopes="patient/*.rs", purposes="TREAT"), patient="85")
ME = ("patient", "Patient/85")
IS_LAB = ("category", f"{SYS}|laboratory")
PRACTITIONER_9 = Ref("Practitioner", "9")

# Rows of the table, in its numbering: scopes, request, and the question to the record server, or the refusal.
ASKED = [
    ("7", "patient/Observation.rs", "Observation?patient=85", "/Observation", (ME,)),
    ("8", "patient/Observation.rs", "Observation?code=718-7", "/Observation", (("code", "718-7"), ME)),
    ("11", "patient/Observation.rs", "Observation?patient=Patient/85", "/Observation", (ME,)),
    (
        "11b",
        "patient/Observation.rs",
        "Observation?subject=https://gw.example/fhir/Patient/85",
        "/Observation",
        (("subject", "Patient/85"), ME),
    ),
    ("13", "patient/Observation.rs", "Observation/lab1", "/Observation/lab1", ()),
    ("14", "patient/Observation.rs", "Observation/labX", "/Observation/labX", ()),
    ("18", "patient/Observation.s", "Observation?_id=lab1", "/Observation", (("_id", "lab1"), ME)),
    ("22", "patient/*.rs", "Patient/85/Observation", "/Observation", (ME,)),
    ("24", "patient/Patient.rs", "Patient?name=smith", "/Patient", (("name", "smith"), ("_id", "85"))),
    ("25", "patient/Patient.rs", "Patient/99", "/Patient/99", ()),
    ("38", LAB, "Observation?patient=85", "/Observation", (ME, IS_LAB)),
    (
        "39",
        LAB,
        "Observation?patient=85&category=laboratory",
        "/Observation",
        (("category", "laboratory"), ME, IS_LAB),
    ),
    (
        "40",
        LAB,
        "Observation?patient=85&category=vital-signs",
        "/Observation",
        (("category", "vital-signs"), ME, IS_LAB),
    ),
    (
        "41",
        f"{LAB} {SOCIAL}",
        "Observation?patient=85",
        "/Observation",
        (ME, ("category", f"{SYS}|laboratory,{SYS}|social-history")),
    ),
    (
        "42",
        SURVEY,
        "Observation?patient=85&category=cognitive-status",
        "/Observation",
        (("category", "cognitive-status"), ME, ("category", f"{SYS}|survey")),
    ),
    (
        "43",
        f"{LAB} patient/Observation.rs?code=http://loinc.org|8867-4",
        "Observation?patient=85",
        "/Observation",
        (ME,),
    ),
    (
        "44",
        f"{LAB}&status=final",
        "Observation?patient=85",
        "/Observation",
        (ME, IS_LAB, ("status", "final")),
    ),
    ("45", LAB, "Observation/lab1", "/Observation/lab1", ()),
    ("46", f"{LAB} patient/*.r", "Observation/vs1", "/Observation/vs1", ()),
    ("46b", f"{LAB} patient/*.r", "Observation?patient=85", "/Observation", (ME, IS_LAB)),
    ("47", f"{LAB} patient/Observation.rs", "Observation?patient=85", "/Observation", (ME,)),
    ("56", "patient/Practitioner.rs", "Practitioner/10", "/Practitioner/10", ()),
    ("56b", "patient/Practitioner.rs", "Practitioner?name=x", "/Practitioner", (("name", "x"),)),
    ("57", "patient/Device.rs", "Device?patient=85", "/Device", (ME,)),
    ("57b", "patient/Device.rs", "Device?type=x", "/Device", (("type", "x"), ME)),
]
REFUSED = [
    ("6", "patient/*.rs", None, "Observation", "no_context"),
    ("9", "patient/Observation.rs", "85", "Observation?patient=99", "other_patient"),
    ("9b", "patient/Observation.rs", "85", "Observation?subject=Patient/99", "other_patient"),
    ("10", "patient/Observation.rs", "85", "Observation?patient=85,99", "other_patient"),
    ("16", "patient/Observation.rs", "85", "Condition?patient=85", "scope"),
    ("16b", "patient/Observation.rs", "85", "Condition/p1", "scope"),
    ("17", "patient/Observation.r", "85", "Observation?patient=85", "scope"),
    ("18b", "patient/Observation.s", "85", "Observation/lab1", "scope"),
    ("22b", "patient/*.rs", "85", "Patient/99/Observation", "other_patient"),
    ("25b", "patient/Patient.rs", "85", "Patient?_id=99", "other_patient"),
    ("35", "patient/Observation.write", "85", "Observation/lab1", "scope"),
    ("35b", "patient/Observation.write", "85", "Observation?patient=85", "scope"),
    ("55b", "openid patient/Observation.rs", "85", "Practitioner/10", "scope"),
    ("56c", "patient/*.rs", "85", "Group/1", "type"),
    ("56d", "patient/*.rs", "85", "AuditEvent", "type"),
]
# What the grammar refuses, whoever asks.
UNANSWERED = [
    ("21", "?_type=Observation,Condition", errors.Forbidden),
    ("23", "Patient/85/$everything", errors.Forbidden),
    ("19", "Observation/lab1/_history", errors.Forbidden),
    ("20", "Observation/_history", errors.Forbidden),
    ("49", "Observation?_summary=count", errors.BadRequest),
    ("49", "Observation?_count=0", errors.BadRequest),
    ("51", "Observation?patient=85&_include=Observation:subject", errors.Forbidden),
    ("52", "Condition?patient=85&_revinclude=Provenance:target", errors.Forbidden),
    ("53", "Observation?patient.name=smith", errors.Forbidden),
    ("53b", "Patient?_has:Observation:patient:code=1", errors.Forbidden),
    ("53c", "Observation?_filter=x", errors.Forbidden),
    ("53d", "Observation?_sort=patient.name", errors.Forbidden),
]
# What is no read is refused, whatever the scopes and the body: rows, method, target, the ledger's reason.
NOT_READS = [
    ("26 27 34 48", "POST", "Observation", "write"),
    ("28 29", "PUT", "Observation/new1", "write"),
    ("30 31 34", "PUT", "Observation/lab1", "write"),
    ("32 34", "PATCH", "Observation/lab1", "write"),
    ("33 34", "DELETE", "Observation/lab1", "write"),
    ("37", "PUT", "Observation?identifier=abc", "write"),
    ("37b", "PATCH", "Observation?identifier=abc", "write"),
    ("37c", "DELETE", "Observation?identifier=abc", "write"),
    ("59", "GET", "Group/1/$export", "operation"),
    ("59b", "GET", "$export?_type=Patient", "operation"),
    ("59c", "POST", "Group/1/$export", "operation"),
    ("60", "POST", "", "batch"),
]


@pytest.mark.parametrize(
    ("scopes", "target", "path", "query"), [r[1:] for r in ASKED], ids=[r[0] for r in ASKED]
)
def test_row_is_asked(scopes: str, target: str, path: str, query: tuple[tuple[str, str], ...]) -> None:
    outcome = decided(target, token(scopes), OF_85)
    assert isinstance(outcome, Permit)
    [ask] = outcome.plan.asks
    assert (ask.path, sorted(ask.query)) == (path, sorted(query))


@pytest.mark.parametrize(
    ("scopes", "patient", "target", "reason"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_row_is_refused(scopes: str, patient: str | None, target: str, reason: str) -> None:
    outcome = decided(target, token(scopes, patient), OF_85)
    assert isinstance(outcome, Deny)
    assert (outcome.error.status, outcome.reason) == (403, reason)


@pytest.mark.parametrize(("target", "error"), [r[1:] for r in UNANSWERED], ids=[r[0] for r in UNANSWERED])
def test_row_is_not_answered(target: str, error: type[errors.ConsentryError]) -> None:
    with pytest.raises(error):
        request(target)


@pytest.mark.parametrize(
    ("method", "target", "reason"), [r[1:] for r in NOT_READS], ids=[r[0] for r in NOT_READS]
)
def test_row_is_no_read(method: str, target: str, reason: str) -> None:
    with pytest.raises(errors.Forbidden) as caught:
        request(target, method)
    assert (caught.value.status, caught.value.reason) == (403, reason)


def test_row_12_a_post_is_decided_by_address_and_body() -> None:
    who = token("patient/Observation.rs")
    both = decided(request("Observation/_search?code=1", "POST", "status=final"), who, OF_85)
    assert isinstance(both, Permit)
    assert sorted(both.plan.asks[0].query) == sorted([("code", "1"), ("status", "final"), ME])
    for address, body in (("?patient=99", "patient=85"), ("?patient=85", "patient=99")):
        outcome = decided(request(f"Observation/_search{address}", "POST", body), who, OF_85)
        assert isinstance(outcome, Deny)


def test_row_19_a_version_is_asked_after_the_current_one() -> None:
    outcome = decided("Observation/lab1/_history/2", token("patient/Observation.r"), OF_85)
    assert isinstance(outcome, Permit)
    assert outcome.plan.asks == (Ask("/Observation/lab1"), Ask("/Observation/lab1/_history/2"))


def test_row_54_a_user_asks_about_whom_consents_name() -> None:
    who = token("user/Observation.rs", None, user=PRACTITIONER_9)
    nobody = decided("Observation?patient=99", who, OF_85)
    somebody = decided("Observation?patient=85", who, OF_85)
    everybody = decided("Observation", who, OF_85)
    assert isinstance(nobody, Permit)
    assert nobody.plan.asks == (), "nothing to ask; never no filter"
    for outcome in (somebody, everybody):
        assert isinstance(outcome, Permit)
        assert outcome.plan.asks[0].query == (ME,)


def test_row_55_the_own_resource_by_fhir_user() -> None:
    who = token("openid fhirUser patient/Observation.rs", user=PRACTITIONER_9)
    assert isinstance(decided("Practitioner/9", who, ()), Permit)
    for target in ("Practitioner/10", "Practitioner?_id=9", "Practitioner/9/_history/1", "Patient/9"):
        assert isinstance(decided(target, who, OF_85), Deny), target
    unscoped = token("openid patient/Observation.rs", user=PRACTITIONER_9)
    assert isinstance(decided("Practitioner/9", unscoped, OF_85), Deny)


def test_row_58_a_system_asks_about_whom_consents_name() -> None:
    who = token("system/Observation.rs", None)
    outcome = decided("Observation?patient=99", who, OF_85)
    assert isinstance(outcome, Permit)
    assert outcome.plan.asks == ()
    assert isinstance(decided("Observation", who, ()), Deny)


# --- Consents ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ((), "no_consent"),
        (consents(permit(actors="client:app-2", scopes="patient/*.rs"), patient="85"), "no_consent"),
        (consents(permit(actors="client:app-1", scopes="patient/*.rs"), patient="99"), "no_consent"),
        (
            consents(permit(actors="client:app-1", scopes="patient/Condition.rs"), patient="85"),
            "scope",
        ),
        (
            consents(permit(actors="client:app-1", scopes="patient/*.rs", purposes="HPAYMT"), patient="85"),
            "purpose",
        ),
        (
            tuple(
                replace(consent, patient="85", period=Period(NOW_S + 1))
                for consent in consents(permit(actors="client:app-1", scopes="patient/*.rs"))
            ),
            "period",
        ),
    ],
    ids=["none", "another client", "another patient", "another type", "another purpose", "not yet"],
)
def test_no_consent_in_force(given: tuple[Consent, ...], reason: str) -> None:
    for target in ("Observation", "Observation/1"):
        outcome = decided(target, token(), given)
        assert isinstance(outcome, Deny)
        assert outcome.reason == reason


def test_a_deny_of_everything_refuses_before_anything_is_asked() -> None:
    given = consents(
        permit(actors="client:app-1", scopes="patient/*.rs"),
        deny(scopes="patient/Observation.rs"),
        patient="85",
    )
    refused = decided("Observation", token(), given)
    assert isinstance(refused, Deny)
    assert (refused.reason, [node.consent_id for node in refused.because]) == ("denied", ["c1"])
    assert isinstance(decided("Condition", token(), given), Permit)


def test_a_token_bound_to_consents_rests_on_those_alone() -> None:
    first, second = consents(
        permit(actors="client:app-1", scopes="patient/Observation.rs"),
        permit(actors="client:app-1", scopes="patient/Condition.rs"),
        patient="85",
    )
    bound = replace(token(), consents=first.refs)
    assert isinstance(decided("Observation", bound, (first, second)), Permit)
    assert isinstance(decided("Condition", bound, (first, second)), Deny)
    withdrawn = replace(first, state=State.REVOKED)
    outcome = decided("Observation", bound, (withdrawn, second))
    assert isinstance(outcome, Deny)
    assert (outcome.reason, [node.consent_id for node in outcome.because]) == ("withdrawn", [first.id])


@pytest.mark.parametrize(
    "ref",
    [ConsentRef("c0", 1, HASH), ConsentRef("c1", 0, HASH), ConsentRef("c0", 0, HASH[:-1] + "E")],
    ids=["another entry", "another consent", "another hash"],
)
def test_a_consent_is_named_exactly(ref: ConsentRef) -> None:
    assert isinstance(decided("Observation", replace(token(), consents=(ref,)), OF_85), Deny)


def test_a_patients_own_records_need_no_consent() -> None:
    own = token(user=Ref("Patient", "85"))
    assert isinstance(decided("Observation", own, ()), Permit)
    other = token(user=Ref("Patient", "99"))
    assert isinstance(decided("Observation", other, ()), Deny)


ORG_1, PRACTITIONER = Ref("Organization", "org-1"), "practitioner:9"
# Who asks, whom a deny names, and whether it may be this asker.
MEANT = [
    ("nobody is said", {}, "organization:org-1", True),
    ("nobody is said, a practitioner is denied", {}, PRACTITIONER, True),
    ("nobody is said, another client is denied", {}, "client:app-2", False),
    ("the organisation", {"organization": ORG_1}, "organization:org-1", True),
    ("another organisation", {"organization": ORG_1}, "organization:org-2", False),
    ("the organisation alone is said", {"organization": ORG_1}, PRACTITIONER, True),
    ("the practitioner", {"user": PRACTITIONER_9}, PRACTITIONER, True),
    ("another practitioner", {"user": PRACTITIONER_9}, "practitioner:8", False),
    ("the practitioner alone is said", {"user": PRACTITIONER_9}, "organization:org-1", True),
    ("both are said", {"user": PRACTITIONER_9, "organization": ORG_1}, "organization:org-2", False),
    ("both are said, another practitioner", {"user": PRACTITIONER_9, "organization": ORG_1}, "practitioner:8",
     False),
    ("a role of somebody", {"user": Ref("PractitionerRole", "r"), "organization": ORG_1}, PRACTITIONER, True),
    ("a person who may be one", {"user": Ref("Person", "p"), "organization": ORG_1}, PRACTITIONER, True),
    ("a relative", {"user": Ref("RelatedPerson", "9")}, PRACTITIONER, False),
    ("a relative, an organisation is denied", {"user": Ref("RelatedPerson", "9")}, "organization:org-1",
     True),
    ("another patient", {"user": Ref("Patient", "99")}, PRACTITIONER, False),
    ("the patient", {"user": Ref("Patient", "85")}, "organization:org-1", False),
]  # fmt: skip


@pytest.mark.parametrize(("who", "actor", "meant"), [r[1:] for r in MEANT], ids=[r[0] for r in MEANT])
def test_a_deny_reaches_whoever_may_be_meant(who: dict[str, Any], actor: str, meant: bool) -> None:
    given = consents(
        permit(actors="client:app-1", scopes="patient/*.rs"),
        deny(actors=actor, scopes="patient/*.rs"),
        patient="85",
    )
    assert isinstance(decided("Observation", token(**who), given), Deny if meant else Permit)


def test_a_client_does_not_take_the_name_of_another_issuers() -> None:
    given = consents(
        permit(actors="client:app-1@https://trusted-idp.example", scopes="patient/*.rs"), patient="85"
    )
    trusted = replace(token(), issuer="https://trusted-idp.example")
    assert isinstance(decided("Observation", trusted, given), Permit)
    assert isinstance(decided("Observation", token(), given), Deny)
    with pytest.raises(ValueError, match="no @"):
        decided("Observation", token(client="app-1@https://trusted-idp.example"), given)


# --- The question ------------------------------------------------------------------------------------


def test_more_patients_than_one_query_carries_are_left_to_the_judge() -> None:
    given = [
        replace(OF_85[0], id=f"c{n}", patient=f"p{n}", refs=(ConsentRef(f"c{n}", n, HASH),)) for n in range(3)
    ]
    who = token("system/*.rs", None)
    few = decided("Observation", who, given)
    assert isinstance(few, Permit)
    assert few.plan.required == (("patient", "Patient/p0,Patient/p1,Patient/p2"),)
    many = decide(
        request("Observation"), Standing(who, View(given), House(HOUSE.catalogue, HOUSE.bases, 2), NOW_S)
    )
    assert isinstance(many, Permit)
    assert many.plan.required == ()


def test_look_ups_are_grouped_and_within_scope() -> None:
    outcome = decided("Encounter/1", token("patient/Encounter.rs patient/Condition.r"), OF_85)
    assert isinstance(outcome, Permit)
    targets = [Ref("Condition", "b"), Ref("Condition", "a"), Ref("Observation", "c")]
    assert look_ups(outcome.plan, targets) == (Ask("/Condition", (("_id", "a,b"), ("_count", "2"), ME)),)
    assert look_ups(outcome.plan, []) == ()


def test_only_a_search_has_a_next_page() -> None:
    outcome = decided("Observation", token(), OF_85)
    assert isinstance(outcome, Permit)
    assert next_ask(outcome.plan, Cursor("/Observation", "page=2")) == Ask("/Observation", raw_query="page=2")
    read = decided("Observation/1", token(), OF_85)
    assert isinstance(read, Permit)
    with pytest.raises(AssertionError):
        next_ask(read.plan, Cursor("", ""))


def test_a_page_is_bound_to_asker_rights_and_consents() -> None:
    def binding(who: object, given: tuple[Consent, ...] = OF_85) -> bytes:
        outcome = decided("Observation", who, given)  # type: ignore[arg-type]
        assert isinstance(outcome, Permit)
        return page_binding(who, outcome.plan)  # type: ignore[arg-type]

    more = consents(
        *(consent.root for consent in OF_85),
        permit(actors="client:app-1", scopes="patient/Condition.r"),
        patient="85",
    )
    *kept, last = more
    stopped = replace(last, state=State.STOPPED, ended=ConsentRef(last.id, last.entry + 1, HASH))
    bindings = [
        binding(token()),
        binding(token("patient/Observation.rs")),
        binding(token(purposes="ETREAT")),
        binding(token(user=PRACTITIONER_9)),
        binding(replace(token(), issuer="https://other.example")),
        binding(replace(token(), subject="user-2")),
        binding(token(), more),
        binding(token(), (*kept, stopped)),
    ]
    assert len(set(bindings)) == len(bindings)
    assert binding(token()) == binding(replace(token(), jti="t-2", expires_at_s=NOW_S + 999))


# --- Laws --------------------------------------------------------------------------------------------

SCOPES = (
    "patient/*.rs", "patient/Observation.r", "patient/Observation.s", "patient/Condition.rs",
    f"patient/Observation.rs?category={SYS}|laboratory", "user/*.rs", "system/Observation.rs",
    "patient/Practitioner.rs",
)  # fmt: skip
TARGETS = (
    "Observation/1",
    "Observation",
    "Condition/1",
    "Condition?code=1",
    "Practitioner/1",
    "Patient",
    "Observation?patient=85",
)
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


def resource(kind: str, patients: str, *codes: str, category: str | None = None) -> bytes:
    owner = "patient" if kind == "AllergyIntolerance" else "subject"
    tree: dict[str, object] = {"resourceType": kind, "id": "1"}
    if codes:
        tree["meta"] = {"security": [{"system": ACT_CODE, "code": code} for code in codes]}
    if patients:
        tree[owner] = {"reference": f"Patient/{patients}"}
    if category:
        tree["category"] = [{"coding": [{"system": SYS, "code": category}]}]
    return json.dumps(tree).encode()


RESOURCES = [
    resource("Observation", "85"),
    resource("Observation", "85", category="laboratory"),
    resource("Observation", "85", "HIV"),
    resource("Observation", "99", category="laboratory"),
    resource("Observation", ""),
    resource("Condition", "85", "PSY"),
    resource("Condition", "99"),
    b'{"resourceType":"Patient","id":"85"}',
    b'{"resourceType":"Practitioner","id":"1"}',
    b'{"resourceType":"Group","id":"1"}',
]
PERMITS = st.builds(
    lambda actor, scopes, purposes, labels, period, patient: rule(
        permit(actors=actor, scopes=scopes, purposes=purposes, labels=labels), period=period, patient=patient
    ),
    st.sampled_from(["client:app-1", "client:app-2", "practitioner:9"]),
    st.sampled_from(["patient/*.rs", "patient/Observation.rs", "patient/Observation.r patient/Condition.s"]),
    st.sampled_from(["TREAT", "TREAT HPAYMT", "HPAYMT", ""]),
    st.sampled_from(["", "HIV", "PSY HIV"]),
    st.sampled_from([Period(), Period(NOW_S), Period(None, NOW_S), Period(NOW_S + 1)]),
    st.sampled_from(["85", "99"]),
)
DENIES = st.builds(
    lambda scopes, labels, patient: rule(deny(scopes=scopes, labels=labels), patient=patient),
    st.sampled_from(["patient/*.rs", "patient/Condition.rs"]),
    st.sampled_from(["HIV", "PSY", ""]),
    st.sampled_from(["85", "99"]),
)


def numbered(given: list[Consent]) -> list[Consent]:
    return [replace(c, id=f"c{n}", refs=(ConsentRef(f"c{n}", n, HASH),)) for n, c in enumerate(given)]


def shown(scopes: list[str], given: list[Consent], now_s: int = NOW_S) -> set[tuple[str, int]]:
    """Every request with every resource that its answer could show."""
    who = token(" ".join(scopes), user=PRACTITIONER_9)
    outcomes = {target: decided(target, who, given, now_s=now_s) for target in TARGETS}
    return {
        (target, number)
        for target, outcome in outcomes.items()
        for number, raw in enumerate(RESOURCES)
        if seen(raw, outcome)
    }


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(SCOPES), min_size=1, max_size=4, unique=True),
    st.lists(PERMITS, max_size=3),
    st.lists(DENIES, max_size=2),
    st.data(),
)
def test_less_never_shows_more(
    scopes: list[str], permits: list[Consent], denies: list[Consent], data: st.DataObject
) -> None:
    """Without a scope, without a permit, with a further deny, a shorter period or fewer purposes: nothing
    more comes out."""
    given = numbered(permits + denies)
    before = shown(scopes, given)
    assert not any(number in (4, 9) for _, number in before), (
        "nobody's records and denied types are never shown"
    )
    dropped = data.draw(st.sampled_from(scopes))
    assert shown([scope for scope in scopes if scope != dropped], given) <= before
    further = data.draw(DENIES)
    assert shown(scopes, numbered([*permits, *denies, further])) <= before
    if permits:
        out = data.draw(st.integers(0, len(permits) - 1))
        less = given[:out] + given[out + 1 :]
        assert shown(scopes, less) <= before
        shorter = replace(given[out], period=Period(NOW_S + 1))
        assert shown(scopes, [*less, shorter]) <= before
        purposes = given[out].root.match.purposes
        if len(purposes) > 1:
            fewer = replace(given[out].root.match, purposes=frozenset(sorted(purposes)[1:]))
            assert (
                shown(scopes, [*less, replace(given[out], root=replace(given[out].root, match=fewer))])
                <= before
            )


def test_of_consents_directives_alone_are_asked_for() -> None:
    """What is never shown is not found, so that no page is short for it. The rest is for the judge."""
    who, [directives] = token("patient/*.rs"), directive.ASKED
    asked = decided(request("Consent?category=dnr"), who, OF_85)
    assert isinstance(asked, Permit)
    assert asked.plan.asks[0].query == (("category", "dnr"), ME, directives)
    assert asked.plan.selective
    other = decided(request("Condition"), who, OF_85)
    assert isinstance(other, Permit)
    assert other.plan.asks[0].query == (ME,)
    assert not other.plan.selective
