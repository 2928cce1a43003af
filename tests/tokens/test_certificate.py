"""Certificates of clients: what is one, when it is in force, and which authorities vouch for it."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.tokens.certificate import Certificate, in_force
from gateway.tokens.vouching import Authorities, read_authorities
from tests.support.certificates import DAY_S, Issued, issued

NOW_S = 1_800_000_000
TOP = issued("Top", authority=True, now_s=NOW_S, lives_s=10 * DAY_S)
BETWEEN = issued("Between", TOP, authority=True, now_s=NOW_S)
CLIENT = issued("client", TOP, now_s=NOW_S)
BELOW = issued("below", BETWEEN, now_s=NOW_S)
OWN = issued("client", now_s=NOW_S)
CLERK = issued("clerk", CLIENT, now_s=NOW_S)
NAMESAKE = issued("Top", authority=True, now_s=NOW_S)
FORGED = issued("client", NAMESAKE, now_s=NOW_S)


def test_its_thumbprint_is_of_all_its_bytes() -> None:
    expected = urlsafe_b64encode(sha256(CLIENT.der).digest()).rstrip(b"=").decode()
    assert CLIENT.certificate.thumbprint == expected
    assert OWN.certificate.thumbprint != expected


@pytest.mark.parametrize(
    "der", [b"", b"\x30\x00", CLIENT.der[:-1], CLIENT.der + b"\0", CLIENT.pem, CLIENT.der * 2]
)
def test_what_is_no_certificate(der: bytes) -> None:
    with pytest.raises(ValueError):
        Certificate(der)
    assert in_force(der, NOW_S) is None


@pytest.mark.parametrize(
    ("at_s", "counts"),
    [(-3601, False), (-3600, True), (0, True), (DAY_S, True), (DAY_S + 1, False)],
    ids=["before", "at its begin", "between", "at its end", "after"],
)
def test_it_is_in_force_between_its_times(at_s: int, counts: bool) -> None:
    assert (in_force(CLIENT.der, NOW_S + at_s) is not None) is counts
    assert in_force(None, NOW_S + at_s) is None


def authorities(*trusted: Issued) -> Authorities:
    found = read_authorities(b"".join(each.pem for each in trusted))
    assert found is not None
    return found


VOUCHED: dict[str, tuple[Issued, list[Issued]]] = {
    "by the top": (CLIENT, [TOP]),
    "by one of several": (CLIENT, [NAMESAKE, TOP]),
    "by one between, with the top": (BELOW, [TOP, BETWEEN]),
    "by one between, trusted for itself": (BELOW, [BETWEEN]),
    "beside one that a client has made": (CLIENT, [TOP, OWN]),
    "for clients": (issued("c", TOP, now_s=NOW_S, usage=ExtendedKeyUsageOID.CLIENT_AUTH), [TOP]),
}


@pytest.mark.parametrize("name", VOUCHED)
def test_an_authority_vouches_for_its_clients(name: str) -> None:
    client, trusted = VOUCHED[name]
    assert authorities(*trusted).vouch_for(client.certificate, NOW_S)


REFUSED: dict[str, tuple[Issued, list[Issued]]] = {
    "by another": (CLIENT, [NAMESAKE]),
    "by one of the same name": (FORGED, [TOP]),
    "by itself": (OWN, [TOP]),
    "by itself, though listed": (OWN, [TOP, OWN]),
    "the authority's own": (TOP, [TOP]),
    "by one between that is missing": (BELOW, [TOP]),
    "by a client": (CLERK, [TOP]),
    "by a client that is listed": (CLERK, [TOP, CLIENT]),
    "for servers": (issued("s", TOP, now_s=NOW_S, usage=ExtendedKeyUsageOID.SERVER_AUTH), [TOP]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_for_nobody_else(name: str) -> None:
    client, trusted = REFUSED[name]
    assert not authorities(*trusted).vouch_for(client.certificate, NOW_S)


@pytest.mark.parametrize(
    ("at_s", "vouched"), [(0, True), (DAY_S - 1, True), (DAY_S + 1, False), (-3601, False)]
)
def test_at_a_time(at_s: int, vouched: bool) -> None:
    assert authorities(TOP).vouch_for(CLIENT.certificate, NOW_S + at_s) is vouched


def test_an_authority_that_is_over_vouches_for_nobody() -> None:
    long = issued("long", BETWEEN, now_s=NOW_S, lives_s=10 * DAY_S)
    assert authorities(BETWEEN).vouch_for(long.certificate, NOW_S)
    assert not authorities(BETWEEN).vouch_for(long.certificate, NOW_S + DAY_S + 1)


def test_a_file_without_authorities() -> None:
    assert read_authorities(OWN.pem + CLIENT.pem) is None
    for pem in (b"", b"x", CLIENT.der, TOP.pem[:-40]):
        with pytest.raises(ValueError):
            read_authorities(pem)


def test_a_changed_certificate_is_another() -> None:
    """One bit of its subject: the authority has not signed that."""
    at = CLIENT.der.rindex(b"client")
    changed = CLIENT.der[:at] + b"Client" + CLIENT.der[at + 6 :]
    found = Certificate(changed)
    assert found.x509.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value == "Client"
    assert not authorities(TOP).vouch_for(found, NOW_S)
