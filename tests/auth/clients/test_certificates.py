"""Clients that prove who they are by a certificate: which one it is for each way to register it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from gateway.errors import OAuthError
from gateway.tokens.vouching import read_authorities
from tests.auth.registry import JWKS, NOW_S, Registry, basic, make_registry
from tests.support.certificates import Issued, address, common, host, issued, name

OID = x509.NameOID
SUBJECT = name((OID.COUNTRY_NAME, "SE"), (OID.ORGANIZATION_NAME, "Lab, North"), (OID.COMMON_NAME, "svc"))
TOP = issued("Top", authority=True, now_s=NOW_S)
NAMES = [
    host("svc.example"),
    host("alias.example"),
    address("192.0.2.7"),
    address("2001:db8::7"),
    x509.UniformResourceIdentifier("urn:example:svc"),
    x509.RFC822Name("Ops@svc.example"),
]
MINE = issued(SUBJECT, TOP, now_s=NOW_S, names=NAMES)
OWN, NEXT = issued(SUBJECT, now_s=NOW_S, names=NAMES), issued("next", now_s=NOW_S)
NAMELESS = issued(SUBJECT, TOP, now_s=NOW_S)

SERVICE: dict[str, Any] = {
    "client_name": "Service",
    "grant_types": ["client_credentials"],
    "scope": "system/*.rs",
}
VOUCHED = {**SERVICE, "token_endpoint_auth_method": "tls_client_auth"}
SELF = {**SERVICE, "token_endpoint_auth_method": "self_signed_tls_client_auth"}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = make_registry(tmp_path)
    made.ports = replace(made.ports, certificates=True, authorities=read_authorities(TOP.pem))
    yield made
    made.database.close()


async def comes(registry: Registry, shown: Issued | None, client: str = "svc", **form: str) -> str:
    certificate = None if shown is None else shown.certificate
    return (await registry.authenticate({"client_id": client, **form}, certificate=certificate)).id


async def refused(registry: Registry, shown: Issued | None, client: str = "svc", **form: str) -> None:
    with pytest.raises(OAuthError) as caught:
        await comes(registry, shown, client, **form)
    expected = ("invalid_client", 400, "The client is not known, or has to authenticate.")
    assert (caught.value.error, caught.value.status, caught.value.text) == expected


# --- By an authority's word -----------------------------------------------------------------------------

SUBJECTS = {
    "the name": ("tls_client_auth_subject_dn", "CN=svc,O=Lab\\, North,C=SE"),
    "a host": ("tls_client_auth_san_dns", "svc.example"),
    "another host": ("tls_client_auth_san_dns", "alias.example"),
    "a host in capitals": ("tls_client_auth_san_dns", "SVC.Example"),
    "an address": ("tls_client_auth_san_ip", "192.0.2.7"),
    "an address of IPv6": ("tls_client_auth_san_ip", "2001:db8::7"),
    "an address in full": ("tls_client_auth_san_ip", "2001:0DB8:0:0:0:0:0:7"),
    "a URI": ("tls_client_auth_san_uri", "urn:example:svc"),
    "a mailbox": ("tls_client_auth_san_email", "Ops@svc.example"),
    "a mailbox, its host in capitals": ("tls_client_auth_san_email", "Ops@SVC.example"),
}
OTHERS = {
    "the name in another order": ("tls_client_auth_subject_dn", "C=SE,O=Lab\\, North,CN=svc"),
    "a part of the name": ("tls_client_auth_subject_dn", "CN=svc"),
    "the name and more": ("tls_client_auth_subject_dn", "CN=svc,OU=x,O=Lab\\, North,C=SE"),
    "the name in capitals": ("tls_client_auth_subject_dn", "CN=SVC,O=Lab\\, North,C=SE"),
    "the authority's name": ("tls_client_auth_subject_dn", "CN=Top"),
    "another host": ("tls_client_auth_san_dns", "svc.example.org"),
    "a host above": ("tls_client_auth_san_dns", "example"),
    "all hosts": ("tls_client_auth_san_dns", "*.example"),
    "the common name as a host": ("tls_client_auth_san_dns", "svc"),
    "a mailbox as a host": ("tls_client_auth_san_dns", "Ops@svc.example"),
    "an address as a host": ("tls_client_auth_san_dns", "192.0.2.7"),
    "another address": ("tls_client_auth_san_ip", "192.0.2.8"),
    "a URI in capitals": ("tls_client_auth_san_uri", "urn:example:SVC"),
    "a host as a URI": ("tls_client_auth_san_uri", "svc.example"),
    "another mailbox": ("tls_client_auth_san_email", "ops@svc.example"),
    "a host of mailboxes": ("tls_client_auth_san_email", "svc.example"),
}


@pytest.mark.parametrize("case", SUBJECTS)
async def test_the_subject_that_is_registered_is_the_clients(registry: Registry, case: str) -> None:
    await registry.add("svc", {**VOUCHED, **dict([SUBJECTS[case]])})
    assert await comes(registry, MINE) == "svc"
    await refused(registry, OWN)
    await refused(registry, None)


@pytest.mark.parametrize("case", OTHERS)
async def test_no_other_subject_is(registry: Registry, case: str) -> None:
    await registry.add("svc", {**VOUCHED, **dict([OTHERS[case]])})
    await refused(registry, MINE)


@pytest.mark.parametrize("case", [name for name, (kind, _) in SUBJECTS.items() if "san" in kind])
async def test_a_certificate_without_the_name_is_anothers(registry: Registry, case: str) -> None:
    await registry.add("svc", {**VOUCHED, **dict([SUBJECTS[case]])})
    await refused(registry, NAMELESS)


async def test_names_that_rfc_4514_has_no_short_form_for(registry: Registry) -> None:
    subject = name((OID.COMMON_NAME, "svc"), (OID.SERIAL_NUMBER, "5560"), (OID.EMAIL_ADDRESS, "a@b.example"))
    mine = issued(subject, TOP, now_s=NOW_S)
    for number, spelled in enumerate(
        (
            "emailAddress=a@b.example,serialNumber=5560,CN=svc",
            "1.2.840.113549.1.9.1=a@b.example,2.5.4.5=5560,CN=svc",
        )
    ):
        await registry.add(f"svc-{number}", {**VOUCHED, "tls_client_auth_subject_dn": spelled})
        assert await comes(registry, mine, f"svc-{number}") == f"svc-{number}"
        await refused(registry, MINE, f"svc-{number}")


async def test_its_word_counts_while_it_does(registry: Registry) -> None:
    """Whoever looks at the certificate's own times does so before: see `test_certificate`."""
    await registry.add("svc", {**VOUCHED, **dict([SUBJECTS["a host"]])})
    registry.now_s = NOW_S + 86_401
    await refused(registry, MINE)


