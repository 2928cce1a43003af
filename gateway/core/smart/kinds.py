"""The JSON kinds of claims: each function takes a decoded value and returns it typed, or raises `Wrong`.

Nothing is converted or guessed: a number in a string, a list where a string belongs, `true` for 1
and null are all wrong. The text of `Wrong` finishes the sentence "The token's claim x ..." and
quotes nothing of the token.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NoReturn

from gateway.core.values import Confirmation, ConsentRef, Glass, Ref, is_id

MAX_CONSENTS = 64
MAX_PURPOSES = 16
CONFIRMED_BY: Final[tuple[Literal["jkt"], Literal["x5t#S256"]]] = ("jkt", "x5t#S256")
CASE_TYPES = ("Appointment", "Claim", "Encounter", "EpisodeOfCare", "MedicationRequest", "ServiceRequest")
USER_TYPES = ("Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Person")

_NAME = re.compile(r"[ -~]{1,255}")
_CLIENT = re.compile(r"[ -?A-~]{1,255}")
_CONSENT_ID = re.compile(r"[!-~]{1,64}")
_REASON = re.compile(r"[a-z][a-z-]{0,31}")
_PURPOSE = re.compile(r"[A-Z]{3,20}")
# 32 bytes in base64url: 43 digits, the last of which carries four bits (RFC 4648 section 3.5).
_HASH = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")


class Wrong(Exception):
    """What is wrong with a claim's value."""


def text(value: object) -> str:
    if not isinstance(value, str):
        raise Wrong("is not a string")
    return value


def name(value: object) -> str:
    """An identifier: 1 to 255 printable ASCII characters (OpenID Connect Core, `sub`)."""
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise Wrong("is not a string of 1 to 255 printable ASCII characters")
    return value


def client(value: object) -> str:
    """A client identifier (RFC 6749 section 2.2), without `@`: consents write `client:app-1@https://idp.example`
    for a client of one issuer, which no name of another issuer's client may spell."""
    if not isinstance(value, str) or _CLIENT.fullmatch(value) is None:
        raise Wrong("is not a string of 1 to 255 printable ASCII characters without @")
    return value


def seconds(value: object) -> int:
    """A NumericDate without fraction (RFC 7519 section 2). `True` is an `int` in Python, not here."""
    if type(value) is not int:
        raise Wrong("is not a whole number of seconds")
    return value


def texts(value: object) -> tuple[str, ...]:
    """One string or a list of them, as `aud` is (RFC 7519 section 4.1.3)."""
    if isinstance(value, str):
        return (value,)
    return tuple(text(item) for item in array(value))


def array(value: object) -> list[object]:
    if not isinstance(value, list):
        raise Wrong("is not a list")
    return value


def boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise Wrong("is not true or false")
    return value


def fhir_id(value: object) -> str:
    """One FHIR id: no list, no `Type/id`, no address, no `*`."""
    if not isinstance(value, str) or not is_id(value):
        raise Wrong("is not one FHIR id")
    return value


def fhir_user(value: object, base: str) -> Ref:
    """A person's reference, relative or absolute under the FHIR base (SMART App Launch 2.2, fhirUser)."""
    kind, slash, ident = text(value).removeprefix(base.rstrip("/") + "/").partition("/")
    if not slash or kind not in USER_TYPES or not is_id(ident):
        raise Wrong("is not a reference to a person under this FHIR base")
    return Ref(kind, ident)


def organization(value: object) -> Ref:
    """`Organization/id`, or the bare id."""
    ident = text(value).removeprefix("Organization/")
    if not is_id(ident):
        raise Wrong("is not an organization's id")
    return Ref("Organization", ident)


def case_root(value: object) -> Ref:
    """`Type/id` of the record that a case begins with: what the token is limited to, if its role is."""
    kind, _, ident = text(value).partition("/")
    if kind not in CASE_TYPES or not is_id(ident):
        raise Wrong("is not a reference to what a case can begin with")
    return Ref(kind, ident)


def purposes(value: object) -> tuple[str, ...]:
    """One code of HL7 v3 PurposeOfUse or several, without repeats."""
    codes = texts(value)
    if not 0 < len(codes) <= MAX_PURPOSES or any(_PURPOSE.fullmatch(code) is None for code in codes):
        raise Wrong("is not a purpose code or a list of them")
    return tuple(dict.fromkeys(codes))


def consents(value: object) -> tuple[ConsentRef, ...]:
    """At most 64 objects of exactly `id`, `entry` and `hash`, each id once."""
    if len(array(value)) > MAX_CONSENTS:
        raise Wrong(f"has more than {MAX_CONSENTS} consents")
    refs = tuple(_consent(item) for item in array(value))
    if len({ref.id for ref in refs}) != len(refs):
        raise Wrong("names a consent twice")
    return refs


def ledger_entry(value: object) -> tuple[int, str]:
    """Where an entry is in the ledger: its index and its leaf hash, as a list of two."""
    if len(array(value)) != 2:
        raise Wrong("is not an index and a leaf hash")
    index, digest = array(value)
    if type(index) is not int or index < 0 or not isinstance(digest, str) or not _HASH.fullmatch(digest):
        raise Wrong("is not an index and a leaf hash")
    return index, digest


def glass(value: object) -> Glass:
    """That the glass was broken: a reason's code and the place of its entry, as a list of three."""
    if len(array(value)) != 3:
        raise Wrong("is not a reason, an index and a leaf hash")
    reason, *place = array(value)
    if not isinstance(reason, str) or _REASON.fullmatch(reason) is None:
        raise Wrong("is not a reason, an index and a leaf hash")
    return Glass(reason, *ledger_entry(place))


def confirmation(value: object) -> Confirmation:
    """A confirmation (RFC 7800): one key or one certificate, by its thumbprint and in no other way. A second
    member would be a limit that is not enforced."""
    if isinstance(value, dict) and len(value) == 1:
        [(member, digest)] = value.items()
        for method in CONFIRMED_BY:
            if member == method and is_thumbprint(digest):
                return Confirmation(method, str(digest))
    raise Wrong("is not the thumbprint of one key (jkt) or one certificate (x5t#S256)")


def is_thumbprint(value: object) -> bool:
    """Whether `value` is a SHA-256 in base64url (RFC 7638 section 3, RFC 8705 section 3.1)."""
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def refused(_: object) -> NoReturn:
    raise Wrong("is not accepted in an access token")


def _consent(value: object) -> ConsentRef:
    if not isinstance(value, dict) or value.keys() != {"id", "entry", "hash"}:
        raise Wrong("has a consent that is not of id, entry and hash")
    ident, entry, digest = value["id"], value["entry"], value["hash"]
    if not isinstance(ident, str) or _CONSENT_ID.fullmatch(ident) is None:
        raise Wrong("has a consent whose id is not a short string")
    if type(entry) is not int or entry < 0:
        raise Wrong("has a consent whose entry is not an index")
    if not isinstance(digest, str) or _HASH.fullmatch(digest) is None:
        raise Wrong("has a consent whose hash is not 43 digits of base64url")
    return ConsentRef(ident, entry, digest)
