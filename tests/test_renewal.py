"""Whether a token follows another: for a consultation in its time alone, and nothing is shown for it."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.core.fhir.facts import facts_of
from gateway.core.fhir.literals import parse_date
from gateway.core.values import Token
from gateway.errors import UpstreamTimeout
from gateway.ports import Ports
from gateway.renewal import may_renew
from tests.core.consent.build import NOW_S, consents, permit
from tests.core.deciding import BASES, R4, View, token
from tests.support.hospital import Hospital
from tests.test_casefile import CHART, HOUSE, limited
from tests.test_kept_cases import Failing

IN_IT, BEFORE, AFTER = "2026-06-01T09:10:00Z", "2026-06-01T08:44:59Z", "2026-06-02T09:30:02Z"
CONSULTATION = limited("telehealth", "Appointment/1")


def ports(hospital: Hospital, *rules: Any) -> Ports:
    view = View(consents(*(rules or (permit(),)), patient="85"))
    made = SimpleNamespace(
        house=HOUSE,
        consents=SimpleNamespace(at_head=lambda: (1, view)),
        upstream=hospital,
        facts_of=partial(facts_of, catalogue=R4, bases=BASES),
    )
    return cast("Ports", made)


@pytest.mark.parametrize(
    ("who", "now", "renewed"),
    [
        (CONSULTATION, IN_IT, True),
        (CONSULTATION, "2026-06-01T08:45:00Z", True),
        (CONSULTATION, BEFORE, False),
        (CONSULTATION, "2026-06-02T09:30:00Z", True),
        (CONSULTATION, AFTER, False),
        (limited("telehealth", "Appointment/9"), IN_IT, False),
        (limited("telehealth", "Claim/7"), IN_IT, False),
        (limited("telehealth", None), IN_IT, False),
        (limited("telehealth", "Appointment/1", "HPAYMT"), IN_IT, False),
        (limited("clinician", "Encounter/5"), AFTER, True),
        (limited("clinician", None), AFTER, True),
    ],
    ids=[
        "in it",
        "a quarter before",
        "too early",
        "a day after",
        "a second later",
        "of which nothing is known",
        "no consultation",
        "without one",
        "for another purpose",
        "a role without a time",
        "nor a case",
    ],
)
async def test_when(who: Token, now: str, renewed: bool) -> None:
    now_s = int(parse_date(now)[1].low.timestamp())
    assert await may_renew(ports(Hospital(CHART)), who, now_s) == renewed


@pytest.mark.parametrize("scopes", ["patient/Observation.rs", "patient/Observation.r", "patient/Condition.s"])
async def test_it_hangs_on_no_scope_for_the_root(scopes: str) -> None:
    who = limited("telehealth", "Appointment/1", scopes=token(scopes).scopes)
    only = permit(scopes="patient/Observation.rs patient/Condition.rs")
    at_s = int(parse_date(IN_IT)[1].low.timestamp())
    assert await may_renew(ports(Hospital(CHART), only), who, at_s)
    assert not await may_renew(ports(Hospital(CHART), permit(actors="client:another")), who, at_s)


async def test_nothing_is_renewed_while_it_cannot_be_found_out() -> None:
    with pytest.raises(UpstreamTimeout):
        await may_renew(ports(Failing(CHART, "Appointment", None)), CONSULTATION, NOW_S)
    assert not await may_renew(ports(Failing(CHART, "Appointment", 404)), CONSULTATION, NOW_S)
