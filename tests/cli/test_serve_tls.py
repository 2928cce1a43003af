"""The server's own TLS and clients' certificates (RFC 8705), over real sockets."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.cli.support import GRANT, Place, command, process_refused
from tests.support.certificates import Issued, host, issued
from tests.support.ports import unused_port
from tests.upstreams.base import Upstream
from tests.upstreams.sandbox import sandbox

PEOPLE = Path(__file__).parents[2] / "fixtures" / "people" / "people.json"
CONFIG: Final = """\
[server]
port = {port}
public_url = "{scheme}://localhost:{port}"
log_level = "warning"
{server}

[server.tls]
client_certificates = "request"
client_ca = "clients.pem"
{tls}

[ledger]
origin = "hospital.example/consentry"

[[upstreams]]
name = "main"
path = "/fhir"
base_url = "{upstream}"
fhir_version = "R4"
"""
OWN: Final = 'certificate = "site.pem"\nkey = "site.pem"'
SERVICE: Final = {"client_name": "Service", "grant_types": ["client_credentials"], "scope": "system/*.rs"}
BOUND: Final = {"tls_client_certificate_bound_access_tokens": True}
BY_AUTHORITY: Final = {
    "token_endpoint_auth_method": "tls_client_auth",
    "tls_client_auth_san_dns": "svc.example",
}

SITES, CLIENTS, STRANGERS = (issued(name, authority=True) for name in ("Sites", "Clients", "Strangers"))
SITE = issued("localhost", SITES, names=[host("localhost")])
MINE = issued("mine", CLIENTS, names=[host("svc.example")])
RENEWED = issued("renewed", CLIENTS, names=[host("svc.example")])
OTHERS = issued("others", CLIENTS, names=[host("other.example")])
SELF_SIGNED = issued("self-signed", names=[host("svc.example")])
UNKNOWN = issued("unknown", names=[host("svc.example")])
OVER = issued("over", CLIENTS, names=[host("svc.example")], lives_s=-60)
FOREIGN = issued("foreign", STRANGERS, names=[host("svc.example")])


@pytest.fixture(scope="module")
def records() -> Iterator[Upstream]:
    with sandbox() as upstream:
        upstream.load(json.loads(PEOPLE.read_text()))
        yield upstream


@dataclass(frozen=True)
class Site:
    """A gateway that is up. Clients show it their certificates, or `by_header` a proxy in front of it."""

    url: str
    place: Place
    by_header: bool = False

    def client(self, shown: Issued | None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> httpx.Client:
        if self.by_header:
            headers = {} if shown is None else {"Client-Cert": shown.header}
            return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=30)
        context = ssl.create_default_context(cadata=SITES.pem.decode())
        context.minimum_version = context.maximum_version = version
        if shown is not None:
            context.load_cert_chain(shown.file(self.place.folder, "shown"))
        return httpx.Client(base_url=self.url, verify=context, trust_env=False, timeout=30)

    def ask(self, shown: Issued | None, client: str = "svc", **form: str) -> httpx.Response:
        wanted = {"grant_type": "client_credentials", "scope": "system/*.rs", "client_id": client, **form}
        with self.client(shown) as http:
            return http.post("/auth/token", data=wanted)

    def token(self, shown: Issued | None, client: str = "svc") -> str:
        answer = self.ask(shown, client)
        assert answer.status_code == 200, answer.text
        assert answer.json()["token_type"] == "Bearer"
        return str(answer.json()["access_token"])

    def read(self, token: str, shown: Issued | None, scheme: str = "Bearer") -> httpx.Response:
        with self.client(shown) as http:
            return http.get("/fhir/Patient/pat-a", headers={"Authorization": f"{scheme} {token}"})


CLIENT_METADATA: Final[Mapping[str, dict[str, Any]]] = {
    "svc": {**SERVICE, **BY_AUTHORITY, **BOUND},
    "unbound": {**SERVICE, **BY_AUTHORITY},
    "removed": {**SERVICE, **BY_AUTHORITY, **BOUND},
    "disabled": {**SERVICE, **BY_AUTHORITY},
    "own": {
        **SERVICE,
        **BOUND,
        "token_endpoint_auth_method": "self_signed_tls_client_auth",
        "jwks": {"keys": [SELF_SIGNED.jwk()]},
    },
}


def prepared(folder: Path, upstream: str, *, server: str = "", tls: str = "", scheme: str = "https") -> Place:
    place = Place(folder, unused_port())
    SITE.file(folder, "site")
    (folder / "clients.pem").write_bytes(CLIENTS.pem + SELF_SIGNED.pem)
    place.config.write_text(
        CONFIG.format(port=place.port, upstream=upstream, server=server, tls=tls, scheme=scheme)
    )
    place.good("keys", "init")
    for name, metadata in CLIENT_METADATA.items():
        (folder / "client.json").write_text(json.dumps(metadata))
        place.good("client", "add", name, "--metadata", str(folder / "client.json"))
        place.good(*GRANT[:5], f"client:{name}", *GRANT[6:])
    return place


@pytest.fixture(scope="module", params=["httptools", "h11", "behind a proxy"])
def site(
    request: pytest.FixtureRequest, records: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """By its own TLS with either parser, or over HTTP from a proxy that is trusted, which is this machine."""
    folder, by_header = tmp_path_factory.mktemp("tls"), request.param == "behind a proxy"
    if by_header:
        place = prepared(folder, records.base_url, server='trusted_proxies = ["127.0.0.1"]', scheme="http")
    else:
        place = prepared(folder, records.base_url, tls=OWN)
    options = [] if by_header else ["--http", request.param]
    with command("serve", "--config", str(place.config), *options) as served:
        scheme = "http" if by_header else "https"
        assert f"serving {scheme}://127.0.0.1:{place.port} " in served.said
        yield Site(f"{scheme}://localhost:{place.port}", place, by_header)
        assert served.end() == 0
    place.good("ledger", "verify")


def refused(answer: httpx.Response, what: str) -> None:
    assert answer.status_code == 401, answer.text
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert what in answer.json()["issue"][0]["diagnostics"]
    assert "ledger-entry" not in answer.headers


@pytest.mark.parametrize("shown", [MINE, RENEWED], ids=["one", "its next"])
def test_a_certificate_of_the_authority_is_proof_and_binds(site: Site, shown: Issued) -> None:
    token = site.token(shown)
    answer = site.read(token, shown)
    assert (answer.status_code, answer.json()["id"]) == (200, "pat-a")


def test_a_certificate_of_its_own_is_proof_and_binds(site: Site) -> None:
    token = site.token(SELF_SIGNED, "own")
    assert site.read(token, SELF_SIGNED).status_code == 200
    refused(site.read(token, MINE), "this connection does not have")


def test_a_bound_token_is_nothing_on_another_connection(site: Site) -> None:
    token = site.token(MINE)
    refused(site.read(token, None), "this connection does not have")
    refused(site.read(token, RENEWED), "this connection does not have")
    refused(site.read(token, MINE, "DPoP"), "sent as a Bearer token")
    assert site.read(token, MINE).status_code == 200


def test_a_token_is_bound_for_who_asked_for_it(site: Site) -> None:
    token = site.token(MINE, "unbound")
    for shown in (None, RENEWED, MINE):
        assert site.read(token, shown).status_code == 200


@pytest.mark.parametrize(
    ("client", "shown"),
    [
        ("svc", None),
        ("svc", OTHERS),
        ("svc", SELF_SIGNED),  # trusted for itself, and for nobody's name
        ("own", None),
        ("own", MINE),
        ("nobody", MINE),
    ],
    ids=[
        "none",
        "another's",
        "vouching for itself",
        "none of its own",
        "an authority's",
        "an unknown client",
    ],
)
def test_no_other_certificate_is_proof(site: Site, client: str, shown: Issued | None) -> None:
    answer = site.ask(shown, client)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client")


def test_a_certificate_and_a_secret_are_two_methods(site: Site) -> None:
    answer = site.ask(MINE, client_secret="s" * 43)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client")


UNUSABLE: Final = {
    "over": OVER,
    "of another authority": FOREIGN,
    "vouching for itself, and not listed": UNKNOWN,
}


@pytest.mark.parametrize("name", UNUSABLE)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_certificate_that_leads_nowhere_gets_nothing(
    site: Site, name: str, version: ssl.TLSVersion
) -> None:
    """With TLS of its own the gateway ends the connection; a proxy may let it come."""
    bound = site.token(MINE)
    if site.by_header:
        answer = site.ask(UNUSABLE[name])
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client")
        refused(site.read(bound, UNUSABLE[name]), "this connection does not have")
        return
    with site.client(UNUSABLE[name], version) as http, pytest.raises((httpx.TransportError, OSError)):
        http.get("/healthz")


def test_discovery_says_what_works(site: Site) -> None:
    with site.client(None) as http:
        said = http.get("/fhir/.well-known/smart-configuration").json()
    assert said["tls_client_certificate_bound_access_tokens"] is True
    methods = said["token_endpoint_auth_methods_supported"]
    assert {"tls_client_auth", "self_signed_tls_client_auth"} <= set(methods)


def test_old_versions_are_refused(site: Site) -> None:
    if site.by_header:
        return
    with site.client(None, ssl.TLSVersion.TLSv1_2) as http:
        assert http.get("/healthz").status_code == 200
    context = ssl.create_default_context(cadata=SITES.pem.decode())
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        httpx.Client(base_url=site.url, verify=context, trust_env=False, timeout=60) as http,
        pytest.raises(httpx.TransportError),
    ):
        http.get("/healthz")


def test_a_header_is_believed_of_proxies_alone(site: Site) -> None:
    token = site.token(MINE)
    answers = []
    with site.client(None) as http:
        headers = {"Authorization": f"Bearer {token}"}
        for value in ((MINE.header, MINE.header), (f"{MINE.header};a",), ("x",)):
            sent = [*headers.items(), *(("Client-Cert", each) for each in value)]
            answers.append(http.get("/fhir/Patient/pat-a", headers=sent).status_code)
        one = http.get("/fhir/Patient/pat-a", headers={**headers, "Client-Cert": MINE.header})
    assert answers == [400, 400, 400]
    assert one.status_code == (200 if site.by_header else 400)


@pytest.mark.parametrize("command", ["remove", "disable"])
def test_a_service_that_has_to_go_takes_its_tokens_with_it(site: Site, command: str) -> None:
    client = f"{command}d"
    others, theirs = site.token(MINE), [site.token(MINE, client) for _ in range(2)]
    assert [site.read(token, MINE).status_code for token in theirs] == [200, 200]
    site.place.good("client", command, client)
    for token in theirs:
        refused(site.read(token, MINE), "revoked")
    assert site.ask(MINE, client).json()["error"] == "invalid_client"
    answer = site.read(others, MINE)
    assert answer.status_code == 200
    last = int(answer.headers["ledger-entry"].split(";")[1])
    before = [site.place.json("ledger", "entry", str(last - back)) for back in (1, 2, 3)]
    assert [entry["kind"] for entry in before] == ["token.revoke", "token.revoke", "read.permit"]
    assert {entry["facts"]["cli"] for entry in before[:2]} == {client}


def test_several_processes_speak_it_too(tmp_path: Path, records: Upstream) -> None:
    place = prepared(tmp_path, records.base_url, tls=OWN)
    with command("serve", "--config", str(place.config), "--workers", "2", "--json", until="{") as served:
        said = json.loads(served.said)
        assert said["url"] == f"https://127.0.0.1:{place.port}"
        site = Site(f"https://localhost:{place.port}", place)
        token = site.token(MINE)
        assert [site.read(token, MINE).status_code for _ in range(4)] == [200] * 4
        refused(site.read(token, RENEWED), "this connection does not have")
        with httpx.Client(trust_env=False, timeout=60) as plain, pytest.raises(httpx.TransportError):
            plain.get(f"http://localhost:{place.port}/healthz")


@pytest.mark.parametrize("proxies", ["[]", '["10.0.0.7"]'], ids=["no proxy", "another"])
def test_a_spoofed_header_opens_nothing(tmp_path: Path, records: Upstream, proxies: str) -> None:
    """The same request as one that a trusted proxy may send, from somebody else."""
    server, tls = f"trusted_proxies = {proxies}", OWN if proxies == "[]" else ""
    place = prepared(tmp_path, records.base_url, server=server, tls=tls, scheme="https" if tls else "http")
    with command("serve", "--config", str(place.config)):
        spoofing = Site(f"{'https' if tls else 'http'}://localhost:{place.port}", place, by_header=not tls)
        with spoofing.client(None) as http:
            wanted = {"grant_type": "client_credentials", "scope": "system/*.rs", "client_id": "svc"}
            for headers in (
                {"Client-Cert": MINE.header},
                {"X-Forwarded-For": "10.0.0.7", "Client-Cert": ":a:"},
            ):
                assert http.post("/auth/token", data=wanted, headers=headers).status_code == 400
                assert http.get("/healthz", headers=headers).status_code == 400
            assert http.post("/auth/token", data=wanted).json()["error"] == "invalid_client"
            assert http.get("/healthz").status_code == 200


UNUSABLE_FILES: Final = {
    "a certificate without a key in its file": (OWN.replace("site.pem", "clients.pem"), "its key"),
    "no certificate": (OWN.replace("site.pem", "consentry.toml"), "its key"),
    "no authority": (OWN + '\nclient_ca = "consentry.toml"', "server.tls.client_ca"),
}


@pytest.mark.parametrize("name", UNUSABLE_FILES)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, records: Upstream, name: str) -> None:
    tls, what = UNUSABLE_FILES[name]
    place = prepared(tmp_path, records.base_url, tls=OWN)
    written = place.config.read_text()
    if "client_ca" in tls:
        written = written.replace('client_ca = "clients.pem"', "")
    place.config.write_text(written.replace(OWN, tls))
    checked = place.run("check-config")
    assert (checked.exit_code, checked.stdout) == (2, "")
    assert what in checked.stderr
    assert what in process_refused("serve", "--config", str(place.config))
