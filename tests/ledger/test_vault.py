from __future__ import annotations

import hashlib
import hmac
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.core.tlog.disclosure import derive_keys
from gateway.errors import LedgerUnavailable
from gateway.ledger import vault as vault_module
from gateway.ledger.vault import Vault

KEK = bytes(range(32))
ROOT = Path(__file__).parents[2]


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    opened = Vault(tmp_path / "vault.db", KEK)
    yield opened
    opened.close()


def test_a_key_is_made_once_and_found_again_by_patient_and_by_id(vault: Vault, tmp_path: Path) -> None:
    first = vault.keys_for("pat-a")
    assert vault.keys_for("pat-a") == first == vault.keys_by_id(first.key_id)
    other = Vault(tmp_path / "vault.db", KEK)
    assert other.keys_by_id(first.key_id) == first == other.keys_for("pat-a")
    other.close()


def test_every_patient_and_the_organisation_have_keys_of_their_own(vault: Vault) -> None:
    subjects = [vault.keys_for(patient) for patient in ("pat-a", "pat-b", None, "", "organisation")]
    assert len({subject.key_id for subject in subjects}) == len({s.keys.enc for s in subjects}) == 5
    assert sorted(vault.key_ids()) == sorted(subject.key_id for subject in subjects)


def test_the_file_holds_neither_patient_ids_nor_keys(vault: Vault, tmp_path: Path) -> None:
    vault.keys_for("Patient-with-a-telling-id")
    secret = vault.export("Patient-with-a-telling-id")
    assert secret is not None
    assert derive_keys(secret) == vault.keys_for("Patient-with-a-telling-id").keys
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"telling" not in stored
    assert secret not in stored
    assert (tmp_path / "vault.db").stat().st_mode & 0o077 == 0


def test_another_kek_opens_nothing(vault: Vault, tmp_path: Path) -> None:
    subject = vault.keys_for("pat-a")
    stranger = Vault(tmp_path / "vault.db", bytes(32))
    assert stranger.key_id_of("pat-a") is None
    with pytest.raises(LedgerUnavailable, match="key-encryption key"):
        stranger.keys_by_id(subject.key_id)
    stranger.close()


def test_a_wrapped_key_moved_to_another_row_does_not_open(vault: Vault, tmp_path: Path) -> None:
    import sqlite3

    a, b = vault.keys_for("pat-a"), vault.keys_for("pat-b")
    database = sqlite3.connect(tmp_path / "vault.db")
    (wrapped,) = database.execute("SELECT wrapped FROM subject_key WHERE key_id = ?", (a.key_id,)).fetchone()
    database.execute("UPDATE subject_key SET wrapped = ? WHERE key_id = ?", (wrapped, b.key_id))
    database.commit()
    database.close()
    fresh = Vault(tmp_path / "vault.db", KEK)
    assert fresh.keys_for("pat-a") == a
    with pytest.raises(LedgerUnavailable):
        fresh.keys_for("pat-b")
    fresh.close()


def test_a_destroyed_key_is_gone_everywhere_and_a_new_one_is_another(vault: Vault, tmp_path: Path) -> None:
    other = Vault(tmp_path / "vault.db", KEK)
    subject = vault.keys_for("pat-a")
    kept = other.keys_for("pat-b")
    assert other.keys_for("pat-a") == subject
    assert vault.destroy("pat-a") == subject.key_id
    for each in (vault, other):
        assert each.keys_by_id(subject.key_id) is None
        assert each.export("pat-a") is None
        assert each.keys_by_id(kept.key_id) == kept
    assert vault.destroy("pat-a") is None
    assert subject.key_id not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert other.keys_for("pat-a") != subject
    other.close()


def test_an_erasure_is_looked_for_once_in_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    here, there = (vault_module._Erasures(tmp_path / "erasures") for _ in range(2))
    here.announce()
    now_s += vault_module.NOTICED_WITHIN_S - 0.001
    assert not there.happened()
    now_s += 0.001
    assert there.happened()
    now_s += vault_module.NOTICED_WITHIN_S
    assert not there.happened()


