"""What goes over the writer's socket: frames of a 4-byte big-endian length and a MessagePack value.

A peer that sends anything else is disconnected. The socket's name is kept short here, because
`sun_path` holds 108 bytes.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import msgspec

from gateway.ledger.durable import replace
from gateway.ledger.store import SealedEntry

MAX_FRAME_BYTES = 16 << 20
_MAX_PATH_BYTES = 107


class Append(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Append `entries` as one batch. `id` comes back with the answer; answers come in any order.

    `under_way` is how many requests the sender has that may append, this one among them.
    """

    id: int
    entries: list[SealedEntry]
    under_way: int = 0


class Appended(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    id: int
    indexes: list[int]


class Failed(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Not recorded as far as is known; `refused` if a retry cannot help. `text` is public."""

    id: int
    refused: bool
    text: str


Answer = Appended | Failed
_encoder = msgspec.msgpack.Encoder()
_appends = msgspec.msgpack.Decoder(Append)
_answers: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Appended | Failed)


def encode(message: Append | Answer) -> bytes:
    body = _encoder.encode(message)
    return len(body).to_bytes(4) + body


async def read_append(stream: asyncio.StreamReader) -> Append:
    """The next request. Raises EOFError at the end and in the middle of a frame, ValueError for
    anything that is not a request."""
    return _appends.decode(await _frame(stream))


async def read_answer(stream: asyncio.StreamReader) -> Answer:
    """The next answer; raises as `read_append`."""
    return _answers.decode(await _frame(stream))


def new_address(ledger: Path) -> Path:
    """Where the writer of `ledger` listens: beside the file, or, if that name is too long for a
    socket, in a fresh folder whose name is left beside the file."""
    beside, note = _beside(ledger)
    if _fits(beside):
        return beside
    address = Path(tempfile.mkdtemp(prefix="consentry-")) / "ledger.sock"
    replace(note, str(address).encode(), 0o600)
    return address


def address_of(ledger: Path) -> Path:
    """Where the writer of `ledger` listens if it runs. Raises FileNotFoundError if that was never said."""
    beside, note = _beside(ledger)
    return beside if _fits(beside) else Path(note.read_text())


def remove_address(ledger: Path, address: Path) -> None:
    """Take away what `new_address` and listening left."""
    address.unlink(missing_ok=True)
    if address != _beside(ledger)[0]:
        address.parent.rmdir()


def _beside(ledger: Path) -> tuple[Path, Path]:
    absolute = ledger.absolute()
    return absolute.with_name(f"{ledger.name}.sock"), absolute.with_name(f"{ledger.name}.sock.path")


def _fits(path: Path) -> bool:
    return len(bytes(path)) <= _MAX_PATH_BYTES


async def _frame(stream: asyncio.StreamReader) -> bytes:
    length = int.from_bytes(await stream.readexactly(4))
    if length > MAX_FRAME_BYTES:
        raise ValueError("the frame is too long")
    return await stream.readexactly(length)
