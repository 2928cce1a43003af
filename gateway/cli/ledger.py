"""`consentry ledger`: verify the log, prove an entry, show the head and, to the operator, an entry's facts.

Verifying takes public keys and nothing else on trust: no private key is read. It works on the database of
this machine, beside a running server, and on the copy that any server shows.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from gateway.cli.common import config_option, in_house, json_option, print_json, settings_of
from gateway.cli.sources import open_reader, public_keys
from gateway.cli.verify import verify
from gateway.config import Settings
from gateway.core.canon import Json, b64, b64url
from gateway.core.tlog.checkpoint import Checkpoint, open_checkpoint
from gateway.core.tlog.receipt import TlogProof
from gateway.core.tlog.tree import leaf_hash
from gateway.house import OpenHouse
from gateway.ledger.reading import LedgerView, Receipt, published_size
from gateway.ledger.recorder import OpenedEntry
from gateway.ledger.signing import verify_ed25519


@click.group()
def ledger() -> None:
    """Verify the ledger, prove entries, show its head."""


ledger.add_command(verify)


@ledger.command()
@click.argument("index", type=click.IntRange(0))
@config_option
@json_option
def prove(config: Path, index: int, as_json: bool) -> None:
    """Print the receipt of an entry: a C2SP tlog-proof under a signed head."""
    with _view(settings_of(config)) as view:
        proof = asyncio.run(view.proof(index))
        [leaf] = view.reader.leaves(index, index + 1)
    if as_json:
        print_json(_proven(Receipt(view.origin, index, leaf_hash(leaf)), proof))
    else:
        click.echo(proof, nl=False)


@ledger.command()
@click.option("--note", is_flag=True, help="Print the signed checkpoint itself, to keep for --saved-head.")
@config_option
@json_option
def head(config: Path, as_json: bool, note: bool) -> None:
    """Print the last published head: origin, size, root, and the log's verifier key."""
    settings = settings_of(config)
    log_key = public_keys(settings).log
    with _view(settings) as view:
        signed = view.checkpoint()
    checkpoint, _ = open_checkpoint(signed, [log_key], verify_ed25519)
    if note:
        click.echo(signed, nl=False)
    elif as_json:
        print_json({**_head(checkpoint), "vkey": str(log_key), "note": signed.decode()})
    else:
        click.echo("\n".join(map(str, [*_head(checkpoint).values(), log_key])))


@ledger.command()
@click.argument("index", type=click.IntRange(0))
@config_option
@json_option
def entry(config: Path, index: int, as_json: bool) -> None:
    """Print what an entry hides, with the keys of this gateway. It holds patient data."""

    async def work(house: OpenHouse) -> OpenedEntry:
        return house.reader.facts(index)

    opened = _described(in_house(settings_of(config), work))
    if as_json:
        print_json(opened)
    else:
        click.echo("\n".join(f"{name:<12} {_text(value)}" for name, value in _flat(opened)))


@contextmanager
def _view(settings: Settings) -> Iterator[LedgerView]:
    reader = open_reader(settings)
    try:
        yield LedgerView(settings.ledger.origin, reader)
    finally:
        reader.close()


def _head(checkpoint: Checkpoint) -> dict[str, Json]:
    return {"origin": checkpoint.origin, "size": checkpoint.size, "root": b64(checkpoint.root)}


def _proven(receipt: Receipt, proof: bytes) -> dict[str, Json]:
    """`size` is that of the head in the proof; `ledger-entry` is what `verify --entry` takes."""
    return {
        "index": receipt.index,
        "hash": b64url(receipt.leaf_hash),
        "ledger-entry": str(receipt),
        "size": published_size(TlogProof.parse(proof).checkpoint),
        "proof": proof.decode(),
    }


def _described(opened: OpenedEntry) -> dict[str, Json]:
    return {
        "index": opened.index,
        "kind": opened.kind,
        "at": opened.at_s,
        "hash": b64url(opened.leaf_hash),
        "facts": {**opened.facts},
        "attachments": {**opened.attachments},
    }


def _flat(opened: dict[str, Json]) -> Iterator[tuple[str, Json]]:
    for name, value in opened.items():
        if isinstance(value, dict):
            yield from ((f"  {inner}", fact) for inner, fact in sorted(value.items()))
        else:
            yield name, value


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)
