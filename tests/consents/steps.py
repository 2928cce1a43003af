"""What happens to consents, step by step, as entries of a ledger; and all that a registry then says."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.consents.draft import Draft, read_draft
from gateway.consents.entries import (
    CHANGE,
    GRANT,
    REVOKE,
    Erased,
    Erasure,
    change_facts,
    grant_facts,
    revoke_facts,
)
from gateway.consents.registry import Registry
from gateway.core.canon import Json
from gateway.core.consent.rule import Consent
from gateway.core.values import ConsentRef
from tests.consents.ledger import Ledger, parse_scope

PATIENTS = ("p1", "p2")


def consent(name: str, patient: str = "p1", **fields: Any) -> Consent:
    draft = Draft(patient, **{"grantees": ("client:app-1",), "scopes": ("patient/*.rs",), **fields})
    return read_draft(draft, name, parse_scope, 0)


def append(ledger: Ledger, kind: str, patient: str, facts: dict[str, Json], texts: dict[str, str]) -> None:
    asyncio.run(ledger.record(kind, facts, patient, texts))


def grant(ledger: Ledger, made: Consent) -> Consent:
    append(ledger, GRANT, made.patient, *grant_facts(made))
    return taken(ledger, made.id)


def change(ledger: Ledger, made: Consent, previous: ConsentRef) -> Consent:
    append(ledger, CHANGE, made.patient, *change_facts(made, previous))
    return taken(ledger, made.id)


def revoke(ledger: Ledger, before: Consent, *, stop: bool = False) -> Consent:
    append(ledger, REVOKE, before.patient, revoke_facts(before.refs[-1], "patient-request", stop=stop), {})
    return taken(ledger, before.id)


def notice(ledger: Ledger) -> None:
    """Look at all entries again, as the follower does after an erasure."""
    for entry in ledger.after(-1):
        if isinstance(entry, Erased | Erasure):
            ledger.registry.skip(entry)


def taken(ledger: Ledger, name: str) -> Consent:
    found = ledger.registry.get(name)
    assert found is not None
    return found


def state_of(registry: Registry) -> Any:
    """Everything that can be asked of a registry."""
    identities = ("client:app-1", "client:app-2", "organization:org-1")
    return (
        registry.mark,
        {patient: registry.all_of(patient) for patient in PATIENTS},
        {patient: registry.live(patient) for patient in PATIENTS},
        {patient: registry.standing(patient) for patient in PATIENTS},
        {identity: registry.by_grantee(identity) for identity in identities},
    )
