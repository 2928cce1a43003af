"""A Consent with any part of it replaced by anything is read or refused, by the reader and by the models."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.consents import models
from gateway.core.consent.document import format_document, parse
from gateway.core.consent.fhir.terms import Read, Refusal
from gateway.core.fhir.catalogue import Release
from tests.consents.ledger import parse_scope
from tests.core.consent.fhir.said import cases, outcome, resource
from tests.core.consent.generated import law

WHOLE = [(case["release"], case["consent"]) for case in [*cases("r4"), *cases("r5")]]
TEXTS = st.sampled_from(["", " ", "é", "permit", "R", "Patient/pat-a", "2026"])
NAMES = st.sampled_from(["coding", "reference", "code", "system", "start", "_start", "x"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=4,
)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[Release, dict[str, Any]]:
    """One of the sound Consents, with something else at some places."""
    release, over = draw(st.sampled_from(WHOLE))
    tree: Any = copy.deepcopy(resource(release, over))
    for _ in range(draw(st.integers(1, 2))):
        at = tree
        while True:
            key = draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
            inner = at[key]
            if not isinstance(inner, dict | list) or not inner or draw(st.integers(0, 3)) == 0:
                at[key] = draw(ANYTHING)
                break
            at = inner
    return release, tree


@law(4)
@given(damaged())
@example(("R5", {"resourceType": "Consent", "provision": [[{"actor": {}}]], "status": {}}))
def test_whatever_is_sent_is_read_or_refused(sent: tuple[Release, dict[str, Any]]) -> None:
    release, tree = sent
    found = outcome(release, {**dict.fromkeys(resource(release, {})), **tree})
    if isinstance(found, Read):
        assert parse(format_document(found.consent), parse_scope) == found.consent
    else:
        assert isinstance(found, Refusal)
        assert all(problem.place.startswith("Consent") and problem.text for problem in found.problems)


@law()
@given(damaged())
@example(("R5", {**resource("R5", {"decision": "deny"}), "policyBasis": {"url": []}}))
def test_the_models_name_places(sent: tuple[Release, dict[str, Any]]) -> None:
    release, tree = sent
    for problem in models.problems(json.dumps(tree).encode(), release):
        assert problem.place.startswith("Consent")
