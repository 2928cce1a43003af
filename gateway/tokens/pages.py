"""Links to a next page, sealed by us: an upstream's own paging link never leaves the gateway.

A sealed page holds the client's query, the upstream's cursor, and a digest of who asked under which
rights and consents (`core.decide.page_binding`); it opens only here, unchanged, and until it expires.
AES-256-GCM over the compressed fields, the FHIR base as associated data, a random 96-bit nonce in front,
base64url.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway import errors
from gateway.core.canon import b64url, unb64url
from gateway.core.fhir.release import Cursor

LIFETIME_S: Final = 3600
NONCE_BYTES: Final = 12
LABEL: Final = b"consentry/page/v1 "
LONGEST: Final = 7168  # of a sealed page, as the grammar takes it: servers cap addresses at 8 kB


@dataclass(frozen=True, slots=True)
class Page:
    """`query` is the client's first one, encoded; `binding` a digest."""

    type: str
    query: str
    cursor: Cursor
    binding: bytes


class PageSealer:
    """Seals and opens the pages of one FHIR base, with a 32-byte key that all workers share. `random` gives
    n random bytes. A page of another base does not open."""

    def __init__(self, key: bytes, random: Callable[[int], bytes], base: str) -> None:
        self._cipher = AESGCM(key)
        self._random = random
        self._label = LABEL + base.encode()

    def seal(self, page: Page, now_s: int) -> str:
        """
        Raises:
            BadRequest: the query and the cursor are too long for a link.
        """
        fields = [page.type, page.query, page.cursor.path, page.cursor.query, b64url(page.binding)]
        nonce = self._random(NONCE_BYTES)
        text = json.dumps([now_s + LIFETIME_S, *fields], separators=(",", ":")).encode()
        sealed = b64url(nonce + self._cipher.encrypt(nonce, zlib.compress(text), self._label))
        if len(sealed) > LONGEST:
            raise errors.BadRequest("This search is too long to be paged; ask for fewer values at a time.")
        return sealed

    def open(self, sealed: str, now_s: int) -> Page:
        """
        Raises:
            Gone: not sealed by this gateway, or expired. Which of them is not said.
        """
        try:
            data = unb64url(sealed)
            text = zlib.decompress(self._cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], self._label))
        except (ValueError, InvalidTag) as error:
            raise gone() from error
        expires_s, kind, query, path, raw_query, binding = json.loads(text)
        if now_s >= expires_s:
            raise gone()
        return Page(kind, query, Cursor(path, raw_query), unb64url(binding))


def gone() -> errors.Gone:
    """The one answer for a page that cannot be gone on with."""
    return errors.Gone("This page is no longer available; search again.")
