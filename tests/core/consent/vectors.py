"""The shared decision vectors, read as what the engine takes: consents, an asker, a record, rules.

A vector's record is written as the FHIR resource it stands for, so that its dates and references are read
by the same code as any record's.
"""

from __future__ import annotations

import calendar
import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from gateway.core.consent.authors import as_told
from gateway.core.consent.content import RecordContent
from gateway.core.consent.evaluate import Asker, Bound, ResourceFacts, Rules, bind
from gateway.core.consent.labels import ACT_CODE, CONFIDENTIALITY, LEVELS
from gateway.core.consent.rule import KINDS, Consent, DataRef, Effect, Match, Node, Period, State
from gateway.core.consent.rules import Implicit
from gateway.core.consent.verdict import BreakGlass
from gateway.core.values import ConsentRef, Label, Ref
from tests.core.consent.build import HASH
from tests.core.deciding import BASES, R4
from tests.support.shared import SHARED

PATH: Final = SHARED / "vectors" / "consent_vectors.json"
ME: Final = "P1"
IN_FORCE: Final = frozenset({"active", "unknown"})  # what an intake takes in; anything else is no consent
_IMPLICIT: Final = {"basic": Implicit.BASIC_NORMAL, "all": Implicit.ALL_NORMAL}
_STATES: Final = {None: State.LIVE, "default": State.REVOKED, "stop": State.STOPPED}
_KINDS: Final = {"Org": "organization", "Group": "group", "RP": "relative"}
# Where a record of the type says when it was and which encounter it belongs to.
_DATED: Final = {"Observation": "effectiveDateTime", "Encounter": "period"}
_BODY: Final[dict[str, dict[str, Any]]] = {
    "Condition": {"code": {"text": "x"}},
    "Observation": {"status": "final", "code": {"text": "x"}},
    "Encounter": {"status": "finished"},
}


def load(path: Path = PATH) -> list[dict[str, Any]]:
    """All vectors, none if they are not beside the checkout."""
    vectors: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    return vectors


def rules_of(vector: dict[str, Any]) -> Rules:
    settings = vector["settings"]
    return Rules(
        implicit=_IMPLICIT.get(settings.get("implicit"), Implicit.BREAK_GLASS_ONLY),
        contained=bool(settings.get("strict")),
    )


def bound_of(vector: dict[str, Any]) -> Bound:
    given = [
        _consent(consent, number)
        for number, consent in enumerate(vector["consents"])
        if consent["status"] in IN_FORCE
    ]
    return bind(
        lambda patient: [consent for consent in given if consent.patient == patient],
        asker_of(vector["request"]),
        seconds(vector["request"]["time"]),
        None,
        rules_of(vector),
    )


def asker_of(request: dict[str, Any]) -> Asker:
    names, glass = request["identities"], request["breakGlass"]
    return Asker(
        frozenset(map(_identity, names)) | ({f"role:{request['role']}"} if request["known"] else set()),
        KINDS if request["known"] else frozenset({"client"}),
        ME if ME in names else None,
        tuple(request["purposes"]),
        patient=ME,
        break_glass=BreakGlass(ME, glass["reason"], seconds(glass["exp"])) if glass else None,
    )


def record_of(vector: dict[str, Any]) -> ResourceFacts:
    resource = vector["resource"]
    kind, _, ident = resource["ref"].partition("/")
    labels = [_label(text) for text in resource["labels"]]
    if resource["unknownLabel"]:
        labels.append(Label("https://labels.example", "X"))
    tree = {"resourceType": kind, "id": ident, **_BODY.get(kind, {}), **_clinical(kind, resource)}
    content = RecordContent(kind, ident, lambda: tree, R4, BASES, agents=partial(as_told, ()))
    return ResourceFacts(kind, frozenset(labels), frozenset(resource["patients"]), ident, content)


def _clinical(kind: str, resource: dict[str, Any]) -> dict[str, Any]:
    dated, found = resource["clinicalDate"], {}
    if dated is not None:
        found[_DATED[kind]] = dated if isinstance(dated, str) else {"start": dated[0], "end": dated[1]}
    for reference in resource["references"]:
        found["encounter"] = {"reference": reference}
    return found


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _identity(name: str) -> str:
    """`Org/A` as the organisation that a consent here would name; a bare name as a practitioner."""
    kind, slash, rest = name.partition("/")
    return f"{_KINDS[kind]}:{rest}" if slash else f"practitioner:{name}"


def _label(text: str) -> Label:
    return Label(CONFIDENTIALITY if text in tuple(LEVELS) else ACT_CODE, text)


def _consent(data: dict[str, Any], number: int) -> Consent:
    assert data["tier"] == 2, "the others are not patients' consents"
    return Consent(
        id=data["id"],
        patient=data["patient"],
        root=_node(data["rule"], "root"),
        period=_period(data["window"]) or Period(),
        supersedes=frozenset(data["supersedes"]),
        refs=(ConsentRef(data["id"], number, HASH),),
        state=_STATES[data["revoked"]],
        indeterminate=data["status"] == "unknown",
        malformed=data["malformed"],
    )


def _node(data: dict[str, Any], path: str) -> Node:
    dimensions = data["match"]
    assert dimensions.keys() <= {"actor", "purpose", "label", "period", "dp", "data"}
    found = Match(
        actors=frozenset(_identity(reference) for _role, reference in dimensions.get("actor", ())),
        purposes=frozenset(dimensions.get("purpose", ())),
        labels=frozenset(dimensions.get("label", ())),
        period=_period(dimensions.get("period")) or Period(),
        data_period=_period(dimensions.get("dp")),
        data=frozenset(DataRef(meaning, Ref(*ref.split("/"))) for meaning, ref in dimensions.get("data", ())),
    )
    exceptions = tuple(_node(inner, f"{path}.{number}") for number, inner in enumerate(data["except"]))
    return Node(Effect(data["effect"]), found, exceptions, path)


def _period(ends: list[str | None] | None) -> Period | None:
    if ends is None:
        return None
    first, last = ends
    return Period(first and _edge(first, last=False), last and _edge(last, last=True))  # type: ignore[arg-type]


def _edge(text: str, *, last: bool) -> int:
    """The first or last second of a year or a day."""
    year, month, day = ([int(part) for part in text.split("-")] + [0, 0])[:3]
    month = month or (12 if last else 1)
    day = day or (calendar.monthrange(year, month)[1] if last else 1)
    first = datetime(year, month, day, tzinfo=UTC)
    return int(first.timestamp()) + (86_399 if last else 0)
