"""What roles see, end to end: cases are data (`fixtures/walks/roles`, format in `cases`), over the records in
`fixtures/walks/roles-records.json`, of which nothing that says SECRET is for anybody in them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.gateway import Gateway, gateway
from tests.upstreams.base import Upstream
from tests.walk.cases import WALKS, Case, ask, check, read_cases
from tests.walk.data import load_roles

CASES = list(read_cases("roles"))


@pytest.fixture(scope="module")
def roles(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The records, under all the consents of the case files."""
    load_roles(upstream)
    with gateway(tmp_path_factory.mktemp("roles"), upstream.base_url) as running:
        for path in sorted((WALKS / "roles").glob("*.json")):
            for draft in json.loads(path.read_text())["grants"]:
                running.grant(**draft)
        yield running
        running.check_everything()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_roles(roles: Gateway, case: Case) -> None:
    before = len(roles.upstream.asks)
    answer = ask(roles, case)
    check(case, answer)
    asked = len(roles.upstream.asks) - before
    assert answer.status_code != 403 or not asked, "what a role does not have is not asked for"


def test_what_a_role_did_not_need_is_in_the_record(roles: Gateway) -> None:
    """By place, never by what stood there."""
    case = "MedicationRequest/rx-r"
    token = roles.token(patient="pat-r", client_id="pharmacy", role="pharmacy", case=case)
    answer = roles.get(f"/fhir/{case}", token)
    assert answer.status_code == 200
    [line] = roles.entries()[-1].attachments["rids"].splitlines()
    _, _, tag, *places = line.split()
    assert tag == "SUBSETTED"
    assert {"#/reasonCode", "#/note", "#/text"} <= set(places)
    assert "SECRET" not in line
