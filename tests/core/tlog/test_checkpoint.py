from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.tlog.checkpoint import Checkpoint, open_checkpoint
from gateway.core.tlog.note import SignedNote, VerifierKey, cosign_note, sign_note
from gateway.core.tlog.tree import MAX_SIZE
from gateway.errors import VerificationFailed
from tests.core.tlog.support import (
    FIXTURES,
    GATEWAY_KEY,
    KEYS,
    LOG_KEY,
    WITNESS_KEY,
    load,
    public_key,
    signer,
    verify,
)

NOTE = (FIXTURES / "checkpoint_8.txt").read_bytes()
ROOT = bytes.fromhex(load("ct_tree.json")["roots"]["8"])
REFUSED = load("refused.json")["checkpoint"]
HEAD = Checkpoint(KEYS["log"]["name"], 8, ROOT)


def test_the_published_checkpoint_opens() -> None:
    checkpoint, note = open_checkpoint(NOTE, [LOG_KEY, WITNESS_KEY], verify)
    assert checkpoint == HEAD
    assert [line.name for line in note.signatures] == [LOG_KEY.name, WITNESS_KEY.name]


def test_the_published_text() -> None:
    assert HEAD.text() == NOTE.decode().split("\n\n")[0] + "\n"


def test_a_witness_alone_does_not_make_a_head() -> None:
    witnessed = SignedNote(HEAD.text(), (cosign_note(HEAD.text(), WITNESS_KEY, 1, signer("witness")),))
    with pytest.raises(VerificationFailed, match="own log"):
        open_checkpoint(witnessed.encode(), [LOG_KEY, WITNESS_KEY], verify)


def test_a_key_does_not_sign_for_another_log() -> None:
    note = sign_note(HEAD.text(), GATEWAY_KEY, signer("gateway"))
    with pytest.raises(VerificationFailed, match="own log"):
        open_checkpoint(note.encode(), [LOG_KEY, GATEWAY_KEY], verify)


def test_a_witness_named_like_the_log_does_not_sign_for_it() -> None:
    double = VerifierKey.cosigner(LOG_KEY.name, public_key("witness"))
    note = SignedNote(HEAD.text(), (cosign_note(HEAD.text(), double, 1, signer("witness")),))
    with pytest.raises(VerificationFailed, match="own log"):
        open_checkpoint(note.encode(), [LOG_KEY, double], verify)


def test_a_signed_text_that_is_no_checkpoint_is_refused() -> None:
    note = sign_note(HEAD.text() + "an extension\n", LOG_KEY, signer("log"))
    with pytest.raises(VerificationFailed, match="malformed"):
        open_checkpoint(note.encode(), [LOG_KEY], verify)


@pytest.mark.parametrize("text", REFUSED["refused"].values(), ids=REFUSED["refused"])
def test_refused_checkpoints(text: str) -> None:
    assert Checkpoint.parse(REFUSED["good"]).text() == REFUSED["good"]
    with pytest.raises(ValueError):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [
        ("", 0, bytes(32)),
        ("a b", 0, bytes(32)),
        ("a\nb", 0, bytes(32)),
        ("a+b", 0, bytes(32)),
        ("a", -1, bytes(32)),
        ("a", 2**63, bytes(32)),
        ("a", 0, bytes(31)),
        ("a", 0, bytes(33)),
    ],
)
def test_a_checkpoint_is_checked_when_built(origin: str, size: int, root: bytes) -> None:
    with pytest.raises(ValueError):
        Checkpoint(origin, size, root)


@given(
    st.from_regex(r"[a-z0-9./-]{1,40}", fullmatch=True),
    st.integers(0, MAX_SIZE),
    st.binary(min_size=32, max_size=32),
)
def test_checkpoints_round_trip(origin: str, size: int, root: bytes) -> None:
    checkpoint = Checkpoint(origin, size, root)
    assert Checkpoint.parse(checkpoint.text()) == checkpoint
