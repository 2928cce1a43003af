"""Breaking the glass: who may, what it opens and what not, who is told, and that it is answered for."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from pyotp import TOTP

from gateway.core.canon import b64url
from gateway.errors import LedgerUnavailable
from gateway.ledger.ledger import Ledger
from tests.core.consent.fhir.said import resource
from tests.upstreams.base import Upstream
from tests.walk.canned import Canned
from tests.walk.data import load_walks
from tests.walk.steps import operator, step, words_of
from tests.walk.ward import Ward, ward

FOUR_HOURS_S = 4 * 3600
DAY_S = 24 * 3600


@pytest.fixture(scope="module")
def hospital(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """Ann has forbidden everybody everything."""
    load_walks(upstream)
    with ward(tmp_path_factory.mktemp("ward"), upstream.base_url) as made:
        made.running.deny()
        yield made
        made.running.check_everything()


@pytest.fixture(scope="module")
def calm(record_server: Canned, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """Where no glass is broken but Dr Ro's, which is over."""
    with ward(tmp_path_factory.mktemp("calm"), record_server.base_url, timeout_s=2) as made:
        made.glass = made.broken("dr-ro")
        made.mailroom.wait_for(2)
        made.clock.ahead_s += FOUR_HOURS_S
        yield made
        made.running.check_everything()


@pytest.fixture
def alone(tmp_path: Path, record_server: Canned) -> Iterator[Ward]:
    record_server.reset()
    with ward(tmp_path, record_server.base_url, timeout_s=2) as made:
        yield made
        made.running.check_everything()


@pytest.fixture
def shelf(upstream: Upstream) -> Iterator[Shelf]:
    held = Shelf(upstream)
    yield held
    for target in held.there:
        httpx.delete(f"{upstream.base_url}/{target}", timeout=60, trust_env=False).raise_for_status()


@pytest.fixture
def bedside(tmp_path: Path, upstream: Upstream) -> Iterator[Ward]:
    """With a patient who has said nothing, and whose records the shelf has."""
    with ward(tmp_path, upstream.base_url) as made:
        yield made
        made.running.check_everything()


ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
POLICY = "https://profiles.ihe.net/ITI/PCF/Policy-{}"
WHOSE = {"patient": "pat-glass"}


class Shelf:
    """Conditions of one patient in a record server, each a new one: HAPI keeps the labels of earlier ones."""

    _numbers = count(1)

    def __init__(self, upstream: Upstream) -> None:
        self._upstream, self.base_url = upstream, upstream.base_url
        self.there: list[str] = []

    def put(self, label: str | None = None) -> str:
        """Its address below the base."""
        target = f"Condition/glass-{next(self._numbers)}"
        code = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "J11.1"}]}
        condition = {
            "resourceType": "Condition",
            "id": target.partition("/")[2],
            **({} if label is None else {"meta": {"security": [{"system": ACT_CODE, "code": label}]}}),
            "code": code,
            "subject": {"reference": "Patient/pat-glass"},
        }
        self._upstream.load([condition])
        self.there.append(target)
        return target


# --- What it opens ---------------------------------------------------------------------------------


def test_it_opens_what_the_patient_forbade_and_says_so(hospital: Ward) -> None:
    running = hospital.running
    target = "/fhir/Condition?_count=50"
    assert running.get(target, running.token("patient/*.rs")).status_code == 403
    opened = hospital.broken()
    assert (opened["token_type"], opened["expires_in"], opened["renewable"]) == ("Bearer", FOUR_HOURS_S, True)
    answer = running.get(target, opened["access_token"])
    assert answer.status_code == 200
    shown = {entry["resource"]["id"] for entry in answer.json()["entry"]}
    assert "cond-a-hiv" in shown
    entry = running.entries()[opened["entry"]]
    assert (entry.kind, entry.facts["pat"], entry.facts["act"]) == (
        "bg.open",
        "Patient/pat-a",
        "Practitioner/prac-er",
    )
    assert {name: entry.facts[name] for name in ("rol", "org", "src")} == {
        "rol": "clinician",
        "org": "Organization/org-1",
        "src": "https://gw.example/fhir",
    }
    assert entry.attachments["rsn"] == "cannot-consent\nUnconscious on arrival, no relatives."
    read = running.entries()[-1]
    assert (read.kind, read.facts["pou"]) == ("read.permit", ["BTG"])
    lines = read.attachments["rids"].splitlines()
    assert all(" BY break_glass" in line for line in lines)
    assert any(line.startswith("Condition/cond-a-hiv/") and " OVER " in line for line in lines)
    assert running.get("/fhir/Patient/pat-b", opened["access_token"]).status_code in (403, 404)
    assert running.get("/fhir/Claim", opened["access_token"]).status_code == 403  # no emergency needs it


