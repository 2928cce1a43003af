"""Whether a token may be renewed: not for a consultation out of its time (docs/cases.md).

The time is that of the root, which is read under a plan as any case is followed; nothing of it is shown, and
so nothing is recorded. What cannot be told is no.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.casefile import open_case
from gateway.core.decide import NEEDS, decide
from gateway.core.plan import Permit, Plan
from gateway.core.standing import Standing
from gateway.core.values import FhirRequest, Interaction, Token
from gateway.ports import Ports


async def may_renew(ports: Ports, token: Token, now_s: int) -> bool:
    """Whether the role of `token`, which was not issued yet, has no time, or its case is open.

    Raises:
        UpstreamUnusable, UpstreamTimeout, LedgerUnavailable: it cannot be found out now.
    """
    roles, root = ports.house.roles, token.root
    ceiling = roles.ceiling(token, now_s, ports.house.catalogue, ports.house.bases.both)
    if ceiling is None or not ceiling.is_timed:
        return True
    _, view = ports.consents.at_head()
    plan = next(_plans(Standing(token, view, ports.house, now_s)), None)
    if plan is None or root is None:
        return False
    opened = await open_case(ports.upstream, ports.facts_of, plan, root, None, anew=True)
    return opened.within is not None


def _plans(standing: Standing) -> Iterator[Plan]:
    """The plans of what the token may ask: any of them tells whose records the case is about."""
    for kind in sorted(standing.house.catalogue.types):
        for interaction in (Interaction.SEARCH, Interaction.READ):
            if standing.right(kind, NEEDS[interaction]).grants:
                ident = "-" if interaction is Interaction.READ else None
                decision = decide(FhirRequest(interaction, kind, ident), standing)
                if isinstance(decision, Permit):
                    yield decision.plan
