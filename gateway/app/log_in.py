"""The settings of a provider that people log in at as the value that log-in is done with."""

from __future__ import annotations

from gateway.auth.providers.provider import ClientSecret, Provider
from gateway.config import LoginProvider
from gateway.errors import ConfigError
from gateway.tokens.signer import Signer, read_signer


def provider_of(settings: LoginProvider) -> Provider:
    """Raises ConfigError if the file of its key cannot be used."""
    secret = settings.client_secret
    return Provider(
        name=settings.name,
        title=settings.title,
        issuer=settings.issuer,
        client_id=settings.client_id,
        credentials=_signer(settings) if secret is None else ClientSecret(secret.value),
        scopes=settings.scopes,
        subject_claim=settings.subject_claim,
        fhir_user_base=settings.fhir_user_base,
        second_factors=frozenset(settings.second_factor or ()),
        max_age_s=settings.max_age_s,
        algorithms=settings.algorithms,
        resource=settings.resource,
    )


def _signer(settings: LoginProvider) -> Signer:
    try:
        if settings.client_key is None:
            raise ValueError("there is none")
        return read_signer(settings.client_key)
    except (OSError, ValueError) as error:
        raise ConfigError(f"login_providers: the key of {settings.name} cannot be used: {error}") from error
