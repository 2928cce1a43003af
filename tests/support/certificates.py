"""Certificates of every make: of authorities, of clients that they vouch for, and of other clients."""

from __future__ import annotations

import datetime
import ipaddress
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwcrypto.jwk import JWK

from gateway.core.canon import b64url
from gateway.tokens.certificate import Certificate

DAY_S = 86_400


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key."""

    x509: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def der(self) -> bytes:
        return self.x509.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.x509.public_bytes(serialization.Encoding.PEM)

    @cached_property
    def certificate(self) -> Certificate:
        return Certificate(self.der)

    @property
    def thumbprint(self) -> str:
        return b64url(sha256(self.der).digest())

    @property
    def header(self) -> str:
        """As a proxy sends it (RFC 9440)."""
        return f":{b64encode(self.der).decode()}:"

    def jwk(self, kid: str = "tls") -> dict[str, object]:
        members: dict[str, object] = JWK.from_pyca(self.key.public_key()).export_public(as_dict=True)
        return {**members, "kid": kid, "x5c": [b64encode(self.der).decode()]}

    def file(self, folder: Path, name: str) -> Path:
        """A file with the key and the certificate."""
        private = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = folder / f"{name}.pem"
        path.write_bytes(private + self.pem)
        return path


def name(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in attributes])


def common(text: str) -> x509.Name:
    return name((x509.NameOID.COMMON_NAME, text))


def issued(
    subject: x509.Name | str,
    by: Issued | None = None,
    *,
    authority: bool = False,
    now_s: int | None = None,
    lives_s: int = DAY_S,
    names: Sequence[x509.GeneralName] = (),
    usage: x509.ObjectIdentifier | None = None,
) -> Issued:
    """One that lives from an hour before `now_s` on (None: this machine's); without `by` its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = common(subject) if isinstance(subject, str) else subject
    now = datetime.datetime.now(datetime.UTC) if now_s is None else _at(now_s)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if by is None else by.x509.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(seconds=lives_s))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return Issued(builder.sign(key if by is None else by.key, hashes.SHA256()), key)


def host(text: str) -> x509.DNSName:
    return x509.DNSName(text)


def address(text: str) -> x509.IPAddress:
    return x509.IPAddress(ipaddress.ip_address(text))


def _at(now_s: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(now_s, datetime.UTC)
