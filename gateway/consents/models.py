"""Whether a Consent is one by FHIR's own models: types of elements, what has to be there, form of values.

The models are for what is taken in; what the consent means is read from the tree itself. R4 and R4B have one
and the same Consent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from fhir.resources.consent import Consent as R5Consent
from fhir.resources.R4B.consent import Consent as R4BConsent
from pydantic import ValidationError

from gateway.core.consent.fhir.element import Problem
from gateway.core.fhir.catalogue import Release

_MODELS: Final[Mapping[Release, type[R5Consent] | type[R4BConsent]]] = {
    "R4": R4BConsent,
    "R4B": R4BConsent,
    "R5": R5Consent,
}
_FORM: Final = "has not the form that this release of FHIR asks for"
# What the models' own checks stumble with over a value of another type than they expect.
_TRIPPED: Final = (TypeError, ValueError, AttributeError, LookupError, RecursionError)
_NAMES: Final = {"class_fhir": "class", "resource_type": "resourceType"}


def problems(raw: bytes, release: Release) -> tuple[Problem, ...]:
    """What of a Consent resource, as JSON, is not of that release; places are FHIRPaths."""
    try:
        _MODELS[release].model_validate_json(raw)
    except ValidationError as error:
        found = (Problem(_place(one["loc"]), _text(one["type"])) for one in error.errors(include_input=False))
        return tuple(dict.fromkeys(found))
    except _TRIPPED:
        return (Problem("Consent", _FORM),)
    return ()


def _place(loc: tuple[int | str, ...]) -> str:
    return "".join(["Consent", *_steps(loc)])


def _steps(loc: tuple[int | str, ...]) -> Iterator[str]:
    for step in loc:
        if isinstance(step, int):
            yield f"[{step}]"
        elif (name := _NAMES.get(step, step)).isidentifier():
            yield f".{name.removesuffix('__ext')}"


def _text(kind: str) -> str:
    """In our words: the models' own may quote what was sent."""
    return {
        "missing": "is missing",
        "extra_forbidden": "is not known in this release of FHIR",
    }.get(kind, _FORM)
