"""What stands in a role's queries for something of the token or of the day.

{patient}        the patient in the token's context        {organization}   the token's organisation
{today-2y}       the day two years ago (UTC); `d` counts days, `y` years of 365 days
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.core.values import Term, Token

_NAMED: Final = re.compile(r"\{([^{}]*)\}")
_AGO: Final = re.compile(r"today-([1-9]\d{0,3})([dy])")
_DAYS: Final = {"d": 1, "y": 365}

Values = Mapping[str, str | None]
"""What each name stands for; None: this token has none. `today` is a date."""

SAMPLES: Final[Values] = {"patient": "Patient/x", "organization": "Organization/x", "today": "2026-01-01"}


def values_of(token: Token, now_s: int) -> Values:
    return {
        "patient": None if token.patient is None else f"Patient/{token.patient}",
        "organization": None if token.organization is None else str(token.organization),
        "today": datetime.fromtimestamp(now_s, UTC).date().isoformat(),
    }


def filled(term: Term, values: Values) -> Term | None:
    """The term with what the names stand for; None when one of them stands for nothing.

    Raises:
        ValueError: a name that there is not, or a brace without the other.
    """
    missing = False

    def stands_for(found: re.Match[str]) -> str:
        nonlocal missing
        value = _value(found[1], values)
        missing |= value is None
        return value or ""

    texts = tuple(_NAMED.sub(stands_for, value) for value in term.values)
    if any("{" in text or "}" in text for text in texts):
        raise ValueError("a brace stands alone")
    return None if missing else replace(term, values=texts)


def _value(name: str, values: Values) -> str | None:
    if name in values:
        return values[name]
    ago, today = _AGO.fullmatch(name), values["today"]
    if ago is None or today is None:
        raise ValueError(f"there is no {{{name}}}")
    days = timedelta(days=int(ago[1]) * _DAYS[ago[2]])
    return (datetime.fromisoformat(today) - days).date().isoformat()
