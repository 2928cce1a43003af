"""What a token is that somebody shows us: an access token of ours that is in force, or a refresh token.

Anything else is None, for whatever reason: unknown, another's, damaged, over, withdrawn. Nothing of a token
is believed before its signature held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlmodel import Session

from gateway.auth.ports import Ports
from gateway.auth.store import grants, sessions
from gateway.auth.store.database import digest_of
from gateway.auth.store.grants import Grant, Refresh
from gateway.core.consent.rule import State
from gateway.core.smart import kinds
from gateway.core.standing import ConsentView
from gateway.core.values import ConsentRef, Token
from gateway.errors import Unauthenticated
from gateway.tokens.compact import split


@dataclass(frozen=True, slots=True)
class Access:
    """An access token of ours, and all its claims as they were signed."""

    token: Token
    base: str
    claims: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Refreshing:
    """A refresh token that has not been used, and its grant, which has not ended."""

    refresh: Refresh
    grant: Grant


async def access_token(ports: Ports, text: str, now_s: int) -> Access | None:
    """The access token, for whichever of our FHIR bases. Raises LedgerUnavailable."""
    try:
        claims = split(text).claims
        for base in kinds.texts(claims.get("aud")):
            if base in ports.bases:
                token = await ports.verify(text, base, now_s)
                return Access(token, base, claims) if _in_force(ports, token) else None
    except (Unauthenticated, kinds.Wrong):
        pass
    return None


async def refresh_token(ports: Ports, text: str, now_s: int) -> Refreshing | None:
    """The refresh token, if it would be taken now. Raises StateUnavailable, LedgerUnavailable."""
    digest = digest_of(text)

    def work(session: Session) -> Refreshing | None:
        refresh = grants.refresh_of(session, digest)
        if refresh is None or refresh.used_s is not None or refresh.exp_s <= now_s:
            return None
        grant = grants.live_grant(session, refresh.grant, now_s)
        if grant is None or (grant.online and not sessions.is_online(session, grant.online, now_s)):
            return None
        return Refreshing(refresh, grant)

    found = await ports.database.run(work)
    if found is None or found.grant.consent is None:
        return found
    consent = ports.consents.at_head()[1].get(found.grant.consent)
    return found if consent is not None and consent.state is State.LIVE else None


def _in_force(ports: Ports, token: Token) -> bool:
    """Whether the ledger has no end of the token, and one of the consents that it names still stands."""
    _, view = ports.consents.at_head()
    if token.issued is not None and view.is_revoked(token.issued):
        return False
    return not token.consents or any(_stands(ref, view) for ref in token.consents)


def _stands(ref: ConsentRef, view: ConsentView) -> bool:
    consent = view.get(ref.id)
    return consent is not None and consent.state is State.LIVE and ref in consent.refs