async def test_without_authorities_nobody_is_vouched_for(registry: Registry) -> None:
    await registry.add("svc", {**VOUCHED, **dict([SUBJECTS["a host"]])})
    registry.ports = replace(registry.ports, authorities=None)
    await refused(registry, MINE)


async def test_a_disabled_client_and_one_that_is_not_known_look_alike(registry: Registry) -> None:
    await registry.add("svc", {**VOUCHED, **dict([SUBJECTS["a host"]])})
    await registry.clients.set_disabled("svc", True, NOW_S)
    await refused(registry, MINE)
    await refused(registry, MINE, "nobody")


async def test_a_certificate_proves_nothing_for_another_method(registry: Registry) -> None:
    await registry.add(
        "app", {"client_name": "App", "redirect_uris": ["https://app.example/cb"]}, secret="s" * 43
    )
    await refused(registry, MINE, "app")
    assert (
        await registry.authenticate({}, [basic("app", "s" * 43)], certificate=MINE.certificate)
    ).id == "app"


async def test_a_secret_beside_a_certificate_is_another_method(registry: Registry) -> None:
    await registry.add("svc", {**VOUCHED, **dict([SUBJECTS["a host"]])})
    with pytest.raises(OAuthError, match="secret is not right"):
        await comes(registry, MINE, client_secret="s" * 43)


# --- Its own --------------------------------------------------------------------------------------------


async def test_a_certificate_that_is_registered_is_proof(registry: Registry) -> None:
    await registry.add("svc", {**SELF, "jwks": {"keys": [OWN.jwk("a"), NEXT.jwk("b")]}})
    for shown in (OWN, NEXT):
        assert await comes(registry, shown) == "svc"
    again = Issued(issued(SUBJECT, now_s=NOW_S, names=NAMES).x509, OWN.key)
    for other in (None, MINE, again):
        await refused(registry, other)


