"""A standalone launch as the kits do it, for each kind of client, by GET and by POST."""

from __future__ import annotations

import httpx
import pytest

from tests.conformance.apps import KINDS, KIT
from tests.conformance.assertions import shows
from tests.conformance.browser import Person
from tests.conformance.checks import check_id_token, check_stored_nowhere, check_token_response
from tests.conformance.driver import STANDALONE, Kit, decoded

METHODS = ("GET", "POST")


@shows(14, 15, 16, 17, 20, 21, 22, 23, 25, 58, 60, 61, 74)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_launch_ends_in_a_token_that_reads_the_patient(kit: Kit, kind: str, method: str) -> None:
    answer = kit.exchange(kit.launch(kit.site.apps[kind], method=method))
    tokens = kit.granted(answer)
    check_stored_nowhere(answer)
    check_token_response(tokens.body, STANDALONE)
    assert {*tokens.scopes} == {*STANDALONE.split(" ")}
    assert tokens.body["patient"] == "pat-a"
    patient = tokens.get("Patient/pat-a")
    assert (patient.status_code, patient.json()["id"]) == (200, "pat-a")


@shows(15)
def test_aud_may_end_in_a_slash(kit: Kit) -> None:
    tokens = kit.tokens(kit.site.apps["public"], aud=f"{kit.site.base}/")
    assert tokens.get("Patient/pat-a").status_code == 200


@shows(17)
@pytest.mark.parametrize("method", METHODS)
def test_any_state_comes_back(kit: Kit, method: str) -> None:
    """A state with all that it may hold (RFC 6749 appendix A.5) comes back as it was."""
    state = "".join(map(chr, range(0x20, 0x7F)))
    assert kit.launch(kit.site.apps["public"], state=state, method=method).code


@shows(17)
@pytest.mark.parametrize("patient", ["pat-a", "pat-b"])
def test_the_patient_is_the_one_that_was_picked(kit: Kit, patient: str) -> None:
    tokens = kit.tokens(kit.site.apps["public"], "launch/patient patient/*.rs", Person(patient=patient))
    other = {"pat-a": "pat-b", "pat-b": "pat-a"}[patient]
    assert tokens.body["patient"] == patient
    assert tokens.get(f"Patient/{patient}").status_code == 200
    assert tokens.get(f"Patient/{other}").status_code == 404


@pytest.mark.parametrize(
    ("person", "encounter"),
    [
        (Person(encounter="enc-a2"), "enc-a2"),
        (Person("gp", encounter="enc-a1"), "enc-a1"),
        (Person(), None),
        (Person(patient="pat-b", encounter="enc-b1"), None),
    ],
    ids=["of the patient", "of a doctor's patient", "none of them", "a proxy's"],
)
def test_the_encounter_is_the_one_that_was_picked(kit: Kit, person: Person, encounter: str | None) -> None:
    """A doctor is not asked about what consents do not show, nor a proxy, who has no records of their own."""
    asked = "launch/patient launch/encounter patient/Encounter.rs"
    if person.login == "gp":
        asked = asked.replace("patient/Enc", "user/Enc")
    tokens = kit.tokens(kit.site.apps["public"], asked, person)
    assert tokens.body.get("encounter") == encounter
    assert ("launch/encounter" in tokens.scopes) is (encounter is not None)
    if encounter is not None:
        assert tokens.get(f"Encounter/{encounter}").status_code == 200


@shows(26)
def test_the_page_of_a_public_client_may_read_its_tokens(kit: Kit) -> None:
    answer = kit.exchange(kit.launch(kit.site.apps["public"]))
    assert answer.request.headers["origin"] == KIT
    assert answer.headers["access-control-allow-origin"] in (KIT, "*")


@shows(57)
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nonsense"}], ids=["none", "nonsense"])
def test_without_a_token_nothing_is_read(kit: Kit, headers: dict[str, str]) -> None:
    answer = kit.get("Patient/pat-a", **headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["resourceType"] == "OperationOutcome"


@shows(38, 42, 43, 44, 46)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("login", "user"), [("anna", "Patient/pat-a"), ("gp", "Practitioner/prac-gp")])
def test_an_id_token_says_who_it_is(kit: Kit, kind: str, login: str, user: str) -> None:
    app = kit.site.apps[kind]
    tokens = kit.tokens(
        app, "openid fhirUser launch/patient patient/Observation.rs", Person(login), nonce="n-1"
    )
    claims = check_id_token(kit, tokens.body["id_token"], app.id)
    assert claims["nonce"] == "n-1"
    assert claims["fhirUser"].endswith(f"/{user}")
    read = tokens.get(claims["fhirUser"])
    assert (read.status_code, f"{read.json()['resourceType']}/{read.json()['id']}") == (200, user)


@shows(45)
def test_a_page_of_the_app_may_read_who_it_is(kit: Kit) -> None:
    tokens = kit.tokens(kit.site.apps["public"])
    _, claims = decoded(tokens.body["id_token"])
    assert tokens.get(claims["fhirUser"], Origin=KIT).headers["access-control-allow-origin"] in (KIT, "*")
    other: httpx.Response = tokens.get(claims["fhirUser"], Origin="https://anywhere.example")
    assert "access-control-allow-origin" not in other.headers


@shows(60)
@pytest.mark.parametrize(
    "scope", ["patient/Observation.rs", "launch/patient patient/*.rs", "openid launch/patient"]
)
def test_what_was_not_asked_for_is_not_granted(kit: Kit, scope: str) -> None:
    tokens = kit.tokens(kit.site.apps["symmetric"], scope)
    assert {*tokens.scopes} == {*scope.split(" ")}
    assert "refresh_token" not in tokens.body
    assert ("id_token" in tokens.body) == ("openid" in scope)


@shows(61)
def test_v1_scopes_are_answered_as_v1(kit: Kit) -> None:
    scope = "launch/patient openid fhirUser offline_access patient/Patient.read patient/Observation.read"
    tokens = kit.tokens(kit.site.apps["symmetric"], scope)
    assert {*tokens.scopes} == {*scope.split(" ")}
    assert tokens.get("Patient/pat-a").status_code == 200
    assert tokens.search("Observation", {"patient": "pat-a"}).status_code == 200
    assert tokens.search("Condition", {"patient": "pat-a"}).status_code == 403


@shows(75)
def test_a_secret_has_nothing_that_is_encoded(kit: Kit) -> None:
    secret = kit.site.apps["symmetric"].secret
    assert len(secret) >= 43
    assert secret.replace("-", "").replace("_", "").isalnum()
