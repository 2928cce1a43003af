"""What the kits check of an answer, in their words' sense."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from tests.conformance.driver import Kit, decoded, unb64

TEXTS = ("access_token", "token_type", "scope", "refresh_token", "patient", "encounter", "id_token")


def check_stored_nowhere(answer: httpx.Response) -> None:
    """25."""
    assert "no-store" in answer.headers["cache-control"]
    assert "no-cache" in answer.headers["pragma"]


def check_token_response(body: Mapping[str, Any], asked: str = "") -> None:
    """21 to 23. `asked` are the scopes that a person was asked for and allowed."""
    assert all(body[name] for name in ("access_token", "token_type", "expires_in", "scope"))
    assert all(isinstance(body[name], str) for name in TEXTS if name in body)
    assert type(body["expires_in"]) is int
    assert 0 < body["expires_in"] <= 3600
    assert body["token_type"].casefold() == "bearer"
    assert {*asked.split()} <= {*body["scope"].split(" ")}


def check_id_token(kit: Kit, text: str, client: str) -> dict[str, Any]:
    """38 to 43; gives the claims. The signature is checked without any of the gateway's code."""
    header, claims = decoded(text)
    said = kit.http.get(f"{claims['iss'].removesuffix('/')}/.well-known/openid-configuration").json()
    keys = [key for key in kit.http.get(said["jwks_uri"]).json()["keys"] if key["kty"] == "RSA"]
    (key,) = (each for each in keys if each["kid"] == header["kid"])
    assert header["alg"] == "RS256"
    signed, _, signature = text.rpartition(".")
    numbers = RSAPublicNumbers(*(int.from_bytes(unb64(key[name])) for name in "en"))
    numbers.public_key().verify(unb64(signature), signed.encode(), PKCS1v15(), SHA256())
    now_s = kit.site.now_s
    assert claims["iss"] == said["issuer"]
    assert client in ([claims["aud"]] if isinstance(claims["aud"], str) else claims["aud"])
    assert claims["iat"] <= now_s + 1
    assert claims["exp"] > now_s
    assert 0 < len(claims["sub"]) < 256
    return claims
