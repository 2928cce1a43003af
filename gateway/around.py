"""The records around those that are judged, fetched because labels come from there too, because a rule names
them and is about what they refer to, or because they say who made a record (Provenance).

Only where either matters, and only so far as labels travel. Nothing of these records is shown; one that does
not come, or is not on the list of those asked for, stays unknown, which the judge takes for any label.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from gateway import errors
from gateway.casebook import Place
from gateway.casefile import open_case
from gateway.core.asks import look_ups_around, makers_asks
from gateway.core.awaited import awaits_agents
from gateway.core.consent.authors import Agents
from gateway.core.consent.cases import may_hold
from gateway.core.fhir import codec
from gateway.core.fhir.candidate import Content
from gateway.core.fhir.codec import CodecError, Tree
from gateway.core.fhir.facts import Facts
from gateway.core.fhir.provenance import agents_by_record
from gateway.core.fhir.release import FactsOf
from gateway.core.fhir.searchset import read_page
from gateway.core.judge import Judge
from gateway.core.labels.findings import Found
from gateway.core.labels.labeller import DEPTH, wanted
from gateway.core.plan import Plan
from gateway.core.values import Ref
from gateway.unseen import find
from gateway.upstream.client import Transport


class Around:
    """What is known around the records of one answer. `judge` is the plan's, and knows as much. `place` is
    where the token's case is kept, if it is."""

    def __init__(
        self, upstream: Transport, facts_of: FactsOf, plan: Plan, place: Place | None = None
    ) -> None:
        self._upstream, self._facts_of, self._plan, self._place = upstream, facts_of, plan, place
        self._known: dict[Ref, Found] = {}
        self._asked: set[Ref] = set()
        self._opened, self._anew = False, False
        self._sought: set[Ref] = set()
        self._named: dict[Ref, Tree] = {}
        self._agents: dict[Ref, Agents] = {}
        self._traced: set[Ref] = set()
        self.judge: Judge = plan.judge

    async def look(self, records: Iterable[tuple[Facts, Content]]) -> Judge:
        """Fetches what rules about the records name, what the records refer to and what that refers to in
        turn, and what says who made them.

        Raises:
            UpstreamUnusable, UpstreamTimeout: an answer did not come, or is not understood.
        """
        records = list(records)
        await self._read_named({name for facts, _ in records for name in self.judge.names(facts.owners)})
        await self._look_for_labels(records)
        await self._read_makers(records)
        return self.judge

    async def _look_for_labels(self, records: list[tuple[Facts, Content]]) -> None:
        weighed = [(facts, content) for facts, content in records if self.judge.labels_matter(facts)]
        depending = [facts.ref for facts, content in weighed if self.judge.depends_on_others(facts, content)]
        made = [self.judge.programme(*record) for record in records if self._awaits_programme(*record)]
        if not depending and not made:
            return
        if self.judge.around is not self._known:
            self.judge = self.judge.knowing(self._known, self._named)
        self._known.update({facts.ref: self.judge.own(facts, content) for facts, content in weighed})
        targets = _targets([*(self._known[ref] for ref in depending), *made])
        for _ in range(DEPTH):
            missing = targets - self._known.keys() - self._asked
            found = await self._fetched(missing) if missing else {}
            self._known.update(found)
            targets = _targets(self._known[target] for target in targets if target in self._known)

    def _awaits_programme(self, facts: Facts, content: Content) -> bool:
        """Whether it depends on others if a programme under 42 CFR Part 2 made the record, which is shown."""
        judge = self.judge
        return (
            judge.asks_programme(facts)
            and bool(judge.programme(facts, content).edges)
            and any(one(facts, content).visible for one in judge.hopeful(facts))
        )

    async def _read_makers(self, records: list[tuple[Facts, Content]]) -> None:
        """Reads what Provenance says of who made the records, where what may be seen of them hangs on it."""
        judge = self.judge
        hanging = [facts for facts, content in records if awaits_agents(judge, facts, content)]
        missing = [facts for facts in hanging if facts.ref not in self._traced]
        self._traced |= {facts.ref for facts in missing}
        for ask, refs in makers_asks(self._plan, missing):
            found = await find(self._upstream, self._facts_of, judge, ask, None)
            if found.whole:  # what was not read whole may name anybody
                self._agents |= agents_by_record(found.trees, refs, judge.bases.both)
        if missing:
            self.judge = judge.knowing(judge.around, agents=self._agents)

    async def open_case(self, kind: str, *, anew: bool = False) -> bool:
        """Lets the judge know what belongs to the token's case, if it can matter for records of the type: as
        it is kept, or with `anew` as it is now, which is found out once for an answer. Whether the judge
        knows more than before.

        It depends on the type that was asked for, and not on what came: following the case takes time.

        Raises:
            UpstreamUnusable, UpstreamTimeout: an answer did not come, or is not understood.
        """
        root = self.judge.root
        if root is None or self._anew or (self._opened and not anew) or not self._weighs_case(root, kind):
            return False
        opened = await open_case(self._upstream, self._facts_of, self._plan, root, self._place, anew=anew)
        self._opened, self._anew = True, opened.anew
        self.judge = replace(self.judge, within=opened.within)
        return True

    def _weighs_case(self, root: Ref, kind: str) -> bool:
        ceiling = self.judge.ceiling
        if ceiling is None or ceiling.is_timed:
            return ceiling is not None
        return ceiling.weighs_case(kind) and may_hold(root.type, kind, self.judge.catalogue)

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
