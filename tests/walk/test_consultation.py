"""A specialist in a remote consultation sees what belongs to it, for as long as it lasts and a day more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.support.gateway import Clock, Gateway, gateway
from tests.upstreams.base import Upstream
from tests.walk.data import load_walks

CASE = "Encounter/enc-a1"  # from 08:00 to 08:40 on 3 February 2025, UTC
SPECIALIST = {
    "client_id": "tele-app",
    "fhirUser": "Practitioner/prac-tele",
    "role": "telehealth",
    "case": CASE,
}


class Stopped(Clock):
    """A clock that stands where it was put."""

    def __init__(self) -> None:
        super().__init__()
        self.put("2025-02-03T07:30:00")

    def put(self, moment: str) -> None:
        self.at_ms = int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()) * 1000

    def __call__(self) -> int:
        return self.at_ms


@pytest.fixture(scope="module")
def clock() -> Stopped:
    return Stopped()


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
    assert seen(clinic, "Patient") == {"pat-a"}
    token = clinic.token("patient/*.rs", **SPECIALIST)  # type: ignore[arg-type]
    assert clinic.get("/fhir/Observation/obs-a-exact", token).status_code == (200 if is_open else 404)
    assert clinic.get("/fhir/Claim", token).status_code == 403
