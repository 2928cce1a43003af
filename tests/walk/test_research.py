"""A study over HTTP: what its client gets and cannot ask, what the ledger says, and what no byte tells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from gateway.core.fhir.match import tells
from gateway.core.studies.pseudonyms import Pseudonyms, study_key
from gateway.core.values import Ref, Term
from tests.cli.support import Place
from tests.conformance.apps import PUBLIC_KEYS, App, assertion_form
from tests.core.deciding import BASES, R4
from tests.support.gateway import Gateway, gateway, next_target
from tests.walk.canned import Canned, message
from tests.walk.cases import spoken
from tests.walk.faults import page

LOINC = "http://loinc.org"
SEARCH = "/fhir/Observation"
STUDIES = """
[[studies]]
id = "heart"
clients = ["heart-app"]
codes = ["http://loinc.org|8480-6", "http://loinc.org|8462-4"]
until = "2026-05-01"

[[studies]]
id = "years"
clients = ["years-app@https://idp.example"]
codes = ["http://loinc.org|8480-6"]
until = "2026-05-01"
dates = "year"

[[studies]]
id = "lung"
clients = ["lung-app@https://gw.example"]
codes = ["http://loinc.org|8480-6"]
until = "2026-05-01"

[[studies]]
id = "later"
clients = ["later-app"]
codes = ["http://loinc.org|8480-6"]
until = "2126-05-01"
"""
PATIENTS = ("pat-a", "pat-b", "pat-d", "pat-e")
NEVER = (
    *("pat-", "SECRET", "enc-9", "2020-03-10", "2026-04", "lastUpdated", "versionId", "#"),
    *('"source"', '"display"', '"text"', '"identifier"', '"performer"'),
)


def pressure(ident: str = "bp-1", patient: str = "pat-a", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"SECRET-{ident}",
        "meta": {
            "versionId": "SECRET-7",
            "lastUpdated": "2026-04-02T08:30:00Z",
            "source": "#SECRET",
            "profile": ["https://SECRET.example/bp"],
        },
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">SECRET</div>'},
        "identifier": [{"value": "SECRET"}],
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "8480-6", "display": "SECRET"}], "text": "SECRET"},
        "subject": {"reference": f"Patient/{patient}", "display": "SECRET"},
        "encounter": {"reference": "Encounter/enc-9", "display": "SECRET"},
        "effectiveDateTime": "2020-03-10T08:30:00+01:00",
        "issued": "2020-03-10T09:30:00Z",
        "performer": [{"reference": "Practitioner/SECRET"}],
        "note": [{"text": "SECRET"}],
        "valueQuantity": {
            "value": 7.10,
            "unit": "SECRET",
            "system": "http://unitsofmeasure.org",
            "code": "kPa",
        },
        **more,
    }


@pytest.fixture(scope="module")
def running(record_server: Canned, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Everybody but Cy lets the studies use their records."""
    folder = tmp_path_factory.mktemp("research")
    with gateway(folder, record_server.base_url, timeout_s=2, extra=STUDIES) as running:
        clients = ["client:heart-app", "client:years-app", "client:later-app"]
        for patient in PATIENTS:
            running.permit(patient, grantees=clients, purposes=["HRESCH"])
        running.permit("pat-c", grantees=["client:app-1"])
        yield running
        previews = [entry for entry in running.entries() if entry.facts.get("int") == "preview"]
        running.check_everything(unanswered=len(previews))


@pytest.fixture
def research(running: Gateway, record_server: Canned) -> Gateway:
    record_server.reset()
    running.upstream.asks.clear()
    return running


def token(by: Gateway, client: str = "heart-app", scopes: str = "system/*.rs", **claims: Any) -> str:
    usual = {"patient": None, "client_id": client, "purpose_of_use": "HRESCH"}
    return by.token(scopes, **{**usual, **claims})


def names(by: Gateway, study: str = "heart") -> Pseudonyms:
    return Pseudonyms(study_key(by.house.keys.kek, "main", study, "shift"))


