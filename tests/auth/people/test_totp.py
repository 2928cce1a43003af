"""Codes by time, against the vectors of RFC 6238 appendix B (SHA-1, the last 6 of its 8 digits)."""

from __future__ import annotations

import base64
import os
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.auth.people.totp import STEP_S, Sealer, provisioning_uri, step_of

SECRET = base64.b32encode(b"12345678901234567890").decode()
VECTORS = [
    (59, "287082"),
    (1_111_111_109, "081804"),
    (1_111_111_111, "050471"),
    (1_234_567_890, "005924"),
    (2_000_000_000, "279037"),
    (20_000_000_000, "353130"),
]


@pytest.mark.parametrize(("at_s", "code"), VECTORS)
def test_the_codes_of_the_rfc_are_those_of_their_steps(at_s: int, code: str) -> None:
    assert step_of(SECRET, code, at_s) == at_s // STEP_S
    assert step_of(SECRET, code, at_s + STEP_S) == at_s // STEP_S
    assert step_of(SECRET, code, at_s + 2 * STEP_S) is None


@pytest.mark.parametrize(("at_s", "code"), VECTORS[1:])
def test_a_code_of_the_next_step_counts_and_of_the_one_after_not(at_s: int, code: str) -> None:
    assert step_of(SECRET, code, at_s - STEP_S) == at_s // STEP_S
    assert step_of(SECRET, code, at_s - 2 * STEP_S) is None


@pytest.mark.parametrize("code", ["287 082", " 287082", "287082\n"])
def test_spaces_do_not_count(code: str) -> None:
    assert step_of(SECRET, code, 59) == 1


@pytest.mark.parametrize("code", ["", "28708", "2870820", "287081", "94287082", "28708a", "٢٨٧٠٨٢", "-87082"])
def test_anything_else_is_no_code(code: str) -> None:
    assert step_of(SECRET, code, 59) is None


def test_a_secret_is_sealed_each_time_anew_and_opens_again() -> None:
    sealer = Sealer(bytes(32), os.urandom)
    secret = sealer.new_secret()
    assert len(base64.b32decode(secret)) == 20
    assert secret != sealer.new_secret()
    first, second = sealer.seal(secret, "id-1"), sealer.seal(secret, "id-1")
    assert first != second
    assert sealer.open(first, "id-1") == sealer.open(second, "id-1") == secret


def test_the_address_for_apps_says_whose_it_is() -> None:
    uri = urlsplit(provisioning_uri(SECRET, "bo", "https://gw.example"))
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert parse_qs(uri.query) == {"secret": [SECRET], "issuer": ["https://gw.example"]}
