"""One permitted resource, made fit to leave: strangers cut out, mentions of hidden records silenced.

`redactions` never add content: every edit drops a member, blanks a Reference, or turns an address of the
upstream into ours. A resource that needs none of this leaves as the bytes the upstream sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Final

from gateway.core.fhir.codec import DROP, Edit, apply_edit, elements, keep_members, member, quote
from gateway.core.fhir.edits import Edits, put
from gateway.core.fhir.facts import Facts
from gateway.core.fhir.mask import MASKED
from gateway.core.fhir.outline import Outline
from gateway.core.values import Ref, Shape

SUBSETTED: Final = (
    b'{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}'
)


def hidden_targets(facts: Facts) -> Iterator[Ref]:
    """The records whose visibility decides how much of a mention may stay."""
    return (mention.target for mention in facts.mentions if isinstance(mention.target, Ref))


def redactions(facts: Facts, visible: Set[Ref], banned: Set[int] = frozenset()) -> Edits:
    """What leaves out of a resource what tells of records outside `visible`, and the contained records at the
    indexes `banned`."""
    edits: Edits = {}
    if not (facts.mentions or facts.addresses or facts.strangers or banned):
        return edits
    for place, address in facts.addresses:
        put(edits, place, DROP if address is None else quote(address))
    shown = visible | {inner for inner in facts.inner if inner.index not in banned}
    silenced = [mention for mention in facts.mentions if mention.target not in shown]
    for mention in silenced:
        if mention.whole:
            put(edits, mention.place, MASKED)
        for word in mention.words:
            put(edits, (*mention.place, word), DROP)
    for index in (*facts.strangers, *banned):
        put(edits, ("contained", index), DROP)
    if silenced or facts.strangers or banned:
        # Narrative is generated from the whole record; it repeats what was just taken out.
        for place in facts.narratives:
            put(edits, place, DROP)
    return edits


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
    return tag_subsetted(kept)


def tag_subsetted(raw: bytes) -> bytes:
    """The resource with the tag SUBSETTED, once."""
    meta = member(raw, "meta")
    if meta is None:
        edit: Edit = {"meta": b'{"tag":[' + SUBSETTED + b"]}"}
    else:
        tags = elements(member(meta, "tag") or b"[]")
        if SUBSETTED in tags:
            return raw
        edit = {"meta": {"tag": b"[" + b",".join([*tags, SUBSETTED]) + b"]"}}
    return apply_edit(raw, edit) or raw
