"""The codes that a Consent is read and written by, and the systems that they belong to.

Systems are compared in one spelling. What is not in these tables is not understood, and refused where it is
found, but for labels, codes and document types, which may be of any system that cannot be mistaken for one
of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from gateway.core.consent.fhir.element import Element
from gateway.core.consent.labels import ACT_CODE, ALIASES, CONFIDENTIALITY, LABELS
from gateway.core.consent.rule import ACTIONS, PROFILES, RESOURCE_TYPES, Effect, is_coding, is_label
from gateway.core.fhir.systems import same_system
from gateway.core.values import Label

_HL7: Final = "http://terminology.hl7.org/CodeSystem/"
LOINC: Final = "http://loinc.org"
ACT_REASON: Final = _HL7 + "v3-ActReason"
PARTICIPATION: Final = _HL7 + "v3-ParticipationType"
CONSENT_ACTION: Final = _HL7 + "consentaction"
CONSENT_SCOPE: Final = _HL7 + "consentscope"
_ROLE_SYSTEMS: Final = frozenset({PARTICIPATION, _HL7 + "v3-RoleCode", _HL7 + "v3-RoleClass"})

CLIENT_IDS: Final = "https://www.rfc-editor.org/rfc/rfc6749#section-2.2"
"""The system of an identifier that is an OAuth client's: `app-1`, or `app-1@https://idp.example`."""

ROLE_NAMES: Final = "https://www.rfc-editor.org/rfc/rfc9068#section-2.2.3.1"
"""The system of a role that tokens name, such as `clinician`."""

SPELLINGS: Final[Mapping[str, str]] = {
    **ALIASES,
    "http://hl7.org/fhir/v3/ActReason": ACT_REASON,
    "urn:oid:2.16.840.1.113883.5.8": ACT_REASON,
    "http://hl7.org/fhir/v3/ParticipationType": PARTICIPATION,
    "urn:oid:2.16.840.1.113883.5.90": PARTICIPATION,
    "http://hl7.org/fhir/v3/RoleCode": _HL7 + "v3-RoleCode",
    "urn:oid:2.16.840.1.113883.5.111": _HL7 + "v3-RoleCode",
    "http://hl7.org/fhir/v3/RoleClass": _HL7 + "v3-RoleClass",
    "urn:oid:2.16.840.1.113883.5.110": _HL7 + "v3-RoleClass",
    "http://hl7.org/fhir/consentaction": CONSENT_ACTION,
    "http://hl7.org/fhir/fhir-types": RESOURCE_TYPES,
    "urn:oid:2.16.840.1.113883.6.1": LOINC,
}
"""Other spellings of code systems, and the one that is used here."""

_USED: Final = frozenset(
    {*SPELLINGS.values(), CONSENT_SCOPE, CONFIDENTIALITY, PROFILES, CLIENT_IDS, ROLE_NAMES}
)
_MEANT: Final[Mapping[str, str]] = {**SPELLINGS, **{system: system for system in _USED}}
_BY_NUMBER: Final = ("urn:oid:", "urn:uuid:")
_HL7_VALUE_SETS: Final = ("http://terminology.hl7.org/valueset", "http://hl7.org/fhir/valueset")

RECIPIENTS: Final = frozenset({"IRCP", "PRCP", "GRANTEE", "DELEGATEE"})
CUSTODIAN: Final = "CST"
_RECIPIENT: Final = "IRCP"  # for all of them
DIFFER: Final = "has codings that mean different things"

PRIVACY, RESEARCH = "patient-privacy", "research"
CATEGORIES: Final = frozenset(
    {
        Label(LOINC, "59284-0"),  # Patient Consent, as IHE PCF has it
        Label(LOINC, "57016-8"),  # Privacy policy acknowledgment
        Label(LOINC, "57017-6"),  # Privacy policy
        Label(LOINC, "64292-6"),  # Release of information consent
        Label(ACT_CODE, "IDSCL"),  # information disclosure
        Label(ACT_CODE, "INFA"),  # information access
        Label(CONSENT_SCOPE, PRIVACY),
        Label(CONSENT_SCOPE, RESEARCH),
    }
)
"""What makes an R5 Consent one about privacy; R4 says it by `scope`."""

