"""The parameters of an OAuth request, from a form body or a query (RFC 6749 sections 3.1, 3.2, appendix B).

Each name stands once, each value is decoded once, and every byte ends in a value or costs the request:
an authorization server that reads a request otherwise than the one in front of it can be played
against it. Names that are not known here are kept too; RFC 6749 has them ignored, by who looks them up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from gateway.errors import OAuthError

MAX_BYTES = 65_536
MAX_PARAMETERS = 40
MAX_NAME = 64
MAX_VALUE = 2048
# Values that hold a signed token, or one name for each of many rights.
MAX_LONG_VALUE = 8192
LONG = frozenset({"client_assertion", "scope", "token", "refresh_token", "id_token_hint", "request"})

_STRAY_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_VALUE = re.compile(rb"[ -~]*")  # RFC 6749 appendix A: no parameter of a protocol run needs more
_NAME = re.compile(rb"[!-~]+")


def read_parameters(data: bytes) -> Mapping[str, str]:
    """The parameters of an `application/x-www-form-urlencoded` text by name, in their order.

    A parameter without a value is left out, as if it was not sent (RFC 6749 section 3.1), but cannot be
    repeated either. Raises `OAuthError` invalid_request.
    """
    if len(data) > MAX_BYTES:
        raise _refusal(f"The request has more than {MAX_BYTES} bytes of parameters.")
    pieces = data.split(b"&", MAX_PARAMETERS)
    if len(pieces) > MAX_PARAMETERS:
        raise _refusal(f"The request has more than {MAX_PARAMETERS} parameters.")
    read: dict[str, str] = {}
    for piece in filter(None, pieces):
        name, value = _parameter(piece)
        if name in read:
            raise _refusal("The request has a parameter more than once.")
        read[name] = value
    return {name: value for name, value in read.items() if value}


def need(parameters: Mapping[str, str], name: str) -> str:
    """The value of a parameter that the request must have. Raises `OAuthError` invalid_request."""
    if name not in parameters:
        raise _refusal(f"The parameter {name} is missing.")
    return parameters[name]


def _parameter(piece: bytes) -> tuple[str, str]:
    raw_name, _, raw_value = piece.partition(b"=")
    name, value = _decode(raw_name), _decode(raw_value)
    if _NAME.fullmatch(name) is None or len(name) > MAX_NAME:
        raise _refusal("The request has a parameter whose name is not a short word of ASCII.")
    if _VALUE.fullmatch(value) is None:
        raise _refusal("The request has a parameter whose value is not printable ASCII.")
    text = name.decode("ascii")
    if len(value) > (MAX_LONG_VALUE if text in LONG else MAX_VALUE):
        raise _refusal("The request has a parameter whose value is too long.")
    return text, value.decode("ascii")


def _decode(raw: bytes) -> bytes:
    """Percent-decoded once, with `+` as space (WHATWG URL, application/x-www-form-urlencoded parsing)."""
    if _STRAY_PERCENT.search(raw):
        raise _refusal("The request has a percent sign that encodes nothing.")
    return unquote_to_bytes(raw.replace(b"+", b" "))


def _refusal(text: str) -> OAuthError:
    return OAuthError("invalid_request", text)
