"""The records around those that are judged, fetched because labels come from there too, or because a rule
names them and is about what they refer to.

Only where either matters, and only so far as labels travel. Nothing of these records is shown; one that does
not come, or is not on the list of those asked for, stays unknown, which the judge takes for any label.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from gateway import errors
from gateway.casefile import open_case
from gateway.core.asks import look_ups_around
from gateway.core.fhir import codec
from gateway.core.fhir.codec import CodecError, Tree
from gateway.core.fhir.facts import Facts
from gateway.core.fhir.release import Content, FactsOf
from gateway.core.fhir.searchset import read_page
from gateway.core.judge import Judge
from gateway.core.labels.findings import Found
from gateway.core.labels.labeller import DEPTH, wanted
from gateway.core.plan import Plan
from gateway.core.values import Ref
from gateway.upstream.client import Transport


class Around:
    """What is known around the records of one answer. `judge` is the plan's, and knows as much."""

    def __init__(self, upstream: Transport, facts_of: FactsOf, plan: Plan) -> None:
        self._upstream, self._facts_of, self._plan = upstream, facts_of, plan
        self._known: dict[Ref, Found] = {}
        self._asked: set[Ref] = set()
        self._opened = False
        self._sought: set[Ref] = set()
        self._named: dict[Ref, Tree] = {}
        self.judge: Judge = plan.judge

    async def look(self, records: Iterable[tuple[Facts, Content]]) -> Judge:
        """Fetches what rules about the records name, what the records refer to, and what that refers to in
        turn.

        Raises:
            UpstreamUnusable, UpstreamTimeout: an answer did not come, or is not understood.
        """
        records = list(records)
        await self._open_case([facts.type for facts, _ in records])
        await self._read_named({name for facts, _ in records for name in self.judge.names(facts.owners)})
        weighed = [(facts, content) for facts, content in records if self.judge.labels_matter(facts)]
        depending = [facts.ref for facts, content in weighed if self.judge.depends_on_others(facts, content)]
        if not depending:
            return self.judge
        if self.judge.around is not self._known:
            self.judge = self.judge.knowing(self._known, self._named)
        self._known.update({facts.ref: self.judge.own(facts, content) for facts, content in weighed})
        targets = _targets(self._known[ref] for ref in depending)
        for _ in range(DEPTH):
            missing = targets - self._known.keys() - self._asked
            found = await self._fetched(missing) if missing else {}
            self._known.update(found)
            targets = _targets(self._known[target] for target in targets if target in self._known)
        return self.judge

    async def _open_case(self, kinds: Iterable[str]) -> None:
        """Finds out what belongs to the token's case, if the role asks that of records of these types."""
        root, ceiling = self.judge.root, self.judge.ceiling
        if self._opened or root is None or ceiling is None or not any(map(ceiling.weighs_case, kinds)):
            return
        self._opened = True
        within = await open_case(self._upstream, self._facts_of, self._plan, root)
        self.judge = replace(self.judge, within=within)

    async def _read_named(self, refs: set[Ref]) -> None:
        """Reads the records that rules name; one that does not come stays unknown."""
        missing = refs - self._sought
        if not missing:
            return
        self._sought |= missing
        for facts, content in await self._answers(missing):
            self._named[facts.ref] = content()
        self.judge = self.judge.knowing(self.judge.around, self._named)

    async def _fetched(self, refs: set[Ref]) -> dict[Ref, Found]:
        self._asked |= refs
        return {facts.ref: self.judge.own(facts, content) for facts, content in await self._answers(refs)}

    async def _answers(self, refs: set[Ref]) -> list[tuple[Facts, Content]]:
        """Those of the records that the upstream has."""
        found: list[tuple[Facts, Content]] = []
        for ask in look_ups_around(self._plan, refs):
            reply = await self._upstream.fetch(ask)
            if reply.status == 200:
                found += self._read(reply.body)
        return [(facts, content) for facts, content in found if facts.ref in refs]

    def _read(self, body: bytes) -> list[tuple[Facts, Content]]:
        try:
            return [(self._facts_of(raw), partial(codec.parse, raw)) for raw in read_page(body).matches]
        except CodecError as error:
            raise errors.UpstreamUnusable from error


def _targets(found: Iterable[Found]) -> set[Ref]:
    return {target for said in found for target in wanted(said)}
