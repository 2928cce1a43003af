"""Consents of an upstream followed: what is in force there is in force here, what ended there ends here.

The id of a consent that came this way begins with a digest of its upstream and of the id it has there, so
that it is found again; the rest is fresh, since an id is granted once. What ended here stays ended, whatever
the upstream says of it, but for what ended because the upstream had ended it. What is in force there and
cannot be honoured stands here as malformed: it permits nothing, nothing is implied beside it, and what it
denied before, as far as that was understood, it denies still. Nor is one missing here because another denies
the same: that one may be taken back before the next run. A list that may not be whole ends nothing.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from gateway.consents.intake import ConsentIntake
from gateway.consents.service import ConsentService
from gateway.core.canon import sha256
from gateway.core.consent.document import format_document
from gateway.core.consent.fhir.read import malformed
from gateway.core.consent.fhir.terms import Outcome, Read
from gateway.core.consent.rule import Consent, Effect, State, walk
from gateway.core.fhir import codec
from gateway.core.fhir.catalogue import Release
from gateway.core.fhir.searchset import Page, read_page
from gateway.core.values import Ask, UpstreamReply, is_id
from gateway.errors import BadRequest, Cause, UpstreamUnusable

ENDED_THERE, GONE_THERE = "source-ended", "source-gone"
_COUNT: Final = "100"
_MOST_PAGES: Final = 10_000  # a server whose pages never end is not followed for ever
_ODD: Final = frozenset("%\\;# \t\r\n")


class Change(enum.StrEnum):
    """What became of one Consent of the upstream."""

    GRANTED = "granted"
    CHANGED = "changed"
    REVOKED = "revoked"
    UNCHANGED = "unchanged"
    MALFORMED = "malformed"  # in force there, and stands here for nothing
    ENDED = "ended here"  # withdrawn or superseded here, and left so
    ASIDE = "set aside"  # not in force, no privacy consent, or another's to enforce
    REFUSED = "refused"  # without a patient of ours


@dataclass(frozen=True, slots=True)
class Synced:
    """`source` is the id of the Consent at its upstream, `consent` ours if there is one."""

    source: str
    change: Change
    consent: str | None = None
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """An upstream: its name, its base address without a closing slash, and how it is asked."""

    name: str
    base_url: str
    release: Release
    fetch: Callable[[Ask], Awaitable[UpstreamReply]]

    @property
    def prefix(self) -> str:
        """How the ids of all consents begin that came from here."""
        return f"up-{sha256(self.name.encode()).hex()[:8]}-"

    def prefix_of(self, source: str) -> str:
        return f"{self.prefix}{sha256(source.encode()).hex()[:24]}-"


class Synchroniser:
    """`why_ended` gives the reason of the entry that ended a consent, None if it has none; `at_head` brings
    what `service` shows to the ledger's head; `new_id` gives the fresh part of an id."""

    def __init__(
        self,
        service: ConsentService,
        intake: ConsentIntake,
        why_ended: Callable[[Consent], str | None],
        at_head: Callable[[], object],
        new_id: Callable[[], str],
    ) -> None:
        self._service = service
        self._intake = intake
        self._why_ended = why_ended
        self._at_head = at_head
        self._new_id = new_id

    async def run(
        self, source: Source, patient: str | None, now_s: int, *, may_be_none: bool = False
    ) -> AsyncIterator[Synced]:
        """What becomes of each Consent of the upstream, of one patient (id) or of all, as it is done. Without
        `may_be_none` an upstream that has none any more, where it had some, is taken to be out of order.

        Raises BadRequest, UpstreamUnusable, UpstreamTimeout and LedgerUnavailable; what was done until then
        stays.
        """
        seen: set[str] = set()
        async for name, raw in _consents(source, patient):
            seen.add(source.prefix_of(name))
            yield await self._follow(source, name, raw, now_s)
        self._at_head()
        mine = [c for c in self._service.starting(source.prefix) if patient in (None, c.patient)]
        gone = [c for c in mine if c.state is State.LIVE and not c.id.startswith(tuple(seen))]
        if gone and not seen and not may_be_none:
            raise BadRequest(
                f"There is no Consent any more where there were {len(gone)}; say if that may be."
            )
        for consent in gone:
            await self._service.revoke(consent.id, GONE_THERE)
            yield Synced("", Change.REVOKED, consent.id, ("is not there any more",))

    async def _follow(self, source: Source, name: str, raw: bytes, now_s: int) -> Synced:
        self._at_head()
        mine = self._service.starting(source.prefix_of(name))
        live = sorted((c for c in mine if c.state is State.LIVE), key=lambda consent: consent.entry)
        for double in live[:-1]:  # two gateways synchronised at once
            await self._service.revoke(double.id, ENDED_THERE)
        current = live[-1] if live else None
        fresh = source.prefix_of(name) + self._new_id()[:8]
        found = await self._intake.read(raw, source.release, current.id if current else fresh)
        wanted, why = _wanted(found, current, now_s), _why(found)
        if wanted is None:
            return await self._end(name, current, found, why)
        if current is not None and current.patient != wanted.patient:
            await self._service.revoke(current.id, ENDED_THERE)
            current, wanted = None, replace(wanted, id=fresh)
        if current is None and any(each.ended and not self._ended_there(each) for each in mine):
            return Synced(name, Change.ENDED, mine[-1].id)
        return await self._put(name, wanted, current, why)

    def _ended_there(self, consent: Consent) -> bool:
        return self._why_ended(consent) in (ENDED_THERE, GONE_THERE)

    async def _end(self, name: str, current: Consent | None, found: Outcome, why: tuple[str, ...]) -> Synced:
        if current is not None:
            await self._service.revoke(current.id, ENDED_THERE)
            return Synced(name, Change.REVOKED, current.id, why)
        aside = isinstance(found, Read) or found.aside
        return Synced(name, Change.ASIDE if aside else Change.REFUSED, None, why)

    async def _put(self, name: str, wanted: Consent, current: Consent | None, why: tuple[str, ...]) -> Synced:
        """Record what is wanted in the place of what there is, unless it is the same."""
        change = Change.MALFORMED if wanted.malformed else Change.CHANGED if current else Change.GRANTED
        if current is not None:
            wanted = replace(wanted, supersedes=current.supersedes)
        why += self._in_vain(wanted)
        if current is None:
            await self._service.grant_rule(wanted, followed=True)
        elif format_document(wanted) == format_document(current):
            change = Change.UNCHANGED
        else:
            await self._service.change_rule(wanted, followed=True)
        return Synced(name, change, wanted.id, why)

    def _in_vain(self, wanted: Consent) -> tuple[str, ...]:
        if wanted.malformed:
            return ()
        return tuple(f"Consent: permits in vain: {each}" for each in self._service.silencers(wanted))


