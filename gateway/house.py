"""What commands and server share of one gateway: its keys, vault, ledger and consents, open for use.

The process clock and the ids of requests enter here and nowhere else. Nothing of it knows the web.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from gateway import mapping, policy
from gateway.auth.people.agreeing import relatives_of
from gateway.auth.store.database import Database
from gateway.config import Settings
from gateway.config import Upstream as UpstreamSettings
from gateway.consents.entries import ERASE, FOLLOWED, Erased, Erasure
from gateway.consents.follow import Followed, Follower
from gateway.consents.intake import ConsentIntake, Ours
from gateway.consents.registry import Registry
from gateway.consents.scope import scope_parser
from gateway.consents.service import ConsentService
from gateway.core.canon import Json, b64url
from gateway.core.consent.document import ParseScope
from gateway.core.consent.membership import Membership
from gateway.core.consent.rule import ORGANIZATION
from gateway.core.consent.rules import Implicit, Rules
from gateway.core.fhir import match
from gateway.core.fhir.catalogue import VERSIONS, Catalogue, Release
from gateway.core.labels.findings import Context, Policy
from gateway.core.record import Draft
from gateway.core.studies.datatypes import Dates
from gateway.core.studies.pseudonyms import Pseudonyms, study_key
from gateway.core.studies.study import Study, coding_of, instant_of
from gateway.core.tlog.opened import OpenedEntry
from gateway.core.tlog.tree import leaf_hash
from gateway.core.values import Label, Term
from gateway.entropy import random_bytes
from gateway.errors import ConfigError, Gone, LedgerUnavailable, VerificationFailed
from gateway.ledger.keys import KeyRing, load_keys
from gateway.ledger.ledger import Ledger
from gateway.ledger.reading import Receipt
from gateway.ledger.recorder import LedgerReader, Recorder
from gateway.ledger.remote import RemoteLedger, open_or_connect
from gateway.ledger.server import LedgerServer
from gateway.ledger.store import StoredEntry
from gateway.ledger.token_key_files import TokenKeyFiles
from gateway.ledger.token_keys import ISSUER
from gateway.ledger.vault import Vault
from gateway.tokens.mint import Minter
from gateway.tokens.own import OwnKeys

REQUEST_ID_BYTES = 12
SECRET_BYTES = 32


def now_ms() -> int:
    """Milliseconds since the epoch: the one clock."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    return random_bytes(REQUEST_ID_BYTES).hex()


def new_secret() -> str:
    """43 characters of base64url, 256 random bits."""
    return b64url(random_bytes(SECRET_BYTES))


@dataclass(frozen=True, slots=True)
class OpenHouse:
    """Keys, ledger and consents of one gateway, open for use. `policy` is the digest of what decides."""

    settings: Settings
    keys: KeyRing
    ledger: Ledger | RemoteLedger
    recorder: Recorder
    reader: LedgerReader
    consents: Follower
    service: ConsentService
    minter: Minter
    policy: str

    def entries(self, kinds: frozenset[str], after: int) -> Iterator[OpenedEntry]:
        """The entries of `kinds` with an index above `after`, oldest first, but for those that nobody can
        open any more. Raises VerificationFailed for one that is not what the ledger says."""
        for stored in self.ledger.entries_of(kinds, after):
            with suppress(Gone):
                yield self.reader.open(stored)

    async def record(self, drafts: Sequence[Draft]) -> list[Receipt]:
        """Seals and appends; durable when it returns."""
        at_ms = now_ms()
        sealed = [
            self.recorder.seal(draft.kind, draft.facts, draft.patient, at_ms, draft.attachments)
            for draft in drafts
        ]
        return await self.ledger.append(sealed)


