"""What the text of a Reference points at, and what other elements that look like a Reference are.

Only a spelling that every reader takes alike is understood (FHIR references.html, literal references);
what is not understood may name anybody. Whether the target may be seen is not decided here.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.compartment import parse_reference

PEOPLE: Final = frozenset({"Patient", "RelatedPerson", "Person"})

UNTYPED: Final = ""
"""The type of what an address points at that is well formed and does not say."""


def named_type(text: str, catalogue: Catalogue, bases: tuple[str, str]) -> str | None:
    """The type that a literal reference names, here or on another server.

    None when the text is not understood: an id that is none, a type in the wrong case or of another
    release, a query, fragment or version that a reference does not have, a person's address elsewhere.
    """
    relative = RELATIVE.fullmatch(text)
    if relative is None:
        target = parse_reference(text, bases)
        if target is None:
            return _named_elsewhere(text, catalogue)
        named = target.type
    else:
        named = relative[1]
    return named if named in catalogue.types else None


RELATIVE: Final = re.compile(r"([A-Z][A-Za-z]{1,63})/((?!\.+\Z)[A-Za-z0-9\-.]{1,64})")
"""`Type/id`."""
_CONDITIONAL = re.compile(r"([A-Z][A-Za-z]{1,63})\?[^\s#]+")
_URN = re.compile(r"urn:(?:uuid:[0-9A-Za-z\-]+|oid:[0-9.]+)")
# Nothing escaped, no parameters, no user: what could spell a person's address in another way is left out.
_ABSOLUTE = re.compile(r"(?i:https?)://[A-Za-z0-9.\-]+(?::\d{1,5})?(?:/[A-Za-z0-9\-._~]*)*")


def _named_elsewhere(text: str, catalogue: Catalogue) -> str | None:
    conditional = _CONDITIONAL.fullmatch(text)
    if conditional is not None:
        return conditional[1] if conditional[1] in catalogue.types else None
    if _ABSOLUTE.fullmatch(text) is None:
        return UNTYPED if _URN.fullmatch(text) else None
    steps = text.split("/")[3:]
    if any(step.lower() in _PEOPLE for step in steps):
        return None
    if len(steps) >= 4 and steps[-2] == "_history":
        steps = steps[:-2]
    named = steps[-2] if len(steps) >= 2 else UNTYPED
    return named if named in catalogue.types else UNTYPED


_PEOPLE = frozenset(kind.lower() for kind in PEOPLE)


def is_literature(kind: str, element: str, value: Tree, catalogue: Catalogue) -> bool:
    """Whether `value`, the `reference` of an element that is no Reference, is the address of something to
    read, on no FHIR server that can be told."""
    if type(value) is not str or element not in LITERATURE.get(kind, ()):
        return False
    return _ABSOLUTE.fullmatch(value) is not None and _named_elsewhere(value, catalogue) == UNTYPED


LITERATURE: Final = {
    "DetectedIssue": frozenset({""}),
    "Immunization": frozenset({"education"}),
    "MedicationKnowledge": frozenset({"storageGuideline"}),
}
"""Where a member `reference` is a uri, by type and element; the resource itself is the element ''."""


# --- Objects with a member of a Reference that are something else ------------------------------------

_CODING: Final = frozenset(
    {
        *("id", "extension", "system", "_system", "version", "_version", "code", "_code"),
        *("display", "_display", "userSelected", "_userSelected"),
    }
)
LOGICAL_REFERENCE: Final = frozenset(
    {"id", "extension", "_reference", "type", "_type", "identifier", "display", "_display"}
)
"""Members of a Reference without a `reference`; a leading `_` is where JSON keeps an element's extensions."""
_REFERENCE: Final = LOGICAL_REFERENCE | {"reference"}

OTHERS: Final = {
    "Claim": {"insurance": "identifier", "related": "reference"},
    "ClaimResponse": {"payment": "identifier"},
    "CodeSystem": {"concept": "display"},
    "DocumentManifest": {"related": "identifier"},
    "ExplanationOfBenefit": {"payment": "identifier", "related": "reference"},
    "GenomicStudy": {"analysis": "identifier"},
    "Organization": {"qualification": "identifier"},
    "Practitioner": {"qualification": "identifier"},
    "Specimen": {"container": "identifier"},
    "ValueSet": {"concept": "display", "contains": "display", "expansion": "identifier"},
}
"""Elements of released types that have one member of a Reference and are none: by type and last name."""


def is_coding(node: dict[str, Tree]) -> bool:
    """Whether it is a Coding that says more than a display, which a Reference could say too."""
    return ("code" in node or "system" in node) and node.keys() <= _CODING


def is_other_element(kind: str, element: str, node: dict[str, Tree], signs: frozenset[str]) -> bool:
    """Whether the element is one of `OTHERS` in a resource of type `kind`, and shows nothing more of the
    `signs` of a Reference than its own."""
    own = OTHERS.get(kind, {}).get(element.rpartition(".")[2])
    if element.endswith(("relatedArtifact", "valueRelatedArtifact")):
        own = "display"
    return own is not None and signs & node.keys() <= {own, f"_{own}"}


def holds_references(node: dict[str, Tree], signs: frozenset[str]) -> bool:
    """Whether `reference` is the name of an element whose values are References: CodeableReference,
    CarePlan.activity. Those are looked at for themselves."""
    value = node["reference"]
    inner = value if type(value) is list else [value]
    return signs & node.keys() == {"reference"} and all(
        type(one) is dict and one.keys() <= _REFERENCE for one in inner
    )
