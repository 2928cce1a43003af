"""Form and query texts: each is read one way or not at all."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.smart.parameters import (
    LONG,
    MAX_BYTES,
    MAX_LONG_VALUE,
    MAX_NAME,
    MAX_PARAMETERS,
    MAX_VALUE,
    need,
    read_parameters,
)
from gateway.errors import OAuthError

VALUE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=40)
NAME = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=12)

READ = {
    "nothing": (b"", {}),
    "one": (b"code=abc", {"code": "abc"}),
    "several, in order": (b"b=1&a=2", {"b": "1", "a": "2"}),
    "plus is a space": (b"scope=openid+fhirUser", {"scope": "openid fhirUser"}),
    "an encoded plus is a plus": (b"d=ge2024%2B05:00", {"d": "ge2024+05:00"}),
    "decoded once": (b"state=%2541", {"state": "%41"}),
    "only the first equals sign parts": (b"a=b=c", {"a": "b=c"}),
    "encoded separators are text": (b"a=%26b%3Dc", {"a": "&b=c"}),
    "an empty value is as if not sent": (b"code_verifier=&code=x", {"code": "x"}),
    "so is a name alone": (b"scope&code=x", {"code": "x"}),
    "empty pairs": (b"&a=1&&b=2&", {"a": "1", "b": "2"}),
    "unknown names are kept": (b"x-vendor=1", {"x-vendor": "1"}),
    "the longest name": (b"n" * MAX_NAME + b"=1", {"n" * MAX_NAME: "1"}),
    "the longest value": (b"state=" + b"v" * MAX_VALUE, {"state": "v" * MAX_VALUE}),
    **{
        f"the longest {name}": (f"{name}={'v' * MAX_LONG_VALUE}".encode(), {name: "v" * MAX_LONG_VALUE})
        for name in sorted(LONG)
    },
    "as long as it looks decoded": (b"s=" + b"%41" * MAX_VALUE, {"s": "A" * MAX_VALUE}),
}
REFUSED = {
    "twice": b"code=a&code=a",
    "twice, once empty": b"code=&code=a",
    "twice, once encoded": b"code=a&c%6Fde=b",
    "no name": b"=a",
    "a space in a name": b"a+b=c",
    "a control character": b"state=a%00b",
    "a line feed": b"state=a%0A",
    "delete": b"state=%7F",
    "a raw control character": b"state=a\tb",
    "encoded non-ASCII": b"state=%C3%A9",
    "raw non-ASCII": "state=é".encode(),
    "non-ASCII name": b"st%C3%A9=1",
    "not UTF-8": b"state=%FF",
    "a percent sign alone": b"state=100%",
    "a percent sign before one digit": b"state=%4",
    "a percent sign before no digits": b"state=%zz",
    "a percent sign in a name": b"%=1",
    "a name too long": b"n" * (MAX_NAME + 1) + b"=1",
    "a value too long": b"state=" + b"v" * (MAX_VALUE + 1),
    "an assertion too long": b"client_assertion=" + b"v" * (MAX_LONG_VALUE + 1),
    "too many": b"&".join(b"p%d=1" % number for number in range(MAX_PARAMETERS + 1)),
    "too many separators": b"&" * MAX_PARAMETERS + b"a=1",
    "too many bytes": b"a=" + b"%41" * MAX_BYTES,
}


@pytest.mark.parametrize(("data", "want"), READ.values(), ids=READ)
def test_parameters_are_read(data: bytes, want: dict[str, str]) -> None:
    read = read_parameters(data)
    assert read == want
    assert [*read] == [*want]


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_parameters_are_refused(data: bytes) -> None:
    with pytest.raises(OAuthError) as caught:
        read_parameters(data)
    assert (caught.value.error, caught.value.status) == ("invalid_request", 400)


def test_as_many_parameters_as_there_may_be() -> None:
    data = b"&".join(b"p%d=1" % number for number in range(MAX_PARAMETERS))
    assert len(read_parameters(data)) == MAX_PARAMETERS


@given(st.dictionaries(NAME, VALUE, max_size=8))
def test_what_is_encoded_is_read_back(parameters: dict[str, str]) -> None:
    assert read_parameters(urlencode(parameters).encode()) == parameters


@given(st.binary(max_size=60))
def test_any_bytes_are_read_as_printable_ascii_or_refused(data: bytes) -> None:
    with suppress(OAuthError):
        pairs = read_parameters(data).items()
        assert all(text.isascii() and text.isprintable() and text for pair in pairs for text in pair)


def test_a_parameter_that_is_needed() -> None:
    assert need({"code": "abc"}, "code") == "abc"
    with pytest.raises(OAuthError, match="The parameter code is missing") as caught:
        need({"Code": "abc"}, "code")
    assert caught.value.error == "invalid_request"
