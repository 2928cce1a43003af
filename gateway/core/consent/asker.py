"""Who asks, as consents name them: the client, user and organisation of a token."""

from __future__ import annotations

from gateway.core.consent.rule import CLIENT, ORGANIZATION, PRACTITIONER, client_identities
from gateway.core.consent.verdict import Asker
from gateway.core.values import Token


def asker_of(token: Token) -> Asker:
    """The asker whom `token` stands for. Raises ValueError for a client that could be another issuer's."""
    identities, known = set(client_identities(token.client, token.issuer)), {CLIENT}
    user = token.fhir_user
    # A PractitionerRole or Person may stand for any practitioner; a patient or relative is none.
    if user is not None and user.type in ("Practitioner", "Patient", "RelatedPerson"):
        known.add(PRACTITIONER)
    if user is not None and user.type == "Practitioner":
        identities.add(f"{PRACTITIONER}:{user.id}")
    if token.organization is not None:
        known.add(ORGANIZATION)
        identities.add(f"{ORGANIZATION}:{token.organization.id}")
    return Asker(
        identities=frozenset(identities),
        known=frozenset(known),
        self_patient=user.id if user is not None and user.type == "Patient" else None,
        purposes=token.purposes,
    )
