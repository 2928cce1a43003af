"""Where passkeys are to be had, and whose challenges are whose."""

from __future__ import annotations

import os

import pytest

from gateway.auth.passkeys.ceremony import Ceremonies, relying_party
from gateway.auth.passkeys.challenge import LASTS_S, Challenges
from gateway.errors import BadRequest
from tests.auth.passkeys.authenticator import Authenticator

NOW_S = 1_800_000_000
KEY = bytes(range(32))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://records.hospital.example", "records.hospital.example"),
        ("https://records.hospital.example:8443", "records.hospital.example"),
        ("https://localhost:8443", "localhost"),
        ("http://localhost:8080", "localhost"),
        ("http://records.hospital.example", None),
        ("https://192.0.2.1", None),
        ("https://[::1]:8443", None),
        ("http://127.0.0.1:8080", None),
    ],
)
def test_passkeys_are_for_a_host_with_a_name(url: str, host: str | None) -> None:
    assert relying_party(url) == host
    if host is None:
        with pytest.raises(ValueError, match="no passkeys"):
            Ceremonies(url)


def test_a_challenge_is_for_one_browser_use_and_time() -> None:
    challenges = Challenges(KEY, os.urandom)
    made = challenges.make("log-in", "browser", NOW_S)
    assert challenges.ends_s(made, "log-in", "browser", NOW_S) == NOW_S + LASTS_S
    assert challenges.ends_s(made, "log-in", "browser", NOW_S + LASTS_S - 1) == NOW_S + LASTS_S
    assert challenges.ends_s(made, "log-in", "browser", NOW_S + LASTS_S) is None
    assert challenges.ends_s(made, "register", "browser", NOW_S) is None
    assert challenges.ends_s(made, "log-in", "browser2", NOW_S) is None
    assert Challenges(bytes(32), os.urandom).ends_s(made, "log-in", "browser", NOW_S) is None
    assert made != challenges.make("log-in", "browser", NOW_S)


@pytest.mark.parametrize("at", range(56))
def test_a_challenge_that_was_changed_is_none(at: int) -> None:
    challenges = Challenges(KEY, bytes)
    made = bytearray(challenges.make("log-in", "browser", NOW_S))
    made[at] ^= 1
    assert challenges.ends_s(bytes(made), "log-in", "browser", NOW_S) is None


@pytest.mark.parametrize("challenge", [b"", b"x", bytes(55), bytes(56), bytes(57)])
def test_what_is_no_challenge_is_none(challenge: bytes) -> None:
    assert Challenges(KEY, os.urandom).ends_s(challenge, "log-in", "browser", NOW_S) is None


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://gw.example", "https://gw.example"),
        ("https://gw.example:443", "https://gw.example"),
        ("https://gw.example:8443", "https://gw.example:8443"),
    ],
)
def test_an_answer_is_of_our_own_origin_as_browsers_write_it(url: str, origin: str) -> None:
    ceremonies, challenge = Ceremonies(url), bytes(56)
    options = ceremonies.to_register("person", "anna", "Anna", [], challenge)
    answer = Authenticator(origin=origin).register(options)
    assert ceremonies.register(ceremonies.read(answer)).count == 0
    other = Authenticator(origin=origin + "0").register(options)
    with pytest.raises(BadRequest):
        ceremonies.register(ceremonies.read(other))
