"""A pytest plugin: with `CONSENTRY_REQUIRE=all` a skip, of a test or of a whole module, is a failure.

A machine that has everything then proves that everything ran. Expected failures stay what they are,
and so do skips whose reason opens with OPTIONAL: they want what nothing can install.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

OPTIONAL = "optional"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not hasattr(report, "wasxfail"):
        _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.outcome != "skipped" or os.environ.get("CONSENTRY_REQUIRE") != "all":
        return
    reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
    if not reason.removeprefix("Skipped: ").startswith(f"{OPTIONAL}: "):
        report.outcome = "failed"
        report.longrepr = f"CONSENTRY_REQUIRE=all, but: {reason}"
