"""The settings of `[break_glass]`: who may, how soon it is reviewed, and who is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from gateway.config.kinds import BOOLEAN, PROVIDER_URL, SECRET, Secret, whole_number, words
from gateway.config.rows import Row

ROLES = words("[ -~]{1,255}", 'write a list of roles, each once, such as ["clinician"]')


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakGlass:
    """Who may break the glass, and who has to know."""

    roles: Annotated[
        tuple[str, ...] | None,
        Row(
            ROLES,
            "Roles of accounts (`consentry user add --role`) that may break the glass, with a second factor; "
            "without it nobody may.",
            None,
        ),
    ]
    review_within_days: Annotated[
        int,
        Row(
            whole_number(1, 365),
            "How long after it a review is due. Who has one that is overdue does not break the glass again.",
            7,
        ),
    ]
    key_required: Annotated[
        bool,
        Row(
            BOOLEAN,
            "Whether the token has to be bound to a key that the device alone holds (DPoP).",
            False,
        ),
    ]
    notify: Annotated[
        str | None,
        Row(
            PROVIDER_URL,
            "Where notices for the patient and the privacy officer are sent as JSON, until they are taken; "
            "http only on the loopback. Needed with `roles`.",
            None,
        ),
    ]
    notify_authorization: Annotated[
        Secret | None,
        Row(SECRET, "`Authorization` that is sent there; best set by environment.", None),
    ]
