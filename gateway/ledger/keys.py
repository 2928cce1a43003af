"""The key folder: what each file holds, how it is made, and that the files fit together.

    log.key        Ed25519, named after the origin: signs checkpoints       log.vkey      public
    gateway.key    Ed25519, `<origin>/gateway`: signs entries               gateway.vkey  public
    kek.key        32 bytes, base64: wraps the keys in the vault
    issuer.jwk     EC P-256 private JWK: signs access tokens (ES256)
    openid.jwk     RSA private JWK: signs id_tokens (RS256); a folder made before there were any has none
    operator.key   random text: the operator's way into the console
    checkpoint     the last published head, kept here so that a restored database is noticed

Keys are made once and never overwritten. The folder is 0700 and secret files 0600; a folder that
others can read is refused, not repaired, because the keys may be known by then.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from gateway.core.tlog.note import VerifierKey
from gateway.errors import ConfigError
from gateway.ledger.durable import sync_folder, write_new
from gateway.ledger.issuer_key import check_issuer_jwk, check_openid_jwk, new_issuer_jwk, new_openid_jwk
from gateway.ledger.signing import SigningKey

T = TypeVar("T")
KEK_BYTES = 32
_REMEDY = "run `consentry keys init`, or put the folder back from its backup"
_OPENID = "openid.jwk"
_SECRETS = ("log.key", "gateway.key", "kek.key", "issuer.jwk", "operator.key")
_PUBLIC = ("log.vkey", "gateway.vkey")


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys of one gateway, checked to fit together. `issuer_jwk` and `openid_jwk` are JSON text; without
    the second there is no single sign-on."""

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
    log = _read(folder, "log.key", SigningKey.parse)
    gateway = _read(folder, "gateway.key", SigningKey.parse)
    for name, key in (("log.vkey", log), ("gateway.vkey", gateway)):
        if str(_read(folder, name, VerifierKey.parse)) != str(key.verifier):
            raise ConfigError(f"{folder / name} is not the public half of its key; {_REMEDY}.")
    if gateway.name != _gateway_name(log.name):
        raise ConfigError(f"{folder / 'gateway.key'} is not a key of the log {log.name}; {_REMEDY}.")
    return KeyRing(
        folder=folder,
        log=log,
        gateway=gateway,
        kek=_read(folder, "kek.key", _parse_kek),
        issuer_jwk=_read(folder, "issuer.jwk", check_issuer_jwk),
        operator_secret=_read(folder, "operator.key", _parse_operator_secret),
        openid_jwk=_read(folder, _OPENID, check_openid_jwk) if (folder / _OPENID).exists() else None,
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
    later = [folder / _OPENID] if (folder / _OPENID).exists() else []
    for path in (folder, *(folder / name for name in _SECRETS), *later):
        try:
            mode = stat.S_IMODE(os.stat(path).st_mode)
        except OSError as missing:
            raise ConfigError(f"{path} is missing or unreadable; {_REMEDY}.") from missing
        if mode & 0o077:
            right = "700" if path == folder else "600"
            raise ConfigError(f"{path} can be read by others (mode {mode:03o}); run `chmod {right} {path}`.")


def _read(folder: Path, name: str, parse: Callable[[str], T]) -> T:
    path = folder / name
    try:
        return parse(path.read_text("ascii").removesuffix("\n"))
    except (OSError, ValueError) as wrong:
        raise ConfigError(f"{path} cannot be used: {_why(wrong)}; {_REMEDY}.") from wrong


def _why(wrong: OSError | ValueError) -> str:
    if isinstance(wrong, OSError):
        return wrong.strerror or "it cannot be read"
    if isinstance(wrong, UnicodeError):
        return "it is not text"
    return str(wrong)


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
