"""One permitted resource, made fit to leave: strangers cut out, mentions of hidden records silenced.

`redact` never adds content: every edit drops a member, blanks a Reference, or turns an address of the
upstream into ours. A resource that needs none of this leaves as the bytes the upstream sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any, Final

from gateway.core.fhir.codec import DROP, Edit, apply_edit, elements, keep_members, member, quote
from gateway.core.fhir.facts import Facts
from gateway.core.fhir.outline import Outline
from gateway.core.fhir.scan import Place
from gateway.core.values import Ref, Shape

MASKED: Final = (
    b'{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason",'
    b'"valueCode":"masked"}]}'
)
"""What stands for a Reference of which nothing may stay; the element may be a required one."""

SUBSETTED: Final = (
    b'{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}'
)


def hidden_targets(facts: Facts) -> Iterator[Ref]:
    """The records whose visibility decides how much of a mention may stay."""
    return (mention.target for mention in facts.mentions if isinstance(mention.target, Ref))


def redact(raw: bytes, facts: Facts, visible: Set[Ref], banned: Set[int] = frozenset()) -> bytes:
    """`raw` without what tells of records outside `visible`, and without the contained records at the
    indexes `banned`; `raw` itself when there is nothing to do."""
    if not (facts.mentions or facts.addresses or facts.strangers or banned):
        return raw
    edits: dict[str | int, Any] = {}
    for place, address in facts.addresses:
        _put(edits, place, DROP if address is None else quote(address))
    shown = visible | {inner for inner in facts.inner if inner.index not in banned}
    silenced = [mention for mention in facts.mentions if mention.target not in shown]
    for mention in silenced:
        if mention.whole:
            _put(edits, mention.place, MASKED)
        for word in mention.words:
            _put(edits, (*mention.place, word), DROP)
    for index in (*facts.strangers, *banned):
        _put(edits, ("contained", index), DROP)
    if silenced or facts.strangers or banned:
        # Narrative is generated from the whole record; it repeats what was just taken out.
        for place in facts.narratives:
            _put(edits, place, DROP)
    if not edits:
        return raw
    left = apply_edit(raw, edits)
    assert left is not None, "resourceType and id are never edited"
    return left


def _put(edits: dict[str | int, Any], place: Place, edit: Edit) -> None:
    """Adds `edit` at `place`. An edit of a whole value wins over edits inside it."""
    node = edits
    for step in place[:-1]:
        node = node.setdefault(step, {})
        if not isinstance(node, dict):
            return
    if node.get(place[-1]) is not DROP:
        node[place[-1]] = edit


# --- Shape -----------------------------------------------------------------------------------------

ALWAYS: Final = ("resourceType", "id", "meta")


def reshape(raw: bytes, shape: Shape, outline: Outline) -> bytes:
    """What `_elements` and `_summary` leave of a resource that may be released (search.html, summary).

    A cut resource is tagged SUBSETTED. `_elements` keeps the mandatory elements too.
    """
    if shape.elements:
        kept = keep_members(raw, [*ALWAYS, *shape.elements, *outline.mandatory])
    elif shape.summary == "true":
        kept = keep_members(raw, [*ALWAYS, *outline.summary])
    elif shape.summary == "text":
        kept = keep_members(raw, [*ALWAYS, "text", *outline.mandatory])
    elif shape.summary == "data":
        kept = apply_edit(raw, {"text": DROP}) or raw
    else:
        return raw
    return _tag_subsetted(kept)


def _tag_subsetted(raw: bytes) -> bytes:
    meta = member(raw, "meta")
    if meta is None:
        edit: Edit = {"meta": b'{"tag":[' + SUBSETTED + b"]}"}
    else:
        tags = [*elements(member(meta, "tag") or b"[]"), SUBSETTED]
        edit = {"meta": {"tag": b"[" + b",".join(tags) + b"]"}}
    return apply_edit(raw, edit) or raw
