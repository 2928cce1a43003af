"""Clients that register themselves: what they get, what they may do with it, and what they may not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from gateway.auth.clients import registry as registry_module
from gateway.auth.clients.register import ASSIGNED, MAX_BYTES, Registration, Terms, register_routes
from gateway.auth.store.grants import Access, Grant
from gateway.tokens.vouching import read_authorities
from tests.auth.registry import (
    APP,
    JWKS,
    KEYS,
    NOW_S,
    PUBLIC,
    RSA_JWK,
    SERVICE,
    Registry,
    assertion,
    basic,
    form,
    make_registry,
)
from tests.support.certificates import issued

CEILING = ("openid", "launch/patient", "patient/*.rs", "system/Observation.rs")
INITIAL = "i" * 43
PUBLIC_APP = {**APP, "token_endpoint_auth_method": "none"}
TERMS: dict[Registration, Terms] = {
    "closed": Terms("closed", CEILING),
    "open": Terms("open", CEILING),
    "token": Terms("token", CEILING, INITIAL),
}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = make_registry(tmp_path)
    yield made
    made.database.close()


async def send(
    registry: Registry,
    method: str,
    path: str = "/auth/register",
    body: object = None,
    *,
    token: str | None = None,
    terms: Registration = "open",
    **options: Any,
) -> httpx.Response:
    app = Starlette(routes=register_routes(registry.ports, registry.clients, TERMS[terms]))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    if body is not None:
        options = {"content": json.dumps(body), **options}
        headers["Content-Type"] = "application/json"
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC) as client:
        return await client.request(
            method, path, headers={**headers, **options.pop("headers", {})}, **options
        )


async def registered(registry: Registry, metadata: Mapping[str, Any] = APP) -> dict[str, Any]:
    answer = await send(registry, "POST", body=metadata)
    assert answer.status_code == 201, answer.text
    given: dict[str, Any] = answer.json()
    return given


def path_of(given: Mapping[str, Any]) -> str:
    return f"/auth/register/{given['client_id']}"


def refused(answer: httpx.Response, status: int, error: str) -> None:
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert set(answer.json()) == {"error", "error_description"}
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    challenge = answer.headers.get("www-authenticate")
    assert (challenge == 'Bearer error="invalid_token"') if status == 401 else (challenge is None)


# --- Registering -------------------------------------------------------------------------------------


async def test_a_client_with_a_secret_is_told_it_once(registry: Registry) -> None:
    answer = await send(registry, "POST", body=APP)
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/json")
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    given = answer.json()
    secret, token = given.pop("client_secret"), given.pop("registration_access_token")
    assert given == {
        "client_id": "id-0",
        "client_name": "App",
        "token_endpoint_auth_method": "client_secret_basic",
        "redirect_uris": ["https://app.example/cb"],
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "scope": "patient/*.rs",
        "client_id_issued_at": NOW_S,
        "client_secret_expires_at": 0,
        "registration_client_uri": f"{PUBLIC}/auth/register/id-0",
    }
    assert (await registry.authenticate({}, [basic("id-0", secret)])).id == "id-0"
    shown = await send(registry, "GET", path_of(given), token=token)
    assert shown.status_code == 200
    assert "client_secret" not in shown.json()


async def test_a_public_client_has_no_secret(registry: Registry) -> None:
    given = await registered(registry, PUBLIC_APP)
    assert not {"client_secret", "client_secret_expires_at"} & given.keys()
    assert (await registry.authenticate({"client_id": given["client_id"]})).kind == "public"


async def test_a_service_authenticates_by_the_keys_it_registered(registry: Registry) -> None:
    for keys in ({"jwks": KEYS}, {"jwks_uri": JWKS}):
        given = await registered(registry, {**SERVICE, **keys, "scope": "system/Observation.rs"})
        assert "client_secret" not in given
        registry.public.put(RSA_JWK)
        client = await registry.authenticate(form(assertion(given["client_id"])))
        assert client.scopes == ("system/Observation.rs",)
    assert registry.trusted.asked == {}


async def test_each_registration_is_another_client(registry: Registry) -> None:
    first, second = await registered(registry), await registered(registry)
    for name in ("client_id", "client_secret", "registration_access_token"):
        assert first[name] != second[name]


async def test_what_is_not_known_is_not_kept_and_no_id_or_secret_is_chosen(registry: Registry) -> None:
    chosen = {"client_id": "admin", "client_secret": "s" * 43, "software_id": "x", "x": [1.5, None]}
    given = await registered(registry, {**APP, **chosen})
    assert given["client_id"] == "id-0"
    assert given["client_secret"] != chosen["client_secret"]
    assert not {"software_id", "x"} & given.keys()


SCOPES: dict[str, tuple[str | None, str]] = {
    "within": ("patient/Observation.rs openid", "patient/Observation.rs openid"),
    "narrowed": ("patient/*.cruds", "patient/*.rs"),
    "in the old spelling": ("patient/Patient.read", "patient/Patient.read"),
    "some of it": (
        "patient/Patient.r user/*.rs system/*.rs fhirUser",
        "patient/Patient.r system/Observation.rs",
    ),
    "nothing named": (None, " ".join(CEILING)),
}


@pytest.mark.parametrize("case", SCOPES)
async def test_no_scope_goes_beyond_the_ceiling(registry: Registry, case: str) -> None:
    asked, scope = SCOPES[case]
    metadata = (
        {**APP, "scope": asked} if asked is not None else {n: v for n, v in APP.items() if n != "scope"}
    )
    given = await registered(registry, metadata)
    assert given["scope"] == scope
    client = await registry.clients.get(given["client_id"])
    assert client is not None
    assert client.scope == scope


META, URI = "invalid_client_metadata", "invalid_redirect_uri"
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a scope beyond the ceiling": ({"scope": "user/*.rs"}, META),
    "a scope that is none": ({"scope": "everything"}, META),
    "no redirect URI": ({"redirect_uris": []}, META),
    "a redirect URI that is not https": ({"redirect_uris": ["http://app.example/cb"]}, URI),
    "a redirect URI with a fragment": ({"redirect_uris": ["https://app.example/#a"]}, URI),
    "a redirect URI with a wildcard host": ({"redirect_uris": ["https://*.example/"]}, URI),
    "a script for a redirect URI": ({"redirect_uris": ["javascript:alert(1)"]}, URI),
    "redirect URIs in a string": ({"redirect_uris": "https://app.example/cb"}, META),
    "another grant type": ({"grant_types": ["password"]}, META),
    "a service with a secret": ({"grant_types": ["client_credentials"], "redirect_uris": []}, META),
    "another response type": ({"response_types": ["token"]}, META),
    "another method": ({"token_endpoint_auth_method": "client_secret_jwt"}, META),
    "a method that is no string": ({"token_endpoint_auth_method": 1}, META),
    "a name over two lines": ({"client_name": "App\nof the hospital"}, META),
    "a name turned round": ({"client_name": "App\u202e"}, META),
    "a logo that is a script": ({"logo_uri": "javascript:alert(1)"}, META),
    "keys beside a secret": ({"jwks": KEYS}, META),
    "keys by value and by address": ({**SERVICE, "jwks": KEYS, "jwks_uri": JWKS}, META),
    "no keys": ({"token_endpoint_auth_method": "private_key_jwt"}, META),
    "a private key": (
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [{**RSA_JWK, "d": "AQAB"}]}},
        META,
    ),
    "a key that is none": (
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [{**RSA_JWK, "e": "AQ"}]}},
        META,
    ),
    **{
        f"keys at {uri}": ({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": uri}, META)
        for uri in (
            "http://svc.example/jwks", "https://127.0.0.1/jwks", "https://localhost/jwks", "https://[::1]/jwks",
            "https://169.254.169.254/latest", "https://10.0.0.8/jwks", "https://[::ffff:7f00:1]/jwks",
        )
    },
    "keys at three addresses": (
        {"token_endpoint_auth_method": "private_key_jwt", "jwks_uris": [JWKS, JWKS + "2", JWKS + "3"]},
        META,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
async def test_metadata_that_cannot_be_honoured_is_refused(registry: Registry, case: str) -> None:
    changes, error = BAD[case]
    refused(await send(registry, "POST", body={**APP, **changes}), 400, error)
    assert await registry.clients.all() == []


# --- Certificates ----------------------------------------------------------------------------------------

OWN = issued("own")
CERTIFIED: dict[str, dict[str, Any]] = {
    "of its own": {
        "token_endpoint_auth_method": "self_signed_tls_client_auth",
        "jwks": {"keys": [OWN.jwk()]},
    },
    "an authority's": {
        "token_endpoint_auth_method": "tls_client_auth",
        "tls_client_auth_san_dns": "a.example",
    },
    "bound": {"tls_client_certificate_bound_access_tokens": True},
}


@pytest.mark.parametrize("case", CERTIFIED)
async def test_certificates_are_registered_where_clients_can_have_them(registry: Registry, case: str) -> None:
    refused(await send(registry, "POST", body={**APP, **CERTIFIED[case]}), 400, META)
    registry.ports = replace(registry.ports, certificates=True)
    answer = await send(registry, "POST", body={**APP, **CERTIFIED[case]})
    assert answer.status_code == (400 if case == "an authority's" else 201)
    registry.ports = replace(registry.ports, authorities=read_authorities(issued("a", authority=True).pem))
    told = await registered(registry, {**APP, **CERTIFIED[case]})
    for name, value in CERTIFIED[case].items():
        assert told[name] == ({"keys": [{**OWN.jwk(), "use": "sig"}]} if name == "jwks" else value)
    assert ("client_secret" in told) is (case == "bound")


NOT_JSON = {
    "nothing": b"", "a list": b"[]", "a string": b'"x"', "null": b"null", "half": b'{"client_name":',
    "NaN": b'{"x":NaN}',
    "a name twice": b'{"client_name":"a","client_name":"b"}', "not UTF-8": b'{"client_name":"\xff"}',
    "a byte order mark": b"\xef\xbb\xbf{}", "too deep": b'{"x":' + b"[" * 100 + b"]" * 100 + b"}",
    "a lone surrogate": b'{"client_name":"\\ud800"}',
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_JSON)
async def test_what_is_not_one_json_object_is_refused(registry: Registry, case: str) -> None:
    json_type = {"Content-Type": "application/json"}
    answer = await send(registry, "POST", content=NOT_JSON[case], headers=json_type)
    refused(answer, 400, "invalid_client_metadata")


async def test_a_body_of_another_kind_or_size_is_refused(registry: Registry) -> None:
    answer = await send(registry, "POST", body=APP, headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    answer = await send(registry, "POST", body={**APP, "x": "x" * MAX_BYTES})
    assert (answer.status_code, answer.json()["error"]) == (413, "invalid_request")
    assert await registry.clients.all() == []


# --- Who may register --------------------------------------------------------------------------------


async def test_a_closed_registration_registers_nobody(registry: Registry) -> None:
    refused(await send(registry, "POST", body=APP, terms="closed"), 403, "access_denied")
    refused(await send(registry, "POST", body=APP, terms="closed", token=INITIAL), 403, "access_denied")
    assert await registry.clients.all() == []


async def test_registration_by_token_needs_that_token(registry: Registry) -> None:
    for token in (None, "i" * 42, "i" * 44, "j" * 43):
        refused(await send(registry, "POST", body=APP, terms="token", token=token), 401, "invalid_token")
    assert await registry.clients.all() == []
    assert (await send(registry, "POST", body=APP, terms="token", token=INITIAL)).status_code == 201


@pytest.mark.parametrize(("registration", "token"), [("token", None), ("open", INITIAL), ("closed", INITIAL)])
def test_an_initial_token_is_for_registration_by_token(registration: Registration, token: str | None) -> None:
    with pytest.raises(ValueError):
        Terms(registration, CEILING, token)


async def test_only_so_many_register_in_an_hour(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "MOST_AN_HOUR", 1)
    await registered(registry)
    refused(await send(registry, "POST", body=APP), 429, "temporarily_unavailable")


# --- What is one's own -------------------------------------------------------------------------------


async def test_a_client_sees_changes_and_removes_itself(registry: Registry) -> None:
    given = await registered(registry)
    token, path = given["registration_access_token"], path_of(given)
    shown = await send(registry, "GET", path, token=token, terms="closed")
    assert shown.json() == {
        n: v for n, v in given.items() if n not in ("client_secret", "client_secret_expires_at")
    }
    update = {
        **APP,
        "client_id": given["client_id"],
        "client_name": "New",
        "client_secret": given["client_secret"],
    }
    changed = await send(registry, "PUT", path, update, token=token)
    assert changed.status_code == 200
    assert changed.json() == {**shown.json(), "client_name": "New"}
    assert (
        await registry.authenticate({}, [basic(given["client_id"], given["client_secret"])])
    ).name == "New"
    gone = await send(registry, "DELETE", path, token=token)
    assert (gone.status_code, gone.content, gone.headers["cache-control"]) == (204, b"", "no-store")
    for method, body in (("GET", None), ("PUT", update), ("DELETE", None)):
        refused(await send(registry, method, path, body, token=token), 401, "invalid_token")
    assert await registry.clients.all() == []


async def test_nobody_else_gets_at_a_client(registry: Registry) -> None:
    mine, other = await registered(registry), await registered(registry)
    await registry.add("operators", APP)
    own = mine["registration_access_token"]
    update = {**APP, "client_id": mine["client_id"]}
    wrong = [
        (path_of(mine), None), (path_of(mine), other["registration_access_token"]), (path_of(mine), own[:-1]),
        (path_of(mine), mine["client_secret"]), (path_of(other), own), ("/auth/register/operators", own),
        ("/auth/register/unknown", own), ("/auth/register/" + "a" * 300, own),
    ]  # fmt: skip
    said = set()
    for path, token in wrong:
        for method, body in (("GET", None), ("PUT", update), ("DELETE", None)):
            answer = await send(registry, method, path, body, token=token)
            refused(answer, 401, "invalid_token")
            said.add((token is None, answer.json()["error_description"]))
    assert len(said) == 2  # with a token: one answer, whether the client is there or not
    assert len(await registry.clients.all()) == 3


async def test_a_disabled_client_cannot_change_itself(registry: Registry) -> None:
    given = await registered(registry)
    await registry.clients.set_disabled(given["client_id"], True, NOW_S)
    answer = await send(registry, "GET", path_of(given), token=given["registration_access_token"])
    refused(answer, 401, "invalid_token")


BAD_UPDATES: dict[str, dict[str, Any]] = {
    "without its id": {"client_id": None},
    "with another id": {"client_id": "other"},
    "with another secret": {"client_secret": "s" * 43},
    "with a secret that is no text": {"client_secret": 1},
    "with a secret that is not ASCII": {"client_secret": "\u00fc"},
    "to a public client": {"token_endpoint_auth_method": "none"},
    "to a client with keys": {"token_endpoint_auth_method": "private_key_jwt", "jwks": KEYS},
    "to a scope beyond the ceiling": {"scope": "user/*.rs"},
    **{f"with {name}": {name: 0} for name in ASSIGNED},
}


@pytest.mark.parametrize("case", BAD_UPDATES)
async def test_an_update_that_cannot_be_honoured_changes_nothing(registry: Registry, case: str) -> None:
    given = await registered(registry)
    token, path = given["registration_access_token"], path_of(given)
    update = {**APP, "client_id": given["client_id"], "client_name": "New", **BAD_UPDATES[case]}
    body = {name: value for name, value in update.items() if value is not None}
    refused(await send(registry, "PUT", path, body, token=token), 400, "invalid_client_metadata")
    assert (await send(registry, "GET", path, token=token)).json()["client_name"] == "App"


async def test_what_a_client_was_granted_ends_when_it_leaves(registry: Registry) -> None:
    given = await registered(registry)
    grant = Grant(
        id="g", client=given["client_id"], audience="a", subject="s", scope="", purposes="", context="{}",
        created_s=NOW_S, until_s=NOW_S + 9000,
    )  # fmt: skip
    await registry.database.run(lambda session: session.add(grant))
    access = Access(entry=7, hash="h", grant="g", exp_s=NOW_S + 600)
    await registry.database.run(lambda session: session.add(access))
    await send(registry, "DELETE", path_of(given), token=given["registration_access_token"])
    [draft] = registry.recorded
    assert (draft.kind, draft.patient) == ("token.revoke", None)
    assert draft.facts["tok"] == [7, "h"]
    assert (draft.facts["rsn"], draft.facts["cli"]) == ("client-removed", given["client_id"])


@pytest.mark.parametrize(("method", "path"), [("GET", "/auth/register"), ("POST", "/auth/register/id-0")])
async def test_other_methods_are_not_answered(registry: Registry, method: str, path: str) -> None:
    assert (await send(registry, method, path)).status_code == 405


# --- Whatever is sent --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    made = make_registry(tmp_path_factory.mktemp("fuzz"))
    yield made
    made.database.close()


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.sampled_from(
    [*APP, *SERVICE, "jwks", "jwks_uri", "jwks_uris", "contacts", "logo_uri", "response_types"]
)


@given(st.dictionaries(MEMBERS, VALUES))
def test_no_metadata_ends_in_a_defect(shared: Registry, changes: dict[str, object]) -> None:
    async def attempt() -> None:
        shared.now_s += 60  # so that those that can be registered are not too many
        answer = await send(shared, "POST", body={**APP, **changes})
        assert answer.status_code in (201, 400)

    anyio.run(attempt)


@given(st.binary(max_size=100))
def test_no_body_ends_in_a_defect(shared: Registry, data: bytes) -> None:
    async def attempt() -> None:
        answer = await send(shared, "POST", content=data, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400

    anyio.run(attempt)
