"""What a browser sends: the fields of a form, and of a query, as text in UTF-8.

Unlike the parameters of an OAuth request these hold what people type. Each name stands once, and what
cannot be decoded costs the request.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from gateway.errors import BadRequest, PayloadTooLarge, UnsupportedMediaType

MAX_BYTES: Final = 64 * 1024
MAX_FIELDS: Final = 500

_STRAY_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_FORM: Final = "application/x-www-form-urlencoded"


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form in UTF-8, each there once.

    Raises BadRequest, PayloadTooLarge, or UnsupportedMediaType for what is no form.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise UnsupportedMediaType("The request is not a form.")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BYTES:
                raise PayloadTooLarge("The form is too large.")
    except ClientDisconnect as error:
        raise BadRequest("The request ended early.") from error
    return read_pairs(bytes(body))


def read_pairs(data: bytes) -> dict[str, str]:
    """The names and values of a form or query. Raises BadRequest for what could be read in two ways."""
    if _STRAY_PERCENT.search(data):
        raise BadRequest("The request has a percent sign that encodes nothing.")
    try:
        pairs = parse_qsl(
            data.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict",
            max_num_fields=MAX_FIELDS,
        )  # fmt: skip
    except ValueError as error:
        raise BadRequest("The request's fields cannot be read.") from error
    fields = dict(pairs)
    if len(fields) < len(pairs) or any("\x00" in value for value in fields.values()):
        raise BadRequest("The request's fields cannot be read in one way only.")
    return fields
