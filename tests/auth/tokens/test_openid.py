"""id_tokens, read by another library than the one that signs them, and the keys for that."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from jwcrypto.jwk import JWK
from starlette.applications import Starlette

from gateway.auth.tokens.openid import AHEAD_S, IdTokens, Login, openid_routes
from gateway.core.canon import unb64url
from gateway.errors import StateUnavailable, Unauthenticated
from gateway.ledger.keys import init_keys
from gateway.ledger.token_key_files import TokenKeyFiles
from gateway.ledger.token_keys import OPENID
from gateway.tokens.own import OwnKeys
from tests.auth.desk import Desk
from tests.auth.tokens.test_token import claims_of
from tests.support.house import BASE, PUBLIC

NOW_S = 1_800_000_000


def private_jwk(**kind: object) -> dict[str, str]:
    members: dict[str, str] = JWK.generate(**kind).export_private(as_dict=True)
    return members


@pytest.fixture(scope="module")
def id_tokens() -> IdTokens:
    return IdTokens(private_jwk(kty="RSA", size=2048), PUBLIC)


def check(token: str, jwk: dict[str, str]) -> None:
    n, e = (int.from_bytes(base64.urlsafe_b64decode(jwk[name] + "==")) for name in ("n", "e"))
    signed, _, signature = token.rpartition(".")
    key = rsa.RSAPublicNumbers(e, n).public_key()
    key.verify(unb64url(signature), signed.encode(), padding.PKCS1v15(), SHA256())


def test_it_says_who_logged_in_and_verifies(id_tokens: IdTokens) -> None:
    login = Login("app-1", "person-1", NOW_S - 5, f"{BASE}/Practitioner/prac-1", "n-1")
    token = id_tokens.sign(login, NOW_S)
    [jwk] = id_tokens.public_jwks()["keys"]
    check(token, jwk)
    with pytest.raises(InvalidSignature):
        check(token[:-8] + "AAAAAAAA", jwk)
    assert json.loads(unb64url(token.split(".")[0])) == {"alg": "RS256", "kid": jwk["kid"]}
    assert claims_of(token) == {
        "iss": PUBLIC,
        "sub": "person-1",
        "aud": "app-1",
        "iat": NOW_S,
        "exp": NOW_S + 3600,
        "auth_time": NOW_S - 5,
        "nonce": "n-1",
        "fhirUser": f"{BASE}/Practitioner/prac-1",
    }


def test_what_was_not_given_is_not_said(id_tokens: IdTokens) -> None:
    claims = claims_of(id_tokens.sign(Login("app-1", "person-1", NOW_S), NOW_S))
    assert claims.keys() == {"iss", "sub", "aud", "iat", "exp", "auth_time"}


def test_public_keys_hold_nothing_private(id_tokens: IdTokens) -> None:
    [jwk] = id_tokens.public_jwks()["keys"]
    assert jwk.keys() == {"kty", "n", "e", "kid", "alg", "use"}


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"kty": "RSA", "n": "AAAA", "e": "AQAB", "d": "AAAA"},
        private_jwk(kty="EC", crv="P-256"),
        private_jwk(kty="RSA", size=1024),
        JWK.generate(kty="RSA", size=2048).export_public(as_dict=True),
        {"kty": "oct", "k": "AAAA"},
    ],
    ids=["nothing", "no primes", "EC", "1024 bits", "public", "symmetric"],
)
def test_a_key_that_cannot_sign_them_is_refused(members: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        IdTokens(members, PUBLIC)


async def test_the_key_set_is_for_everybody(desk: Desk) -> None:
    response = await desk.http.get("/auth/jwks", headers={"Origin": "https://any.example"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in response.headers
    keys = {key["kty"]: key for key in response.json()["keys"]}
    assert keys.keys() == {"EC", "RSA"}
    assert {key["kid"] for key in keys.values()} == {JWK(**key).thumbprint() for key in keys.values()}
    answer = await desk.granted()
    check(answer["id_token"], keys["RSA"])
    assert claims_of(answer["id_token"])["fhirUser"] == f"{BASE}/Practitioner/prac-1"
    assert claims_of(answer["id_token"])["nonce"] == "n-1"


async def test_only_with_openid_and_the_user_only_with_fhir_user(desk: Desk) -> None:
    assert "fhirUser" not in claims_of((await desk.granted(scope="openid patient/*.rs"))["id_token"])
    assert "id_token" not in await desk.granted(scope="fhirUser patient/*.rs")


async def test_it_opens_nothing(desk: Desk) -> None:
    answer = await desk.granted()
    with pytest.raises(Unauthenticated):
        await desk.verify(answer["id_token"])


async def test_two_keys_of_one_id_are_refused(id_tokens: IdTokens) -> None:
    with pytest.raises(ValueError):
        openid_routes(id_tokens, id_tokens)
    [route] = openid_routes(id_tokens)
    transport = httpx.ASGITransport(Starlette(routes=[route]))
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC) as client:
        head = await client.head("/auth/jwks")
    assert (head.status_code, head.headers["cache-control"]) == (200, "public, max-age=300")


async def test_the_key_set_is_that_of_the_moment(tmp_path: Path) -> None:
    folder = init_keys(tmp_path / "keys", "hospital.example/consentry").folder
    files = TokenKeyFiles(folder, OPENID)
    signer = IdTokens(OwnKeys(files), PUBLIC)
    login, old = Login("app-1", "person-1", NOW_S), signer.key_id
    transport = httpx.ASGITransport(Starlette(routes=openid_routes(signer)))
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC) as client:

        async def published() -> dict[str, dict[str, str]]:
            return {key["kid"]: key for key in (await client.get("/auth/jwks")).json()["keys"]}

        first = signer.sign(login, NOW_S)
        files.publish()
        files.schedule(NOW_S + AHEAD_S)
        keys = await published()
        [new] = keys.keys() - {old}
        assert [kid_of(signer.sign(login, NOW_S + at)) for at in (1, AHEAD_S - 1, AHEAD_S)] == [old, old, new]
        check(signer.sign(login, NOW_S + AHEAD_S), keys[new])
        check(first, (await published())[old])
        files.retire(old)
        assert (await published()).keys() == {new}

        (folder / "openid.jwk").chmod(0o644)
        answer = await client.get("/auth/jwks")
        assert (answer.status_code, answer.headers["cache-control"]) == (503, "no-store")
        with pytest.raises(StateUnavailable):
            signer.sign(login, NOW_S + AHEAD_S + 1)


def kid_of(token: str) -> str:
    kid: str = json.loads(unb64url(token.split(".")[0]))["kid"]
    return kid
