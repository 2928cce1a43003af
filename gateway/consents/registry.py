"""Consents, and which tokens were ended, as the ledger's entries make them: replaying gives the same state.

Entries come in ledger order. One that breaks a rule raises VerificationFailed and changes nothing. Two
gateways may change the same consent at once: the ledger's order decides, and whatever is written after a
consent has ended leaves it ended. A consent whose key was destroyed is not there, and what was written
about it later is passed over.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gateway.consents.entries import (
    CHANGE,
    GRANT,
    REVOKE,
    TOKEN_REVOKE,
    Erased,
    Erasure,
    ended_token,
    failed,
    previous_place,
    read_consent,
    read_stop,
    ref,
)
from gateway.core.canon import b64url
from gateway.core.consent.document import ParseScope
from gateway.core.consent.rule import Consent, State
from gateway.core.smart.claims import SKEW_S
from gateway.core.smart.issuers import DAY_S
from gateway.core.tlog.opened import OpenedEntry
from gateway.core.values import ConsentRef

_OUTLIVED_S: Final = DAY_S + 2 * SKEW_S  # the longest life of a token, whichever clocks measured it


class Registry:
    """Filled and read by one thread. `mark` is the index of the last entry taken in, -1 before the first."""

    def __init__(self, parse_scope: ParseScope) -> None:
        self.mark = -1
        self._parse_scope = parse_scope
        self._consents: dict[str, Consent] = {}
        self._of_patient: dict[str, tuple[str, ...]] = {}
        self._holder: dict[int, ConsentRef] = {}
        self._named: dict[str, set[str]] = {}
        self._live: dict[str, tuple[Consent, ...]] = {}
        self._standing: dict[str, tuple[Consent, ...]] = {}
        self._erased: dict[int, str] = {}
        self._ended_tokens: dict[tuple[int, str], int] = {}

    def live(self, patient: str) -> tuple[Consent, ...]:
        """The patient's consents that are neither withdrawn nor superseded, oldest first.

        Their periods are looked at when they are evaluated.
        """
        found = self._live.get(patient)
        if found is None:
            found = tuple(consent for consent in self.all_of(patient) if consent.state is State.LIVE)
            if found:
                self._live[patient] = found
        return found

    def standing(self, patient: str) -> tuple[Consent, ...]:
        """What an evaluation takes: live ones, stopped ones, which deny, and revoked ones, which explain."""
        found = self._standing.get(patient)
        if found is None:
            found = tuple(c for c in self.all_of(patient) if c.state is not State.SUPERSEDED)
            if found:
                self._standing[patient] = found
        return found

    def all_of(self, patient: str) -> tuple[Consent, ...]:
        """Every consent that the patient ever gave, oldest first."""
        return tuple(self._consents[consent_id] for consent_id in self._of_patient.get(patient, ()))

    def get(self, consent_id: str) -> Consent | None:
        return self._consents.get(consent_id)

    def starting(self, prefix: str) -> tuple[Consent, ...]:
        """Every consent whose id begins so, by id."""
        return tuple(self._consents[name] for name in sorted(self._consents) if name.startswith(prefix))

    def by_grantee(self, identity: str) -> frozenset[str]:
        """The patients with a live consent that names the identity."""
        return frozenset(self._consents[consent_id].patient for consent_id in self._named.get(identity, ()))

    def is_revoked(self, issued: tuple[int, str]) -> bool:
        """Whether the token was ended whose issue is the entry at this index with this leaf hash."""
        return issued in self._ended_tokens

    def apply(self, entry: OpenedEntry) -> None:
        """Take in the next entry. Raises VerificationFailed, and is then unchanged."""
        if entry.index <= self.mark:
            raise failed(entry, "it comes out of order")
        if entry.kind == TOKEN_REVOKE:
            self._end_token(ended_token(entry), entry.at_s)
            self.mark = entry.index
            return
        changes = {GRANT: self._granted, CHANGE: self._changed, REVOKE: self._revoked}
        if entry.kind not in changes:
            raise failed(entry, "it is about neither a consent nor a token")
        if entry.kind != GRANT and self._is_of_erased(entry):
            self.skip(Erased(entry.index, entry.leaf_hash))
            return
        for consent in changes[entry.kind](entry):
            self._put(consent)
        self.mark = entry.index

    def skip(self, entry: Erased | Erasure) -> None:
        """Pass over an entry that says nothing any more. The consent that it held is forgotten, if it was
        taken in before its key was destroyed."""
        if isinstance(entry, Erased):
            held = self._holder.get(entry.index)
            if held is not None:
                self._forget(self._consents[held.id])
            self._erased[entry.index] = b64url(entry.leaf_hash)
        self.mark = max(self.mark, entry.index)

    # --- What an entry changes ---------------------------------------------------------------------

    def _end_token(self, issued: tuple[int, str], at_s: int) -> None:
        """Remembered for as long as any token lives; by then it has expired."""
        self._ended_tokens[issued] = at_s
        outlived = [place for place, ended_s in self._ended_tokens.items() if ended_s < at_s - _OUTLIVED_S]
        for place in outlived:
            del self._ended_tokens[place]

    def _granted(self, entry: OpenedEntry) -> list[Consent]:
        consent = read_consent(entry, self._parse_scope)
        if consent.id in self._consents:
            raise failed(entry, "it grants a consent that exists")
        return [*self._superseded(consent, entry), consent]

    def _changed(self, entry: OpenedEntry) -> list[Consent]:
        consent = read_consent(entry, self._parse_scope)
        before = self._previous(entry)
        if (before.id, before.patient) != (consent.id, consent.patient):
            raise failed(entry, "it changes a consent into another one")
        superseded = self._superseded(consent, entry)
        if before.state is not State.LIVE:
            return []  # ended while this was being written
        return [*superseded, replace(consent, refs=(*before.refs, *consent.refs))]

    def _revoked(self, entry: OpenedEntry) -> list[Consent]:
        before = self._previous(entry)
        state = State.STOPPED if read_stop(entry) else State.REVOKED
        if before.state is State.LIVE or (before.state, state) == (State.REVOKED, State.STOPPED):
            return [replace(before, state=state, ended=ref(before.id, entry))]
        return []

    def _superseded(self, by: Consent, entry: OpenedEntry) -> list[Consent]:
        """The consents that `by` puts out of force, in their new state."""
        ended = []
        for consent_id in sorted(by.supersedes):
            consent = self._consents.get(consent_id)
            if consent is None and self._erased:
                continue  # it may have been one of those that were erased
            if consent is None or consent.patient != by.patient:
                raise failed(entry, "it supersedes a consent that the patient never gave")
            if consent.state is not State.SUPERSEDED:
                ended.append(replace(consent, state=State.SUPERSEDED, ended=ref(consent.id, entry)))
        return ended

    def _is_of_erased(self, entry: OpenedEntry) -> bool:
        index, leaf_hash = previous_place(entry)
        return index in self._erased and self._erased[index] == leaf_hash

    def _previous(self, entry: OpenedEntry) -> Consent:
        index, leaf_hash = previous_place(entry)
        held = self._holder.get(index)
        if held is None or held.hash != leaf_hash:
            raise failed(entry, "it follows an entry that holds no consent")
        return self._consents[held.id]

    # --- State -------------------------------------------------------------------------------------

    def _forget(self, consent: Consent) -> None:
        """Drop the consent; its other entries are under the same key, or followed this one."""
        del self._consents[consent.id]
        left = tuple(other for other in self._of_patient[consent.patient] if other != consent.id)
        self._of_patient[consent.patient] = left
        for held in consent.refs:
            self._erased[held.entry] = self._holder.pop(held.entry).hash
        self._unname(consent)

    def _put(self, consent: Consent) -> None:
        before = self._consents.get(consent.id)
        if before is None:
            self._of_patient[consent.patient] = (*self._of_patient.get(consent.patient, ()), consent.id)
        else:
            self._unname(before)
        self._consents[consent.id] = consent
        self._holder.update((held.entry, held) for held in consent.refs)
        self._live.pop(consent.patient, None)
        self._standing.pop(consent.patient, None)
        if consent.state is State.LIVE:
            for identity in consent.grantees:
                self._named.setdefault(identity, set()).add(consent.id)

    def _unname(self, consent: Consent) -> None:
        self._live.pop(consent.patient, None)
        self._standing.pop(consent.patient, None)
        for identity in consent.grantees:
            self._named.get(identity, set()).discard(consent.id)
