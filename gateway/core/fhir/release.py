"""From an upstream's answer to what may leave: built from what was checked, not cut from what came.

What stays true: only a resource that `judge` let through is released, each judged by itself wherever it
came from; ids, links and totals in the answer are ours. An answer that is not understood is an error,
never a partial release. Two steps, because a permitted record may mention others: `review_page` judges and
names the mentioned records whose visibility is still open; `build_*` makes the bytes once that is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from gateway import errors
from gateway.core.fhir import codec
from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.candidate import Candidate, Content, Judgement, candidate_content
from gateway.core.fhir.codec import CodecError
from gateway.core.fhir.contained import Inner
from gateway.core.fhir.edits import Edits, applied, put
from gateway.core.fhir.facts import Facts
from gateway.core.fhir.mask import cut, inline_labels
from gateway.core.fhir.outline import NOTHING, Outline
from gateway.core.fhir.redact import hidden_targets, redactions, reshape, tag_subsetted
from gateway.core.fhir.searchset import read_page
from gateway.core.fhir.security import Relabelling, coding, labels_in
from gateway.core.fhir.telling import NOTICE, Telling
from gateway.core.values import Label, Ref, Shape

FactsOf = Callable[[bytes], Facts]
"""`facts_of` for one upstream; may remember what it found."""


Outlines = Mapping[str, Outline]


Judge = Callable[[Facts, Content], Judgement]

JudgeInner = Callable[[Facts, Inner, Content], bool]
"""Whether a contained record may stay in a resource that may be seen, of which the content is given."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the upstream's next page is: path and query below its base address."""

    path: str
    query: str


@dataclass(frozen=True, slots=True)
class Review:
    """What was judged: the candidates, how many were withheld for which reason, and where to go on.

    `complete` says that this is all the upstream has for the query, so that a total can be given.
    """

    candidates: tuple[Candidate, ...]
    withheld: Mapping[str, int] = field(default_factory=dict)
    cursor: Cursor | None = None
    complete: bool = False

    def unresolved(self) -> frozenset[Ref]:
        """Mentioned records that are not among the candidates that go whole."""
        targets = {target for c in self.candidates for target in hidden_targets(c.facts)}
        return frozenset(targets - self.released()) if targets else frozenset()

    def released(self) -> frozenset[Ref]:
        """The candidates that go whole: what is said of them elsewhere may be what was cut out of another."""
        return frozenset(c.facts.ref for c in self.candidates if not (c.cuts or c.banned or c.trims))


# --- Judging ---------------------------------------------------------------------------------------


def identify(body: bytes, wanted: Ref, version: str | None, facts_of: FactsOf) -> Candidate:
    """The answer to a read or vread, not yet judged.

    Raises:
        UpstreamUnusable: not a strict resource, or another one than was asked for.
    """
    candidate = _candidate(body, facts_of)
    facts = candidate.facts
    if not facts.is_of(wanted) or (version is not None and facts.version != version):
        raise errors.UpstreamUnusable
    return candidate


def review_page(
    body: bytes,
    wanted_type: str,
    bases: Bases,
    required: Sequence[tuple[str, str]],
    facts_of: FactsOf,
    judge: Judge,
    judge_inner: JudgeInner,
) -> Review:
    """Judges each entry of a searchset Bundle. `required` are the query pairs that narrow the search: an
    upstream whose self link shows that it left one out did not do what was asked.

    Raises:
        UpstreamUnusable: not a strict searchset, a narrowing was ignored, or a next link leads elsewhere.
    """
    try:
        page = read_page(body)
    except CodecError as error:
        raise errors.UpstreamUnusable from error
    links = page.links
    if "self" in links:
        _demand(links["self"], required)
    cursor = next_page(links, bases)
    candidates: list[Candidate] = []
    withheld: Counter[str] = Counter()
    for raw in page.matches:
        candidate = _candidate(raw, facts_of)
        if candidate.facts.type != wanted_type:
            withheld["other_type"] += 1
            continue
        judgement = judge(candidate.facts, candidate_content(candidate))
        if judgement.visible:
            candidates.append(as_judged(candidate, judgement, judge_inner))
        else:
            withheld[judgement.reason] += 1
    return Review(tuple(candidates), dict(withheld), cursor, complete=cursor is None)


def as_judged(candidate: Candidate, judgement: Judgement, judge_inner: JudgeInner) -> Candidate:
    """A candidate that may be seen, with what is to stay behind of it."""
    raw, facts = candidate.raw, candidate.facts
    banned: frozenset[int] = frozenset()
    if facts.inner:
        content = candidate_content(candidate)
        banned = frozenset(inner.index for inner in facts.inner if not judge_inner(facts, inner, content))
    return Candidate(raw, facts, banned, judgement.cuts, judgement.trims, judgement.left, judgement)


def _candidate(raw: bytes, facts_of: FactsOf) -> Candidate:
    try:
        return Candidate(raw, facts_of(raw))
    except CodecError as error:
        raise errors.UpstreamUnusable from error


def _demand(self_link: str, required: Sequence[tuple[str, str]]) -> None:
    """Compares names and values as sets: servers reorder, re-encode and add to what they were asked."""
    try:
        query = urlsplit(self_link).query
        done = {(name, value) for name, value in parse_qsl(query, strict_parsing=bool(query))}
    except ValueError as error:
        raise errors.UpstreamUnusable from error
    if query and not done.issuperset(required):
        raise errors.UpstreamUnusable