def test_whoever_erases_waits_until_everybody_noticed(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = vault.keys_for("pat-a")
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        assert vault.keys_by_id(subject.key_id) is None  # here it is gone at once
        waited.append(seconds)

    monkeypatch.setattr("time.sleep", sleep)
    vault.destroy("pat-a")
    assert waited == [vault_module.NOTICED_WITHIN_S]


def test_a_patient_is_found_by_an_hmac(vault: Vault, tmp_path: Path) -> None:
    import sqlite3

    vault.keys_for("pat-a")
    key = hmac.digest(KEK, b"consentry/vault/v1/handle", hashlib.sha256)
    database = sqlite3.connect(tmp_path / "vault.db")
    assert database.execute("SELECT handle FROM subject_key").fetchall() == [
        (hmac.digest(key, b"patient\npat-a", hashlib.sha256),)
    ]
    database.close()


def test_threads_that_ask_at_once_get_one_key(vault: Vault) -> None:
    with ThreadPoolExecutor(8) as pool:
        subjects = list(pool.map(vault.keys_for, ["pat-a"] * 32))
    assert len({subject.key_id for subject in subjects}) == 1


def test_processes_that_ask_at_once_get_one_key(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from gateway.ledger.vault import Vault\n"
        "v = Vault(Path(sys.argv[1]), bytes(range(32)))\n"
        "print(*(v.keys_for(f'pat-{i}').key_id.hex() for i in range(20)))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "vault.db")]
    running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(set(answers)) == 1
    assert len(answers[0].split()) == 20


_MAKES_WHEN_TOLD = """
import sys
from pathlib import Path
from gateway.ledger.vault import Vault

class Told(Vault):
    def _make(self, session, handle):
        print("found none", flush=True)
        sys.stdin.readline()
        return super()._make(session, handle)

vault = Told(Path(sys.argv[1]), bytes(range(32)))
subject = vault.keys_for("pat-a")
print(subject.key_id.hex(), subject.keys.enc.hex())
"""


def test_of_two_processes_that_found_no_key_one_makes_it(tmp_path: Path) -> None:
    """Both have looked and found none before either makes one: the second takes the first one's."""
    command = [sys.executable, "-c", _MAKES_WHEN_TOLD, str(tmp_path / "vault.db")]
    pipe = subprocess.PIPE
    running = [subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "found none\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=30)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    vault = Vault(tmp_path / "vault.db", KEK)
    subject = vault.keys_for("pat-a")
    assert answers == [f"{subject.key_id.hex()} {subject.keys.enc.hex()}\n"] * 2
    assert [*vault.key_ids()] == [subject.key_id]
    vault.close()


def test_a_key_that_is_destroyed_while_it_is_made_is_not_used(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.keys_for("pat-a")
    late = Vault(Path(str(vault._engine.url.database)), KEK)
    monkeypatch.setattr(vault_module, "_find", lambda session, handle: None)  # before it, and after it
    with pytest.raises(LedgerUnavailable, match="destroyed while it was being made"):
        late.keys_for("pat-a")
    monkeypatch.undo()
    assert late.keys_for("pat-a") == vault.keys_for("pat-a")
    late.close()


def test_the_cache_is_bounded(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = vault_module._Cache(2)
    for i in range(5):
        subject = vault.keys_for(f"pat-{i}")
        cache.put(bytes([i]), subject.key_id, subject)
    assert [cache.get(bytes([i])) is not None for i in range(5)] == [False, False, False, True, True]


def test_an_unusable_file_is_a_ledger_that_is_not_available(tmp_path: Path) -> None:
    (tmp_path / "vault.db").write_bytes(b"not a database, not at all" * 100)
    with pytest.raises(LedgerUnavailable):
        Vault(tmp_path / "vault.db", KEK)
