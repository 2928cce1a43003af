"""One key comes after another, step by step; whatever a step leaves says the same as before it."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jwcrypto.jwk import JWK

from gateway.errors import ConfigError
from gateway.ledger import token_key_files
from gateway.ledger.durable import replace as replace_whole
from gateway.ledger.durable import write_new
from gateway.ledger.keys import init_keys, load_keys
from gateway.ledger.token_key_files import TokenKeyFiles
from gateway.ledger.token_keys import ISSUER, OPENID, OVERLAP_S, USES, TokenKeys, Use
from tests.ledger.test_keys import ORIGIN

FROM_S = 1_800_000_000


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return init_keys(tmp_path_factory.mktemp("prepared") / "keys", ORIGIN).folder


@pytest.fixture
def folder(tmp_path: Path, prepared: Path) -> Path:
    shutil.copytree(prepared, tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture(params=list(USES))
def files(request: pytest.FixtureRequest, folder: Path) -> TokenKeyFiles:
    return TokenKeyFiles(folder, USES[request.param])


def names(folder: Path, use: Use) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name.strip(".").startswith(use.name)}


def signs(keys: TokenKeys, now_s: int) -> str:
    return [jwk["kid"] for from_s, jwk in keys.signers if from_s <= now_s][-1]


def kids(keys: TokenKeys) -> list[str]:
    return [key["kid"] for key in keys.public]


def rotated(files: TokenKeyFiles, from_s: int) -> None:
    files.publish()
    files.schedule(from_s)
    files.settle(from_s)


def test_a_folder_as_it_was_made_has_one_key(files: TokenKeyFiles) -> None:
    keys = files.read()
    assert (keys.coming, keys.replaced) == (None, ())
    assert kids(keys) == [signs(keys, 0)]


def test_a_key_is_published_then_due_then_alone_private(files: TokenKeyFiles, folder: Path) -> None:
    old = signs(files.read(), 0)
    files.publish()
    keys = files.read()
    assert keys.coming is not None
    new = keys.coming.kid
    assert (kids(keys), signs(keys, 2**40)) == ([old, new], old)

    files.schedule(FROM_S)
    keys = files.read()
    assert (signs(keys, FROM_S - 1), signs(keys, FROM_S), kids(keys)) == (old, new, [old, new])

    files.settle(FROM_S - 1)
    assert files.read() == keys
    files.settle(FROM_S)
    keys = files.read()
    assert (keys.coming, signs(keys, 0), kids(keys)) == (None, new, [new, old])
    assert [(key.kid, key.until_s) for key in keys.replaced] == [(old, FROM_S + OVERLAP_S)]
    name = files.use.name
    assert names(folder, files.use) == {f"{name}.jwk", f"{name}-{old[:8]}.jwk"}
    load_keys(folder)


def test_the_private_part_of_a_replaced_key_is_nowhere(files: TokenKeyFiles, folder: Path) -> None:
    secret = json.loads((folder / f"{files.use.name}.jwk").read_text())["d"]
    rotated(files, FROM_S)
    assert not any(secret.encode() in path.read_bytes() for path in folder.iterdir())
    for key in files.read().public:
        assert not JWK(**key).has_private
        assert JWK(**key).thumbprint() == key["kid"]


def test_all_files_are_private(files: TokenKeyFiles, folder: Path) -> None:
    rotated(files, FROM_S)
    files.publish()
    modes = {stat.S_IMODE((folder / name).stat().st_mode) for name in names(folder, files.use)}
    assert (modes, len(names(folder, files.use))) == ({0o600}, 3)


def test_rotations_in_a_row_keep_each_key_until_it_is_retired(files: TokenKeyFiles) -> None:
    seen = [signs(files.read(), 0)]
    for count in range(3):
        rotated(files, FROM_S + count)
        seen.insert(0, signs(files.read(), FROM_S + count))
    assert kids(files.read()) == seen
    files.retire(seen[2])
    assert kids(files.read()) == [seen[0], seen[1], seen[3]]
    files.retire(seen[2])
    assert len(files.read().public) == 3


def test_the_keys_of_one_use_are_not_those_of_the_other(folder: Path) -> None:
    issuer, openid = TokenKeyFiles(folder, ISSUER), TokenKeyFiles(folder, OPENID)
    before, stamp = openid.read(), openid.stamp()
    rotated(issuer, FROM_S)
    assert (openid.read(), openid.stamp()) == (before, stamp)


# --- Cut off -------------------------------------------------------------------------------------------


class _Cut(Exception):
    pass


STEPS: dict[str, Callable[[TokenKeyFiles], None]] = {
    "publish": lambda files: files.publish(),
    "schedule": lambda files: files.schedule(FROM_S),
    "settle": lambda files: files.settle(FROM_S),
}


def cut_after(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends before the write after `number` whole ones, with the half-written file left."""
    done: list[Path] = []

    def replace(path: Path, data: bytes, mode: int) -> None:
        if len(done) == number:
            left = path.with_name(f".{path.name}.new")
            left.unlink(missing_ok=True)
            write_new(left, data[: len(data) // 2], mode)
            raise _Cut
        replace_whole(path, data, mode)
        done.append(path)

    monkeypatch.setattr(token_key_files, "replace", replace)


def cut_before_tidying(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(_: TokenKeyFiles) -> None:
        raise _Cut

    monkeypatch.setattr(TokenKeyFiles, "_tidy", cut)


@pytest.mark.parametrize("number", range(5))
def test_what_was_cut_off_is_done_by_the_next(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Writes: the key to come, its time, the old public key, the new signing key; then the tidying."""
    files = TokenKeyFiles(folder, ISSUER)
    old = signs(files.read(), 0)
    with monkeypatch.context() as patch:
        cut_after(number, patch) if number < 4 else cut_before_tidying(patch)
        with pytest.raises(_Cut):
            rotated(files, FROM_S)
    load_keys(folder)
    keys = files.read()
    left = signs(keys, FROM_S)
    assert old in kids(keys)
    assert (left == old) == (number < 2)
    assert sorted(set(kids(keys))) == sorted(kids(keys))

    if number < 2:
        rotated(files, FROM_S)
    else:
        files.settle(FROM_S)
    keys = files.read()
    assert keys.coming is None
    assert kids(keys) == [signs(keys, FROM_S), old]
    assert left in (old, signs(keys, FROM_S))
    assert names(folder, ISSUER) == {"issuer.jwk", f"issuer-{old[:8]}.jwk"}


def test_settling_tells_readers_nothing_new(folder: Path) -> None:
    files = TokenKeyFiles(folder, ISSUER)
    files.publish()
    files.schedule(FROM_S)
    before = files.read()
    files.settle(FROM_S)
    after = files.read()
    assert sorted(kids(before)) == sorted(kids(after))
    for now_s in (FROM_S, FROM_S + 1, FROM_S + OVERLAP_S):
        assert signs(before, now_s) == signs(after, now_s)


def test_another_holder_of_the_lock_is_left_to_settle(folder: Path) -> None:
    files, other = TokenKeyFiles(folder, ISSUER), TokenKeyFiles(folder, ISSUER)
    files.publish()
    files.schedule(FROM_S)
    with other.locked():
        files.settle_if_free(FROM_S)
        assert files.read().coming is not None
    files.settle_if_free(FROM_S)
    assert files.read().coming is None


# --- Files that do not fit -----------------------------------------------------------------------------


def changed(**members: Any) -> Callable[[str], str]:
    def change(text: str) -> str:
        whole = {**json.loads(text), **members}
        return json.dumps({name: value for name, value in whole.items() if value is not None})

    return change


WRONG = {
    "not JSON": lambda text: text[:-3],
    "no object": lambda text: "[]",
    "no end": changed(exp=None),
    "an end that is text": changed(exp="1800000000"),
    "an end before all": changed(exp=-1),
    "an end that is no number": changed(exp=True),
    "another id": changed(kid="A" * 43),
    "another algorithm": changed(alg="ES384"),
    "another use": changed(use="enc"),
    "a private part": changed(d="A" * 43),
    "a part missing": changed(y=None),
    "a part that is no text": changed(x=1),
    "a member more": changed(nbf=1),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_replaced_key_that_does_not_fit_is_named(folder: Path, wrong: str) -> None:
    files = TokenKeyFiles(folder, ISSUER)
    rotated(files, FROM_S)
    file = folder / f"issuer-{files.read().replaced[0].kid[:8]}.jwk"
    file.write_text(WRONG[wrong](file.read_text()))
    with pytest.raises(ConfigError, match=file.name):
        files.read()
    with pytest.raises(ConfigError, match=file.name):
        load_keys(folder)


@pytest.mark.parametrize("from_s", ["1800000000", -1, 1.5, False])
def test_a_key_to_come_at_no_time_is_named(folder: Path, from_s: object) -> None:
    files = TokenKeyFiles(folder, ISSUER)
    files.publish()
    file = folder / "issuer-next.jwk"
    file.write_text(changed(nbf=from_s)(file.read_text()))
    with pytest.raises(ConfigError, match=r"issuer-next\.jwk"):
        files.read()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o602])
@pytest.mark.parametrize("name", ["first", "next", "replaced"])
def test_keys_that_others_can_read_are_refused(folder: Path, name: str, mode: int) -> None:
    files = TokenKeyFiles(folder, ISSUER)
    rotated(files, FROM_S)
    files.publish()
    replaced = f"issuer-{files.read().replaced[0].kid[:8]}.jwk"
    path = folder / {"first": "issuer.jwk", "next": "issuer-next.jwk", "replaced": replaced}[name]
    path.chmod(mode)
    for read in (files.read, lambda: load_keys(folder)):
        with pytest.raises(ConfigError, match=rf"{path.name}.*chmod 600"):
            read()
    path.chmod(0o600)
    files.read()


def test_the_stamp_differs_once_a_file_does(folder: Path) -> None:
    files = TokenKeyFiles(folder, ISSUER)
    stamps = [files.stamp()]
    for step in STEPS.values():
        step(files)
        stamps.append(files.stamp())
    (folder / "issuer.jwk").chmod(0o640)
    stamps.append(files.stamp())
    assert len({*stamps}) == 5
    (folder / "checkpoint").touch()
    assert files.stamp() == stamps[-1]
