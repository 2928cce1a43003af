"""Granting, changing, withdrawing and showing consents, for commands, the operator API and pages alike.

Nothing takes effect here: a change is recorded in the ledger, and the registry follows the ledger. What
is refused is refused before anything is recorded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final, Protocol

from gateway.consents.draft import Draft, read_draft
from gateway.consents.effect import Silencer, check_effect, silencers
from gateway.consents.entries import CHANGE, GRANT, REVOKE, change_facts, grant_facts, is_reason, revoke_facts
from gateway.consents.registry import Registry
from gateway.core.canon import Json, b64url
from gateway.core.consent.document import ParseScope
from gateway.core.consent.part2 import lacking
from gateway.core.consent.rule import Consent, State
from gateway.core.consent.rules import OPT_IN, Rules
from gateway.core.values import ConsentRef
from gateway.errors import BadRequest, NotFound

OPERATOR: Final = "operator"
UNRECORDED: Final = -1
"""The entry of a consent that is in no ledger."""


class Receipt(Protocol):
    """Where an entry went: its index and its leaf hash (32 bytes)."""

    @property
    def index(self) -> int: ...
    @property
    def leaf_hash(self) -> bytes: ...


class Record(Protocol):
    """Makes one entry about a patient (id) durable. Raises LedgerUnavailable when that is not certain."""

    def __call__(
        self, kind: str, facts: Mapping[str, Json], patient: str, attachments: Mapping[str, str]
    ) -> Awaitable[Receipt]: ...


class ConsentService:
    """`new_id` gives a fresh consent id, `now` the time in whole seconds.

    `by` is who acts, as entries name them: the operator, or the person who decides on a page.
    """

    def __init__(
        self,
        registry: Registry,
        record: Record,
        new_id: Callable[[], str],
        now: Callable[[], int],
        parse_scope: ParseScope,
        rules: Rules = OPT_IN,
    ) -> None:
        self._registry = registry
        self._record = record
        self._new_id = new_id
        self._now = now
        self._parse_scope = parse_scope
        self._rules = rules

    async def grant(
        self, draft: Draft, by: str = OPERATOR, under: tuple[int, str] | None = None
    ) -> ConsentRef:
        """Record a new consent and return its id, entry and leaf hash. Raises BadRequest, NotFound.

        `under` is the entry, index and leaf hash, of the authority by which `by` gives it for the patient.
        """
        return await self.grant_rule(self._read(draft, self._new_id()), by, under)

    async def grant_rule(
        self,
        consent: Consent,
        by: str = OPERATOR,
        under: tuple[int, str] | None = None,
        *,
        followed: bool = False,
    ) -> ConsentRef:
        """As `grant`, for a consent that was not written as a draft. One that is `followed`, as it stands
        elsewhere, is recorded without effect too: it has one when what denies the same is taken back."""
        self._check_new(consent, followed=followed)
        facts, attachments = grant_facts(consent)
        right: dict[str, Json] = {} if under is None else {"aut": [*under]}
        receipt = await self._record(GRANT, {**facts, **right, "act": by}, consent.patient, attachments)
        return _ref(consent.id, receipt)

    async def change(self, consent_id: str, draft: Draft, by: str = OPERATOR) -> ConsentRef:
        """Record that the consent says `draft` from now on; its id stays. Raises BadRequest, NotFound."""
        self._live(consent_id)
        return await self.change_rule(self._read(draft, consent_id), by)

    async def change_rule(
        self, consent: Consent, by: str = OPERATOR, *, followed: bool = False
    ) -> ConsentRef:
        """As `change`, for a consent that was not written as a draft; `followed` as in `grant_rule`."""
        before = self._check_changed(consent, followed=followed)
        facts, attachments = change_facts(consent, before.refs[-1])
        receipt = await self._record(CHANGE, {**facts, "act": by}, consent.patient, attachments)
        self._check_taken(consent.id, receipt)
        return _ref(consent.id, receipt)

    async def revoke(
        self, consent_id: str, reason: str, by: str = OPERATOR, *, stop: bool = False
    ) -> ConsentRef:
        """Withdraw the consent; with `stop` it denies from then on what it permitted, until superseded.

        `reason` is a code: lower-case letters, digits and hyphens. Raises BadRequest, NotFound.
        """
        if not is_reason(reason):
            raise BadRequest("The reason is a code such as patient-request.")
        before = self.show(consent_id)
        if before.state is not State.LIVE and not (stop and before.state is State.REVOKED):
            raise BadRequest(f"The consent {consent_id} is already {before.state}.")
        facts = {**revoke_facts(before.refs[-1], reason, stop=stop), "act": by}
        return _ref(consent_id, await self._record(REVOKE, facts, before.patient, {}))

    def show(self, consent_id: str) -> Consent:
        """The consent, live or ended. Raises NotFound."""
        consent = self._registry.get(consent_id)
        if consent is None:
            raise NotFound(f"There is no consent {consent_id}.")
        return consent

    def of_patient(self, patient: str) -> tuple[Consent, ...]:
        """All consents of the patient, live and ended, oldest first."""
        return self._registry.all_of(patient)

    def starting(self, prefix: str) -> tuple[Consent, ...]:
        """All consents whose ids begin so, live and ended."""
        return self._registry.starting(prefix)

    def drafted(self, draft: Draft, consent_id: str | None = None) -> Consent:
        """The consent that `draft` describes, under the id of one that is there or a new one; it is recorded
        nowhere and compared with no other. Raises BadRequest."""
        return unrecorded(self._read(draft, consent_id or self._new_id()))

    def refusal(self, consent: Consent) -> str | None:
        """Why the consent would be refused, as a new one or as the new text of the one that has its id;
        None if it would be recorded."""
        is_new = self._registry.get(consent.id) is None
        try:
            self._check_new(consent) if is_new else self._check_changed(consent)
        except (BadRequest, NotFound) as error:
            return error.text
        return None

    def silencers(self, consent: Consent) -> tuple[Silencer, ...]:
        """The patient's other consents that deny all that this one permits, if it permits anything."""
        standing = self._registry.standing(consent.patient)
        return silencers(consent, standing, self._now(), self._rules)

    # --- Checks before anything is recorded --------------------------------------------------------

    def _read(self, draft: Draft, consent_id: str) -> Consent:
        return read_draft(draft, consent_id, self._parse_scope, self._now())

    def _check_new(self, consent: Consent, *, followed: bool = False) -> None:
        if consent.doubtful and consent.supersedes:
            raise BadRequest("A consent of which it is in doubt what is in force supersedes no other.")
        self._check(consent, followed=followed)

    def _check_changed(self, consent: Consent, *, followed: bool = False) -> Consent:
        """The consent as it is."""
        before = self._live(consent.id)
        if before.patient != consent.patient:
            raise BadRequest("A consent stays with its patient; grant a new one instead.")
        self._check(consent, followed=followed)
        return before

    def _check(self, consent: Consent, *, followed: bool) -> None:
        now_s = self._now()
        for other in sorted(consent.supersedes):
            if self.show(other).patient != consent.patient:
                raise BadRequest(f"The consent {other} is not one of this patient's.")
        if consent.supersedes and (consent.from_s or 0) > now_s:
            raise BadRequest("A consent that supersedes another begins at once.")
        for lack in lacking(consent.root):
            raise BadRequest(f"The consent {lack}.")
        if not followed:
            check_effect(consent, self._registry.standing(consent.patient), now_s, self._rules)

    def _live(self, consent_id: str) -> Consent:
        consent = self.show(consent_id)
        if consent.state is not State.LIVE:
            raise BadRequest(f"The consent {consent_id} is {consent.state} and cannot be changed.")
        return consent

    def _check_taken(self, consent_id: str, receipt: Receipt) -> None:
        # Another gateway may have ended the consent first; then the ledger holds a change without effect.
        if self._registry.mark >= receipt.index and self.show(consent_id).entry < receipt.index:
            raise BadRequest(f"The consent {consent_id} ended while it was being changed.")


def unrecorded(consent: Consent) -> Consent:
    """The consent as a draft: it can be judged by, and is in no ledger."""
    return replace(consent, refs=(ConsentRef(consent.id, UNRECORDED, ""),))


def _ref(consent_id: str, receipt: Receipt) -> ConsentRef:
    return ConsentRef(consent_id, receipt.index, b64url(receipt.leaf_hash))
