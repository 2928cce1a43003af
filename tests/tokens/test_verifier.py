"""Whole tokens, sound and forged, against the verifier; and that its memory changes no answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jwcrypto.jwk import JWK

from gateway.core.smart.issuers import ALGORITHMS
from gateway.core.values import Token
from gateway.errors import Unauthenticated
from gateway.tokens.fetch import Fetched, FetchFailed
from gateway.tokens.keysets import RemoteKeys
from gateway.tokens.mint import Minter
from gateway.tokens.verifier import Issuer, Verifier
from tests.tokens.forge import (
    AUDIENCE,
    CLAIMS,
    ISSUER,
    NOW_S,
    RULE,
    TYPES,
    PrivateKey,
    b64,
    evaluable,
    hmac_token,
    jwks,
    pem,
    private_key,
    public_jwk,
    raw_token,
    rsa_key,
    token,
)

HEADER = b'{"typ":"at+jwt","alg":"RS256","kid":"key-1"}'
PAYLOAD = json.dumps(CLAIMS).encode()


class Origin:
    """A key server whose set, Cache-Control and health a test can change."""

    def __init__(self, *keys: Mapping[str, object], control: str = "max-age=3600") -> None:
        self.body = jwks(*keys)
        self.control = control
        self.failing = False
        self.asked = 0

    async def __call__(self, url: str) -> Fetched:
        self.asked += 1
        if self.failing:
            raise FetchFailed("down")
        return Fetched(200, {"cache-control": self.control}, self.body)


def verifier_of(origin: Origin, remembered: int = 100, **rule: Any) -> Verifier:
    issuer = Issuer(replace(RULE, **rule), RemoteKeys("https://idp.example/jwks", origin))
    return Verifier([issuer], types=TYPES, evaluable=evaluable, remembered=remembered)


def verify(text: str, *keys: Mapping[str, object]) -> Token:
    """One verification by a new verifier, with the RSA key's set unless told otherwise."""
    origin = Origin(*(keys or (public_jwk(rsa_key()),)))
    return asyncio.run(verifier_of(origin).verify(text, AUDIENCE, NOW_S))


def edited(**header: object) -> str:
    return token(rsa_key(), header=header)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_sound_token_is_read(algorithm: str) -> None:
    key = rsa_key() if algorithm[0] in "RP" else private_key(algorithm)
    text = token(key, algorithm)
    read = verify(text, public_jwk(key))
    assert (read.issuer, read.subject, read.client, read.patient) == (ISSUER, "user-1", "app-1", "pat-a")
    assert [scope.text for scope in read.scopes] == ["patient/*.rs"]
    assert read.digest == sha256(text.encode()).digest()


