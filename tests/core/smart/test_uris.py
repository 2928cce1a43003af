"""The addresses that can be registered, each beside the nearest ones that cannot."""

from __future__ import annotations

import pytest

from gateway.core.smart.uris import MAX_URI, check_app, check_https, check_web, origin

WEB = {
    "https://app.example/callback": "https://app.example",
    "https://app.example": "https://app.example",
    "https://app.example:8443/a?b=c&d=%2F": "https://app.example:8443",
    "https://app.example:443/": "https://app.example",
    "https://APP.example/cb": "https://app.example",
    "https://inferno_host/custom/smart/redirect": "https://inferno_host",
    "https://192.0.2.7/cb": "https://192.0.2.7",
    "https://[2001:db8::1]/cb": "https://[2001:db8::1]",
    "http://localhost:4567/inferno/redirect": "http://localhost:4567",
    "http://127.0.0.1/cb": "http://127.0.0.1",
    "http://127.0.0.1:80/cb": "http://127.0.0.1",
    "http://[::1]:3000/cb": "http://[::1]:3000",
    "https://app.example/" + "a" * (MAX_URI - 20): "https://app.example",
}
NOT_WEB = [
    "",
    "/callback",
    "//app.example/cb",
    "app.example/cb",
    "https:",
    "https://",
    "https:///cb",
    "https:app.example",
    "https:/app.example",
    "HTTPS://app.example/cb",
    "http://app.example/cb",
    "http://localhost.evil.example/cb",
    "http://127.0.0.2/cb",
    "http://[::2]/cb",
    "https://app.example/cb#",
    "https://app.example/cb#part",
    "https://user@app.example/cb",
    "https://user:word@app.example/cb",
    "https://@app.example/cb",
    "https://app.example\\@evil.example/cb",
    "https://app.example/a b",
    "https://app.example/cb\n",
    "\thttps://app.example/cb",
    "https://app.example/%",
    "https://app.example/%4",
    'https://app.example/"',
    "https://app.example/<b>",
    "https://äpp.example/cb",
    "https://%61pp.example/cb",
    "https://app..example/cb",
    "https://.example/cb",
    "https://-app.example/cb",
    "https://app.example:/cb",
    "https://app.example:0/cb",
    "https://app.example:65536/cb",
    "https://app.example:8a/cb",
    "https://*.example/cb",
    "https://[::1/cb",
    "https://[::1]x/cb",
    "https://[::x]/cb",
    "https://[0:0:0:0:0:0:0:1]/cb",
    "ftp://app.example/cb",
    "javascript:alert(1)",
    "data:text/html,x",
    "com.example.app:/cb",
    "https://app.example/" + "a" * (MAX_URI - 19),
    "https://" + "a." * 127 + "example/cb",
]
APP = [
    "com.example.app:/cb",
    "com.example.app://oauth/cb?x=1",
    "com.example-2.app+x:/",
    "com.example.app:///cb",
    "com.example.app://oauth",
    "com.example.app:/a@b?c@d",
    "https://a.example/cb",
]
NOT_APP = [
    "myapp:/cb",
    "javascript:/cb",
    "com.example.app:cb",
    "com.example.app:",
    "Com.example.app:/cb",
    "com..app:/cb",
    ".com.app:/cb",
    "com.example.:/cb",
    "com.example.app://user@host/cb",
    "com.example.app://[::x]/cb",
    "com.example.app://host:1/cb",
    "com.example.app:/cb#part",
    "com.example.app:/c b",
    "com.example.app:/cb\n",
    "com.example.app:/" + "a" * MAX_URI,
    "http://a.example/cb",
]


@pytest.mark.parametrize(("uri", "want"), WEB.items(), ids=lambda text: text[:50])
def test_web_addresses(uri: str, want: str) -> None:
    check_web(uri, "it")
    check_app(uri, "it")
    assert origin(uri) == want


@pytest.mark.parametrize("uri", NOT_WEB, ids=lambda text: ascii(text[:50]))
def test_what_is_no_web_address(uri: str) -> None:
    with pytest.raises(ValueError, match=r"^it (is not|has no) ") as caught:
        check_web(uri, "it")
    assert caught.value.args[0].isascii()


@pytest.mark.parametrize("uri", APP)
def test_addresses_of_apps(uri: str) -> None:
    check_app(uri, "it")


@pytest.mark.parametrize("uri", NOT_APP, ids=lambda text: ascii(text[:50]))
def test_what_is_no_address_of_an_app(uri: str) -> None:
    with pytest.raises(ValueError, match=r"^it (is not|has no) "):
        check_app(uri, "it")


def test_private_use_schemes_have_no_origin() -> None:
    assert origin("com.example.app:/cb") is None


def test_key_sets_are_https_even_on_this_machine() -> None:
    check_https("https://127.0.0.1:8443/jwks.json", "it")
    for uri in ("http://127.0.0.1:8443/jwks.json", "https://a@127.0.0.1/jwks.json"):
        with pytest.raises(ValueError, match=r"^it "):
            check_https(uri, "it")
