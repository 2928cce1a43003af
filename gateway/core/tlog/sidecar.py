"""What is kept beside an entry, encrypted under the patient's key: this module has the plaintext.

    {"a":{"doc":"..."},"d":["WyJBSThI..."],"g":"base64url of the 16 digests, joined"}

Canonical JSON. An attachment is a text too long for a fact: the fact of its name holds its SHA-256.
Encryption (AES-256-GCM, the leaf hash as associated data) is done where the keys are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.core.canon import Json, b64url, canonical, parse_canonical, sha256_text, unb64url
from gateway.core.tlog.disclosure import check_digests
from gateway.core.tlog.entry import Entry, open_entry
from gateway.errors import VerificationFailed

ATTACHMENTS = frozenset({"doc", "rids", "rsn"})
"""Facts whose value is the `sha256_text` of an attached text: a Consent, the lines of released versions, why
the glass was broken."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """`digests` are all 16, in order; `attachments` is fact name -> text. Holds patient data: no repr."""

    disclosures: tuple[str, ...] = field(repr=False)
    digests: tuple[bytes, ...] = field(repr=False)
    attachments: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        check_digests(self.digests)
        _check_attachments(self.attachments)

    @classmethod
    def parse(cls, data: bytes) -> Sidecar:
        """Read a decrypted sidecar; ValueError unless `encode` would give back the same bytes."""
        match parse_canonical(data):
            case {"a": dict(texts), "d": list(disclosures), "g": str(joined), **rest} if not rest:
                digests = unb64url(joined)
                return cls(
                    tuple(_text(disclosure) for disclosure in disclosures),
                    tuple(digests[i : i + 32] for i in range(0, len(digests), 32)),
                    {name: _text(text) for name, text in texts.items()},
                )
            case _:
                raise ValueError("not a sidecar")

    def encode(self) -> bytes:
        return encode_sidecar(self.disclosures, self.digests, self.attachments)

    def check(self, entry: Entry) -> dict[str, Json]:
        """All facts, name -> value; raises VerificationFailed unless everything here belongs to `entry`."""
        facts = open_entry(entry, self.digests, self.disclosures)
        for name, text in self.attachments.items():
            if facts.get(name) != sha256_text(text.encode()):
                raise VerificationFailed(f"sidecar: the attachment {name} is not the one recorded")
        return facts


def encode_sidecar(
    disclosures: Sequence[str], digests: Sequence[bytes], attachments: Mapping[str, str]
) -> bytes:
    """What `Sidecar.encode` gives, for the disclosures and digests of a `BuiltEntry`: these need no check.

    Raises ValueError for a text that has no place in a sidecar.
    """
    _check_attachments(attachments)
    texts, opened = canonical({**attachments}), canonical([*disclosures])
    return b'{"a":%b,"d":%b,"g":"%b"}' % (texts, opened, b64url(b"".join(digests)).encode())


def _check_attachments(attachments: Mapping[str, str]) -> None:
    if not attachments.keys() <= ATTACHMENTS:
        raise ValueError("an attachment belongs to the fact doc, rids or rsn")


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise ValueError("not a sidecar")
    return value
