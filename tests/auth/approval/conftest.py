"""One counter for each module, and somebody before it with a browser of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.auth.counter import Counter, Visitor, open_counter


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def counter(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Counter]:
    async with open_counter(tmp_path_factory.mktemp("counter")) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def visitor(counter: Counter) -> AsyncIterator[Visitor]:
    counter.desk.ahead_s = 0
    async with counter.browse() as browser:
        yield browser
