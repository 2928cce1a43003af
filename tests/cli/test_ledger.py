"""Verifying by command: what holds is summed up, what does not is named with its place and status 1."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import apsw
import httpx
import pytest
import respx

from gateway.core.canon import b64, b64url
from gateway.core.tlog.checkpoint import Checkpoint
from gateway.core.tlog.note import SignedNote, sign_note
from gateway.core.tlog.tiles import TilePath
from gateway.ledger.keys import load_keys
from gateway.ledger.reading import LedgerView
from gateway.ledger.sqlite_reader import SqliteReader
from tests.cli.support import GRANT, Place

URL = "https://hospital.example/ledger"


@pytest.fixture
def filled(made: Place) -> Place:
    """With five entries."""
    for _ in range(3):
        made.good(*GRANT)
    return made


def head(place: Place) -> Checkpoint:
    return Checkpoint.parse(SignedNote.parse(place.good("ledger", "head", "--note").encode()).text)


def vkey(place: Place) -> str:
    return (place.folder / "keys" / "log.vkey").read_text().strip()


def test_a_sound_ledger_verifies(filled: Place) -> None:
    root = b64(head(filled).root)
    assert filled.good("ledger", "verify") == (
        f"origin hospital.example/consentry\nsize   5\nroot   {root}\nverified 5 entries\n"
    )
    assert filled.json("ledger", "verify") == {
        "verified": 5,
        "origin": "hospital.example/consentry",
        "size": 5,
        "root": root,
        "published": 5,
        "signatures": True,
        "sidecars": True,
        "kinds": {"consent.grant": 3, "key.rotate": 2},
    }


def test_the_head_is_printed_as_it_was_signed(filled: Place) -> None:
    checkpoint = head(filled)
    lines = [checkpoint.origin, "5", b64(checkpoint.root), vkey(filled)]
    assert filled.good("ledger", "head").splitlines() == lines
    shown = filled.json("ledger", "head")
    assert [shown["origin"], str(shown["size"]), shown["root"], shown["vkey"]] == lines
    assert shown["note"] == filled.good("ledger", "head", "--note")


def test_an_entry_is_opened_for_the_operator(filled: Place) -> None:
    opened = filled.json("ledger", "entry", "2")
    assert (opened["index"], opened["kind"], opened["facts"]["pat"]) == (2, "consent.grant", "Patient/pat-a")
    assert "client:app-1" in opened["attachments"]["doc"]
    assert "Patient/pat-a" in filled.good("ledger", "entry", "2")


FAULTS = {
    "a leaf": (
        "UPDATE entry SET leaf = (SELECT leaf FROM entry WHERE idx = 4) WHERE idx = 3",
        "entry 3:",
    ),
    "a column": ("UPDATE entry SET kind = 'read.permit' WHERE idx = 3", "entry 3:"),
    "a sidecar": ("DELETE FROM sidecar WHERE idx = 4", "entry 4: its sidecar is missing"),
    "a byte of a sidecar": (
        "UPDATE sidecar SET data = CAST(data || x'00' AS BLOB) WHERE idx = 4",
        "entry 4: its sidecar is not the one recorded",
    ),
    "the key of a sidecar": (
        "UPDATE sidecar SET key_id = zeroblob(16) WHERE idx = 4",
        "entry 4: its sidecar names a key that is unknown",
    ),
    "the mark": ("UPDATE head SET mark = 6", "head: its mark is 6, and the entries say 5"),
    "a trigger": ("CREATE TRIGGER t AFTER INSERT ON entry BEGIN SELECT 1; END", "database: trigger t "),
    "an entry": ("DELETE FROM entry WHERE idx = 2", "entry 2: missing"),
    "a tile": ("UPDATE tile SET data = zeroblob(length(data))", "entry 0:"),
    "the checkpoint": ("DELETE FROM checkpoint", "checkpoint: the ledger has none"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_its_place(filled: Place, fault: str) -> None:
    statement, place = FAULTS[fault]
    with apsw.Connection(str(filled.folder / "ledger.db")) as db:
        db.execute(statement)
    assert filled.refused("ledger", "verify", status=1).startswith(f"consentry: {place}")


@pytest.mark.parametrize("at", [0, 2 * 8192], ids=["header", "page"])
def test_a_damaged_file_is_a_finding(filled: Place, at: int) -> None:
    path = filled.folder / "ledger.db"
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
    said = filled.refused("ledger", "verify", status=1)
    assert said.startswith("consentry: database: it is damaged: ")


def test_what_takes_keys_is_said_to_be_unchecked_without_them(filled: Place) -> None:
    with apsw.Connection(str(filled.folder / "ledger.db")) as db:
        db.execute("UPDATE sidecar SET key_id = zeroblob(16) WHERE idx = 4")
    (filled.folder / "keys/kek.key").rename(filled.folder / "kek.away")
    assert "sidecars of entries not opened" in filled.good("ledger", "verify")
    assert filled.json("ledger", "verify")["sidecars"] is False
    (filled.folder / "kek.away").rename(filled.folder / "keys/kek.key")
    (filled.folder / "vault.db").unlink()
    assert filled.refused("ledger", "verify", status=1).startswith("consentry: vault: ")
    assert not (filled.folder / "vault.db").exists()


def test_a_ledger_that_was_put_back_is_found_by_the_head_outside(filled: Place) -> None:
    old = filled.folder / "old.db"
    shutil.copy(filled.folder / "ledger.db", old)
    filled.good(*GRANT)
    shutil.copy(old, filled.folder / "ledger.db")
    assert "shorter than the head seen before" in filled.refused("ledger", "verify", status=1)


def test_a_ledger_that_is_gone_is_a_finding_and_one_that_never_was_is_not(
    bare: Place, tmp_path: Path
) -> None:
    assert "keys" in bare.refused("ledger", "verify", status=2)
    bare.good("keys", "init")
    (bare.folder / "ledger.db").unlink()
    assert "is gone" in bare.refused("ledger", "verify", status=1)


def test_a_saved_head_must_be_a_beginning(filled: Place) -> None:
    saved = filled.folder / "head"
    saved.write_text(filled.good("ledger", "head", "--note"))
    filled.good(*GRANT)
    assert filled.json("ledger", "verify", "--saved-head", str(saved))["size"] == 6

    log = load_keys(filled.folder / "keys").log
    forked = sign_note(Checkpoint(log.name, 5, bytes(32)).text(), log.verifier, log.sign)
    saved.write_bytes(forked.encode())
    line = filled.refused("ledger", "verify", "--saved-head", str(saved), status=1)
    assert "no continuation of the head seen before" in line


# --- Receipts --------------------------------------------------------------------------------------


@pytest.fixture
def proof(filled: Place) -> Path:
    path = filled.folder / "proof"
    path.write_text(filled.good("ledger", "prove", "3"))
    return path


def header(place: Place, index: int) -> str:
    return f"hospital.example/consentry;{index};{place.json('ledger', 'entry', str(index))['hash']}"


def test_a_receipt_holds_offline(filled: Place, proof: Path, tmp_path: Path) -> None:
    told = header(filled, 3)
    elsewhere = Place(tmp_path / "elsewhere", 0)  # no settings, no ledger
    receipt = ["ledger", "verify", "--vkey", vkey(filled), "--receipt", str(proof)]
    for entry in (told, f"Ledger-Entry: {told}", f"ledger-entry: {told}"):
        assert elsewhere.good(*receipt, "--entry", entry).endswith("verified entry 3\n")
    leaf = filled.folder / "leaf"
    leaf.write_bytes(SqliteReader(filled.folder / "ledger.db").leaves(3, 4)[0])
    assert elsewhere.json(*receipt, "--entry", str(leaf))["index"] == 3


def test_a_proof_is_told_to_programs_with_what_it_proves(filled: Place, proof: Path, tmp_path: Path) -> None:
    told = filled.json("ledger", "prove", "3")
    assert told == {
        "index": 3,
        "hash": filled.json("ledger", "entry", "3")["hash"],
        "ledger-entry": header(filled, 3),
        "size": head(filled).size,
        "proof": proof.read_text(),
    }
    (tmp_path / "told").write_text(told["proof"])
    receipt = ["ledger", "verify", "--receipt", str(tmp_path / "told"), "--entry"]
    assert filled.json(*receipt, told["ledger-entry"])["index"] == 3
    other = filled.json("ledger", "prove", "4")["ledger-entry"]
    assert "for another entry" in filled.refused(*receipt, other, status=1)
    assert "no such ledger entry" in filled.refused("ledger", "prove", "5", "--json")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (lambda place: header(place, 2), "the proof is for another entry"),
        (lambda place: header(place, 2).replace(";2;", ";3;"), "does not lead to the root"),
        (lambda place: header(place, 3).replace("hospital", "clinic"), "of another log"),
        (lambda _: "{}", "neither a Ledger-Entry header nor an entry"),
    ],
    ids=["another index", "another hash", "another origin", "not an entry"],
)
def test_a_receipt_for_something_else_is_refused(
    filled: Place, proof: Path, entry: object, expected: str
) -> None:
    assert callable(entry)
    line = filled.refused("ledger", "verify", "--receipt", str(proof), "--entry", entry(filled), status=1)
    assert expected in line


def test_a_receipt_under_another_key_is_refused(filled: Place, proof: Path) -> None:
    other = Place(filled.folder / "other", 0)
    other.folder.mkdir()
    other.config.write_text(filled.config.read_text())
    other.good("keys", "init")
    arguments = ["ledger", "verify", "--vkey", vkey(other), "--receipt", str(proof)]
    filled.refused(*arguments, "--entry", header(filled, 3), status=1)


def test_a_proof_of_what_is_not_there_is_refused(filled: Place) -> None:
    assert "no such ledger entry" in filled.refused("ledger", "prove", "5")


# --- A served copy ---------------------------------------------------------------------------------


def serve_copy(place: Place) -> None:
    view = LedgerView("hospital.example/consentry", SqliteReader(place.folder / "ledger.db"))

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/ledger/")
        body = view.checkpoint() if path == "checkpoint" else view.tile(path)
        return httpx.Response(404) if body is None else httpx.Response(200, content=body)

    respx.get(url__startswith=f"{URL}/").mock(side_effect=answer)


@respx.mock
def test_a_served_copy_verifies_with_public_keys_alone(filled: Place, tmp_path: Path) -> None:
    serve_copy(filled)
    copy = ["ledger", "verify", "--url", URL, "--vkey", str(filled.folder / "keys" / "log.vkey")]
    nowhere = Place(tmp_path / "nowhere", 0)
    assert "signatures of entries not checked" in nowhere.good(*copy)
    gateway = (filled.folder / "keys" / "gateway.vkey").read_text().strip()
    said = nowhere.good(*copy, "--gateway-vkey", gateway)
    assert said.endswith("verified 5 entries\n")
    assert "not checked" not in said


@respx.mock
def test_a_served_copy_with_another_entry_is_a_finding(filled: Place) -> None:
    forged = SqliteReader(filled.folder / "ledger.db").leaves(0, 5)
    forged[3] = forged[2]
    body = b"".join(len(leaf).to_bytes(2) + leaf for leaf in forged)
    respx.get(f"{URL}/{TilePath(None, 0, 5)}").mock(return_value=httpx.Response(200, content=body))
    serve_copy(filled)
    line = filled.refused("ledger", "verify", "--url", URL, "--vkey", vkey(filled), status=1)
    assert line.startswith("consentry: entry 3:")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (httpx.Response(500), "answers with status 500"),
        (httpx.ConnectError("no"), "cannot be fetched (ConnectError)"),
    ],
    ids=["error", "nobody"],
)
@respx.mock
def test_a_server_that_does_not_answer_is_no_finding(
    filled: Place, answer: httpx.Response | Exception, expected: str
) -> None:
    respx.get(f"{URL}/checkpoint").mock(side_effect=[answer])
    assert expected in filled.refused("ledger", "verify", "--url", URL, "--vkey", vkey(filled))


def test_hashes_are_those_of_the_references(filled: Place) -> None:
    granted = filled.json(*GRANT)
    opened = filled.json("ledger", "entry", str(granted["entry"]))
    leaf = SqliteReader(filled.folder / "ledger.db").leaves(granted["entry"], granted["entry"] + 1)[0]
    assert opened["hash"] == granted["hash"]
    assert json.loads(leaf)["t"] == "consent.grant"
    assert len(b64url(bytes(32))) == len(granted["hash"])
