"""Tokens by command: what they claim, what they rest on, what is recorded, and which are not made."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.canon import b64url, sha256, unb64url
from tests.cli.support import GRANT, Place

TOKEN = ("token", "--client", "app-1", "--patient", "pat-a", "--scope", "patient/*.rs")
SECOND_UPSTREAM = """
[[upstreams]]
name = "lab"
path = "/lab"
base_url = "http://127.0.0.1:9/lab"
fhir_version = "R5"
"""


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(unb64url(token.split(".")[1]))
    return claims


def test_a_token_rests_on_the_newest_entry_of_its_consent(made: Place) -> None:
    granted = made.json(*GRANT, "--purpose", "TREAT", "--purpose", "HPAYMT")
    changed = made.json("consent", "change", granted["id"], "--until", "2099-01-01")
    claims = claims_of(made.good(*TOKEN, "--consent", granted["id"]).strip())
    now_s = claims.pop("iat")
    jti = claims.pop("jti")
    index, leaf_hash = claims.pop("token_entry")
    base = f"http://127.0.0.1:{made.port}"
    assert claims == {
        "iss": base,
        "aud": f"{base}/fhir",
        "sub": "app-1",
        "client_id": "app-1",
        "scope": "patient/*.rs",
        "patient": "pat-a",
        "purpose_of_use": ["HPAYMT", "TREAT"],
        "consent": [changed],
        "exp": now_s + 3600,
    }
    recorded = made.json("ledger", "entry", str(changed["entry"] + 1))
    assert (index, leaf_hash) == (changed["entry"] + 1, recorded["hash"])
    assert recorded["kind"] == "token.issue"
    assert recorded["facts"] | {"rid": "", "ms": 0, "pol": ""} == {
        "act": "app-1",
        "cli": "app-1",
        "con": [changed["entry"], changed["hash"]],
        "exp": now_s + 3600,
        "jti": b64url(sha256(jti.encode())),
        "ms": 0,
        "pat": "Patient/pat-a",
        "pol": "",
        "rid": "",
        "scp": ["patient/*.rs"],
    }


def test_a_token_says_who_asks(made: Place) -> None:
    granted = made.json(*GRANT)
    who = ["--user", "Practitioner/prac-1", "--organization", "org-1", "--role", "physician"]
    printed = made.json(*TOKEN, "--consent", granted["id"], *who, "--lifetime", "60", "--purpose", "ETREAT")
    claims = claims_of(printed["access_token"])
    assert claims["fhirUser"] == f"http://127.0.0.1:{made.port}/fhir/Practitioner/prac-1"
    assert (claims["organization"], claims["role"]) == ("org-1", "physician")
    assert claims["purpose_of_use"] == ["ETREAT"]
    assert claims["exp"] - claims["iat"] == printed["expires_in"] == 60
    assert (printed["token_type"], printed["entry"]) == ("Bearer", 3)


def test_the_purpose_is_treatment_when_no_consent_names_one(made: Place) -> None:
    granted = made.json(*GRANT)
    assert claims_of(made.good(*TOKEN, "--consent", granted["id"]))["purpose_of_use"] == ["TREAT"]


@pytest.mark.parametrize(
    ("grantee", "option"),
    [
        ("practitioner:prac-1", "--user=Practitioner/prac-1"),
        ("organization:org-1", "--organization=org-1"),
    ],
)
def test_a_consent_may_name_the_user_or_the_organization(made: Place, grantee: str, option: str) -> None:
    grant = ["consent", "grant", "--patient", "pat-a", "--grantee", grantee, "--scope", "patient/*.rs"]
    granted = made.json(*grant)
    assert "does not name" in made.refused(*TOKEN, "--consent", granted["id"])
    made.good(*TOKEN, "--consent", granted["id"], option)


def test_a_patient_needs_no_consent_for_their_own_records(made: Place) -> None:
    claims = claims_of(made.good(*TOKEN, "--user", "Patient/pat-a"))
    assert (claims["consent"], claims["purpose_of_use"]) == ([], ["PATRQT"])
    assert "--consent" in made.refused(*TOKEN, "--user", "Patient/pat-b")


def test_a_token_bound_by_look_up_names_no_consent(made: Place) -> None:
    assert "consent" not in claims_of(made.good(*TOKEN, "--lookup"))
    assert "not both" in made.refused(*TOKEN, "--lookup", "--consent", "any")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "Name the consent"),
        (["--consent", "nothing"], "There is no consent nothing"),
        (["--consent", "ID", "--client", "app-2"], "does not name the client app-2"),
        (["--consent", "ID", "--client", "app-1@https://idp.example"], "with --client NAME"),
        (["--lookup", "--client", "a@b"], "A client's name has no @"),
        (["--consent", "ID", "--patient", "pat-b"], "is another patient's"),
        (["--consent", "ID", "--scope", "patient/Nothing.rs"], "the resource type is unknown"),
        (["--consent", "ID", "--scope", "everything"], "cannot be used"),
        (["--consent", "ID", "--purpose", "treat"], "purpose_of_use"),
        (["--consent", "ID", "--user", "Device/d-1"], "fhirUser"),
        (["--consent", "ID", "--organization", "a/b"], "organization"),
        (["--consent", "ID", "--lifetime", "0"], "between 1 and 86400 seconds"),
        (["--consent", "ID", "--lifetime", "86401"], "between 1 and 86400 seconds"),
        (
            ["--consent", "ID", "--role", "telehealth", "--lifetime", "3601"],
            "A token of the role telehealth lives at most 3600 seconds (--lifetime).",
        ),
        (["--consent", "ID", "--upstream", "other"], "--upstream: main"),
    ],
    ids=" ".join,
)
def test_a_token_that_would_be_refused_is_not_made(made: Place, options: list[str], expected: str) -> None:
    granted = made.json(*GRANT)
    filled = [granted["id"] if option == "ID" else option for option in options]
    assert expected in made.refused(*TOKEN, *filled)
    assert made.json("ledger", "head")["size"] == 3


@pytest.mark.parametrize(
    ("role", "seconds"), [("telehealth", 3600), ("clinician", 86_400), ("other", 86_400)]
)
def test_a_role_says_how_long_its_tokens_live(made: Place, role: str, seconds: int) -> None:
    options = ("--consent", made.json(*GRANT)["id"], "--role", role, "--lifetime", str(seconds))
    claims = claims_of(made.good(*TOKEN, *options))
    assert (claims["role"], claims["exp"] - claims["iat"]) == (role, seconds)


def test_a_patient_scope_needs_a_patient(made: Place) -> None:
    granted = made.json(*GRANT)
    line = made.refused("token", "--client", "app-1", "--scope", "patient/*.rs", "--consent", granted["id"])
    assert "needs --patient" in line
    made.good("token", "--client", "app-1", "--scope", "user/*.rs", "--consent", granted["id"])


def test_an_ended_consent_carries_no_token(made: Place) -> None:
    granted = made.json(*GRANT)
    made.good("consent", "revoke", granted["id"])
    assert "is revoked" in made.refused(*TOKEN, "--consent", granted["id"])


def test_a_deny_carries_no_token(made: Place) -> None:
    denied = made.json("consent", "grant", "--patient", "pat-a", "--grantee", "client:app-1", "--deny")
    assert "denies" in made.refused(*TOKEN, "--consent", denied["id"])


def test_of_several_upstreams_one_is_named(made: Place) -> None:
    made.config.write_text(made.config.read_text() + SECOND_UPSTREAM)
    granted = made.json(*GRANT)
    assert "--upstream: main, lab" in made.refused(*TOKEN, "--consent", granted["id"])
    claims = claims_of(made.good(*TOKEN, "--consent", granted["id"], "--upstream", "lab"))
    assert claims["aud"] == f"http://127.0.0.1:{made.port}/lab"
