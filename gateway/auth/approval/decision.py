"""What a person filled in on the page where they decide, read into a decision; and what is proposed there.

A box that is not ticked is a no. What does not fit is `Unfit`, and the page is shown again with what they
filled in.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from gateway.auth.approval.cases import Case
from gateway.auth.approval.offer import Offer, choose
from gateway.auth.approval.words import Purpose
from gateway.core.smart.grant import Granted, narrow_request
from gateway.errors import OAuthError

PROPOSED_DAYS: Final = 365
LONGEST_DAYS: Final = 3 * 365
DAY_S: Final = 86_400
NOTHING: Final = "Nothing is ticked. Tick what the app may have, or deny the request."
NO_PURPOSE: Final = "Choose what the records are for."

Fields = Mapping[str, str]


class Unfit(Exception):
    """The name of the field, or of its group, and what is wrong in words for the person."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name, self.text = name, text


@dataclass(frozen=True, slots=True)
class Decision:
    """What the person allows: `granted`, for a purpose (a code), until the end of that day in UTC."""

    granted: Granted
    purpose: str
    until: date


@dataclass(frozen=True, slots=True)
class Days:
    """The days that an approval may end on; `proposed` is the one that is filled in."""

    first: date
    proposed: date
    last: date


def days(case: Case, now_s: int) -> Days:
    """An approval in somebody's name ends with the authority for it, at the latest."""
    today = _day(now_s)
    last = today + timedelta(LONGEST_DAYS)
    if case.patient is not None and case.patient.until_s is not None:
        whole = _day(case.patient.until_s + 1 - DAY_S)  # the last day that is over before the authority is
        last = max(today, min(last, whole))
    return Days(today, min(today + timedelta(PROPOSED_DAYS), last), last)


def proposal(offered: Offer, purposes: Sequence[Purpose], ends: Days, ticked: Collection[str]) -> Fields:
    """The fields as they are filled in before anybody changed them."""
    ticks = {key: "on" if key in ticked else "" for key in offered.keys}
    return {**ticks, "purpose": purposes[0].code, "until": ends.proposed.isoformat()}


def read_decision(
    case: Case, offered: Offer, purposes: Sequence[Purpose], ends: Days, fields: Fields
) -> Decision:
    """Raises Unfit."""
    granted = _granted(case, offered, fields)
    if not offered.rows:
        return Decision(granted, purposes[0].code, _until(fields, ends))
    if fields.get("purpose") not in {purpose.code for purpose in purposes}:
        raise Unfit("purpose", NO_PURPOSE)
    return Decision(granted, fields["purpose"], _until(fields, ends))


def _granted(case: Case, offered: Offer, fields: Fields) -> Granted:
    """What the ticked boxes let the app have. Raises Unfit if that is nothing of what it asked for."""
    ticked = {name for name in offered.keys if fields.get(name) == "on"}
    choice = choose(offered, ticked, case.untold)
    try:
        granted = narrow_request(choice.asked, case.client, case.base.served, choice.chosen)
    except OAuthError as error:
        raise Unfit("records", NOTHING) from error
    if case.granted.scopes and not granted.scopes:
        raise Unfit("records", NOTHING)
    return granted


def _until(fields: Fields, ends: Days) -> date:
    try:
        until = date.fromisoformat(fields.get("until", "").strip())
    except ValueError:
        raise Unfit("until", f"Write the last day as {ends.proposed}: year, month, day.") from None
    if not ends.first <= until <= ends.last:
        raise Unfit("until", f"The last day can be from {ends.first} to {ends.last}.")
    return until


def _day(at_s: int) -> date:
    return datetime.fromtimestamp(at_s, UTC).date()
