"""A ledger entry, schema 1: what everyone with a copy of the log can read.

Eight members in canonical JSON (RFC 8785): type, second, random nonce, unlinkable patient tag,
commitment to the hidden facts, gateway key id and signature, version. Nothing in it points to a
patient, a consent or a record without that patient's key. The log numbers entries; they do not
number themselves.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.core.canon import Json, b64url
from gateway.core.tlog.disclosure import (
    KINDS,
    NONCE_BYTES,
    TAG_BYTES,
    SubjectKeys,
    commitment,
    commitment_of_disclosed,
    disclose,
    open_disclosures,
    patient_tag,
)
from gateway.core.tlog.note import Sign, VerifierKey, Verify
from gateway.core.tlog.tree import leaf_hash
from gateway.errors import VerificationFailed

SIGNATURE_BYTES = 64
MAX_SECONDS = 9_999_999_999
_SIGNED_AS = b"fhir-ledger/entry/v1\n"
_KEY_ID = re.compile("[0-9a-f]{8}")

# The whole canonical form as one pattern. The last character of each base64url member carries bits
# that do not exist in the data; only those where they are zero are canonical.
_LEAF = re.compile(
    rb'\{"cm":"([\w-]{42}[AEIMQUYcgkosw048])","gw":"([0-9a-f]{8})","n":"([\w-]{21}[AQgw])"'
    rb',"pt":"([\w-]{21}[AQgw])","sg":"([\w-]{85}[AQgw])","t":"([a-z.]{1,16})"'
    rb',"ts":(0|[1-9][0-9]{0,9}),"v":1\}'
)


@dataclass(frozen=True, slots=True)
class BuiltEntry:
    """An entry ready for the log, with what goes beside it: the facts as disclosures, and all digests."""

    leaf: bytes
    leaf_hash: bytes
    nonce: bytes
    disclosures: tuple[str, ...]
    digests: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as read from the log. `at_s` is the gateway's clock, seconds since the epoch."""

    kind: str
    at_s: int
    nonce: bytes
    tag: bytes
    commitment: bytes
    gateway_key_id: str
    signature: bytes

    def __post_init__(self) -> None:
        _check_header(self.kind, self.at_s, self.nonce, self.tag, self.gateway_key_id)
        if len(self.commitment) != 32 or len(self.signature) != SIGNATURE_BYTES:
            raise ValueError("a commitment has 32 bytes and a signature 64")

    @classmethod
    def parse(cls, leaf: bytes) -> Entry:
        """Read the bytes of one entry; ValueError unless `encode` would give back the same bytes."""
        match = _LEAF.fullmatch(leaf)
        if match is None:
            raise ValueError("not an entry of schema 1 in canonical form")
        cm, gw, n, pt, sg, t, ts = match.groups()
        return cls(
            kind=t.decode(),
            at_s=int(ts),
            nonce=base64.urlsafe_b64decode(n + b"=="),
            tag=base64.urlsafe_b64decode(pt + b"=="),
            commitment=base64.urlsafe_b64decode(cm + b"="),
            gateway_key_id=gw.decode(),
            signature=base64.urlsafe_b64decode(sg + b"=="),
        )

    def encode(self) -> bytes:
        head, tail = self._members()
        return f'{head},"sg":"{b64url(self.signature)}",{tail}'.encode()

    def signed_bytes(self) -> bytes:
        """What the gateway's key signs: a label and the canonical entry without its `sg`."""
        head, tail = self._members()
        return _SIGNED_AS + f"{head},{tail}".encode()

    def _members(self) -> tuple[str, str]:
        return _members(self.commitment, self.gateway_key_id, self.nonce, self.tag, self.kind, self.at_s)


def build_entry(
    kind: str,
    at_s: int,
    nonce: bytes,
    keys: SubjectKeys,
    facts: Mapping[str, Json],
    gateway_key_id: str,
    sign: Sign,
    *,
    tag: bytes | None = None,
) -> BuiltEntry:
    """Commit to `facts` and sign.

    `nonce` is 16 random bytes, the same again on a retry. An entry without a patient is given 16
    random bytes as `tag` and the organisation's keys. Raises ValueError for an unknown kind, a fact
    this kind does not hide, more than 16 facts, or a part of the wrong size.
    """
    if tag is None:
        tag = patient_tag(keys, nonce)
    _check_header(kind, at_s, nonce, tag, gateway_key_id)
    if not facts.keys() <= KINDS[kind]:
        raise ValueError("a fact that entries of this kind do not hide")
    disclosures, digests = disclose(nonce, keys, facts)
    head, tail = _members(commitment_of_disclosed(digests), gateway_key_id, nonce, tag, kind, at_s)
    signature = sign(_SIGNED_AS + f"{head},{tail}".encode())
    if len(signature) != SIGNATURE_BYTES:
        raise ValueError("an Ed25519 signature has 64 bytes")
    leaf = f'{head},"sg":"{b64url(signature)}",{tail}'.encode()
    return BuiltEntry(leaf, leaf_hash(leaf), nonce, disclosures, digests)


def verify_entry_signature(entry: Entry, key: VerifierKey, verify: Verify) -> None:
    """Raises VerificationFailed unless the gateway of `key` signed the entry."""
    if entry.gateway_key_id != key.key_id.hex():
        raise VerificationFailed("entry: signed by another gateway key")
    if not verify(key.public_key, entry.signed_bytes(), entry.signature):
        raise VerificationFailed("entry: the gateway's signature does not verify")


def open_entry(entry: Entry, digests: Sequence[bytes], disclosures: Sequence[str]) -> dict[str, Json]:
    """The facts opened by `disclosures`, name -> value.

    Raises VerificationFailed unless the 16 digests are the committed ones and every disclosure is
    one of them, opened once, under a name that this kind of entry hides.
    """
    try:
        committed = commitment(digests)
    except ValueError as error:
        raise VerificationFailed("entry: malformed digests") from error
    if committed != entry.commitment:
        raise VerificationFailed("entry: the digests are not those it commits to")
    return open_disclosures(entry.kind, digests, disclosures)


def _check_header(kind: str, at_s: int, nonce: bytes, tag: bytes, gateway_key_id: str) -> None:
    if kind not in KINDS:
        raise ValueError("unknown entry type")
    if not 0 <= at_s <= MAX_SECONDS:
        raise ValueError("a time is whole seconds since the epoch, ten digits at most")
    if len(nonce) != NONCE_BYTES or len(tag) != TAG_BYTES:
        raise ValueError("a nonce and a tag have 16 bytes")
    if not _KEY_ID.fullmatch(gateway_key_id):
        raise ValueError("a gateway key id is 8 hexadecimal digits")


def _members(
    committed: bytes, gateway_key_id: str, nonce: bytes, tag: bytes, kind: str, at_s: int
) -> tuple[str, str]:
    """The canonical members before and after `sg`; every value is ASCII that needs no escape."""
    head = f'{{"cm":"{b64url(committed)}","gw":"{gateway_key_id}","n":"{b64url(nonce)}","pt":"{b64url(tag)}"'
    return head, f'"t":"{kind}","ts":{at_s},"v":1}}'
