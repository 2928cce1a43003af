"""YAML with lines: texts stay texts, and what is no YAML is told with its line."""

from __future__ import annotations

import pytest

from gateway.core.roles.source import Listed, Other, Table, Text
from gateway.yaml_lines import NotYaml, read_yaml


def test_values_have_their_lines() -> None:
    found = read_yaml("a: no\nb:\n  - x\n  - 'y'\nc: {d: 1}\na: ~\n")
    assert found == Table(
        (
            (Text("a", 1), Text("no", 1)),
            (Text("b", 2), Listed((Text("x", 3), Text("y", 4)), 3)),
            (Text("c", 5), Table(((Text("d", 5), Other(5)),), 5)),
            (Text("a", 6), Other(6)),
        ),
        1,
    )


@pytest.mark.parametrize("word", ["no", "off", "yes", "on", "012", "1:30", "2026-01-01"])
def test_what_only_yaml_1_1_takes_for_something_else_is_a_text_or_of_no_use(word: str) -> None:
    [(_, value)] = read_yaml(f"a: {word}\n").rows  # type: ignore[union-attr]
    assert value in (Text(word, 1), Other(1))
    assert word in ("012", "2026-01-01") or value == Text(word, 1)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("# nothing\n", 1),
        ("a: [1\n", 2),
        ("a: 1\n---\nb: 2\n", 2),
        ("a: 1\n\tb: 2\n", 2),
        ("a: 1\nb: &x [*x]\n", 2),
        ("a: \x00\n", 1),
        ("a: b: c\n", 1),
    ],
    ids=["empty", "a comment", "open", "two documents", "a tab", "an anchor", "a NUL", "two values"],
)
def test_what_is_no_yaml(text: str, line: int) -> None:
    with pytest.raises(NotYaml) as wrong:
        read_yaml(text)
    assert wrong.value.line == line


def test_a_value_of_a_tag_of_its_own_is_of_no_use() -> None:
    [(_, value)] = read_yaml("a: !python/object x\n").rows  # type: ignore[union-attr]
    assert value == Other(1)
