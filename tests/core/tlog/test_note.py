from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.tlog.note import (
    MAX_SIGNATURES,
    SignatureLine,
    SignedNote,
    SignerSeed,
    VerifierKey,
    cosign_note,
    cosignature_time_s,
    open_note,
    sign_note,
)
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
TEXT = NOTE.decode().split("\n\n")[0] + "\n"
REFUSED = load("refused.json")
TIME_S = KEYS["witness"]["time_s"]

NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="+"), min_size=1
).filter(lambda name: not any(c.isspace() for c in name))
LINES = st.builds(SignatureLine, NAMES, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=80))
TEXTS = st.text(st.characters(exclude_categories=["Cs"], min_codepoint=0x20) | st.just("\n")).map(
    lambda text: text + "\n"
)
NOTES = st.builds(SignedNote, TEXTS, st.lists(LINES, min_size=1, max_size=5).map(tuple))


def line(key: VerifierKey, signature: bytes) -> SignatureLine:
    return SignatureLine(key.name, key.key_id, signature)


def test_published_keys() -> None:
    assert str(LOG_KEY) == KEYS["log"]["vkey"]
    assert str(WITNESS_KEY) == KEYS["witness"]["vkey"]
    assert GATEWAY_KEY.key_id.hex() == KEYS["gateway"]["key_id"]
    assert VerifierKey.parse(KEYS["log"]["vkey"]) == LOG_KEY
    assert VerifierKey.parse(KEYS["witness"]["vkey"]) == WITNESS_KEY


def test_the_private_key_line() -> None:
    seed = SignerSeed.parse(KEYS["log"]["skey"])
    assert seed.seed.hex() == KEYS["log"]["seed"]
    assert seed.format() == KEYS["log"]["skey"]
    assert seed.verifier_key(public_key("log")) == LOG_KEY
    with pytest.raises(ValueError, match="key id"):
        seed.verifier_key(public_key("gateway"))


def test_the_seed_is_never_printed() -> None:
    seed = SignerSeed.parse(KEYS["log"]["skey"])
    for text in (repr(seed), str(seed), f"{seed}"):
        assert "AAECAwQF" not in text
        assert repr(seed.seed) not in text


def test_the_published_note_is_made_again_byte_for_byte() -> None:
    signed = sign_note(TEXT, LOG_KEY, signer("log"))
    cosignature = cosign_note(TEXT, WITNESS_KEY, TIME_S, signer("witness"))
    assert SignedNote(TEXT, (*signed.signatures, cosignature)).encode() == NOTE
    assert cosignature_time_s(cosignature) == TIME_S


def test_opening_keeps_the_lines_of_known_keys() -> None:
    both = open_note(NOTE, [LOG_KEY, WITNESS_KEY], verify)
    assert both == SignedNote.parse(NOTE)
    assert open_note(NOTE, [LOG_KEY], verify).signatures == both.signatures[:1]
    assert open_note(NOTE, [WITNESS_KEY, GATEWAY_KEY], verify).signatures == both.signatures[1:]


def lines_accepted(data: bytes) -> int:
    try:
        return len(open_note(data, [LOG_KEY, WITNESS_KEY], verify).signatures)
    except VerificationFailed:
        return 0


def test_every_flipped_byte_costs_a_signature() -> None:
    # In a name or key id, it makes the line one of an unknown key; anywhere else the note is refused.
    assert lines_accepted(NOTE) == 2
    for at in range(len(NOTE)):
        changed = NOTE[:at] + bytes([NOTE[at] ^ 1]) + NOTE[at + 1 :]
        assert lines_accepted(changed) < 2, at


def test_a_note_by_nobody_known_is_refused() -> None:
    for keys in ([], [GATEWAY_KEY]):
        with pytest.raises(VerificationFailed, match="no signature by a known key"):
            open_note(NOTE, keys, verify)


def test_one_bad_signature_by_a_known_key_refuses_the_note() -> None:
    good = sign_note(TEXT, LOG_KEY, signer("log")).signatures[0]
    bad = line(LOG_KEY, bytes(64))
    for lines in ((good, bad), (bad, good), (bad,)):
        with pytest.raises(VerificationFailed, match="does not verify"):
            open_note(SignedNote(TEXT, lines).encode(), [LOG_KEY], verify)


@pytest.mark.parametrize("length", [1, 7, 8, 63, 65, 71, 73])
@pytest.mark.parametrize("key", [LOG_KEY, WITNESS_KEY], ids=["log", "witness"])
def test_a_signature_of_the_wrong_length_is_bad(key: VerifierKey, length: int) -> None:
    note = SignedNote(TEXT, (line(key, bytes(length)),)).encode()
    with pytest.raises(VerificationFailed, match="does not verify"):
        open_note(note, [key], lambda *_: True)


def test_a_bad_signature_by_an_unknown_key_is_ignored() -> None:
    good = sign_note(TEXT, LOG_KEY, signer("log")).signatures[0]
    same_name = SignatureLine(LOG_KEY.name, b"\0\0\0\0", b"x")
    same_id = SignatureLine("other.example", LOG_KEY.key_id, b"x")
    note = SignedNote(TEXT, (same_name, good, same_id)).encode()
    assert open_note(note, [LOG_KEY], verify).signatures == (good,)


