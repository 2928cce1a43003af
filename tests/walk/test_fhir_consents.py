"""A FHIR Consent is sent, and the next read goes by it; what is refused tells where; what was granted comes
back as FHIR."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from gateway.cli import main
from tests.core.consent.fhir.said import resource
from tests.support.gateway import Gateway, gateway
from tests.upstreams.base import Upstream
from tests.walk.canned import Canned
from tests.walk.data import load_walks
from tests.walk.faults import READ, observation

TREAT = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}
HIV = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}
CLIENT = {
    "reference": {
        "type": "Device",
        "identifier": {"system": "https://www.rfc-editor.org/rfc/rfc6749#section-2.2", "value": "app-1"},
    }
}
R4_PERMIT: dict[str, Any] = {
    "provision": {
        "type": "permit",
        "purpose": [TREAT],
        "actor": [
            {
                "role": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                            "code": "IRCP",
                        }
                    ]
                },
                **CLIENT,
            }
        ],
    }
}
R5 = "application/fhir+json; fhirVersion=5.0"
R4 = "application/fhir+json; fhirVersion=4.0"


@pytest.fixture
def ward(house: Gateway, record_server: Canned) -> Gateway:
    record_server.answer(path="/Observation/x", body=observation())
    return house


@pytest.fixture(scope="module")
def desk(record_server: Canned, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """For requests that change nothing, or nothing that another would notice."""
    with gateway(tmp_path_factory.mktemp("desk"), record_server.base_url) as running:
        yield running
        running.check_everything()


def send(ward: Gateway, tree: object, media_type: str = R5, query: str = "") -> httpx.Response:
    headers = {"Authorization": f"Bearer {ward.house.keys.operator_secret}", "Content-Type": media_type}
    content = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    return ward.client.post(f"/admin/consents{query}", content=content, headers=headers)


def sent(ward: Gateway, tree: object, media_type: str = R5, query: str = "") -> str:
    """The id of the consent that it became."""
    answer = send(ward, tree, media_type, query)
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"].removeprefix("/admin/consents/")


def shown(ward: Gateway, consent_id: str, accept: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {ward.house.keys.operator_secret}", "Accept": accept}
    return ward.client.get(f"/admin/consents/{consent_id}", headers=headers)


def issues(answer: httpx.Response) -> list[tuple[str, str, list[str]]]:
    """Severity, code and places of each issue."""
    tree = answer.json()
    assert answer.headers["Content-Type"].partition(";")[0] == "application/fhir+json"
    assert tree["resourceType"] == "OperationOutcome"
    return [(one["severity"], one["code"], one.get("expression", [])) for one in tree["issue"]]


def deciding(ward: Gateway) -> list[tuple[str, str]]:
    """Consent and node by which a read of the observation is decided now."""
    headers = {"Authorization": f"Bearer {ward.house.keys.operator_secret}"}
    asked = {"request": "Observation/x", "token": ward.token(), "record": observation()}
    told = ward.client.post("/admin/simulate", json=asked, headers=headers).json()
    nodes = told.get("record", told)["nodes"]
    return [(node["consent"], node["node"]) for node in nodes]


def recorded(ward: Gateway) -> tuple[str, Any, Any]:
    """Kind of the last entry, the index of the consent's entry that it names, and the nodes that decided."""
    last = ward.entries()[-1]
    con, lines = last.facts["con"], last.attachments.get("rids", "")
    nodes = last.facts.get("by", lines.partition(" BY ")[2].split())
    return last.kind, con[0] if isinstance(con, list) else con, nodes


def entry_of(ward: Gateway, consent_id: str) -> int:
    entry: int = shown(ward, consent_id, "application/json").json()["entries"][-1]["entry"]
    return entry


def test_an_r5_consent_opens_the_record_and_a_second_one_closes_it(ward: Gateway) -> None:
    assert ward.get(READ, ward.token()).status_code == 403
    permit = sent(
        ward,
        resource("R5", {"decision": "deny", "provision": [{"actor": [CLIENT], "purpose": [TREAT]}]}),
    )
    assert ward.get(READ, ward.token()).status_code == 200
    assert deciding(ward) == [(permit, "root.0")]
    entry = entry_of(ward, permit)
    assert recorded(ward) == ("read.permit", entry, [f"{entry}/root.0"])

    deny = sent(ward, resource("R5", {"decision": "permit", "provision": [{"actor": [CLIENT]}]}))
    refused = ward.get(READ, ward.token())
    assert refused.status_code == 403
    assert deciding(ward) == [(deny, "root.0")]
    entry = entry_of(ward, deny)
    assert recorded(ward) == ("read.deny", entry, [f"{entry}/root.0"])


