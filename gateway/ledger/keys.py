"""The key folder: what each file holds, how it is made, and that the files fit together.

    log.key        Ed25519, named after the origin: signs checkpoints       log.vkey      public
    gateway.key    Ed25519, `<origin>/gateway`: signs entries               gateway.vkey  public
    kek.key        32 bytes, base64: wraps the keys in the vault
    issuer.jwk     EC P-256 private JWK: signs access tokens (ES256)
    openid.jwk     RSA private JWK: signs id_tokens (RS256); a folder made before there were any has none
    issuer-….jwk, openid-….jwk   the keys before and after them (`gateway.ledger.token_key_files`)
    operator.key   random text: the operator's way into the console
    checkpoint     the last published head, kept here so that a restored database is noticed

Keys are made once and never overwritten; those that sign tokens are replaced elsewhere. The folder is 0700
and secret files 0600; a folder that others can read is refused, not repaired, because the keys may be known
by then.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from gateway.core.tlog.note import VerifierKey
from gateway.errors import ConfigError
from gateway.ledger.durable import sync_folder, write_new
from gateway.ledger.issuer_key import new_issuer_jwk, new_openid_jwk
from gateway.ledger.key_files import REMEDY, read_key, refuse_open
from gateway.ledger.signing import SigningKey
from gateway.ledger.token_key_files import TokenKeyFiles
from gateway.ledger.token_keys import ISSUER, OPENID, TokenKeys

KEK_BYTES = 32
_OPENID = "openid.jwk"
_SECRETS = ("log.key", "gateway.key", "kek.key", "issuer.jwk", "operator.key")
_PUBLIC = ("log.vkey", "gateway.vkey")


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys of one gateway, checked to fit together. `issuer_jwk` and `openid_jwk` are JSON text, of
    the keys that others may come after; without the second there is no single sign-on."""

    folder: Path
    log: SigningKey
    gateway: SigningKey
    kek: bytes = field(repr=False)
    issuer_jwk: str = field(repr=False)
    operator_secret: str = field(repr=False)
    openid_jwk: str | None = field(repr=False, default=None)

    @property
    def origin(self) -> str:
        return self.log.name

    @property
    def checkpoint_path(self) -> Path:
        return self.folder / "checkpoint"


def init_keys(folder: Path, origin: str) -> KeyRing:
    """Make all keys in `folder`, which may exist but holds none of them yet.

    Raises ConfigError when a key file is there already: a key that is overwritten takes the
    readable history, or the log's identity, with it.
    """
    try:
        _fill(folder, origin)
    except FileExistsError as found:
        raise ConfigError(f"There are keys in {folder} already; they are never overwritten.") from found
    except OSError as failed:
        raise ConfigError(f"The key folder {folder} cannot be written: {failed.strerror}.") from failed
    return load_keys(folder)


def add_openid_key(folder: Path) -> bool:
    """Makes the key of id_tokens in a folder from before there was one; False if it is there.

    Raises ConfigError.
    """
    try:
        write_new(folder / _OPENID, new_openid_jwk().encode() + b"\n", 0o600)
    except FileExistsError:
        return False
    except OSError as failed:
        raise ConfigError(f"The key folder {folder} cannot be written: {failed.strerror}.") from failed
    sync_folder(folder)
    return True


def load_keys(folder: Path) -> KeyRing:
    """The keys in `folder`. Raises ConfigError naming the file that is missing, open to others or wrong."""
    _refuse_open_folder(folder)
    log = read_key(folder / "log.key", SigningKey.parse)
    gateway = read_key(folder / "gateway.key", SigningKey.parse)
    for name, key in (("log.vkey", log), ("gateway.vkey", gateway)):
        if str(read_key(folder / name, VerifierKey.parse)) != str(key.verifier):
            raise ConfigError(f"{folder / name} is not the public half of its key; {REMEDY}.")
    if gateway.name != _gateway_name(log.name):
        raise ConfigError(f"{folder / 'gateway.key'} is not a key of the log {log.name}; {REMEDY}.")
    openid = TokenKeyFiles(folder, OPENID).read() if (folder / _OPENID).exists() else None
    return KeyRing(
        folder=folder,
        log=log,
        gateway=gateway,
        kek=read_key(folder / "kek.key", _parse_kek),
        issuer_jwk=_text(TokenKeyFiles(folder, ISSUER).read()),
        operator_secret=read_key(folder / "operator.key", _parse_operator_secret),
        openid_jwk=None if openid is None else _text(openid),
    )


def _fill(folder: Path, origin: str) -> None:
    log = _named_key(origin)
    gateway = SigningKey.generate(_gateway_name(origin))
    contents = {
        "log.key": log.line(),
        "gateway.key": gateway.line(),
        "kek.key": base64.b64encode(secrets.token_bytes(KEK_BYTES)).decode(),
        "issuer.jwk": new_issuer_jwk(),
        "operator.key": secrets.token_urlsafe(32),
        _OPENID: new_openid_jwk(),
        "log.vkey": str(log.verifier),
        "gateway.vkey": str(gateway.verifier),
    }
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in contents:
        if (folder / name).exists():
            raise FileExistsError(name)
    for name, text in contents.items():
        write_new(folder / name, text.encode() + b"\n", 0o644 if name in _PUBLIC else 0o600)
    # Durable from here: all keys. A crash before leaves some of the files; `init_keys` then refuses
    # and the operator empties the folder, as nothing was signed or encrypted with them yet.
    sync_folder(folder)


def _named_key(origin: str) -> SigningKey:
    try:
        key = SigningKey.generate(origin)
        str(key.verifier)  # a name that no key can have raises here
    except ValueError as wrong:
        raise ConfigError(
            "ledger.origin cannot name a key: write a URL without scheme, such as hospital.example/consentry."
        ) from wrong
    return key


def _gateway_name(origin: str) -> str:
    return f"{origin}/gateway"


def _refuse_open_folder(folder: Path) -> None:
    refuse_open(folder, "700")
    for name in _SECRETS:
        refuse_open(folder / name)


def _text(keys: TokenKeys) -> str:
    return json.dumps({**keys.first.jwk})


def _parse_kek(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("the key is not base64") from None
    if len(key) != KEK_BYTES:
        raise ValueError(f"the key is not {KEK_BYTES} bytes long")
    return key


def _parse_operator_secret(text: str) -> str:
    if len(text) < 32 or any(c.isspace() for c in text):
        raise ValueError("the secret is shorter than 32 characters or has spaces")
    return text
