"""The generated tables of one release, as the text of their files: a header, then one row a line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mappings.build.definitions import read_package
from mappings.build.outlines import outline_table
from mappings.build.search import search_table
from mappings.build.texts import text_table

ARTIFACT = "ca.uhn.hapi.fhir:hapi-fhir-validation-resources-"
VERSIONS = {"R4": "4.0.1", "R4B": "4.3.0", "R5": "5.0.0"}
LICENCE = "CC0-1.0 (HL7 FHIR specification content; HL7 and FHIR are registered marks of HL7)"


def tables(release: str, package: Path) -> dict[str, str]:
    """File name to text of the tables of `release`, derived from its package.

    Raises SystemExit when the package does not hold the definitions.
    """
    definitions = read_package(release, package)
    header = {
        "origin": f"{ARTIFACT}{release.lower()}, {package.name}, SHA-256 {_sha256(package)}",
        "licence": LICENCE,
        "fhirVersion": VERSIONS[release],
    }
    slug = release.lower()
    compartment = dict(sorted(definitions.compartment.items()))
    return {
        f"search-parameters-{slug}.json": _format_parameters(header, search_table(definitions)),
        f"patient-compartment-{slug}.json": _format_rows(header, compartment),
        f"outlines-{slug}.json": _format_rows(header, outline_table(definitions)),
        f"texts-{slug}.json": _format_rows(header, text_table(definitions)),
    }


def _format_parameters(header: dict[str, str], table: dict[str, dict[str, Any]]) -> str:
    lines = _header_lines(header)
    common = table.pop("common")
    lines += ['"common": {', *_rows(common), "},", '"types": {']
    for index, (type_, rows) in enumerate(table.items()):
        comma = "," if index < len(table) - 1 else ""
        lines += [f'"{type_}": {{', *_rows(rows), "}" + comma] if rows else [f'"{type_}": {{}}{comma}']
    return "\n".join([*lines, "}", "}", ""])


def _format_rows(header: dict[str, str], rows: dict[str, Any]) -> str:
    return "\n".join([*_header_lines(header), '"types": {', *_rows(rows), "}", "}", ""])


def _header_lines(header: dict[str, str]) -> list[str]:
    return ["{", *(f'"{k}": {json.dumps(v)},' for k, v in header.items())]


def _rows(rows: dict[str, Any]) -> list[str]:
    last = len(rows) - 1
    return [
        f"  {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}{',' if i < last else ''}"
        for i, (k, v) in enumerate(rows.items())
    ]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
