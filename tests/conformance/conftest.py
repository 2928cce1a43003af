"""A gateway over HTTP and one over TLS, each once for all tests of this folder; every test runs on both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.conformance.certificates import authority_and_site
from tests.conformance.driver import Kit
from tests.conformance.key_server import key_server
from tests.conformance.records import records
from tests.conformance.site import Site, site
from tests.upstreams.base import Upstream
from tests.upstreams.sandbox import sandbox


@pytest.fixture(scope="package")
def hospital() -> Iterator[Upstream]:
    with sandbox() as upstream:
        for each in records():
            upstream.load(each)
        yield upstream


@pytest.fixture(scope="package")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where services publish their keys. The gateway trusts its authority as the system's."""
    authority, own = authority_and_site(tmp_path_factory.mktemp("keys"))
    with pytest.MonkeyPatch.context() as environment, key_server(own) as address:
        environment.setenv("SSL_CERT_FILE", str(authority))
        yield address


@pytest.fixture(scope="package", params=["http", "tls"])
def place(
    request: pytest.FixtureRequest,
    hospital: Upstream,
    published: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("conformance")
    with site(folder, hospital.base_url, tls=request.param == "tls", key_server=published) as running:
        yield running


@pytest.fixture(scope="package")
def kit(place: Site) -> Iterator[Kit]:
    with closing(Kit(place)) as made:
        yield made
