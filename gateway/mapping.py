"""The one reader of `mappings/`: finds the folder, parses its tables once, and digests it.

In a checkout the folder lies beside the package, in a wheel inside it as `_mappings`. A table that
is missing or does not parse is a ConfigError: the gateway does not start without its knowledge.
"""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from gateway.core.fhir.catalogue import Catalogue, Release
from gateway.core.fhir.outline import Outline, parse_outlines
from gateway.errors import ConfigError

_PLACES = (Path(__file__).parent / "_mappings", Path(__file__).parent.parent / "mappings")


@functools.cache
def load_catalogue(release: Release) -> Catalogue:
    """The catalogue of one FHIR release. Raises ConfigError."""
    slug = release.lower()
    tables = [
        load_table(f"{kind}-{slug}.json") for kind in ("search-parameters", "patient-compartment", "access")
    ]
    try:
        return Catalogue.parse(*tables)
    except (ValueError, KeyError, TypeError, AttributeError) as wrong:
        raise ConfigError(f"the mappings for FHIR {release} cannot be used: {wrong}") from wrong


@functools.cache
def load_outlines(release: Release) -> dict[str, Outline]:
    """The summary and mandatory elements of each type of one FHIR release. Raises ConfigError."""
    try:
        return parse_outlines(load_table(f"outlines-{release.lower()}.json"), release)
    except (ValueError, KeyError, TypeError, AttributeError) as wrong:
        raise ConfigError(f"the outlines for FHIR {release} cannot be used: {wrong}") from wrong


@functools.cache
def digest() -> str:
    """SHA-256, hex, over names and bytes of every JSON file of the mappings: the policy version."""
    total = hashlib.sha256()
    for path in sorted(folder().glob("**/*.json")):
        name, data = path.relative_to(folder()).as_posix().encode(), path.read_bytes()
        # Lengths keep two different folders from reading as the same bytes.
        total.update(b"%d:%s%d:" % (len(name), name, len(data)) + data)
    return total.hexdigest()


def folder() -> Path:
    """Where the mappings are. Raises ConfigError."""
    for place in _PLACES:
        if place.is_dir():
            return place
    raise ConfigError("the mappings folder is missing; install the package again")


def load_table(name: str) -> Any:
    """The JSON of `mappings/<name>`. Raises ConfigError."""
    try:
        return json.loads((folder() / name).read_text("utf-8"))
    except (OSError, ValueError) as wrong:
        raise ConfigError(f"mappings/{name} cannot be read; install the package again") from wrong
