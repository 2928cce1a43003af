"""The error of the authorization server says nothing that RFC 6749 does not let it say."""

from __future__ import annotations

import pytest

from gateway.errors import ConsentryError, OAuthError


def test_each_error_has_its_own_status() -> None:
    failed, refused = OAuthError("invalid_client", "No.", 401), OAuthError("invalid_client", "No.")
    assert (failed.status, refused.status, ConsentryError.status) == (401, 400, 500)
    assert (refused.error, refused.text, str(refused)) == ("invalid_client", "No.", "No.")


@pytest.mark.parametrize("text", ["a", " !", "#", "[", "]", "~", "it's so"])
def test_descriptions_of_the_charset_are_taken(text: str) -> None:
    assert OAuthError("invalid_request", text).text == text


@pytest.mark.parametrize("text", ["", '"', "\\", "a\nb", "a\n", "\x1f", "\x7f", "é"])
def test_other_descriptions_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="error description"):
        OAuthError("invalid_request", text)
