"""Whether an authority vouches for a client's certificate: a chain to one that is trusted (RFC 5280).

It is built here, however the certificate came, so that nothing hangs on what a proxy before us asks of
certificates, or on certificates that are trusted for themselves alone. Lists of revoked certificates are not
asked: a client is disabled by its registration.
"""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from gateway.tokens.certificate import Certificate

USAGES = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}


class Authorities:
    """At least one: roots, and the intermediate ones that their clients' certificates are from."""

    def __init__(self, certificates: list[x509.Certificate]) -> None:
        self._store = Store(certificates)

    def vouch_for(self, certificate: Certificate, now_s: int) -> bool:
        """Whether one of them vouches for the certificate of a client at `now_s`."""
        policy = PolicyBuilder().store(self._store).time(datetime.fromtimestamp(now_s, UTC))
        verifier = policy.extension_policies(ee_policy=_CLIENT, ca_policy=_AUTHORITY).build_client_verifier()
        try:
            chain = verifier.verify(certificate.x509, []).chain
        except (VerificationError, ValueError):
            return False
        return len(chain) > 1  # an authority's own certificate is nobody's proof of who they are


def read_authorities(pem: bytes) -> Authorities | None:
    """Those of a file, in which there may be certificates of others too; None if there are only these. Raises
    ValueError."""
    found = [each for each in x509.load_pem_x509_certificates(pem) if _is_authority(each)]
    return Authorities(found) if found else None


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _check_usage(_: Policy, __: x509.Certificate, usage: x509.ExtendedKeyUsage | None) -> None:
    if usage is not None and not USAGES & set(usage):
        raise ValueError("the certificate is not one for clients")


def _check_authority(_: Policy, __: x509.Certificate, constraints: x509.BasicConstraints) -> None:
    if not constraints.ca:
        raise ValueError("the certificate is not an authority's")


def _check_signs(_: Policy, __: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("the certificate's key does not sign certificates")


# Certificates of a site's own authority often lack what the web's must have (CA/Browser Forum).
_CLIENT = ExtensionPolicy.permit_all().may_be_present(
    x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _check_usage
)
_AUTHORITY = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _check_authority)
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _check_signs)
)
