"""Clients: what can be registered together, and the nearest that cannot."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from gateway.core.smart.client import MAX_SCOPES, MAX_TEXT, MAX_URIS, Client
from gateway.core.smart.client_keys import PublicKey

KEY = PublicKey("e", "EC", (("crv", "P-384"), ("x", "A"), ("y", "B")))
JWKS = "https://app.example/jwks.json"
REDIRECT = "https://app.example/cb"
APP: dict[str, Any] = {"id": "app-1", "name": "App One", "redirect_uris": (REDIRECT,)}
SERVICE: dict[str, Any] = {
    "id": "svc",
    "name": "Service",
    "auth_method": "private_key_jwt",
    "grant_types": ("client_credentials",),
}
BOTH = ("authorization_code", "client_credentials", "refresh_token")

BUILT: dict[str, tuple[dict[str, Any], str]] = {
    "symmetric": (APP, "symmetric"),
    "symmetric, secret in the body": ({**APP, "auth_method": "client_secret_post"}, "symmetric"),
    "public": ({**APP, "auth_method": "none"}, "public"),
    "public, native": ({**APP, "auth_method": "none", "redirect_uris": ("com.example.a:/cb",)}, "public"),
    "public, launched by its scheme": (
        {**APP, "auth_method": "none", "launch_uris": ("com.example.a:/launch",)},
        "public",
    ),
    "asymmetric by value": ({**APP, "auth_method": "private_key_jwt", "keys": (KEY,)}, "asymmetric"),
    "asymmetric by two addresses": (
        {**APP, "auth_method": "private_key_jwt", "jwks_uris": (JWKS, JWKS + "2")},
        "asymmetric",
    ),
    "service": ({**SERVICE, "keys": (KEY,)}, "asymmetric"),
    "app and service": (
        {**APP, "auth_method": "private_key_jwt", "jwks_uris": (JWKS,), "grant_types": BOTH},
        "asymmetric",
    ),
    "refreshed": ({**APP, "grant_types": ("authorization_code", "refresh_token")}, "symmetric"),
    "a full registration": (
        {
            **APP,
            "launch_uris": ("https://app.example/launch",),
            "scopes": ("launch/patient", "patient/*.rs", "patient/Observation.rs?category=a|b"),
            "contacts": ("ops@app.example", "Ärztin +41 1"),
            "client_uri": "https://app.example",
            "logo_uri": "https://app.example/logo.png",
            "policy_uri": "http://localhost/policy",
            "tos_uri": "https://app.example/tos",
        },
        "symmetric",
    ),
    "the longest name": ({**APP, "name": "n" * MAX_TEXT}, "symmetric"),
    "a name of another script": ({**APP, "name": "診療所 アプリ"}, "symmetric"),
    "as many scopes as there may be": (
        {**APP, "scopes": tuple(f"s{number}" for number in range(MAX_SCOPES))},
        "symmetric",
    ),
}
REFUSED: dict[str, dict[str, Any]] = {
    "an id with an at sign": {**APP, "id": "app@1"},
    "an empty id": {**APP, "id": ""},
    "an id of other characters": {**APP, "id": "äpp"},
    "no name": {**APP, "name": ""},
    "a blank name": {**APP, "name": "  "},
    "a name too long": {**APP, "name": "n" * (MAX_TEXT + 1)},
    "a name of two lines": {**APP, "name": "App\nTwo"},
    "a name that turns the writing": {**APP, "name": "App \u202eeno"},
    "half a surrogate pair": {**APP, "name": "App \ud800"},
    "another method": {**APP, "auth_method": "client_secret_jwt"},
    "no redirect URI": {**APP, "redirect_uris": ()},
    "a redirect URI twice": {**APP, "redirect_uris": (REDIRECT, REDIRECT)},
    "too many redirect URIs": {
        **APP,
        "redirect_uris": tuple(f"{REDIRECT}/{number}" for number in range(MAX_URIS + 1)),
    },
    "a redirect URI that is not https": {**APP, "redirect_uris": ("http://app.example/cb",)},
    "a redirect URI with a fragment": {**APP, "redirect_uris": (REDIRECT + "#a",)},
    "a confidential app with its own scheme": {**APP, "redirect_uris": ("com.example.a:/cb",)},
    "a confidential app launched by its own scheme": {**APP, "launch_uris": ("com.example.a:/launch",)},
    "a launch URI with a user": {**APP, "launch_uris": ("https://me@app.example/launch",)},
    "no grant type": {**APP, "grant_types": ()},
    "a grant type twice": {**APP, "grant_types": ("authorization_code", "authorization_code")},
    "another grant type": {**APP, "grant_types": ("authorization_code", "password")},
    "redirect URIs without the code": {**SERVICE, "keys": (KEY,), "redirect_uris": (REDIRECT,)},
    "a service that refreshes": {
        **SERVICE,
        "keys": (KEY,),
        "grant_types": ("client_credentials", "refresh_token"),
    },
    "refresh alone": {**SERVICE, "keys": (KEY,), "grant_types": ("refresh_token",)},
    "a symmetric service": {**SERVICE, "auth_method": "client_secret_basic"},
    "a public service": {**SERVICE, "auth_method": "none"},
    "a symmetric app that is also a service": {**APP, "grant_types": BOTH},
    "no keys": SERVICE,
    "keys both ways": {**SERVICE, "keys": (KEY,), "jwks_uris": (JWKS,)},
    "a key set over http": {**SERVICE, "jwks_uris": ("http://127.0.0.1/jwks.json",)},
    "a key set twice": {**SERVICE, "jwks_uris": (JWKS, JWKS)},
    "one key id twice": {**SERVICE, "keys": (KEY, KEY)},
    "a symmetric app with keys": {**APP, "keys": (KEY,)},
    "a public app with a key set": {**APP, "auth_method": "none", "jwks_uris": (JWKS,)},
    "a scope of two words": {**APP, "scopes": ("openid fhirUser",)},
    "a scope with a quote": {**APP, "scopes": ('patient/"',)},
    "an empty scope": {**APP, "scopes": ("",)},
    "a scope twice": {**APP, "scopes": ("openid", "openid")},
    "too many scopes": {**APP, "scopes": tuple(f"s{number}" for number in range(MAX_SCOPES + 1))},
    "a contact of two lines": {**APP, "contacts": ("a\r\nb",)},
    "a logo that is a script": {**APP, "logo_uri": "javascript:alert(1)"},
    "a logo of no scheme": {**APP, "logo_uri": "app.example/logo.png"},
    "an empty policy": {**APP, "policy_uri": ""},
    "terms over http": {**APP, "tos_uri": "http://app.example/tos"},
    "a page with a user": {**APP, "client_uri": "https://a@app.example"},
}


@pytest.mark.parametrize(("fields", "kind"), BUILT.values(), ids=BUILT)
def test_clients_are_built(fields: dict[str, Any], kind: str) -> None:
    assert Client(**fields).kind == kind


@pytest.mark.parametrize("fields", REFUSED.values(), ids=REFUSED)
def test_clients_are_refused_in_words_of_our_own(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^[ !#-\[\]-~]+$") as caught:
        Client(**fields)
    assert "example" not in str(caught.value)


def test_a_client_stays_as_it_was_checked() -> None:
    client = Client(**APP)
    with pytest.raises(FrozenInstanceError):
        client.auth_method = "none"  # type: ignore[misc]


def test_its_pages_run_where_its_redirect_uris_lead() -> None:
    uris = (REDIRECT, "https://app.example/other", "http://localhost:3000/cb", "com.example.a:/cb")
    client = Client("app-1", "App", "none", uris)
    assert client.origins == {"https://app.example", "http://localhost:3000"}
    assert (
        Client("svc", "S", "private_key_jwt", grant_types=("client_credentials",), keys=(KEY,)).origins
        == set()
    )


def test_the_ceiling_as_one_text() -> None:
    assert Client(**APP, scopes=("openid", "patient/*.rs")).scope == "openid patient/*.rs"
