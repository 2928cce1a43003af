"""What holds for whatever a record server sends: nothing that names anybody leaves, and nothing is added."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.studies.datatypes import Must
from gateway.core.studies.dates import moved, year_of
from gateway.core.studies.elements import ELEMENTS
from gateway.core.values import Ref
from tests.core.studies.building import BY_DATES, DAYS, HEART, LOINC, OTHER, PATIENT, UCUM, concept, made

MARK = "SECRET"
REAL_DATES = ["2020-03-10", "2020-03-10T08:30:00Z", "2021-07-04T23:59:59.125+02:00", "2019-11", "1950"]
REFERENCES = [
    f"{kind}/{MARK}-{number}" for kind in ("Encounter", "Observation", "Patient") for number in (1, 2)
]
NAMES = sorted(
    {
        *(name for members in ELEMENTS.values() for name in members),
        *("coding", "system", "code", "display", "text", "value", "unit", "comparator", "reference", "type"),
        *("start", "end", "low", "high", "numerator", "denominator", "event", "repeat", "boundsPeriod"),
        *("identifier", "note", "extension", "performer", "_status", "contained", "id", "valueString"),
        *("doseAndRate", "timing", "validityPeriod", "quantity", "summary", "concept", "div", "source"),
    }
    - {"subject"}
)
CODES = [
    *(LOINC, UCUM, "8480-6", "38341003", "mm[Hg]", "a"),
    *("final", "active", "completed", "order", "routine", "<"),
]
TEXTS = st.one_of(
    st.sampled_from([MARK, f"urn:uuid:{MARK}", f"http://{MARK}.example", f"{MARK}|1", *REFERENCES]),
    st.sampled_from(REAL_DATES),
    st.sampled_from(CODES),
)
LEAVES = TEXTS | st.booleans() | st.none() | st.integers(-5, 200)
VALUES = st.recursive(
    LEAVES
    | st.sampled_from([concept(LOINC, "8480-6", text=MARK), {"value": 7, "system": UCUM, "code": "mm[Hg]"}])
    | st.sampled_from([{"reference": one, "display": MARK} for one in REFERENCES]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=20,
)


SOUND: dict[str, dict[str, Any]] = {
    "Observation": {"status": "final", "code": concept(LOINC, "8480-6")},
    "Condition": {"code": concept(LOINC, "8480-6")},
    "Procedure": {"status": "completed"},
    "MedicationRequest": {"status": "active", "intent": "order"},
}
"""What each type needs to leave at all; half of the records have it."""


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(ELEMENTS)))
    own = sorted(set(ELEMENTS[kind]) - {"subject"})
    head = {
        "resourceType": kind,
        "id": f"{MARK}-0",
        "meta": {"versionId": MARK, "lastUpdated": "2020-03-10T08:30:00Z", "source": MARK, "profile": [MARK]},
        "subject": {"reference": f"Patient/{PATIENT}", "display": MARK},
    }
    drawn: dict[str, Any] = {
        **draw(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4)),
        **draw(st.dictionaries(st.sampled_from(own), VALUES, max_size=8)),
    }
    if draw(st.booleans()):
        needed = [name for name, made_as in ELEMENTS[kind].items() if isinstance(made_as, Must)]
        drawn = {name: value for name, value in drawn.items() if name not in needed} | SOUND[kind]
    return {**drawn, **head}


def texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from texts(value)


def leaves_by_name(node: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from leaves_by_name(value, (*at, name))
    elif isinstance(node, list):
        for value in node:
            yield from leaves_by_name(value, at)
    else:
        yield at


NEW_DATES = {
    "shift": {moved(one, DAYS) for one in REAL_DATES} - {None},
    "year": {year_of(one) for one in REAL_DATES},
}
PSEUDONYM = re.compile(r"(?:(?:Patient|Encounter|Observation)/)?[0-9a-f]{40}")
TAGS = re.compile(r"http://terminology\.hl7\.org/CodeSystem/v3-ObservationValue|PSEUDED|SUBSETTED|ABSTRED")


@settings(max_examples=400, deadline=None)
@given(records(), st.sampled_from(["shift", "year"]))
def test_nothing_that_names_anybody_leaves(tree: dict[str, Any], dates: Any) -> None:
    try:
        found = made(tree, BY_DATES[dates])
    except ValueError:
        return  # no resource at all
    if found is None:
        return
    assert MARK not in json.dumps(found)
    for text in texts({name: value for name, value in found.items() if name != "resourceType"}):
        known = text in CODES or text in NEW_DATES[dates]
        assert known or PSEUDONYM.fullmatch(text) or TAGS.fullmatch(text), text
        assert text not in REAL_DATES or text in NEW_DATES[dates]


@settings(max_examples=300, deadline=None)
@given(records())
def test_nothing_is_added(tree: dict[str, Any]) -> None:
    """But for the tags, each leaf stands where the record had one."""
    try:
        found = made(tree)
    except ValueError:
        return
    if found is not None:
        del found["meta"]
        assert set(leaves_by_name(found)) <= set(leaves_by_name(tree))


@settings(max_examples=200, deadline=None)
@given(records())
def test_a_study_is_consistent_and_not_to_be_linked_with_another(tree: dict[str, Any]) -> None:
    try:
        one, same, other = made(tree), made(tree), made(tree, OTHER)
    except ValueError:
        return
    assert one == same
    if one is not None and other is not None:
        assert one["id"] == HEART.pseudonyms.of(Ref(tree["resourceType"], tree["id"]))
        names = [{text for text in texts(each) if PSEUDONYM.fullmatch(text)} for each in (one, other)]
        assert not names[0] & names[1]


def test_records_do_leave() -> None:
    """The laws above are not kept by withholding everything."""
    tree = {
        "resourceType": "Observation",
        "id": "x",
        "status": "final",
        "code": concept(LOINC, "8480-6"),
        "subject": {"reference": f"Patient/{PATIENT}"},
        "valueDateTime": REAL_DATES[1],
    }
    assert made(tree) is not None