def _wanted(found: Outcome, current: Consent | None, now_s: int) -> Consent | None:
    """What has to stand here; None for nothing."""
    if isinstance(found, Read):
        over = found.consent.until_s is not None and found.consent.until_s < now_s
        return None if over else found.consent
    if found.aside:
        return None
    if current is None:
        return found.instead
    stands = found.instead or malformed(current.id, current.patient)
    denied = any(node.effect is Effect.DENY for node in walk(current.root))
    return replace(stands, root=current.root) if denied and stands.patient == current.patient else stands


def _why(found: Outcome) -> tuple[str, ...]:
    return tuple(map(str, found.warnings if isinstance(found, Read) else found.problems))


# --- The upstream's pages --------------------------------------------------------------------------


async def _consents(source: Source, patient: str | None) -> AsyncIterator[tuple[str, bytes]]:
    """Each Consent with its id. Raises UpstreamUnusable after the last if they may not be all: there are
    fewer than some page said, or one came again, and what moved between pages may have hidden another."""
    about = () if patient is None else (("patient", f"Patient/{patient}"),)
    ask = Ask("/Consent", (*about, ("_count", _COUNT)))
    came: set[str] = set()
    again, total = 0, 0
    for _ in range(_MOST_PAGES):
        page = await _page(source, ask)
        total = max(total, page.total or 0)
        for raw in page.matches:
            name = _name(raw)
            again += name in came
            came.add(name)
            yield name, raw
        following = _next(page, source.base_url)
        if following is None:
            if total > len(came):
                raise UpstreamUnusable from Cause(f"of {total} Consents only {len(came)} came")
            if again:
                raise UpstreamUnusable from Cause(f"{again} Consents came more than once")
            return
        ask = following
    raise UpstreamUnusable from Cause("the pages do not end")


def _name(raw: bytes) -> str:
    name = codec.parse(raw).get("id")
    if not isinstance(name, str) or not is_id(name):
        raise UpstreamUnusable from Cause("a Consent without an id")
    return name


async def _page(source: Source, ask: Ask) -> Page:
    reply = await source.fetch(ask)
    if reply.status != 200:
        raise UpstreamUnusable from Cause(f"a search of Consents was answered with {reply.status}")
    try:
        page = read_page(reply.body)
        kinds = {codec.parse(raw).get("resourceType") for raw in page.matches}
    except (codec.CodecError, AttributeError) as error:
        raise UpstreamUnusable from error
    if not kinds <= {"Consent"}:
        raise UpstreamUnusable from Cause("a search of Consents found something else")
    return page


def _next(page: Page, base: str) -> Ask | None:
    """The next page, if it is below the upstream's own base."""
    url = page.links.get("next")
    if url is None:
        return None
    path, _, query = url.removeprefix(base).partition("?")
    if not url.startswith(base) or (path and not path.startswith("/")) or ".." in path or _ODD & set(path):
        raise UpstreamUnusable from Cause("the next page is elsewhere")
    return Ask(path, raw_query=query)
