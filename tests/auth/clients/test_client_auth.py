"""Clients authenticate by their own method, and every nearest miss is an OAuth error."""

from __future__ import annotations

import hmac
import multiprocessing
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.auth.clients.registry import TABLES, Clients
from gateway.auth.store.database import Database
from gateway.core.smart.parameters import read_parameters
from gateway.errors import OAuthError
from tests.auth.registry import (
    APP,
    EC,
    JWKS,
    KEYS,
    NOW_S,
    RSA,
    RSA_JWK,
    SERVICE,
    TOKEN,
    Registry,
    assertion,
    basic,
    by_public_key,
    form,
    make_registry,
    unsigned,
)
from tests.tokens import forge

SECRET = "s" * 43
OTHER_SECRET = "t" * 43
STRANGER = forge.private_key("RS384", 1)
UNREGISTERED = "https://evil.example/jwks.json"

Change = Callable[[Registry], Any]


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = make_registry(tmp_path)
    yield made
    made.database.close()


async def fill(registry: Registry) -> None:
    """One client for each method; `off` is disabled, `gone` was removed."""
    await registry.add("app", APP, secret=SECRET)
    await registry.add("off", APP, secret=SECRET)
    await registry.add("gone", APP, secret=SECRET)
    await registry.add("post", {**APP, "token_endpoint_auth_method": "client_secret_post"}, secret=SECRET)
    await registry.add("public", {**APP, "token_endpoint_auth_method": "none"})
    await registry.add("off-public", {**APP, "token_endpoint_auth_method": "none"})
    await registry.add("svc", {**SERVICE, "jwks": KEYS})
    await registry.add("svc-2", {**SERVICE, "jwks": KEYS})
    await registry.add("off-svc", {**SERVICE, "jwks": KEYS})
    await registry.add("published", {**SERVICE, "jwks_uri": JWKS})
    for name in ("off", "off-public", "off-svc"):
        await registry.clients.set_disabled(name, True, NOW_S)
    await registry.clients.remove("gone", NOW_S)


def encoded(credentials: bytes, scheme: bytes = b"Basic ") -> bytes:
    return scheme + b64encode(credentials)


# --- Who is let in -----------------------------------------------------------------------------------

GOOD: dict[str, tuple[dict[str, str], list[bytes], str]] = {
    "Basic as it is": ({}, [basic("app", SECRET)], "app"),
    "Basic, percent-encoded": ({}, [encoded(b"%61pp:" + b"%73" * 43)], "app"),
    "Basic with its client_id": ({"client_id": "app"}, [basic("app", SECRET)], "app"),
    "the scheme in another case": ({}, [encoded(f"app:{SECRET}".encode(), b"bASIC ")], "app"),
    "a secret in the form": ({"client_id": "post", "client_secret": SECRET}, [], "post"),
    "a public client": ({"client_id": "public"}, [], "public"),
    "an assertion": (form(assertion()), [], "svc"),
    "an assertion by ES384": (form(assertion(key=EC, algorithm="ES384")), [], "svc"),
    "an assertion with its client_id": (form(assertion(), client_id="svc"), [], "svc"),
    "an assertion of a client with a published key": (form(assertion("published")), [], "published"),
    "jku as registered": (form(assertion("published", header={"jku": JWKS})), [], "published"),
}


@pytest.mark.parametrize("case", GOOD)
async def test_a_client_is_known_by_its_own_method(registry: Registry, case: str) -> None:
    await fill(registry)
    registry.trusted.put(RSA_JWK)
    sent, authorization, client = GOOD[case]
    assert (await registry.authenticate(sent, authorization)).id == client


# --- Who is not --------------------------------------------------------------------------------------

