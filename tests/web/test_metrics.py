"""Counts are there when they are asked for, however few or many there were."""

from __future__ import annotations

import pytest

from gateway import errors
from gateway.ports import Answer
from gateway.web.metrics import MOST_FRESH, Metrics

REFUSED = Answer(401, b"", (), error=errors.Unauthenticated("No."))


@pytest.mark.parametrize("count", [1, MOST_FRESH - 1, MOST_FRESH, MOST_FRESH * 2 + 1])
def test_every_answer_is_counted_once(count: int) -> None:
    metrics = Metrics()
    for _ in range(count):
        metrics.count_answer(Answer(200, b"", ()), 0.002)
    metrics.count_answer(REFUSED, 0.3)
    for _ in range(2):
        text = metrics.text()
        assert f'consentry_answers_total{{status="200"}} {count}.0\n' in text
        assert 'consentry_answers_total{status="401"} 1.0\n' in text
        assert "consentry_unauthenticated_total 1.0\n" in text
        assert f'consentry_answer_seconds_bucket{{le="0.0025"}} {count}.0\n' in text
        assert f"consentry_answer_seconds_count {count + 1}.0\n" in text
