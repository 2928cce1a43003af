from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.canon import Json, b64url, canonical, sha256
from gateway.core.tlog.disclosure import (
    DIGESTS,
    KINDS,
    SubjectKeys,
    commitment,
    derive_keys,
    disclose,
    keyed_hash,
    open_disclosures,
    patient_tag,
)
from gateway.errors import VerificationFailed
from tests.core.tlog.support import SUBJECT, load

VECTOR = load("entry_read_permit.json")
NONCE = bytes.fromhex(VECTOR["nonce"])
FACTS: dict[str, Json] = VECTOR["facts"]
KIND = "read.permit"
COMMON = {"pat", "rid", "ms", "act", "cli", "pol"}


def forged(parts: Json) -> str:
    return b64url(canonical(parts))


def test_published_keys() -> None:
    keys = derive_keys(bytes.fromhex(VECTOR["patient_key"]))
    assert keys.tag.hex() == VECTOR["tag_key"]
    assert keys.salt.hex() == VECTOR["salt_key"]
    assert keys.enc not in (keys.tag, keys.salt)


def test_published_disclosure_and_digest() -> None:
    disclosures, digests = disclose(NONCE, SUBJECT, FACTS)
    assert VECTOR["disclosure_of_pat"] in disclosures
    assert bytes.fromhex(VECTOR["digest_of_pat"]) in digests
    assert commitment(digests).hex() == VECTOR["commitment"]


def test_salts_and_decoys_are_hmac() -> None:
    """`disclose` hashes the key's blocks once; the result is HMAC-SHA256 as the standard library has it."""
    (text,), digests = disclose(NONCE, SUBJECT, {"pat": "x"})
    salt = hmac.digest(SUBJECT.salt, NONCE + b"pat", "sha256")[:16]
    decoys = [hmac.digest(SUBJECT.salt, NONCE + b"decoy%d" % i, "sha256") for i in range(15)]
    assert text == forged([b64url(salt), "pat", "x"])
    assert digests == tuple(sorted([sha256(text.encode()), *decoys]))


def test_the_tag_is_hmac() -> None:
    assert patient_tag(SUBJECT, NONCE) == hmac.digest(SUBJECT.tag, NONCE, "sha256")[:16]


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=130), st.lists(st.binary(max_size=130)))
def test_a_keyed_hash_is_hmac_sha256_each_time(key: bytes, prefix: bytes, rests: list[bytes]) -> None:
    keyed = keyed_hash(key, prefix)
    assert [keyed(rest) for rest in rests] == [hmac.digest(key, prefix + rest, "sha256") for rest in rests]