FORGED: dict[str, Callable[[], str]] = {
    "alg none, no signature": lambda: f"{b64(HEADER.replace(b'RS256', b'none'))}.{b64(PAYLOAD)}.",
    "alg none, a signature": lambda: edited(alg="none"),
    "alg nOnE": lambda: edited(alg="nOnE"),
    "HS256 with the public key's PEM": lambda: hmac_token(pem(rsa_key())),
    "HS256 with the public key's modulus": lambda: hmac_token(str(public_jwk(rsa_key())["n"]).encode()),
    "HS256 with the public JWK": lambda: hmac_token(json.dumps(public_jwk(rsa_key())).encode()),
    "HS256 with nothing": lambda: hmac_token(b""),
    "RS256 said, PS256 signed": lambda: raw_token(rsa_key(), "PS256", HEADER, PAYLOAD),
    "another key": lambda: token(rsa_key(1)),
    "another key, embedded": lambda: token(rsa_key(1), header={"jwk": public_jwk(rsa_key(1))}),
    "the right key, embedded": lambda: edited(jwk=public_jwk(rsa_key())),
    "jku": lambda: edited(jku="https://idp.example/jwks"),
    "x5u": lambda: edited(x5u="https://idp.example/x"),
    "x5c": lambda: edited(x5c=["MIIB"]),
    "kid a path": lambda: edited(kid="../../../dev/null"),
    "kid a query": lambda: edited(kid="key-1' OR '1'='1"),
    "kid an address": lambda: edited(kid="https://evil.example/jwks"),
    "kid empty": lambda: edited(kid=""),
    "kid a list": lambda: edited(kid=["key-1"]),
    "kid of nobody": lambda: edited(kid="key-2"),
    "crit unknown": lambda: edited(crit=["x"], x=1),
    "crit known": lambda: edited(crit=["exp"]),
    "crit empty": lambda: edited(crit=[]),
    "zip": lambda: edited(zip="DEF"),
    "b64 false": lambda: edited(b64=False, crit=["b64"]),
    "b64 false, payload bare": lambda: ".".join((b64(HEADER[:-1] + b',"b64":false}'), "bare", "AAAA")),
    "b64 true": lambda: edited(b64=True),
    "cty JWT": lambda: edited(cty="JWT"),
    "JWE header": lambda: edited(enc="A256GCM"),
    "JWE of five parts": lambda: ".".join((b64(b'{"alg":"RSA-OAEP","enc":"A256GCM"}'), "a", "b", "c", "d")),
    "nested": lambda: raw_token(rsa_key(), "RS256", HEADER, token(rsa_key()).encode()),
    "header says alg twice": lambda: raw_token(rsa_key(), "RS256", b'{"alg":"none",' + HEADER[1:], PAYLOAD),
    "claims say patient twice": lambda: raw_token(
        rsa_key(), "RS256", HEADER, PAYLOAD[:-1] + b',"patient":"pat-b"}'
    ),
    "claims say patient twice, once escaped": lambda: raw_token(
        rsa_key(), "RS256", HEADER, PAYLOAD[:-1] + b',"p\\u0061tient":"pat-b"}'
    ),
    "id_token by type": lambda: edited(typ="JWT"),
    "no type": lambda: edited(typ=None),
    "logout token": lambda: edited(typ="logout+jwt"),
    "id_token by nonce": lambda: token(rsa_key(), claims={"nonce": "n"}),
    "bound to no key": lambda: token(rsa_key(), claims={"cnf": {"jkt": "x"}}),
    "bound to a certificate and a key": lambda: token(
        rsa_key(), claims={"cnf": {"x5t#S256": "A" * 43, "jkt": "A" * 43}}
    ),
    "exp a string": lambda: token(rsa_key(), claims={"exp": str(NOW_S + 300)}),
    "exp true": lambda: token(rsa_key(), claims={"exp": True}),
    "exp a float": lambda: token(rsa_key(), claims={"exp": NOW_S + 300.0}),
    "exp with an exponent": lambda: raw_token(
        rsa_key(), "RS256", HEADER, PAYLOAD.replace(str(NOW_S + 300).encode(), b"18e8")
    ),
    "exp huge": lambda: token(rsa_key(), claims={"exp": 10**400}),
    "exp now": lambda: token(rsa_key(), claims={"exp": NOW_S}),
    "aud of another base": lambda: token(rsa_key(), claims={"aud": f"{AUDIENCE}-b"}),
    "aud list without ours": lambda: token(rsa_key(), claims={"aud": [f"{AUDIENCE}-b"]}),
    "patient a list": lambda: token(rsa_key(), claims={"patient": ["pat-a"]}),
    "scope a list": lambda: token(rsa_key(), claims={"scope": ["patient/*.rs"]}),
    "iss of nobody": lambda: token(rsa_key(), claims={"iss": "https://evil.example"}),
    "iss with a slash more": lambda: token(rsa_key(), claims={"iss": f"{ISSUER}/"}),
    "iss a list": lambda: token(rsa_key(), claims={"iss": [ISSUER]}),
    "iss missing": lambda: token(rsa_key(), claims={"iss": None}),
    "padding": lambda: f"{token(rsa_key())}==",
    "padding inside": lambda: token(rsa_key()).replace(".", "=.", 1),
    "a line break": lambda: f"{token(rsa_key())}\n",
    "beyond ASCII": lambda: f"{token(rsa_key())}é",
    "beyond Unicode": lambda: f"{token(rsa_key())}\ud800",
    "5 MB": lambda: token(rsa_key(), claims={"x": "a" * 5_000_000}),
    "nothing": lambda: "",
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_token_is_refused(name: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        verify(FORGED[name]())
    assert caught.value.oauth_error == "invalid_token"
    assert "pat-" not in caught.value.text


NEARLY: dict[str, Callable[[], str]] = {
    "as it should be": lambda: token(rsa_key()),
    "by hand": lambda: raw_token(rsa_key(), "RS256", HEADER, PAYLOAD),
    "no kid, one key": lambda: edited(kid=None),
    "thumbprints": lambda: edited(**{"x5t": "t", "x5t#S256": "t"}),
    "full type name": lambda: edited(typ="application/at+jwt"),
    "white space in the JSON": lambda: raw_token(rsa_key(), "RS256", b" " + HEADER + b"\n", PAYLOAD),
    "a private claim twice, in two cases": lambda: token(rsa_key(), claims={"x": 1, "X": 2}),
    "exp in one second": lambda: token(rsa_key(), claims={"exp": NOW_S + 1}),
    "aud list with ours": lambda: token(rsa_key(), claims={"aud": ["https://other.example", AUDIENCE]}),
    "12 KB": lambda: token(rsa_key(), claims={"x": "a" * 8_000}),
}


@pytest.mark.parametrize("name", NEARLY)
def test_near_miss_is_accepted(name: str) -> None:
    assert verify(NEARLY[name]()).patient == "pat-a"


@pytest.mark.parametrize(
    "keys",
    [
        [public_jwk(rsa_key()), public_jwk(rsa_key(1))],
        [public_jwk(rsa_key()), public_jwk(rsa_key())],
        [public_jwk(rsa_key(), "key-2")],
        [public_jwk(rsa_key(), None)],
        [public_jwk(rsa_key(), use="enc")],
        [public_jwk(rsa_key(), key_ops=["sign"])],
        [public_jwk(rsa_key(), alg="RS384")],
        [public_jwk(private_key("ES256"))],
        [public_jwk(rsa_key()), {"kty": "oct", "kid": "s", "k": "AAAA"}],
        [public_jwk(rsa_key(), d="AAAA")],
    ],
    ids=["two", "one twice", "other id", "no id", "enc", "sign", "RS384", "EC", "beside a secret", "private"],
)
def test_key_set_without_the_one_right_key_verifies_nothing(keys: list[dict[str, object]]) -> None:
    with pytest.raises(Unauthenticated):
        verify(token(rsa_key()), *keys)
    assert verify(token(rsa_key()), public_jwk(rsa_key())).patient == "pat-a"


def test_rsa_key_of_1024_bits_verifies_nothing() -> None:
    weak, strong = rsa_key(bits=1024), rsa_key(bits=2048)
    with pytest.raises(Unauthenticated):
        verify(token(weak), public_jwk(weak))
    assert verify(token(strong), public_jwk(strong)).patient == "pat-a"


def test_algorithm_must_be_one_of_the_issuer() -> None:
    async def read(algorithms: tuple[str, ...]) -> Token:
        verifier = verifier_of(Origin(public_jwk(rsa_key())), algorithms=algorithms)
        return await verifier.verify(token(rsa_key()), AUDIENCE, NOW_S)

    assert asyncio.run(read(("ES256", "RS256"))).patient == "pat-a"
    with pytest.raises(Unauthenticated, match="alg"):
        asyncio.run(read(("ES256", "RS384")))


async def test_token_of_one_base_opens_no_other_base_of_the_same_issuer() -> None:
    bases = (AUDIENCE, f"{AUDIENCE}-b")
    keys = RemoteKeys("https://idp.example/jwks", Origin(public_jwk(rsa_key())))
    issuers = [Issuer(replace(RULE, audience=base), keys) for base in bases]
    verifier = Verifier(issuers, types=TYPES, evaluable=evaluable)
    for mine, other in (bases, bases[::-1]):
        text = token(rsa_key(), claims={"aud": mine})
        assert (await verifier.verify(text, mine, NOW_S)).patient == "pat-a"
        with pytest.raises(Unauthenticated):
            await verifier.verify(text, other, NOW_S)
    both = token(rsa_key(), claims={"aud": list(bases)})
    assert [await verifier.verify(both, base, NOW_S) for base in bases]
    with pytest.raises(Unauthenticated, match="issuer"):
        await verifier.verify(both, f"{AUDIENCE}-c", NOW_S)


async def test_issuers_do_not_lend_each_other_their_keys() -> None:
    other = "https://other.example"
    issuers = [
        Issuer(RULE, RemoteKeys("https://idp.example/jwks", Origin(public_jwk(rsa_key())))),
        Issuer(
            replace(RULE, issuer=other), RemoteKeys("https://other.example/j", Origin(public_jwk(rsa_key(1))))
        ),
    ]
    verifier = Verifier(issuers, types=TYPES, evaluable=evaluable)
    assert (await verifier.verify(token(rsa_key(1), claims={"iss": other}), AUDIENCE, NOW_S)).issuer == other
    with pytest.raises(Unauthenticated, match="signature"):
        await verifier.verify(token(rsa_key(), claims={"iss": other}), AUDIENCE, NOW_S)


def test_issuer_cannot_be_configured_twice_for_one_base() -> None:
    issuer = Issuer(RULE, RemoteKeys("https://idp.example/jwks", Origin()))
    with pytest.raises(ValueError, match="twice"):
        Verifier([issuer, issuer], types=TYPES, evaluable=evaluable)


async def test_minted_token_is_accepted() -> None:
    minter = Minter(JWK.generate(kty="EC", crv="P-256").export_private(as_dict=True), ISSUER)
    claims = {name: CLAIMS[name] for name in ("aud", "sub", "client_id", "scope", "patient")}
    text = minter.mint(claims, now_s=NOW_S, lifetime_s=60, jti="t-9")
    verifier = verifier_of(Origin(*minter.public_jwks()["keys"]))
    assert (await verifier.verify(text, AUDIENCE, NOW_S + 59)).jti == "t-9"
    with pytest.raises(Unauthenticated, match="exp"):
        await verifier.verify(text, AUDIENCE, NOW_S + 60)


async def test_remembered_token_is_the_same_value_and_costs_no_fetch() -> None:
    origin = Origin(public_jwk(rsa_key()))
    verifier, text = verifier_of(origin), token(rsa_key())
    first = await verifier.verify(text, AUDIENCE, NOW_S)
    assert await verifier.verify(text, AUDIENCE, NOW_S + 1) is first
    assert origin.asked == 1


async def test_remembered_token_ends_in_the_second_it_expires() -> None:
    verifier, text = verifier_of(Origin(public_jwk(rsa_key()))), token(rsa_key())
    for now_s in (NOW_S, NOW_S + 299):
        assert (await verifier.verify(text, AUDIENCE, now_s)).expires_at_s == NOW_S + 300
    for now_s in (NOW_S + 300, NOW_S + 301):
        with pytest.raises(Unauthenticated, match="exp"):
            await verifier.verify(text, AUDIENCE, now_s)


async def test_remembered_token_ends_when_its_key_is_withdrawn() -> None:
    origin = Origin(public_jwk(rsa_key()), control="max-age=60")
    verifier, text = verifier_of(origin), token(rsa_key())
    first = await verifier.verify(text, AUDIENCE, NOW_S)
    origin.body = jwks(public_jwk(rsa_key(1), "key-2"))
    assert await verifier.verify(text, AUDIENCE, NOW_S + 59) is first
    with pytest.raises(Unauthenticated):
        await verifier.verify(text, AUDIENCE, NOW_S + 60)
    fresh = token(rsa_key(1), header={"kid": "key-2"})
    assert (await verifier.verify(fresh, AUDIENCE, NOW_S + 60)).patient == "pat-a"


async def test_remembered_token_stays_when_its_set_is_renewed_unchanged() -> None:
    origin = Origin(public_jwk(rsa_key()), control="max-age=60")
    verifier, text = verifier_of(origin), token(rsa_key())
    first = await verifier.verify(text, AUDIENCE, NOW_S)
    assert await verifier.verify(text, AUDIENCE, NOW_S + 60) is first
    assert origin.asked == 2


async def test_remembered_token_is_not_served_when_the_keys_cannot_be_renewed() -> None:
    origin = Origin(public_jwk(rsa_key()), control="max-age=60")
    verifier, text = verifier_of(origin), token(rsa_key())
    await verifier.verify(text, AUDIENCE, NOW_S)
    origin.failing = True
    assert (await verifier.verify(text, AUDIENCE, NOW_S + 59)).patient == "pat-a"
    with pytest.raises(Unauthenticated, match="keys"):
        await verifier.verify(text, AUDIENCE, NOW_S + 60)
    origin.failing = False
    assert (await verifier.verify(text, AUDIENCE, NOW_S + 66)).patient == "pat-a"


async def test_new_key_is_found_at_once_and_old_tokens_go_on() -> None:
    origin = Origin(public_jwk(rsa_key()))
    verifier, text = verifier_of(origin), token(rsa_key())
    first = await verifier.verify(text, AUDIENCE, NOW_S)
    origin.body = jwks(public_jwk(rsa_key()), public_jwk(rsa_key(1), "key-2"))
    new = token(rsa_key(1), header={"kid": "key-2"})
    assert (await verifier.verify(new, AUDIENCE, NOW_S + 1)).digest == sha256(new.encode()).digest()
    assert await verifier.verify(text, AUDIENCE, NOW_S + 1) == first
    assert origin.asked == 2


async def test_flood_of_unknown_keys_costs_one_fetch_in_a_cool_down() -> None:
    origin = Origin(public_jwk(rsa_key()))
    verifier = verifier_of(origin)
    await verifier.verify(token(rsa_key()), AUDIENCE, NOW_S)
    for number in range(30):
        with pytest.raises(Unauthenticated):
            await verifier.verify(edited(kid=f"unknown-{number}"), AUDIENCE, NOW_S + 1)
    assert origin.asked == 2


async def test_refusal_is_not_remembered() -> None:
    verifier = verifier_of(Origin(public_jwk(rsa_key())))
    early = token(rsa_key(), claims={"nbf": NOW_S + 100})
    with pytest.raises(Unauthenticated, match="nbf"):
        await verifier.verify(early, AUDIENCE, NOW_S + 39)
    assert (await verifier.verify(early, AUDIENCE, NOW_S + 40)).patient == "pat-a"


async def test_memory_is_bounded_and_forgets_the_least_used() -> None:
    key: PrivateKey = private_key("ES256")
    verifier = verifier_of(Origin(public_jwk(key)), remembered=3)
    texts = [token(key, "ES256", claims={"jti": f"t-{n}"}) for n in range(4)]
    first = [await verifier.verify(text, AUDIENCE, NOW_S) for text in texts[:3]]
    assert await verifier.verify(texts[0], AUDIENCE, NOW_S) is first[0]
    await verifier.verify(texts[3], AUDIENCE, NOW_S)
    assert await verifier.verify(texts[0], AUDIENCE, NOW_S) is first[0]
    assert await verifier.verify(texts[1], AUDIENCE, NOW_S) is not first[1]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.integers(-400, 400),  # seconds from NOW_S: the clock may also go back
            st.sampled_from(["read", "read", "read", "first key", "second key", "down", "up"]),
        ),
        max_size=12,
    )
)
def test_memory_changes_no_answer(steps: list[tuple[int, str]]) -> None:
    """Beside each verifier that remembers stands one that does not, over the same key set."""
    key, other = private_key("ES256"), private_key("ES256", 1)
    text = token(key, "ES256", claims={"nbf": NOW_S - 100, "iat": NOW_S - 100})
    origin = Origin(public_jwk(key), control="max-age=120")
    keys = RemoteKeys("https://idp.example/jwks", origin)
    remembering, forgetting = (
        Verifier([Issuer(RULE, keys)], types=TYPES, evaluable=evaluable, remembered=n) for n in (10, 0)
    )

    async def answer(verifier: Verifier, now_s: int) -> Token | str:
        try:
            return await verifier.verify(text, AUDIENCE, now_s)
        except Unauthenticated as refusal:
            return refusal.text

    async def run() -> None:
        for offset_s, step in steps:
            match step:
                case "first key":
                    origin.body = jwks(public_jwk(key))
                case "second key":
                    origin.body = jwks(public_jwk(other))
                case "down" | "up":
                    origin.failing = step == "down"
                case _:
                    now_s = NOW_S + offset_s
                    assert await answer(remembering, now_s) == await answer(forgetting, now_s)

    asyncio.run(run())
