"""What a decision needs to know of one resource, found in one reading of it.

`Facts` depend on the bytes, the catalogue and the base addresses alone, never on who asks: so they may be
kept by digest and used again. They hold ids, labels and places, and of the content only texts that name the
upstream. What they do not mention is safe to release with the resource; what they could not understand they
mention.
"""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import Final, NamedTuple

from gateway.core.fhir import codec
from gateway.core.fhir.addresses import Bases, addresses, may_hold_addresses
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.codec import CodecError
from gateway.core.fhir.compartment import owners
from gateway.core.fhir.contained import NOTHING, Inner, contained_in
from gateway.core.fhir.mentions import Holder, Mention, mentions
from gateway.core.fhir.meta import UNLABELLED, labels_on, meta_of, text
from gateway.core.fhir.plain import Plain, read_plain
from gateway.core.fhir.scan import Link, Place, place_of, scan
from gateway.core.fhir.security import may_label_elements
from gateway.core.values import Label, Ref, is_id

MAX_MENTIONS: Final = 10_000  # each is remembered, looked up and cut out by itself


class Facts(NamedTuple):
    """`owners` are patient ids; `labels` those of the resource and of what it contains.

    `inner` are the contained records of the same patients, which a rule may deny all the same; `strangers`
    the indexes of contained resources that belong to nobody the container belongs to; `addresses` the
    strings that name the upstream, with what they become (None: left out); `narratives` where text stands
    that repeats the record, kept only where something may have to be taken out; `inline` is whether single
    elements may have labels. `line` is what the ledger keeps of a release: `type/id/version SP hex(SHA-256 of
    the upstream's bytes) LF`.
    """

    type: str
    id: str
    version: str | None
    updated: str | None
    owners: frozenset[str]
    labels: frozenset[Label]
    line: str
    mentions: tuple[Mention, ...] = ()
    inner: tuple[Inner, ...] = ()
    strangers: tuple[int, ...] = ()
    narratives: tuple[Place, ...] = ()
    addresses: tuple[tuple[Place, str | None], ...] = ()
    inline: bool = False

    @property
    def ref(self) -> Ref:
        return Ref(self.type, self.id)

    def is_of(self, ref: Ref) -> bool:
        """Whether this is the record that `ref` names."""
        return self.id == ref.id and self.type == ref.type


def facts_of(raw: bytes, catalogue: Catalogue, bases: Bases) -> Facts:
    """The facts of the resource in `raw`.

    Raises:
        CodecError: not strict JSON, not a resource with a type of the release, an id, and a `meta` that is
            understood, one whose contained resources contain others, or with over `MAX_MENTIONS`.
    """
    return _facts_of(raw, hashlib.sha256(raw).digest(), catalogue, bases)


def _facts_of(raw: bytes, digest: bytes, catalogue: Catalogue, bases: Bases) -> Facts:
    plain = read_plain(raw, catalogue, bases)
    if plain is None:
        facts = _of_tree(raw, digest, catalogue, bases)
    else:
        facts = _of_plain(plain, digest, catalogue, bases)
        if not plain.resource.extension:  # there are none elsewhere in what is plain
            return facts
    return facts._replace(inline=True) if may_label_elements(raw) else facts


def _of_plain(plain: Plain, digest: bytes, catalogue: Catalogue, bases: Bases) -> Facts:
    kind, resource, owned_by, spoken = plain
    version = updated = None
    labels = UNLABELLED
    if resource.meta is not None:
        version, updated = resource.meta.versionId, resource.meta.lastUpdated
        if resource.meta.security:
            labels = frozenset([Label(coding.system or "", coding.code) for coding in resource.meta.security])
    line = _line(kind, resource.id, version, digest)
    if not spoken:  # which is so of nearly all
        return Facts(kind, resource.id, version, updated, owned_by, labels, line)
    # What is plain is too small to mention more than `MAX_MENTIONS`.
    found = tuple(mentions(spoken, Holder(kind, None, _own(owned_by), NOTHING.locals, catalogue, bases)))
    narratives: tuple[Place, ...] = (("text",),) if found else ()
    return Facts(kind, resource.id, version, updated, owned_by, labels, line, found, narratives=narratives)


