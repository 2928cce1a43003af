"""Keys at the authorization server's endpoints: what a DPoP header of a request says (RFC 9449 section 5)."""

from __future__ import annotations

from starlette.requests import Request

from gateway.auth.http import proof_of
from gateway.auth.ports import Ports
from gateway.core.smart.dpop import Asked
from gateway.errors import OAuthError, Unauthenticated
from gateway.tokens.proof import prove


def key_of(ports: Ports, request: Request, path: str, now_s: int) -> str | None:
    """The thumbprint of the key that a request to our `path` proves to hold; None if it shows no proof.

    The proof is used from now on, whatever comes of the request. Raises OAuthError invalid_dpop_proof,
    StateUnavailable.
    """
    header = proof_of(request)
    if header is None:
        return None
    try:
        return prove(header, Asked(request.method, ports.issuer + path), now_s, ports.used_proofs)
    except Unauthenticated as error:
        raise OAuthError("invalid_dpop_proof", error.text) from error