@pytest.mark.parametrize("length", [0, 31, 33, 64, 65])
def test_a_keyed_hash_needs_a_whole_key(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        keyed_hash(bytes(length))


@given(
    st.dictionaries(
        st.sampled_from(sorted(KINDS[KIND])), st.integers(-9, 9) | st.text('abc€"\\'), max_size=16
    )
)
def test_what_is_disclosed_opens_again(facts: dict[str, Json]) -> None:
    disclosures, digests = disclose(NONCE, SUBJECT, facts)
    assert len(digests) == DIGESTS
    assert open_disclosures(KIND, digests, disclosures) == facts


def test_one_fact_can_be_opened_alone() -> None:
    disclosures, digests = disclose(NONCE, SUBJECT, FACTS)
    opened = [open_disclosures(KIND, digests, [text]) for text in disclosures]
    assert [name for facts in opened for name in facts] == sorted(FACTS)
    assert open_disclosures(KIND, digests, []) == {}


def test_nothing_tells_the_number_of_facts() -> None:
    for count in range(DIGESTS + 1):
        facts: dict[str, Json] = dict.fromkeys(sorted(KINDS[KIND])[:count])
        assert len(disclose(NONCE, SUBJECT, facts)[1]) == DIGESTS


def test_a_seventeenth_fact_is_refused() -> None:
    facts: dict[str, Json] = dict.fromkeys(KINDS[KIND])
    assert len(facts) == DIGESTS + 1
    with pytest.raises(ValueError, match="16"):
        disclose(NONCE, SUBJECT, facts)


def test_another_nonce_or_key_shares_no_digest() -> None:
    digests = set(disclose(NONCE, SUBJECT, FACTS)[1])
    assert digests.isdisjoint(disclose(bytes(16), SUBJECT, FACTS)[1])
    assert digests.isdisjoint(disclose(NONCE, derive_keys(bytes(32)), FACTS)[1])
    assert patient_tag(SUBJECT, NONCE) != patient_tag(SUBJECT, bytes(16))


SALT = b64url(bytes(16))
MALFORMED: dict[str, str] = {
    "empty": "",
    "not base64url": "@@",
    "padded": b64url(canonical([SALT, "pat", "x"])) + "=",
    "not JSON": b64url(b"x"),
    "not canonical": b64url(b'["' + SALT.encode() + b'", "pat","x"]'),
    "two parts": forged([SALT, "pat"]),
    "four parts": forged([SALT, "pat", "x", "y"]),
    "an object": forged({"pat": "x"}),
    "name not text": forged([SALT, 1, "x"]),
    "salt not text": forged([1, "pat", "x"]),
    "salt of 15 bytes": forged([b64url(bytes(15)), "pat", "x"]),
    "salt of 17 bytes": forged([b64url(bytes(17)), "pat", "x"]),
    "float value": b64url(b'["' + SALT.encode() + b'","pat",1.5]'),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_disclosure_is_refused_even_if_committed(text: str) -> None:
    digests = sorted([sha256(text.encode()), *(bytes([i]) * 32 for i in range(15))])
    with pytest.raises(VerificationFailed, match="malformed"):
        open_disclosures(KIND, digests, [text])


def test_a_well_formed_disclosure_beside_the_malformed_ones_is_accepted() -> None:
    text = forged([SALT, "pat", "x"])
    assert open_disclosures(KIND, [sha256(text.encode())], [text]) == {"pat": "x"}


def test_a_changed_value_is_not_among_the_digests() -> None:
    (text,), digests = disclose(NONCE, SUBJECT, {"st": 200})
    salt = b64url(hmac.digest(SUBJECT.salt, NONCE + b"st", "sha256")[:16])
    assert text == forged([salt, "st", 200])
    others: list[Json] = [[salt, "st", 201], [salt, "len", 200], [SALT, "st", 200]]
    for other in others:
        with pytest.raises(VerificationFailed, match="not among"):
            open_disclosures(KIND, digests, [forged(other)])


def test_a_fact_is_opened_once() -> None:
    disclosures, digests = disclose(NONCE, SUBJECT, FACTS)
    with pytest.raises(VerificationFailed, match="cannot hold"):
        open_disclosures(KIND, digests, [disclosures[0], disclosures[0]])


def test_two_values_of_one_fact_do_not_both_open() -> None:
    texts = [forged([SALT, "pat", "a"]), forged([SALT, "pat", "b"])]
    with pytest.raises(VerificationFailed, match="cannot hold"):
        open_disclosures(KIND, [sha256(text.encode()) for text in texts], texts)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {KIND}))
def test_a_fact_belongs_to_its_kind(kind: str) -> None:
    disclosures, digests = disclose(NONCE, SUBJECT, {"rty": {"Observation": 1}})
    with pytest.raises(VerificationFailed, match="cannot hold"):
        open_disclosures(kind, digests, disclosures)
    assert open_disclosures(KIND, digests, disclosures) == {"rty": {"Observation": 1}}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_name_patient_request_time_actor_client_and_policy(kind: str) -> None:
    assert KINDS[kind] > COMMON
    assert len(kind) <= 16
    # Names go into the disclosure without escaping, and never into the space of decoys.
    assert all(name.isascii() and name.replace("_", "").isalnum() for name in KINDS[kind])
    assert not any(name.startswith("decoy") for name in KINDS[kind])


def test_a_commitment_needs_sixteen_sorted_distinct_digests() -> None:
    digests = [bytes([i]) * 32 for i in range(DIGESTS)]
    assert len(commitment(digests)) == 32
    for wrong in (
        digests[:-1],
        [*digests, b"\xff" * 32],
        digests[::-1],
        [digests[0], *digests[:-1]],
        [digests[0][:-1], *digests[1:]],
    ):
        with pytest.raises(ValueError):
            commitment(wrong)


def test_keys_are_checked_and_not_printed() -> None:
    for length in (0, 31, 33):
        with pytest.raises(ValueError):
            derive_keys(bytes(length))
        with pytest.raises(ValueError):
            SubjectKeys(bytes(32), bytes(32), bytes(length))
    assert repr(SUBJECT) == "SubjectKeys()"
