"""What is checked before anything is measured: where the gateway listens, and that it gives everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.bench.house import make_house
from gateway.bench.rig import announced_port, check_record, ids
from gateway.errors import ConfigError, VerificationFailed


@pytest.mark.parametrize(
    "line", ["consentry: serving http://127.0.0.1:8123 (FHIR at /a)", "up at http://[::1]:8123"]
)
def test_the_port_is_read_from_what_the_gateway_prints(line: str) -> None:
    assert announced_port(line) == 8123


@pytest.mark.parametrize("line", ["", "serving", "http://127.0.0.1", "https://127.0.0.1:8123"])
def test_without_an_address_the_run_ends(line: str) -> None:
    with pytest.raises(ConfigError, match="did not say where"):
        announced_port(line)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"resourceType":"Patient","id":"a"}', ["a"]),
        (b'{"entry":[{"resource":{"id":"b"}},{"resource":{"id":"a"}}]}', ["b", "a"]),
        (b'{"resourceType":"Bundle","total":0}', []),
        (b'{"resourceType":"OperationOutcome","issue":[]}', []),
    ],
    ids=["resource", "searchset", "empty", "error"],
)
def test_ids_of_an_answer(body: bytes, found: list[str]) -> None:
    assert ids(body) == found


def test_an_answer_without_its_entry_in_the_ledger_is_a_finding(tmp_path: Path) -> None:
    bench = make_house(tmp_path / "house")
    check_record(bench, 1)  # the consent's own
    with pytest.raises(VerificationFailed, match="2 answers were given, 1 entries"):
        check_record(bench, 2)