@pytest.mark.parametrize(
    ("label", "status"), [(None, 200), ("HIV", 200), ("LEGALHOLD", 404), ("PSYTHPN", 404)]
)
def test_what_stays_closed(bedside: Ward, shelf: Shelf, label: str | None, status: int) -> None:
    target, opened = shelf.put(label), bedside.broken(**WHOSE)
    done = step(bedside.running, target, opened["access_token"])
    assert done.answer.status_code == status
    if status == 404:
        assert done.reason == {"LEGALHOLD": "law", "PSYTHPN": "role"}[str(label)]
    renewed = bedside.broken(**WHOSE, renews=opened["entry"])
    assert step(bedside.running, target, renewed["access_token"]).answer.status_code == status


def test_nothing_is_read_before_it_is_recorded(bedside: Ward, shelf: Shelf) -> None:
    """Who, whose, why, the token, and only then a read that names it."""
    running, target = bedside.running, shelf.put()
    opened = bedside.broken(**WHOSE)
    assert [entry.kind for entry in running.entries()] == ["bg.open", "token.issue"]
    assert running.upstream.asks == []
    done = step(running, target, opened["access_token"])
    [read] = done.entries
    issued = [1, b64url(running.entries()[1].leaf_hash)]
    assert (read.kind, read.facts["pou"], read.facts["tok"]) == ("read.permit", ["BTG"], issued)
    [line] = read.attachments["rids"].splitlines()
    assert words_of(line)["BY"] == ["break_glass"]
    assert [ask.path for ask in done.asked] == [f"/{target}"]


def test_a_patient_can_forbid_it_by_name(bedside: Ward, shelf: Shelf) -> None:
    bedside.running.deny("pat-glass", purposes=["BTG"])
    opened = bedside.broken(**WHOSE)
    assert step(bedside.running, shelf.put(), opened["access_token"]).reason == "denied"


@pytest.mark.parametrize(("policy", "status"), [("break-glass-only", 200), ("deny", 404)])
def test_a_consent_under_a_policy_of_ihe_pcf(bedside: Ward, shelf: Shelf, policy: str, status: int) -> None:
    opened = bedside.broken(**WHOSE)
    ann = {"reference": "Patient/pat-glass"}
    payment = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HPAYMT"}
    over = {
        "patient": ann,
        "performer": [ann],
        "policy": [{"uri": POLICY.format(policy)}],
        "provision": {"type": "permit", "purpose": [payment]},
    }
    media_type = {"Content-Type": "application/fhir+json; fhirVersion=4.0"}
    sent = operator(bedside.running, "POST", "/admin/consents", resource("R4", over), **media_type)
    assert sent.status_code == 201, sent.text
    done = step(bedside.running, shelf.put(), opened["access_token"])
    assert done.answer.status_code == status
    assert status == 200 or done.reason == "denied"


def test_where_nothing_is_implied_a_consent_has_to_permit_it(tmp_path: Path, shelf: Shelf) -> None:
    with ward(tmp_path, shelf.base_url, more='[consent]\nimplicit = "deny"') as strict:
        opened = strict.broken(**WHOSE)
        assert step(strict.running, shelf.put(), opened["access_token"]).reason == "break_glass"
        strict.running.check_everything()


