"""What the code has, the documents name: settings, refusals, reasons, types, addresses, commands."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gateway import mapping, pipeline
from gateway.cli import main
from gateway.config.reference import reference
from gateway.config.settings import SETTINGS
from gateway.core.consent.verdict import Reason
from gateway.core.fhir import controls, refused
from gateway.core.fhir.terms import MODIFIERS
from gateway.core.smart.claims import NEEDED, REFUSED, USED
from gateway.errors import ConsentryError, Forbidden
from tests.docs.pages import PAGES, ROOT, page, part, prose, rows, slug
from tests.docs.routes import addresses
from tests.docs.transcript import blocks

WALK = page("docs/walk.md")
LONGEST_LINE = 110
NOT_OURS = {"docs/formats.md", "docs/performance.md"}  # kept by their own tests


# --- Form ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_documents_resolve(path: Path) -> None:
    text = path.read_text("utf-8")
    links = re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", text)
    broken = [link for link in links if "://" not in link and not _resolves(path, link)]
    assert not broken


def _resolves(path: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = path if not name else (path.parent / name).resolve()
    if not target.exists():
        return False
    headings = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.M) if anchor else []
    return not anchor or anchor in {slug(heading) for heading in headings}


def test_a_link_that_leads_nowhere_is_noticed() -> None:
    assert not _resolves(ROOT / "README.md", "docs/nowhere.md")
    assert not _resolves(ROOT / "README.md", "docs/walk.md#nowhere")
    assert _resolves(ROOT / "README.md", "docs/walk.md#words")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_prose_fits_a_narrow_window(path: Path) -> None:
    if path.relative_to(ROOT).as_posix() not in NOT_OURS:
        written = [line for line in prose(path.read_text("utf-8")) if line not in reference().splitlines()]
        assert [line for line in written if len(line) > LONGEST_LINE] == []


# --- Configuration ---------------------------------------------------------------------------------


def test_the_reference_of_settings_is_the_present_one() -> None:
    assert part(page("docs/configuration.md"), "settings") == reference().strip()


@pytest.mark.parametrize("section", SETTINGS)
def test_every_setting_has_a_row(section: str) -> None:
    assert {f"`{name}`" for name in SETTINGS[section]} <= {row[0] for row in rows(reference())}


def test_the_problems_shown_are_those_that_are_found(tmp_path: Path) -> None:
    """The page's own file, with the three mistakes that its example speaks of."""
    shown = {block.language: block.text for block in blocks(page("docs/configuration.md"))}
    file = tmp_path / "consentry.toml"
    file.write_text(shown["toml"])
    found = CliRunner().invoke(main, ["check-config", "--config", str(file)])
    assert found.exit_code == 0
    wrong = shown["toml"].replace("[server]", "[server]\nprot = 9000")
    file.write_text(wrong.replace("10.0.0.5", "me:secret@10.0.0.5"))
    found = CliRunner().invoke(
        main, ["check-config", "--config", str(file)], env={"CONSENTRY_SERVER__WORKERS": "many"}
    )
    expected = shown["console"].splitlines()[1:]
    assert found.output.replace(str(file), "consentry.toml").splitlines() == expected
    assert "secret" not in found.output


# --- The walk --------------------------------------------------------------------------------------


def _refused_table() -> str:
    interactions = [(f"`{name}`", row) for name, row in refused.INTERACTIONS.items()]
    parameters = [(f"`{pattern}`".replace("|", "\\|"), row) for pattern, row in refused._PARAMETERS]
    others = [
        ("`_total`, `_summary=count`, `_count=0`", refused.COUNTS),
        ("`_sort` with a chain", refused.SORT_CHAIN),
    ]
    lines = ["| asked | status | reason | the caller reads |", "|---|---|---|---|"]
    for name, row in interactions + parameters + others:
        reason = f"`{row.reason}`" if row.error is Forbidden else ""
        lines.append(f"| {name} | {row.error.status} | {reason} | {row.text} |")
    return "\n".join(lines)


def test_the_refused_rows_are_those_of_the_code() -> None:
    assert part(WALK, "refused") == _refused_table()


