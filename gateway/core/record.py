"""What the ledger keeps of one read: the hidden facts of its entries (docs/formats.md, entry types).

One entry for each patient whose records were released, in one batch under one request id; records that
belong to nobody go under the token's patient, or the organisation. A denial has no result data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from gateway.core.canon import Json, sha256_text
from gateway.core.fhir.release import Candidate, lines_of_versions
from gateway.core.values import ConsentRef, FhirRequest, Token


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry to be sealed. `patient` None: under the organisation's key. Holds patient data: no repr.

    The facts `ms` and those that hold the digests of `attachments` are added by who seals it.
    """

    kind: str
    patient: str | None
    facts: Mapping[str, Json] = field(repr=False)
    attachments: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Occasion:
    """What every entry of one request shares. `at_s` is when the request was decided, in seconds since the
    epoch; an entry has the time of its own making, which is later by as long as the upstream took."""

    request_id: str
    at_s: int
    policy: str
    token: Token

    def common(self, patient: str | None) -> dict[str, Json]:
        facts: dict[str, Json] = {
            "rid": self.request_id,
            "pol": self.policy,
            "cli": self.token.client,
            "act": str(self.token.fhir_user or f"{self.token.subject}@{self.token.issuer}"),
        }
        if patient is not None:
            facts["pat"] = f"Patient/{patient}"
        return facts

    @property
    def bearer(self) -> Json:
        """The token that was shown: the entry of its issue, or the digest of another issuer's."""
        issued = self.token.issued
        return [*issued] if issued is not None else f"sha256:{self.token.digest.hex()}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is about to leave: status, body with its SHA-256, and the released resources. `consents` is by
    patient: the entry of the consent that let the records go."""

    status: int
    body: bytes = field(repr=False)
    digest: bytes
    candidates: Sequence[Candidate]
    consents: Mapping[str, ConsentRef]


def permit_drafts(occasion: Occasion, request: FhirRequest, outcome: Outcome) -> list[Draft]:
    """The `read.permit` entries of one answer. The digest of what is attached is added when one is sealed."""
    shared: dict[str, Json] = {
        "int": str(request.interaction),
        "pou": [*occasion.token.purposes],
        "q": sha256_text(normal_query(request).encode()),
        "st": outcome.status,
        "len": len(outcome.body),
        "bd": f"sha256:{outcome.digest.hex()}",
        "tok": occasion.bearer,
    }
    drafts = []
    for patient, candidates in _by_patient(outcome.candidates, occasion.token.patient).items():
        facts = occasion.common(patient)
        facts.update(shared)
        facts["con"] = _entry(outcome.consents.get(patient or ""))
        facts["rty"] = _counts(candidates)
        drafts.append(Draft("read.permit", patient, facts, {"rids": lines_of_versions(candidates)}))
    return drafts


def deny_drafts(
    occasion: Occasion, interaction: str, reason: str, consents: Mapping[str, ConsentRef]
) -> list[Draft]:
    """The `read.deny` entries of a request that got nothing: one for the patient in context, and one for
    each whose consent decided, as it is by patient in `consents`. Nobody's entry tells of another's consent.
    """
    context = () if occasion.token.patient is None else (occasion.token.patient,)
    patients: list[str | None] = [*dict.fromkeys((*context, *consents))]
    return [
        Draft(
            "read.deny",
            patient,
            {
                **occasion.common(patient),
                "int": interaction,
                "rsn": reason,
                "con": _entry(consents.get(patient or "")),
                "tok": occasion.bearer,
            },
        )
        for patient in patients or [None]
    ]


def normal_query(request: FhirRequest) -> str:
    """The request in one spelling: what it addressed and its own query, as parsed."""
    parts = (request.type, request.id, request.version)
    where = "/".join([part for part in parts if part is not None])
    return f"{where}?{urlencode(request.query)}" if request.query else f"{where}?"


def _counts(candidates: Sequence[Candidate]) -> dict[str, Json]:
    """How many of each type."""
    if len(candidates) == 1:
        return {candidates[0].facts.type: 1}
    return dict(sorted(Counter([candidate.facts.type for candidate in candidates]).items()))


def _by_patient(candidates: Sequence[Candidate], context: str | None) -> dict[str | None, list[Candidate]]:
    found: dict[str | None, list[Candidate]] = {}
    for candidate in candidates:
        owners = candidate.facts.owners
        for patient in sorted(owners) if owners else (context,):
            found.setdefault(patient, []).append(candidate)
    return found or {context: []}


def _entry(ref: ConsentRef | None) -> Json:
    return None if ref is None else [ref.entry, ref.hash]
