"""Counts for operators, in the Prometheus text format: answers by status and time, missing tokens.

Where several processes answer, each writes to the folder that `PROMETHEUS_MULTIPROC_DIR` names (which the
Prometheus client reads when it is imported), and any of them tells the sum of all, ended ones included.
"""

from __future__ import annotations

import os
from collections import Counter as Tally
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
from gateway.ports import Answer

SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
MOST_FRESH: Final = 100
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """Counters of one gateway. They hold statuses and durations, never ids or addresses.

    Where nobody else reads them, answers are counted some at a time, which is much cheaper: when there are
    `MOST_FRESH`, or when the counts are asked for.
    """

    def __init__(self) -> None:
        self._fresh: list[tuple[int, float]] = []  # status and seconds of answers still to be counted
        self._most_fresh = 1 if SHARED_FOLDER in os.environ else MOST_FRESH
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
        self._fresh.append((answer.status, seconds))
        if len(self._fresh) >= self._most_fresh:
            self._count_fresh()
        if isinstance(answer.error, errors.Unauthenticated):
            self._unauthenticated.inc()

    def text(self) -> str:
        self._count_fresh()
        return generate_latest(self._all()).decode()

    def _count_fresh(self) -> None:
        for status, count in Tally(status for status, _ in self._fresh).items():
            self._answers.labels(str(status)).inc(count)
        for _, seconds in self._fresh:
            self._seconds.observe(seconds)
        self._fresh.clear()

    def _all(self) -> CollectorRegistry:
        if SHARED_FOLDER not in os.environ:
            return self._own
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]
        return everybody