async def test_another_certificate_of_the_same_key_is_not(registry: Registry) -> None:
    await registry.add("svc", {**SELF, "jwks": {"keys": [OWN.jwk()]}})
    renewed = (
        x509.CertificateBuilder()
        .subject_name(common("renewed"))
        .issuer_name(common("renewed"))
        .public_key(OWN.key.public_key())
        .serial_number(7)
        .not_valid_before(OWN.x509.not_valid_before_utc)
        .not_valid_after(OWN.x509.not_valid_after_utc)
        .sign(OWN.key, hashes.SHA256())
    )
    await refused(registry, Issued(renewed, OWN.key))


async def test_published_certificates_are_looked_for_again(registry: Registry) -> None:
    await registry.add("svc", {**SELF, "jwks_uri": JWKS})
    registry.trusted.put(OWN.jwk())
    assert await comes(registry, OWN) == "svc"
    await refused(registry, NEXT)
    registry.trusted.put(OWN.jwk(), NEXT.jwk("next"))
    registry.now_s += 60
    assert await comes(registry, NEXT) == "svc"
    registry.trusted.answers.clear()
    registry.now_s += 1000
    with pytest.raises(OAuthError, match="not to be had now"):
        await comes(registry, OWN)


BAD_CHAINS: dict[str, Any] = {
    "none": None,
    "empty": [],
    "no list": "x",
    "no text": [1],
    "not base64": ["-"],
    "another's": [b64encode(NEXT.der).decode()],
}


@pytest.mark.parametrize("case", BAD_CHAINS)
async def test_a_published_key_without_the_certificate_is_no_proof(registry: Registry, case: str) -> None:
    await registry.add("svc", {**SELF, "jwks_uri": JWKS})
    registry.trusted.put({**OWN.jwk(), "x5c": BAD_CHAINS[case]})
    await refused(registry, OWN)


# --- Registering ----------------------------------------------------------------------------------------

LONE = {**OWN.jwk(), "x5c": [b64encode(NEXT.der).decode()]}
UNREGISTRABLE: dict[str, dict[str, Any]] = {
    "no subject": VOUCHED,
    "two subjects": {
        **VOUCHED,
        "tls_client_auth_san_dns": "a.example",
        "tls_client_auth_san_ip": "192.0.2.7",
    },
    "a subject that is no text": {**VOUCHED, "tls_client_auth_san_dns": ["a.example"]},
    "an empty subject": {**VOUCHED, "tls_client_auth_san_dns": ""},
    "a name that is none": {**VOUCHED, "tls_client_auth_subject_dn": "svc"},
    "an empty name": {**VOUCHED, "tls_client_auth_subject_dn": " "},
    "a name with spaces between": {**VOUCHED, "tls_client_auth_subject_dn": "CN=svc, C=SE"},
    "an address that is none": {**VOUCHED, "tls_client_auth_san_ip": "svc.example"},
    "a subject and keys": {**VOUCHED, "tls_client_auth_san_dns": "a.example", "jwks": {"keys": [OWN.jwk()]}},
    "a subject for another method": {**SELF, "tls_client_auth_san_dns": "a.example", "jwks_uri": JWKS},
    "no certificate": SELF,
    "a key without one": {**SELF, "jwks": {"keys": [{**OWN.jwk(), "x5c": None}]}},
    "a certificate of another key": {**SELF, "jwks": {"keys": [LONE]}},
    "a certificate that is none": {**SELF, "jwks": {"keys": [{**OWN.jwk(), "x5c": ["AAAA"]}]}},
    "certificates and an address": {**SELF, "jwks": {"keys": [OWN.jwk()]}, "jwks_uri": JWKS},
    "tokens bound in two ways": {
        **SELF,
        "jwks_uri": JWKS,
        "dpop_bound_access_tokens": True,
        "tls_client_certificate_bound_access_tokens": True,
    },
    "bound as a text": {**SELF, "jwks_uri": JWKS, "dpop_bound_access_tokens": "true"},
    "bound as a number": {**SELF, "jwks_uri": JWKS, "tls_client_certificate_bound_access_tokens": 1},
}


@pytest.mark.parametrize("case", UNREGISTRABLE)
async def test_what_could_prove_nothing_is_not_registered(registry: Registry, case: str) -> None:
    with pytest.raises(OAuthError) as caught:
        await registry.add("svc", UNREGISTRABLE[case])
    assert caught.value.error == "invalid_client_metadata"
    assert await registry.clients.find("svc") is None
