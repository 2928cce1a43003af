"""Consents by command: what is recorded, what is printed, what is refused before anything is recorded."""

from __future__ import annotations

import re

import pytest

from tests.cli.support import GRANT, Place


def test_a_grant_prints_its_reference(made: Place) -> None:
    ref = made.json(*GRANT, "--purpose", "TREAT", "--until", "2099-01-01", "--label", "HIV")
    assert set(ref) == {"id", "entry", "hash"}
    assert ref["entry"] == 2
    assert re.fullmatch(r"[\w-]{43}", ref["hash"])
    shown = made.json("consent", "show", ref["id"])
    assert shown == {
        "id": ref["id"],
        "patient": "pat-a",
        "state": "live",
        "effect": "permit",
        "grantees": ["client:app-1"],
        "scopes": ["patient/*.rs"],
        "purposes": ["TREAT"],
        "from": None,
        "until": "2099-01-01T23:59:59Z",
        "labels": ["HIV"],
        "except": [],
        "supersedes": [],
        "entries": [{"entry": 2, "hash": ref["hash"]}],
        "ended": None,
    }


def test_every_option_of_a_grant_may_be_repeated(made: Place) -> None:
    who_and_what = ["--grantee", "practitioner:prac-1", "--scope", "patient/Claim.c"]
    why = ["--purpose", "TREAT", "--purpose", "HPAYMT"]
    shown = made.json("consent", "show", made.json(*GRANT, *who_and_what, *why)["id"])
    assert shown["grantees"] == ["client:app-1", "practitioner:prac-1"]
    assert shown["scopes"] == ["patient/*.rs", "patient/Claim.c"]
    assert shown["purposes"] == ["HPAYMT", "TREAT"]


def test_a_deny_without_scope_covers_everything(made: Place) -> None:
    shown = made.json("consent", "show", made.json("consent", "grant", "--patient", "pat-a", "--deny")["id"])
    assert (shown["effect"], shown["scopes"], shown["grantees"]) == ("deny", ["patient/*.cruds"], [])


def test_a_permit_without_scope_is_refused_and_nothing_recorded(made: Place) -> None:
    line = made.refused("consent", "grant", "--patient", "pat-a", "--grantee", "client:app-1")
    assert "patient/*.rs" in line
    assert made.json("ledger", "head")["size"] == 2


def test_a_change_replaces_what_is_given_and_keeps_the_rest(made: Place) -> None:
    granted = made.json(*GRANT, "--purpose", "TREAT", "--until", "2099-01-01", "--label", "HIV")
    changed = made.json("consent", "change", granted["id"], "--purpose", "HPAYMT")
    assert changed["id"] == granted["id"]
    shown = made.json("consent", "show", granted["id"])
    assert (shown["purposes"], shown["labels"]) == (["HPAYMT"], ["HIV"])
    assert shown["until"] == "2099-01-01T23:59:59Z"
    assert [place["entry"] for place in shown["entries"]] == [granted["entry"], changed["entry"]]


def test_a_change_takes_a_limit_away_only_when_told(made: Place) -> None:
    granted = made.json(*GRANT, "--purpose", "TREAT", "--until", "2099-01-01")
    made.good("consent", "change", granted["id"], "--clear", "purpose", "--clear", "until")
    shown = made.json("consent", "show", granted["id"])
    assert (shown["purposes"], shown["until"], shown["scopes"]) == ([], None, ["patient/*.rs"])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--clear", "scope"], "at least one scope"),
        (["--clear", "grantee"], "at least one grantee"),
        (["--clear", "purpose", "--purpose", "TREAT"], "not both"),
        (["--clear", "patient"], "is not one of"),
        (["--until", "2020-01-01"], "in the past"),
    ],
    ids=" ".join,
)
def test_a_change_that_cannot_be_is_refused(made: Place, options: list[str], expected: str) -> None:
    granted = made.json(*GRANT)
    assert expected in made.refused("consent", "change", granted["id"], *options)
    assert made.json("ledger", "head")["size"] == 3


def test_a_change_of_the_effect(made: Place) -> None:
    granted = made.json(*GRANT)
    made.good("consent", "change", granted["id"], "--deny")
    assert made.json("consent", "show", granted["id"])["effect"] == "deny"
    made.good("consent", "change", granted["id"], "--permit")
    assert made.json("consent", "show", granted["id"])["effect"] == "permit"


def test_a_consent_that_supersedes_another_ends_it(made: Place) -> None:
    old = made.json(*GRANT)
    new = made.json(*GRANT, "--supersedes", old["id"])
    states = {c["id"]: c["state"] for c in made.json("consent", "show", "--patient", "pat-a")["consents"]}
    assert states == {old["id"]: "superseded", new["id"]: "live"}


def test_a_withdrawal_ends_a_consent_once(made: Place) -> None:
    granted = made.json(*GRANT)
    done = made.json("consent", "revoke", granted["id"], "--reason", "patient-request")
    assert (done["id"], done["entry"]) == (granted["id"], 3)
    shown = made.json("consent", "show", granted["id"])
    assert (shown["state"], shown["ended"]["entry"]) == ("revoked", 3)
    assert made.json("ledger", "entry", "3")["facts"]["rsn"] == "patient-request"
    assert "already revoked" in made.refused("consent", "revoke", granted["id"])


def test_a_withdrawal_may_stand_as_a_refusal(made: Place) -> None:
    granted = made.json(*GRANT)
    made.good("consent", "revoke", granted["id"], "--stop")
    assert made.json("consent", "show", granted["id"])["state"] == "stopped"


def test_a_reason_is_a_code(made: Place) -> None:
    granted = made.json(*GRANT)
    assert "a code such as" in made.refused("consent", "revoke", granted["id"], "--reason", "Ann asked us to")


def test_for_people_it_is_text(made: Place) -> None:
    granted = made.good(*GRANT, "--until", "2099-01-01")
    assert re.fullmatch(r"[0-9a-f]{24}\nledger entry 2, hash [\w-]{43}\n", granted)
    shown = made.good("consent", "show", "--patient", "pat-a")
    assert "live, patient pat-a" in shown
    assert re.search(r"until +2099-01-01T23:59:59Z", shown)
    assert made.good("consent", "show", "--patient", "pat-b") == "There are no consents.\n"