def test_it_ends_after_four_hours_and_with_the_person(bedside: Ward, shelf: Shelf) -> None:
    target = shelf.put()

    def seen(opened: dict[str, Any]) -> int:
        return step(bedside.running, target, opened["access_token"]).answer.status_code

    opened = bedside.broken(**WHOSE)
    bedside.clock.ahead_s += FOUR_HOURS_S - 60
    assert seen(opened) == 200
    bedside.clock.ahead_s += 60
    assert seen(opened) == 401
    again = bedside.broken("dr-ro", **WHOSE)
    assert seen(again) == 200
    bedside.place.good("user", "disable", "dr-ro")
    assert seen(again) == 401


def test_the_key_of_the_device_can_be_required(record_server: Canned, tmp_path: Path) -> None:
    with ward(tmp_path, record_server.base_url, more="key_required = true") as strict:
        refused = strict.ask("POST", body=strict.wish())
        assert refused.status_code == 400
        assert "jkt" in refused.text
        opened = strict.broken(jkt="A" * 43)
        assert opened["token_type"] == "DPoP"
        assert [entry.kind for entry in strict.running.entries()] == ["bg.open", "token.issue"]
        strict.running.check_everything()


def test_a_purpose_alone_opens_nothing(alone: Ward) -> None:
    """A token of another issuer, whatever it says of itself, was not made by breaking the glass."""
    running = alone.running
    claims: dict[str, Any] = {
        "purpose_of_use": "BTG",
        "break_glass": ["cannot-consent", 0, "A" * 43],
        "role": "emergency",
    }
    assert running.get("/fhir/Condition", running.token("patient/*.rs", **claims)).status_code == 403


# --- Who may ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("login", "changed", "status", "says"),
    [
        ("dr-er", {"code": "000000"}, 403, "could not be confirmed"),
        ("dr-er", {"user": "nobody"}, 403, "could not be confirmed"),
        ("dr-er", {"user": "dr-pw"}, 403, "could not be confirmed"),
        ("nurse", {}, 403, "role"),
        ("ann", {}, 403, "professionals"),
        ("dr-er", {"client": "nobody"}, 400, "client"),
        ("dr-er", {"base": "https://other.example/fhir"}, 400, "base"),
        ("dr-er", {"reason": "curious"}, 400, "reason"),
        ("dr-er", {"text": "short"}, 400, "characters"),
        ("dr-er", {"text": "two lines\nof text, long enough"}, 400, "characters"),
        ("dr-er", {"patient": "../x"}, 400, "does not fit"),
        ("dr-er", {"patient": "*"}, 400, "does not fit"),
        ("dr-er", {"more": 1}, 400, "does not fit"),
        ("dr-er", {"renews": 0}, 404, "no such glass"),
    ],
    ids=[
        "wrong code", "no person", "no second factor", "role", "no professional", "no client", "no base",
        "no reason", "too little said", "lines", "no id", "everybody", "unknown member", "nothing to renew",
    ],
)  # fmt: skip
def test_refused_and_nothing_recorded(
    calm: Ward, login: str, changed: dict[str, object], status: int, says: str
) -> None:
    before = len(calm.running.entries())
    answer = calm.ask("POST", body=calm.wish(login, **changed))
    assert (answer.status_code, says in answer.text) == (status, True), answer.text
    assert "access_token" not in answer.text
    assert len(calm.running.entries()) == before
    assert len(calm.mailroom.taken) == 2


def test_a_code_opens_once(alone: Ward) -> None:
    wish = alone.wish()
    assert alone.ask("POST", body=wish).status_code == 201
    assert alone.ask("POST", body=wish).status_code == 403


@pytest.mark.parametrize("secret", [None, "wrong"])
def test_only_for_who_speaks_for_the_hospital(calm: Ward, secret: str | None) -> None:
    headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
    address = "/auth/break-glass"
    client = calm.running.client
    assert client.post(address, json=calm.wish(), headers=headers).status_code == 401
    assert client.get(address, headers=headers).status_code == 401
    assert client.post(f"{address}/0/review", json={}, headers=headers).status_code == 401


