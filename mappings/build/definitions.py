"""Reads the packages in which HL7 publishes a FHIR release's definitions.

R4 and R4B are XML bundles, R5 is a tarball of JSON inside the artifact; both come out as the same
`Definitions`. Only what the tables need is kept. Nothing is corrected here.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

_FHIR = "{http://hl7.org/fhir}"


@dataclass(frozen=True, slots=True)
class Element:
    """A top-level element. A `choice` is spelled in JSON with one of its `types`: `valueQuantity`."""

    name: str
    types: tuple[str, ...]
    choice: bool
    summary: bool
    mandatory: bool


@dataclass
class Definitions:
    """What one release's package says, as plain dicts."""

    parameters: list[dict[str, Any]] = field(default_factory=list)
    compartment: dict[str, list[str]] = field(default_factory=dict)
    # "Observation" -> its top-level elements, in order; the keys are all concrete resource types.
    types: dict[str, list[Element]] = field(default_factory=dict)
    # "Observation.value" -> {"Quantity", ...}: the elements that JSON spells with their type.
    choices: dict[str, list[str]] = field(default_factory=dict)
    # "Observation.code" -> ["CodeableConcept"], to follow choices into data types.
    element_types: dict[str, list[str]] = field(default_factory=dict)
    # "Observation.subject" -> {"Patient", ...}: what its references may point at; "Resource" is any.
    targets: dict[str, set[str]] = field(default_factory=dict)
    # "Observation.component.referenceRange" -> "Observation.referenceRange": the elements made like another.
    alike: dict[str, str] = field(default_factory=dict)
    # "Observation.component.code", ...: the elements, choices without their type, that must be there.
    mandatory: set[str] = field(default_factory=set)


def read_package(release: str, package: Path) -> Definitions:
    found = Definitions()
    for resource in _resources(release, package):
        match resource.get("resourceType"):
            case "SearchParameter":
                # R5 ships four parameters that only illustrate the resource type.
                if not str(resource["id"]).startswith("example"):
                    found.parameters.append(resource)
            case "CompartmentDefinition" if resource.get("code") == "Patient" and resource["id"] == "patient":
                found.compartment = {
                    r["code"]: list(r["param"]) for r in resource["resource"] if r.get("param")
                }
            case "StructureDefinition" if resource.get("derivation") == "specialization":
                _read_structure(resource, found)
            case _:
                pass
    if not found.compartment or not found.parameters:
        raise SystemExit(f"{package}: no compartment or no search parameters inside")
    return found


def _read_structure(structure: dict[str, Any], found: Definitions) -> None:
    elements = structure["snapshot"]["element"]
    if structure["kind"] == "resource" and not structure.get("abstract"):
        found.types[structure["type"]] = [_element(e) for e in elements if e["path"].count(".") == 1]
    for element in elements:
        path, types = element["path"], [t["code"] for t in element.get("type", [])]
        profiles = [p for t in element.get("type", []) for p in t.get("targetProfile", [])]
        if profiles:
            found.targets[path.removesuffix("[x]")] = {p.rsplit("/", 1)[1] for p in profiles}
        if int(element["min"]) >= 1:
            found.mandatory.add(path.removesuffix("[x]"))
        if path.endswith("[x]"):
            found.choices[path[:-3]] = types
        elif "contentReference" in element:
            found.alike[path] = element["contentReference"].partition("#")[2]
        else:
            found.element_types[path] = types


def _element(element: dict[str, Any]) -> Element:
    name = element["path"].split(".")[1]
    return Element(
        name.removesuffix("[x]"),
        tuple(t["code"] for t in element.get("type", [])),
        choice=name.endswith("[x]"),
        # XML gives texts where JSON gives a boolean and a number.
        summary=element.get("isSummary") in (True, "true"),
        mandatory=int(element["min"]) >= 1,
    )


def _resources(release: str, package: Path) -> Iterator[dict[str, Any]]:
    """Every definition in the package that can matter, as a dict in FHIR JSON form."""
    with zipfile.ZipFile(package) as jar:
        if release == "R5":
            inner = next(n for n in jar.namelist() if "/hl7.fhir.r5.core-" in n)
            yield from _tarball(jar.read(inner))
            return
        root = f"org/hl7/fhir/{release.lower()}/model"
        for name in ("profile/profiles-types.xml", "profile/profiles-resources.xml"):
            yield from _xml_bundle(jar.read(f"{root}/{name}"))
        if release == "R4":
            bundle = json.loads(jar.read(f"{root}/sp/search-parameters.json"))
            yield from (entry["resource"] for entry in bundle["entry"])
        else:
            yield from _xml_bundle(jar.read(f"{root}/sp/search-parameters.xml"))


def _tarball(data: bytes) -> Iterator[dict[str, Any]]:
    wanted = re.compile(
        r"package/(SearchParameter-.*|CompartmentDefinition-patient|StructureDefinition-[A-Za-z]+)\.json"
    )
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        for member in tar:
            stream = tar.extractfile(member) if wanted.fullmatch(member.name) else None
            if stream is not None:
                yield json.load(stream)


# Elements of the definitions that repeat; XML does not say so by itself.
_REPEATING = {"base", "target", "component", "resource", "param", "element", "type", "targetProfile"}


def _xml_bundle(data: bytes) -> Iterator[dict[str, Any]]:
    for _, node in ElementTree.iterparse(io.BytesIO(data)):
        kind = node.tag.removeprefix(_FHIR)
        if kind == "SearchParameter":
            yield _slim(node, "id url code type expression base target component")
            node.clear()
        elif kind == "CompartmentDefinition":
            yield _slim(node, "id code resource")
            node.clear()
        elif kind == "StructureDefinition":
            yield _slim(node, "id kind abstract type derivation snapshot")
            node.clear()


def _slim(node: ElementTree.Element, keep: str) -> dict[str, Any]:
    resource = {"resourceType": node.tag.removeprefix(_FHIR)}
    for child in node:
        name = child.tag.removeprefix(_FHIR)
        if name in keep.split():
            _put(resource, name, _plain(child, top=True), repeat=name in _REPEATING and name != "type")
    if resource.get("abstract") == "false":
        del resource["abstract"]
    return resource


def _plain(node: ElementTree.Element, top: bool = False) -> Any:
    if "value" in node.attrib:
        return node.attrib["value"]
    result: dict[str, Any] = {}
    for child in node:
        name = child.tag.removeprefix(_FHIR)
        _put(result, name, _plain(child), repeat=name in _REPEATING)
    return result


def _put(target: dict[str, Any], name: str, value: Any, *, repeat: bool) -> None:
    if repeat:
        target.setdefault(name, []).append(value)
    else:
        target.setdefault(name, value)
