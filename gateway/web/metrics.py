"""Counts for operators, in the Prometheus text format: answers by status, denials, missing tokens."""

from __future__ import annotations

from collections import Counter

from gateway import errors
from gateway.pipeline import Answer


class Metrics:
    """Counters of one process. They hold statuses and reason codes, never ids or addresses."""

    def __init__(self) -> None:
        self._answers: Counter[int] = Counter()
        self._unauthenticated = 0

    def count_answer(self, answer: Answer) -> None:
        self._answers[answer.status] += 1
        if isinstance(answer.error, errors.Unauthenticated):
            self._unauthenticated += 1

    def text(self) -> str:
        lines = [
            "# HELP consentry_answers_total FHIR answers by status.",
            "# TYPE consentry_answers_total counter",
            *(f'consentry_answers_total{{status="{s}"}} {n}' for s, n in sorted(self._answers.items())),
            "# HELP consentry_unauthenticated_total FHIR requests without a valid token; not in the ledger.",
            "# TYPE consentry_unauthenticated_total counter",
            f"consentry_unauthenticated_total {self._unauthenticated}",
        ]
        return "\n".join(lines) + "\n"
