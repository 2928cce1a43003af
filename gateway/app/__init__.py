"""The composition root: settings become a running gateway. The only module that knows every part.

`application` puts the web, the walk and the authorization server in front of an open house. All other
randomness enters here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp

from gateway import mapping
from gateway.app.glass import policy_of, sender_of
from gateway.app.log_in import provider_of
from gateway.auth.clients.register import Registration, Terms
from gateway.auth.discovery import well_known_of
from gateway.auth.log_in import LogIn
from gateway.auth.ports import Base
from gateway.auth.ports import Ports as AuthPorts
from gateway.auth.server import (
    AuthorizationServer,
    BreakGlass,
    authorization_server,
    open_database,
    scopes_served,
)
from gateway.auth.store.database import Database
from gateway.auth.tokens.openid import IdTokens
from gateway.casebook import Casebook
from gateway.config import Issuer as IssuerSettings
from gateway.config import Settings
from gateway.config import Upstream as UpstreamSettings
from gateway.core.fhir import match
from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.facts import Inspector
from gateway.core.fhir.telling import Notice
from gateway.core.labels.remembered import Labelling
from gateway.core.roles.ceiling import Roles
from gateway.core.smart.discovery import capability_security
from gateway.core.smart.issuers import IssuerRule
from gateway.core.smart.scopes import Evaluable
from gateway.core.standing import House
from gateway.core.tlog.disclosure import derive_keys
from gateway.entropy import random_bytes
from gateway.house import (
    OpenHouse,
    auth_database_of,
    catalogue_of,
    intake_of,
    label_policy,
    new_id,
    new_secret,
    now_ms,
    reading_of,
    studies_of,
    usual_release,
)
from gateway.ledger.token_key_files import TokenKeyFiles
from gateway.ledger.token_keys import OPENID
from gateway.pipeline import serve
from gateway.ports import Incoming, Ports
from gateway.renewal import may_renew
from gateway.tokens.fetch import HttpxFetch
from gateway.tokens.keysets import FileKeys, Keys, RemoteKeys
from gateway.tokens.own import OwnKeys
from gateway.tokens.pages import PageSealer
from gateway.tokens.used_proofs import UsedProofs
from gateway.tokens.verifier import Issuer, Verifier
from gateway.tokens.vouching import Authorities
from gateway.upstream.client import Upstream
from gateway.web.admin import admin_routes
from gateway.web.admin_fhir import FhirConsents
from gateway.web.capabilities import capability_statement
from gateway.web.fhir import FhirEndpoint
from gateway.web.health import health_routes
from gateway.web.ledger import ledger_routes
from gateway.web.metrics import Metrics
from gateway.web.operator import guarded_by
from gateway.web.previews import preview_routes
from gateway.web.routes import Dispatcher
from gateway.web.senders import AddressHeader, Senders, Trust


def application(house: OpenHouse, authorities: Authorities | None = None) -> ASGIApp:
    """The gateway's web application. Its lifespan opens the connections to the upstreams, and tidies up
    behind the authorization server. `authorities` vouch for clients' certificates. Raises StateUnavailable if
    the authorization server's database cannot be used."""
    settings, metrics = house.settings, Metrics()
    hosts = _hosts(settings)
    upstreams = {u.path: transport_to(u) for u in settings.upstreams}
    fetch = HttpxFetch()
    database = open_database(auth_database_of(settings))
    used_proofs = UsedProofs(settings.ledger.store.with_name("proofs.db"))
    walks: dict[str, Ports] = {}
    auth = _authorization_server(house, database, fetch, used_proofs, authorities, walks)
    fhir: dict[str, ASGIApp] = {}
    for upstream in settings.upstreams:
        security = capability_security(auth.servers[settings.audience(upstream)], cors=True)
        ports = ports_of(house, upstream, upstreams[upstream.path], fetch, security)
        ports = replace(ports, used_proofs=used_proofs)
        walks[upstream.name] = ports
        most = settings.server.max_body_bytes
        endpoint = FhirEndpoint(ports, upstream.path, hosts, metrics, most, auth.origins)
        house.ledger.under_way.add(_counting(endpoint))
        fhir[upstream.path] = endpoint

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.callback(database.close)
            stack.callback(used_proofs.close)
            for transport in upstreams.values():
                await stack.enter_async_context(transport)
            tidying = asyncio.create_task(auth.tidy())
            stack.callback(tidying.cancel)
            notifying = asyncio.create_task(auth.notify())
            stack.callback(notifying.cancel)
            yield

    rest = Starlette(
        routes=[
            Mount("/ledger", app=_routed(ledger_routes(house.ledger))),
            Mount("/admin", app=_routed(_operators(house, walks, database))),
            *health_routes(house.ledger, house.consents, metrics),
            *auth.routes,
        ],
        lifespan=lifespan,
    )
    rest.router.redirect_slashes = False
    dispatcher = Dispatcher(fhir, rest, hosts, [well_known_of(base) for base in auth.servers])
    return Senders(dispatcher, _trust(settings))


