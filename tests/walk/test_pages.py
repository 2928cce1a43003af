"""Pages and mentions up to their limits: pages of nothing gone past, mentioned records looked up."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gateway.core.asks import MAX_LOOK_UPS
from gateway.gather import MAX_EMPTY_PAGES
from tests.support.gateway import Gateway, next_target
from tests.walk.canned import Canned, message
from tests.walk.conftest import withhold_hiv
from tests.walk.faults import READ, observation, page

HIV = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}
SEARCH = "/fhir/Observation"


def withheld(number: int) -> dict[str, Any]:
    return observation(f"w{number}", meta={"versionId": "1", "security": [HIV]})


def serve_pages(record_server: Canned, pages: list[list[dict[str, Any]]]) -> None:
    """A search whose pages these are, each with a link to the next."""

    def script(target: str) -> bytes:
        turned = re.search(r"_getpages=(\d+)", target)
        number = int(turned[1]) if turned else 0
        more = f"{record_server.base_url}?_getpages={number + 1}" if number + 1 < len(pages) else None
        return message(body=page(*pages[number], next=more))

    record_server.script = script


def ids(answer: Any) -> list[str]:
    return [entry["resource"]["id"] for entry in answer.json().get("entry", ())]


@pytest.mark.parametrize(
    ("empty", "first"), [(0, ["x"]), (1, ["x"]), (MAX_EMPTY_PAGES, ["x"]), (MAX_EMPTY_PAGES + 1, [])]
)
def test_pages_of_nothing_are_gone_past(
    house: Gateway, record_server: Canned, empty: int, first: list[str]
) -> None:
    """Beyond the limit there is an empty page, whose link leads on, and nothing is lost."""
    withhold_hiv(house)
    serve_pages(record_server, [*([withheld(n)] for n in range(empty)), [observation()]])
    answers = list(house.follow(SEARCH, house.token()))
    assert ids(answers[0]) == first
    assert [id for answer in answers for id in ids(answer)] == ["x"]
    assert not any('"w' in answer.text for answer in answers)


@pytest.mark.parametrize("behind", [[], [[withheld(1)]], [[withheld(1)], [withheld(2)]]], ids=len)
def test_no_link_leads_to_nothing_but_the_withheld(
    house: Gateway, record_server: Canned, behind: list[list[dict[str, Any]]]
) -> None:
    """What is withheld behind the last record that is shown makes no difference, whatever its pages."""
    withhold_hiv(house)
    serve_pages(record_server, [[observation()], *behind])
    answer = house.get(SEARCH, house.token())
    assert ids(answer) == ["x"]
    assert next_target(answer.json()) is None


def test_a_link_leads_past_the_withheld(house: Gateway, record_server: Canned) -> None:
    withhold_hiv(house)
    serve_pages(record_server, [[observation()], [withheld(1)], [observation("y")]])
    assert [ids(answer) for answer in house.follow(SEARCH, house.token())] == [["x"], ["y"]]


@pytest.mark.parametrize("mentions", [MAX_LOOK_UPS, MAX_LOOK_UPS + 1])
def test_so_many_mentions_are_looked_up(house: Gateway, record_server: Canned, mentions: int) -> None:
    """One that is over the limit keeps its address and nothing else."""
    names = [f"m{number:03}" for number in range(mentions)]
    members = [{"reference": f"Observation/{name}", "display": f"CANARY {name}"} for name in names]
    record_server.answer(path="/Observation/x", body=observation(hasMember=members))

    def script(target: str) -> bytes | None:
        asked = [name for name in names if name in target]
        return message(body=page(*map(observation, asked))) if "?" in target else None

    record_server.script = script
    house.permit()
    answer = house.get(READ, house.token())
    told = [member["reference"] for member in answer.json()["hasMember"] if "display" in member]
    assert told == [f"Observation/{name}" for name in names[:MAX_LOOK_UPS]]
    assert [member["reference"] for member in answer.json()["hasMember"]] == [
        member["reference"] for member in members
    ]
