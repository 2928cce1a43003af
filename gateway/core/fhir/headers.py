"""The request headers that decide something: representation, conditions, form, override.

Headers come as lower-case names with single values. Those not named here mean nothing to the
gateway and reach nobody: Range, Prefer and forwarding headers are not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from gateway.core.fhir.catalogue import Catalogue
from gateway.errors import BadRequest, NotAcceptable, UnsupportedMediaType

OVERRIDES: Final = ("x-http-method-override", "x-http-method", "x-method-override")
JSON_TYPES: Final = ("application/fhir+json", "application/json")
# `_format=application/fhir+json` sent unescaped arrives with a space for its plus.
FORMATS: Final = {"json", *JSON_TYPES, "application/fhir json"}
_BODY_TYPES: Final = (*JSON_TYPES, "application/json-patch+json")

_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_MEDIA = re.compile(rf"({_WORD}/{_WORD})((?:\s*;\s*{_WORD}\s*=\s*(?:{_WORD}|\"[^\"\\]*\"))*)")
_PARAMETER = re.compile(rf";\s*({_WORD})\s*=\s*(?:({_WORD})|\"([^\"\\]*)\")")


def check_overrides(headers: Mapping[str, str]) -> None:
    """Raises BadRequest when a header wants the method to be another than it is."""
    for name in OVERRIDES:
        if name in headers:
            raise BadRequest("The method of a request cannot be overridden.")


def check_encoding(headers: Mapping[str, str]) -> None:
    """Raises UnsupportedMediaType for a compressed body, which could not be looked into."""
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("Request bodies must not be compressed.")


def check_form(headers: Mapping[str, str]) -> None:
    """Raises UnsupportedMediaType unless the body is a UTF-8 form."""
    if not is_form(headers):
        raise UnsupportedMediaType("A search by POST is sent as application/x-www-form-urlencoded.")


def is_form(headers: Mapping[str, str]) -> bool:
    """Whether the body is said to be a UTF-8 form."""
    media = _media(headers.get("content-type", ""))
    if media is None or media[0] != "application/x-www-form-urlencoded":
        return False
    return all((name, value.lower()) == ("charset", "utf-8") for name, value in media[1].items())


def check_json_body(headers: Mapping[str, str], catalogue: Catalogue) -> None:
    """Raises UnsupportedMediaType unless the body is said to be JSON."""
    media = _media(headers.get("content-type", ""))
    if media is None or media[0] not in _BODY_TYPES or not _is_ours(media[1], catalogue.version):
        raise UnsupportedMediaType("Bodies are sent as application/fhir+json.")


def check_accept(headers: Mapping[str, str], catalogue: Catalogue) -> None:
    """Raises NotAcceptable when the client takes no FHIR JSON of this release (RFC 9110 section 12.5.1)."""
    accept = headers.get("accept")
    if accept and not _accepts_json(accept, catalogue.version):
        raise NotAcceptable("Only application/fhir+json of the server's own FHIR release is answered.")


@lru_cache(maxsize=64)  # a client sends the same every time
def _accepts_json(accept: str, version: str) -> bool:
    return not accept.strip() or any(_takes_json(r.strip(), version) for r in accept.split(","))


def _takes_json(media_range: str, version: str) -> bool:
    media = _media(media_range)
    if media is None or media[0] not in ("*/*", "application/*", *JSON_TYPES):
        return False
    parameters = dict(media[1])
    weight = parameters.pop("q", "1")
    return (
        re.fullmatch(r"[01](\.[0-9]{0,3})?", weight) is not None
        and float(weight) > 0
        and _is_ours(parameters, version)
    )


def _is_ours(parameters: Mapping[str, str], version: str) -> bool:
    """Only a UTF-8 charset and our own fhirVersion (`4.0`, FHIR http.html, version parameter)."""
    expected = {"charset": "utf-8", "fhirversion": version.rpartition(".")[0]}
    return all(expected.get(name) == value.lower() for name, value in parameters.items())


def _media(text: str) -> tuple[str, dict[str, str]] | None:
    """(type/subtype, parameters), or None when it is not a media type or repeats a parameter."""
    found = _MEDIA.fullmatch(text.strip())
    if found is None:
        return None
    pairs = [(name.lower(), token or quoted) for name, token, quoted in _PARAMETER.findall(found[2])]
    return None if len(dict(pairs)) < len(pairs) else (found[1].lower(), dict(pairs))


# --- conditions ---------------------------------------------------------------------------------

_ETAG = re.compile(r"\s*(?:W/)?\"([\x21\x23-\x7e]*)\"\s*")


def if_none_match(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The opaque tags, compared weakly; `("*",)` for any (RFC 9110 section 13.1.2). Raises BadRequest."""
    text = headers.get("if-none-match")
    if text is None:
        return ()
    if text.strip() == "*":
        return ("*",)
    # A comma may stand inside a tag, so tags are matched rather than split.
    tags, position = [], 0
    while True:
        found = _ETAG.match(text, position)
        if found is None:
            raise BadRequest("If-None-Match is not a list of entity tags.")
        tags.append(found[1])
        position = found.end()
        if position == len(text):
            return tuple(tags)
        if text[position] != ",":
            raise BadRequest("If-None-Match is not a list of entity tags.")
        position += 1


_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HTTP_DATE = re.compile(
    rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{{2}}) ({'|'.join(_MONTHS)}) ([0-9]{{4}}) "
    r"([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)


def if_modified_since(headers: Mapping[str, str]) -> int | None:
    """Seconds since the epoch; None when absent or no IMF-fixdate, which RFC 9110 section 13.1.3 ignores."""
    text = headers.get("if-modified-since")
    if text is None:
        return None
    found = _HTTP_DATE.fullmatch(text.strip())
    if found is None:
        return None
    day, month, year, hour, minute, second = found.groups()
    try:
        moment = datetime(
            int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second), tzinfo=UTC
        )
    except ValueError:
        return None
    return int(moment.timestamp())
