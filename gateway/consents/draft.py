"""A consent as somebody writes it, read strictly, with errors in the writer's own words.

What cannot be understood is refused and never dropped: a misspelt purpose in a permit would give less
than was meant, in a deny it would protect less.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.core.consent.document import ParseScope, is_plain
from gateway.core.consent.labels import LABELS
from gateway.core.consent.purposes import BREAK_GLASS, PURPOSES
from gateway.core.consent.rule import Consent, Effect, Match, Node, Period, is_grantee, is_label
from gateway.core.values import Scope, is_id
from gateway.errors import BadRequest

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# RFC 3339 section 5.6; a leap second has no place in a count of seconds and is refused further down.
_DATE_TIME: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Draft:
    """`grantees` are identities as in `rule.Match`: `client:ID`, `client:ID@ISSUER`, `role:NAME`; `from_` and
    `until` RFC 3339 dates or date-times, both included, a date with its whole day in UTC."""

    patient: str
    grantees: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    from_: str | None = None
    until: str | None = None
    labels: tuple[str, ...] = ()
    effect: str = "permit"
    supersedes: tuple[str, ...] = ()


def read_draft(draft: Draft, consent_id: str, parse_scope: ParseScope, now_s: int) -> Consent:
    """The consent that the draft describes. Raises BadRequest with what is wrong and what would do."""
    effect = _effect(draft.effect)
    period = _period(draft, now_s)
    if not is_id(draft.patient):
        raise BadRequest("The patient is named by a FHIR id: letters, digits, '-' and '.'.")
    for other in draft.supersedes:
        if not is_id(other) or other == consent_id:
            raise BadRequest("A consent supersedes others, named by their ids.")
    match = Match(
        actors=_grantees(draft.grantees, effect),
        purposes=_purposes(draft.purposes, effect),
        scopes=_scopes(draft.scopes, parse_scope),
        labels=_labels(draft.labels),
    )
    return Consent(consent_id, draft.patient, Node(effect, match), period, frozenset(draft.supersedes))


def can_say(consent: Consent) -> bool:
    """Whether there is a draft that says all of the consent."""
    return not consent.root.exceptions and is_plain(consent)


def instant(text: str, *, last: bool) -> int:
    """Seconds since the epoch of an RFC 3339 date or date-time; of a date its first or `last` second.

    Raises ValueError. A fraction of a second counts against the period.
    """
    if _DATE.fullmatch(text):
        text += "T23:59:59Z" if last else "T00:00:00Z"
    elif not _DATE_TIME.fullmatch(text):
        raise ValueError("neither a date nor a date-time with its offset")
    moment = datetime.fromisoformat(text).astimezone(UTC)
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole if last or not moment.microsecond else whole + 1


def _effect(text: str) -> Effect:
    try:
        return Effect(text)
    except ValueError:
        raise BadRequest("The effect is 'permit' or 'deny'.") from None


def _period(draft: Draft, now_s: int) -> Period:
    from_s = _instant(draft.from_, "begin", last=False)
    until_s = _instant(draft.until, "end", last=True)
    if from_s is not None and until_s is not None and until_s < from_s:
        raise BadRequest("The consent ends before it begins.")
    if until_s is not None and until_s < now_s:
        raise BadRequest("The consent's end is in the past.")
    return Period(from_s, until_s)


def _instant(text: str | None, which: str, *, last: bool) -> int | None:
    try:
        return None if text is None else instant(text, last=last)
    except (ValueError, OverflowError):
        raise BadRequest(
            f"The consent's {which} is a date such as 2027-01-01, or a date-time with its offset such as "
            "2027-01-01T12:00:00Z."
        ) from None


def _grantees(texts: tuple[str, ...], effect: Effect) -> frozenset[str]:
    for text in texts:
        if not is_grantee(text):
            raise BadRequest(
                f"The grantee {text!r} is not KIND:ID, such as client:app-1, organization:org-1, "
                "practitioner:prac-1 or role:clinician."
            )
    if not texts and effect is Effect.PERMIT:
        raise BadRequest("A permit names at least one grantee; only a deny may be for everybody.")
    return frozenset(texts)


def _purposes(texts: tuple[str, ...], effect: Effect) -> frozenset[str]:
    for text in texts:
        if text not in PURPOSES.codes:
            raise BadRequest(f"The purpose {text!r} is not a code of v3-PurposeOfUse, such as TREAT.")
    if BREAK_GLASS in texts and effect is Effect.PERMIT:
        raise BadRequest("Break-glass access (BTG) is not given by consent; it can only be denied.")
    return frozenset(texts)


def _scopes(texts: tuple[str, ...], parse_scope: ParseScope) -> tuple[Scope, ...]:
    if not texts:
        raise BadRequest("A consent names at least one scope, such as patient/*.rs for everything.")
    scopes = []
    for text in dict.fromkeys(texts):
        try:
            scopes.append(parse_scope(text))
        except ValueError as error:
            raise BadRequest(f"The scope {text!r} cannot be used: {error}.") from error
    return tuple(scopes)


def _labels(texts: tuple[str, ...]) -> frozenset[str]:
    for text in texts:
        if not is_label(text) or not LABELS.knows(text):
            raise BadRequest(
                f"The label {text!r} is neither a confidentiality or sensitivity code, such as R or HIV, "
                "nor system|code."
            )
    return frozenset(texts)
