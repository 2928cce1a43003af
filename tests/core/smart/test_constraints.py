"""Granular queries: what is parsed can be written, and reads the same again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.smart.constraints import Refusal, format_constraints, parse_constraints
from gateway.core.values import Term

# Values as FHIR writes them: any printable text, with `,` `|` `$` and `\` escaped or, but for `,`
# and `\`, bare.
PIECE = st.one_of(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\\,"),
    st.sampled_from(["\\,", "\\|", "\\$", "\\\\", "|", "$", "+", "&", "=", "%", "?", " "]),
)
VALUE = st.lists(PIECE, min_size=1, max_size=8).map("".join)
TERM = st.builds(
    Term,
    st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,8}", fullmatch=True),
    st.lists(VALUE, min_size=1, max_size=3).map(tuple),
)


@given(st.lists(TERM, min_size=1, max_size=3).map(tuple))
def test_written_terms_read_the_same_again(terms: tuple[Term, ...]) -> None:
    assert parse_constraints(format_constraints(terms)) == terms


@given(st.lists(TERM, min_size=1, max_size=3).map(tuple))
def test_written_terms_are_characters_that_scopes_can_carry(terms: tuple[Term, ...]) -> None:
    assert all("!" <= c <= "~" and c not in '"\\' for c in format_constraints(terms))


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("code=a%5C,b,c", (Term("code", ("a\\,b", "c")),)),
        ("code=a%5C%5C,b", (Term("code", ("a\\\\", "b")),)),
        ("date=ge2024+05:00", (Term("date", ("ge2024+05:00",)),)),
        ("a=1&b=2&a=3", (Term("a", ("1",)), Term("b", ("2",)), Term("a", ("3",)))),
    ],
)
def test_query_is_split_before_it_is_decoded(query: str, terms: tuple[Term, ...]) -> None:
    assert parse_constraints(query) == terms


@pytest.mark.parametrize(
    "query", ["", "&", "a", "a=", "=a", "a=1&", "a=b c", "a=%zz", "a=%5C", "1=a", "a:=b", "a.=b", "a=%C2%85"]
)
def test_query_outside_the_grammar_is_refused(query: str) -> None:
    with pytest.raises(Refusal):
        parse_constraints(query)