def test_an_r4_consent_with_an_exception(ward: Gateway, record_server: Canned) -> None:
    provision = {**R4_PERMIT["provision"], "provision": [{"type": "deny", "securityLabel": [HIV]}]}
    consent = sent(ward, resource("R4", {"provision": provision}), R4)
    assert ward.get(READ, ward.token()).status_code == 200
    assert deciding(ward) == [(consent, "root")]
    record_server.answer(path="/Observation/x", body={**observation(), "meta": {"security": [HIV]}})
    assert ward.get(READ, ward.token()).status_code == 404


def test_the_answer_names_the_entry_and_warns(desk: Gateway) -> None:
    policy = {"policy": [{"uri": "https://law.example/privacy"}]}
    answer = send(desk, resource("R4", {**R4_PERMIT, **policy}), R4)
    assert answer.headers["Cache-Control"] == "no-store"
    done, warning = answer.json()["issue"]
    assert (
        f"ledger entry {entry_of(desk, answer.headers['Location'].rpartition('/')[2])},"
        in done["diagnostics"]
    )
    assert (warning["severity"], warning["expression"]) == ("warning", ["Consent.policy[0].uri"])


def test_a_malformed_consent_is_refused_with_every_place(desk: Gateway) -> None:
    before = len(desk.entries())
    answer = send(desk, resource("R5", {"provision": [{"securityLabel": [{"code": "HIV"}]}], "date": "soon"}))
    assert answer.status_code == 422
    assert [places for _, _, places in issues(answer)] == [
        ["Consent.decision"],
        ["Consent.date"],
    ]
    assert len(desk.entries()) == before


@pytest.mark.parametrize(
    ("media_type", "tree", "query", "status"),
    [
        (R5, b"{", "", 400),
        (R5, b'{"resourceType":"Patient"}', "", 422),
        (R4, json.dumps(resource("R5", {"decision": "permit"})).encode(), "", 422),
        ("application/fhir+json; fhirVersion=3.0", b"{}", "", 415),
        ("application/fhir+json; charset=latin-1", b"{}", "", 415),
        ("application/fhir+json; profile=x", b"{}", "", 415),
        (R5, b"{}", "?patient=pat-a", 400),
        (R5, b"{}", "?supersede=a/b", 400),
        (R5, json.dumps(resource("R5", {"decision": "deny"})).encode(), "?supersede=nobody", 404),
        (R5, b" " * (1024 * 1024 + 1), "", 413),
    ],
    ids=[
        "no JSON", "another resource", "another release", "an unknown release", "another charset",
        "another parameter", "another query", "no id", "superseding what is not there", "too long",
    ],
)  # fmt: skip
def test_what_is_sent_wrong_is_an_outcome(
    desk: Gateway, media_type: str, tree: bytes, query: str, status: int
) -> None:
    before = len(desk.entries())
    answer = send(desk, tree, media_type, query)
    assert answer.status_code == status, answer.text
    assert {severity for severity, _, _ in issues(answer)} == {"error"}
    assert len(desk.entries()) == before


def test_without_a_release_it_is_that_of_the_upstream(desk: Gateway) -> None:
    sent(desk, resource("R4", R4_PERMIT), "application/fhir+json")
    assert send(desk, resource("R5", {"decision": "deny"}), "application/fhir+json").status_code == 422


# --- Without effect --------------------------------------------------------------------------------


def test_a_permit_without_effect_offers_what_to_supersede(ward: Gateway) -> None:
    deny = sent(ward, resource("R5", {"decision": "permit", "provision": [{"actor": [CLIENT]}]}))
    refused = send(ward, resource("R4", R4_PERMIT), R4)
    assert refused.status_code == 400
    assert [(s, c) for s, c, _ in issues(refused)] == [
        ("error", "business-rule"),
        ("information", "informational"),
    ]
    said, offer = (issue["diagnostics"] for issue in refused.json()["issue"])
    assert f"no effect because consent {deny} denies it" in said
    assert f"(entry {entry_of(ward, deny)}, root.0)" in said
    assert f"?supersede={deny}" in offer
    sent(ward, resource("R4", R4_PERMIT), R4, f"?supersede={deny}")
    assert shown(ward, deny, "application/json").json()["state"] == "superseded"
    assert ward.get(READ, ward.token()).status_code == 200


