"""Counts for operators, in the Prometheus text format: answers by status and time, missing tokens.

Where several processes answer, each writes to the folder that `PROMETHEUS_MULTIPROC_DIR` names (which the
Prometheus client reads when it is imported), and any of them tells the sum of all, ended ones included.
"""

from __future__ import annotations

import os
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from gateway import errors
from gateway.pipeline import Answer

SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """Counters of one gateway. They hold statuses and durations, never ids or addresses."""

    def __init__(self) -> None:
        self._own = CollectorRegistry()
        self._answers = Counter(
            "consentry_answers", "FHIR answers by status.", ["status"], registry=self._own
        )
        self._seconds = Histogram(
            "consentry_answer_seconds",
            "From a FHIR request's head to its answer.",
            buckets=SECONDS,
            registry=self._own,
        )
        self._unauthenticated = Counter(
            "consentry_unauthenticated",
            "FHIR requests without a valid token; not in the ledger.",
            registry=self._own,
        )

    def count_answer(self, answer: Answer, seconds: float) -> None:
        self._answers.labels(str(answer.status)).inc()
        self._seconds.observe(seconds)
        if isinstance(answer.error, errors.Unauthenticated):
            self._unauthenticated.inc()

    def text(self) -> str:
        return generate_latest(self._all()).decode()

    def _all(self) -> CollectorRegistry:
        if SHARED_FOLDER not in os.environ:
            return self._own
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]
        return everybody
