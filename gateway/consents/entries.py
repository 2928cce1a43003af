"""How consents and the ends of tokens stand in ledger entries: the facts of each kind, written and checked.

    consent.grant    doc digest, and scp, aud, pou, cat, nbf, exp as far as the root names them
    consent.change   the same and prv
    consent.revoke   prv, rsn
    token.revoke     tok, rsn

`prv` is [index, base64url leaf hash] of an entry that holds the consent. The text of the consent is the
attachment `doc`. `rsn` is a reason code, after `stop:` if sharing is to stay stopped. `tok` is the place of
the entry of a token's issue; it is under the organisation's key, so that no erasure brings the token back. Of
an entry whose key was destroyed only its place is left (`Erased`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from gateway.core.canon import Json, b64url, sha256_text
from gateway.core.consent.document import ParseScope, format_document, parse
from gateway.core.consent.rule import Consent
from gateway.core.tlog.opened import OpenedEntry
from gateway.core.values import ConsentRef
from gateway.errors import VerificationFailed

GRANT: Final = "consent.grant"
CHANGE: Final = "consent.change"
REVOKE: Final = "consent.revoke"
KINDS: Final = frozenset({GRANT, CHANGE, REVOKE})
TOKEN_REVOKE: Final = "token.revoke"  # noqa: S105 - a kind of entry
ERASE: Final = "erase"
FOLLOWED: Final = KINDS | {TOKEN_REVOKE, ERASE}

_STOP: Final = "stop:"
_REASON: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class Erased:
    """A consent entry that nobody can open any more: its patient's key was destroyed."""

    index: int
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class Erasure:
    """An `erase` entry. It is recorded when the key is gone, so that whoever follows it finds out."""

    index: int


def is_reason(text: str) -> bool:
    """Whether `text` can be the reason of a revocation."""
    return _REASON.fullmatch(text) is not None


def grant_facts(consent: Consent) -> tuple[dict[str, Json], dict[str, str]]:
    """The facts and attachments that grant the consent."""
    text = format_document(consent)
    match = consent.root.match
    facts: dict[str, Json] = {"doc": sha256_text(text.encode())}
    named: dict[str, Json] = {
        "scp": [scope.text for scope in match.scopes],
        "aud": [*sorted(match.actors)],
        "pou": [*sorted(match.purposes)],
        "cat": [*sorted(match.labels)],
        "nbf": consent.from_s,
        "exp": consent.until_s,
    }
    facts.update((name, value) for name, value in named.items() if value is not None and value != [])
    return facts, {"doc": text}


def change_facts(consent: Consent, previous: ConsentRef) -> tuple[dict[str, Json], dict[str, str]]:
    """The facts and attachments that put `consent` in the place of what `previous` says."""
    facts, attachments = grant_facts(consent)
    return {**facts, "prv": _written(previous)}, attachments


def revoke_facts(previous: ConsentRef, reason: str, *, stop: bool) -> dict[str, Json]:
    """The facts that withdraw the consent of `previous`."""
    return {"prv": _written(previous), "rsn": _STOP + reason if stop else reason}


def read_consent(entry: OpenedEntry, parse_scope: ParseScope) -> Consent:
    """The consent that a grant or change entry holds, with that entry as its only reference."""
    text = entry.attachments.get("doc")
    if text is None:
        raise failed(entry, "the consent's text is missing")
    try:
        consent = parse(text, parse_scope)
    except ValueError as error:
        raise failed(entry, "the consent's text cannot be read") from error
    expected, _ = grant_facts(consent)
    if any(entry.facts.get(name) != expected.get(name) for name in _FACTS):
        raise failed(entry, "the facts are not those of the consent's text")
    if entry.facts.get("pat", f"Patient/{consent.patient}") != f"Patient/{consent.patient}":
        raise failed(entry, "the consent is another patient's")
    return replace(consent, refs=(ref(consent.id, entry),))


def end_of_token_facts(issued: tuple[int, str], reason: str) -> dict[str, Json]:
    """The facts that end the token whose issue is the entry `issued`."""
    return {"tok": [*issued], "rsn": reason}


def ended_token(entry: OpenedEntry) -> tuple[int, str]:
    """Index and leaf hash of the entry of issue of the token that is ended."""
    return _place(entry, "tok")


def previous_place(entry: OpenedEntry) -> tuple[int, str]:
    """Index and leaf hash of the entry that `prv` names."""
    return _place(entry, "prv")


def _place(entry: OpenedEntry, name: str) -> tuple[int, str]:
    match entry.facts.get(name):
        case [int(index), str(leaf_hash)] if not isinstance(index, bool):
            return index, leaf_hash
        case _:
            raise failed(entry, "it names no earlier entry")


def read_stop(entry: OpenedEntry) -> bool:
    """Whether a revocation stops sharing for good."""
    reason = entry.facts.get("rsn")
    if not isinstance(reason, str) or not is_reason(reason.removeprefix(_STOP)):
        raise failed(entry, "it gives no reason")
    return reason.startswith(_STOP)


def ref(consent_id: str, entry: OpenedEntry) -> ConsentRef:
    return ConsentRef(consent_id, entry.index, b64url(entry.leaf_hash))


def failed(entry: OpenedEntry, text: str) -> VerificationFailed:
    return VerificationFailed(f"consents: entry {entry.index}: {text}")


_FACTS: Final = ("doc", "scp", "aud", "pou", "cat", "nbf", "exp")


def _written(previous: ConsentRef) -> list[Json]:
    return [previous.entry, previous.hash]