@asynccontextmanager
async def open_house(settings: Settings) -> AsyncIterator[OpenHouse]:
    """Opens the ledger: as its writer, with a socket for other processes, or through the writer there is.

    What it gives belongs to the running event loop.

    Raises:
        ConfigError: keys or ledger are missing, or are another ledger's.
        VerificationFailed: the ledger is not what its last published head says, or a consent in it cannot
            be opened.
    """
    keys = load_keys(settings.ledger.keys)
    if keys.origin != settings.ledger.origin:
        raise ConfigError(
            f"The keys are those of the ledger {keys.origin!r}, not of {settings.ledger.origin!r}: "
            "correct `origin`, or point `keys` to its own folder."
        )
    async with AsyncExitStack() as stack:
        vault = Vault(settings.ledger.store.with_name("vault.db"), keys.kek)
        stack.callback(vault.close)
        ledger = await open_or_connect(settings.ledger.store, keys, now_ms)
        stack.callback(ledger.close)
        if isinstance(ledger, Ledger):
            server = LedgerServer(ledger, settings.ledger.store)
            await server.start()
            stack.push_async_callback(server.close)
        house = _house(settings, keys, vault, ledger)
        _follow_all(house.consents)
        yield house


def _follow_all(consents: Follower) -> None:
    """A gateway that cannot follow the consents could answer nothing but 503, so it does not start."""
    try:
        consents.at_head()
    except LedgerUnavailable as error:
        if not isinstance(error.__cause__, VerificationFailed):
            raise
        raise VerificationFailed(
            f"{error.__cause__.text}, so no consent can be relied on; restore the ledger and its vault from "
            "copies that verify (`consentry ledger verify`)."
        ) from error


def _house(settings: Settings, keys: KeyRing, vault: Vault, ledger: Ledger | RemoteLedger) -> OpenHouse:
    registry = Registry(_any_scope())
    reader, recorder = LedgerReader(ledger.reader, vault), Recorder(vault, keys.gateway)
    decides = policy.digest_of(settings)

    def entries(after: int) -> Iterator[Followed]:
        return (_followed(stored, reader) for stored in ledger.entries_of(FOLLOWED, after))

    async def record(
        kind: str, facts: Mapping[str, Json], patient: str, attachments: Mapping[str, str]
    ) -> Receipt:
        common = {"pat": f"Patient/{patient}", "rid": new_id(), "act": "operator", "pol": decides}
        entry = recorder.seal(kind, {**common, **facts}, patient, now_ms(), attachments)
        [receipt] = await ledger.append([entry])
        return receipt

    return OpenHouse(
        settings,
        keys,
        ledger,
        recorder,
        reader,
        Follower(registry, ledger.consent_mark, entries),
        ConsentService(
            registry,
            record,
            new_id,
            lambda: now_ms() // 1000,
            _served_scope(settings),
            reading_of(settings)[0],
        ),
        Minter(OwnKeys(TokenKeyFiles(keys.folder, ISSUER)), settings.issuer),
        decides,
    )


def _followed(stored: StoredEntry, reader: LedgerReader) -> Followed:
    if stored.kind == ERASE:
        return Erasure(stored.index)
    try:
        return reader.open(stored)
    except Gone:
        return Erased(stored.index, leaf_hash(stored.leaf))


def _any_scope() -> ParseScope:
    """Reads the scopes of consents that are in the ledger, whatever is served today: what mappings and
    upstreams no longer know stays readable, and is decided with the rest."""
    types = (mapping.load_catalogue(release).types for release in VERSIONS)
    return scope_parser(frozenset().union(*types), lambda _kind, _term: True)


def _served_scope(settings: Settings) -> ParseScope:
    """Reads the scopes of a new consent: one that every upstream with its type can decide."""
    served = [catalogue_of(upstream) for upstream in settings.upstreams]

    def evaluable(kind: str, term: Term) -> bool:
        return all(match.evaluable(known, kind, term) for known in served if kind in ("*", *known.types))

    return scope_parser(frozenset().union(*(known.types for known in served)), evaluable)


