"""PKCE: S256 and nothing else."""

from __future__ import annotations

import pytest

from gateway.core.canon import b64url, sha256
from gateway.core.smart.pkce import check_verifier, read_challenge
from gateway.errors import OAuthError

# RFC 7636 appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

CHALLENGES = {
    "none": (None, "S256"),
    "no method, which means plain": (CHALLENGE, None),
    "plain": (CHALLENGE, "plain"),
    "the method in lower case": (CHALLENGE, "s256"),
    "one digit less": (CHALLENGE[:-1], "S256"),
    "one digit more": (CHALLENGE + "A", "S256"),
    "padded": (CHALLENGE + "=", "S256"),
    "not base64url": ("+" + CHALLENGE[1:], "S256"),
    "bits to spare": (CHALLENGE[:-1] + "N", "S256"),
}
VERIFIERS = {
    "none": (None, "invalid_request"),
    "blank": ("", "invalid_grant"),
    "of another challenge": ("x" + VERIFIER[1:], "invalid_grant"),
    "the challenge itself, as plain would have it": (CHALLENGE, "invalid_grant"),
    "one character less": (VERIFIER[:-1], "invalid_grant"),
    "one character more": (VERIFIER + "a", "invalid_grant"),
    "a line feed more": (VERIFIER + "\n", "invalid_grant"),
    "non-ASCII": ("é" * 43, "invalid_grant"),
}
UNUSUAL = {
    "two uuids": "0f7d5a0e-9a54-4f2b-8d4e-2f6a5d4c3b2a-1f7d5a0e-9a54-4f2b-8d4e-2f6a5d4c3b2a",
    "every kind of character": "Az09-._~" * 6,
    "the longest": "~" * 128,
}
OUTSIDE = {"42 characters": "a" * 42, "129 characters": "a" * 129, "a reserved character": "a" * 42 + "/"}


def test_the_challenge_is_taken() -> None:
    assert read_challenge(CHALLENGE, "S256") == CHALLENGE


@pytest.mark.parametrize(("challenge", "method"), CHALLENGES.values(), ids=CHALLENGES)
def test_other_challenges_are_refused(challenge: str | None, method: str | None) -> None:
    with pytest.raises(OAuthError) as caught:
        read_challenge(challenge, method)
    assert caught.value.error == "invalid_request"


def test_the_verifier_fits() -> None:
    check_verifier(VERIFIER, CHALLENGE)


@pytest.mark.parametrize("verifier", UNUSUAL.values(), ids=UNUSUAL)
def test_every_verifier_of_the_grammar_fits_its_own_challenge(verifier: str) -> None:
    check_verifier(verifier, b64url(sha256(verifier.encode())))


@pytest.mark.parametrize("verifier", OUTSIDE.values(), ids=OUTSIDE)
def test_a_verifier_outside_the_grammar_does_not(verifier: str) -> None:
    with pytest.raises(OAuthError, match="43 to 128"):
        check_verifier(verifier, b64url(sha256(verifier.encode())))


@pytest.mark.parametrize(("verifier", "error"), VERIFIERS.values(), ids=VERIFIERS)
def test_other_verifiers_are_refused(verifier: str | None, error: str) -> None:
    with pytest.raises(OAuthError) as caught:
        check_verifier(verifier, CHALLENGE)
    assert (caught.value.error, caught.value.status) == (error, 400)
