"""The clients from PyPI: SMART's fhirclient, and fhirpy in both its kinds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from fhirclient.client import FHIRClient
from fhirclient.models.fhirelementfactory import FHIRElementFactory
from fhirclient.models.fhirsearch import FHIRSearch
from fhirclient.server import (
    FHIRNotFoundException,
    FHIRPermissionDeniedException,
    FHIRUnauthorizedException,
)
from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import AuthorizationError, ForbiddenError, ResourceNotFound

from tests.browser.sites import done
from tests.clients.reading import Client, Connect, Refused, Resource


@contextmanager
def fhirclient() -> Iterator[Connect]:
    with ExitStack() as stack:

        def connect(base: str, token: str) -> Client:
            server = FHIRClient(settings={"app_id": "app-1", "api_base": base}).server
            stack.callback(server.session.close)
            assert not server.prepare()  # it has read where people are asked, and wants a token
            server.auth.access_token = token
            assert server.ready
            return _Fhirclient(server)

        yield connect


@contextmanager
def fhirpy() -> Iterator[Connect]:
    yield lambda base, token: _Fhirpy(SyncFHIRClient(base, authorization=f"Bearer {token}"))


@contextmanager
def fhirpy_async() -> Iterator[Connect]:
    yield lambda base, token: _AsyncFhirpy(AsyncFHIRClient(base, authorization=f"Bearer {token}"))


class _Fhirclient:
    def __init__(self, server: Any) -> None:
        self._server = server

    def read(self, kind: str, id: str) -> Resource:
        with _fhirclient_refused():
            resource: Resource = _model(kind).read(id, self._server).as_json()
            return resource

    def search(self, kind: str, **criteria: str) -> list[Resource]:
        with _fhirclient_refused():
            found = FHIRSearch(_model(kind), criteria).perform_resources_iter(self._server)
            return [resource.as_json() for resource in found]


def _model(kind: str) -> Any:
    return type(FHIRElementFactory.instantiate(kind, None))


@contextmanager
def _fhirclient_refused() -> Iterator[None]:
    try:
        yield
    except (FHIRUnauthorizedException, FHIRPermissionDeniedException, FHIRNotFoundException) as error:
        raise Refused(error.response.status_code) from error


class _Fhirpy:
    def __init__(self, client: SyncFHIRClient) -> None:
        self._client = client

    def read(self, kind: str, id: str) -> Resource:
        with _fhirpy_refused():
            return _plain(self._client.reference(kind, id).to_resource())

    def search(self, kind: str, **criteria: str) -> list[Resource]:
        with _fhirpy_refused():
            return [_plain(one) for one in self._client.resources(kind).search(**criteria).fetch_all()]


class _AsyncFhirpy:
    def __init__(self, client: AsyncFHIRClient) -> None:
        self._client = client

    def read(self, kind: str, id: str) -> Resource:
        with _fhirpy_refused():
            return _plain(done(self._client.reference(kind, id).to_resource()))

    def search(self, kind: str, **criteria: str) -> list[Resource]:
        with _fhirpy_refused():
            found = done(self._client.resources(kind).search(**criteria).fetch_all())
            return [_plain(one) for one in found]


def _plain(resource: Any) -> Resource:
    plain: Resource = resource.serialize()
    return plain


@contextmanager
def _fhirpy_refused() -> Iterator[None]:
    statuses = {AuthorizationError: 401, ForbiddenError: 403, ResourceNotFound: 404}
    try:
        yield
    except tuple(statuses) as error:
        raise Refused(statuses[type(error)]) from error
