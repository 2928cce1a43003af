"""What tokens are bound to: the key that a request proves to hold (RFC 9449 section 5), or the certificate of
its connection (RFC 8705 section 3). A token is bound in one way."""

from __future__ import annotations

from starlette.requests import Request

from gateway.auth.http import certificate_of, proof_of
from gateway.auth.ports import Ports
from gateway.core.smart.client import Client
from gateway.core.smart.dpop import Asked
from gateway.core.values import Confirmation
from gateway.errors import OAuthError, Unauthenticated
from gateway.tokens.proof import prove


def confirmation_of(
    ports: Ports, client: Client, request: Request, path: str, now_s: int
) -> Confirmation | None:
    """What the tokens of a request to our `path` are bound to; None for bearer tokens, which a client that is
    registered for bound ones does not get.

    A proof is used from now on, whatever comes of the request. Raises OAuthError, StateUnavailable.
    """
    header = proof_of(request)
    if client.certificate_bound:
        return _certificate(request, header, now_s)
    if header is None:
        if client.dpop_bound:
            raise OAuthError("invalid_dpop_proof", "The tokens of this client are bound: a proof is needed.")
        return None
    try:
        return prove(header, Asked(request.method, ports.issuer + path), now_s, ports.used_proofs)
    except Unauthenticated as error:
        raise OAuthError("invalid_dpop_proof", error.text) from error


def _certificate(request: Request, header: bytes | None, now_s: int) -> Confirmation:
    if header is not None:
        raise OAuthError("invalid_request", "The tokens of this client are bound to its certificate, no key.")
    certificate = certificate_of(request, now_s)
    if certificate is None:
        raise OAuthError("invalid_request", "The tokens of this client need a TLS certificate of the client.")
    return Confirmation("x5t#S256", certificate.thumbprint)
