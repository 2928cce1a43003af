"""Requests written byte for byte: a server that is slow, and one that hangs up in the middle."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.support.ports import CHOSEN, bound_socket, raw_http, unused_port

ANSWER = b"HTTP/1.1 400 Bad Request\r\n\r\n"


@contextmanager
def served(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that hands one connection to `answer` and closes it."""
    with bound_socket() as listener:
        listener.listen()

        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                answer(connection)

        serving = threading.Thread(target=run)
        serving.start()
        yield int(listener.getsockname()[1])
        serving.join()


def test_an_unused_port_is_nobodys_and_is_not_given_away() -> None:
    ports = {unused_port() for _ in range(20)}
    assert len(ports) > 10
    with bound_socket() as given:
        assert given.getsockname()[1] not in CHOSEN
    for port in ports:
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_an_answer_may_begin_late() -> None:
    def late(connection: socket.socket) -> None:
        connection.recv(1)
        time.sleep(0.3)
        connection.sendall(ANSWER)

    with served(late) as port:
        assert raw_http(port, b"x", quiet_s=0.05) == ANSWER


def test_an_answer_ends_with_a_pause() -> None:
    heard = threading.Event()

    def pausing(connection: socket.socket) -> None:
        connection.sendall(ANSWER)
        heard.wait(5)

    with served(pausing) as port:
        assert raw_http(port, b"x", quiet_s=0.05) == ANSWER
        heard.set()


@pytest.mark.parametrize("size", [2, 20_000_000], ids=["sent", "still being sent"])
def test_what_came_before_a_reset_is_read(size: int) -> None:
    def hanging_up(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(ANSWER)

    with served(hanging_up) as port:
        assert raw_http(port, b"x" * size) == ANSWER
