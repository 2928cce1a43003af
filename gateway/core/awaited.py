"""Which records hang on who made them, as far as that was not read: on what Provenance says of them.

Nothing is asked for a record that is hidden, or shown, whoever made it: one that is hidden for itself costs
no more than one that is not there.
"""

from __future__ import annotations

from gateway.core.fhir.candidate import Content
from gateway.core.fhir.facts import Facts
from gateway.core.judge import Judge


def awaits_agents(judge: Judge, facts: Facts, content: Content) -> bool:
    """Whether what may be seen of the record hangs on what was not read of who made it."""
    judges = judge.hopeful(facts)
    return len(judges) > 1 and len({_extent(one, facts, content) for one in judges}) > 1


def _extent(judge: Judge, facts: Facts, content: Content) -> tuple[object, ...]:
    """What of the record may be seen, by reading and by searching."""
    seen = [said for each in "rs" if (said := judge.judge(facts, content, each)).visible]
    stay = [judge.stays(facts, inner, content) for inner in facts.inner] if seen else []
    return (*(said.cuts for said in seen), *stay)
