"""Many readers at once on the real server, a tenth of whom go away in the middle: nothing is mixed up.

The server collects garbage as rarely as `serve` makes it, so whatever it forgets to let go of shows as
memory, and a connection that nobody closes as an open file.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gateway.app import application
from gateway.cli.running import Http, bound, listen, port_of, serving
from gateway.config import load
from gateway.house import open_house
from tests.endurance.conftest import PATIENTS
from tests.endurance.load import Got, Load, Reader, mixed_up
from tests.endurance.site import Running, Site
from tests.endurance.upstream import marker
from tests.interop.raw import replies

WARM_UP = 1500
STORM = {"httptools": 16_000, "h11": 4_000}
GROWN_MB = 25
OPEN_MORE = 20
CLIENTS = 48
IN_A_CONNECTION = 10  # objects that asyncio leaves of one: its transport holds methods of itself


@pytest.mark.parametrize("http", STORM)
async def test_a_storm_with_cancellations_mixes_nothing_up_and_leaves_nothing_behind(
    site: Site, readers: list[Reader], http: str
) -> None:
    with site.served(http) as server:
        await _storm(server, readers, 1, WARM_UP)
        before_mb, before_open = server.resident_mb, server.open_files
        load = await _storm(server, readers, 2, STORM[http])
        assert load.given_up > STORM[http] / 40
        assert server.resident_mb - before_mb < GROWN_MB
        assert server.open_files <= before_open + OPEN_MORE
        await _storm(server, readers, 3, 50)
        assert server.end() == 0
        assert server.log == ""


def test_an_answer_that_was_mixed_up_would_be_noticed() -> None:
    good = Got("p1", "Patient/p1", 200, "", b'{"id": "p1", "name": "of:p1:"}')
    wrong = (
        replace(good, body=b'{"id": "p1", "name": "of:p2:"}'),
        replace(good, body=b'{"id": "p2", "name": "of:p1:"}'),
        replace(good, path="Patient?patient=p1"),
        replace(good, status=500),
    )
    assert mixed_up([good, *wrong], PATIENTS) == [*wrong]


async def _storm(server: Running, readers: list[Reader], seed: int, requests: int) -> Load:
    load = Load(server.url, readers, seed, impatient=True)
    await load.run(requests, clients=CLIENTS)
    assert len(load.answers) + load.given_up == requests
    assert not mixed_up(load.answers, PATIENTS)
    assert len({got.receipt for got in load.answers}) == len(load.answers)
    await asyncio.sleep(0.2)
    return load


@pytest.mark.parametrize("http", STORM)
async def test_requests_of_several_patients_on_one_socket_are_answered_in_order(
    site: Site, readers: list[Reader], http: str
) -> None:
    """Pipelined, each with its own token, on sockets that live side by side."""
    with site.served(http) as server:
        async with asyncio.TaskGroup() as group:
            for shift in range(12):
                group.create_task(_pipeline(server, readers[shift % 6 :] + readers[: shift % 6]))
        assert server.end() == 0


async def _pipeline(server: Running, readers: list[Reader]) -> None:
    asked = [(reader, number) for number in range(1, 8) for reader in readers]
    stream, out = await asyncio.open_connection("127.0.0.1", server.port)
    for reader, number in asked:
        out.write(
            f"GET /fhir/Observation/{reader.patient}.{number} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            f"Authorization: Bearer {reader.token}\r\n\r\n".encode()
        )
    out.write(f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\n\r\n".encode())
    *answers, last = replies(await stream.read())
    out.close()
    await out.wait_closed()
    assert last.body == b"ok\n"
    for (reader, number), answer in zip(asked, answers, strict=True):
        assert answer.status == 200
        assert f'"{marker(reader.patient)}{number}"'.encode() in answer.body


@pytest.mark.parametrize("http", ["httptools", "h11"])
async def test_answered_and_given_up_requests_leave_no_task_and_no_cycle(
    site: Site, readers: list[Reader], no_collections: None, http: Http
) -> None:
    """Nothing is left of a request for the collector to find; of a lost connection, its transport."""
    settings = load(site.folder / "consentry.toml", {})
    with listen("127.0.0.1", 0) as listener:
        async with (
            open_house(bound(settings, listener)) as house,
            serving(application(house), listener, http),
        ):
            url = f"http://127.0.0.1:{port_of(listener)}"
            await Load(url, readers, 4, impatient=True).run(300)
            tasks, _ = await _at_rest()

            await Load(url, readers, 5).run(1000, clients=CLIENTS)
            tasks_now, left = await _at_rest()
            assert (tasks_now, left <= IN_A_CONNECTION * 2 * CLIENTS) == (tasks, True)

            given = Load(url, readers, 6, impatient=True)
            await given.run(1000, clients=CLIENTS)
            connections = 2 * (CLIENTS + given.given_up)  # seen from both sides, which are in this process
            tasks_now, left = await _at_rest()
            assert (tasks_now, left <= IN_A_CONNECTION * connections) == (tasks, True)


async def _at_rest() -> tuple[int, int]:
    """How many tasks there are when nobody asks, and how many objects a collection found in cycles."""
    tasks = -1
    while tasks != (tasks := len(asyncio.all_tasks())):  # noqa: ASYNC110 - nobody says that it is at rest
        await asyncio.sleep(0.3)
    return tasks, gc.collect()


@pytest.fixture
def no_collections() -> Iterator[None]:
    """None but those that are asked for; afterwards as it was, for the server changes it too."""
    threshold = gc.get_threshold()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()
    gc.set_threshold(*threshold)
