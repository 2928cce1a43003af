"""The server as a real process: reads over HTTP, commands beside it, workers, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import httpx
import pytest

from tests.cli.support import GRANT, Place, Served, children_of, command, place, process_refused, runs
from tests.support.ports import bound_socket
from tests.upstreams.base import Upstream
from tests.upstreams.sandbox import sandbox

PEOPLE = Path(__file__).parents[2] / "fixtures" / "people" / "people.json"
TOKEN = ("token", "--client", "app-1", "--patient", "pat-a", "--scope", "patient/*.rs")


@pytest.fixture(scope="module")
def records() -> Iterator[Upstream]:
    with sandbox() as upstream:
        upstream.load(json.loads(PEOPLE.read_text()))
        yield upstream


@pytest.fixture
def house(tmp_path: Path, records: Upstream) -> Place:
    """Keys and a ledger in front of the record server, on which nothing listens yet."""
    made = place(tmp_path, records.base_url)
    made.good("keys", "init")
    return made


@contextmanager
def serve(house: Place, *options: str) -> Iterator[Served]:
    with command("serve", "--config", str(house.config), *options) as served:
        yield served


def read(served: Served, token: str, patient: str = "pat-a") -> httpx.Response:
    # A connection of its own for each request, so that workers take turns.
    return httpx.get(
        f"{served.url}/fhir/Patient/{patient}",
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
        timeout=30,
    )


def granted(house: Place) -> tuple[str, str]:
    """A consent, and a token that rests on it."""
    consent: dict[str, Any] = house.json(*GRANT, "--purpose", "TREAT")
    return consent["id"], house.good(*TOKEN, "--consent", consent["id"]).strip()


@pytest.mark.parametrize(
    "options",
    [[], ["--http", "h11"], ["--workers", "2"]],
    ids=["one process", "h11", "two workers"],
)
def test_a_consent_opens_a_read_and_its_withdrawal_ends_it(house: Place, options: list[str]) -> None:
    before, old = granted(house)
    with serve(house, *options) as served:
        assert served.said == f"consentry: serving http://127.0.0.1:{house.port} (FHIR at /fhir)\n"
        answer = read(served, old)
        assert (answer.status_code, answer.json()["id"]) == (200, "pat-a")
        assert "server" not in answer.headers

        # The same commands while it runs, through its socket.
        consent_id, token = granted(house)
        assert [read(served, token).status_code for _ in range(4)] == [200] * 4
        assert read(served, token, "pat-b").status_code == 404
        house.good("consent", "revoke", consent_id)
        assert [read(served, token).status_code for _ in range(4)] == [403] * 4
        assert read(served, old).status_code == 200

        receipt = house.folder / "receipt"
        receipt.write_text(house.good("ledger", "prove", answer.headers["ledger-entry"].split(";")[1]))
        check = ["ledger", "verify", "--receipt", str(receipt), "--entry", answer.headers["ledger-entry"]]
        assert "verified entry" in house.good(*check)
        copy = ["ledger", "verify", "--url", f"{served.url}/ledger"]
        assert house.good(*copy, "--vkey", str(house.folder / "keys" / "log.vkey"))
        assert house.json("ledger", "verify")["kinds"]["read.deny"] == 5
        assert served.end() == 0
    house.good("consent", "revoke", before)
    assert house.json("ledger", "verify")["kinds"]["consent.revoke"] == 2


def test_a_read_names_its_consent_and_the_issue_of_its_token(house: Place) -> None:
    _, token = granted(house)
    with serve(house) as served:
        index = read(served, token).headers["ledger-entry"].split(";")[1]
    facts = house.json("ledger", "entry", index)["facts"]
    consent, issue = (house.json("ledger", "entry", str(facts[name][0])) for name in ("con", "tok"))
    assert (consent["kind"], consent["hash"]) == ("consent.grant", facts["con"][1])
    assert (issue["kind"], issue["hash"]) == ("token.issue", facts["tok"][1])
    assert issue["facts"]["con"] == facts["con"]


def test_a_patient_reads_their_own_records_without_consent(house: Place) -> None:
    token = house.good(*TOKEN, "--user", "Patient/pat-a").strip()
    with serve(house) as served:
        assert read(served, token).status_code == 200
        assert read(served, token, "pat-b").status_code == 404


def test_the_address_as_json_for_programs(house: Place) -> None:
    with command("serve", "--config", str(house.config), "--json", until="{") as served:
        assert json.loads(served.said) == {"url": f"http://127.0.0.1:{house.port}", "fhir": ["/fhir"]}
        assert httpx.get(f"http://127.0.0.1:{house.port}/healthz", trust_env=False, timeout=60).text == "ok\n"


@pytest.mark.parametrize("parser", ["httptools", "h11"])
def test_the_parser_is_a_setting(house: Place, parser: str) -> None:
    """The two differ in how they answer what is no HTTP."""
    house.config.write_text(house.config.read_text().replace("[server]", f'[server]\nhttp = "{parser}"'))
    with serve(house), socket.create_connection(("127.0.0.1", house.port), 10) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        answer = connection.makefile("rb").read()
    assert (b"Connection: close" in answer) == (parser == "h11"), answer


def test_any_worker_tells_the_counts_of_all(
    house: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, token = granted(house)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    with serve(house, "--workers", "2") as served:
        for _ in range(6):
            assert read(served, token).status_code == 200
            assert read(served, "x").status_code == 401
        first, _ = children_of(served.process.pid)
        os.kill(first, signal.SIGKILL)  # what it counted stays counted
        for _ in range(4):
            counts = httpx.get(f"{served.url}/metrics", trust_env=False, timeout=60).text
            assert 'consentry_answers_total{status="200"} 6.0\n' in counts
            assert "consentry_unauthenticated_total 6.0\n" in counts
            assert "consentry_answer_seconds_count 12.0\n" in counts
        assert list((tmp_path / "tmp").glob("consentry-metrics-*"))
        assert served.end() == 0
    assert not list((tmp_path / "tmp").iterdir())


def test_requests_without_a_valid_token_are_in_the_log(house: Place) -> None:
    with serve(house) as served:
        assert read(served, "s3cret.s3cret.s3cret", "pat-secret").status_code == 401
        for _ in range(12):
            httpx.get(f"{served.url}/fhir/Patient/pat-secret", trust_env=False, timeout=60)
        time.sleep(1.2)
        assert served.end() == 0
        assert served.process.stderr is not None
        log = served.process.stderr.read()
    told = [json.loads(line)["text"] for line in log.splitlines()]
    assert told[0].startswith("Unauthenticated, invalid_token: The token")
    assert told[1] == "Unauthenticated, no token: An access token is needed."
    assert sum(line.startswith("Unauthenticated, ") for line in told) <= 20
    assert "s3cret" not in log
    assert "pat-secret" not in log


def test_port_0_is_a_free_port(house: Place) -> None:
    _, token = granted(house)
    with serve(house, "--port", "0") as served:
        assert httpx.URL(served.url).port not in (None, 0, house.port)
        assert read(served, token).status_code == 200


def test_a_port_that_is_taken_is_one_line(house: Place) -> None:
    with bound_socket() as taken:
        taken.listen()
        line = process_refused("serve", "--config", str(house.config), "--port", str(taken.getsockname()[1]))
    assert "choose another server.port" in line


def test_a_second_server_on_the_ledger_is_refused(house: Place) -> None:
    with serve(house):
        line = process_refused("serve", "--config", str(house.config), "--port", "0")
    assert "Another server writes the ledger" in line


def test_a_server_that_cannot_open_its_keys_says_what_to_do(house: Place) -> None:
    (house.folder / "keys").chmod(0o755)
    assert "chmod 700" in process_refused("serve", "--config", str(house.config), "--workers", "2")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_that_cannot_open_a_consent_says_which(house: Place, workers: str) -> None:
    consent: dict[str, Any] = house.json(*GRANT)
    with apsw.Connection(str(house.folder / "ledger.db")) as db:
        db.execute("UPDATE sidecar SET data = zeroblob(64) WHERE idx = ?", (consent["entry"],))
    line = process_refused("serve", "--config", str(house.config), "--workers", workers, status=1)
    assert f"entry {consent['entry']}: its sidecar is not the one recorded" in line
    assert "restore the ledger and its vault" in line


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_read_that_hangs_does_not_hold_up_the_end(tmp_path: Path, workers: str) -> None:
    with bound_socket() as silent, ThreadPoolExecutor(1) as client:
        silent.listen()
        house = place(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}/fhir")
        house.good("keys", "init")
        _, token = granted(house)
        with serve(house, "--workers", workers) as served:
            children = children_of(served.process.pid)
            answer = client.submit(read, served, token)
            asked, _ = silent.accept()
            with asked:
                assert served.end(within_s=15) == 0  # the record server would be waited for for 30 s
            assert not any(map(runs, children))
            assert isinstance(answer.exception(10), httpx.HTTPError) or answer.result().status_code >= 500


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=["SIGTERM", "Ctrl-C", "terminal closed"]
)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_signal_ends_all_processes(house: Place, number: int, workers: str) -> None:
    with serve(house, "--workers", workers) as served:
        children = children_of(served.process.pid)
        assert len(children) == (0 if workers == "1" else 2)
        with httpx.Client(base_url=served.url, trust_env=False, timeout=60) as client:
            client.get("/healthz").raise_for_status()  # a connection that stays open holds nothing up
            assert served.end(number) == 0
        assert not any(map(runs, children))
        assert not house.folder.joinpath("ledger.db.sock").exists()
        assert served.process.stderr is not None
        assert served.process.stderr.read() == ""


def test_a_worker_that_ends_is_started_anew(house: Place) -> None:
    _, token = granted(house)
    with serve(house, "--workers", "2") as served:
        first = children_of(served.process.pid)
        os.kill(first[0], signal.SIGKILL)
        deadline = time.monotonic() + 30
        while len(now := children_of(served.process.pid)) < 2 or first[0] in now:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.kill(first[1], signal.SIGKILL)
        assert read(served, token).status_code == 200
        assert served.end() == 0
        assert not any(map(runs, now))


def test_no_worker_and_no_count_outlives_the_process_above(
    house: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    with serve(house, "--workers", "2") as served:
        children = children_of(served.process.pid)
        served.process.kill()
        served.process.wait()
        deadline = time.monotonic() + 10
        while any(map(runs, children)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert not list(temporary.iterdir())
