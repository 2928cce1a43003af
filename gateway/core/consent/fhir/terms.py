"""What the gateway knows and a Consent does not say, and what reading one comes to."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import TypeAlias

from gateway.core.consent.fhir.codes import CATEGORIES
from gateway.core.consent.fhir.element import Problem
from gateway.core.consent.rule import Consent
from gateway.core.values import Label

MayAgree: TypeAlias = Callable[[str, str, "int | None"], bool]
"""Whether the RelatedPerson (id) has a recorded authority to agree for the patient (id), now and at that
second, if there is one."""


@dataclass(frozen=True, slots=True)
class Terms:
    """`bases` are the addresses, without a closing slash, below which records are ours; `types` the resource
    types that are known. `organization` is the id of the Organization that runs this gateway, `above` those
    of the ones that it is part of: with one, consents that others have to enforce are not taken. With
    `verified_only` a permit has to be verified. `contained` is how nesting is read (`Rules.contained`).
    """

    bases: tuple[str, ...]
    types: Set[str]
    may_agree: MayAgree
    organization: str | None = None
    above: Set[str] = frozenset()
    categories: Set[Label] = CATEGORIES
    verified_only: bool = False
    contained: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """A Consent as a rule. `warnings` say where the rule is stricter or other than one could have thought."""

    consent: Consent
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a Consent cannot be one here: every problem, at least one.

    `aside`: it is out of force, no privacy consent, or another's to enforce, so that nothing is amiss.
    `instead` is what has to stand in its place if it is in force where it came from: a malformed consent.
    """

    problems: tuple[Problem, ...]
    aside: bool = False
    instead: Consent | None = None


Outcome: TypeAlias = Read | Refusal
