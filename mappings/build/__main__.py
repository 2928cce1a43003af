"""Generates search-parameters-, patient-compartment-, outlines- and texts-*.json from HL7's own definitions.

    python -m mappings.build R4=FILE R4B=FILE R5=FILE [--check]

Each FILE is the Maven artifact `ca.uhn.hapi.fhir:hapi-fhir-validation-resources-{r4,r4b,r5}`, which
carries the definitions as HL7 published them (`tests/definitions/pom.xml` fetches all three). With
--check nothing is written: exit status 1 says that a checked-in file differs from what would be.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mappings.build.tables import VERSIONS, tables

FOLDER = Path(__file__).parent.parent


def main(arguments: list[str]) -> int:
    check = "--check" in arguments
    inputs = dict(a.split("=", 1) for a in arguments if "=" in a)
    if not inputs or not inputs.keys() <= VERSIONS.keys() or len(inputs) + check != len(arguments):
        print(__doc__, file=sys.stderr)
        return 2
    stale = []
    for release, place in inputs.items():
        for name, text in tables(release, Path(place)).items():
            target = FOLDER / name
            if check and (not target.exists() or target.read_text("utf-8") != text):
                stale.append(name)
            elif not check:
                target.write_text(text, "utf-8")
    for name in stale:
        print(f"{name} is not what the definitions say; run python -m mappings.build", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