def records(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", ())]


def tells_nothing(answer: httpx.Response) -> None:
    said = spoken(answer)
    for part in NEVER:
        assert part not in said, part
    assert not {"etag", "last-modified"} & set(answer.headers)


def test_what_leaves(research: Gateway, record_server: Canned) -> None:
    record_server.answer(path="/Observation", body=page(pressure()))
    answer = research.get(SEARCH, token(research))
    [found] = records(answer)
    by = names(research)
    ident, days = by.of(Ref("Observation", "SECRET-bp-1")), timedelta(by.days("pat-a"))
    assert found == {
        "resourceType": "Observation",
        "id": ident,
        "meta": found["meta"],
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "8480-6"}]},
        "subject": {"reference": f"Patient/{by.of(Ref('Patient', 'pat-a'))}"},
        "encounter": {"reference": f"Encounter/{by.of(Ref('Encounter', 'enc-9'))}"},
        "effectiveDateTime": f"{date(2020, 3, 10) - days}T08:30:00Z",
        "issued": f"{date(2020, 3, 10) - days}T09:30:00Z",
        "valueQuantity": {"value": 7.1, "system": "http://unitsofmeasure.org", "code": "kPa"},
    }
    assert {one["code"] for one in found["meta"]["security"]} == {"PSEUDED"}
    assert [one["code"] for one in found["meta"]["tag"]] == ["SUBSETTED"]
    [entry] = answer.json()["entry"]
    assert entry["fullUrl"] == f"https://gw.example/fhir/Observation/{ident}"
    assert answer.json()["total"] == 1
    tells_nothing(answer)


def test_studies_have_nothing_in_common(research: Gateway, record_server: Canned) -> None:
    record_server.answer(path="/Observation", body=page(pressure()))
    [one] = records(research.get(SEARCH, token(research)))
    [same] = records(research.get(SEARCH, token(research, sub="another")))
    answer = research.get(SEARCH, token(research, "years-app"))
    [other] = records(answer)
    assert one == same
    assert other["effectiveDateTime"] == "2020"
    assert "issued" not in other
    assert {one["code"] for one in other["meta"]["security"]} == {"PSEUDED", "ABSTRED"}
    for name in ("id", "subject", "encounter"):
        assert one[name] != other[name]
    assert "-03-1" not in answer.text


STAYS: dict[str, dict[str, Any]] = {
    "of who has not agreed": {"patient": "pat-c"},
    "of another code": {"code": {"coding": [{"system": LOINC, "code": "718-7"}]}},
    "changed since": {"meta": {"versionId": "1", "lastUpdated": "2026-05-01T00:00:00Z"}},
    "of a modified meaning": {"modifierExtension": [{"url": "https://x.example", "valueBoolean": True}]},
    "that is blocked": {
        "meta": {
            "lastUpdated": "2026-04-02T08:30:00Z",
            "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSYTHPN"}],
        }
    },
}


@pytest.mark.parametrize("row", STAYS)
def test_what_stays(research: Gateway, record_server: Canned, row: str) -> None:
    record_server.answer(path="/Observation", body=page(pressure("bp-2", **STAYS[row]), pressure()))
    answer = research.get(SEARCH, token(research))
    assert [one["id"] for one in records(answer)] == [names(research).of(Ref("Observation", "SECRET-bp-1"))]
    tells_nothing(answer)


def test_labels_leave_as_levels(research: Gateway, record_server: Canned) -> None:
    """On the record and on the page, as for everybody; what it is about stays behind."""
    code = "http://terminology.hl7.org/CodeSystem"
    labels = [
        {"system": f"{code}/v3-ActCode", "code": "HIV"},
        {"system": f"{code}/v3-Confidentiality", "code": "R"},
    ]
    meta = {"lastUpdated": "2026-04-02T08:30:00Z", "security": labels}
    record_server.answer(path="/Observation", body=page(pressure(meta=meta), pressure("bp-2")))
    answer = research.get(SEARCH, token(research))
    told = [[one["code"] for one in found["meta"]["security"]] for found in records(answer)]
    assert sorted(told) == [["PSEUDED"], ["R", "PSEUDED"]]
    assert answer.json()["meta"]["security"] == [labels[1]]
    assert "HIV" not in answer.text


