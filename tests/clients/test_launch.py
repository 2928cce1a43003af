"""Clients that people use are launched as they come, on servers: found, allowed, refreshed and withdrawn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import uuid4

import httpx
import pytest
from fhirclient.client import FHIRClient
from fhirclient.models.encounter import Encounter
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRUnauthorizedException
from requests import HTTPError

from tests.clients.conftest import Serving
from tests.clients.javascript import discovered
from tests.clients.launching import (
    LABORATORY,
    OF_AN_EHR,
    SCOPE,
    allowed,
    ids,
    is_permitted,
    register,
    without_text,
)
from tests.clients.person import DOCTOR, person
from tests.clients.reading import Connect, Refused
from tests.upstreams.base import Missing, Upstream

REDIRECT: Final = "https://app.example/cb"
LAUNCH: Final = "https://app.example/launch"


@pytest.mark.parametrize("method", ["none", "client_secret_basic"])
def test_fhirclient_is_launched_reads_and_refreshes(
    serving: Serving, gateway: str, records: Upstream, method: str
) -> None:
    registered = register(serving, f"python-{method}", REDIRECT, "--auth-method", method)
    secret = registered.get("client_secret")
    with fhirclient_app(serving, f"python-{method}", secret) as app, person(gateway) as anna:
        back = anna.decide(app.authorize_url, untick={LABORATORY})
        app.handle_callback(str(back))
        assert app.ready
        assert app.patient_id == "pat-a"
        assert app.patient.as_json() == records.get("Patient/pat-a").json()
        for _ in range(2):
            found = list(Observation.where({"patient": "pat-a"}).perform_resources_iter(app.server))
            assert ids([one.as_json() for one in found]) == allowed(records)
            assert app.reauthorize()
        anna.withdraw()
        with pytest.raises(FHIRUnauthorizedException):
            Patient.read("pat-a", app.server)
        with pytest.raises(HTTPError, match="400 Client Error"):
            app.reauthorize()


def test_fhirclient_is_opened_by_an_ehr(serving: Serving, gateway: str, records: Upstream) -> None:
    client = ("python-ehr", REDIRECT, "--launch-uri", LAUNCH)
    register(serving, *client, scope=OF_AN_EHR)
    opened = httpx.URL(serving.opens("python-ehr", "enc-a2"))
    assert (str(opened.copy_with(query=None)), opened.params["iss"]) == (LAUNCH, serving.base)
    with (
        fhirclient_app(serving, "python-ehr", None, OF_AN_EHR, opened.params["launch"]) as app,
        person(gateway, DOCTOR) as doctor,
    ):
        app.handle_callback(str(doctor.decide(app.authorize_url)))
        told = app.launch_context
        assert (app.patient_id, told["encounter"], told["need_patient_banner"]) == ("pat-a", "enc-a2", True)
        assert app.patient.as_json() == without_text(records.get("Patient/pat-a").json())
        assert Encounter.read("enc-a2", app.server).as_json()["id"] == "enc-a2"
        for _ in range(2):
            found = list(Observation.where({"patient": "pat-a"}).perform_resources_iter(app.server))
            assert is_permitted(ids([one.as_json() for one in found]), records)
            assert app.reauthorize()
        assert app.launch_context["encounter"] == "enc-a2"


def test_what_an_ehr_opened_is_for_its_own_user_alone(serving: Serving, gateway: str) -> None:
    register(serving, "python-theirs", REDIRECT, "--launch-uri", LAUNCH, scope=OF_AN_EHR)
    value = httpx.URL(serving.opens("python-theirs", "enc-a2")).params["launch"]
    with (
        fhirclient_app(serving, "python-theirs", None, OF_AN_EHR, value) as app,
        person(gateway) as anna,
        pytest.raises(Exception, match="Somebody else"),
    ):
        app.handle_callback(str(anna.decide(app.authorize_url)))


def test_fhirclient_asks_by_itself_in_scopes_of_version_1(
    serving: Serving, gateway: str, records: Upstream
) -> None:
    """And for more than is given: what it is registered for."""
    register(serving, "python-usual", REDIRECT)
    with fhirclient_app(serving, "python-usual", scope=None) as app, person(gateway) as anna:
        assert "patient/*.read" in app.desired_scope
        app.handle_callback(str(anna.decide(app.authorize_url, untick={LABORATORY})))
        assert app.patient.as_json() == records.get("Patient/pat-a").json()
        assert "vital-signs" in app.launch_context["scope"]
        assert "laboratory" not in app.launch_context["scope"]


def test_fhirclient_is_told_what_the_person_decided(serving: Serving, gateway: str) -> None:
    register(serving, "python-denied", REDIRECT)
    with fhirclient_app(serving, "python-denied") as app, person(gateway) as anna:
        back = anna.decide(app.authorize_url, "deny")
        with pytest.raises(Exception, match="denied"):
            app.handle_callback(str(back))
        assert not app.ready


def test_a_client_without_pkce_is_told_so(serving: Serving, gateway: str) -> None:
    """The request of fhirclient, which has PKCE, without that."""
    register(serving, "python-old", REDIRECT)
    with fhirclient_app(serving, "python-old") as app, person(gateway) as anna:
        old = httpx.URL(app.authorize_url)
        for name in ("code_challenge", "code_challenge_method"):
            old = old.copy_remove_param(name)
        back = anna.decide(str(old))
        assert (back.host, back.params["error"]) == ("app.example", "invalid_request")
        assert back.params["state"] == old.params["state"]


def test_fhir_kit_client_finds_where_to_ask(serving: Serving) -> None:
    try:
        found = discovered(serving.base)
    except Missing as missing:
        pytest.skip(str(missing))
    auth = found["auth"]
    assert auth["authorizeUrl"] == f"{serving.root}/auth/authorize"
    assert auth["tokenUrl"] == f"{serving.root}/auth/token"
    assert found["statement"]["rest"][0]["security"]["service"]


def test_clients_that_take_a_token_read_with_that_of_a_launch(
    serving: Serving, gateway: str, records: Upstream, connect: Connect
) -> None:
    ident = f"with-token-{uuid4().hex}"
    register(serving, ident, REDIRECT)
    with fhirclient_app(serving, ident) as app, person(gateway) as anna:
        app.handle_callback(str(anna.decide(app.authorize_url, untick={LABORATORY})))
        client = connect(serving.base, app.server.auth.access_token)
        assert client.read("Patient", "pat-a") == records.get("Patient/pat-a").json()
        assert ids(client.search("Observation", patient="pat-a")) == allowed(records)
        anna.withdraw()
        with pytest.raises(Refused) as refused:
            client.read("Patient", "pat-a")
        assert refused.value.status == 401


@contextmanager
def fhirclient_app(
    serving: Serving,
    client: str,
    secret: str | None = None,
    scope: str | None = SCOPE,
    launch: str | None = None,
) -> Iterator[FHIRClient]:
    """One that has found the gateway, and waits for a person. Without `scope` it asks for what it likes;
    `launch` is the value that an EHR opened it with."""
    settings = {
        "app_id": client,
        "app_secret": secret,
        "api_base": serving.base,
        "redirect_uri": REDIRECT,
        "launch_token": launch,
    }
    app = FHIRClient(settings if scope is None else {**settings, "scope": scope})
    with app.server.session as session:
        session.trust_env = False
        assert not app.prepare()
        yield app
