"""Whether a coding stands in a record: where it says what the record is about, or anywhere in it.

Three-valued: a code without its system, a masked code, words in place of a code, a code that stands in
another record leave it open, because a rule that forbids has to count them. Where only the case differs it
cannot be told either: code systems differ about that.
Source: FHIR datatypes.html, Coding; Consent, `provision.code`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.content_table import Paths
from gateway.core.fhir.elements import codes, values_at
from gateway.core.fhir.matchers import all_of, any_of
from gateway.core.fhir.systems import same_system
from gateway.core.values import Label

DOCUMENTS: Final = frozenset({"Composition", "DocumentManifest", "DocumentReference"})


def is_about(resource: Tree, catalogue: Catalogue, wanted: Label) -> bool | None:
    """Whether the coding is one of those that say what `resource` is about. A record without any has not
    said it; a type without an element for it is about no code."""
    row = catalogue.content(kind_of(resource))
    if not row.code and not row.code_of:
        return False
    told = [_same(wanted, *coding) for value in _at(resource, row.code) for coding in codes(value)]
    told += [_is_elsewhere(resource, value, catalogue, wanted) for value in _at(resource, row.code_of)]
    return any_of(told) if told else None


def holds_coding(resource: Tree, catalogue: Catalogue, wanted: Label) -> bool | None:
    """Whether the coding is anywhere in `resource`, contained records included."""
    said = (_same(wanted, *coding) for coding in _codings(resource))
    return any_of((is_about(resource, catalogue, wanted), *said))


def is_document(resource: Tree, catalogue: Catalogue, type_: Label) -> bool | None:
    """Whether `resource` is a document of the type; no for what is no document."""
    return is_about(resource, catalogue, type_) if kind_of(resource) in DOCUMENTS else False


def kind_of(resource: Tree) -> str:
    """The type of a resource; empty if it does not say."""
    kind = resource.get("resourceType") if type(resource) is dict else None
    return kind if type(kind) is str else ""


def _at(resource: Tree, paths: Paths) -> Iterator[object]:
    return (value for path in paths for value in values_at(resource, path))


def _is_elsewhere(resource: Tree, reference: object, catalogue: Catalogue, wanted: Label) -> bool | None:
    """The answer of the record that `reference` names, if it is contained; of another nothing is known."""
    text = reference.get("reference") if isinstance(reference, dict) else None
    contained = resource.get("contained")
    if type(text) is str and text.startswith("#") and type(contained) is list:
        for inner in contained:
            if type(inner) is dict and inner.get("id") == text[1:]:
                return is_about(inner, catalogue, wanted)
    return None


def _codings(node: Tree) -> Iterator[tuple[str | None, str | None]]:
    """(system, code) of every object below that has a code, None for what is not said or cannot be read."""
    if type(node) is dict:
        code = node.get("code")
        if type(code) is str or ("_code" in node and code is None):
            yield next(codes({"system": node.get("system", ""), "code": code}))
        for value in node.values():
            yield from _codings(value)
    elif type(node) is list:
        for value in node:
            yield from _codings(value)


def _same(wanted: Label, system: str | None, code: str | None) -> bool | None:
    return all_of(_same_system(wanted.system, system), _same_code(wanted.code, code))


def _same_system(wanted: str, found: str | None) -> bool | None:
    if wanted == found:
        return True
    return same_system(wanted, found) if wanted and found else None


def _same_code(wanted: str, found: str | None) -> bool | None:
    if found is None or wanted == found:
        return None if found is None else True
    return None if wanted.casefold() == found.casefold() else False
