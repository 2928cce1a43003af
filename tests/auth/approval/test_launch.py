"""What an EHR can say of an app that it opens, and what is refused of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlmodel import select

from gateway.auth.store.database import digest_of
from gateway.auth.store.launches import KEPT_S, LASTS_S, Launch
from gateway.core.smart.kinds import CASE_TYPES
from tests.auth.counter import LAUNCH_URI, OPERATOR, Counter
from tests.support.house import BASE

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def kept(counter: Counter) -> list[Launch]:
    return await counter.ports.database.run(lambda session: list(session.exec(select(Launch))))


async def test_a_launch_is_opaque_and_says_where_to_go(counter: Counter) -> None:
    made = await counter.launch()
    assert made.keys() == {"launch", "expires_in", "launch_url"}
    assert len(made["launch"]) == 43
    assert made["expires_in"] == LASTS_S
    assert made["launch_url"].startswith(f"{LAUNCH_URI}?")
    assert parse_qs(urlsplit(made["launch_url"]).query) == {"iss": [BASE], "launch": [made["launch"]]}
    stored = [launch for launch in await kept(counter) if launch.digest == digest_of(made["launch"])]
    assert [(launch.client, launch.user, launch.patient) for launch in stored] == [
        ("diary", "Practitioner/prac-1", "pat-a")
    ]
    assert (await counter.launch())["launch"] != made["launch"]


GOOD: dict[str, dict[str, Any]] = {
    "without an encounter": {"encounter": None},
    "without a patient": {"patient": None, "encounter": None},
    "of a patient": {"user": "Patient/pat-a"},
    "a case": {"case": "Claim/7"},
    "a case that is the encounter": {"case": "Encounter/enc-1"},
    "the case of an encounter that is not told": {"case": "Encounter/2", "encounter": None},
    **{f"a case of {kind}": {"case": f"{kind}/x.1-A", "encounter": None} for kind in CASE_TYPES},
    "the base": {"base": BASE},
    "the base with a slash": {"base": f"{BASE}/"},
    "its address": {"launch_uri": LAUNCH_URI},
    "no banner": {"need_patient_banner": False},
    "a reference": {"fhirContext": [{"reference": "ImagingStudy/1"}]},
    "a reference and its type": {"fhirContext": [{"reference": "ImagingStudy/1", "type": "ImagingStudy"}]},
    "a canonical": {
        "fhirContext": [{"canonical": "http://x.example/Questionnaire/q|1", "type": "Questionnaire"}]
    },
    "an identifier": {"fhirContext": [{"identifier": {"system": "urn:x", "value": "1"}, "type": "Task"}]},
    "an encounter in another role": {
        "fhirContext": [{"reference": "Encounter/2", "role": "https://x.example/previous"}]
    },
    "the role of SMART": {"fhirContext": [{"reference": "List/1", "role": "launch"}]},
}
BAD: dict[str, dict[str, Any]] = {
    "no client": {"client": None},
    "unknown client": {"client": "nobody"},
    "no user": {"user": None},
    "user without a type": {"user": "prac-1"},
    "user that is no person": {"user": "Organization/org-1"},
    "user who cannot log in": {"user": "Practitioner/prac-99"},
    "user by address": {"user": f"{BASE}/Practitioner/prac-1"},
    "odd user": {"user": "Practitioner/.."},
    "odd patient": {"patient": "Patient/pat-a"},
    "dots": {"patient": ".."},
    "no patient's encounter": {"patient": None},
    "odd encounter": {"encounter": "a b"},
    "nobody's case": {"case": "Claim/7", "patient": None, "encounter": None},
    "a case of another encounter": {"case": "Encounter/2"},
    "a case of another type": {"case": "Observation/7"},
    "a case of no type": {"case": "7"},
    "a case in small letters": {"case": "claim/7"},
    "a case without an id": {"case": "Claim/"},
    "a case of dots": {"case": "Claim/.."},
    "a version of a case": {"case": "Claim/7/_history/1"},
    "a case by address": {"case": f"{BASE}/Claim/7"},
    "no text for a case": {"case": ["Claim/7"]},
    "an empty case": {"case": ""},
    "another base": {"base": "https://other.example/fhir"},
    "two slashes": {"base": f"{BASE}//"},
    "another address": {"launch_uri": "https://evil.example/launch"},
    "an unknown member": {"tenant": "x"},
    "a wrong type": {"need_patient_banner": "no"},
    "a number": {"patient": 1},
    "an intent of two lines": {"intent": "a\nb"},
    "an empty context": {"fhirContext": [{}]},
    "two ways": {"fhirContext": [{"reference": "List/1", "canonical": "http://x.example"}]},
    "an absolute reference": {"fhirContext": [{"reference": f"{BASE}/List/1"}]},
    "an unknown type": {"fhirContext": [{"reference": "Nothing/1"}]},
    "another type": {"fhirContext": [{"reference": "List/1", "type": "Task"}]},
    "a type alone": {"fhirContext": [{"type": "Task"}]},
    "an unknown type of a canonical": {"fhirContext": [{"canonical": "http://x.example", "type": "Nothing"}]},
    "a canonical that is none": {"fhirContext": [{"canonical": "urn:x"}]},
    "an encounter in the role of SMART": {"fhirContext": [{"reference": "Encounter/2"}]},
    "a patient in the role of SMART": {"fhirContext": [{"reference": "Patient/2", "role": "launch"}]},
    "an empty role": {"fhirContext": [{"reference": "List/1", "role": ""}]},
    "a relative role": {"fhirContext": [{"reference": "List/1", "role": "previous"}]},
    "an unknown member of the context": {"fhirContext": [{"reference": "List/1", "note": "x"}]},
    "too much context": {"fhirContext": [{"reference": "List/1"}] * 51},
}  # fmt: skip


@pytest.mark.parametrize("body", GOOD.values(), ids=GOOD.keys())
async def test_what_fits_is_taken(counter: Counter, body: dict[str, Any]) -> None:
    assert (await counter.launch(**body))["launch"]


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
async def test_what_does_not_fit_is_refused(counter: Counter, body: dict[str, Any]) -> None:
    before = len(await kept(counter))
    refused = await counter.launch(400, **body)
    assert refused.keys() == {"error"}
    assert len(await kept(counter)) == before


async def test_a_client_without_a_launch_address_has_the_value_alone(counter: Counter) -> None:
    found = await counter.desk.clients.find("public")
    assert found is not None
    assert not found.client.launch_uris
    assert (await counter.launch(client="public")).keys() == {"launch", "expires_in"}


async def test_a_user_who_was_disabled_gets_no_launch(counter: Counter) -> None:
    await counter.people.set_disabled("doc2", True, counter.desk.now_s)
    await counter.launch(400, user="Practitioner/prac-2")
    await counter.people.set_disabled("doc2", False, counter.desk.now_s)
    await counter.launch(201, user="Practitioner/prac-2")


@pytest.mark.parametrize("secret", ["wrong", OPERATOR + "x", OPERATOR[:-1], OPERATOR.upper(), ""])
async def test_only_the_operator_launches(counter: Counter, secret: str) -> None:
    await counter.launch(401, secret=secret)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"client":"diary","client":"plain","user":"Practitioner/prac-1"}', b"\xff"],
)
async def test_what_is_no_body_is_refused(counter: Counter, content: bytes) -> None:
    async with counter.browse() as ehr:
        headers = {"Authorization": f"Bearer {OPERATOR}"}
        refused = await ehr.client.post("/auth/launch", content=content, headers=headers)
        assert refused.status_code == 400
        assert refused.headers["cache-control"] == "no-store"
        large = await ehr.client.post("/auth/launch", content=b" " * 20_000, headers=headers)
        assert large.status_code == 413


async def test_old_launches_are_forgotten(counter: Counter) -> None:
    await counter.launch()
    counter.desk.ahead_s += KEPT_S + 1
    await counter.launch()
    assert len(await kept(counter)) == 1
    counter.desk.ahead_s = 0
