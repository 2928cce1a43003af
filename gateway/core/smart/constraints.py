"""The query of a granular scope, `?category=laboratory&status=final`, as search terms and back.

Every byte is accounted for: what the grammar does not name raises `Refusal`, so that a constraint is
either enforced as written or costs the whole scope. Nothing is dropped from a query, because a
query with a constraint less is a wider right. Whether a term can be enforced is not decided here.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from gateway.core.values import Term

_PNAME = r"[A-Za-z_][A-Za-z0-9_-]*"
_PARAM = re.compile(rf"(?P<name>{_PNAME})(?::(?P<modifier>[A-Za-z-]+))?(?P<chain>(?:\.{_PNAME})*)")
# NQCHAR (RFC 6749 appendix A) less "&" and "%", or one percent-encoded byte.
_VALUE = re.compile(r"(?:[!#-$'-\[\]-~]|%[0-9A-Fa-f]{2})+")
_ENCODED = re.compile(r"[^!#-$'-\[\]-~]")
# FHIR R4 search, "Escaping search parameters": a backslash stands before one of these four only.
_FHIR_VALUE = re.compile(r"(?:[^\\,]|\\[\\,|$])+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Refusal(Exception):
    """A scope that is not granted; the text is the reason, in words that quote nothing."""


def parse_constraints(query: str) -> tuple[Term, ...]:
    """The terms of `query` (what follows the `?`), all of which hold. Raises `Refusal`.

    Split at `&` and at the first `=`, and only then percent-decode the value, once. A `+` is a plus
    sign, as dates with an offset need it (SMART App Launch 2.2, finer-grained resource constraints).
    """
    return tuple(_constraint(part) for part in query.split("&"))


def format_constraints(terms: tuple[Term, ...]) -> str:
    """The query that `parse_constraints` reads as `terms`."""
    return "&".join(f"{term.key}={_ENCODED.sub(_percent, term.text)}" for term in terms)


def _constraint(text: str) -> Term:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise Refusal("a constraint needs a name and a value")
    return Term(_parameter(name), _values(value))


def _parameter(text: str) -> str:
    match = _PARAM.fullmatch(text)
    if match is None:
        raise Refusal("the constraint's name is not a search parameter's")
    if match["modifier"] or match["chain"] or match["name"] == "_filter":
        raise Refusal("modifiers, chains and _filter are experimental in scopes and not supported")
    return match["name"]


def _values(text: str) -> tuple[str, ...]:
    if _VALUE.fullmatch(text) is None:
        raise Refusal("the constraint's value has a character that scopes cannot carry")
    try:
        decoded = unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError as cause:
        raise Refusal("the constraint's value is not UTF-8") from cause
    if _CONTROL.search(decoded):
        raise Refusal("the constraint's value has a control character")
    return _alternatives(decoded)


def _alternatives(text: str) -> tuple[str, ...]:
    """Split at the commas that FHIR's escape does not protect; the escapes stay in the values."""
    values = tuple(match.group() for match in _FHIR_VALUE.finditer(text))
    if ",".join(values) != text:
        raise Refusal("the constraint's value is empty in part or escapes what needs no escape")
    return values


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match.group().encode())
