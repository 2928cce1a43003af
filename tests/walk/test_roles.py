"""What roles see, end to end: cases are data (`fixtures/walks/roles`, format in `cases`), over the records in
`fixtures/walks/roles-records.json` and `cases-records.json`, with these expectations besides:

    ids       the answer's matches by id, all of them
    reason    why nothing came, as the ledger keeps it
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.gateway import Gateway, gateway
from tests.upstreams.base import Upstream
from tests.walk.cases import WALKS, Case, check, read_cases, token_of
from tests.walk.clocks import Stopped
from tests.walk.data import load_roles
from tests.walk.steps import shown, step, words_of

CASES = list(read_cases("roles"))


@pytest.fixture(scope="module")
def roles(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The records, under all the consents of the case files, in the middle of a consultation."""
    load_roles(upstream)
    clock = Stopped("2026-06-01T10:00:00")
    with gateway(tmp_path_factory.mktemp("roles"), upstream.base_url, clock=clock) as running:
        for path in sorted((WALKS / "roles").glob("*.json")):
            for draft in json.loads(path.read_text())["grants"]:
                running.grant(**draft)
        yield running
        running.check_everything()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_roles(roles: Gateway, case: Case) -> None:
    token = token_of(roles, case.token)
    assert token is not None
    done = step(roles, case.request["path"].removeprefix("/fhir/"), token)
    check(case, done.answer)
    if "ids" in case.expect:
        assert sorted(ref.partition("/")[2] for ref in shown(done)) == sorted(case.expect["ids"])
    if "reason" in case.expect:
        assert done.reason == case.expect["reason"]


LISTS = [case for case in CASES if case.expect.get("ids")]


@pytest.mark.parametrize("case", LISTS, ids=str)
def test_pages_hold_the_same(roles: Gateway, case: Case) -> None:
    """However small they are, and however many records of the upstream's pages are not of the case."""
    token = token_of(roles, case.token)
    assert token is not None
    pages = [page.json() for page in roles.follow(f"{case.request['path']}?_count=1", token)]
    assert all(page["entry"] for page in pages), "no page is empty"
    found = [entry["resource"]["id"] for page in pages for entry in page["entry"]]
    assert sorted(found) == sorted(case.expect["ids"])


def test_what_a_role_did_not_need_is_in_the_record(roles: Gateway) -> None:
    """By place, never by what stood there."""
    case = "MedicationRequest/rx-r"
    token = roles.token(patient="pat-r", client_id="pharmacy", role="pharmacy", case=case)
    answer = roles.get(f"/fhir/{case}", token)
    assert answer.status_code == 200
    [line] = roles.entries()[-1].attachments["rids"].splitlines()
    said = words_of(line)
    assert (said["AS"], said["IN"]) == (["pharmacy"], [case])
    assert {"#/reasonCode", "#/note", "#/text"} <= set(said["SUBSETTED"])
    assert "SECRET" not in line
