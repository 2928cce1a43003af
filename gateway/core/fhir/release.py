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
from typing import Final, NamedTuple, Protocol
from urllib.parse import parse_qsl, urlsplit

from gateway import errors
from gateway.core.fhir import codec
from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.codec import CodecError, Tree
from gateway.core.fhir.contained import Inner
from gateway.core.fhir.facts import Facts
from gateway.core.fhir.outline import NOTHING, Outline
from gateway.core.fhir.redact import hidden_targets, redact, reshape
from gateway.core.fhir.searchset import read_page
from gateway.core.values import Ref, Shape

Content = Callable[[], Tree]
"""The resource's tree, parsed when a rule asks about its content."""

FactsOf = Callable[[bytes], Facts]
"""`facts_of` for one upstream; may remember what it found."""


Outlines = Mapping[str, Outline]


class Judgement(Protocol):
    """Whether one resource may be seen; `reason` is a code, for the count of what was withheld."""

    @property
    def visible(self) -> bool: ...
    @property
    def reason(self) -> str: ...


Judge = Callable[[Facts, Content], Judgement]

JudgeInner = Callable[[Facts, Inner], bool]
"""Whether a contained record may stay in a resource that may be seen."""


class Candidate(NamedTuple):
    """A resource that may be released, as it came; `banned` are the indexes of the contained records that
    stay behind."""

    raw: bytes
    facts: Facts
    banned: frozenset[int] = frozenset()


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
        """Mentioned records that are not among the candidates."""
        targets = {target for c in self.candidates for target in hidden_targets(c.facts)}
        return frozenset(targets - self.released()) if targets else frozenset()

    def released(self) -> frozenset[Ref]:
        return frozenset(candidate.facts.ref for candidate in self.candidates)


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
    cursor = _cursor(links["next"], bases) if "next" in links else None
    candidates: list[Candidate] = []
    withheld: Counter[str] = Counter()
    for raw in page.matches:
        candidate = _candidate(raw, facts_of)
        if candidate.facts.type != wanted_type:
            withheld["other_type"] += 1
            continue
        judgement = judge(candidate.facts, candidate_content(candidate))
        if judgement.visible:
            candidates.append(without_banned(candidate, judge_inner))
        else:
            withheld[judgement.reason] += 1
    return Review(tuple(candidates), dict(withheld), cursor, complete=cursor is None)


def without_banned(candidate: Candidate, judge_inner: JudgeInner) -> Candidate:
    """A candidate that may be seen, without the contained records that may not."""
    if not candidate.facts.inner:
        return candidate
    facts = candidate.facts
    banned = frozenset(inner.index for inner in facts.inner if not judge_inner(facts, inner))
    return candidate._replace(banned=banned)


def _candidate(raw: bytes, facts_of: FactsOf) -> Candidate:
    try:
        return Candidate(raw, facts_of(raw))
    except CodecError as error:
        raise errors.UpstreamUnusable from error


def candidate_content(candidate: Candidate) -> Content:
    return lambda: codec.parse(candidate.raw)


def _demand(self_link: str, required: Sequence[tuple[str, str]]) -> None:
    """Compares names and values as sets: servers reorder, re-encode and add to what they were asked."""
    try:
        query = urlsplit(self_link).query
        done = {(name, value) for name, value in parse_qsl(query, strict_parsing=bool(query))}
    except ValueError as error:
        raise errors.UpstreamUnusable from error
    if query and not done.issuperset(required):
        raise errors.UpstreamUnusable


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


def build_instance(candidate: Candidate, visible: Set[Ref], shape: Shape, outlines: Outlines) -> bytes:
    """The resource as it may leave."""
    permitted = redact(candidate.raw, candidate.facts, visible, candidate.banned)
    return reshape(permitted, shape, outlines.get(candidate.facts.type, NOTHING))


def build_searchset(
    review: Review,
    visible: Set[Ref],
    shape: Shape,
    outlines: Outlines,
    public_base: str,
    self_link: str,
    next_link: str | None,
) -> bytes:
    """A searchset of our own around the released resources. It has a total only when it has everything."""
    links = [("self", self_link)] + ([("next", next_link)] if next_link is not None else [])
    parts = [b'{"resourceType":"Bundle","type":"searchset"']
    if review.complete:
        parts.append(b',"total":%d' % len(review.candidates))
    parts.append(b',"link":[' + b",".join(_link(*link) for link in links) + b"]")
    # Pieces are put together once, at the end: a page may be of megabytes.
    base, before = codec.quote(public_base)[:-1], b',"entry":[{"fullUrl":'
    for candidate in review.candidates:
        address = f"/{candidate.facts.type}/{candidate.facts.id}"  # letters, digits, `-` and `.`
        resource = build_instance(candidate, visible, shape, outlines)
        parts += (before, base, address.encode(), b'","resource":', resource, b',"search":{"mode":"match"}}')
        before = b',{"fullUrl":'
    parts.append(b"]}" if review.candidates else b"}")
    return b"".join(parts)


def _link(relation: str, url: str) -> bytes:
    return b'{"relation":"' + relation.encode() + b'","url":' + codec.quote(url) + b"}"


def lines_of_versions(candidates: Iterable[Candidate]) -> str:
    """What was released, a line each, as in `Facts.line`, sorted."""
    return "".join(sorted([candidate.facts.line for candidate in candidates]))
