"""Whether a record refers to another, and whether somebody is its author, as far as its references tell.

A reference names a record if it is provably one to this server, see `compartment`. One by identifier, one
in words at an element for such records, or one to the same id by another address may mean it all the same:
that cannot be told. Contained records speak for their container. Who works for an organisation is not in
the record, so whether it authored what a person signed cannot be told here either.
Source: FHIR references.html; Consent, `provision.data`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.coded import kind_of
from gateway.core.fhir.compartment import reference_of
from gateway.core.fhir.elements import values_at
from gateway.core.fhir.matchers import any_of
from gateway.core.fhir.paths import referred_type
from gateway.core.fhir.references import is_coding, is_other_element
from gateway.core.fhir.scan import SIGNS, element_of, scan
from gateway.core.values import Ref

Belongs = Callable[[Ref, Ref], bool]
"""Whether the first is known to be a part or a member of the second."""

# Who may write for whom, without our knowing: staff for an organisation or team, the person in a role.
_STAFF: Final = frozenset({"Practitioner", "PractitionerRole", "CareTeam", "Device"})
_WRITES_FOR: Final = {
    **dict.fromkeys(("Organization", "CareTeam", "Group"), _STAFF),
    "Practitioner": frozenset({"PractitionerRole"}),
    "PractitionerRole": frozenset({"Practitioner"}),
}


def refers(resource: Tree, catalogue: Catalogue, bases: tuple[str, str], target: Ref) -> bool | None:
    """Whether `resource`, or what it contains, has a reference to `target`."""
    return any_of(
        _names(node, element, kind, catalogue, bases, target)
        for kind, element, node in _references(resource, catalogue)
    )


def authored(
    resource: Tree,
    catalogue: Catalogue,
    bases: tuple[str, str],
    author: Ref,
    belongs: Belongs,
    agents: Sequence[object] | None = (),
) -> bool | None:
    """Whether `author`, or who `belongs` to it, made the record or did what it records, as it says itself or
    as all Provenances about it say, which name `agents` (None: they were not read). None if neither tells who
    did, and no for a type that nobody authors."""
    row = catalogue.content(kind_of(resource))
    if row.exempt:
        return False
    found = [value for path in row.author for value in values_at(resource, path)]
    found += [None] if agents is None else agents
    return any_of(_is_author(value, bases, author, belongs) for value in found) if found else None


def means(reference: object, bases: tuple[str, str], target: Ref) -> bool | None:
    """Whether a Reference means `target`; None for one that may, by identifier or in words."""
    if not isinstance(reference, dict):
        return None
    if isinstance(reference.get("reference"), str):
        return _literal(reference, bases, target)
    return None if reference.get("type", target.type) == target.type else False


# --- Any reference ---------------------------------------------------------------------------------


def _references(resource: Tree, catalogue: Catalogue) -> Iterator[tuple[str, str, dict[str, Tree]]]:
    """Type, element and node of everything that looks like a Reference."""
    contained = resource.get("contained")
    inside = contained if type(contained) is list else []
    for one in (resource, *(inner for inner in inside if type(inner) is dict)):
        kind = kind_of(one)
        for link, node in scan(one, None, texts=False).objects:
            element = element_of(link, None)
            if link is not None and not is_coding(node) and not is_other_element(kind, element, node, SIGNS):
                yield kind, element, node


def _names(
    node: dict[str, Tree], element: str, kind: str, catalogue: Catalogue, bases: tuple[str, str], target: Ref
) -> bool | None:
    text = node.get("reference", "")
    if type(text) is not str:
        return False  # the name of an element, whose own references are looked at for themselves
    told = _literal(node, bases, target) if text else None
    if told is not None or (not text and node.get("type", target.type) != target.type):
        return told or False
    possible = catalogue.targets(kind, element)
    if possible is None:
        # An element of which nothing is known, and which may be no Reference: words alone do not count.
        return None if text or "identifier" in node else False
    return None if not possible or target.type in possible else False


def _literal(node: dict[str, Tree], bases: tuple[str, str], target: Ref) -> bool | None:
    """The answer of a reference's text; None if it may mean `target`: the same id may be the same record by
    another address, and what is no address says nothing."""
    found = reference_of(node, bases)
    if found is not None:
        return found == target
    text = node["reference"]
    if text.startswith("#"):
        return False
    is_address = "/" in text and "?" not in text  # what is searched for may be any record
    return False if is_address and target.id not in text.split("/") else None


# --- Authors ---------------------------------------------------------------------------------------


def _is_author(value: object, bases: tuple[str, str], author: Ref, belongs: Belongs) -> bool | None:
    kind = referred_type(value)
    if not isinstance(value, dict) or kind is None:
        return None  # by identifier, in words, or contained
    told = _literal(value, bases, author)
    if told is not False:
        return told
    found = reference_of(value, bases)
    if found is not None and belongs(found, author):
        return True
    return None if kind in _WRITES_FOR.get(author.type, ()) else False
