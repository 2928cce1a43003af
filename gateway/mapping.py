"""The one reader of `mappings/`: finds the folder, parses its tables once, and digests it.

In a checkout the folder lies beside the package, in a wheel inside it as `_mappings`. A table that
is missing or does not parse is a ConfigError: the gateway does not start without its knowledge.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.core.drugs import Interactions, parse_interactions
from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.catalogue import VERSIONS, Catalogue, Release
from gateway.core.fhir.compartment import parse_reference
from gateway.core.fhir.outline import Outline, parse_outlines
from gateway.core.labels.codes import CodeTable, Row, parse_rows, parse_systems
from gateway.core.labels.findings import Policy
from gateway.core.labels.found import Finder
from gateway.core.labels.labeller import Labeller
from gateway.core.labels.places import Places, parse_places, parse_texts
from gateway.core.labels.systems import CodeSystems
from gateway.core.roles.parse import Faulty, parse_profile
from gateway.core.roles.profile import Profile
from gateway.errors import ConfigError
from gateway.yaml_lines import NotYaml, read_yaml

_PLACES = (Path(__file__).parent / "_mappings", Path(__file__).parent.parent / "mappings")


@functools.cache
def load_catalogue(release: Release) -> Catalogue:
    """The catalogue of one FHIR release. Raises ConfigError."""
    slug = release.lower()
    kinds = ("search-parameters", "patient-compartment", "access", "content")
    tables = [load_table(f"{kind}-{slug}.json") for kind in kinds]
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


def load_labeller(policy: Policy, bases: Bases, catalogue: Catalogue) -> Labeller:
    """The labeller of one upstream, by the sensitivity tables. Raises ConfigError."""
    rows, systems, places = load_label_tables()
    codes, here = CodeTable(rows, systems, policy.confidence), places[catalogue.release]
    finder = Finder(codes, here, policy, lambda text: parse_reference(text, bases.both), catalogue.content)
    return Labeller(finder, digest())


@functools.cache
def load_label_tables() -> tuple[tuple[Row, ...], CodeSystems, Mapping[Release, Places]]:
    """What sensitive records are known by, and where, by release. Raises ConfigError, with a line of text for
    each fault: file, line or row, what."""
    files = sorted((folder() / "sensitivity").glob("*.json"))
    below = "mappings"
    try:
        systems = parse_systems(load_table("code-systems.json"))
        places = {release: _places_of(release) for release in VERSIONS}
        below = "mappings/sensitivity"
        tables = {file.name: load_table(f"sensitivity/{file.name}") for file in files}
        return parse_rows(tables, systems, places["R4"].knows), systems, places
    except ValueError as wrong:
        raise ConfigError("\n".join(f"{below}/{fault}" for fault in str(wrong).splitlines())) from wrong


def _places_of(release: Release) -> Places:
    name = f"texts-{release.lower()}.json"
    texts = parse_texts(load_table(name), name, VERSIONS[release])
    return parse_places(load_table("label-places.json"), texts)


@functools.cache
def load_profiles() -> dict[str, Profile]:
    """The profile of each role. Raises ConfigError, with a line of text for each fault: file, line, what."""
    catalogues = [load_catalogue(release) for release in VERSIONS]
    profiles: dict[str, Profile] = {}
    faults: list[str] = []
    for path in sorted((folder() / "roles").glob("*.yaml")):
        try:
            profiles[path.stem] = parse_profile(path.stem, read_yaml(path.read_text("utf-8")), catalogues)
        except Faulty as wrong:
            faults += [f"mappings/roles/{path.name}:{line}: {text}" for line, text in wrong.faults]
        except NotYaml as wrong:
            faults.append(f"mappings/roles/{path.name}:{wrong.line}: {wrong}")
        except (OSError, UnicodeDecodeError) as wrong:
            raise ConfigError(f"mappings/roles/{path.name} cannot be read") from wrong
    if faults:
        raise ConfigError("\n".join(faults))
    return profiles


@functools.cache
def load_interactions() -> Interactions:
    """Which drugs should not be taken together. Raises ConfigError."""
    try:
        return parse_interactions(load_table("interactions.json"))
    except (ValueError, KeyError, TypeError, AttributeError) as wrong:
        raise ConfigError(f"mappings/interactions.json cannot be used: {wrong}") from wrong


@functools.cache
def digest() -> str:
    """SHA-256, hex, over names and bytes of every table and profile of the mappings."""
    total = hashlib.sha256()
    found = [*folder().glob("**/*.json"), *folder().glob("**/*.yaml")]
    # By the name's bytes: paths themselves sort differently from one platform to another.
    for name, path in sorted((path.relative_to(folder()).as_posix().encode(), path) for path in found):
        data = path.read_bytes()
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
    """The JSON of `mappings/<name>`. Raises ConfigError, with the line for what is no JSON."""
    try:
        return json.loads((folder() / name).read_text("utf-8"))
    except json.JSONDecodeError as wrong:
        raise ConfigError(f"mappings/{name}:{wrong.lineno}: is not JSON: {wrong.msg}") from wrong
    except (OSError, ValueError) as wrong:
        raise ConfigError(f"mappings/{name} cannot be read; install the package again") from wrong
