"""The keys that sign tokens change under a running gateway, and the ledger says so first."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core.canon import unb64url
from gateway.errors import LedgerUnavailable
from gateway.ledger.token_key_files import TokenKeyFiles
from gateway.ledger.token_keys import OVERLAP_S
from tests.cli.support import Place, Served, command, place
from tests.upstreams.base import Upstream
from tests.upstreams.sandbox import sandbox

PEOPLE = Path(__file__).parents[2] / "fixtures" / "people" / "people.json"
PATIENT = ("--patient", "pat-a", "--user", "Patient/pat-a")
OWN = ("token", "--client", "app-1", "--scope", "patient/*.rs", *PATIENT)
USES = {"issuer": "iss", "openid": "oid"}


@pytest.fixture(scope="module")
def records() -> Iterator[Upstream]:
    with sandbox() as upstream:
        upstream.load(json.loads(PEOPLE.read_text()))
        yield upstream


@pytest.fixture
def house(tmp_path: Path, records: Upstream) -> Place:
    made = place(tmp_path, records.base_url)
    made.good("keys", "init")
    return made


def token(house: Place) -> str:
    return house.good(*OWN).strip()


def kid_of(text: str) -> str:
    kid: str = json.loads(unb64url(text.split(".")[0]))["kid"]
    return kid


def status(served: Served, text: str) -> int:
    # A connection of its own for each request, so that workers take turns.
    headers = {"Authorization": f"Bearer {text}"}
    return httpx.get(
        f"{served.url}/fhir/Patient/pat-a", headers=headers, trust_env=False, timeout=60
    ).status_code


def statuses(served: Served, text: str) -> set[int]:
    return {status(served, text) for _ in range(6)}


def published(served: Served) -> set[str]:
    """The ids of the keys, of which every worker tells the same."""
    seen = {
        frozenset(key["kid"] for key in answer.json()["keys"])
        for answer in (httpx.get(f"{served.url}/auth/jwks", trust_env=False, timeout=60) for _ in range(4))
    }
    [kids] = seen
    return {*kids}


def shown(house: Place, use: str) -> dict[str, list[dict[str, Any]]]:
    """The keys by their state."""
    found: dict[str, list[dict[str, Any]]] = {"to come": [], "signing": [], "replaced": []}
    for key in house.json("keys", "show")[use]:
        found[key["state"]].append(key)
    return found


def signing(house: Place, use: str = "issuer") -> str:
    [key] = shown(house, use)["signing"]
    kid: str = key["kid"]
    return kid


def rotations(house: Place, kind: str = "iss") -> list[tuple[str | None, str | None]]:
    size = house.json("ledger", "head")["size"]
    entries = [house.json("ledger", "entry", str(index)) for index in range(size)]
    facts = [entry["facts"] for entry in entries if entry["kind"] == "key.rotate"]
    return [(fact["old"], fact["new"]) for fact in facts if fact["kind"] == kind]


@pytest.mark.parametrize("workers", [1, 2], ids=["one process", "two workers"])
def test_a_running_gateway_takes_up_a_new_key_and_drops_a_retired_one(house: Place, workers: int) -> None:
    old_token = token(house)
    with command("serve", "--config", str(house.config), "--workers", str(workers)) as served:
        assert statuses(served, old_token) == {200}
        before = published(served)
        change = house.json("keys", "rotate", "issuer", "--now")
        assert change["old"] == kid_of(old_token)
        new_token = token(house)
        assert kid_of(new_token) == change["new"] == signing(house)
        assert statuses(served, new_token) == {200}
        assert statuses(served, old_token) == {200}
        assert published(served) == before | {change["new"]}

        assert "at once" in house.refused("keys", "retire", "issuer", change["old"])
        assert statuses(served, old_token) == {200}
        house.good("keys", "retire", "issuer", change["old"], "--now")
        assert eventually(lambda: statuses(served, old_token) == {401})
        assert statuses(served, new_token) == {200}
        assert published(served) == before - {change["old"]} | {change["new"]}
        assert served.end() == 0
    assert rotations(house) == [(change["old"], change["new"]), (change["old"], None)]
    assert house.json("ledger", "verify")["kinds"]["key.rotate"] == 4


def test_a_key_to_come_signs_when_every_copy_of_the_set_has_it(made: Place) -> None:
    old, started_s = signing(made), int(time.time())
    change = made.json("keys", "rotate", "issuer")
    assert kid_of(token(made)) == signing(made) == old
    [coming] = shown(made, "issuer")["to come"]
    assert (coming["kid"], coming["signs_from"]) == (change["new"], change["signs_from"])
    assert seconds(change["signs_from"]) >= started_s + 300 + 60
    assert seconds(change["old_until"]) == seconds(change["signs_from"]) + OVERLAP_S

    assert change["new"] in made.refused("keys", "rotate", "issuer")
    assert "rotate" in made.refused("keys", "retire", "issuer", change["new"])
    assert "rotate" in made.refused("keys", "retire", "issuer", old, "--now")
    again = made.json("keys", "rotate", "issuer", "--now")
    assert (again["old"], again["new"], again["entry"]) == (old, change["new"], change["entry"])
    assert kid_of(token(made)) == change["new"]
    assert rotations(made) == [(old, change["new"])]


def test_a_running_gateway_lets_a_key_sign_when_its_time_comes(house: Place) -> None:
    with command("serve", "--config", str(house.config)) as served:
        text, old = token(house), signing(house)
        change = house.json("keys", "rotate", "issuer")
        assert published(served) >= {old, change["new"]}
        due(house, "issuer")
        # Nobody runs a command now: the gateway itself deletes the private part of the old key, when it is
        # asked something.
        assert eventually(lambda: status(served, text) == 200 and signing_file(house)["kid"] == change["new"])
        assert status(served, text) == 200
        assert not (house.folder / "keys/issuer-next.jwk").exists()
        assert published(served) >= {old, change["new"]}


@pytest.mark.parametrize(("use", "kind"), USES.items())
def test_rotations_in_a_row_are_recorded_one_after_another(made: Place, use: str, kind: str) -> None:
    seen = [signing(made, use)]
    for _ in range(2):
        made.good("keys", "rotate", use, "--now")
        seen.append(signing(made, use))
    assert len({*seen}) == 3
    assert rotations(made, kind) == [(seen[0], seen[1]), (seen[1], seen[2])]
    assert {key["kid"] for key in shown(made, use)["replaced"]} == {*seen[:2]}
    assert all(seconds(key["until"]) > time.time() + OVERLAP_S - 60 for key in shown(made, use)["replaced"])
    for few in ("", seen[0][:7], seen[0] + "A"):
        assert "no replaced key" in made.refused("keys", "retire", use, few, "--now")
    first = made.json("keys", "retire", use, seen[0][:8], "--now")
    assert (first["kind"], first["old"], first["new"]) == (kind, seen[0], None)
    assert [key["kid"] for key in shown(made, use)["replaced"]] == [seen[1]]
    assert "no replaced key" in made.refused("keys", "retire", use, seen[0], "--now")


def test_a_key_past_its_end_is_retired_without_more(made: Place) -> None:
    old = made.json("keys", "rotate", "issuer", "--now")["old"]
    [file] = (made.folder / "keys").glob("issuer-*.jwk")
    for left_s, good in ((30, False), (0, True)):
        file.write_text(json.dumps({**json.loads(file.read_text()), "exp": int(time.time()) + left_s}))
        made.good("keys", "retire", "issuer", old) if good else made.refused("keys", "retire", "issuer", old)
    assert shown(made, "issuer")["replaced"] == []


@pytest.mark.parametrize("step", ["publish", "record", "schedule", "settle"])
def test_a_rotation_that_was_cut_off_is_completed_by_the_next(
    made: Place, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    old = signing(made)
    with monkeypatch.context() as patch:
        cut_off(patch, step)
        made.refused("keys", "rotate", "issuer", "--now")
    assert kid_of(token(made)) == signing(made)
    if step == "settle":
        assert signing(made) != old
        made.good("keys", "show")
    else:
        assert signing(made) == old
        made.good("keys", "rotate", "issuer", "--now")
    assert kid_of(token(made)) == signing(made)
    assert rotations(made) == [(old, signing(made))]
    assert [key["kid"] for key in shown(made, "issuer")["replaced"]] == [old]


def test_a_retirement_that_was_cut_off_is_completed_by_the_next(
    made: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = made.json("keys", "rotate", "issuer", "--now")["old"]
    with monkeypatch.context() as patch:
        cut_off(patch, "retire")
        made.refused("keys", "retire", "issuer", old, "--now")
    assert shown(made, "issuer")["replaced"] != []
    made.good("keys", "retire", "issuer", old, "--now")
    assert shown(made, "issuer")["replaced"] == []
    assert rotations(made)[1:] == [(old, None)]


def test_a_key_that_came_back_from_a_backup_is_retired_once_more(made: Place) -> None:
    kept, old = (made.folder / "keys/issuer.jwk").read_bytes(), signing(made)
    first = made.json("keys", "rotate", "issuer", "--now")["new"]
    made.good("keys", "retire", "issuer", old, "--now")
    (made.folder / "keys/issuer.jwk").write_bytes(kept)
    second = made.json("keys", "rotate", "issuer", "--now")["new"]
    made.good("keys", "retire", "issuer", old, "--now")
    assert rotations(made) == [(old, first), (old, None), (old, second), (old, None)]
    assert {key["kid"] for key in made.json("keys", "show")["issuer"]} == {second}


def test_without_an_entry_no_key_signs(made: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    old = signing(made)
    with monkeypatch.context() as patch:
        patch.setattr("gateway.cli.token_keys.in_house", unavailable)
        made.refused("keys", "rotate", "issuer", "--now")
    assert kid_of(token(made)) == signing(made) == old
    [coming] = shown(made, "issuer")["to come"]
    assert coming["signs_from"] is None


@pytest.mark.parametrize("name", ["issuer.jwk", "issuer-next.jwk", "replaced"])
def test_a_folder_that_others_can_read_is_refused(made: Place, name: str) -> None:
    old = made.json("keys", "rotate", "issuer", "--now")["old"]
    made.good("keys", "rotate", "issuer")
    path = made.folder / "keys" / (f"issuer-{old[:8]}.jwk" if name == "replaced" else name)
    path.chmod(0o644)
    for arguments in (["rotate", "issuer", "--now"], ["retire", "issuer", old, "--now"], ["show"]):
        assert "chmod 600" in made.refused("keys", *arguments)
    assert "chmod 600" in made.refused(*OWN)


def test_a_folder_from_before_id_tokens_has_no_key_of_them_to_rotate(made: Place) -> None:
    (made.folder / "keys/openid.jwk").unlink()
    assert "keys init" in made.refused("keys", "rotate", "openid")
    assert "openid" not in made.json("keys", "show")


@pytest.mark.parametrize(
    "arguments", [["rotate"], ["rotate", "log"], ["retire", "issuer"], ["retire", "gw", "A"]]
)
def test_only_the_keys_of_tokens_are_rotated(made: Place, arguments: list[str]) -> None:
    assert "--help" in made.refused("keys", *arguments)


def seconds(text: str) -> float:
    return float(time.strftime("%s", time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))) - time.timezone


def signing_file(house: Place) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((house.folder / "keys/issuer.jwk").read_text())
    return found


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it does, soon: a running gateway that is asked looks at its keys once a second."""
    for _ in range(100):
        if holds():
            return True
        time.sleep(0.2)
    return False


def due(house: Place, use: str) -> None:
    """As if the time of the key to come were now."""
    file = house.folder / "keys" / f"{use}-next.jwk"
    file.write_text(json.dumps({**json.loads(file.read_text()), "nbf": int(time.time())}))


def cut_off(patch: pytest.MonkeyPatch, step: str) -> None:
    """The command ends before a step; before `record`, in the ledger."""
    if step == "record":
        patch.setattr("gateway.cli.token_keys.in_house", unavailable)
    elif step == "settle":
        # The first settling of a command finds nothing due.
        whole, seen = TokenKeyFiles.settle, list[int]()

        def settle(files: TokenKeyFiles, now_s: int) -> None:
            seen.append(now_s)
            if len(seen) > 1:
                full()
            whole(files, now_s)

        patch.setattr(TokenKeyFiles, "settle", settle)
    else:
        patch.setattr(TokenKeyFiles, step, full)


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def unavailable(*_: object) -> None:
    raise LedgerUnavailable