def test_consents_decide_first(research: Gateway, record_server: Canned) -> None:
    """A deny takes its records away, and no consent of a study opens anything for care."""
    record_server.answer(path="/Observation", body=page(pressure(), pressure("bp-2", "pat-d")))
    assert len(records(research.get(SEARCH, token(research)))) == 2
    research.deny("pat-d")
    [left] = records(research.get(SEARCH, token(research)))
    assert left["subject"]["reference"] == f"Patient/{names(research).of(Ref('Patient', 'pat-a'))}"
    refused = research.get(SEARCH, token(research, purpose_of_use="TREAT"))
    assert refused.status_code == 403


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "a read": ("/fhir/Observation/SECRET-bp-1", {}),
    "a read by pseudonym": (f"/fhir/Observation/{'0' * 40}", {}),
    "a version": ("/fhir/Observation/SECRET-bp-1/_history/1", {}),
    "a compartment": ("/fhir/Patient/pat-a/Observation", {}),
    "by id": ("/fhir/Observation?_id=SECRET-bp-1", {}),
    "by patient": ("/fhir/Observation?patient=Patient/pat-a", {}),
    "by subject": ("/fhir/Observation?subject=Patient/pat-a", {}),
    "by encounter": ("/fhir/Observation?encounter=Encounter/enc-9", {}),
    "by identifier": ("/fhir/Observation?identifier=SECRET", {}),
    "by date": ("/fhir/Observation?date=2020-03-10", {}),
    "by a date that is a value": ("/fhir/Observation?value-date=2020-03-10", {}),
    "by its last change": ("/fhir/Observation?_lastUpdated=ge2020-01-01", {}),
    "by text": ("/fhir/Observation?value-string=SECRET", {}),
    "by performer": ("/fhir/Observation?performer=Practitioner/SECRET", {}),
    "by two things at once": (f"/fhir/Observation?code-value-quantity={LOINC}|8480-6$7", {}),
    "with a good one beside": ("/fhir/Observation?status=final&date=2020", {}),
    "in an order": ("/fhir/Observation?_sort=date", {}),
    "in the order of changes": ("/fhir/Observation?_sort=-_lastUpdated", {}),
    "another type": ("/fhir/Patient", {}),
    "an encounter": ("/fhir/Encounter", {}),
    "a token for a patient": (SEARCH, {"patient": "pat-a"}),
    "a patient's scopes": (SEARCH, {"scopes": "patient/*.rs", "patient": "pat-a"}),
    "a token for consents": (SEARCH, {"consent": [["c-1", 1, "A" * 43]]}),
    "a scope by date": (SEARCH, {"scopes": "system/Observation.rs?date=2020-03-10"}),
    "a scope by id": (SEARCH, {"scopes": "system/Observation.rs?_id=SECRET-bp-1"}),
    "another purpose": (SEARCH, {"purpose_of_use": "HRESCH TREAT"}),
    "before its day": (SEARCH, {"client": "later-app"}),
    "the role without a study": (SEARCH, {"client": "app-1", "role": "researcher"}),
    "broken glass": (SEARCH, {"purpose_of_use": "BTG"}),
    "oneself": (
        "/fhir/Practitioner/prac-1",
        {"scopes": "system/*.rs openid fhirUser", "fhirUser": "https://gw.example/fhir/Practitioner/prac-1"},
    ),
}


@pytest.mark.parametrize("row", REFUSED)
def test_what_a_study_cannot_ask(research: Gateway, record_server: Canned, row: str) -> None:
    target, claims = REFUSED[row]
    record_server.answer(body=page(pressure()))
    answer = research.get(target, token(research, **claims))
    assert answer.status_code in (400, 401, 403), answer.text
    assert not research.upstream.asks, "what a study does not get is not asked for"
    if answer.status_code == 403:
        assert research.entries()[-1].facts["rsn"] == "role"


