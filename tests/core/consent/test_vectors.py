"""The shared decision vectors, as far as their dimensions exist: actors, purposes, window, labels,
nesting, supersession, withdrawal, several patients, self. `LEFT` says which are left, and for what."""

from __future__ import annotations

import calendar
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.core.consent.evaluate import Asker, Bound, ResourceFacts, bind
from gateway.core.consent.labels import ACT_CODE, CONFIDENTIALITY, LEVELS
from gateway.core.consent.rule import KINDS, Consent, Effect, Match, Node, Period, State
from gateway.core.values import ConsentRef, Label
from gateway.errors import LedgerUnavailable
from tests.core.consent.build import outcome

VECTORS = Path(__file__).parents[4] / "shared" / "vectors" / "consent_vectors.json"

IMPLICIT = "implicit policies other than opt-in"
INTAKE = "status and form of an imported FHIR Consent"
DATA_PERIOD = "the period of the data"
DATA = "data.meaning: instance, related"
BREAK_GLASS = "break-glass"
ROLE = "role profiles and masking"
CASE = "the case of the token"
LAW = "statutory bans"
LEFT = {
    2: IMPLICIT, 3: IMPLICIT, 15: IMPLICIT, 24: IMPLICIT,
    6: INTAKE, 7: INTAKE, 11: INTAKE,
    25: DATA_PERIOD, 37: DATA_PERIOD, 38: DATA_PERIOD, 39: DATA_PERIOD, 40: DATA_PERIOD,
    41: DATA, 42: DATA,
    48: BREAK_GLASS, 49: BREAK_GLASS, 50: BREAK_GLASS, 51: BREAK_GLASS,
    52: ROLE, 53: ROLE, 54: CASE, 57: CASE, 55: LAW,
}  # fmt: skip
UNREADABLE = 20
# Beyond the verdict, why: a refusal for another reason would pass by accident.
REASONS = {
    1: "no_consent", 5: "purpose", 9: "denied", 10: "denied", 13: "period", 14: "period", 16: "revoked",
    17: "revoked", 18: "denied", 21: "denied", 22: "denied", 26: "denied", 28: "denied", 31: "label",
    32: "denied", 34: "label", 35: "denied", 36: "label", 43: "no_consent", 45: "denied", 46: "period",
    47: "denied", 56: "period", 59: "no_consent",
}  # fmt: skip


def _load() -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads(VECTORS.read_text()) if VECTORS.exists() else []
    return vectors


RUN = [vector for vector in _load() if vector["id"] not in LEFT and vector["id"] != UNREADABLE]
needs_vectors = pytest.mark.skipif(
    not VECTORS.exists(), reason="optional: the vectors are not beside the checkout"
)


@needs_vectors
@pytest.mark.parametrize("vector", RUN, ids=lambda vector: f"{vector['id']}: {vector['title']}")
def test_vector(vector: dict[str, Any]) -> None:
    made = _bind(vector)
    found = outcome(made.judge(_record(vector["resource"]), "r"))
    expected = "permit" if vector["expect"] == "permit" else REASONS[vector["id"]]
    assert found == expected, vector["why"]


@needs_vectors
def test_every_vector_is_run_or_accounted_for() -> None:
    ids = {vector["id"] for vector in _load()}
    assert ids == set(range(1, 61))
    assert {vector["id"] for vector in RUN} == ids - LEFT.keys() - {UNREADABLE}
    assert {vector["id"] for vector in RUN if vector["expect"] == "deny"} == REASONS.keys()


@needs_vectors
def test_an_unreadable_ledger_is_not_a_refusal() -> None:
    vector = next(vector for vector in _load() if vector["id"] == UNREADABLE)

    def unreadable(_patient: str) -> list[Consent]:
        raise LedgerUnavailable

    made = bind(unreadable, _asker(vector["request"]), _seconds(vector["request"]["time"]), None)
    with pytest.raises(LedgerUnavailable):
        made.judge(_record(vector["resource"]), "r")


def _bind(vector: dict[str, Any]) -> Bound:
    given = [_consent(consent, number) for number, consent in enumerate(vector["consents"])]
    return bind(
        lambda patient: [consent for consent in given if consent.patient == patient],
        _asker(vector["request"]),
        _seconds(vector["request"]["time"]),
        None,
        contained=bool(vector["settings"].get("strict")),
    )


def _asker(request: dict[str, Any]) -> Asker:
    me = next((name for name in request["identities"] if name == "P1"), None)
    known = KINDS if request["known"] else frozenset({"client"})
    return Asker(frozenset(map(_identity, request["identities"])), known, me, tuple(request["purposes"]))


def _identity(name: str) -> str:
    """`Org/A` as the organisation that a consent here would name; anybody else as a practitioner."""
    kind, slash, rest = name.partition("/")
    return f"organization:{rest}" if slash and kind == "Org" else f"practitioner:{name}"


def _record(resource: dict[str, Any]) -> ResourceFacts:
    labels = [
        Label(CONFIDENTIALITY if text in tuple(LEVELS) else ACT_CODE, text) for text in resource["labels"]
    ]
    if resource["unknownLabel"]:
        labels.append(Label("https://labels.example", "X"))
    kind = resource["ref"].partition("/")[0]
    return ResourceFacts(kind, frozenset(labels), frozenset(resource["patients"]))


def _consent(data: dict[str, Any], number: int) -> Consent:
    states = {None: State.LIVE, "default": State.REVOKED, "stop": State.STOPPED}
    assert (data["status"], data["tier"], data["malformed"]) == ("active", 2, False)
    return Consent(
        id=data["id"],
        patient=data["patient"],
        root=_node(data["rule"], "root"),
        period=_period(data["window"]),
        supersedes=frozenset(data["supersedes"]),
        refs=(ConsentRef(data["id"], number, "A" * 43),),
        state=states[data["revoked"]],
    )


def _node(data: dict[str, Any], path: str) -> Node:
    dimensions = data["match"]
    assert dimensions.keys() <= {"actor", "purpose", "label", "period"}
    found = Match(
        actors=frozenset(_identity(reference) for _role, reference in dimensions.get("actor", ())),
        purposes=frozenset(dimensions.get("purpose", ())),
        labels=frozenset(dimensions.get("label", ())),
        period=_period(dimensions.get("period")),
    )
    exceptions = tuple(_node(inner, f"{path}.{number}") for number, inner in enumerate(data["except"]))
    return Node(Effect(data["effect"]), found, exceptions, path)


def _period(ends: list[str | None] | None) -> Period:
    first, last = ends or (None, None)
    return Period(first and _edge(first, last=False), last and _edge(last, last=True))  # type: ignore[arg-type]


def _edge(text: str, *, last: bool) -> int:
    """The first or last second of a year or a day."""
    year, month, day = ([int(part) for part in text.split("-")] + [0, 0])[:3]
    month = month or (12 if last else 1)
    day = day or (calendar.monthrange(year, month)[1] if last else 1)
    moment = (
        datetime(year, month, day, 23, 59, 59, tzinfo=UTC) if last else datetime(year, month, day, tzinfo=UTC)
    )
    return int(moment.timestamp())


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())