def test_without_its_record_there_is_no_token(alone: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> list[object]:
        raise LedgerUnavailable

    before = len(alone.running.entries())
    with monkeypatch.context() as broken:
        broken.setattr(Ledger, "append", fails)
        answer = alone.ask("POST", body=alone.wish())
    assert (answer.status_code, "access_token" in answer.text) == (503, False)
    assert len(alone.running.entries()) == before
    assert alone.mailroom.taken == []


# --- Once more, and once only ----------------------------------------------------------------------


def test_four_hours_are_added_once(alone: Ward) -> None:
    first = alone.broken()
    refused = alone.ask("POST", body=alone.wish())
    assert (refused.status_code, f"Renew entry {first['entry']}" in refused.text) == (403, True)
    second = alone.broken(renews=first["entry"])
    assert second["renewable"] is False
    assert alone.running.entries()[second["entry"]].facts["bg"] == [first["entry"], first["hash"]]
    for entry in (first["entry"], second["entry"]):
        again = alone.ask("POST", body=alone.wish(renews=entry))
        assert (again.status_code, "once" in again.text) == (400, True)
    assert alone.ask("POST", body=alone.wish("dr-ro", renews=first["entry"])).status_code == 404
    assert alone.ask("POST", body=alone.wish(renews=first["entry"], patient="pat-b")).status_code == 404


def test_of_many_who_renew_at_once_one_does(alone: Ward) -> None:
    """With codes of three steps, as many as count at the same time."""
    first = alone.broken()
    wish = alone.wish(renews=first["entry"])
    alone.clock.ahead_s += 90  # none of the codes was shown before
    now_s = alone.clock() // 1000
    codes = [str(TOTP(alone.secrets["dr-er"]).at(now_s + drift_s)) for drift_s in (-30, 0, 30)]
    wishes = [{**wish, "code": code} for code in codes]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda wish: alone.ask("POST", body=wish), wishes))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 201
    assert set(statuses[1:]) <= {400, 403}
    opened = [entry for entry in alone.running.entries() if entry.kind == "bg.open"]
    assert len(opened) == 2


def test_what_is_over_is_not_renewed(alone: Ward) -> None:
    first = alone.broken()
    alone.clock.ahead_s += FOUR_HOURS_S
    answer = alone.ask("POST", body=alone.wish(renews=first["entry"]))
    assert (answer.status_code, "over" in answer.text) == (400, True)


# --- Who is told -----------------------------------------------------------------------------------


def test_the_patient_and_the_privacy_officer_are_told(alone: Ward) -> None:
    alone.mailroom.refuse = 1
    opened = alone.broken()
    [first] = alone.mailroom.wait_for(1)
    alone.clock.ahead_s += 61  # what was turned away is sent again
    told = alone.mailroom.wait_for(2)
    assert {notice["recipient"] for notice in told} == {"patient", "privacy-officer"}
    assert first["entry"] == opened["entry"]
    for notice in told:
        assert (notice["patient"], notice["user"], notice["reason"]) == (
            "Patient/pat-a",
            "Practitioner/prac-er",
            "cannot-consent",
        )
        assert "text" not in notice


# --- And answered for ------------------------------------------------------------------------------


def test_it_is_reviewed_with_its_reads_counted(bedside: Ward, shelf: Shelf) -> None:
    alone, opened, target = bedside, bedside.broken(**WHOSE), shelf.put()
    for _ in range(3):
        assert step(alone.running, target, opened["access_token"]).answer.status_code == 200
    early = alone.ask("POST", f"/{opened['entry']}/review", {"reviewer": "officer", "outcome": "justified"})
    assert (early.status_code, "until its end" in early.text) == (400, True)
    alone.clock.ahead_s += FOUR_HOURS_S
    [waiting] = alone.ask("GET", "?open=true").json()["broken"]
    assert (waiting["entry"], waiting["state"], waiting["text"]) == (
        opened["entry"],
        "to-review",
        "Unconscious on arrival, no relatives.",
    )
    done = alone.ask("POST", f"/{opened['entry']}/review", {"reviewer": "officer", "outcome": "justified"})
    assert done.status_code == 201, done.text
    facts = alone.running.entries()[done.json()["entry"]].facts
    assert (facts["bg"], facts["out"], facts["n_reads"]) == (
        [opened["entry"], opened["hash"]],
        "justified",
        3,
    )
    assert alone.ask("GET", "?open=true").json() == {"broken": []}
    again = alone.ask("POST", f"/{opened['entry']}/review", {"reviewer": "officer", "outcome": "escalated"})
    assert again.status_code == 400


