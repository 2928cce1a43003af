from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.endurance.load import Reader
from tests.endurance.site import Site
from tests.endurance.upstream import slow_upstream

PATIENTS = tuple(f"p{number}" for number in range(8))


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with slow_upstream(tmp_path_factory.mktemp("upstream"), slow_ms=10) as base_url:
        yield base_url


@pytest.fixture
def site(tmp_path: Path, upstream: str) -> Site:
    """A new gateway, not running."""
    return Site.make(tmp_path / "site", upstream)


@pytest.fixture
def readers(site: Site) -> list[Reader]:
    """Half of them patients with their own records, half applications under a consent."""
    own = [Reader(patient, site.token(patient, "portal")) for patient in PATIENTS[:4]]
    granted = [
        Reader(patient, site.token(patient, f"app-{patient}", site.grant(patient, f"app-{patient}")))
        for patient in PATIENTS[4:6]
    ]
    return own + granted