WRONG: dict[str, tuple[dict[str, str], list[bytes], int]] = {
    "nothing": ({}, [], 401),
    "a wrong secret": ({}, [basic("app", OTHER_SECRET)], 401),
    "a secret with one character less": ({}, [basic("app", SECRET[:-1])], 401),
    "a secret with one character more": ({}, [basic("app", SECRET + "s")], 401),
    "no secret": ({}, [basic("app", "")], 401),
    "an unknown client": ({}, [basic("BAD_CLIENT_ID", SECRET)], 401),
    "a client in another case": ({}, [basic("APP", SECRET)], 401),
    "a disabled client": ({}, [basic("off", SECRET)], 401),
    "a removed client": ({}, [basic("gone", SECRET)], 401),
    "Basic by a client that posts": ({}, [basic("post", SECRET)], 401),
    "Basic by a public client": ({}, [basic("public", SECRET)], 401),
    "Basic by an asymmetric client": ({}, [basic("svc", SECRET)], 401),
    "Basic beside another client_id": ({"client_id": "post"}, [basic("app", SECRET)], 401),
    "Basic without a colon": ({}, [encoded(b"app")], 401),
    "Basic that is not UTF-8": ({}, [encoded(b"app:\xff\xfe")], 401),
    "Basic that decodes to what is not UTF-8": ({}, [encoded(b"app:%ff%fe")], 401),
    "Basic decoded twice": ({}, [encoded(b"%2561pp:" + SECRET.encode())], 401),
    "Basic with a stray percent sign": ({}, [encoded(f"app:{SECRET}%".encode())], 401),
    "Basic with a stray percent sign before its colon": ({}, [encoded(f"app%6:1{SECRET}".encode())], 401),
    "Basic with a line break": ({}, [encoded(f"app:{SECRET}\n".encode())], 401),
    "Basic with a NUL": ({}, [encoded(f"app:{SECRET}\0".encode())], 401),
    "Basic that is not base64": ({}, [b"Basic a"], 401),
    "Basic without credentials": ({}, [b"Basic "], 401),
    "Basic with two spaces": ({}, [encoded(f"app:{SECRET}".encode(), b"Basic  ")], 401),
    "Basic that is far too long": ({}, [b"Basic " + b"YWFh" * 5000], 401),
    "another scheme": ({}, [b"Bearer " + SECRET.encode()], 401),
    "another scheme beside a public client": ({"client_id": "public"}, [b"Bearer x"], 401),
    "an empty header": ({}, [b""], 401),
    "two headers": ({}, [basic("app", SECRET), basic("app", SECRET)], 401),
    "a wrong secret in the form": ({"client_id": "post", "client_secret": OTHER_SECRET}, [], 400),
    "a secret that is not ASCII in the form": (
        {"client_id": "post", "client_secret": "\u00fc" * 43},
        [],
        400,
    ),
    "a secret in the form by a client of Basic": ({"client_id": "app", "client_secret": SECRET}, [], 400),
    "a secret in the form by a public client": ({"client_id": "public", "client_secret": SECRET}, [], 400),
    "a secret in the form of nobody": ({"client_secret": SECRET}, [], 401),
    "an unknown client by its name": ({"client_id": "nobody"}, [], 400),
    "a symmetric client by its name": ({"client_id": "app"}, [], 400),
    "a client that posts by its name": ({"client_id": "post"}, [], 400),
    "an asymmetric client by its name": ({"client_id": "svc"}, [], 400),
    "a disabled public client": ({"client_id": "off-public"}, [], 400),
    "a removed client by its name": ({"client_id": "gone"}, [], 400),
}


@pytest.mark.parametrize("case", WRONG)
async def test_what_proves_nothing_is_refused(registry: Registry, case: str) -> None:
    await fill(registry)
    sent, authorization, status = WRONG[case]
    with pytest.raises(OAuthError) as caught:
        await registry.authenticate(sent, authorization)
    assert (caught.value.error, caught.value.status) == ("invalid_client", status)


