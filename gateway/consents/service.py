"""Granting, changing, withdrawing and showing consents, for commands, the operator API and pages alike.

Nothing takes effect here: a change is recorded in the ledger, and the registry follows the ledger. What
is refused is refused before anything is recorded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from itertools import product
from typing import Final, Protocol

from gateway.consents.draft import Draft, read_draft
from gateway.consents.entries import CHANGE, GRANT, REVOKE, change_facts, grant_facts, is_reason, revoke_facts
from gateway.consents.registry import Registry
from gateway.core.canon import MAX_SAFE_INT, Json, b64url
from gateway.core.consent.document import ParseScope
from gateway.core.consent.evaluate import Asker, bind
from gateway.core.consent.labels import LABELS
from gateway.core.consent.rule import KINDS, Consent, Effect, State
from gateway.core.values import ConsentRef
from gateway.errors import BadRequest, NotFound

OPERATOR: Final = "operator"
_ANY_OTHER_PURPOSE: Final = ""  # one that no rule can name


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
    ) -> None:
        self._registry = registry
        self._record = record
        self._new_id = new_id
        self._now = now
        self._parse_scope = parse_scope

    async def grant(self, draft: Draft, by: str = OPERATOR) -> ConsentRef:
        """Record a new consent and return its id, entry and leaf hash. Raises BadRequest, NotFound."""
        consent = self._checked(draft, self._new_id())
        facts, attachments = grant_facts(consent)
        receipt = await self._record(GRANT, {**facts, "act": by}, consent.patient, attachments)
        return _ref(consent.id, receipt)

    async def change(self, consent_id: str, draft: Draft, by: str = OPERATOR) -> ConsentRef:
        """Record that the consent says `draft` from now on; its id stays. Raises BadRequest, NotFound."""
        before = self._live(consent_id)
        if before.patient != draft.patient:
            raise BadRequest("A consent stays with its patient; grant a new one instead.")
        consent = self._checked(draft, consent_id)
        facts, attachments = change_facts(consent, before.refs[-1])
        receipt = await self._record(CHANGE, {**facts, "act": by}, consent.patient, attachments)
        self._check_taken(consent_id, receipt)
        return _ref(consent_id, receipt)

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

    # --- Checks before anything is recorded --------------------------------------------------------

    def _checked(self, draft: Draft, consent_id: str) -> Consent:
        now_s = self._now()
        consent = read_draft(draft, consent_id, self._parse_scope, now_s)
        for other in sorted(consent.supersedes):
            if self.show(other).patient != consent.patient:
                raise BadRequest(f"The consent {other} is not one of this patient's.")
        if consent.supersedes and (consent.from_s or 0) > now_s:
            raise BadRequest("A consent that supersedes another begins at once.")
        for standing in self._registry.standing(consent.patient):
            if standing.id not in {consent.id, *consent.supersedes} and _undoes(standing, consent, now_s):
                raise BadRequest(_no_effect(standing))
        return consent

    def _live(self, consent_id: str) -> Consent:
        consent = self.show(consent_id)
        if consent.state is not State.LIVE:
            raise BadRequest(f"The consent {consent_id} is {consent.state} and cannot be changed.")
        return consent

    def _check_taken(self, consent_id: str, receipt: Receipt) -> None:
        # Another gateway may have ended the consent first; then the ledger holds a change without effect.
        if self._registry.mark >= receipt.index and self.show(consent_id).entry < receipt.index:
            raise BadRequest(f"The consent {consent_id} ended while it was being changed.")


def _no_effect(standing: Consent) -> str:
    name = standing.id
    if standing.state is State.STOPPED:
        return f"This consent has no effect because consent {name} was stopped; supersede {name}."
    return f"This consent has no effect because consent {name} denies it; supersede or revoke {name}."


def _undoes(standing: Consent, permit: Consent, now_s: int) -> bool:
    """Whether `standing` denies everything that `permit` permits, as long as it lasts."""
    if permit.root.effect is Effect.DENY:
        return False
    match = permit.root.match
    within = LABELS.rule(match.labels)
    ends_s = permit.until_s if permit.until_s is not None else MAX_SAFE_INT
    moments = (max(now_s, permit.from_s or 0), ends_s)
    for moment_s, grantee, purpose in product(moments, match.actors, match.purposes or {_ANY_OTHER_PURPOSE}):
        asker = Asker(_forms(grantee), known=KINDS, purposes=(purpose,))
        bound = bind(lambda _: (standing,), asker, moment_s, None)
        if not all(
            bound.barred(permit.patient, scope.type, operation, within)
            for scope in match.scopes
            for operation in scope.operations
        ):
            return False
    return True


def _forms(grantee: str) -> frozenset[str]:
    """The identities of who is meant: a client of one issuer is also the client."""
    return frozenset({grantee, grantee.partition("@")[0]})


def _ref(consent_id: str, receipt: Receipt) -> ConsentRef:
    return ConsentRef(consent_id, receipt.index, b64url(receipt.leaf_hash))
