"""What else may be asked of the upstream under a permitted plan: pages, and the records around those found.

Each question is narrowed to the patients of the plan, or is about records that belong to nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from itertools import groupby
from typing import Final

from gateway.core.consent.cases import Wish
from gateway.core.fhir import narrow
from gateway.core.fhir.facts import Facts
from gateway.core.fhir.release import Cursor
from gateway.core.plan import Plan
from gateway.core.values import Ask, Interaction, Ref

PER_PAGE: Final = "200"  # of the records that a case is followed through
MAX_LOOK_UPS: Final = 200  # mentioned records looked up for one answer; what is over stays masked
_TARGETS: Final = 100  # records that one search for Provenance names: what an address carries


def look_ups(plan: Plan, targets: Iterable[Ref]) -> tuple[Ask, ...]:
    """The searches that find which mentioned records the token may see; part of the permitted plan."""
    judge = plan.judge
    wanted = sorted(targets, key=str)[:MAX_LOOK_UPS]
    asks = []
    for kind, group in groupby(wanted, key=lambda target: target.type):
        ids = [target.id for target in group]
        if not (judge.grants(kind, "r") or judge.grants(kind, "s")):
            continue
        query = [("_id", ",".join(ids)), ("_count", str(len(ids)))]
        own = narrow.to_patients(judge.catalogue.access(kind), judge.patients)
        asks.append(Ask(f"/{kind}", (*query, *own)))
    return tuple(asks)


def look_ups_around(plan: Plan, targets: Iterable[Ref]) -> tuple[Ask, ...]:
    """The searches for records that rules or labels need to know of, whatever the scopes say: nothing of them
    is shown. They are the same patients' records, or nobody's."""
    judge = plan.judge
    asks = []
    # Patients come first: on the age of one all their records may depend.
    wanted = sorted(targets, key=lambda target: (target.type != "Patient", str(target)))[:MAX_LOOK_UPS]
    for kind, group in groupby(wanted, key=lambda target: target.type):
        access = judge.catalogue.access(kind)
        if access.kind != "denied":
            ids = [target.id for target in group]
            query = (("_id", ",".join(ids)), ("_count", str(len(ids))))
            asks.append(Ask(f"/{kind}", (*query, *narrow.to_patients(access, judge.patients))))
    return tuple(asks)


def makers_asks(plan: Plan, records: Iterable[Facts]) -> tuple[tuple[Ask, frozenset[Ref]], ...]:
    """The searches for the Provenance of records that were fetched, each with those that it is about. Only of
    the plan's own patients' records; nothing of what is found is shown."""
    own = {facts.ref for facts in records if not facts.owners.isdisjoint(plan.judge.patients)}
    wanted = sorted(own, key=str)[:MAX_LOOK_UPS]
    chunks = [wanted[start : start + _TARGETS] for start in range(0, len(wanted), _TARGETS)]
    return tuple(
        (Ask("/Provenance", (("target", ",".join(map(str, chunk))), ("_count", PER_PAGE))), frozenset(chunk))
        for chunk in chunks
    )


def case_ask(plan: Plan, wish: Wish) -> Ask | None:
    """The search for what a case is followed through, whatever the scopes say: nothing of it is shown. None
    where there is nobody to ask about."""
    judge = plan.judge
    access = judge.catalogue.access(wish.kind)
    if access.kind != "compartment" or not judge.patients:
        return None
    own = (wish.term.key, wish.term.text)
    return Ask(f"/{wish.kind}", (own, *narrow.to_patients(access, judge.patients), ("_count", PER_PAGE)))


def confirm_asks(plan: Plan, patients: Set[str]) -> tuple[Ask, Ask, Ask]:
    """The searches for what a prescription of these patients is confirmed by: the dispenses under it, and
    what else is prescribed to them and taken by them."""
    assert plan.request.interaction is Interaction.CONFIRM
    taken = "recorded" if plan.judge.catalogue.release == "R5" else "active"

    def ask(kind: str, name: str, value: str) -> Ask:
        own = narrow.to_patients(plan.judge.catalogue.access(kind), patients)
        return Ask(f"/{kind}", ((name, value), *own, ("_count", PER_PAGE)))

    return (
        ask("MedicationDispense", "prescription", str(plan.wanted)),
        ask("MedicationRequest", "status", "active"),
        ask("MedicationStatement", "status", taken),
    )


def next_ask(plan: Plan, cursor: Cursor) -> Ask:
    """The upstream's next page of a permitted search."""
    assert plan.request.interaction is Interaction.SEARCH, "only a search has pages"
    return Ask(cursor.path, raw_query=cursor.query)
