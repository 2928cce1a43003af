"""Labels that are found in records: who keeps something apart keeps all of it apart, and nothing else.

Cases are data (`fixtures/walks/labels`, format in `cases`), with these expectations besides:

    read      the answer is, byte for byte, the record server's own
    ids       the answer's matches by id
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.core.fhir.security import CLASSIFIER, RESTS_ON
from gateway.mapping import digest
from tests.support.gateway import Gateway, gateway
from tests.upstreams.base import Upstream
from tests.walk.cases import (
    Case,
    ask,
    check,
    essence,
    read_cases,
    spoken,
    token_of,
    versions_in,
    with_versions,
)
from tests.walk.conftest import withhold_hiv
from tests.walk.data import load_labels, load_walks, versions
from tests.walk.steps import step

CASES = list(read_cases("labels"))
LEAKS = [
    case
    for case in read_cases("hostile")
    if case.id.startswith(("b_oracles:", "c_includes:", "e_versions:", "f_content:"))
    and case.upstream is None
    and not case.raw
]


@pytest.fixture(scope="module")
def apart(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One patient permits `app-1` everything but HIV, the other everything but substance use."""
    load_labels(upstream)
    with gateway(tmp_path_factory.mktemp("labels"), upstream.base_url) as running:
        for patient, label in (("pat-l", "HIV"), ("pat-m", "SUD")):
            running.permit(patient)
            running.deny(patient, labels=[label])
        yield running
        running.check_everything()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_kept_apart(apart: Gateway, upstream: Upstream, case: Case) -> None:
    path = case.request["path"]
    target = with_versions(path, {ref: versions(upstream, ref)[0] for ref in versions_in(path)})
    token = token_of(apart, case.token)
    assert token is not None
    answer = step(apart, target.removeprefix("/fhir/"), token).answer
    check(case, answer)
    if case.expect.get("read"):
        assert answer.content == upstream.get(target.removeprefix("/fhir/")).content
    if "ids" in case.expect:
        bundle = answer.json()
        assert sorted(entry["resource"]["id"] for entry in bundle.get("entry", [])) == case.expect["ids"]
        assert bundle.get("total", len(case.expect["ids"])) == len(case.expect["ids"])
    if "same_as" in case.expect:
        assert essence(answer) == essence(ask(apart, case, case.expect["same_as"]))


def test_without_a_rule_about_labels_nothing_else_is_asked(upstream: Upstream, tmp_path: Path) -> None:
    load_labels(upstream)
    with gateway(tmp_path, upstream.base_url) as running:
        running.permit("pat-l")
        for path in ("DiagnosticReport/l-report", "Observation/l-note", "Condition/l-hiv"):
            running.upstream.asks.clear()
            answer = running.get(f"/fhir/{path}", running.token(patient="pat-l"))
            assert answer.content == upstream.get(path).content
            assert [ask.path for ask in running.upstream.asks] == [f"/{path}"]


def test_a_record_that_is_hidden_for_itself_costs_what_a_missing_one_does(apart: Gateway) -> None:
    token = apart.token(patient="pat-l")
    for path in ("Observation/l-viral", "MedicationRequest/l-tenofovir", "Observation/l-none"):
        apart.upstream.asks.clear()
        assert apart.get(f"/fhir/{path}", token).status_code == 404
        assert len(apart.upstream.asks) == 1


def test_another_purpose_of_the_same_label_is_whole(upstream: Upstream, tmp_path: Path) -> None:
    """Who is permitted the label sees the record as it is."""
    load_labels(upstream)
    with gateway(tmp_path, upstream.base_url) as running:
        running.permit("pat-l", labels=["HIV", "N"])
        answer = running.get("/fhir/Condition/l-hiv", running.token(patient="pat-l"))
        assert answer.content == upstream.get("Condition/l-hiv").content
        assert running.get("/fhir/Condition/l-plain", running.token(patient="pat-l")).status_code == 200
        assert running.get("/fhir/Condition/l-words", running.token(patient="pat-l")).status_code == 404


def test_patients_are_told_the_labels_of_their_records_and_nobody_else_is(
    upstream: Upstream, tmp_path: Path
) -> None:
    load_labels(upstream)
    with gateway(tmp_path, upstream.base_url) as running:
        running.permit("pat-l", purposes=["TREAT", "PATRQT"])
        patient = running.token(patient="pat-l", role="patient", purpose_of_use="PATRQT")
        others = [running.token(patient="pat-l"), running.token(patient="pat-l", purpose_of_use="PATRQT")]
        read = running.get("/fhir/Condition/l-hiv", patient).json()
        for shown in (read, matches(running, "Condition?patient=Patient/pat-l", patient)["l-hiv"]):
            said = {coding["code"]: coding for coding in shown["meta"]["security"]}
            assert said.keys() == {"R", "HIV"}
            assert said["HIV"]["extension"] == [
                {"url": CLASSIFIER, "valueReference": {"display": f"Consentry, mappings sha256:{digest()}"}},
                {"url": RESTS_ON, "valueCoding": {"display": "hiv.json row 1 at #/code/coding/0"}},
            ]
        report = running.get("/fhir/DiagnosticReport/l-report", patient).json()
        _, basis = report["meta"]["security"][-1]["extension"]
        assert "result: hiv.json row" in basis["valueCoding"]["display"]
        for path in ("Condition/l-hiv", "DiagnosticReport/l-report"):
            for token in others:
                assert running.get(f"/fhir/{path}", token).content == upstream.get(path).content
        plain = upstream.get("Condition/l-plain").content
        assert running.get("/fhir/Condition/l-plain", patient).content == plain


def matches(running: Gateway, target: str, token: str) -> dict[str, Any]:
    found = running.get(f"/fhir/{target}", token).json()
    return {entry["resource"]["id"]: entry["resource"] for entry in found["entry"]}


@pytest.fixture(scope="module")
def looked_at(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The hospital of the hostile walks, whose records are looked at for labels."""
    load_walks(upstream)
    with gateway(tmp_path_factory.mktemp("looked-at"), upstream.base_url) as running:
        withhold_hiv(running)
        yield running
        running.check_everything()


@pytest.mark.parametrize("case", LEAKS, ids=str)
def test_looking_at_records_shows_nothing_more(looked_at: Gateway, upstream: Upstream, case: Case) -> None:
    """Who is kept from HIV sees less than by the labels that records come with, and never more."""
    path = case.request["path"]
    target = with_versions(path, {ref: versions(upstream, ref)[0] for ref in versions_in(path)})
    for draft in case.grants:
        looked_at.grant(**draft)
    answer = ask(looked_at, case, target)
    assert answer.status_code in {*case.expect["statuses"], 404}, spoken(answer)
    for part in (*case.never, *case.expect.get("must_not_contain", ())):
        assert part not in spoken(answer), (case.why, part)
