"""docs/research.md: its list of parameters is the gateway's own."""

from __future__ import annotations

from gateway.core.studies.asking import PARAMETERS
from tests.docs.pages import ROOT, part


def test_parameters() -> None:
    told = part((ROOT / "docs" / "research.md").read_text("utf-8"), "parameters")
    lines = " ".join(told.split()).removeprefix("- ").split(" - ")
    listed = [(kind, names.split(", ")) for kind, _, names in (line.partition(": ") for line in lines)]
    assert listed == [(kind, sorted(names)) for kind, names in sorted(PARAMETERS.items())]