def _operators(house: OpenHouse, walks: Mapping[str, Ports], database: Database) -> list[Route]:
    """What operators use; `walks` is by the upstream's name."""
    guarded = guarded_by(house.keys.operator_secret, house.consents)
    fhir = FhirConsents(intake_of(house.settings, house.service, database), usual_release(house.settings))
    previews = preview_routes(house.service, fhir, walks, house.settings.issuer, guarded)
    return [*admin_routes(house.service, fhir, guarded), *previews]


def _trust(settings: Settings) -> Trust:
    """Who is believed about who sent a request."""
    header = cast("AddressHeader", settings.server.client_address_header)
    return Trust(settings.server.trusted_proxies, header, settings.tls.asks)


def _authorization_server(
    house: OpenHouse,
    database: Database,
    fetch: HttpxFetch,
    used_proofs: UsedProofs,
    authorities: Authorities | None,
    walks: Mapping[str, Ports],
) -> AuthorizationServer:
    """`walks`, by the upstream's name, are there when the first request comes."""
    settings, keys = house.settings, house.keys
    token = settings.auth.registration_token
    id_tokens = None
    if keys.openid_jwk is not None:
        id_tokens = IdTokens(OwnKeys(TokenKeyFiles(keys.folder, OPENID)), settings.issuer)
    scopes = scopes_served(sign_on=id_tokens is not None)
    verifiers: dict[str, Verifier] = {}
    bases: dict[str, Base] = {}
    names = {settings.audience(upstream): upstream.name for upstream in settings.upstreams}
    for upstream in settings.upstreams:
        catalogue, url = catalogue_of(upstream), settings.audience(upstream)
        types, evaluable = frozenset(catalogue.types), _evaluable(catalogue)
        bases[url] = Base(url, catalogue.release, types, evaluable, scopes)
        verifiers[url] = Verifier([_own_issuer(house, url)], types=types, evaluable=evaluable)
    ports = AuthPorts(
        issuer=settings.issuer,
        bases=bases,
        policy=house.policy,
        database=database,
        minter=house.minter,
        verify=lambda text, base, now_s: verifiers[base].verify(text, base, now_s),
        consents=house.consents,
        service=house.service,
        record=house.record,
        fetch=fetch,
        now_ms=now_ms,
        new_id=new_id,
        new_secret=new_secret,
        id_tokens=id_tokens,
        read=lambda base, text, path, query: _walked(walks[names[base]], text, path, query),
        may_renew=lambda base, given, now_s: may_renew(walks[names[base]], given, now_s),
        case_roots={role: profile.roots for role, profile in mapping.load_profiles().items()},
        used_proofs=used_proofs,
        certificates=settings.tls.asks,
        authorities=authorities,
    )
    registration = cast("Registration", settings.auth.registration)
    by_token = token.value if token is not None and registration == "token" else None
    most = tuple(scope for scope in scopes if not scope.startswith("system/"))
    terms = Terms(registration, most, by_token)
    providers = [provider_of(each) for each in settings.login_providers]
    log_in = LogIn(settings.auth.local_log_in, providers, fetch)
    glass = BreakGlass(policy_of(settings.break_glass), house.entries, sender_of(settings.break_glass, fetch))
    return authorization_server(
        ports, kek=keys.kek, operator_secret=keys.operator_secret, terms=terms, log_in=log_in, glass=glass
    )


async def _walked(walk: Ports, text: str, path: bytes, query: bytes) -> tuple[int, bytes]:
    """The answer to a GET of our own, with a token as bearer."""
    bearer = [f"Bearer {text}".encode()]
    answer = await serve(walk, Incoming("GET", path, query, {}, bearer, b""))
    return answer.status, answer.body