def _kinds(error: type[ConsentryError]) -> Iterator[type[ConsentryError]]:
    for kind in error.__subclasses__():
        yield kind
        yield from _kinds(kind)


def test_every_status_is_described() -> None:
    described = {status for row in rows(WALK) for status in re.findall(r"\b[2-5]\d\d\b", row[0])}
    ours = [kind for kind in _kinds(ConsentryError) if not kind.__module__.startswith("gateway.sandbox")]
    raised = {str(kind.status) for kind in ours}
    assert raised | {"200", "204", "304"} == described


def _written_reasons() -> Iterator[str]:
    """The reasons that stand as texts in `Deny(error, reason)` and `Judgement(visible, reason)`."""
    for name in ("pipeline.py", "core/decide.py", "core/judge.py", "core/judgement.py"):
        for node in ast.walk(ast.parse((ROOT / "gateway" / name).read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) > 1:
                reason, visible = node.args[1], node.args[0]
                allowed = isinstance(visible, ast.Constant) and visible.value is True
                if node.func.id in ("Deny", "Judgement") and isinstance(reason, ast.Constant) and not allowed:
                    yield str(reason.value)


def test_the_reasons_are_those_of_the_code() -> None:
    rows_refused = [
        *refused.INTERACTIONS.values(),
        *(row for _, row in refused._PARAMETERS),
        refused.SORT_CHAIN,
    ]
    known = {
        *_written_reasons(),
        *pipeline.REASONS.values(),
        *(row.reason for row in rows_refused if row.error is Forbidden),
        *map(str, Reason),
        "not_found",
    }
    assert {row[0].strip("`") for row in rows(part(WALK, "reasons"))} == known


def test_reasons_are_found_in_the_code() -> None:
    assert {"scope", "withdrawn", "page", "no_owner", "type"} <= set(_written_reasons())
    assert "self" not in set(_written_reasons())


def test_the_types_are_those_of_the_access_table() -> None:
    catalogue = mapping.load_catalogue("R4")
    text = " ".join(part(WALK, "types").split())
    for kind in ("compartment", "shared"):
        found = re.search(rf"\*\*{kind}\*\* \((\d+)\): ([A-Za-z, ]+)", text)
        assert found is not None
        types = sorted(t for t in catalogue.types if catalogue.access(t).kind == kind)
        assert (found[2].strip().split(", "), int(found[1])) == (types, len(types))


def test_every_control_and_modifier_is_described() -> None:
    assert {f"`{name}`" for name in controls.SEARCH} <= {row[0] for row in rows(WALK)}
    assert all(f"`:{name}`" in WALK for names in MODIFIERS.values() for name in names)


def test_every_claim_that_counts_is_named() -> None:
    claims = " ".join(re.findall(r"`([^`]+)`", WALK)).split()
    assert {row.name for row in NEEDED} | {row.name for row in USED} <= set(claims)
    assert {"act", "authorization_details"} <= {row.name for row in REFUSED} & set(claims)


@pytest.mark.parametrize("address", addresses())
def test_every_address_is_named(address: str) -> None:
    named = {a.rstrip("…") for row in rows(WALK) for a in re.findall(r"`(/[^`]*)`", row[0])}
    assert address.replace("{path:path}", "").replace(":int}", "}") in named


# --- Commands --------------------------------------------------------------------------------------


def _commands(command: click.Command, path: str = "consentry") -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _commands(inner, f"{path} {name}")
    else:
        yield path, command


COMMANDS = dict(_commands(main))


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_is_described(path: str) -> None:
    described = {row[0].strip("`"): row[1] for row in rows(part(page("docs/operations.md"), "commands"))}
    assert path in described
    options = {
        name
        for parameter in COMMANDS[path].params
        if isinstance(parameter, click.Option) and not parameter.hidden
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("--")
    }
    assert set(re.findall(r"`(--[a-z-]+)", described[path])) == options


def test_no_command_is_described_that_is_not_there() -> None:
    described = {row[0].strip("`") for row in rows(part(page("docs/operations.md"), "commands"))}
    assert described == set(COMMANDS)
