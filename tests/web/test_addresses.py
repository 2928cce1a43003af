"""The addresses beside FHIR's: ledger, operator, health, counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import httpx
import pytest
from starlette.applications import Starlette

from gateway import errors
from gateway.ledger.reading import Receipt
from gateway.ledger.verify import PublicKeys, verify_receipt
from gateway.web.admin import admin_routes
from gateway.web.health import health_routes
from gateway.web.operator import guarded_by
from tests.support.gateway import Gateway, gateway
from tests.support.ports import unused_port

DRAFT = {"patient": "pat-a", "grantees": ["client:app-1"], "scopes": ["patient/*.rs"], "purposes": ["TREAT"]}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("web"), f"http://127.0.0.1:{unused_port()}/fhir") as found:
        yield found
        found.check_everything()


def operator(
    running: Gateway, method: str, path: str, body: Any = None, secret: str | None = None
) -> httpx.Response:
    held = running.house.keys.operator_secret if secret is None else secret
    return running.client.request(method, path, json=body, headers={"Authorization": f"Bearer {held}"})


def test_a_receipt_is_proven_by_the_ledger_that_is_served(running: Gateway) -> None:
    running.permit("pat-proof")
    answer = running.get("/fhir/Group/x", running.token())
    receipt = Receipt.parse(answer.headers["ledger-entry"])
    proof = running.client.get(f"/ledger/proof/{receipt.index}")
    keys = PublicKeys(running.house.keys.log.verifier)
    assert verify_receipt(receipt, proof.content, keys).size > receipt.index


@pytest.mark.parametrize(
    "path", ["proof/99999", "proof/-1", "proof/x", "tile/0/9", "tile/x", "", "checkpoint/x"]
)
def test_there_is_nothing_else_in_the_ledger(running: Gateway, path: str) -> None:
    assert running.client.get(f"/ledger/{path}").status_code in (400, 404)


def test_the_checkpoint_is_of_this_log(running: Gateway) -> None:
    assert running.client.get("/ledger/checkpoint").text.startswith("hospital.example/consentry\n")


def test_health(running: Gateway) -> None:
    assert running.client.get("/healthz").text == "ok\n"
    assert running.client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("what", "error", "text"),
    [
        (
            "ledger",
            errors.LedgerUnavailable("The ledger is not to be had."),
            "The ledger is not to be had.\n",
        ),
        ("consents", errors.LedgerUnavailable("No consents."), "No consents.\n"),
        ("consents", ValueError("pat-a"), "The gateway cannot decide requests.\n"),
    ],
)
async def test_it_is_not_ready_while_nothing_can_be_decided(what: str, error: Exception, text: str) -> None:
    ledger, consents = Mock(), Mock()
    {"ledger": ledger.head, "consents": consents.at_head}[what].side_effect = error
    app = Starlette(routes=health_routes(ledger, consents, Mock()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.text) == (503, text)
        assert (await client.get("/healthz")).status_code == 200


def test_counts_hold_no_ids(running: Gateway) -> None:
    running.get("/fhir/Patient/pat-a")
    running.get("/fhir/Group/x", running.token())
    text = running.client.get("/metrics").text
    assert 'consentry_answers_total{status="403"}' in text
    assert "consentry_unauthenticated_total 1.0\n" in text
    assert "consentry_answer_seconds_count " in text
    assert "pat-a" not in text


# --- The operator ------------------------------------------------------------------------------------


def test_a_consent_is_granted_shown_changed_and_withdrawn(running: Gateway) -> None:
    made = operator(running, "POST", "/admin/consents", DRAFT)
    assert made.status_code == 201
    path = f"/admin/consents/{made.json()['id']}"
    assert operator(running, "GET", path).status_code == 200
    change = {**DRAFT, "scopes": ["patient/Observation.rs"], "from": "2026-01-01"}
    changed = operator(running, "PUT", path, change)
    assert changed.json()["id"] == made.json()["id"]
    assert changed.json()["entry"] > made.json()["entry"]
    listed = operator(running, "GET", "/admin/consents?patient=pat-a")
    assert len(listed.json()["consents"]) == 1
    assert operator(running, "POST", path + "/revoke", {"reason": "patient-request"}).status_code == 200
    assert operator(running, "POST", path + "/revoke", {"reason": "patient-request"}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {},
        {**DRAFT, "patient": ".."},
        {**DRAFT, "grantees": ["app-1"]},
        {**DRAFT, "grantees": []},
        {**DRAFT, "scopes": []},
        {**DRAFT, "scopes": ["patient/*.sr"]},
        {**DRAFT, "purposes": ["TREATT"]},
        {**DRAFT, "until": "2020-01-01"},
        {**DRAFT, "effect": "maybe"},
        {**DRAFT, "labels": ["HIVV"]},
        {**DRAFT, "unknown": 1},
        {**DRAFT, "from_": "2026-01-01"},
        {**DRAFT, "from": 2026},
        {**DRAFT, "patient": None},
        [],
        "x",
    ],
)
def test_drafts_that_are_refused_leave_nothing(running: Gateway, body: Any) -> None:
    size = len(running.entries())
    assert operator(running, "POST", "/admin/consents", body).status_code == 400
    assert len(running.entries()) == size


@pytest.mark.parametrize("secret", ["x", "é", "x x"])
def test_only_the_operator(running: Gateway, secret: str) -> None:
    header = {b"Authorization": b"Bearer " + secret.encode()}
    for method, path in (
        ("POST", "/admin/consents"),
        ("GET", "/admin/consents?patient=pat-a"),
        ("GET", "/admin/consents/x"),
    ):
        assert running.client.request(method, path, json=DRAFT, headers=header).status_code == 401
    assert running.client.post("/admin/consents", json=DRAFT).status_code == 401
    token = {"Authorization": f"Bearer {running.token('system/*.cruds', None)}"}
    assert running.client.post("/admin/consents", json=DRAFT, headers=token).status_code == 401


async def test_a_wrong_secret_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    app = Starlette(routes=admin_routes(Mock(), Mock(), guarded_by("right", Mock())))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        answer = await client.get("/consents/x", headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 401
    line = "Unauthenticated, invalid_token: The operator's secret is not the right one."
    assert [record.message for record in caplog.records if record.name == "consentry.admin"] == [line]


def test_the_operators_secret_opens_no_records(running: Gateway) -> None:
    assert running.get("/fhir/Patient/pat-a", running.house.keys.operator_secret).status_code == 401


def test_bodies_that_two_readers_read_differently(running: Gateway) -> None:
    headers = {"Authorization": f"Bearer {running.house.keys.operator_secret}"}
    for content in (b'{"patient":"a","patient":"b"}', b"{", b"\xff", b"x" * 70_000):
        answer = running.client.post("/admin/consents", content=content, headers=headers)
        assert answer.status_code in (400, 413)


def test_no_other_address(running: Gateway) -> None:
    for path in ("/", "/admin/", "/docs", "/openapi.json", "/fhirx", "/static/x"):
        assert running.client.get(path).status_code in (404, 405)
