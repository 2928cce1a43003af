"""A specialist in a remote consultation sees what belongs to it, and what is always needed, for as long as it
lasts and a day more; before and after that nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.gateway import Gateway, gateway
from tests.upstreams.base import Upstream
from tests.walk.clocks import Stopped
from tests.walk.data import load_walks

CASE = "Encounter/enc-a1"  # from 08:00 to 08:40 on 3 February 2025, UTC
SPECIALIST = {
    "client_id": "tele-app",
    "fhirUser": "Practitioner/prac-tele",
    "role": "telehealth",
    "case": CASE,
}


@pytest.fixture(scope="module")
def clock() -> Stopped:
    return Stopped("2025-02-03T07:30:00")


@pytest.fixture(scope="module")
def clinic(upstream: Upstream, clock: Stopped, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    load_walks(upstream)
    with gateway(tmp_path_factory.mktemp("clinic"), upstream.base_url, clock=clock) as running:
        running.permit(grantees=["practitioner:prac-tele"])
        yield running
        running.check_everything()


def seen(clinic: Gateway, kind: str) -> set[str]:
    token = clinic.token("user/*.rs patient/*.rs", **SPECIALIST)  # type: ignore[arg-type]
    answers = clinic.follow(f"/fhir/{kind}?_count=50", token)
    return {entry["resource"]["id"] for page in answers for entry in page.json().get("entry", [])}


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2025-02-03T07:44:59", False),
        ("2025-02-03T07:45:00", True),
        ("2025-02-03T08:20:00", True),
        ("2025-02-04T08:40:00", True),
        ("2025-02-04T08:41:00", False),
        ("2025-03-01T00:00:00", False),
    ],
    ids=["too early", "a quarter before", "in it", "a day after", "a minute later", "weeks later"],
)
def test_while_it_lasts(clinic: Gateway, clock: Stopped, moment: str, is_open: bool) -> None:
    clock.put(moment)
    observations = seen(clinic, "Observation")
    assert ("obs-a-exact" in observations) == is_open
    assert "obs-a-41-2" not in observations  # of another encounter, or none
    assert ("enc-a1" in seen(clinic, "Encounter")) == is_open
    assert seen(clinic, "Patient") == ({"pat-a"} if is_open else set())
    assert bool(seen(clinic, "AllergyIntolerance")) == is_open
    token = clinic.token("patient/*.rs", **SPECIALIST)  # type: ignore[arg-type]
    assert clinic.get("/fhir/Observation/obs-a-exact", token).status_code == (200 if is_open else 404)
    assert clinic.get("/fhir/Patient/pat-a", token).status_code == (200 if is_open else 404)
    assert clinic.get("/fhir/Claim", token).status_code == 403


def test_a_specialist_without_a_consultation_sees_nothing(clinic: Gateway, clock: Stopped) -> None:
    clock.put("2025-02-03T08:20:00")
    token = clinic.token("user/*.rs patient/*.rs", **{**SPECIALIST, "case": None})  # type: ignore[arg-type]
    for kind in ("Patient", "AllergyIntolerance", "Observation"):
        assert clinic.get(f"/fhir/{kind}", token).json()["total"] == 0
    hidden, missing = (clinic.get(f"/fhir/Patient/{each}", token) for each in ("pat-a", "pat-none"))
    assert (hidden.status_code, missing.status_code) == (404, 404)
    assert hidden.content == missing.content
