"""The ways to log in, put together: which there are at which address."""

from __future__ import annotations

import pytest

from gateway.auth.log_in import LogIn
from gateway.auth.people.login_page import Elsewhere, Ways, link

ONE, OTHER = Elsewhere("a", "A"), Elsewhere("b", "B")


@pytest.mark.parametrize(
    ("local", "url", "has"),
    [
        (True, "https://gw.example", True),
        (True, "http://gw.example", False),
        (True, "https://192.0.2.1", False),
        (False, "https://gw.example", False),
    ],
)
def test_passkeys_are_for_who_logs_in_here_at_a_name(local: bool, url: str, has: bool) -> None:
    assert LogIn(local).has_passkeys(url) is has


@pytest.mark.parametrize(
    ("ways", "only"),
    [
        (Ways(), None),
        (Ways(True, (ONE,)), None),
        (Ways(False, (ONE,)), ONE),
        (Ways(False, (ONE, OTHER)), None),
    ],
)
def test_there_is_nothing_to_choose_where_there_is_one_way(ways: Ways, only: Elsewhere | None) -> None:
    assert ways.only == only


def test_there_is_a_way_at_least() -> None:
    with pytest.raises(ValueError, match="nobody"):
        Ways(local=False)


@pytest.mark.parametrize(
    ("next_id", "again", "address"),
    [
        ("", False, "/x"),
        ("a", False, "/x?next=a"),
        ("", True, "/x?again=1"),
        ("a&b", True, "/x?next=a%26b&again=1"),
    ],
)
def test_an_address_says_what_it_is_for(next_id: str, again: bool, address: str) -> None:
    assert link("/x", next_id, again=again) == address