def intake_of(settings: Settings, service: ConsentService, database: Database) -> ConsentIntake:
    """Where FHIR Consents come in and go out; `database` is the authorization server's."""
    upstreams = settings.upstreams
    bases = [base for upstream in upstreams for base in (settings.audience(upstream), upstream.base_url)]
    ours = Ours(
        tuple(dict.fromkeys(bases)),
        {release: frozenset(mapping.load_catalogue(release).types) for release in VERSIONS},
        settings.consent.organization,
        frozenset(Label(*coding.rsplit("|", 1)) for coding in settings.consent.categories),
        settings.consent.verified_only,
        settings.consent.nesting == "contain",
        _above(settings),
    )
    return ConsentIntake(service, ours, partial(relatives_of, database), new_id, lambda: now_ms() // 1000)


def usual_release(settings: Settings) -> Release | None:
    """The FHIR release of the upstreams, if they all have the same."""
    releases = {upstream.fhir_version for upstream in settings.upstreams}
    return cast("Release", releases.pop()) if len(releases) == 1 else None


def _above(settings: Settings) -> frozenset[str]:
    """The ids of the organisations that our own is part of, itself included; none if it is not named."""
    own, membership = settings.consent.organization, Membership(settings.consent.part_of)
    wholes = membership.closed(frozenset({f"{ORGANIZATION}:{own}"})) if own is not None else ()
    return frozenset(whole.partition(":")[2] for whole in wholes)


def reading_of(settings: Settings) -> tuple[Rules, Membership]:
    """How consents are read here, and who belongs to whom."""
    consent = settings.consent
    membership = Membership(consent.part_of, consent.groups)
    custodians = frozenset(f"{ORGANIZATION}:{name}" for name in consent.custodians)
    rules = Rules(
        implicit=Implicit(consent.implicit),
        contained=consent.nesting == "contain",
        custodians=membership.closed(custodians) or None,
        holds=frozenset(consent.legal_hold),
    )
    return rules, membership


def label_policy(settings: Settings) -> Policy:
    """How sensitive records are known here."""
    labels = settings.labels
    return Policy(
        confidence=labels.confidence,
        context=cast("Context", labels.context),
        part2_organizations=_programmes(settings),
        part2_sources=frozenset(labels.part2_sources),
        employees=frozenset(labels.employees),
        vips=frozenset(labels.vips),
        victims=frozenset(labels.victims),
        adolescent=None if labels.adolescent is None else _ages(labels.adolescent),
    )


def _programmes(settings: Settings) -> frozenset[str]:
    """The organisations under 42 CFR Part 2, with all that are part of them."""
    named, part_of = frozenset(settings.labels.part2_organizations), settings.consent.part_of
    membership = Membership(part_of)
    above = {name: membership.closed(frozenset({f"{ORGANIZATION}:{name}"})) for name in part_of}
    programmes = frozenset(f"{ORGANIZATION}:{name}" for name in named)
    parts = {name for name, found in above.items() if not programmes.isdisjoint(found)}
    return frozenset(f"Organization/{name}" for name in named | parts)


def _ages(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last)


def studies_of(settings: Settings, kek: bytes, upstream: UpstreamSettings) -> tuple[Study, ...]:
    """The studies as they are at one upstream. Raises ConfigError for one whose role is not for studies."""
    for problem in roles_not_for_studies(settings):
        raise ConfigError(problem)
    return tuple(
        Study(
            id=study.id,
            role=study.role,
            clients=frozenset(study.clients),
            codes=tuple(map(coding_of, study.codes)),
            until=instant_of(study.until),
            dates=cast("Dates", study.dates),
            pseudonyms=Pseudonyms(study_key(kek, upstream.name, study.id, study.dates)),
        )
        for study in settings.studies
    )


def roles_not_for_studies(settings: Settings) -> Iterator[str]:
    """What is wrong with the roles that studies name."""
    profiles = mapping.load_profiles()
    for study in settings.studies:
        if study.role not in profiles or not profiles[study.role].in_studies:
            yield f"studies: {study.id}: mappings/roles/{study.role}.yaml is not there, or has no transform"


def catalogue_of(upstream: UpstreamSettings) -> Catalogue:
    return mapping.load_catalogue(cast("Release", upstream.fhir_version))


def auth_database_of(settings: Settings) -> Path:
    """Where the authorization server keeps its clients, people and grants: beside the ledger."""
    return settings.ledger.store.with_name("auth.db")