def _of_tree(raw: bytes, digest: bytes, catalogue: Catalogue, bases: Bases) -> Facts:
    """As `facts_of`, whatever the resource holds."""
    tree = codec.parse(raw)
    if type(tree) is not dict:
        raise CodecError("the document is not a resource")
    kind, ident, meta = tree.get("resourceType"), tree.get("id"), meta_of(tree)
    if type(kind) is not str or kind not in catalogue.types:
        raise CodecError("the resource is of no known type")
    if type(ident) is not str or not is_id(ident):
        raise CodecError("the resource has no usable id")
    owned_by = owners(tree, catalogue, bases.both)
    within = contained_in(tree, catalogue, bases, owned_by)
    texts = may_hold_addresses(raw, bases)
    found: list[Mention] = []
    moved: list[tuple[Place, str | None]] = []
    told: list[Link] = []
    own = _own(owned_by)
    # What is contained speaks as a resource of its own type does.
    for start, type_, resource in ((None, kind, tree), *within.kept):
        noted = scan(resource, start, texts=texts)
        holder = Holder(type_, start, own, within.locals, catalogue, bases)
        found += islice(mentions(noted.objects, holder), MAX_MENTIONS + 1)
        if len(found) > MAX_MENTIONS:
            raise CodecError("the resource mentions too many others")
        moved += addresses(noted.texts, bases)
        told += noted.narratives
    speaks = bool(found or within.strangers or within.inner)
    version = text(meta.get("versionId"))
    return Facts(
        type=kind,
        id=ident,
        version=version,
        updated=text(meta.get("lastUpdated")),
        owners=owned_by,
        labels=labels_on(tree) | within.labels,
        line=_line(kind, ident, version, digest),
        mentions=tuple(found),
        inner=within.inner,
        strangers=within.strangers,
        narratives=tuple(dict.fromkeys([("text",), *map(place_of, told)])) if speaks else (),
        addresses=tuple(moved),
    )


def _own(owned_by: frozenset[str]) -> frozenset[str]:
    """How the resource refers to those it belongs to."""
    return frozenset([f"Patient/{patient}" for patient in owned_by])


def _line(kind: str, ident: str, version: str | None, digest: bytes) -> str:
    return f"{kind}/{ident}/{version or ''} {digest.hex()}\n"


# --- Remembering -----------------------------------------------------------------------------------

RECORD_BYTES: Final = 1500  # what facts without notes take, digests and labels included; measured
NOTE_BYTES: Final = 600  # a mention or an address with its place
HEAVIEST: Final = 64 * 1024  # facts of a record that names a hundred others


def weight(facts: Facts) -> int:
    """About how many bytes `facts` take in memory."""
    notes = len(facts.mentions) + len(facts.addresses) + len(facts.narratives)
    notes += len(facts.inner) + len(facts.labels)
    rewritten = sum([len(ours) for _, ours in facts.addresses if ours is not None]) if facts.addresses else 0
    return RECORD_BYTES + NOTE_BYTES * notes + rewritten + 100 * (len(facts.owners) + len(facts.strangers))


class Inspector:
    """`facts_of` for one upstream, remembering by digest what it found: a page that is read again, or an
    observation that is on many pages, is not parsed again. Keeps up to `capacity` bytes, as `weight` counts
    them; the oldest half goes when full, and what is heavier than `HEAVIEST` is not kept.
    """

    def __init__(self, catalogue: Catalogue, bases: Bases, capacity: int = 64 * 1024 * 1024) -> None:
        self._catalogue, self._bases, self._capacity = catalogue, bases, capacity
        self._known: dict[bytes, Facts] = {}
        self._kept_bytes = 0

    def __call__(self, raw: bytes) -> Facts:
        digest = hashlib.sha256(raw).digest()
        facts = self._known.get(digest)
        if facts is None:
            facts = _facts_of(raw, digest, self._catalogue, self._bases)
            self._keep(digest, facts)
        return facts

    def _keep(self, digest: bytes, facts: Facts) -> None:
        added = weight(facts)
        if added > min(HEAVIEST, self._capacity):
            return
        if self._kept_bytes + added > self._capacity:
            for old in list(islice(self._known, (len(self._known) + 1) // 2)):
                self._kept_bytes -= weight(self._known.pop(old))
            if self._kept_bytes + added > self._capacity:
                self._known.clear()
                self._kept_bytes = 0
        self._known[digest] = facts
        self._kept_bytes += added