@pytest.mark.parametrize("role", [None, "clinician", "emergency", "researcher", "nobody"])
def test_its_clients_have_the_role_of_the_study_whatever_they_say(
    research: Gateway, record_server: Canned, role: str | None
) -> None:
    record_server.answer(path="/Observation", body=page(pressure()))
    answer = research.get(SEARCH, token(research, role=role))
    assert len(records(answer)) == 1
    tells_nothing(answer)


ASKED: dict[str, tuple[str, int]] = {
    "by code": (f"code={LOINC}|8480-6", 1),
    "by another code": (f"code={LOINC}|8462-4", 0),
    "by a code that is not shown": ("code=https://ward.example|own", 0),
    "by status": ("status=final", 1),
    "by another status": ("status:not=final", 0),
    "by value": ("value-quantity=7.1", 1),
    "by a unit that is not shown": ("value-quantity=7.1||SECRET", 0),
    "in part": ("_elements=code", 1),
    "in short": ("_summary=true", 1),
    "as text": ("_summary=text", 1),
    "one at a time": ("_count=1", 1),
}


@pytest.mark.parametrize("row", ASKED)
def test_a_search_finds_by_what_is_shown(research: Gateway, record_server: Canned, row: str) -> None:
    """The record server finds the record in any case."""
    query, count = ASKED[row]
    local = {"system": "https://ward.example", "code": "own"}
    coded = {"coding": [{"system": LOINC, "code": "8480-6"}, local], "text": "SECRET"}
    record_server.answer(path="/Observation", body=page(pressure(code=coded)))
    for answer in (
        research.get(f"{SEARCH}?{query}", token(research)),
        research.post(f"{SEARCH}/_search", token(research), query),
    ):
        found = records(answer)
        assert len(found) == count
        assert "ward.example" not in json.dumps(found)
        assert not re.search("SECRET-|pat-a|enc-9|2020-03-10", answer.text)


ASIDE = "https://ward.example"
FINDS: dict[str, tuple[str, str, list[str]]] = {
    "everything": ("", "system/*.rs", ["bp-0", "bp-1", "bp-2"]),
    "but for a hidden code": (f"code:not={ASIDE}|own-1", "system/*.rs", ["bp-0", "bp-1", "bp-2"]),
    "but for two": (f"code:not={ASIDE}|own-0,{ASIDE}|own-1", "system/*.rs", ["bp-0", "bp-1", "bp-2"]),
    "but for a system": (f"code:not={ASIDE}|", "system/*.rs", ["bp-0", "bp-1", "bp-2"]),
    "but for a code that is shown": (f"code:not={LOINC}|8480-6", "system/*.rs", []),
    "but for a status that is shown": ("status:not=amended", "system/*.rs", ["bp-0", "bp-1"]),
    "a hidden code": (f"code={ASIDE}|own-1", "system/*.rs", []),
    "a hidden code or one that is shown": (
        f"code={ASIDE}|own-1,{LOINC}|8480-6",
        "system/*.rs",
        ["bp-0", "bp-1", "bp-2"],
    ),
    "both": (f"code={ASIDE}|own-1&code={LOINC}|8480-6", "system/*.rs", []),
    "a hidden code, one at a time": (f"code={ASIDE}|own-1&_count=1", "system/*.rs", []),
    "a scope with a hidden code": ("", f"system/Observation.rs?code={ASIDE}|own-1", []),
    "a scope with a code that is shown": (
        "",
        f"system/Observation.rs?code={LOINC}|8480-6",
        ["bp-0", "bp-1", "bp-2"],
    ),
    "a scope with a status that is shown": ("", "system/Observation.rs?status=amended", ["bp-2"]),
    "either of two scopes": (
        "",
        f"system/Observation.rs?code={ASIDE}|own-1 system/Observation.rs?status=amended",
        ["bp-2"],
    ),
}


