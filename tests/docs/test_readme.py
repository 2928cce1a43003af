"""What the README shows, it does: its console blocks run against a real gateway and a real FHIR server.

The section that configures the gateway comes first, then the page from its top. Declared differences: the
ports, the path of a checker, and the values that `transcript` calls variables.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

from tests.docs.pages import ROOT, page
from tests.docs.transcript import Block, Comparison, Shell, blocks
from tests.support.ports import unused_port
from tests.upstreams.sandbox import sandbox

BLOCKS = list(blocks(page("README.md")))
FIRST = "Configure it"
CONSOLE = [block for block in BLOCKS if block.language == "console"]
RUN = sorted(CONSOLE, key=lambda block: block.heading != FIRST)
FSCK = "~/go/bin/fsck"

Findings = dict[Block, str | None]


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Findings]:
    """For each block what is not as it says, None if all is; blocks that cannot run here are not in it."""
    if missing := [tool for tool in ("bash", "curl") if shutil.which(tool) is None]:
        pytest.skip(f"needs {', '.join(missing)}")
    folder, tools = tmp_path_factory.mktemp("readme"), tmp_path_factory.mktemp("bin")
    _command(tools)
    with sandbox() as upstream:
        _load(upstream.base_url)
        known = {"8080": str(unused_port()), "8090": str(urlsplit(upstream.base_url).port)}
        if fsck := os.environ.get("CONSENTRY_FSCK"):
            known[FSCK] = fsck
        comparison = Comparison(known)
        [toml] = [block.text for block in BLOCKS if block.language == "toml"]
        (folder / "consentry.toml").write_text(comparison.here(toml))
        with Shell(folder, tools) as shell:
            runnable = [block for block in RUN if fsck or FSCK not in block.text]
            yield {block: _finding(block, shell, comparison) for block in runnable}


@pytest.mark.parametrize("block", RUN, ids=lambda block: f"{block.heading}: {block.steps[0].command[:30]}")
def test_the_console_shows_what_happens(block: Block, findings: Findings) -> None:
    if block not in findings:
        pytest.skip("needs Tessera's fsck: set CONSENTRY_FSCK to its path, or run `make upstreams`")
    assert findings[block] is None, findings[block]


def test_the_other_commands_are_targets_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    commands = [line for block in BLOCKS if block.language == "sh" for line in block.text.splitlines()]
    assert {"make demo", "make test"} <= set(commands)
    assert {command.removeprefix("make ") for command in commands} <= targets


def _finding(block: Block, shell: Shell, comparison: Comparison) -> str | None:
    for step in block.steps:
        printed = shell.run(type(step)(comparison.here(step.command), step.output))
        if not comparison.matches(step.output, printed):
            expected = "\n".join(map(comparison.here, step.output))
            return f"$ {step.command}\nexpected:\n{expected}\nprinted:\n{printed}\nerrors:\n{shell.errors()}"
    return None


def _command(tools: Path) -> None:
    """`consentry`, from this checkout."""
    command = tools / "consentry"
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m gateway "$@"\n')
    command.chmod(0o755)


def _load(base_url: str) -> None:
    """The synthetic people, byte for byte: a number that is written 7.10 stays so."""
    with httpx.Client(
        trust_env=False, timeout=60, headers={"Content-Type": "application/fhir+json"}
    ) as client:
        for path in sorted((ROOT / "fixtures" / "people").glob("*.json")):
            for resource in msgspec.json.decode(path.read_bytes(), type=list[msgspec.Raw]):
                head = msgspec.json.decode(resource)
                url = f"{base_url}/{head['resourceType']}/{head['id']}"
                client.put(url, content=bytes(resource)).raise_for_status()
