"""The settings of `[consent]`: what holds where no consent speaks, and who belongs to whom.

Organisations and groups are tables in the file, a line for each; in the environment they are JSON objects.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from gateway.config.kinds import BOOLEAN, Kind, choice, matching, whole_number
from gateway.config.rows import Row
from gateway.core.consent.rule import CARE_TEAM, GROUP, is_grantee, is_label, kind_of
from gateway.core.values import is_id

_IDS: Final = 'write a list of ids of organisations, each once, such as ["hospital-1"]'
_CODES: Final = 'write a list of codes of labels, each once, such as ["LITIGATION"]'
_PARTS: Final = 'write for each organisation the id of the one it is part of: ward-1 = "hospital-1"'
_GROUPS: Final = 'write for each group all its members: "group:night-shift" = ["practitioner:prac-1"]'


def _listed(allowed: Callable[[str], bool], expected: str) -> Kind:
    def check(raw: object, _: Path) -> tuple[str, ...]:
        texts = raw if isinstance(raw, list) else [None]
        if len(set(map(str, texts))) != len(texts):
            raise ValueError(expected)
        if not all(isinstance(text, str) and allowed(text) for text in texts):
            raise ValueError(expected)
        return tuple(texts)

    return Kind("list", check, lambda text: [part.strip() for part in text.split(",")])


def _part_of(raw: object, _: Path) -> Mapping[str, str]:
    pairs = raw if isinstance(raw, dict) else {"": ""}
    if not all(isinstance(name, str) and is_id(name) for pair in pairs.items() for name in pair):
        raise ValueError(_PARTS)
    return dict(pairs)


def _members(raw: object, _: Path) -> Mapping[str, frozenset[str]]:
    groups: dict[str, object] = raw if isinstance(raw, dict) else {"": raw}
    found = {}
    for group, members in groups.items():
        named = is_grantee(group) and kind_of(group) in (GROUP, CARE_TEAM)
        if not named or not isinstance(members, list) or not all(map(_is_identity, members)):
            raise ValueError(_GROUPS)
        found[group] = frozenset(members)
    return found


def _is_identity(member: object) -> bool:
    return isinstance(member, str) and is_grantee(member)


def _object(text: str) -> object:
    """What an environment variable holds; what is not JSON stays text, which the check refuses."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _is_coding(text: str) -> bool:
    return is_label(text) and "|" in text


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """How consents are read, and what holds where none speaks."""

    implicit: Annotated[
        str,
        Row(
            choice("deny", "break-glass-only", "basic-normal", "all-normal"),
            "What is permitted of the patient in a token's context where no consent governs, by the policies "
            "of IHE PCF: nothing, and break-glass neither unless a consent permits it by name; break-glass "
            "alone; what is labelled normal, to clinicians for treatment; what is labelled normal, for every "
            "purpose.",
            "break-glass-only",
        ),
    ]
    nesting: Annotated[
        str,
        Row(
            choice("inherit", "contain"),
            "Whether an exception that restates a dimension stands for itself, as in the examples of IHE "
            "PCF, or counts only where the rule above it applies.",
            "inherit",
        ),
    ]
    notice: Annotated[
        str,
        Row(
            choice("silent", "generic", "explicit"),
            "What an answer tells of what consents withhold in it: nothing; on every answer the same, "
            "whatever was hidden; or, where something was cut out of a record, that it was.",
            "silent",
        ),
    ]
    organization: Annotated[
        str | None,
        Row(
            matching("id", "[A-Za-z0-9.-]{1,64}", "write the id of an Organization"),
            "Id of the Organization that runs this gateway. FHIR Consents that name others to enforce them "
            "are refused; without it, whoever they name is us.",
            None,
        ),
    ]
    role_required: Annotated[
        bool,
        Row(
            BOOLEAN,
            "Whether a token without a role sees nothing. Else its consents and scopes alone limit it.",
            False,
        ),
    ]
    case_kept: Annotated[
        int,
        Row(
            whole_number(0, 3600),
            "Seconds for which it is kept with a token what belongs to its case: so long, at most, a record "
            "is still seen that left the case. With 0 it is followed anew for each answer.",
            60,
        ),
    ]
    categories: Annotated[
        tuple[str, ...],
        Row(
            _listed(_is_coding, 'write a list of codings, each once, such as ["http://loinc.org|59284-0"]'),
            "Codings of `Consent.category`, each a system, a bar and a code, that make an R5 Consent one "
            "about privacy, beside those of LOINC and HL7 that are known.",
            [],
        ),
    ]
    verified_only: Annotated[
        bool,
        Row(BOOLEAN, "Whether a FHIR Consent that permits anything has to say that it was verified.", False),
    ]
    custodians: Annotated[
        tuple[str, ...],
        Row(
            _listed(is_id, _IDS),
            "Ids of all organisations that hold the records. Without them a deny that names a custodian "
            "always applies, and a permit never.",
            [],
        ),
    ]
    legal_hold: Annotated[
        tuple[str, ...],
        Row(
            _listed(is_label, _CODES),
            "Codes of labels, beside `LEGALHOLD`, whose records nobody gets, with break-glass neither.",
            [],
        ),
    ]
    part_of: Annotated[
        Mapping[str, str],
        Row(
            Kind("table", _part_of, _object),
            "`[consent.part_of]`: for the id of an organisation, that of the one it is part of. A consent "
            "for an organisation is one for its parts.",
            {},
        ),
    ]
    groups: Annotated[
        Mapping[str, frozenset[str]],
        Row(
            Kind("table", _members, _object),
            "`[consent.groups]`: for `group:ID` and `careteam:ID`, the identities of all members. Whoever "
            "asks may be in a group that is not listed, so a deny for it applies to everybody.",
            {},
        ),
    ]
