"""An EHR opens an app for its user, about a patient and an encounter."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest

from tests.conformance.apps import LAUNCH_URI
from tests.conformance.assertions import shows
from tests.conformance.browser import Person
from tests.conformance.checks import check_id_token, check_token_response
from tests.conformance.driver import Kit, decoded, single
from tests.conformance.uscore import FURTHER, TYPES

SCOPE = "launch openid fhirUser offline_access user/*.rs"
DOCTOR = Person("gp")


def opened(kit: Kit, kind: str = "symmetric") -> Mapping[str, str]:
    """What the app is opened with."""
    address = kit.ehr_launch(kit.site.apps[kind])["launch_url"]
    assert address.startswith(f"{LAUNCH_URI}?")
    return single(urlsplit(address).query)


@shows(19)
def test_the_app_is_opened_with_iss_and_launch(kit: Kit) -> None:
    told = opened(kit)
    assert told["iss"] == kit.site.base
    assert told["launch"]
    assert told["launch"] != opened(kit)["launch"]


@shows(16, 20, 21, 22, 23, 37, 43, 44, 58, 59, 60, 62)
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("kind", ["public", "symmetric", "asymmetric"])
def test_a_launch_has_its_context(kit: Kit, kind: str, method: str) -> None:
    app = kit.site.apps[kind]
    tokens = kit.tokens(app, SCOPE, DOCTOR, method=method, launch=opened(kit, kind)["launch"])
    check_token_response(tokens.body, SCOPE)
    assert {*tokens.scopes} == {*SCOPE.split(" ")}
    assert (tokens.body["patient"], tokens.body["encounter"]) == ("pat-a", "enc-a1")
    assert tokens.body["need_patient_banner"] is True
    assert tokens.get("Patient/pat-a").status_code == 200
    assert tokens.get("Encounter/enc-a1").status_code == 200
    style = kit.http.get(tokens.body["smart_style_url"])
    assert (style.status_code, style.json()["color_text"]) == (200, "#1f1f1f")
    claims = check_id_token(kit, tokens.body["id_token"], app.id)
    assert claims["fhirUser"] == f"{kit.site.base}/Practitioner/prac-gp"
    assert tokens.get(claims["fhirUser"]).status_code == 200
    after = kit.granted(kit.refresh(app, tokens.body["refresh_token"]))
    assert (after.body["patient"], after.body["encounter"]) == ("pat-a", "enc-a1")
    assert after.get("Patient/pat-a").status_code == 200


@shows(62)
def test_each_type_is_granted_at_its_level(kit: Kit) -> None:
    types = (*TYPES, *FURTHER)
    scope = " ".join(["launch", "openid", "fhirUser", *(f"user/{kind}.rs" for kind in types)])
    tokens = kit.tokens(kit.site.apps["symmetric"], scope, DOCTOR, launch=opened(kit)["launch"])
    assert {*tokens.scopes} == {*scope.split(" ")}


@shows(63)
def test_one_patient_scope_is_granted_to_the_letter(kit: Kit) -> None:
    scope = "launch openid fhirUser patient/Patient.rs"
    tokens = kit.tokens(kit.site.apps["symmetric"], scope, DOCTOR, launch=opened(kit)["launch"])
    assert "patient/Patient.rs" in tokens.scopes
    assert tokens.get("Patient/pat-a").status_code == 200
    assert tokens.get("Patient/pat-b").status_code == 404
    assert tokens.search("Observation", {"patient": "pat-a"}).status_code == 403


def test_a_portal_opens_an_app_for_a_patient(kit: Kit) -> None:
    """Who then decides for herself, and gives consent."""
    app = kit.site.apps["public"]
    launch = kit.ehr_launch(app, user="Patient/pat-a")["launch"]
    tokens = kit.tokens(app, "launch openid fhirUser patient/*.rs", launch=launch)
    assert (tokens.body["patient"], tokens.body["need_patient_banner"]) == ("pat-a", True)
    assert tokens.get("Observation/obs-a-exact").status_code == 200


def test_an_app_is_opened_about_a_case(kit: Kit) -> None:
    """By its user's role the app sees what belongs to the case and no more, now and after each refresh."""
    site, user, case = kit.site, "Practitioner/prac-ward", "Encounter/enc-a1"
    password = str(site.place.folder / "password")
    named = ("--name", "Dr Ward", "--user", user, "--role", "clinician", "--password-file", password)
    site.place.good("user", "add", "ward", *named)
    who = ("--grantee", "practitioner:prac-ward", "--scope", "patient/*.rs")
    site.place.good("consent", "grant", "--patient", "pat-a", *who)
    app = site.apps["symmetric"]
    launch = kit.ehr_launch(app, user=user, case=case)["launch"]
    tokens = kit.tokens(app, SCOPE, Person("ward"), launch=launch)
    for _ in range(2):
        assert tokens.body["case"] == case
        assert decoded(tokens.access)[1]["case"] == case
        assert tokens.get("Observation/obs-a-exact").status_code == 200
        assert tokens.get("Observation/obs-a-41-2").status_code == 404  # hers, of another visit
        seen = tokens.found("Observation", {"patient": "pat-a"})
        assert "obs-a-exact" in seen
        assert "obs-a-41-2" not in seen
        tokens = kit.granted(kit.refresh(app, tokens.body["refresh_token"]))
    bare = kit.tokens(
        app, SCOPE, Person("ward"), launch=kit.ehr_launch(app, user=user, encounter=None)["launch"]
    )
    assert "case" not in bare.body
    assert bare.get("Observation/obs-a-41-2").status_code == 404  # what is always needed alone
    assert bare.get("Patient/pat-a").status_code == 200