def test_a_cosignature_holds_for_its_time_only() -> None:
    cosignature = cosign_note(TEXT, WITNESS_KEY, TIME_S, signer("witness"))
    later = line(WITNESS_KEY, (TIME_S + 1).to_bytes(8, "big") + cosignature.signature[8:])
    with pytest.raises(VerificationFailed, match="does not verify"):
        open_note(SignedNote(TEXT, (later,)).encode(), [WITNESS_KEY], verify)


def test_a_plain_signature_is_no_cosignature() -> None:
    plain = signer("witness")(TEXT.encode())
    note = SignedNote(TEXT, (line(WITNESS_KEY, TIME_S.to_bytes(8, "big") + plain),)).encode()
    with pytest.raises(VerificationFailed, match="does not verify"):
        open_note(note, [WITNESS_KEY], verify)


def test_each_type_of_key_signs_its_own_kind_of_line() -> None:
    with pytest.raises(ValueError, match="0x01"):
        sign_note(TEXT, WITNESS_KEY, signer("witness"))
    with pytest.raises(ValueError, match="0x04"):
        cosign_note(TEXT, LOG_KEY, TIME_S, signer("log"))


@pytest.mark.parametrize("time_s", [-1, 0, 2**63])
def test_a_cosignature_needs_a_time(time_s: int) -> None:
    with pytest.raises(ValueError, match="time"):
        cosign_note(TEXT, WITNESS_KEY, time_s, signer("witness"))


@pytest.mark.parametrize("text", ["", "no newline", "a\r\n", "a\tb\n", "\x00\n", "\ud800\n"])
def test_a_text_no_note_can_hold_is_not_signed(text: str) -> None:
    with pytest.raises(ValueError):
        sign_note(text, LOG_KEY, signer("log"))


def test_up_to_the_limit_of_lines_and_no_further() -> None:
    good = sign_note(TEXT, LOG_KEY, signer("log"))
    others = [SignatureLine(f"w{i}", b"abcd", b"x") for i in range(MAX_SIGNATURES)]
    full = SignedNote(TEXT, (*others[1:], *good.signatures)).encode()
    assert open_note(full, [LOG_KEY], verify) == good
    head, _, tail = full.decode().rpartition("\n\n")
    with pytest.raises(VerificationFailed, match="malformed"):
        open_note(f"{head}\n\n{others[0]}\n{tail}".encode(), [LOG_KEY], verify)


def test_an_endless_note_is_not_read() -> None:
    with pytest.raises(ValueError, match="too long"):
        SignedNote.parse(b"a" * 1_000_000 + b"\n\n" + NOTE)


def test_two_keys_with_one_name_and_id_cannot_be_told_apart() -> None:
    # Such a pair takes 2^32 tries to make; here one is made past the constructor's check.
    twin = VerifierKey.ed25519(LOG_KEY.name, public_key("gateway"))
    object.__setattr__(twin, "key_id", LOG_KEY.key_id)
    with pytest.raises(ValueError, match="share"):
        open_note(NOTE, [LOG_KEY, twin], verify)
    assert open_note(NOTE, [LOG_KEY, LOG_KEY], verify).text == TEXT


@given(NOTES)
def test_notes_round_trip(note: SignedNote) -> None:
    assert SignedNote.parse(note.encode()) == note


@given(NAMES, st.binary(min_size=32, max_size=32))
def test_keys_round_trip(name: str, material: bytes) -> None:
    for key in (VerifierKey.ed25519(name, material), VerifierKey.cosigner(name, material)):
        assert VerifierKey.parse(str(key)) == key
    seed = SignerSeed(name, b"abcd", material)
    assert SignerSeed.parse(seed.format()) == seed


def test_the_good_neighbours_of_the_refused_are_accepted() -> None:
    assert str(VerifierKey.parse(REFUSED["verifier_key"]["good"])) == REFUSED["verifier_key"]["good"]
    assert SignerSeed.parse(REFUSED["signer_seed"]["good"]).format() == REFUSED["signer_seed"]["good"]
    assert SignedNote.parse(REFUSED["note"]["good"].encode()).encode().decode() == REFUSED["note"]["good"]


@pytest.mark.parametrize(
    "text", REFUSED["verifier_key"]["refused"].values(), ids=REFUSED["verifier_key"]["refused"]
)
def test_refused_keys(text: str) -> None:
    with pytest.raises(ValueError):
        VerifierKey.parse(text)


@pytest.mark.parametrize(
    "text", REFUSED["signer_seed"]["refused"].values(), ids=REFUSED["signer_seed"]["refused"]
)
def test_refused_private_keys(text: str) -> None:
    with pytest.raises(ValueError):
        SignerSeed.parse(text)


@pytest.mark.parametrize("text", REFUSED["note"]["refused"].values(), ids=REFUSED["note"]["refused"])
def test_refused_notes(text: str) -> None:
    with pytest.raises(ValueError):
        SignedNote.parse(text.encode())


@pytest.mark.parametrize("data", [b"\xff\n\n\xe2\x80\x94 k AAAAAAA=\n", b"a\n\n\xe2\x80 k AAAAAAA=\n"])
def test_notes_are_utf8(data: bytes) -> None:
    with pytest.raises(ValueError):
        SignedNote.parse(data)


def test_an_unknown_type_of_key_is_refused_whatever_its_id() -> None:
    material = base64.b64encode(b"\x06" + bytes(1312)).decode()
    with pytest.raises(ValueError):
        VerifierKey.parse(f"w.example+00000000+{material}")
