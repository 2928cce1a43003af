"""Consents come and go, and the next request goes by them: cases are data (`fixtures/walks/situations`, in
the format of `tests/walk/situations.py`), over a chart of its own for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from tests.support.gateway import Gateway, gateway, next_target
from tests.upstreams.base import Upstream
from tests.walk.cases import WALKS
from tests.walk.clocks import Stopped
from tests.walk.data import load_once
from tests.walk.situations import CHART, Bedside, Situation, read_situations, settings_of

FILES = sorted(path.stem for path in (WALKS / "situations").glob("*.json"))
SITUATIONS = [situation for file in FILES for situation in read_situations(file)]
_numbers = count(1)


@pytest.fixture(scope="module")
def house_of(
    upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Gateway]]:
    """The gateway with the settings of a file of cases; it is noon in June."""
    load_once(upstream, "situations", CHART["shared"])
    made: dict[str, Gateway] = {}
    with ExitStack() as stack:

        def house(file: str) -> Gateway:
            if file not in made:
                folder, clock = tmp_path_factory.mktemp(file), Stopped("2026-06-01T12:00:00")
                extra = settings_of(file)
                made[file] = stack.enter_context(gateway(folder, upstream.base_url, clock=clock, extra=extra))
            return made[file]

        yield house
        for running in made.values():
            previews = [entry for entry in running.entries() if entry.facts.get("int") == "preview"]
            running.check_everything(unanswered=len(previews))


@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
def test_what_is_seen(house_of: Callable[[str], Gateway], upstream: Upstream, situation: Situation) -> None:
    bedside = Bedside(house_of(situation.file), upstream, f"s{next(_numbers)}-{situation.id}"[:40])
    bedside.admit()
    bedside.go_through(situation)


@pytest.mark.parametrize("change", ["revoked", "denied", "superseded"])
def test_a_search_is_not_gone_on_with_under_another_consent(
    house_of: Callable[[str], Gateway], upstream: Upstream, change: str
) -> None:
    running, patient = house_of("rules"), f"s{next(_numbers)}-page"
    Bedside(running, upstream, patient).admit()
    permit = running.permit(patient)
    token = running.token(patient=patient)
    first = running.get("/fhir/Condition?_count=1", token)
    target = next_target(first.json())
    assert target is not None
    assert running.get(target, token).status_code == 200
    if change == "revoked":
        running.revoke(permit["id"])
    elif change == "denied":
        running.deny(patient, labels=["HIV"])
    else:
        running.permit(patient, supersedes=[permit["id"]])
    asked = len(running.upstream.asks)
    answer = running.get(target, token)
    assert (answer.status_code, len(running.upstream.asks)) == (403 if change == "revoked" else 410, asked)
    reason = running.entries(running.size() - 1)[0].facts["rsn"]
    assert reason == ("revoked" if change == "revoked" else "page")
