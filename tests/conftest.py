"""The upstreams that tests run against: one interface, three servers, each started once a session.

HAPI takes longest, so it starts in the background as soon as a chosen test is known to need it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest
from hypothesis import HealthCheck, settings

from tests.upstreams.base import Missing, Upstream
from tests.upstreams.hapi import hapi
from tests.upstreams.medplum import medplum
from tests.upstreams.sandbox import sandbox

pytest_plugins = ["tests.support.require"]

# However the tests were started (nohup, in the background), what they start hears these signals.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

# Machines differ: no law fails for being slow, and one that CI finds broken breaks the same way again.
settings.register_profile(
    "consentry",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.register_profile("thorough", settings.get_profile("consentry"), max_examples=5000)
settings.load_profile("consentry")

UPSTREAMS: dict[str, Callable[[], AbstractContextManager[Upstream]]] = {
    "sandbox": sandbox,
    "medplum": medplum,
    "hapi": hapi,
}

_Early = tuple[AbstractContextManager[Upstream], Future[Upstream]]
_early = pytest.StashKey[_Early]()


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.option.collectonly or not any(map(_needs_hapi, session.items)):
        return
    server = hapi()
    starter = ThreadPoolExecutor(max_workers=1)
    session.stash[_early] = (server, starter.submit(server.__enter__))
    starter.shutdown(wait=False)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    early = session.stash.get(_early, None)
    if early is not None and early[1].exception() is None:  # waits for a start that no test has waited for
        early[0].__exit__(None, None, None)


@pytest.fixture(scope="session", params=list(UPSTREAMS))
def upstream(request: pytest.FixtureRequest) -> Iterator[Upstream]:
    """A running FHIR server of each kind, with whatever earlier tests left in it."""
    try:
        if request.param == "hapi":
            yield request.session.stash[_early][1].result()
        else:
            with UPSTREAMS[request.param]() as running:
                yield running
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def empty_upstream(upstream: Upstream) -> Upstream:
    """The same, with nothing in it."""
    upstream.wipe()
    return upstream


def _needs_hapi(item: pytest.Item) -> bool:
    return (
        isinstance(item, pytest.Function)
        and getattr(item, "callspec", None) is not None
        and (item.callspec.params.get("upstream") == "hapi")
    )