def next_page(links: Mapping[str, str], bases: Bases) -> Cursor | None:
    """Where the next page is, by the links of this one; None if this is the last.

    Raises:
        UpstreamUnusable: it would be somewhere else than at the upstream.
    """
    return _cursor(links["next"], bases) if "next" in links else None


def _cursor(url: str, bases: Bases) -> Cursor:
    """The next page, only if it is the same server's, below the same base, by structure and not by prefix."""
    try:
        link, base = urlsplit(url), urlsplit(bases.upstream)
    except ValueError as error:
        raise errors.UpstreamUnusable from error
    relative = not link.scheme and not link.netloc
    same_origin = relative or (link.scheme, link.netloc) == (base.scheme, base.netloc)
    path = link.path if link.path.startswith("/") or link.netloc else f"{base.path}/{link.path}"
    below = path == base.path or path.startswith(base.path + "/")
    tail = path[len(base.path) :]
    if not same_origin or not below or link.fragment or _ODD_PATH & set(tail) or ".." in tail:
        raise errors.UpstreamUnusable
    return Cursor(tail, link.query)


_ODD_PATH: Final = frozenset("%\\;# \t\r\n")


# --- Building --------------------------------------------------------------------------------------


def build_instance(
    candidate: Candidate, visible: Set[Ref], shape: Shape, outlines: Outlines, telling: Telling
) -> bytes:
    """The resource as it may leave."""
    outline = outlines.get(candidate.facts.type, NOTHING)
    edits = redactions(candidate.facts, visible, candidate.banned)
    raw, trims = candidate.raw, candidate.trims
    if not candidate.is_plain and not _is_whole(candidate, telling):
        _withhold(edits, candidate, outline, telling)
    permitted = applied(raw, edits)
    # Whether or not this one held more than the role needs, its type is tagged.
    return reshape(permitted if trims is None else tag_subsetted(permitted), shape, outline)


def _is_whole(candidate: Candidate, telling: Telling) -> bool:
    """Whether nothing of it stays behind, its labels may leave as they are, and no other has to go with
    them."""
    if candidate.is_cut or candidate.trims or candidate.facts.inline:
        return False
    labels, egress = candidate.weighed, telling.egress
    if not labels:
        return not candidate.found(telling)
    harmless = egress.harmless(candidate.facts.labels) and not egress.obligations(labels)
    return harmless and not candidate.found(telling)


def _withhold(edits: Edits, candidate: Candidate, outline: Outline, telling: Telling) -> None:
    """Adds to `edits` what takes out the places and the labels that stay behind."""
    raw, tree = candidate.raw, codec.parse(candidate.raw)
    left = candidate.facts.labels if candidate.left is None else candidate.left
    tags = (*telling.egress.obligations(candidate.weighed), *(telling.tags if candidate.is_cut else ()))
    found = candidate.found(telling)
    relabelling = Relabelling(telling.egress, left, telling.shown, found, telling.classifier)
    for place, edit in relabelling.edits(raw, tree, tags):
        put(edits, place, edit)
    if candidate.facts.inline and not telling.shown:
        for place in inline_labels(tree):
            put(edits, place, codec.DROP)
    if candidate.is_cut or candidate.trims:
        places = (*candidate.cuts, *(candidate.trims or ()))
        cut(edits, raw, tree, places, outline.mandatory, telling.absent)


def build_searchset(
    review: Review,
    visible: Set[Ref],
    shape: Shape,
    outlines: Outlines,
    public_base: str,
    self_link: str,
    next_link: str | None,
    telling: Telling,
) -> bytes:
    """A searchset of our own around the released resources. It has a total only when it has everything, and
    is as confidential as the most confidential of them says that it is (security-labels.html)."""
    links = [("self", self_link)] + ([("next", next_link)] if next_link is not None else [])
    parts = [b'{"resourceType":"Bundle"', b"", b',"type":"searchset"']
    labels: set[Label] = set()
    if review.complete:
        parts.append(b',"total":%d' % len(review.candidates))
    parts.append(b',"link":[' + b",".join(_link(*link) for link in links) + b"]")
    # Pieces are put together once, at the end: a page may be of megabytes.
    base, before = codec.quote(public_base)[:-1], b',"entry":[{"fullUrl":'
    for candidate in review.candidates:
        address = f"/{candidate.facts.type}/{candidate.facts.id}"  # letters, digits, `-` and `.`
        resource = build_instance(candidate, visible, shape, outlines, telling)
        if resource is candidate.raw:
            labels |= candidate.facts.labels
        elif candidate.facts.labels or candidate.found(telling):
            labels.update(labels_in(resource))
        parts += (before, base, address.encode(), b'","resource":', resource, b',"search":{"mode":"match"}}')
        before = b',{"fullUrl":'
    if is_noticed(review.candidates, telling):
        before = b"," if review.candidates else b',"entry":['
        parts += (before, b'{"resource":', NOTICE, b',"search":{"mode":"outcome"}}]}')
    else:
        parts.append(b"]}" if review.candidates else b"}")
    levels = [level for label in labels if (level := telling.egress.level_of(label)) is not None]
    if levels:
        parts[1] = b',"meta":{"security":[' + coding(telling.egress.level(levels)) + b"]}"
    return b"".join(parts)


def is_noticed(candidates: Iterable[Candidate], telling: Telling) -> bool:
    """Whether an answer with these says that something may be withheld."""
    if telling.notice == "explicit":
        return any(candidate.is_cut for candidate in candidates)
    return telling.notice == "generic"


def _link(relation: str, url: str) -> bytes:
    return b'{"relation":"' + relation.encode() + b'","url":' + codec.quote(url) + b"}"