def test_who_has_a_review_overdue_does_not_break_the_glass(alone: Ward) -> None:
    opened = alone.broken()
    alone.clock.ahead_s += 7 * DAY_S - 600
    assert alone.ask("POST", body=alone.wish(patient="pat-b")).status_code == 201
    alone.clock.ahead_s += 1200
    refused = alone.ask("POST", body=alone.wish(patient="pat-c"))
    assert (refused.status_code, f"Entry {opened['entry']} has to be reviewed" in refused.text) == (403, True)
    alone.ask("POST", f"/{opened['entry']}/review", {"reviewer": "officer", "outcome": "not-justified"})
    assert alone.ask("POST", body=alone.wish(patient="pat-c")).status_code == 201


@pytest.mark.parametrize(
    ("entry", "body", "status"),
    [
        ("999", {"reviewer": "o", "outcome": "justified"}, 404),
        ("x", {"reviewer": "o", "outcome": "justified"}, 404),
        ("-1", {"reviewer": "o", "outcome": "justified"}, 404),
        ("{}", {"reviewer": "o", "outcome": "fine"}, 400),
        ("{}", {"reviewer": "", "outcome": "justified"}, 400),
        ("{}", {"reviewer": "Practitioner/prac-ro", "outcome": "justified"}, 400),
        ("{}", {"outcome": "justified"}, 400),
        *(
            ("{}", {"reviewer": who, "outcome": "justified"}, 400)
            for who in (
                "dr-ro",
                "DR-RO",
                "Practitioner/prac-ro ",
                "practitioner/prac-ro",
                "PractitionerRole/role-er",
                "er-role",
                "PractitionerRole/prac-ro",
                "gone",
                "officer ",
                "somebody",
                " ",
            )
        ),
    ],
)
def test_no_review(calm: Ward, entry: str, body: object, status: int) -> None:
    before = len(calm.running.entries())
    assert calm.ask("POST", f"/{entry.format(calm.glass['entry'])}/review", body).status_code == status
    assert len(calm.running.entries()) == before


@pytest.mark.parametrize(
    ("named", "is_told"),
    [("DR-ER", "Practitioner/prac-er"), ("Practitioner/prac-er", "Practitioner/prac-er")],
)
def test_a_reviewer_is_an_account_by_either_name(alone: Ward, named: str, is_told: str) -> None:
    opened = alone.broken("dr-ro")
    alone.clock.ahead_s += FOUR_HOURS_S
    body = {"reviewer": named, "outcome": "justified"}
    done = alone.ask("POST", f"/{opened['entry']}/review", body)
    assert done.status_code == 201, done.text
    facts = alone.running.entries()[done.json()["entry"]].facts
    assert (facts["rev"], facts["act"]) == (is_told, is_told)


def test_by_command(alone: Ward) -> None:
    wish = (
        "--patient",
        "pat-a",
        "--client",
        "ward-app",
        "--reason",
        "life-threat",
        "--text",
        "Bleeding, no time",
    )
    opened = alone.place.json("break-glass", "open", "dr-er", *wish, "--code", alone.code("dr-er"))
    assert opened["access_token"].count(".") == 2
    assert "life-threat: Bleeding, no time" in alone.place.good("break-glass", "list", "--open")
    line = alone.place.refused("break-glass", "open", "nurse", *wish, "--code", alone.code("nurse"))
    assert "role" in line
    entry = str(opened["entry"])
    outcome = ("--reviewer", "officer", "--outcome", "justified")
    assert "until its end" in alone.place.refused("break-glass", "review", entry, *outcome)