TWICE: dict[str, tuple[dict[str, str], list[bytes]]] = {
    "Basic and a secret in the form": ({"client_id": "app", "client_secret": SECRET}, [basic("app", SECRET)]),
    "Basic and an assertion": (form(assertion()), [basic("app", SECRET)]),
    "Basic and an assertion's type": ({"client_assertion_type": "x"}, [basic("app", SECRET)]),
    "an assertion and a secret": (form(assertion(), client_id="svc", client_secret=SECRET), []),
}


@pytest.mark.parametrize("case", TWICE)
async def test_two_proofs_in_one_request_are_refused(registry: Registry, case: str) -> None:
    await fill(registry)
    with pytest.raises(OAuthError) as caught:
        await registry.authenticate(*TWICE[case])
    assert (caught.value.error, caught.value.status) == ("invalid_request", 400)


async def test_a_wrong_secret_costs_the_same_and_says_the_same_whoever_it_is_for(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(registry)
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def counting(given: Any, kept: Any) -> bool:
        compared.append((len(given), len(kept)))
        return compare(given, kept)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    said = set()
    for name in ("app", "nobody", "off", "gone", "public", "post", "svc"):
        with pytest.raises(OAuthError) as caught:
            await registry.authenticate({}, [basic(name, OTHER_SECRET)])
        said.add((caught.value.text, caught.value.status))
    assert len(said) == 1
    assert compared == [(32, 32)] * 7


# --- Assertions --------------------------------------------------------------------------------------

BAD_ASSERTIONS: dict[str, dict[str, str]] = {
    "an assertion without its type": {"client_assertion": assertion()},
    "a type without an assertion": {"client_assertion_type": form("")["client_assertion_type"]},
    "another type": {**form(assertion()), "client_assertion_type": "not_an_assertion_type"},
    "nothing in it": form("x"),
    "two parts": form(assertion().rpartition(".")[0]),
    "not JSON": form(forge.raw_token(RSA, "RS384", b"{", b"{}")),
    "a header that is a list": form(forge.raw_token(RSA, "RS384", b"[]", b"{}")),
    "claims that are a list": form(forge.raw_token(RSA, "RS384", b"{}", b"[]")),
    "a claim twice": form(forge.raw_token(RSA, "RS384", b"{}", b'{"iss":"svc","iss":"svc"}')),
    "iss not there": form(assertion(claims={"iss": None})),
    "iss unknown": form(assertion(claims={"iss": "not_a_valid_iss"})),
    "iss of another client": form(assertion(claims={"iss": "svc-2"})),
    "sub of another client": form(assertion(claims={"sub": "svc-2"})),
    "sub not there": form(assertion(claims={"sub": None})),
    "client_id of another client": form(assertion(), client_id="svc-2"),
    "a client of Basic": form(assertion("app")),
    "a public client": form(assertion("public")),
    "a disabled client": form(assertion("off-svc")),
    "aud of the FHIR base": form(assertion(claims={"aud": "https://gw.example/fhir"})),
    "aud with a slash": form(assertion(claims={"aud": TOKEN + "/"})),
    "aud of another server too": form(assertion(claims={"aud": [TOKEN, "https://other.example/token"]})),
    "aud not there": form(assertion(claims={"aud": None})),
    "exp past": form(assertion(claims={"exp": NOW_S})),
    "exp too far ahead": form(assertion(claims={"exp": NOW_S + 361})),
    "exp not there": form(assertion(claims={"exp": None})),
    "exp in a string": form(assertion(claims={"exp": str(NOW_S + 300)})),
    "jti not there": form(assertion(claims={"jti": None})),
    "jti too long": form(assertion(claims={"jti": "j" * 256})),
    "typ not there": form(assertion(header={"typ": None})),
    "typ of an access token": form(assertion(header={"typ": "at+jwt"})),
    "kid not there": form(assertion(header={"kid": None})),
    "kid unknown": form(assertion(header={"kid": "other"})),
    "kid of the other key": form(assertion(header={"kid": "ec"})),
    "another's key": form(assertion(key=STRANGER, header={"kid": "rsa"})),
    "RS256": form(assertion(algorithm="RS256")),
    "PS384": form(assertion(algorithm="PS384")),
    "alg of another family": form(assertion(header={"alg": "ES384"})),
    "alg none without a signature": form(unsigned({"typ": "JWT", "alg": "none", "kid": "rsa"}, "")),
    "alg none with a signature": form(unsigned({"typ": "JWT", "alg": "none", "kid": "rsa"}, "AAAA")),
    "HS384 with the public key as secret": form(by_public_key(RSA)),
    "jwk of one's own": form(
        assertion(key=STRANGER, header={"kid": "rsa", "jwk": forge.public_jwk(STRANGER)})
    ),
    "crit": form(assertion(header={"crit": ["exp"]})),
    "jku beside keys by value": form(assertion(header={"jku": JWKS})),
    "jku of a stranger": form(assertion("published", header={"jku": UNREGISTERED})),
    "a changed signature": form(assertion()[:-6] + "AAAAAA"),
}


@pytest.mark.parametrize("case", BAD_ASSERTIONS)
async def test_an_assertion_that_fails_in_any_way_is_an_invalid_client(registry: Registry, case: str) -> None:
    await fill(registry)
    registry.trusted.put(RSA_JWK)
    registry.trusted.put(forge.public_jwk(STRANGER, "rsa"), url=UNREGISTERED)
    with pytest.raises(OAuthError) as caught:
        await registry.authenticate(BAD_ASSERTIONS[case])
    assert (caught.value.error, caught.value.status) == ("invalid_client", 400)
    assert UNREGISTERED not in registry.trusted.asked


@pytest.mark.parametrize("exp", [NOW_S + 1, NOW_S + 300, NOW_S + 360])
async def test_an_end_within_five_minutes_and_the_skew_is_accepted(registry: Registry, exp: int) -> None:
    await fill(registry)
    assert (await registry.authenticate(form(assertion(claims={"exp": exp})))).id == "svc"


async def test_two_keys_with_one_kid_are_none(registry: Registry) -> None:
    await fill(registry)
    registry.trusted.put(RSA_JWK, forge.public_jwk(STRANGER, "rsa"))
    with pytest.raises(OAuthError, match="Several"):
        await registry.authenticate(form(assertion("published")))
    registry.trusted.put(RSA_JWK, forge.public_jwk(EC, "rsa"))  # told apart by their type
    registry.now_s += 299
    late = form(assertion("published", claims={"exp": NOW_S + 900}))
    with pytest.raises(OAuthError):  # the set from before is fresh still
        await registry.authenticate(late)
    registry.now_s += 300
    assert (await registry.authenticate(late)).id == "published"


async def test_an_assertion_passes_once(registry: Registry) -> None:
    await fill(registry)
    sent = form(assertion(claims={"jti": "j-1"}))
    assert (await registry.authenticate(sent)).id == "svc"
    with pytest.raises(OAuthError, match="used before"):
        await registry.authenticate(sent)
    with pytest.raises(OAuthError, match="used before"):  # whatever else is in it
        await registry.authenticate(form(assertion(claims={"jti": "j-1", "exp": NOW_S + 60})))
    assert (await registry.authenticate(form(assertion("svc-2", claims={"jti": "j-1"})))).id == "svc-2"


async def test_an_assertion_that_fails_is_not_used_up(registry: Registry) -> None:
    await fill(registry)
    with pytest.raises(OAuthError):
        await registry.authenticate(
            form(assertion(key=STRANGER, header={"kid": "rsa"}, claims={"jti": "j-1"}))
        )
    assert (await registry.authenticate(form(assertion(claims={"jti": "j-1"})))).id == "svc"


async def test_of_many_at_once_over_two_connections_one_passes(registry: Registry, tmp_path: Path) -> None:
    await fill(registry)
    other = Database(tmp_path / "auth.db", TABLES)
    sent, passed = form(assertion()), []

    async def attempt(clients: Clients) -> None:
        try:
            passed.append(await registry.authenticate(sent, clients=clients))
        except OAuthError as error:
            assert error.text == "The assertion was used before."  # noqa: PT017 - each attempt may end so

    async with anyio.create_task_group() as attempts:
        for _ in range(5):
            attempts.start_soon(attempt, registry.clients)
            attempts.start_soon(attempt, Clients(other))
    other.close()
    assert len(passed) == 1


def attempt_elsewhere(folder: Path, sent: Mapping[str, str]) -> str:
    """Runs in a process of its own."""

    async def whole() -> str:
        registry = make_registry(folder)
        try:
            return (await registry.authenticate(sent)).id
        except OAuthError as error:
            return error.text
        finally:
            registry.database.close()

    return anyio.run(whole)


async def test_an_assertion_passes_once_over_processes(registry: Registry, tmp_path: Path) -> None:
    await fill(registry)
    here_first, there_first = form(assertion()), form(assertion())
    assert (await registry.authenticate(here_first)).id == "svc"
    with multiprocessing.get_context("spawn").Pool(1) as processes:
        assert processes.apply(attempt_elsewhere, (tmp_path, here_first)) == "The assertion was used before."
        assert processes.apply(attempt_elsewhere, (tmp_path, there_first)) == "svc"
    with pytest.raises(OAuthError, match="used before"):
        await registry.authenticate(there_first)


# --- Whatever is sent --------------------------------------------------------------------------------

WORDS = ("client_id", "client_secret", "client_assertion", "client_assertion_type")
PART = re.compile(r"[A-Za-z0-9_-]*")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    made = make_registry(tmp_path_factory.mktemp("fuzz"))
    anyio.run(fill, made)
    yield made
    made.database.close()


def refuse(registry: Registry, sent: Mapping[str, str], authorization: list[bytes]) -> None:
    """Nobody gets in, in any other way than by OAuthError."""

    async def attempt() -> None:
        with pytest.raises(OAuthError):
            await registry.authenticate(sent, authorization)

    anyio.run(attempt)


@given(st.binary(max_size=200), st.sampled_from([b"", b"Basic ", b"basic", b"Bearer "]))
def test_no_header_ends_otherwise(filled: Registry, data: bytes, scheme: bytes) -> None:
    refuse(filled, {}, [scheme + data])


@given(st.binary(max_size=200))
def test_no_basic_credentials_end_otherwise(filled: Registry, data: bytes) -> None:
    refuse(filled, {}, [encoded(data)])


@given(st.dictionaries(st.sampled_from(WORDS), st.binary(min_size=1, max_size=60), min_size=1))
def test_no_form_ends_otherwise(filled: Registry, fields: dict[str, bytes]) -> None:
    body = b"&".join(name.encode() + b"=" + value for name, value in fields.items())
    try:
        sent = read_parameters(body)
    except OAuthError:
        return
    refuse(filled, sent, [])


@given(
    st.one_of(
        st.binary(max_size=60), st.recursive(st.none() | st.text() | st.integers(), st.lists).map(repr)
    ),
    st.dictionaries(
        st.sampled_from(["typ", "alg", "kid", "jku", "crit"]), st.none() | st.text() | st.integers()
    ),
    st.dictionaries(
        st.sampled_from(["iss", "sub", "aud", "exp", "jti"]),
        st.sampled_from(["svc", "published", TOKEN]) | st.integers() | st.floats() | st.lists(st.text()),
    ),
)
def test_no_assertion_ends_otherwise(
    filled: Registry, raw: bytes | str, header: dict[str, object], claims: dict[str, object]
) -> None:
    data = raw.encode(errors="replace") if isinstance(raw, str) else raw
    texts = [
        forge.raw_token(EC, "ES384", data, data),
        assertion(key=STRANGER, header={"kid": "rsa", **header}, claims=claims),
    ]
    for text in texts:
        refuse(filled, form(text), [])
