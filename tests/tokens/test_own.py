"""The keys of our own tokens change under a running gateway: who signs, what verifies, what is forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from jwcrypto.jwk import JWK

from gateway.core.smart.issuers import IssuerRule
from gateway.errors import ConfigError, StateUnavailable, Unauthenticated
from gateway.tokens.compact import split
from gateway.tokens.mint import Minter
from gateway.tokens.own import KeysInFiles, OwnKeys
from gateway.tokens.signer import Signer
from gateway.tokens.verifier import Issuer, Verifier
from tests.tokens.forge import AUDIENCE, ISSUER, NOW_S, TYPES, evaluable

CLAIMS = {"aud": AUDIENCE, "sub": "user-1", "client_id": "app-1", "scope": "patient/*.rs"}


def private_jwk() -> dict[str, str]:
    members: dict[str, str] = JWK.generate(kty="EC", crv="P-256").export_private(as_dict=True)
    return members


@dataclass
class Shelf:
    """Keys in memory, as `KeyFiles`. What is done to them is seen at the next look."""

    signers: list[tuple[int, Mapping[str, str]]] = field(default_factory=lambda: [(0, private_jwk())])
    replaced: list[Mapping[str, str]] = field(default_factory=list)
    touched: int = 0
    failing: list[Exception] = field(default_factory=list)
    looks: int = 0
    reads: int = 0

    @property
    def public(self) -> list[Mapping[str, str]]:
        return [*(Signer(jwk).public_jwk() for _, jwk in self.signers), *self.replaced]

    def stamp(self) -> object:
        self.looks += 1
        if self.failing:
            raise self.failing[0]
        return self.touched

    def read(self) -> KeysInFiles:
        self.reads += 1
        return self

    def settle_if_free(self, now_s: int) -> None:
        [(_, old), (from_s, new)] = self.signers
        assert from_s <= now_s
        self.replaced.append(Signer(old).public_jwk())
        self.signers = [(0, new)]
        self.touched += 1

    def add(self, from_s: int) -> None:
        self.signers.append((from_s, private_jwk()))
        self.touched += 1

    def retire(self) -> None:
        self.replaced.clear()
        self.touched += 1


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def minter(shelf: Shelf) -> Minter:
    return Minter(OwnKeys(shelf), ISSUER)


def mint(minter: Minter, now_s: int) -> str:
    return minter.mint(CLAIMS, now_s=now_s, lifetime_s=300, jti="t-1")


def kid_of(text: str) -> object:
    return split(text).header["kid"]


def verifier_of(minter: Minter) -> Verifier:
    rule = IssuerRule(ISSUER, AUDIENCE, (minter.algorithm,), "lookup", own=True)
    return Verifier([Issuer(rule, minter.keys)], types=TYPES, evaluable=evaluable)


def kids(minter: Minter) -> list[str]:
    return [key["kid"] for key in minter.public_jwks()["keys"]]


def test_a_key_to_come_is_published_and_signs_from_its_time_on(shelf: Shelf, minter: Minter) -> None:
    old = minter.key_id
    assert kids(minter) == [old]
    shelf.add(NOW_S + 10)
    [_, new] = kids(minter)
    signed = {at: kid_of(mint(minter, NOW_S + at)) for at in (0, 9, 10, 11)}
    assert signed == {0: old, 9: old, 10: new, 11: new}
    assert minter.key_id == new
    assert kids(minter) == [new, old]
    assert [from_s for from_s, _ in shelf.signers] == [0]


def test_a_key_without_a_time_never_signs(minter: Minter, shelf: Shelf) -> None:
    shelf.replaced.append(Signer(private_jwk()).public_jwk())
    shelf.touched += 1
    assert kid_of(mint(minter, 2**40)) == kids(minter)[0]


def test_files_are_looked_at_once_a_second_and_read_when_they_change(shelf: Shelf, minter: Minter) -> None:
    shelf.looks = 0
    for at in (0, 0, 0, 1, 1, 2):
        mint(minter, NOW_S + at)
    assert (shelf.looks, shelf.reads) == (3, 1)
    shelf.touched += 1
    mint(minter, NOW_S + 2)
    assert shelf.reads == 1
    mint(minter, NOW_S + 3)
    assert shelf.reads == 2


async def test_what_the_old_key_signed_is_good_until_it_is_retired(shelf: Shelf, minter: Minter) -> None:
    verifier, old = verifier_of(minter), mint(minter, NOW_S)
    await verifier.verify(old, AUDIENCE, NOW_S)
    shelf.add(NOW_S + 1)
    new = mint(minter, NOW_S + 1)
    assert kid_of(new) != kid_of(old)
    for text in (old, new):
        await verifier.verify(text, AUDIENCE, NOW_S + 2)
    shelf.retire()
    await verifier.verify(old, AUDIENCE, NOW_S + 2)  # looked at in this second already
    with pytest.raises(Unauthenticated, match="not one of the issuer's"):
        await verifier.verify(old, AUDIENCE, NOW_S + 3)
    await verifier.verify(new, AUDIENCE, NOW_S + 3)


async def test_a_process_that_did_not_look_yet_finds_a_new_key_when_it_needs_it(
    shelf: Shelf, minter: Minter
) -> None:
    late = Minter(OwnKeys(shelf), ISSUER)
    verifier = verifier_of(late)
    await verifier.verify(mint(minter, NOW_S), AUDIENCE, NOW_S)
    shelf.add(0)
    await verifier.verify(mint(minter, NOW_S + 1), AUDIENCE, NOW_S)


async def test_the_generation_changes_exactly_when_the_keys_do(shelf: Shelf, minter: Minter) -> None:
    keys, seen = minter.keys, [minter.keys.generation]

    async def after(step: str) -> None:
        {"touch": lambda: None, "add": lambda: shelf.add(0), "retire": shelf.retire}[step]()
        shelf.touched += 1
        await keys.after_miss(NOW_S)
        seen.append(keys.generation)

    for step in ("touch", "add", "touch", "retire", "retire"):
        await after(step)
    assert seen == [1, 1, 2, 2, 3, 3]  # and settling, after `add`, changed none


FAILURES = [
    OSError(13, "Permission denied"),
    ConfigError("issuer.jwk can be read by others"),
    ValueError("no"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
async def test_keys_that_cannot_be_read_sign_and_verify_nothing(
    shelf: Shelf, minter: Minter, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    verifier, text = verifier_of(minter), mint(minter, NOW_S)
    await verifier.verify(text, AUDIENCE, NOW_S)
    shelf.failing = [failure]
    with pytest.raises(StateUnavailable):
        mint(minter, NOW_S + 1)
    with pytest.raises(StateUnavailable):
        minter.public_jwks()
    with pytest.raises(Unauthenticated, match="not to be had"):
        await verifier.verify(text, AUDIENCE, NOW_S + 1)
    with pytest.raises(Unauthenticated, match="not to be had"):
        await minter.keys.after_miss(NOW_S + 1)
    assert "cannot be used" in caplog.text
    shelf.failing = []
    await verifier.verify(text, AUDIENCE, NOW_S + 1)
    mint(minter, NOW_S + 1)


def test_keys_that_cannot_be_read_at_the_start_are_refused(shelf: Shelf) -> None:
    shelf.failing = [OSError(2, "No such file or directory")]
    with pytest.raises(OSError, match="No such file"):
        OwnKeys(shelf)


def test_a_private_key_that_cannot_be_deleted_does_not_sign_on(
    shelf: Shelf, minter: Minter, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = minter.key_id
    shelf.add(NOW_S)

    def refuse(now_s: int) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(shelf, "settle_if_free", refuse)
    assert kid_of(mint(minter, NOW_S)) != old
    assert "could not be deleted" in caplog.text
    assert len(shelf.signers) == 2
    monkeypatch.undo()
    mint(minter, NOW_S + 1)
    assert len(shelf.signers) == 1
