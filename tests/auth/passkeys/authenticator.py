"""An authenticator and the browser before it, made by hand: sound answers, and every kind that is not.

It shares no code with what it tests: CBOR and the layouts of WebAuthn Level 3 (sections 6.1, 6.5) are put
together here.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.tokens.forge import b64

UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40
SOUND = UP | UV


@dataclass
class Authenticator:
    """One key for one host. `changes` of a call are members of the client data; None takes one out."""

    host: str = "gw.example"
    origin: str = "https://gw.example"
    count: int = 0
    counts: bool = True
    user: str = ""
    id: bytes = field(default_factory=lambda: os.urandom(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def register(
        self,
        options: dict[str, Any],
        *,
        flags: int = SOUND | AT,
        alg: int = -7,
        fmt: str = "none",
        raw_id: bytes | None = None,
        **changes: Any,
    ) -> str:
        self.user = options["user"]["id"]
        credential = bytes(16) + struct.pack(">H", len(self.id)) + self.id + self._cose(alg)
        data = self._data(flags) + (credential if flags & AT else b"")
        response = {
            "clientDataJSON": self._client_data("webauthn.create", options, changes),
            "attestationObject": b64(cbor({"fmt": fmt, "attStmt": {}, "authData": data})),
        }
        return self._answer(response, raw_id)

    def log_in(
        self,
        options: dict[str, Any],
        *,
        flags: int = SOUND,
        user: str | None = "own",
        raw_id: bytes | None = None,
        spoil: bool = False,
        **changes: Any,
    ) -> str:
        self.count += self.counts
        data, client = self._data(flags), self._client_data("webauthn.get", options, changes)
        signed = data + hashlib.sha256(_raw(client)).digest()
        signature = bytearray(self.key.sign(signed, ec.ECDSA(hashes.SHA256())))
        signature[-1] ^= spoil
        handle = {} if user is None else {"userHandle": self.user if user == "own" else user}
        response = {
            "clientDataJSON": client,
            "authenticatorData": b64(data),
            "signature": b64(bytes(signature)),
            **handle,
        }
        return self._answer(response, raw_id)

    def _data(self, flags: int) -> bytes:
        return hashlib.sha256(self.host.encode()).digest() + struct.pack(">BI", flags, self.count)

    def _client_data(self, kind: str, options: dict[str, Any], changes: dict[str, Any]) -> str:
        sound = {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        said = {name: value for name, value in {**sound, **changes}.items() if value is not None}
        return b64(json.dumps(said).encode())

    def _answer(self, response: dict[str, str], raw_id: bytes | None) -> str:
        named = b64(self.id if raw_id is None else raw_id)
        whole = {"id": named, "rawId": named, "type": "public-key", "clientExtensionResults": {}}
        return json.dumps({**whole, "response": response})

    def _cose(self, alg: int) -> bytes:
        point = self.key.public_key().public_numbers()
        x, y = (number.to_bytes(32, "big") for number in (point.x, point.y))
        return cbor({1: 2, 3: alg, -1: 1, -2: x, -3: y})


def cbor(value: Any) -> bytes:
    """The little of RFC 8949 that is needed."""
    match value:
        case int():
            return _head(0, value) if value >= 0 else _head(1, -1 - value)
        case bytes():
            return _head(2, len(value)) + value
        case str():
            return _head(3, len(value.encode())) + value.encode()
        case dict():
            pairs = b"".join(cbor(name) + cbor(each) for name, each in value.items())
            return _head(5, len(value)) + pairs
        case _:
            raise TypeError(value)


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    if number < 256:
        return bytes([major << 5 | 24, number])
    return bytes([major << 5 | 25]) + number.to_bytes(2, "big")


def _raw(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
