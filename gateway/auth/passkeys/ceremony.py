"""The two ceremonies of WebAuthn Level 3, by a library: what browsers are asked, what an answer is worth.

The relying party is the host of the public URL, and the one origin is that URL: an answer given on any other
page is refused. Keys are discoverable and verify their user, so that a passkey is two factors. Attestation is
not asked for and not looked at. Challenges, counters and whose key it is are for the caller.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from gateway.core.canon import b64url, unb64url
from gateway.core.smart import uris
from gateway.errors import BadRequest
from gateway.tokens.compact import read_json

if TYPE_CHECKING:
    from fido2.server import Fido2Server

ALGORITHMS: Final = (-7, -8, -257)  # ES256, EdDSA, RS256 (RFC 9053, RFC 8812): what browsers are asked for
TIMEOUT_MS: Final = 120_000
LONGEST_ID: Final = 1023  # WebAuthn Level 3 section 7.1
NOT_SOUND: Final = "This passkey was not accepted. Try again, or log in another way."
REQUIRED: Final = "required"


@dataclass(frozen=True, slots=True)
class NewKey:
    """`data` is the attested credential data: AAGUID, id and public key."""

    id: bytes
    data: bytes = field(repr=False)
    count: int


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer to a challenge, not verified yet. `user` is the person that the key says it is of."""

    id: bytes
    challenge: bytes
    user: bytes | None
    response: Mapping[str, Any] = field(repr=False)


def relying_party(public_url: str) -> str | None:
    """The host that passkeys are for, if browsers have passkeys there: not for an IP address, and not without
    https, but on this machine."""
    parts = urlsplit(public_url)
    host = parts.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host if parts.scheme == "https" or host == "localhost" else None
    return None


class Ceremonies:
    """Those of the gateway at `public_url`, which has a relying party."""

    def __init__(self, public_url: str) -> None:
        # Here, so that commands, which hold no ceremony, do not wait for it.
        from fido2.server import Fido2Server
        from fido2.webauthn import PublicKeyCredentialRpEntity

        host, origin = relying_party(public_url), uris.origin(public_url)
        if host is None:
            raise ValueError("there are no passkeys at this address")
        self._host = host
        self._server: Fido2Server = Fido2Server(
            PublicKeyCredentialRpEntity(id=host, name="Consentry"), verify_origin=lambda at: at == origin
        )

    def to_register(
        self, person: str, login: str, name: str, known: Sequence[bytes], challenge: bytes
    ) -> dict[str, Any]:
        """What `navigator.credentials.create` is asked, as JSON (WebAuthn Level 3 section 5.1.8); `known` are
        the ids of keys that the person has."""
        return {
            "rp": {"id": self._host, "name": "Consentry"},
            "user": {"id": b64url(person.encode()), "name": login, "displayName": name},
            "challenge": b64url(challenge),
            "pubKeyCredParams": [{"type": "public-key", "alg": alg} for alg in ALGORITHMS],
            "timeout": TIMEOUT_MS,
            "excludeCredentials": [{"type": "public-key", "id": b64url(each)} for each in known],
            "authenticatorSelection": {
                "residentKey": REQUIRED,
                "requireResidentKey": True,
                "userVerification": REQUIRED,
            },
            "attestation": "none",
        }

    def to_log_in(self, challenge: bytes) -> dict[str, Any]:
        """What `navigator.credentials.get` is asked; any key of the person's for this host will do."""
        return {
            "rpId": self._host,
            "challenge": b64url(challenge),
            "timeout": TIMEOUT_MS,
            "userVerification": REQUIRED,
        }

    def read(self, text: str) -> Shown:
        """What a browser answers, as JSON, read but not believed. Raises BadRequest."""
        from fido2.webauthn import CollectedClientData

        with _refusing():
            answer: Any = read_json(text.encode())
            said = answer["response"]
            client_data = CollectedClientData(unb64url(said["clientDataJSON"]))
            user = said.get("userHandle")
            given = None if user is None else unb64url(user)
            return Shown(unb64url(answer["rawId"]), client_data.challenge, given, answer)

    def register(self, shown: Shown) -> NewKey:
        """The key of an answer to the challenge that it names. Raises BadRequest."""
        with _refusing():
            made = self._server.register_complete(_state(shown.challenge), shown.response)
            key = made.credential_data
            _check_top(shown)
            if key is None or key.credential_id != shown.id or len(shown.id) > LONGEST_ID:
                raise ValueError("not the key of this answer")
            if key.public_key.get(3) not in ALGORITHMS:
                raise ValueError("not an algorithm that was asked for")
            return NewKey(key.credential_id, bytes(key), made.counter)

    def log_in(self, shown: Shown, data: bytes) -> int:
        """The counter of an answer that the key `data` signed. Raises BadRequest."""
        from fido2.webauthn import AttestedCredentialData, AuthenticationResponse

        with _refusing():
            key = AttestedCredentialData(data)
            self._server.authenticate_complete(_state(shown.challenge), [key], shown.response)
            _check_top(shown)
            return AuthenticationResponse.from_dict(shown.response).response.authenticator_data.counter


@contextmanager
def _refusing() -> Iterator[None]:
    """Whatever an answer does to the library, which checks no types, it is not accepted."""
    try:
        yield
    except Exception as error:
        raise BadRequest(NOT_SOUND) from error


def _state(challenge: bytes) -> dict[str, str]:
    return {"challenge": b64url(challenge), "user_verification": REQUIRED}


def _check_top(shown: Shown) -> None:
    """Raises ValueError if the page that asked was in a frame of another site (WebAuthn Level 3, 13.4.9)."""
    said: Any = read_json(unb64url(shown.response["response"]["clientDataJSON"]))
    if said.get("crossOrigin", False) is not False or "topOrigin" in said:
        raise ValueError("asked in a frame")
