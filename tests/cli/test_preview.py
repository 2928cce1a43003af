"""What a consent would do, and why a request is decided as it is, by command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.support import GRANT, Place, place
from tests.upstreams.sandbox import sandbox
from tests.walk.data import load_walks

ANN = ("consent", "preview", "--patient", "pat-a")
NURSE = ("--grantee", "practitioner:prac-9", "--scope", "patient/Condition.rs", "--purpose", "TREAT")


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The synthetic hospital, and Ann's consent for `app-1`."""
    with sandbox() as upstream:
        load_walks(upstream)
        made = place(tmp_path_factory.mktemp("ward"), upstream.base_url)
        made.good("keys", "init")
        made.good(*GRANT, "--purpose", "TREAT")
        yield made


def anns(ward: Place) -> dict[str, Any]:
    """The one consent of hers that is live."""
    all_of = ward.json("consent", "show", "--patient", "pat-a")["consents"]
    [live] = [consent for consent in all_of if consent["state"] == "live"]
    return live  # type: ignore[no-any-return]


def test_a_preview_says_who_would_see_how_much_and_why(ward: Place) -> None:
    before = ward.json("ledger", "head")["size"]
    said = ward.good(*ANN, *NURSE)
    assert "client:app-1, for TREAT:" in said
    assert "practitioner:prac-9, for TREAT:" in said
    assert "newly shown: Condition/" in said
    assert "(not recorded), root" in said
    assert said.endswith(f"This reading is ledger entry {before}.\n")
    assert ward.json("ledger", "head")["size"] == before + 1
    ward.good("ledger", "verify")


def test_nothing_is_granted(ward: Place) -> None:
    before = ward.json("consent", "show", "--patient", "pat-a")
    ward.good(*ANN, *NURSE)
    assert ward.json("consent", "show", "--patient", "pat-a") == before


def test_a_preview_for_somebody_named_by_all_they_are(ward: Place) -> None:
    who = "client:app-1,practitioner:prac-1"
    answer = ward.json(*ANN, *NURSE, "--as", who)
    assert [viewer["who"] for viewer in answer["viewers"]] == [who.split(",")]


def test_a_change_that_takes_away(ward: Place) -> None:
    consent = anns(ward)
    narrowed = ("--grantee", "client:app-1", "--scope", "patient/Condition.rs", "--purpose", "TREAT")
    answer = ward.json("consent", "preview", "--change", consent["id"], *narrowed)
    [viewer] = answer["viewers"]
    assert viewer["gained"] == []
    assert {ref.partition("/")[0] for ref in viewer["lost"]} >= {"Observation", "Patient"}
    assert not any(ref.startswith("Condition/") for ref in viewer["lost"])


def test_two_consents_compared(ward: Place) -> None:
    consent = anns(ward)
    other = ward.json("consent", "grant", "--patient", "pat-a", *NURSE)["id"]
    said = ward.good("consent", "compare", other, consent["id"])
    assert "newly shown: " in said
    ward.good("consent", "revoke", other)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("consent", "preview", *NURSE), "--patient or --change"),
        ((*ANN, "--change", "c", *NURSE), "--patient or --change"),
        ((*ANN, "--grantee", "client:app-1"), "patient/*.rs"),
        ((*ANN, *NURSE, "--as", "nobody"), "practitioner:prac-1"),
        ((*ANN, *NURSE, "--upstream", "other"), "main"),
        (("consent", "compare", "c-1", "c-2"), "no consent c-1"),
        (("simulate", "Condition", "--token", "/nowhere"), "/nowhere"),
    ],
    ids=["nobody", "both", "no scope", "no viewer", "no upstream", "no consent", "no token"],
)
def test_refused_in_one_line_and_nothing_recorded(ward: Place, arguments: tuple[str, ...], says: str) -> None:
    before = ward.json("ledger", "head")["size"]
    assert says in ward.refused(*arguments)
    assert ward.json("ledger", "head")["size"] == before


def test_a_simulation_names_the_rule(ward: Place, tmp_path: Path) -> None:
    consent = anns(ward)
    token = tmp_path / "token"
    made = ("token", "--client", "app-1", "--patient", "pat-a", "--consent", consent["id"])
    token.write_text(ward.good(*made, "--scope", "patient/Condition.rs"))
    before = ward.json("ledger", "head")["size"]
    ask = ("simulate", "Condition?code=195967001", "--token", str(token))
    said = ward.good(*ask)
    assert "Permitted" in said
    assert "asks the record server /Condition?code=195967001&patient=Patient/pat-a" in said
    record = tmp_path / "record.json"
    record.write_text(
        json.dumps({"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/pat-b"}})
    )
    assert "Condition/c would be hidden, scope" in ward.good(*ask, "--record", str(record))
    refused = ward.good("simulate", "Observation/o", "--token", str(token))
    assert refused.startswith("Refused at the decision, 403: ")
    assert ward.json("ledger", "head")["size"] == before
