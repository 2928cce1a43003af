"""A rule about what somebody made goes by Provenance too, in every release: from a FHIR Consent that is sent
to what is asked of a record server that says what the test wants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway import Gateway, gateway
from tests.support.house import prepare
from tests.walk.canned import Canned
from tests.walk.conftest import as_labelled
from tests.walk.faults import observation, page
from tests.walk.test_kept_back import denied_by_fhir

ANN, BOB = ({"reference": f"Practitioner/{name}"} for name in ("ann", "bob"))
OF_BOB = {"data": [{"meaning": "authoredby", "reference": BOB}]}
BY_ANN = observation(performer=[ANN])
ASKED = ("/Provenance", (("target", "Observation/x"), ("_count", "200")))


@pytest.fixture(scope="module", params=["R4", "R4B", "R5"])
def house_of(
    request: pytest.FixtureRequest, record_server: Canned, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """In front of a record server of each release; Bob's records are denied of patient A, and of B."""
    folder = tmp_path_factory.mktemp(request.param)
    prepare(folder, record_server.base_url)
    settings = folder / "consentry.toml"
    settings.write_text(settings.read_text().replace('"R4"', f'"{request.param}"'))
    with gateway(folder, record_server.base_url, ports=as_labelled) as running:
        running.permit()
        for patient in ("pat-a", "pat-b"):
            denied_by_fhir(running, OF_BOB, patient)
        yield running
        running.check_everything()


@pytest.fixture
def released(house_of: Gateway, record_server: Canned) -> Gateway:
    """With one record of Ann's, which is also all that a search finds."""
    record_server.reset()
    record_server.answer(path="/Observation/x", body=BY_ANN)
    record_server.answer(path="/Observation", body=page(BY_ANN))
    return house_of


def provenance(release: str, *agents: dict[str, Any], target: str = "Observation/x") -> dict[str, Any]:
    """As each release writes it."""
    newer = {"patient": {"reference": "Patient/pat-a"}, "occurredDateTime": "2026-01-01"}
    return {
        "resourceType": "Provenance",
        "id": "p",
        "target": [{"reference": target}],
        "recorded": "2026-01-01T10:00:00Z",
        "agent": list(agents),
        "signature": [{"type": [{"code": "x"}], "when": "2026-01-01T10:00:00Z", "who": BOB}],
        **(newer if release == "R5" else {}),
    }


def seen(running: Gateway, *asked: tuple[str, tuple[tuple[str, str], ...]]) -> bool:
    """Whether a read and a search show the record; either asked for its Provenance once."""
    shown = []
    for target in ("Observation/x", "Observation"):
        running.upstream.asks.clear()
        answer = running.get(f"/fhir/{target}", running.token())
        assert "Provenance" not in answer.text
        assert [(ask.path, ask.query) for ask in running.upstream.asks[1:]] == list(asked)
        shown.append("CANARY" in answer.text)
    assert len(set(shown)) == 1
    return shown[0]


AGENTS: list[tuple[str, list[dict[str, Any]], bool]] = [
    ("her", [{"who": ANN}], True),
    ("him", [{"who": BOB}], False),
    ("him too", [{"who": ANN}, {"who": BOB}], False),
    ("her for him", [{"who": ANN, "onBehalfOf": BOB}], False),
    ("his twin", [{"who": {"reference": "Practitioner/bob2"}}], True),
    ("nobody who is named", [{"who": {"display": "Bob"}}], False),
]


@pytest.mark.parametrize(("agents", "expected"), [case[1:] for case in AGENTS], ids=[c[0] for c in AGENTS])
def test_what_provenance_says(
    released: Gateway, record_server: Canned, agents: list[dict[str, Any]], expected: bool
) -> None:
    release = released.house.settings.upstreams[0].fhir_version
    record_server.answer(path="/Provenance", body=page(provenance(release, *agents)))
    assert seen(released, ASKED) is expected


def test_what_provenance_does_not_say(released: Gateway, record_server: Canned) -> None:
    record_server.answer(path="/Provenance", body=page())
    assert seen(released, ASKED)
    record_server.answer(path="/Provenance", status=404, body={"resourceType": "OperationOutcome"})
    assert not seen(released, ASKED)


def test_hidden_and_missing_are_alike(released: Gateway, record_server: Canned) -> None:
    """Of what is not there, what is another patient's, and what is his by itself, nothing more is asked."""
    record_server.answer(path="/Observation/of-b", body=observation("of-b", "pat-b", performer=[ANN]))
    record_server.answer(path="/Observation/his", body=observation("his", performer=[BOB]))
    answers = []
    for name in ("nothing", "of-b", "his"):
        released.upstream.asks.clear()
        answer = released.get(f"/fhir/Observation/{name}", released.token())
        answers.append((answer.status_code, answer.content, len(released.upstream.asks)))
    assert answers == [answers[0]] * 3
    assert answers[0][0] == 404
