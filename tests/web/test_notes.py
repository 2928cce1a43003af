"""Lines about failures in the operator's log: what they say, and that they stay few."""

from __future__ import annotations

import asyncio
import logging

import pytest

from gateway import errors
from gateway.web import notes
from gateway.web.notes import MOST_LINES, Notes

LOG = logging.getLogger("consentry.test")


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING)
    return caplog


def caused(error: errors.ConsentryError, cause: Exception) -> errors.ConsentryError:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            errors.Unauthenticated("An access token is needed.", oauth_error=None),
            "Unauthenticated, no token: An access token is needed.",
        ),
        (errors.Unauthenticated("It is old."), "Unauthenticated, invalid_token: It is old."),
        (
            caused(errors.Unauthenticated("No."), ValueError("eyJ.s3cret")),
            "Unauthenticated, invalid_token: No. (ValueError)",
        ),
        (
            caused(errors.Unauthenticated("No."), errors.Cause("no answer from the issuer")),
            "Unauthenticated, invalid_token: No. (no answer from the issuer)",
        ),
        (
            caused(errors.UpstreamUnusable(), errors.Cause("status 500")),
            "UpstreamUnusable: status 500",
        ),
        (caused(errors.BadRequest("No."), ValueError("pat-a")), "BadRequest: ValueError"),
    ],
)
async def test_a_line(told: pytest.LogCaptureFixture, error: errors.ConsentryError, line: str) -> None:
    Notes(LOG).note(error)
    assert told.messages == [line]


async def test_what_explains_itself_has_no_line(told: pytest.LogCaptureFixture) -> None:
    Notes(LOG).note(errors.NotFound())
    assert told.messages == []


async def test_above_the_cap_they_are_counted(
    told: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "WINDOW_S", 0.05)
    lines = Notes(LOG)
    for _ in range(MOST_LINES + 3):
        lines.note(errors.Unauthenticated("It is old."))
    assert len(told.messages) == MOST_LINES
    await asyncio.sleep(0.2)
    assert told.messages[MOST_LINES:] == ["Unauthenticated: 3 more within a second, not logged"]
    lines.note(errors.Unauthenticated("It is old."))
    await asyncio.sleep(0.2)
    assert len(told.messages) == MOST_LINES + 2, (
        "in the next second there are lines again, and none is missing"
    )
