"""Thousands of requests that no client of ours would send: each has an answer of OAuth, none is a failure."""

from __future__ import annotations

import random
from base64 import b64encode
from collections.abc import Callable
from typing import Final, get_args
from urllib.parse import quote_plus

from gateway.errors import OAuthCode
from tests.auth.desk import REDIRECT, SECRET, VERIFIER, Desk

REQUESTS: Final = 2500
FORM: Final = b"application/x-www-form-urlencoded"
ADDRESSES: Final = ("/auth/token", "/auth/introspect", "/auth/revoke")
CODES: Final = frozenset(get_args(OAuthCode))
NASTY: Final = (
    "", "\x00", "%00", "é", "\u2028", "'", '"', "\\", "<script>", "../..", "null", "-1", "1e999", "*", " ",
    "\r\nSet-Cookie: a=b", "a" * 3000, "[]", "{}", "..", "a.b.c", "a.b", "....", "e30.e30.e30", "+", "%",
    "eyJhbGciOiJub25lIn0.e30.", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "%zz", "\x7f", "\t",
    "public", "symmetric", "service", REDIRECT, VERIFIER, SECRET, "system/*.rs", "patient/*.rs openid", "😀",
)  # fmt: skip
NAMES: Final = (
    "grant_type", "code", "redirect_uri", "code_verifier", "client_id", "client_secret", "client_assertion",
    "client_assertion_type", "scope", "refresh_token", "token", "token_type_hint", "resource", "aud",
    "purpose_of_use", "username", "é", "a" * 100, "", "scope[]",
)  # fmt: skip
GRANTS: Final = ("authorization_code", "refresh_token", "client_credentials", "password", "urn:x", "", "\x00")
Header = tuple[bytes, bytes]


async def test_every_malformed_request_has_a_proper_answer(desk: Desk) -> None:
    dice = random.Random(20_260_101)
    seen: set[tuple[int, str]] = set()
    for _ in range(REQUESTS):
        address, content, headers = dice.choice(ADDRESSES), _body(dice), _headers(dice)
        method = "POST" if dice.random() < 0.97 else dice.choice(["GET", "PUT", "BREW"])
        query = "" if dice.random() < 0.97 else "?" + dice.choice(["a=b", "%zz", "grant_type=x"])
        response = await desk.http.request(method, address + query, content=content, headers=headers)
        said = (method, address, query, content, headers, response.status_code, response.text)
        if response.status_code == 200 and address != "/auth/token":
            continue  # a client that is known asks about, or gives back, what is no token
        assert 400 <= response.status_code < 500, said
        body = response.json()
        assert body.keys() <= {"error", "error_description"}, said
        assert body["error"] in CODES, said
        assert "no-store" in response.headers["cache-control"], said
        assert (response.status_code == 401) == ("www-authenticate" in response.headers), said
        seen.add((response.status_code, body["error"]))
    assert desk.recorded == []
    expected = {
        (400, "invalid_request"),
        (400, "invalid_client"),
        (401, "invalid_client"),
        (400, "invalid_grant"),
    }
    assert seen >= {
        *expected,
        (400, "unsupported_grant_type"),
        (405, "invalid_request"),
        (413, "invalid_request"),
    }


def _body(dice: random.Random) -> bytes:
    kind = dice.random()
    if kind < 0.05:
        return dice.randbytes(dice.randrange(200))
    if kind < 0.06:
        return b"a=" + b"b" * 70_000
    if kind < 0.2:
        return _encoded(_nearly_sound(dice), quote_plus)
    pairs = [("grant_type", dice.choice(GRANTS))] if dice.random() < 0.8 else []
    if dice.random() < 0.5:
        pairs.append(("client_id", dice.choice(["public", "symmetric", "service", "nobody"])))
    pairs += [(dice.choice(NAMES), dice.choice(NASTY)) for _ in range(dice.randrange(6))]
    dice.shuffle(pairs)
    return _encoded(pairs, _as_is if dice.random() < 0.25 else quote_plus, dice.random() < 0.02)


def _nearly_sound(dice: random.Random) -> list[tuple[str, str]]:
    """A request for a code or refresh token that there is none of, perhaps with one thing wrong besides."""
    by_code = {"grant_type": "authorization_code", "code": "x" * 43, "redirect_uri": REDIRECT}
    by_token = {"grant_type": "refresh_token", "refresh_token": "x" * 43}
    form = {**dice.choice([by_code, by_token]), "code_verifier": VERIFIER, "client_id": "public"}
    if dice.random() < 0.8:
        form[dice.choice([*form])] = dice.choice(NASTY)
    return [*form.items()]


def _encoded(pairs: list[tuple[str, str]], encode: Callable[[str], str], wide: bool = False) -> bytes:
    joined = "&".join(f"{encode(name)}={encode(value)}" for name, value in pairs)
    return joined.encode("utf-16" if wide else "utf-8")


def _headers(dice: random.Random) -> list[Header]:
    types = [FORM] * 20 + [
        b"application/json",
        b"",
        FORM + b"; charset=utf-7",
        b"\xff\xfe",
        b"text/plain; a=\xe9",
    ]
    headers = [(b"Content-Type", dice.choice(types))]
    if dice.random() < 0.03:
        headers *= 2
    for _ in range(dice.choice([0, 0, 0, 1, 1, 2])):
        headers.append((b"Authorization", _authorization(dice)))
    if dice.random() < 0.1:
        headers.append((b"Origin", dice.choice([b"null", b"https://app.example", b"\xff", b"x" * 9000, b""])))
    return headers


def _authorization(dice: random.Random) -> bytes:
    made: list[Callable[[], bytes]] = [
        lambda: b"Basic " + b64encode(dice.randbytes(dice.randrange(40))),
        lambda: b"Basic " + b64encode(b"symmetric:" + dice.choice(NASTY).encode("utf-8", "surrogatepass")),
        lambda: b"Basic " + b64encode(b"public:" + SECRET.encode()),
        lambda: b"Basic " + b64encode(b"\xff\xfe:\xff"),
        lambda: b"Basic",
        lambda: b"Basic ====",
        lambda: b"Bearer " + dice.choice([b"a.b.c", b"e30.e30.e30", b"\xff", b"", b"x" * 20_000]),
        lambda: b"DPoP x",
        lambda: b"",
        lambda: dice.randbytes(20).replace(b"\r", b"").replace(b"\n", b"").replace(b"\x00", b""),
    ]
    return dice.choice(made)()


def _as_is(text: str) -> str:
    return text
