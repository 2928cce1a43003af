"""The search parameter table: every concrete type, its parameters, HL7's FHIRPath put into paths.

FHIRPath is translated to the path language of mappings/README.md. A parameter with any alternative
that the language cannot say gets no `paths` at all: half an expression would answer half the truth.
"""

from __future__ import annotations

import re
from typing import Any

from mappings.build.definitions import Definitions

COMMON = ("_id", "_lastUpdated", "_profile", "_security", "_source", "_tag")
ALL_TYPES = 100
# R5's clinical-date has one alternative that does not say whose it is.
ANONYMOUS = {"(start | requestedPeriod.start).first()": "Appointment.(start | requestedPeriod.start).first()"}


def search_table(definitions: Definitions) -> dict[str, dict[str, Any]]:
    """{"common": {name: row}, type: {name: row}} with every concrete type present."""
    code_by_url = {p["url"]: p["code"] for p in definitions.parameters}
    result: dict[str, dict[str, Any]] = {t: {} for t in ["common", *sorted(definitions.types)]}
    for parameter in sorted(definitions.parameters, key=lambda p: (p["code"], p["id"])):
        for base in parameter["base"]:
            if base in definitions.types:
                result[base][parameter["code"]] = _row(parameter, base, definitions, code_by_url)
            elif base == "Resource" and parameter["code"] in COMMON:
                result["common"][parameter["code"]] = _row(parameter, base, definitions, code_by_url)
    return result


def _row(
    parameter: dict[str, Any], base: str, definitions: Definitions, code_by_url: dict[str, str]
) -> dict[str, Any]:
    row: dict[str, Any] = {"type": parameter["type"]}
    paths = translate(parameter.get("expression", ""), base, definitions)
    if parameter["type"] not in ("composite", "special") and paths:
        row["paths"] = paths
    if parameter["type"] == "reference":
        row["targets"] = _targets(parameter, base, paths, definitions)
    components = [code_by_url.get(c["definition"]) for c in parameter.get("component", [])]
    if components and None not in components:
        row["components"] = components
    return row


def _targets(parameter: dict[str, Any], base: str, paths: list[str], definitions: Definitions) -> list[str]:
    """The types a reference parameter of `base` can point at; an empty list is: any.

    HL7 declares targets once for all bases of a parameter (R4's `patient` says Group for everybody),
    so they are cut down to what the element and a `resolve() is` in the expression allow.
    """
    filtered = {m[1] for p in paths if (m := re.search(r"\[->(\w+)\]$", p))}
    if filtered and all(p.endswith("]") for p in paths):
        return sorted(filtered)
    allowed = set(parameter.get("target", [])) or {"Resource"}
    elements = [
        definitions.targets.get(m[1], {"Resource"})
        for a in _alternatives(parameter.get("expression", ""))
        if (m := re.match(rf"\(?({base}(\.[a-z]\w*)+?)(?=$| as |\)|\.(?:as|ofType|where)\()", a))
    ]
    element = set().union(*elements) if elements else {"Resource"}
    if "Resource" not in element:
        allowed = element if "Resource" in allowed else (allowed & element or element)
    known = allowed & definitions.types.keys()
    # HL7 spells "Resource" out as a list of all types, in R5 with a few forgotten.
    return [] if "Resource" in allowed or len(known) > ALL_TYPES else sorted(known)


def translate(expression: str, base: str, definitions: Definitions) -> list[str]:
    """The alternatives of a FHIRPath expression that speak of `base`, or nothing if one cannot be said."""
    paths: list[str] = []
    for alternative in _alternatives(expression):
        bases = set(re.findall(r"\b([A-Z][A-Za-z]*)\.", alternative))
        if bases and base not in bases:
            continue
        concrete = _concretise(alternative, definitions)
        if concrete is None:
            return []
        paths += [p for p in concrete if p not in paths]
    return paths


def _alternatives(expression: str) -> list[str]:
    """`expression` split at the `|` that stand outside parentheses."""
    parts, depth = [""], 0
    for character in expression:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [ANONYMOUS.get(p.strip(), p.strip()) for p in parts if p.strip()]


_CAST = re.compile(
    r"^\((?P<a>[A-Za-z.]+) as (?P<t>[A-Za-z]+)\)(?P<rest>.*)$"
    r"|^\(?(?P<a2>[A-Za-z.]+)\.(?:as|ofType)\((?P<t2>[A-Za-z]+)\)\)?(?P<rest2>.*)$"
)


def _concretise(expression: str, definitions: Definitions) -> list[str] | None:
    cast = _CAST.match(expression)
    if cast:
        element, kind = cast["a"] or cast["a2"], cast["t"] or cast["t2"]
        rest = (cast["rest"] if cast["a"] else cast["rest2"]) or ""
        if not re.fullmatch(r"(\.[a-z][A-Za-z]*)?", rest):
            return None
        if element not in definitions.choices:  # R5 casts some elements that have one type only
            return _expand(element + rest, definitions)
        return [_strip(element) + kind[0].upper() + kind[1:] + rest]
    plain = re.sub(r"\.where\(resolve\(\) is ([A-Z][A-Za-z]*)\)$", r"[->\1]", expression)
    plain = re.sub(r"\.where\(([a-z]+)='([a-z\-]+)'\)", r"[\1=\2]", plain)
    if not re.fullmatch(
        r"[A-Z][A-Za-z]*(\.[a-z][A-Za-z]*(\[[a-z]+=[a-z\-]+\])?)+(\[->[A-Z][A-Za-z]*\])?", plain
    ):
        return None
    return _expand(plain, definitions)


def _expand(path: str, definitions: Definitions) -> list[str]:
    """Choice elements anywhere in `path` spelled with each of their types."""
    typed, heads = path.split(".")[0], [""]
    for step in path.split(".")[1:]:
        name, bracket, rest = step.partition("[")
        element = f"{typed}.{name}"
        kinds = definitions.choices.get(element)
        spellings = [name] if kinds is None else [name + k[0].upper() + k[1:] for k in kinds]
        heads = [f"{h}.{s}{bracket}{rest}" for h in heads for s in spellings]
        types = kinds or definitions.element_types.get(element, [])
        # Backbone elements are described under their own path, data types under their name.
        typed = types[0] if len(types) == 1 and types[0] not in ("BackboneElement", "Element") else element
    return [h[1:] for h in heads]


def _strip(element: str) -> str:
    return element.split(".", 1)[1]