def test_nobody_is_limited_to_a_case_without_a_role_for_it(kit: Kit) -> None:
    app = kit.site.apps["symmetric"]
    launch = kit.ehr_launch(app, case="Encounter/enc-a1")["launch"]
    assert kit.launch(app, SCOPE, DOCTOR, launch=launch).answer["error"] == "access_denied"


@shows(24)
def test_what_else_it_is_about_is_told(kit: Kit) -> None:
    about = [
        {"reference": "Observation/obs-a-exact"},
        {
            "canonical": "http://hospital.example/Questionnaire/q",
            "type": "Questionnaire",
            "role": "https://x.example/r",
        },
        {"identifier": {"system": "https://x.example", "value": "1"}, "type": "ServiceRequest"},
    ]
    app = kit.site.apps["symmetric"]
    launch = kit.ehr_launch(app, fhirContext=about, intent="reconcile")["launch"]
    tokens = kit.tokens(app, SCOPE, DOCTOR, launch=launch)
    assert tokens.body["fhirContext"] == about
    assert tokens.body["intent"] == "reconcile"


# --- What must come to nothing -------------------------------------------------------------------


def test_a_launch_value_counts_once(kit: Kit) -> None:
    launch = opened(kit)["launch"]
    kit.tokens(kit.site.apps["symmetric"], SCOPE, DOCTOR, launch=launch)
    again = kit.launch(kit.site.apps["symmetric"], SCOPE, DOCTOR, launch=launch)
    assert again.answer["error"] == "invalid_request"


def test_a_launch_value_is_its_clients_alone(kit: Kit) -> None:
    launch = opened(kit, "symmetric")["launch"]
    stolen = kit.launch(kit.site.apps["asymmetric"], SCOPE, DOCTOR, launch=launch)
    assert stolen.answer["error"] == "invalid_request"
    assert "code" in kit.launch(kit.site.apps["symmetric"], SCOPE, DOCTOR, launch=launch).answer


@pytest.mark.parametrize("login", ["anna", "psy"])
def test_a_launch_is_for_its_user_alone(kit: Kit, login: str) -> None:
    found = kit.launch(kit.site.apps["symmetric"], SCOPE, Person(login), launch=opened(kit)["launch"])
    assert found.answer["error"] == "access_denied"
    assert "code" not in found.answer


def test_the_scope_launch_needs_a_launch_value(kit: Kit) -> None:
    assert kit.launch(kit.site.apps["symmetric"], SCOPE, DOCTOR).answer["error"] == "invalid_request"


def test_only_the_ehr_opens_apps(kit: Kit) -> None:
    body = {"client": "symmetric", "user": "Practitioner/prac-gp", "patient": "pat-a"}
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        assert kit.http.post(f"{kit.site.url}/auth/launch", json=body, headers=headers).status_code == 401


@pytest.mark.parametrize("user", ["Practitioner/nobody", "Patient/pat-b", "prac-gp"])
def test_an_app_is_opened_for_who_can_log_in(kit: Kit, user: str) -> None:
    assert "launch" not in kit.ehr_launch(kit.site.apps["symmetric"], status=400, user=user)
