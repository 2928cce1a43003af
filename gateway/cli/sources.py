"""Where a log and its public keys come from: this machine's folder and database, files, or a server.

Only public keys are read here, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from gateway.config import Settings
from gateway.core.tlog.note import VerifierKey
from gateway.errors import ConfigError, LedgerUnavailable, VerificationFailed
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.ledger.verify import PublicKeys

TIMEOUT_S: Final = 30
# A bundle of 256 entries of 65535 bytes is the longest body there is.
MAX_BODY_BYTES: Final = 17 * 1024 * 1024


def public_keys(settings: Settings) -> PublicKeys:
    """The public halves in the key folder. Raises ConfigError."""
    folder = settings.ledger.keys
    return PublicKeys(read_key(str(folder / "log.vkey")), (read_key(str(folder / "gateway.vkey")),))


def read_key(text: str) -> VerifierKey:
    """The verifier key in a file, or that `text` is. Raises ConfigError."""
    try:
        return VerifierKey.parse(file_or_text(text).decode().strip())
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is neither a verifier key (name+id+key) nor a file that holds one."
        ) from error


def open_reader(settings: Settings) -> SqliteReader:
    """The database, read beside whoever writes it. Raises ConfigError if there is none yet, and
    VerificationFailed if there was one."""
    store = settings.ledger.store
    if not store.is_file():
        if (settings.ledger.keys / "checkpoint").is_file():
            raise VerificationFailed(
                f"The ledger {store} is gone, but heads of it were published; restore it."
            )
        raise ConfigError(f"There is no ledger at {store}; run `consentry keys init`.")
    return SqliteReader(store)


def file_or_text(text: str) -> bytes:
    """The file of that name, or the text itself."""
    path = Path(text)
    return path.read_bytes() if len(text) < 1024 and path.is_file() else text.encode()


@contextmanager
def fetching(url: str) -> Iterator[Callable[[str], bytes | None]]:
    """A function that fetches a path below `url`; None if there is nothing. Raises LedgerUnavailable."""
    with httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client:
        yield lambda path: _get(client, f"{url.rstrip('/')}/{path}")


def _get(client: httpx.Client, url: str) -> bytes | None:
    try:
        with client.stream("GET", url) as answer:
            body = bytearray()
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise LedgerUnavailable(f"{url} is longer than anything a log holds.")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise LedgerUnavailable(f"{url} cannot be fetched ({type(error).__name__}).") from error
    if answer.status_code == 404:
        return None
    if answer.status_code != 200:
        raise LedgerUnavailable(f"{url} answers with status {answer.status_code}.")
    return bytes(body)
