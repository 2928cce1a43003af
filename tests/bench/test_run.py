"""The whole benchmark, quickly: every row is there and its figures can be true. No time is asserted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.bench.appends import WAITERS
from gateway.bench.command import bench
from gateway.bench.costs import PAGES
from gateway.bench.deciding import ALL, DEEP, FIVE, THOUSAND
from gateway.bench.goals import GOALS
from gateway.bench.requests import CASES, CONNECTIONS
from gateway.bench.run import NAMES

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rows]:
    out = tmp_path_factory.mktemp("bench") / "report.json"
    result = invoke("--quick", "--entries", "700", "--json", "--out", str(out))
    assert (result.exit_code, result.output) == (0, "")
    report = json.loads(out.read_text())
    assert report["seconds"] > 0
    assert report["machine"]["processor"]
    found: dict[str, Rows] = report["tables"]
    assert tuple(found) == ("goals", *NAMES)
    return found


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(bench, arguments, catch_exceptions=False)


def test_requests(tables: dict[str, Rows]) -> None:
    rows = tables["requests"]
    assert [(row["case"], row["connections"]) for row in rows] == [
        (c.name, n) for c in CASES for n in CONNECTIONS
    ]
    for row in rows:
        assert 0 < row["direct_p50_ms"] <= row["direct_p99_ms"]
        assert row["gateway_p50_ms"] <= row["gateway_p99_ms"]
        assert (row["gateway_per_second"] > 0) == (row["refused_percent"] < 100)
        assert row["ratio"] == pytest.approx(row["gateway_per_second"] / row["direct_per_second"])
        assert row["added_p50_ms"] == pytest.approx(row["gateway_p50_ms"] - row["direct_p50_ms"])
        assert row["gateway_cpu_us"] is None or row["gateway_cpu_us"] > 0


def test_appends(tables: dict[str, Rows]) -> None:
    rows = tables["appends"]
    assert [row["what"] for row in rows] == ["fsync", *(f"append, {waiters} waiting" for waiters in WAITERS)]
    assert all(row["per_second"] > 0 and 0 < row["p50_ms"] <= row["p99_ms"] for row in rows)


def test_entry(tables: dict[str, Rows]) -> None:
    read, search = tables["entry"]
    assert read["leaf_bytes"] == search["leaf_bytes"]
    assert read["sidecar_bytes"] < search["sidecar_bytes"]
    assert min(read["us"], search["us"]) > 0


def test_filter(tables: dict[str, Rows]) -> None:
    rows = tables["filter"]
    assert [row["entries"] for row in rows] == list(PAGES)
    for row in rows:
        for which in ("new", "seen"):
            speed = row["kilobytes"] / row[f"{which}_ms"]
            assert row[f"{which}_mb_per_second"] == pytest.approx(speed)


def test_owners(tables: dict[str, Rows]) -> None:
    assert [row["resource"] for row in tables["owners"]] == ["a patient", "a result", "a panel"]
    assert all(row["us"] > 0 for row in tables["owners"])


def test_decide(tables: dict[str, Rows]) -> None:
    assert [row["case"] for row in tables["decide"]] == [FIVE, DEEP, THOUSAND, ALL]
    for row in tables["decide"]:
        assert min(row[f"{which}us"] for which in ("", "again_", "changed_", "first_")) > 0


def test_every_goal_has_a_figure(tables: dict[str, Rows]) -> None:
    assert [row["what"] for row in tables["goals"]] == [goal.what for goal in GOALS]
    assert {row["met"] for row in tables["goals"]} <= {"yes", "missed"}


def test_token(tables: dict[str, Rows]) -> None:
    new, seen = tables["token"]
    assert (new["token"], seen["token"]) == ("not seen before", "seen before")
    assert min(new["us"], seen["us"]) > 0


def test_verify(tables: dict[str, Rows]) -> None:
    rows = tables["verify"]
    assert {row["entries"] for row in rows} == {700}
    for row in rows:
        assert row["per_second"] * row["seconds_per_million"] == pytest.approx(1e6)


def test_one_section_as_markdown_leaves_nothing_behind(tmp_path: Path) -> None:
    result = invoke("--quick", "--only", "token", "--folder", str(tmp_path))
    assert result.exit_code == 0
    assert "### Verifying a token" in result.stdout
    assert "### Requests" not in result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [("--only", "tokens"), ("--rounds", "0"), ("--entries", "0"), ("--folder", "/nowhere"), ("--fast",)],
    ids=lambda wrong: wrong[0],
)
def test_what_is_not_known_is_a_mistake_in_usage(wrong: tuple[str, ...]) -> None:
    assert invoke(*wrong).exit_code == 2
