"""The example of `docs/masking.md`: what is made of it, and the line that `docs/formats.md` shows."""

from __future__ import annotations

import json
import re
from pathlib import Path

from gateway.core.consent.egress import EGRESS
from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.candidate import Candidate
from gateway.core.fhir.facts import facts_of
from gateway.core.fhir.release import build_instance
from gateway.core.fhir.telling import Telling
from gateway.core.released import Lines, no_consent
from gateway.core.values import Label, Shape
from gateway.mapping import load_catalogue, load_outlines

DOCS = Path(__file__).resolve().parents[3] / "docs"
BASES = Bases("https://gw.example/fhir", "http://upstream.internal:8080/fhir")
LEVEL = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"


def test_the_example_is_made_so() -> None:
    page = (DOCS / "masking.md").read_text("utf-8")
    before, after = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    raw = before.rstrip("\n").encode()
    candidate = Candidate(
        raw,
        facts_of(raw, load_catalogue("R4"), BASES),
        cuts=(("reasonCode", 0), ("note",)),
        left=frozenset({Label(LEVEL, "N")}),
    )
    made = build_instance(candidate, frozenset(), Shape(), load_outlines("R4"), Telling("explicit", EGRESS))
    assert json.loads(made) == json.loads(after)
    line = Lines(None, no_consent).text([candidate], None).rstrip("\n")
    assert line in (DOCS / "formats.md").read_text("utf-8")
    assert f"{line[:27]}… {line[line.index('REDACTED') :]}" in page