def _counting(endpoint: FhirEndpoint) -> Callable[[], int]:
    """How many records may be on their way to the ledger, so that it commits them together."""
    return lambda: endpoint.under_way


def _routed(routes: Sequence[Route]) -> Router:
    """Nobody is redirected for a slash: the address would be built on whatever Host the client sent."""
    return Router(routes, redirect_slashes=False)


def transport_to(settings: UpstreamSettings) -> Upstream:
    return Upstream(
        settings.base_url,
        timeout_s=settings.timeout_s,
        max_bytes=settings.max_body_bytes,
        authorization=None if settings.authorization is None else settings.authorization.value,
    )


def ports_of(
    house: OpenHouse,
    upstream: UpstreamSettings,
    transport: Upstream,
    fetch: HttpxFetch,
    security: Mapping[str, object],
) -> Ports:
    """What the walk to one upstream stands on. `security` is that part of its CapabilityStatement."""
    catalogue = catalogue_of(upstream)
    public = house.settings.audience(upstream)
    bases = Bases(public, upstream.base_url)
    statement = capability_statement(catalogue, public, _today(), security)
    verifier = Verifier(
        _issuers(house, upstream, fetch), types=catalogue.types, evaluable=_evaluable(catalogue)
    )
    return Ports(
        house=House(
            catalogue,
            bases,
            upstream.narrow_limit,
            *reading_of(house.settings),
            Labelling(mapping.load_labeller(label_policy(house.settings), bases, catalogue)),
            Roles(
                mapping.load_profiles(),
                required=house.settings.consent.role_required,
                studies=studies_of(house.settings, house.keys.kek, upstream),
            ),
            mapping.load_interactions(),
        ),
        capabilities=json.dumps(statement, separators=(",", ":")).encode(),
        outlines=mapping.load_outlines(catalogue.release),
        facts_of=Inspector(catalogue, bases),
        audience=public,
        policy=house.policy,
        max_count=upstream.max_count,
        verify=verifier.verify,
        consents=house.consents,
        upstream=transport,
        record=house.record,
        pages=PageSealer(derive_keys(house.keys.kek).enc, random_bytes, public),
        now_ms=now_ms,
        new_id=new_id,
        notice=cast("Notice", house.settings.consent.notice),
        cases=Casebook(house.settings.consent.case_kept),
    )


def _issuers(house: OpenHouse, upstream: UpstreamSettings, fetch: HttpxFetch) -> Iterator[Issuer]:
    """Those configured for this upstream, and our own, whose tokens say what they rest on."""
    base = house.settings.audience(upstream)
    yield _own_issuer(house, base)
    for issuer in house.settings.issuers_of(upstream):
        yield Issuer(_rule(issuer, base), _keys(issuer, fetch))


def _own_issuer(house: OpenHouse, base: str) -> Issuer:
    rule = IssuerRule(house.settings.issuer, base, (house.minter.algorithm,), "lookup", own=True)
    return Issuer(rule, house.minter.keys)


def _rule(issuer: IssuerSettings, base: str) -> IssuerRule:
    return IssuerRule(
        issuer.issuer,
        issuer.audience,
        issuer.algorithms,
        cast("Literal['claim', 'lookup']", issuer.binding),
        issuer.default_purpose,
        issuer.max_lifetime_s,
        base,
    )


def _keys(issuer: IssuerSettings, fetch: HttpxFetch) -> Keys:
    return FileKeys(issuer.jwks) if isinstance(issuer.jwks, Path) else RemoteKeys(issuer.jwks, fetch)


def _hosts(settings: Settings) -> frozenset[bytes]:
    """The Host values that are ours: the public one, and the address that is listened on."""
    server = settings.server
    listening = f"[{server.host}]" if ":" in server.host else server.host
    names = {urlsplit(server.public_url).netloc, f"{listening}:{server.port}"}
    if server.host in ("127.0.0.1", "::1", "0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        names |= {f"{name}:{server.port}" for name in ("127.0.0.1", "[::1]", "localhost")}
    return frozenset(name.lower().encode() for name in names)


def _today() -> str:
    return datetime.fromtimestamp(now_ms() // 1000, UTC).date().isoformat()


def _evaluable(catalogue: Catalogue) -> Evaluable:
    return lambda kind, term: match.evaluable(catalogue, kind, term)
