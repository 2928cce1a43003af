"""Tables as Markdown and JSON."""

from __future__ import annotations

import json

import pytest

from gateway.bench.report import Column, Report, Table

COLUMNS = (Column("what", "what"), Column("us", "µs", 1), Column("count", "count"))


def table(*rows: tuple[str | float | None, ...]) -> Table:
    return Table("times", "Times", "How long.", COLUMNS, rows)


def report(*rows: tuple[str | float | None, ...]) -> Report:
    return Report({"cores": "2"}, "In turns.", (table(*rows),), 1.25)


def test_markdown_aligns_numbers_and_keeps_the_digits_of_each_column() -> None:
    lines = report(("read", 12.345, 1234567)).markdown().splitlines()
    assert "| what | µs | count |" in lines
    assert "| --- | --: | --: |" in lines
    assert "| read | 12.3 | 1,234,567 |" in lines
    assert "| cores | 2 |" in lines


def test_what_the_machine_cannot_tell_is_a_question_mark_and_null() -> None:
    unknown = report(("read", None, 1))
    assert "| read | ? | 1 |" in unknown.markdown().splitlines()
    assert unknown.json()["tables"]["times"] == [{"what": "read", "us": None, "count": 1}]


def test_json_has_every_figure_unrounded_and_the_machine() -> None:
    tree = json.loads(json.dumps(report(("read", 12.345, 1), ("search", 0.5, 2)).json()))
    assert tree["machine"] == {"cores": "2"}
    assert [row["us"] for row in tree["tables"]["times"]] == [12.345, 0.5]


@pytest.mark.parametrize("row", [("read", 1.0), ("read", 1.0, 2, 3), ()], ids=["short", "long", "empty"])
def test_a_row_that_does_not_fit_is_refused(row: tuple[str | float, ...]) -> None:
    with pytest.raises(ValueError, match="one cell for each column"):
        table(row)