@pytest.mark.parametrize("row", FINDS)
def test_nothing_is_found_or_missed_by_what_is_not_shown(
    research: Gateway, record_server: Canned, row: str
) -> None:
    """The record server finds by what the records are, and is told nothing of what was asked."""
    query, scopes, expected = FINDS[row]
    held = {}
    for number, patient in enumerate(("pat-a", "pat-b", "pat-a")):
        own = {"system": ASIDE, "code": f"own-{number}"}
        coded = {"coding": [{"system": LOINC, "code": "8480-6"}, own]}
        status = "amended" if number == 2 else "final"
        held[f"bp-{number}"] = pressure(f"bp-{number}", patient, code=coded, status=status)

    def script(target: str) -> bytes:
        asked = [(name.partition(":"), value) for name, value in parse_qsl(target.partition("?")[2])]
        terms = [Term(name, (*value.split(","),), modifier or None) for (name, _, modifier), value in asked]
        sought = [term for term in terms if term.name in ("code", "status")]
        found = [one for one in held.values() if all(tells(R4, one, term, BASES.both) for term in sought)]
        return message(body=page(*found, next=None))

    record_server.script = script
    answer = research.get(f"{SEARCH}?{query}", token(research, scopes=scopes))
    by_name = {names(research).of(Ref("Observation", f"SECRET-{ident}")): ident for ident in held}
    assert sorted(by_name[one["id"]] for one in records(answer)) == expected
    [ask] = [ask for ask in research.upstream.asks if ask.path == "/Observation"]
    assert "ward.example" not in str(ask)
    assert "status" not in str(ask)
    tells_nothing(answer)


def test_pages(research: Gateway, record_server: Canned) -> None:
    """Links are sealed, and the order of a page is that of the pseudonyms."""
    first = [pressure(f"bp-{number}", PATIENTS[number % 2]) for number in range(6)]
    more = f"{record_server.base_url}?_getpages=SECRET"

    def script(target: str) -> bytes:
        last = "_getpages" in target
        return message(body=page(pressure("bp-9"), next=None) if last else page(*first, next=more))

    record_server.script = script
    answers = list(research.follow(SEARCH, token(research)))
    ids = [[one["id"] for one in records(answer)] for answer in answers]
    assert [len(page) for page in ids] == [6, 1]
    assert ids[0] == sorted(ids[0])
    for answer in answers:
        tells_nothing(answer)
    link = next_target(answers[0].json())
    assert link is not None
    assert research.get(link, token(research, "years-app")).status_code == 410


def test_the_ledger_names_the_real_records_and_the_study(research: Gateway, record_server: Canned) -> None:
    record_server.answer(path="/Observation", body=page(pressure(), pressure("bp-2", "pat-b")))
    research.get(SEARCH, token(research))
    entries = [entry for entry in research.entries()[-2:] if entry.kind == "read.permit"]
    assert [entry.facts["pat"] for entry in entries] == ["Patient/pat-a", "Patient/pat-b"]
    for entry, ident in zip(entries, ("bp-1", "bp-2"), strict=True):
        assert entry.facts["pou"] == ["HRESCH"]
        assert entry.facts["cli"] == "heart-app"
        [line] = entry.attachments["rids"].splitlines()
        words = line.split()
        assert words[0] == f"Observation/SECRET-{ident}/SECRET-7"
        assert words[words.index("STUDY") + 1] == "heart"
        assert "#/note" in words


