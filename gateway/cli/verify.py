"""`consentry ledger verify`: everything derived anew, and a finding named by its place.

Three subjects: the database of this machine, a served copy (`--url`), or one receipt (`--receipt`), which
is checked offline. Public keys are enough; where the keys to the facts are too, sidecars are opened.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import click

from gateway.cli.common import config_option, json_option, print_json, settings_of
from gateway.cli.sources import fetching, file_or_text, open_reader, public_keys, read_key
from gateway.config import Settings
from gateway.core.canon import Json, b64, unb64url
from gateway.core.tlog.entry import Entry
from gateway.core.tlog.receipt import TlogProof
from gateway.core.tlog.tree import leaf_hash
from gateway.errors import VerificationFailed
from gateway.ledger.keys import load_keys
from gateway.ledger.reading import Receipt
from gateway.ledger.recorder import LedgerReader
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.ledger.vault import Vault
from gateway.ledger.verify import (
    Progress,
    PublicKeys,
    ServedSource,
    Verified,
    verify_log,
    verify_receipt,
    verify_store,
)

_HEADER: Final = re.compile(
    r"(?:(?i:ledger-entry):\s*)?([^;\s]+);(0|[1-9][0-9]{0,18});([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])"
)


@click.command()
@config_option
@click.option("--url", metavar="URL", help="A served ledger, such as https://host/ledger; needs --vkey.")
@click.option("--vkey", metavar="FILE|KEY", help="The log's verifier key. [default: that of --config]")
@click.option(
    "--gateway-vkey",
    "gateway_vkeys",
    multiple=True,
    metavar="FILE|KEY",
    help="A gateway's verifier key; without one the entries' signatures in a served ledger are "
    "not checked. Repeatable.",
)
@click.option(
    "--receipt",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Check this saved tlog-proof, offline, and nothing else; needs --entry.",
)
@click.option(
    "--entry",
    metavar="FILE|TEXT",
    help="What the receipt is for: a Ledger-Entry header, or the entry itself.",
)
@click.option(
    "--saved-head",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A signed head seen earlier, of which the log must be a continuation.",
)
@json_option
def verify(
    config: Path,
    url: str | None,
    vkey: str | None,
    gateway_vkeys: tuple[str, ...],
    receipt: Path | None,
    entry: str | None,
    saved_head: Path | None,
    as_json: bool,
) -> None:
    """Verify the ledger from its entries up.

    Exit status 0: everything holds. 1: something does not, and its place is named.
    """
    if (receipt is None) != (entry is None) or (receipt and (url or saved_head)):
        raise _usage("--receipt and --entry go together, and with neither --url nor --saved-head")
    if vkey is None and (url or gateway_vkeys):
        raise _usage("give --vkey too: a log cannot vouch for itself")
    keys = None if vkey is None else PublicKeys(read_key(vkey), tuple(map(read_key, gateway_vkeys)))
    saved = None if saved_head is None else saved_head.read_bytes()
    if receipt is not None and entry is not None:
        found = _receipt(receipt.read_bytes(), entry, keys or public_keys(settings_of(config)))
    elif url and keys is not None:
        found = _log(_served(url, keys, saved))
    else:
        settings = settings_of(config)
        found = _log(_local(settings, keys or public_keys(settings), saved))
    _print(found, as_json)


def _usage(text: str) -> click.UsageError:
    return click.UsageError(text, click.get_current_context())


# --- The three subjects ----------------------------------------------------------------------------


def _local(settings: Settings, keys: PublicKeys, saved: bytes | None) -> Verified:
    kept = settings.ledger.keys / "checkpoint"
    # Read before the head: what was published is at most what is committed.
    outside = kept.read_bytes() if kept.is_file() else None
    reader = open_reader(settings)
    try:
        with _progress() as progress:
            heads = [head for head in (saved, outside) if head is not None]
            with _opener(settings, reader) as opener:
                return verify_store(reader, keys, saved_heads=heads, progress=progress, opener=opener)
    finally:
        reader.close()


@contextmanager
def _opener(settings: Settings, reader: SqliteReader) -> Iterator[LedgerReader | None]:
    """Opens sidecars, if the operator's keys are at hand."""
    path = settings.ledger.store.with_name("vault.db")
    if not (settings.ledger.keys / "kek.key").is_file():
        yield None
        return
    if not path.is_file():
        raise VerificationFailed(f"vault: {path} is missing, so nothing that entries hide can be read")
    with closing(Vault(path, load_keys(settings.ledger.keys).kek)) as vault:
        yield LedgerReader(reader, vault)


def _served(url: str, keys: PublicKeys, saved: bytes | None) -> Verified:
    with fetching(url) as get, _progress() as progress:
        heads = [] if saved is None else [saved]
        return verify_log(ServedSource(get), keys, saved_heads=heads, progress=progress)


def _receipt(proof: bytes, entry: str, keys: PublicKeys) -> dict[str, Json]:
    given = file_or_text(entry).strip()
    receipt = _of_header(given.decode(errors="replace")) or _of_leaf(given, proof, keys)
    head = verify_receipt(receipt, proof, keys)
    return {
        "verified": 1,
        "index": receipt.index,
        "origin": head.origin,
        "size": head.size,
        "root": b64(head.root),
    }


def _of_header(text: str) -> Receipt | None:
    """The receipt that a `Ledger-Entry` header is; None if the text is none."""
    match = _HEADER.fullmatch(text)
    return None if match is None else Receipt(match[1], int(match[2]), unb64url(match[3]))


def _of_leaf(leaf: bytes, proof: bytes, keys: PublicKeys) -> Receipt:
    try:
        Entry.parse(leaf)
    except ValueError as error:
        raise VerificationFailed(
            "entry: neither a Ledger-Entry header nor an entry in canonical form"
        ) from error
    try:
        index = TlogProof.parse(proof).index
    except ValueError as error:
        raise VerificationFailed(f"receipt: {error}") from error
    return Receipt(keys.log.name, index, leaf_hash(leaf))


# --- What is shown ---------------------------------------------------------------------------------


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """A bar on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=1, label="verifying", file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield show


def _log(verified: Verified) -> dict[str, Json]:
    return {
        "verified": verified.size,
        "origin": verified.origin,
        "size": verified.size,
        "root": b64(verified.root),
        "published": verified.published,
        "signatures": verified.signatures_checked,
        "sidecars": verified.sidecars_checked,
        "kinds": dict(sorted(verified.kinds.items())),
    }


def _print(found: dict[str, Json], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    click.echo(f"origin {found['origin']}\nsize   {found['size']}\nroot   {found['root']}")
    if "index" in found:
        click.echo(f"verified entry {found['index']}")
        return
    if not found["signatures"]:
        click.echo("signatures of entries not checked: no --gateway-vkey was given")
    if not found["sidecars"]:
        click.echo("sidecars of entries not opened: that takes the database and its keys")
    click.echo(f"verified {found['verified']} entries")
