"""Clients that prove who they are by the certificate of their TLS connection (RFC 8705 section 2).

    tls_client_auth               an authority's, with the subject or name that is registered
    self_signed_tls_client_auth   the client's own, which is registered itself

TLS has shown that the client holds the certificate's key. A subject says something only if an authority is
answerable for it; a certificate that is registered itself, byte for byte, needs none.
"""

from __future__ import annotations

import ipaddress
from base64 import b64decode
from collections.abc import Callable, Iterable
from typing import Any, Final

from cryptography import x509
from jwcrypto.common import JWException
from jwcrypto.jwk import JWK

from gateway.core.smart.client import Client
from gateway.core.smart.client_keys import PublicKey
from gateway.tokens.certificate import Certificate
from gateway.tokens.vouching import Authorities

Matches = Callable[[x509.Certificate, str], bool]

# Attributes of names that RFC 4514 gives no short form, and that certificates of people and machines have.
NAMES: Final = {
    "emailAddress": x509.NameOID.EMAIL_ADDRESS,
    "serialNumber": x509.NameOID.SERIAL_NUMBER,
    "organizationIdentifier": x509.NameOID.ORGANIZATION_IDENTIFIER,
}


def is_subject(client: Client, certificate: Certificate, authorities: Authorities, now_s: int) -> bool:
    """Whether an authority says that the certificate is that of the subject which the client registered."""
    if client.certificate_subject is None or not authorities.vouch_for(certificate, now_s):
        return False
    name, value = client.certificate_subject
    try:
        return SUBJECTS[name](certificate.x509, value)
    except ValueError:  # a subject or name that is none by RFC 5280
        return False


def check_subject(client: Client) -> None:
    """Raises ValueError if no certificate could have the subject that the client registers."""
    if client.certificate_subject is not None:
        name, value = client.certificate_subject
        if name == "tls_client_auth_subject_dn":
            _distinguished(value)
        elif name == "tls_client_auth_san_ip":
            ipaddress.ip_address(value)


def check_certified(key: PublicKey) -> None:
    """Raises ValueError unless the key's certificate can be read, and is the key's (RFC 7517 section 4.7)."""
    try:
        certificate = Certificate(b64decode(key.certificate or "", validate=True))
        named = JWK(kty=key.kty, **dict(key.members)).thumbprint()
        same = JWK.from_pyca(certificate.x509.public_key()).thumbprint() == named
    except JWException as error:
        raise ValueError("a key is no sound one") from error
    if not same:
        raise ValueError("a certificate is not that of its key")


def _distinguished(text: str) -> x509.Name:
    """A name in RFC 4514's form. Raises ValueError."""
    name = x509.Name.from_rfc4514_string(text, {**NAMES})
    if not name.rdns:
        raise ValueError("the name is empty")
    return name


def _has_name(certificate: x509.Certificate, value: str) -> bool:
    """Attribute by attribute and letter for letter, in their order."""
    return certificate.subject == _distinguished(value)


def _has_host(certificate: x509.Certificate, value: str) -> bool:
    return value.lower() in (name.lower() for name in _names(certificate, x509.DNSName))


def _has_uri(certificate: x509.Certificate, value: str) -> bool:
    return value in _names(certificate, x509.UniformResourceIdentifier)


def _has_address(certificate: x509.Certificate, value: str) -> bool:
    """Compared as addresses, not as text (RFC 5952 section 8)."""
    return ipaddress.ip_address(value) in _names(certificate, x509.IPAddress)


def _has_mailbox(certificate: x509.Certificate, value: str) -> bool:
    """The host in any case, what is before it letter for letter (RFC 5280 section 7.5)."""
    return _mailbox(value) in map(_mailbox, _names(certificate, x509.RFC822Name))


def _mailbox(text: str) -> tuple[str, str]:
    before, _, host = text.rpartition("@")
    return before, host.lower()


def _names(certificate: x509.Certificate, kind: type[x509.GeneralName]) -> Iterable[Any]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return [name.value for name in names if isinstance(name, kind)]


SUBJECTS: Final[dict[str, Matches]] = {
    "tls_client_auth_subject_dn": _has_name,
    "tls_client_auth_san_dns": _has_host,
    "tls_client_auth_san_uri": _has_uri,
    "tls_client_auth_san_ip": _has_address,
    "tls_client_auth_san_email": _has_mailbox,
}
