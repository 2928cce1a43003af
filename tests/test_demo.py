"""The demo as people run it: it starts, its three lines do what they say, and it leaves nothing behind."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.auth.counter import Reader
from tests.cli.support import ROOT, Place, command, process_refused, runs

LAST_LINE = "Ctrl-C ends it."
STEP = re.compile(r"curl |env PYTHONPATH=\S+ \S+ -m gateway ledger verify ")


def test_check_takes_the_three_steps_and_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "demo", "--check", "--port", "0"],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"^(\d{3}) ", done.stdout, re.M) == ["200", "200", "403"]
    assert re.search(r"^ledger-entry: demo\.example/consentry;\d+;[\w-]{43}$", done.stdout, re.M)
    assert re.search(r"^verified \d+ entries$", done.stdout, re.M)
    [config] = set(re.findall(r"settings +(\S+)", done.stdout))
    assert not Path(config).parent.exists()


def test_the_lines_can_be_copied_into_a_shell(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    folder = tmp_path / "a demo's folder"
    with command("demo", "--port", "0", "--folder", str(folder), until=LAST_LINE) as served:
        assert "/a demo" in served.said
        read, withdraw, verify = [line for line in served.said.splitlines() if STEP.match(line)]
        permitted = _shell(read)
        assert permitted.startswith("HTTP/1.1 200")
        assert re.search(r"^ledger-entry: demo\.example/consentry;", permitted, re.M | re.I)
        refused = _shell(withdraw)
        assert '"entry":' in refused
        assert "HTTP/1.1 403" in refused
        assert re.search(r"^verified \d+ entries$", _shell(verify), re.M)
        assert served.end(signal.SIGINT) == 0
    assert (folder / "ledger.db").exists()


def test_a_program_is_told_in_one_line_once_all_is_up(tmp_path: Path) -> None:
    with command("demo", "--port", "0", "--folder", str(tmp_path / "demo"), "--json", until="{") as served:
        assert served.said.count("\n") == 1
        told = json.loads(served.said)
        assert sorted(told.pop("try")) == ["read", "revoke", "verify"]
        bearer = {"Authorization": f"Bearer {told.pop('token')}"}
        with httpx.Client(base_url=told["url"], trust_env=False, timeout=60, headers=bearer) as client:
            assert client.get(f"{told['fhir'][0]}/Patient/{told['patient']}").status_code == 200
            assert client.get(f"{told['fhir'][0]}/Patient/pat-b").status_code == 404
            assert httpx.get(told["ledger"], trust_env=False, timeout=60).text.startswith(
                "demo.example/consentry\n"
            )
            assert (
                httpx.get(f"{told['upstream']}/Patient/pat-b", trust_env=False, timeout=60).status_code == 200
            )
        shown = Place(tmp_path / "demo", 0).json("consent", "show", told["consent"])
        assert (shown["patient"], shown["grantees"]) == (told["patient"], [f"client:{told['client']}"])
        assert told["config"] == str(tmp_path / "demo" / "consentry.toml")
        assert served.end() == 0


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What a running demo tells programs."""
    folder = tmp_path_factory.mktemp("told") / "demo"
    with command("demo", "--port", "0", "--folder", str(folder), "--json", until="{") as served:
        yield json.loads(served.said)


def decided(told: dict[str, Any], browser: httpx.Client, step: str) -> httpx.Response:
    """The app's page after the patient decided about it, by the button of that name."""
    page = browser.get(told["app"] + "/connect")
    fields = {"login": told["login"], "password": told["password"], "step": "password"}
    for _ in range(2):
        [form] = [form for form in Reader(page.text).forms if ("step", fields["step"]) in form.buttons]
        address = page.url.join(form.action)
        page = browser.post(address, data={**form.fields, **fields}, headers={"Origin": told["url"]})
        fields = {"step": step}
    return page


@pytest.fixture
def browser() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, follow_redirects=True, timeout=60) as client:
        yield client


def test_a_patient_lets_the_app_in_and_sends_it_away(told: dict[str, Any], browser: httpx.Client) -> None:
    page = decided(told, browser, "allow")
    assert str(page.url) == told["app"] + "/"
    assert re.findall(r"GET (\w+): 200 OK", page.text) == [
        "Patient", "Observation", "Condition", "MedicationRequest",
    ]  # fmt: skip
    assert "Ann Åsa Almquist" in page.text
    assert "7.10 mmol/L" in page.text
    shown = browser.get(told["url"] + "/auth/manage")
    section = re.search(r"Health Diary</h2>.*?</section>", shown.text, re.S)
    assert section is not None
    [form] = Reader(section[0]).forms
    done = browser.post(told["url"] + form.action, data=form.fields, headers={"Origin": told["url"]})
    assert "It is withdrawn" in done.text
    after = browser.get(told["app"])
    assert re.findall(r"GET \w+: (\d+)", after.text) == ["401"] * 4
    assert "Ann" not in after.text


def test_a_patient_keeps_their_records_to_themselves(told: dict[str, Any], browser: httpx.Client) -> None:
    page = decided(told, browser, "deny")
    assert (str(page.url), "You kept it to yourself" in page.text) == (told["app"] + "/", True)


@pytest.mark.parametrize("state", ["", "?state=", "?code=x&state=x", "?error=%3Cb%3E&state=x"])
def test_an_answer_to_no_question_is_not_taken(
    told: dict[str, Any], browser: httpx.Client, state: str
) -> None:
    browser.get(told["app"] + "/connect")
    answer = browser.get(told["app"] + "/callback" + state)
    assert (answer.status_code, "to no question of ours" in answer.text) == (400, True)
    assert "<b>" not in answer.text


def test_check_tells_programs_what_came_back() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "demo", "--check", "--port", "0", "--json"],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert [(each["method"], each["status"]) for each in told["tried"]] == [
        ("GET", 200), ("POST", 200), ("GET", 403),
    ]  # fmt: skip
    last = told["tried"][-1]["ledger-entry"][0].split(";")
    assert told["verified"]["verified"] == int(last[1]) + 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["SIGTERM", "terminal closed"])
def test_it_leaves_nothing_behind(number: int) -> None:
    with command("demo", "--port", "0", until=LAST_LINE) as served:
        [config] = re.findall(r"settings +(\S+)", served.said)
        assert Path(config).exists()
        assert served.end(number) == 0
    assert not Path(config).parent.exists()
    assert not runs(served.process.pid)


def test_it_takes_a_free_port_if_8080_is_taken() -> None:
    with command("demo", until=LAST_LINE) as first, command("demo", until=LAST_LINE) as second:
        assert first.url != second.url
        assert (first.end(), second.end()) == (0, 0)


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    assert "is not empty" in process_refused("demo", "--folder", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_without_its_patients_it_says_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.cli.demo.PEOPLE", tmp_path / "nobody")
    assert "make demo" in Place(tmp_path, 0).refused("demo", "--check")


def _shell(line: str) -> str:
    """What the line prints, in a folder that has nothing to do with the demo's."""
    done = subprocess.run(line, shell=True, cwd="/", capture_output=True, text=True, timeout=60, check=True)
    return done.stdout
