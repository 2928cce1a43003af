"""The transport, where the gateway is served over TLS.

The certificate is given to uvicorn here: what is shown of versions is of uvicorn and OpenSSL, as they are
without further settings. The gateway's own TLS is in `tests/cli/test_serve_tls.py`.
"""

from __future__ import annotations

import socket
import ssl
import warnings
from contextlib import closing
from urllib.parse import urlsplit

import httpx
import pytest

from tests.conformance.assertions import shows
from tests.conformance.browser import Browser
from tests.conformance.driver import Kit

pytestmark = pytest.mark.parametrize("place", ["tls"], indirect=True, scope="package")

ENDPOINTS = ("authorization_endpoint", "token_endpoint")


def spoken(kit: Kit, endpoint: str, only: ssl.TLSVersion) -> str | None:
    """What an endpoint speaks with a client that knows this version alone. Raises OSError."""
    context = ssl.create_default_context(cafile=kit.site.place.folder / "authority.pem")
    context.set_ciphers("ALL:@SECLEVEL=0")  # so that it is not the client that refuses
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = only
    parts = urlsplit(kit.configuration[endpoint])
    with (
        socket.create_connection((parts.hostname or "", parts.port or 443), 10) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname) as connection,
    ):
        return connection.version()


@shows(27)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("only", ["TLSv1", "TLSv1_1"])
def test_old_versions_are_refused(kit: Kit, endpoint: str, only: str) -> None:
    with pytest.raises(OSError, match=r"EOF|reset|ALERT_PROTOCOL_VERSION"):  # it is the server that ends it
        spoken(kit, endpoint, ssl.TLSVersion[only])


@shows(27)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("only", ["TLSv1_2", "TLSv1_3"])
def test_newer_versions_are_spoken(kit: Kit, endpoint: str, only: str) -> None:
    assert spoken(kit, endpoint, ssl.TLSVersion[only]) == only.replace("_", ".")


@shows(27)
def test_the_certificate_has_to_be_trusted(kit: Kit) -> None:
    trusts_nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with (
        httpx.Client(verify=trusts_nobody, trust_env=False, timeout=60) as stranger,
        pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        stranger.get(kit.token_url)


@shows(27)
def test_a_get_of_the_token_endpoint_is_answered(kit: Kit) -> None:
    assert kit.http.get(kit.token_url).status_code == 405


def test_cookies_are_this_hosts_alone(kit: Kit) -> None:
    with closing(Browser(kit.site)) as browser:
        page = browser.client.get(f"{kit.site.url}/auth/login")
    cookie = page.headers["set-cookie"]
    assert cookie.startswith("__Host-")
    assert {"Secure", "HttpOnly", "Path=/"} <= {part.strip() for part in cookie.split(";")}
