"""The comparison that the README is held to is strict: what it lets differ is what it says."""

from __future__ import annotations

import pytest

from tests.docs.transcript import Comparison, Step, blocks

ID, OTHER = "2b2cbfcc02b05f5429189c66", "0123456789abcdef01234567"
HASH = "DUANQp02rKb-rI_6P0ZmGokjPCmgcYpM3RqTU0mbsyA"

SAME = {
    "letter by letter": (("ok: 1",), "ok: 1\n"),
    "nothing": ((), ""),
    "text left out": (("a…z",), "a, b and z\n"),
    "lines left out": (("a", "…", "z"), "a\nb\nc\nz\n"),
    "no line left out": (("a", "…", "z"), "a\nz\n"),
    "another id": ((ID,), f"{OTHER}\n"),
    "the same id twice": ((ID, f"{ID}: live"), f"{OTHER}\n{OTHER}: live\n"),
    "a key id of digits": (("log e1cbc89a",), "log 12345678\n"),
    "another hash": ((f"hash {HASH}",), f"hash {HASH[::-1]}\n"),
}
DIFFERENT = {
    "another text": (("ok: 1",), "ok: 2\n"),
    "more lines": (("a",), "a\nb\n"),
    "fewer lines": (("a", "b"), "a\n"),
    "a line between": (("a", "z"), "a\nb\nz\n"),
    "text left out over lines": (("a…z",), "a\nz\n"),
    "an id of another form": ((ID,), f"{OTHER}0\n"),
    "a number is no key id": (("size 12345678",), "size 12345679\n"),
    "two ids for one": ((ID, f"{ID}: live"), f"{OTHER}\n{OTHER[::-1]}: live\n"),
    "a point is no wildcard": (("7.10",), "7x10\n"),
}


@pytest.mark.parametrize("case", SAME.values(), ids=SAME)
def test_the_same_is_the_same(case: tuple[tuple[str, ...], str]) -> None:
    assert Comparison().matches(*case)


@pytest.mark.parametrize("case", DIFFERENT.values(), ids=DIFFERENT)
def test_different_is_different(case: tuple[tuple[str, ...], str]) -> None:
    assert not Comparison().matches(*case)


def test_a_value_stays_the_one_met_first() -> None:
    comparison = Comparison({"8080": "41234"})
    assert comparison.matches((f"{ID} at 8080",), f"{OTHER} at 41234\n")
    assert comparison.here(f"consentry consent revoke {ID}") == f"consentry consent revoke {OTHER}"
    assert comparison.matches((ID,), f"{OTHER}\n")
    assert not comparison.matches((ID,), f"{ID}\n")


def test_a_value_that_looks_like_another_stays_as_it_is() -> None:
    comparison = Comparison({"8080": "28090", "8090": "21111"})
    assert comparison.here("curl :8080/a :8090/b") == "curl :28090/a :21111/b"


def test_blocks_are_read_with_their_headings() -> None:
    text = "# T\n\n```console\n$ a\n1\n2\n$ b &\n```\n\n## U\n```toml\n# no heading\n```\n"
    first, second = blocks(text)
    assert (first.heading, first.steps) == ("T", (Step("a", ("1", "2")), Step("b &", ())))
    assert [step.stays for step in first.steps] == [False, True]
    assert (second.heading, second.language, second.text) == ("U", "toml", "# no heading")
