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
from gateway.core.fhir.candidate import Candidate
from gateway.core.plan import Deny
from gateway.core.released import ConsentOf, Lines
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

    @property
    def asker(self) -> dict[str, str]:
        """As whom, from where and for which case a token of another issuer was shown; the entry of the issue
        of one of our own says so."""
        token = self.token
        named = {"rol": token.role, "org": token.organization, "cas": token.root}
        return {name: str(value) for name, value in named.items() if value and token.issued is None}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is about to leave: status, body with its SHA-256, and the released resources; `study` is the one
    for which they leave under other names."""

    status: int
    body: bytes = field(repr=False)
    digest: bytes
    candidates: Sequence[Candidate]
    study: str | None = None


def permit_drafts(
    occasion: Occasion, request: FhirRequest, outcome: Outcome, consent_of: ConsentOf
) -> list[Draft]:
    """The `read.permit` entries of one answer. The digest of what is attached is added when one is sealed."""
    words = {"rol": "AS", "org": "OF", "cas": "IN"}
    bearer = tuple(word for name, value in occasion.asker.items() for word in (words[name], value))
    if outcome.study is not None:
        bearer += ("STUDY", outcome.study)
    shared: dict[str, Json] = {
        "int": str(request.interaction),
        "pou": [*occasion.token.purposes],
        "q": _query_digest(request),
        "st": outcome.status,
        "len": len(outcome.body),
        "bd": f"sha256:{outcome.digest.hex()}",
        "tok": occasion.bearer,
    }
    drafts = []
    for patient, candidates in _by_patient(outcome.candidates, occasion.token.patient).items():
        lines = Lines(patient, consent_of, bearer)
        consent = lines.consent(candidates)
        facts = occasion.common(patient)
        facts.update(shared)
        facts["con"] = _entry(consent)
        facts["rty"] = _counts(candidates)
        drafts.append(Draft("read.permit", patient, facts, {"rids": lines.text(candidates, consent)}))
    return drafts


def deny_draft(occasion: Occasion, request: FhirRequest | None, denial: Deny, consent_of: ConsentOf) -> Draft:
    """The `read.deny` entry of a request that got nothing; None: it was refused as it stood. There is one
    entry, whatever was hidden, since its receipt goes to who asked: it is the patient's whose consent
    decided, and theirs in context if that was one of several, or none."""
    found = [consent_of(node.consent_id) for node in denial.because]
    deciding = [consent.patient for consent in found if consent is not None]
    context = occasion.token.patient
    patient = context if context in deciding or not deciding else deciding[0]
    lines = Lines(patient, consent_of)
    facts: dict[str, Json] = {
        **occasion.common(patient),
        **occasion.asker,
        "int": "refused" if request is None else str(request.interaction),
        "pou": [*occasion.token.purposes],
        "rsn": denial.reason,
        "con": _entry(lines.named(denial.because)),
        "tok": occasion.bearer,
    }
    if request is not None:
        facts["q"] = _query_digest(request)
    nodes = lines.nodes(denial.because)
    if nodes:
        facts["by"] = [*nodes]
    return Draft("read.deny", patient, facts)


def _query_digest(request: FhirRequest) -> str:
    return sha256_text(normal_query(request).encode())


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
