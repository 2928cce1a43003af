"""Client metadata: read, refused by the code that fits, and written back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.smart.client import Client
from gateway.core.smart.client_keys import PublicKey
from gateway.core.smart.metadata import METADATA, metadata_json, read_metadata
from gateway.errors import OAuthError

RSA = {"kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB"}
CERTIFIED_MEMBERS = {"crv": "P-256", "x": "A" * 43, "y": "B" * 43}
CERTIFIED = {"kty": "EC", "kid": "c", **CERTIFIED_MEMBERS, "x5c": ["MIIB", "MIIC"]}
REDIRECT = "https://app.example/cb"
APP: dict[str, Any] = {"client_name": "App", "redirect_uris": [REDIRECT]}
SERVICE: dict[str, Any] = {
    "client_name": "Service",
    "token_endpoint_auth_method": "private_key_jwt",
    "grant_types": ["client_credentials"],
    "jwks": {"keys": [RSA]},
}
FULL: dict[str, Any] = {
    **APP,
    "token_endpoint_auth_method": "none",
    "launch_uris": ["https://app.example/launch"],
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "scope": "launch/patient patient/*.rs offline_access",
    "contacts": ["ops@app.example"],
    "client_uri": "https://app.example",
    "logo_uri": "https://app.example/logo.png",
    "policy_uri": "https://app.example/policy",
    "tos_uri": "https://app.example/tos",
}

READ: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the defaults of RFC 7591": (
        APP,
        {"auth_method": "client_secret_basic", "grant_types": ("authorization_code",), "scopes": ()},
    ),
    "no name, so the id": ({"redirect_uris": [REDIRECT]}, {"name": "app-1"}),
    "a service": (SERVICE, {"kind": "asymmetric", "redirect_uris": (), "jwks_uris": ()}),
    "a service that says it uses no response type": ({**SERVICE, "response_types": []}, {"name": "Service"}),
    "a full one": (FULL, {"kind": "public", "scopes": ("launch/patient", "patient/*.rs", "offline_access")}),
    "scopes once each": ({**APP, "scope": " openid  openid fhirUser "}, {"scopes": ("openid", "fhirUser")}),
    "one address of keys": (
        {**APP, "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://a.example/k"},
        {"jwks_uris": ("https://a.example/k",)},
    ),
    "several": (
        {
            **APP,
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks_uris": ["https://a.example/k", "https://a.example/l"],
        },
        {"jwks_uris": ("https://a.example/k", "https://a.example/l")},
    ),
    "an authority's certificates": (
        {
            **APP,
            "token_endpoint_auth_method": "tls_client_auth",
            "tls_client_auth_subject_dn": "CN=svc",
            "tls_client_certificate_bound_access_tokens": True,
        },
        {
            "kind": "asymmetric",
            "certificate_subject": ("tls_client_auth_subject_dn", "CN=svc"),
            "certificate_bound": True,
            "dpop_bound": False,
        },
    ),
    "certificates of its own": (
        {
            **SERVICE,
            "token_endpoint_auth_method": "self_signed_tls_client_auth",
            "jwks": {"keys": [CERTIFIED, RSA]},
            "tls_client_certificate_bound_access_tokens": False,
        },
        {
            "kind": "asymmetric",
            "keys": (PublicKey("c", "EC", tuple(CERTIFIED_MEMBERS.items()), None, "MIIB"),),
            "certificate_bound": False,
        },
    ),
    "a key's certificate, where keys sign": (
        {**SERVICE, "jwks": {"keys": [{**RSA, "x5c": ["MIIB"]}]}},
        {"keys": (PublicKey("r", "RSA", (("n", "AQAB"), ("e", "AQAB"))),)},
    ),
    "tokens bound to a key": (
        {**APP, "dpop_bound_access_tokens": True},
        {"dpop_bound": True, "certificate_bound": False},
    ),
    "unknown members": (
        {**APP, "software_id": 4, "client_name#de": None, "client_id": "admin", "client_secret": "x"},
        {"id": "app-1", "name": "App"},
    ),
}
BAD_REDIRECT: dict[str, dict[str, Any]] = {
    "not https": {**APP, "redirect_uris": ["http://app.example/cb"]},
    "a fragment": {**APP, "redirect_uris": [REDIRECT, REDIRECT + "#x"]},
    "relative": {**APP, "redirect_uris": ["/cb"]},
    "twice": {**APP, "redirect_uris": [REDIRECT, REDIRECT]},
    "its own scheme with a secret": {**APP, "redirect_uris": ["com.example.a:/cb"]},
    "a script": {**APP, "token_endpoint_auth_method": "none", "redirect_uris": ["javascript:alert(1)"]},
}
BAD_METADATA: dict[str, Any] = {
    "a list": [APP],
    "null": None,
    "a text": "client",
    "nothing": {},
    "redirect URIs of a wrong kind": {**APP, "redirect_uris": REDIRECT},
    "a redirect URI of a wrong kind": {**APP, "redirect_uris": [REDIRECT, 1]},
    "a method of a wrong kind": {**APP, "token_endpoint_auth_method": ["none"]},
    "an unknown method": {**APP, "token_endpoint_auth_method": "tls_client_auth"},
    "a null": {**APP, "client_name": None},
    "a scope of a wrong kind": {**APP, "scope": ["openid"]},
    "a scope that scopes cannot be": {**APP, "scope": 'openid "'},
    "an unknown grant type": {**APP, "grant_types": ["implicit"]},
    "another response type": {**APP, "response_types": ["token"]},
    "more response types": {**APP, "response_types": ["code", "code id_token"]},
    "no response type for the code": {**APP, "response_types": []},
    "a response type for a service": {**SERVICE, "response_types": ["code"]},
    "a service with a secret": {**SERVICE, "token_endpoint_auth_method": "client_secret_basic"},
    "a service without keys": {name: value for name, value in SERVICE.items() if name != "jwks"},
    "keys by value and address": {**SERVICE, "jwks_uri": "https://a.example/k"},
    "keys by both names of addresses": {
        **APP,
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks_uri": "https://a.example/k",
        "jwks_uris": ["https://a.example/l"],
    },
    "private keys": {**SERVICE, "jwks": {"keys": [{**RSA, "d": "AQAB"}]}},
    "keys of a wrong kind": {**SERVICE, "jwks": json.dumps({"keys": [RSA]})},
    "a launch URI that is not https": {**APP, "launch_uris": ["http://app.example/launch"]},
    "a logo that is a script": {**APP, "logo_uri": "javascript:alert(1)"},
    **{f"{name} of a wrong kind": {**FULL, name: {}} for name in METADATA},
}


@pytest.mark.parametrize(("value", "want"), READ.values(), ids=READ)
def test_metadata_is_read(value: dict[str, Any], want: dict[str, Any]) -> None:
    client = read_metadata(value, "app-1")
    assert {name: getattr(client, name) for name in want} == want


@pytest.mark.parametrize("value", [value for value, _ in READ.values()], ids=[*READ])
def test_what_is_written_is_read_back(value: dict[str, Any]) -> None:
    client = read_metadata(value, "app-1")
    stored = json.loads(json.dumps(metadata_json(client)))
    assert stored["client_id"] == "app-1"
    assert read_metadata(stored, stored["client_id"]) == client


def test_a_full_registration_is_answered_as_it_came() -> None:
    assert metadata_json(read_metadata(FULL, "app-1")) == {"client_id": "app-1", **FULL}


def test_a_service_is_answered_without_what_it_has_not() -> None:
    answer = metadata_json(read_metadata(SERVICE, "svc"))
    want = {**SERVICE, "client_id": "svc", "response_types": [], "jwks": {"keys": [{**RSA, "use": "sig"}]}}
    assert answer == want


@pytest.mark.parametrize("value", BAD_REDIRECT.values(), ids=BAD_REDIRECT)
def test_bad_redirect_uris(value: dict[str, Any]) -> None:
    with pytest.raises(OAuthError) as caught:
        read_metadata(value, "app-1")
    assert (caught.value.error, caught.value.status) == ("invalid_redirect_uri", 400)


@pytest.mark.parametrize("value", BAD_METADATA.values(), ids=BAD_METADATA)
def test_bad_metadata(value: object) -> None:
    with pytest.raises(OAuthError) as caught:
        read_metadata(value, "app-1")
    assert (caught.value.error, caught.value.status) == ("invalid_client_metadata", 400)


def test_a_bad_id_is_refused_too() -> None:
    assert read_metadata(APP, "a" * 255) == Client("a" * 255, "App", redirect_uris=(REDIRECT,))
    with pytest.raises(OAuthError, match="client id"):
        read_metadata(APP, "a" * 256)
