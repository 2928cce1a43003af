"""Gateways in front of each record server, with the consents that most walks go under."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.ports import Ports
from tests.support.gateway import Gateway, gateway
from tests.support.shared import shared_file
from tests.upstreams.base import Upstream
from tests.walk.canned import Canned, canned
from tests.walk.data import load_vectors, load_walks


@pytest.fixture(scope="module")
def walks(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The synthetic hospital. Ann's records are open to `app-1`, but for what is labelled HIV."""
    load_walks(upstream)
    with gateway(tmp_path_factory.mktemp("walks"), upstream.base_url, ports=as_labelled) as running:
        withhold_hiv(running)
        yield running
        running.check_everything()


@pytest.fixture(scope="session")
def vector_table() -> dict[str, Any]:
    """Hostile requests from outside the project, when they are there."""
    table: dict[str, Any] = json.loads(shared_file("vectors/hostile.json").read_text())
    return table


@pytest.fixture(scope="module")
def vectors(
    upstream: Upstream, vector_table: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """Their records, under the consent that they assume."""
    load_vectors(upstream, vector_table)
    with gateway(tmp_path_factory.mktemp("vectors"), upstream.base_url) as running:
        withhold_hiv(running)
        yield running
        running.check_everything()


@pytest.fixture(scope="session")
def record_server() -> Iterator[Canned]:
    with canned() as running:
        yield running


@pytest.fixture(scope="module")
def distrustful(record_server: Canned, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """In front of a record server that says what the test wants."""
    folder = tmp_path_factory.mktemp("canned")
    with gateway(folder, record_server.base_url, timeout_s=2, ports=as_labelled) as running:
        withhold_hiv(running)
        yield running
        running.check_everything()


@pytest.fixture
def house(tmp_path: Path, record_server: Canned) -> Iterator[Gateway]:
    """A gateway without a consent, for one test alone."""
    record_server.reset()
    with gateway(tmp_path, record_server.base_url, timeout_s=2, ports=as_labelled) as running:
        yield running
        running.check_everything()


def as_labelled(ports: Ports) -> Ports:
    """Labels are those that records come with: which ones are found in records is another subject."""
    return replace(ports, house=replace(ports.house, labelling=None))


def withhold_hiv(running: Gateway) -> None:
    running.permit()
    running.deny(labels=["HIV"])
