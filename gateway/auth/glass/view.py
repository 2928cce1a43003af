"""A broken glass as JSON and as lines: when it is opened, and in the list of what is to be reviewed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gateway.auth.glass.breaking import Opened
from gateway.auth.glass.past import Case
from gateway.core.canon import Json


def case_json(case: Case, now_s: int) -> dict[str, Json]:
    """`state` is `open` while it lasts, then `to-review` until it is reviewed."""
    glass, review = case.broken, case.review
    state = "reviewed" if review is not None else "open" if now_s < glass.until_s else "to-review"
    return {
        "entry": glass.index,
        "state": state,
        "patient": glass.patient,
        "user": glass.user,
        "client": glass.client,
        "at": time_text(glass.at_s),
        "until": time_text(glass.until_s),
        "reason": glass.reason,
        "text": glass.text,
        "renews": glass.renews,
        "review": None
        if review is None
        else {
            "entry": review.index,
            "at": time_text(review.at_s),
            "reviewer": review.reviewer,
            "outcome": review.outcome,
            "reads": review.reads,
        },
    }


def case_line(case: dict[str, Any]) -> str:
    """What `case_json` says, for people."""
    found = case["review"]
    after = f", {found['outcome']} by {found['reviewer']} ({found['reads']} reads)" if found else ""
    return (
        f"{case['entry']}  {case['at']}  {case['state']}{after}\n"
        f"    {case['user']} for patient {case['patient']}, until {case['until']}\n"
        f"    {case['reason']}: {case['text']}"
    )


def opened_json(opened: Opened) -> dict[str, Json]:
    """A token response (RFC 6749 section 5.1), and the entry of the broken glass."""
    token = opened.issued.token
    return {
        "access_token": opened.issued.text,
        "token_type": opened.issued.type,
        "expires_in": token.expires_at_s - token.issued_at_s,
        "patient": token.patient,
        "entry": opened.entry,
        "hash": opened.hash,
        "renewable": opened.renewable,
    }


def time_text(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
