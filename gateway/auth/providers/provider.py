"""An OpenID Connect provider that people log in at, as the operator configured it, and who of its accounts
is whom of our people.

Nobody is made by logging in: an account there is a person here if it was linked, or if the provider may name
our people's FHIR resources and names one that is exactly one person's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlmodel import Session

from gateway.auth.store import links
from gateway.auth.store.links import Named
from gateway.auth.store.people import Account
from gateway.core.smart import kinds
from gateway.core.smart.id_token import LoggedIn
from gateway.core.smart.issuers import ALGORITHMS
from gateway.errors import Unauthenticated
from gateway.tokens.signer import Signer

SUBJECT = "sub"


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """What we prove to a provider with who we are, by HTTP Basic (RFC 6749 section 2.3.1)."""

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Provider:
    """`name` is in addresses, `title` on pages; a `Signer` proves us by private_key_jwt. `fhir_user_base` is
    the FHIR base whose people are ours by the same ids; `second_factors` are the values of `amr` and `acr`
    that stand for two factors; `resource` is sent along, if the provider wants it (RFC 8707)."""

    name: str
    title: str
    issuer: str
    client_id: str
    credentials: ClientSecret | Signer = field(repr=False)
    scopes: tuple[str, ...] = ("openid",)
    subject_claim: str = SUBJECT
    fhir_user_base: str | None = None
    second_factors: frozenset[str] = frozenset()
    max_age_s: int | None = None
    algorithms: tuple[str, ...] = ALGORITHMS
    resource: str | None = None

    def auth_after_s(self, wanted_s: int, now_s: int) -> int:
        """From when a log-in must be: for what waits, and by our own rule."""
        return max(wanted_s, 0 if self.max_age_s is None else now_s - self.max_age_s)

    def saw_two_factors(self, who: LoggedIn) -> bool:
        return not self.second_factors.isdisjoint(who.methods)

    def person(self, session: Session, who: LoggedIn) -> Account | None:
        """The person of an account there, disabled or not. Raises Unauthenticated for a claim that is not
        what it must be."""
        name = self._name(who)
        found = None if name is None else links.linked(session, name)
        if found is not None:
            return found
        return next((links.by_user(session, user) for user in self._users(who)), None)

    def spelled(self, who: LoggedIn) -> str:
        """The account there, as `consentry user link` takes it; its subject if it has no such name."""
        name = self._name(who)
        return who.subject if name is None else name.subject

    def _name(self, who: LoggedIn) -> Named | None:
        claim = self.subject_claim
        if claim == SUBJECT:
            return Named(self.issuer, claim, who.subject)
        if claim not in who.claims:
            return None
        # OpenID Connect Core section 5.1: anybody can say that an address is theirs until it is verified.
        if claim == "email" and who.claims.get("email_verified") is not True:
            return None
        try:
            return Named(self.issuer, claim, kinds.name(who.claims[claim]))
        except kinds.Wrong as wrong:
            raise Unauthenticated(f"The token's claim {claim} {wrong}.") from wrong

    def _users(self, who: LoggedIn) -> Iterator[str]:
        if self.fhir_user_base is None or "fhirUser" not in who.claims:
            return
        try:
            yield str(kinds.fhir_user(who.claims["fhirUser"], self.fhir_user_base))
        except kinds.Wrong as wrong:
            raise Unauthenticated(f"The token's claim fhirUser {wrong}.") from wrong
