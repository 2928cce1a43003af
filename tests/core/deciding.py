"""Short ways to write what `decide` takes: tokens, requests, and the consents at one head."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.core.consent.rule import Consent, State
from gateway.core.decide import decide
from gateway.core.fhir import codec, match
from gateway.core.fhir.addresses import Bases
from gateway.core.fhir.facts import Facts, facts_of
from gateway.core.fhir.request import parse_request
from gateway.core.plan import Deny, Permit
from gateway.core.smart.scopes import parse_scopes
from gateway.core.standing import House, Standing
from gateway.core.values import FhirRequest, Ref, Token
from gateway.mapping import load_catalogue
from tests.core.consent.build import NOW_S

R4 = load_catalogue("R4")
BASES = Bases("https://gw.example/fhir", "http://upstream.internal:8080/fhir")
HOUSE = House(R4, BASES)


@dataclass(frozen=True)
class View:
    """These consents, and no others."""

    given: Sequence[Consent]

    def standing(self, patient: str) -> list[Consent]:
        return [c for c in self.given if c.patient == patient and c.state is not State.SUPERSEDED]

    def get(self, consent_id: str) -> Consent | None:
        return next((c for c in self.given if c.id == consent_id), None)

    def is_revoked(self, issued: tuple[int, str]) -> bool:
        return False

    def by_grantee(self, identity: str) -> frozenset[str]:
        live = (c for c in self.given if c.state is State.LIVE)
        return frozenset(c.patient for c in live if identity in c.root.match.actors)


def token(
    scopes: str = "patient/*.rs",
    patient: str | None = "85",
    *,
    purposes: str = "TREAT",
    user: Ref | None = None,
    client: str = "app-1",
    organization: Ref | None = None,
) -> Token:
    read = parse_scopes(scopes, types=R4.types, evaluable=lambda kind, term: match.evaluable(R4, kind, term))
    return Token(
        issuer="https://idp.example",
        subject="user-1",
        client=client,
        jti="t-1",
        issued_at_s=NOW_S - 10,
        expires_at_s=NOW_S + 300,
        scopes=read.resources,
        purposes=tuple(purposes.split()),
        context=read.context,
        patient=patient,
        fhir_user=user,
        organization=organization,
    )


def request(target: str, method: str = "GET", body: str = "") -> FhirRequest:
    """`Observation?code=1` as the grammar reads it. Raises what the grammar raises."""
    path, _, query = target.partition("?")
    headers = {"content-type": "application/x-www-form-urlencoded"} if body else {}
    return parse_request(
        method,
        b"/" + path.encode(),
        query.encode(),
        headers,
        body.encode(),
        R4,
        own_bases=(BASES.public,),
        max_count=200,
    )


def decided(
    asked: str | FhirRequest, who: Token, given: Iterable[Consent], *, now_s: int = NOW_S
) -> Permit | Deny:
    wanted = request(asked) if isinstance(asked, str) else asked
    return decide(wanted, Standing(who, View(tuple(given)), HOUSE, now_s))


def seen(raw: bytes, outcome: Permit | Deny) -> bool:
    """Whether the judge of a permit shows this resource."""
    if isinstance(outcome, Deny):
        return False
    return outcome.plan.judge(facts(raw), lambda: codec.parse(raw)).visible


def facts(raw: bytes) -> Facts:
    return facts_of(raw, R4, BASES)
