"""Each purpose and each key-encryption key has a key of its own."""

from __future__ import annotations

from gateway.auth.people.keys import derive_key


def test_each_purpose_and_each_kek_has_a_key_of_its_own() -> None:
    keks = (bytes(32), b"\x01" + bytes(31))
    keys = {derive_key(kek, purpose) for kek in keks for purpose in ("totp", "attempts")}
    assert {len(key) for key in keys} == {32}
    assert (len(keys), keys.isdisjoint(keks)) == (4, True)


def test_a_key_stays_what_it_is() -> None:
    assert derive_key(bytes(32), "totp").hex()[:16] == "a1db2a3cc355070f"