def test_a_draft_without_effect_offers_it_too(ward: Gateway) -> None:
    deny = ward.deny()
    headers = {"Authorization": f"Bearer {ward.house.keys.operator_secret}"}
    draft = {"patient": "pat-a", "grantees": ["client:app-1"], "scopes": ["patient/*.rs"]}
    refused = ward.client.post("/admin/consents", json=draft, headers=headers)
    assert (refused.status_code, refused.json()["supersede"]) == (400, [deny["id"]])
    assert f"(entry {deny['entry']}, root)" in refused.json()["error"]
    ward.grant(**draft, supersedes=[deny["id"]])


# --- Out -------------------------------------------------------------------------------------------


def test_a_consent_is_shown_as_fhir_where_that_is_asked_for(desk: Gateway) -> None:
    consent = sent(desk, resource("R4", R4_PERMIT), R4)
    answer = shown(desk, consent, R4)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, R4)
    tree = answer.json()
    assert (tree["resourceType"], tree["id"]) == ("Consent", consent)
    assert tree["provision"]["actor"] == R4_PERMIT["provision"]["actor"]
    again = sent(desk, tree, R4)
    assert {**shown(desk, again, R4).json(), "id": consent} == tree


def test_a_grant_of_scopes_is_shown_as_fhir(desk: Gateway) -> None:
    granted = desk.permit()
    actions = shown(desk, granted["id"], "application/fhir+json").json()["provision"]["action"]
    assert [one["coding"][0]["code"] for one in actions] == ["access", "collect", "disclose", "use"]


@pytest.mark.parametrize(
    ("accept", "status", "media_type"),
    [
        ("", 200, "application/json"),
        ("*/*", 200, "application/json"),
        ("application/json, application/fhir+json", 200, "application/json"),
        ("application/fhir+json;q=0.1, application/json", 200, "application/json"),
        ("application/fhir+json;q=0", 200, "application/json"),
        ("application/fhir+json, application/json", 200, "application/fhir+json"),
        ("application/json;q=0.5, application/fhir+json;fhirVersion=4.3", 200, "application/fhir+json"),
        ("application/fhir+json; fhirVersion=3.0", 406, "application/fhir+json"),
        (R5, 406, "application/fhir+json"),
    ],
)
def test_which_form_is_meant(desk: Gateway, accept: str, status: int, media_type: str) -> None:
    granted = desk.permit()
    answer = shown(desk, granted["id"], accept)
    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (status, media_type)


def test_what_does_not_fit_is_named_by_its_node(desk: Gateway) -> None:
    answer = shown(desk, desk.permit()["id"], R5)
    assert answer.status_code == 406
    assert "root: has limits of its own" in answer.json()["issue"][0]["diagnostics"]
    assert issues(answer) == [("error", "not-supported", [])]


def test_a_consent_that_is_not_there_is_an_outcome(desk: Gateway) -> None:
    answer = shown(desk, "nobody", R4)
    assert (answer.status_code, issues(answer)) == (404, [("error", "not-found", [])])


# --- At an upstream --------------------------------------------------------------------------------


@pytest.fixture
def there(upstream: Upstream) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Puts the Consent `c-walk` at the record server; it is gone again afterwards."""
    load_walks(upstream)
    address = f"{upstream.base_url}/Consent/c-walk"

    def put(over: dict[str, Any]) -> None:
        tree = {**resource("R4", over), "id": "c-walk"}
        headers = {"Content-Type": "application/fhir+json"}
        answer = httpx.put(address, json=tree, headers=headers, timeout=60, trust_env=False)
        assert answer.status_code in (200, 201), answer.text

    yield put
    httpx.delete(address, timeout=60, trust_env=False)


def test_the_consents_of_a_record_server_are_followed_while_the_gateway_runs(
    upstream: Upstream, there: Callable[[dict[str, Any]], None], tmp_path: Path
) -> None:
    with gateway(tmp_path, upstream.base_url) as running:
        config = str(tmp_path / "consentry.toml")

        def synced() -> list[str]:
            asked = ["consent", "sync", "main", "--patient", "pat-a", "--json", "--config", config]
            done = CliRunner().invoke(main, asked)
            assert done.exit_code == 0, done.output
            found = json.loads(done.stdout)["consents"]
            return [each["change"] for each in found if each["source"] == "Consent/c-walk"]

        def shown() -> int:
            return running.get("/fhir/Patient/pat-a", running.token()).status_code

        there({**R4_PERMIT})
        assert (shown(), synced(), shown()) == (403, ["granted"], 200)
        assert (synced(), shown()) == (["unchanged"], 200)
        there({**R4_PERMIT, "status": "inactive"})
        assert (synced(), shown()) == (["revoked"], 403)
        running.check_everything()
