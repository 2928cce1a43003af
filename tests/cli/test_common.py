"""What holds for every command: help, exit statuses, and errors of one line that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.cli.common import Commands
from gateway.errors import ConfigError, Gone, VerificationFailed
from tests.cli.support import GRANT, Place


def commands(group: click.Group, *above: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, each in group.commands.items():
        yield (*above, name), each
        if isinstance(each, click.Group):
            yield from commands(each, *above, name)


EVERY = {(): main, **dict(commands(main))}
THAT_DO_SOMETHING = [name for name, each in EVERY.items() if not isinstance(each, click.Group)]


def test_the_commands() -> None:
    assert {" ".join(name) for name in EVERY if name} == {
        "demo", "serve", "check-config", "token", "simulate", "bench",
        "keys", "keys init", "keys show", "keys rotate", "keys retire",
        "consent", "consent grant", "consent change", "consent revoke", "consent show",
        "consent preview", "consent compare", "consent import", "consent export", "consent sync",
        "client", "client add", "client show", "client list", "client change", "client secret",
        "client disable", "client enable", "client remove",
        "user", "user add", "user list", "user show", "user passwd", "user totp", "user disable",
        "user enable", "user allow", "user disallow", "user link", "user unlink", "user reset-passkeys",
        "break-glass", "break-glass open", "break-glass list", "break-glass review",
        "ledger", "ledger verify", "ledger prove", "ledger head", "ledger entry",
    }  # fmt: skip


@pytest.mark.parametrize("command", EVERY, ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help(command: tuple[str, ...], option: str) -> None:
    result = CliRunner().invoke(main, [*command, option], prog_name="consentry")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: {' '.join(('consentry', *command))} ")


@pytest.mark.parametrize("command", THAT_DO_SOMETHING, ids=" ".join)
def test_every_command_prints_json(command: tuple[str, ...]) -> None:
    said = CliRunner().invoke(main, [*command, "--help"]).stdout
    [line] = [line for line in said.splitlines() if line.strip().startswith("--json")]
    assert "JSON" in line


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["frobnicate"], "see `consentry --help`"),
        (["--frobnicate"], "see `consentry --help`"),
        (["consent", "frobnicate"], "see `consentry consent --help`"),
        (["consent", "grant"], "Missing option '--patient'"),
        (["consent", "revoke"], "Missing argument 'ID'"),
        (["consent", "show"], "Name either a consent or --patient"),
        (["consent", "show", "ID", "--patient", "pat-a"], "Name either a consent or --patient"),
        (["ledger", "prove", "-1"], "No such option '-1'"),
        (["ledger", "prove", "one"], "not a valid integer"),
        (["ledger", "entry", "99"], "There is no such ledger entry"),
        (["ledger", "verify", "--url", "http://127.0.0.1:9"], "give --vkey too"),
        (["ledger", "verify", "--receipt", __file__], "--receipt and --entry go together"),
        (["ledger", "verify", "--vkey", "nonsense"], "neither a verifier key"),
        (["serve", "--workers", "0"], "--workers"),
        (["serve", "--http", "nghttp"], "--http"),
        (["token", "--client", "app-1"], "Missing option '--scope'"),
        ([*GRANT, "--until", "tomorrow"], "2027-01-01"),
        ([*GRANT, "--purpose", "TREATMENT"], "v3-PurposeOfUse"),
        ([*GRANT, "--supersedes", "nothing"], "There is no consent nothing"),
    ],
    ids=lambda value: " ".join(value)[-40:] if isinstance(value, list) else None,
)
def test_a_mistake_is_one_line_and_status_2(made: Place, arguments: list[str], expected: str) -> None:
    assert expected in made.refused(*arguments)


def test_without_settings_the_remedy_is_named(tmp_path: Path) -> None:
    line = Place(tmp_path, 0).refused("consent", "show", "--patient", "pat-a")
    assert "give its path with --config" in line


def test_without_keys_the_remedy_is_named(bare: Place) -> None:
    assert "run `consentry keys init`" in bare.refused(*GRANT)


def test_several_problems_of_the_settings_are_for_check_config(bare: Place) -> None:
    bare.config.write_text(bare.config.read_text().replace("[server]", "[server]\nprot = 1\nworkers = 0"))
    assert bare.refused(*GRANT).endswith("2 problems; `consentry check-config` lists them.\n")


def test_one_problem_is_told_at_once(bare: Place) -> None:
    bare.config.write_text(bare.config.read_text().replace("[server]", "[server]\nprot = 1"))
    assert bare.refused(*GRANT).endswith("server.prot: there is no such setting; did you mean port?\n")


@pytest.mark.parametrize(
    ("raised", "status", "line"),
    [
        (VerificationFailed("entry 3: forged"), 1, "consentry: entry 3: forged\n"),
        (ConfigError("two\nlines here"), 2, "consentry: lines here\n"),
        (Gone("The key was destroyed."), 2, "consentry: The key was destroyed.\n"),
        (OSError(28, "No space left on device", "x"), 2, "consentry: x: No space left on device\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_what_a_command_raises_becomes_a_line_and_a_status(
    raised: BaseException, status: int, line: str
) -> None:
    result = CliRunner().invoke(_raising(raised), ["fail"])
    assert (result.exit_code, result.stderr) == (status, line)


def test_a_defect_names_its_place_and_not_its_text() -> None:
    result = CliRunner().invoke(_raising(RuntimeError("Patient/pat-a")), ["fail"])
    assert result.exit_code == 2
    assert "RuntimeError at test_common.py:" in result.stderr
    assert "pat-a" not in result.output


def _raising(error: BaseException) -> click.Group:
    @click.group(cls=Commands)
    def top() -> None: ...

    @top.command()
    def fail() -> None:
        raise error

    return top
