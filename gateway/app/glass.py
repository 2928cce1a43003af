"""The settings of break-glass as the values that it is done with."""

from __future__ import annotations

from gateway.auth.glass.breaking import Policy
from gateway.auth.glass.notices import Send
from gateway.config import BreakGlass
from gateway.core.canon import Json
from gateway.errors import Cause
from gateway.tokens.fetch import FetchFailed, HttpxFetch

DAY_S = 86_400


def policy_of(settings: BreakGlass) -> Policy:
    roles = frozenset(settings.roles or ())
    return Policy(roles, settings.review_within_days * DAY_S, settings.key_required)


def sender_of(settings: BreakGlass, fetch: HttpxFetch) -> Send | None:
    """What sends a notice where the operator wants it: taken is what is answered with 2xx."""
    url, credential = settings.notify, settings.notify_authorization
    if url is None:
        return None
    headers = {} if credential is None else {"authorization": credential.value}

    async def send(notice: dict[str, Json]) -> None:
        try:
            answer = await fetch.post_json(url, notice, headers)
        except FetchFailed as failed:
            raise Cause(str(failed)) from failed
        if not 200 <= answer.status < 300:
            raise Cause(f"the answer was {answer.status}")

    return send
