"""One search parameter as asked becomes a `Term`, or a 400 that says what is wrong with it.

The catalogue knows the names; the tables below say which modifiers and prefixes a kind may carry.
Values are checked for syntax and references brought to `Type/id`, so that what goes upstream is
built here and not copied. Whether the token may ask this is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.core.fhir.catalogue import Catalogue, Param
from gateway.core.fhir.literals import parse_date, parse_number, parse_quantity, parse_token, split, unescape
from gateway.core.values import Term, is_id
from gateway.errors import BadRequest

# `:Patient` on a reference is the one type modifier: it only spells out what the value must be.
MODIFIERS: dict[str, tuple[str, ...]] = {"token": ("not",), "string": ("exact",), "reference": ("Patient",)}
_LAST_UPDATED_PREFIXES = ("eq", "ge", "gt", "le", "lt")
MAX_VALUES = 200


def parse_term(catalogue: Catalogue, type_: str, name: str, value: str, own_bases: Sequence[str]) -> Term:
    """`name[:modifier]=value` on `type_` as a term with normalised values. Raises BadRequest."""
    plain, _, modifier = name.partition(":")
    param = catalogue.param(type_, plain)
    if param is None:
        raise BadRequest("A search parameter is not known for this type of resource.")
    if modifier and (modifier not in MODIFIERS.get(param.type, ()) or plain.startswith("_")):
        raise BadRequest(f"The search parameter {plain} does not take this modifier.")
    if modifier == "Patient" and not param.may_target("Patient"):
        raise BadRequest(f"The search parameter {plain} does not take this modifier.")
    try:
        values = tuple(
            _value(catalogue, type_, param, text, modifier, own_bases) for text in _alternatives(value)
        )
    except ValueError as wrong:
        raise BadRequest(
            f"The value of {plain} is not a FHIR {param.type} that can be searched for."
        ) from wrong
    return Term(plain, values, None if modifier in ("", "Patient") else modifier)


def _alternatives(value: str) -> list[str]:
    parts = split(value, ",")
    if len(parts) > MAX_VALUES or not all(parts):
        raise ValueError("too many values, or an empty one")
    return parts


def _value(
    catalogue: Catalogue, type_: str, param: Param, text: str, modifier: str, own_bases: Sequence[str]
) -> str:
    if param.name == "_id":
        return _checked_id(text)
    if param.name == "_lastUpdated" and parse_date(text)[0] not in _LAST_UPDATED_PREFIXES:
        raise ValueError("this prefix is not allowed on _lastUpdated")
    if param.type == "reference":
        return _reference(catalogue, type_, param, text, modifier, own_bases)
    if param.type == "composite":
        return _composite(catalogue, type_, param, text, own_bases)
    check = _CHECKS.get(param.type)
    if check is None:
        raise ValueError("this kind of parameter is not supported")
    check(text)
    return text


def _checked_id(text: str) -> str:
    if not is_id(text):
        raise ValueError("not an id")
    return text


def _reference(
    catalogue: Catalogue, type_: str, param: Param, text: str, modifier: str, own_bases: Sequence[str]
) -> str:
    """`Type/id`. Identifiers, other servers, versions, escapes, and ids of unclear type are refused."""
    for base in own_bases:
        if text.startswith(base + "/"):
            text = text[len(base) + 1 :]
            break
    named, slash, id_ = text.rpartition("/")
    if not slash:
        named = modifier or _only_type(catalogue, type_, param)
    if modifier and named != modifier:
        raise ValueError("the value contradicts the modifier")
    if named not in catalogue.types or not param.may_target(named):
        raise ValueError("the parameter cannot refer to this type")
    return f"{named}/{_checked_id(id_)}"


def _only_type(catalogue: Catalogue, type_: str, param: Param) -> str:
    """The type that an id without one must mean: the only target, or Patient for who owns the record."""
    if len(param.targets) == 1:
        return next(iter(param.targets))
    if param.may_target("Patient") and set(param.paths) & set(catalogue.access(type_).owner):
        return "Patient"
    raise ValueError("an id without a type is ambiguous here")


def _composite(catalogue: Catalogue, type_: str, param: Param, text: str, own_bases: Sequence[str]) -> str:
    parts = split(text, "$")
    if not param.components or len(parts) != len(param.components):
        raise ValueError("not as many parts as the composite has")
    inner = [catalogue.param(type_, name) for name in param.components]
    return "$".join(
        _value(catalogue, type_, component, part, "", own_bases)
        for component, part in zip(inner, parts, strict=True)
        if component is not None
    )


def _string(text: str) -> None:
    if not unescape("".join(split(text, ","))).strip():
        raise ValueError("empty")


def _uri(text: str) -> None:
    if any(c.isspace() for c in "".join(split(text, ","))):
        raise ValueError("a space in a URI")


_CHECKS: dict[str, Callable[[str], object]] = {
    "token": parse_token,
    "date": parse_date,
    "number": parse_number,
    "quantity": parse_quantity,
    "string": _string,
    "uri": _uri,
}