def test_what_a_consent_cuts_out_does_not_leave(research: Gateway, record_server: Canned) -> None:
    research.deny("pat-e", labels=["HIV"])
    rx = {
        "resourceType": "Procedure",
        "id": "SECRET-p",
        "meta": {"lastUpdated": "2026-04-02T08:30:00Z"},
        "status": "completed",
        "code": {"coding": [{"system": LOINC, "code": "8480-6"}]},
        "subject": {"reference": "Patient/pat-e"},
        "reasonCode": [{"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "B20"}]}],
    }
    record_server.answer(path="/Procedure", body=page(rx))
    answer = research.get("/fhir/Procedure", token(research))
    [found] = records(answer)
    assert "B20" not in answer.text
    assert "reasonCode" not in found
    tells_nothing(answer)


def test_the_upstream_is_asked_for_the_codes_of_the_study(research: Gateway, record_server: Canned) -> None:
    record_server.answer(path="/Observation", body=page(pressure()))
    research.get(f"{SEARCH}?status=final", token(research))
    [ask] = [ask for ask in research.upstream.asks if ask.path == "/Observation"]
    assert ("code", f"{LOINC}|8480-6,{LOINC}|8462-4") in ask.query
    assert "status" not in dict(ask.query), "what was asked is looked at here"


def test_a_service_of_our_own_gets_its_token_and_the_records(
    research: Gateway, record_server: Canned, tmp_path: Path
) -> None:
    """Its token names no role; what the client is, is enough."""
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": PUBLIC_KEYS}))
    place = Place(research.house.settings.ledger.store.parent, research.port)
    if "lung-app" not in place.good("client", "list"):
        method = ("--auth-method", "private_key_jwt", "--grant-type", "client_credentials")
        more = ("--name", "Lungs", "--scope", "system/*.rs", "--jwks", str(keys))
        place.good("client", "add", "lung-app", *method, *more)
    audience = "https://gw.example/auth/token"
    assertion = App("lung-app", "asymmetric", {}).assertion(audience, research.clock() // 1000)
    form = {
        "grant_type": "client_credentials",
        "scope": "system/Observation.rs",
        "purpose_of_use": "HRESCH",
        **assertion_form(assertion),
    }
    granted = research.client.post("/auth/token", data=form)
    assert granted.status_code == 200, granted.text
    research.permit("pat-g", grantees=["client:lung-app"], purposes=["HRESCH"])
    record_server.answer(path="/Observation", body=page(pressure("bp-3", "pat-g")))
    answer = research.get(SEARCH, granted.json()["access_token"])
    [found] = records(answer)
    assert found["id"] == names(research, "lung").of(Ref("Observation", "SECRET-bp-3"))
    tells_nothing(answer)
    assert research.get("/fhir/Observation/SECRET-bp-3", granted.json()["access_token"]).status_code == 403


# --- Previews and simulations -----------------------------------------------------------------------


YEARS_APP = "client:years-app@https://idp.example"


def operator(by: Gateway, path: str, body: object) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {by.house.keys.operator_secret}"}
    response = by.client.post(f"/admin/{path}", json=body, headers=headers)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_a_preview_says_what_would_be_in_the_study_and_how(research: Gateway, record_server: Canned) -> None:
    records = [pressure("bp-1", "pat-f"), pressure("bp-2", "pat-f", code={"text": "SECRET"})]
    record_server.answer(path="/Observation", body=page(*records))
    draft = {
        "patient": "pat-f",
        "grantees": ["client:heart-app", YEARS_APP, "client:app-1"],
        "scopes": ["patient/*.rs"],
        "purposes": ["HRESCH"],
    }
    viewers = {each["who"][0]: each for each in operator(research, "preview", {"draft": draft})["viewers"]}
    heart, years, other = (viewers[name] for name in ("client:heart-app", YEARS_APP, "client:app-1"))
    assert heart["types"]["Observation"] == {"shown": 1, "in_part": 1, "hidden": 1}
    assert other["types"]["Observation"] == {"shown": 2, "in_part": 0, "hidden": 0}
    assert heart["gained"] == ["Observation/SECRET-bp-1"], "the operator is told of the patient's own records"
    assert heart["study"]["id"] == "heart"
    assert heart["study"]["words"].startswith("As they were before 2026-05-01T00:00:00Z, with pseudonyms")
    assert "the year alone" in years["study"]["words"]
    assert other["study"] is None


@pytest.mark.parametrize(
    ("asked", "permitted"),
    [("Observation", True), ("Observation?date=2020", False), ("Observation/x", False)],
)
def test_simulations(research: Gateway, asked: str, permitted: bool) -> None:
    told = operator(research, "simulate", {"request": asked, "token": token(research), "record": pressure()})
    assert told["permitted"] == permitted
    assert permitted or told["reason"] == "role"
    assert not permitted or told["record"]["shown"]
