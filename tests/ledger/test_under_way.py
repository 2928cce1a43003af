from __future__ import annotations

from gateway.ledger.under_way import UnderWay


def test_what_is_under_way_is_the_sum_of_what_the_sources_tell_now() -> None:
    under_way, here = UnderWay(), 2
    assert under_way() == 0
    under_way.add(lambda: here)
    under_way.add(lambda: 5)
    assert under_way() == 7
    here = 3
    assert under_way() == 8