BASES: Final[Mapping[str, Effect]] = {
    "OPTIN": Effect.PERMIT,
    "OPTINR": Effect.PERMIT,
    "OPTOUT": Effect.DENY,
    "OPTOUTE": Effect.DENY,
    "EMRGONLY": Effect.DENY,
}
"""Codes of v3-ActCode, ActConsentDirective and below: what a consent says before its provisions."""
EMERGENCY_ONLY: Final = "EMRGONLY"

_PCF: Final = "https://profiles.ihe.net/ITI/PCF/Policy-"
POLICY_DENY: Final = _PCF + "deny"
POLICIES: Final = frozenset(
    _PCF + name for name in ("basic-normal", "all-normal", "break-glass-only", "deny")
)
"""The overarching policies of IHE PCF (volume 1, Implicit Policy)."""


@lru_cache(maxsize=4096)
def spelt(system: str) -> str:
    """The system in our spelling: http for https, without a slash or a version at its end; itself if it is
    none of ours."""
    meant = _MEANT.get(system)
    if meant is not None:
        return meant
    return next((ours for other, ours in _MEANT.items() if same_system(system, other)), system)


def may_be(system: str, ours: str) -> bool:
    """Whether a system in our spelling is `ours`, or nobody can tell, as where its case differs. Of those
    that go by a number all are known."""
    return any(
        same_system(system, other) is not False
        for other, meant in _MEANT.items()
        if meant == ours and is_number(other) == is_number(system)
    )


def is_number(system: str) -> bool:
    """Whether the system goes by an object identifier or the like."""
    return system.casefold().startswith(_BY_NUMBER)


def coding(at: Element) -> Label | None:
    """System and code of a Coding, in our spelling; a problem without either."""
    system, code = at.text("system"), at.text("code")
    if system is None or code is None:
        at.refuse("has no system and code, so what it means cannot be told")
        return None
    found = Label(spelt(system), code)
    if not is_coding(found):
        at.refuse("is a coding of a form that cannot be kept")
        return None
    return found


def concept(at: Element) -> list[Label]:
    """The codings of a CodeableConcept, which mean one thing; a problem if it is text alone."""
    codings = at.each("coding")
    if not codings:
        at.refuse("has no coding, and its text is not understood")
    return [found for each in codings if (found := coding(each)) is not None]


def label_text(label: Label) -> str | None:
    """A security label as rules name it: its code alone where that is enough; None if it has no such form."""
    text = f"{label.system}|{label.code}"
    if not is_label(text):
        return None
    named = LABELS.named(text)
    return named.code if LABELS.named(named.code) == named else f"{named.system}|{named.code}"


def not_a_label(label: Label) -> str | None:
    """Why a rule that names the label could miss the records it means; None if it is one of HL7's that are
    known here, or of a system that is not HL7's, where any code is one."""
    if not LABELS.knows(f"{label.system}|{label.code}"):
        return "is no label of its system that is known here, as the code is written"
    if label.system in (ACT_CODE, CONFIDENTIALITY):
        return None
    address = label.system.casefold().replace("https://", "http://", 1)
    if address.startswith(_HL7_VALUE_SETS):
        return "has the address of a value set in the place of its code system"
    if may_be(label.system, ACT_CODE) or may_be(label.system, CONFIDENTIALITY):
        return "has a system that cannot be told from v3-ActCode or v3-Confidentiality"
    return None


def differ(labels: Iterable[Label]) -> bool:
    """Whether codings of one concept mean different things: different codes of one system, or a recipient
    and the custodian. Of different systems they are translations."""
    meant = {Label(each.system, _RECIPIENT if _is_recipient(each) else each.code) for each in labels}
    parts = {each.code for each in meant if each.system in _ROLE_SYSTEMS} & {_RECIPIENT, CUSTODIAN}
    return len({each.system for each in meant}) < len(meant) or len(parts) > 1


def role(labels: Iterable[Label]) -> str | None:
    """The code of an actor's role if HL7 says by it who is meant: a recipient or the custodian. Of codings
    that differ it is any."""
    known = RECIPIENTS | {CUSTODIAN}
    return next((each.code for each in labels if each.system in _ROLE_SYSTEMS and each.code in known), None)


def _is_recipient(label: Label) -> bool:
    return label.system in _ROLE_SYSTEMS and label.code in RECIPIENTS


def action(labels: list[Label]) -> str | None:
    """The code of consentaction among the codings of an action."""
    return next((e.code for e in labels if e.system == CONSENT_ACTION and e.code in ACTIONS), None)
