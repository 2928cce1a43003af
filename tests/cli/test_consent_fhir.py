"""Consents as FHIR by command: taken in, given out, and followed at an upstream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.support import GRANT, Place, place
from tests.core.consent.fhir.said import resource
from tests.walk.canned import Canned, canned

TREAT = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}
PERMIT: dict[str, Any] = {"provision": {"type": "permit", "purpose": [TREAT]}}


def file(made: Place, tree: object) -> str:
    path = made.folder / "consent.json"
    path.write_text(json.dumps(tree))
    return str(path)


def test_a_consent_is_imported_and_exported(made: Place) -> None:
    policy = {"policy": [{"uri": "https://law.example"}]}
    taken = made.json("consent", "import", file(made, resource("R4", {**PERMIT, **policy})))
    assert set(taken) == {"id", "entry", "hash", "warnings"}
    assert [warning.partition(":")[0] for warning in taken["warnings"]] == ["Consent.policy[0].uri"]
    shown = made.json("consent", "export", taken["id"])
    assert (shown["resourceType"], shown["provision"]["purpose"]) == ("Consent", [TREAT])
    again = made.good("consent", "import", file(made, shown), "--fhir-version", "R4B")
    assert again.splitlines()[1].startswith("ledger entry 3, hash ")
    assert json.loads(made.good("consent", "export", taken["id"], "--fhir-version", "R4")) == shown


def test_for_people_warnings_are_lines(made: Place) -> None:
    policy = {"policy": [{"uri": "https://law.example"}]}
    said = made.good("consent", "import", file(made, resource("R4", {**PERMIT, **policy})))
    assert said.splitlines()[2].startswith("warning: Consent.policy[0].uri: ")


def test_what_cannot_be_taken_in_is_one_line_with_every_place(made: Place) -> None:
    tree = resource("R5", {"status": "draft", "provision": [{"purpose": [TREAT]}]})
    line = made.refused("consent", "import", file(made, tree), "--fhir-version", "R5")
    assert "Consent.status: is draft" in line
    assert "Consent.decision: does not say" in line
    assert made.json("ledger", "head")["size"] == 2


def test_what_is_no_json_is_refused(made: Place) -> None:
    (made.folder / "x.json").write_text("{")
    assert "not JSON" in made.refused("consent", "import", str(made.folder / "x.json"))
    assert "no-such-file" in made.refused("consent", "import", "no-such-file")


def test_what_does_not_fit_is_one_line(made: Place) -> None:
    taken = made.json("consent", "import", file(made, resource("R4", PERMIT)))
    line = made.refused("consent", "export", taken["id"], "--fhir-version", "R5")
    assert "It is no R5 Consent: root: has limits of its own" in line
    assert "no consent nobody" in made.refused("consent", "export", "nobody")


def test_a_permit_without_effect_names_what_it_would_have_to_supersede(made: Place) -> None:
    deny = made.json("consent", "grant", "--patient", "pat-a", "--deny")
    tree = file(made, resource("R4", PERMIT))
    line = made.refused("consent", "import", tree)
    assert f"no effect because consent {deny['id']} denies it" in line
    assert "(entry 2, root)" in line
    assert f"supersede or revoke {deny['id']} (entry 2, root)" in made.refused(*GRANT)
    taken = made.json("consent", "import", tree, "--supersedes", deny["id"])
    assert made.json("consent", "show", taken["id"])["supersedes"] == [deny["id"]]
    assert made.json("consent", "show", deny["id"])["state"] == "superseded"


def test_with_upstreams_of_several_releases_one_is_named(bare: Place) -> None:
    other = 'name = "new"\npath = "/new"\nbase_url = "http://127.0.0.1:9/r5"\nfhir_version = "R5"\n'
    bare.config.write_text(f"{bare.config.read_text()}\n[[upstreams]]\n{other}")
    bare.good("keys", "init")
    tree = file(bare, resource("R4", PERMIT))
    assert "--fhir-version" in bare.refused("consent", "import", tree)
    bare.good("consent", "import", tree, "--fhir-version", "R4")


def test_a_relative_agrees_only_under_a_recorded_authority(made: Place) -> None:
    over = {**PERMIT, "performer": [{"reference": "RelatedPerson/rp-1"}], "dateTime": None}
    tree = file(made, resource("R4", over))
    assert "Consent.performer" in made.refused("consent", "import", tree)
    (made.folder / "password").write_text("correct horse battery staple\n")
    made.good(
        "user", "add", "mum", "--name", "Mum", "--user", "RelatedPerson/rp-1",
        "--password-file", str(made.folder / "password"),
    )  # fmt: skip
    made.good("user", "allow", "mum", "--patient", "pat-a", "--relationship", "MTH", "--until", "2030-01-01")
    made.good("consent", "import", tree)


def test_the_settings_say_whose_consents_are_enforced(bare: Place) -> None:
    own = 'organization = "org-a"\ncategories = ["urn:own|privacy"]\nverified_only = true\n'
    bare.config.write_text(f"{bare.config.read_text()}\n[consent]\n{own}")
    bare.good("keys", "init")
    deny = {"provision": {"type": "deny"}}
    others = {**deny, "organization": [{"reference": "Organization/org-b"}]}
    assert "others than Organization/org-a" in bare.refused(
        "consent", "import", file(bare, resource("R4", others))
    )
    bare.good("consent", "import", file(bare, resource("R4", deny)))
    assert "Consent.verification" in bare.refused("consent", "import", file(bare, resource("R4", PERMIT)))
    own_kind = {"decision": "deny", "category": [{"coding": [{"system": "urn:own", "code": "privacy"}]}]}
    bare.good("consent", "import", file(bare, resource("R5", own_kind)), "--fhir-version", "R5")


# --- At an upstream --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def record_server() -> Iterator[Canned]:
    with canned() as running:
        yield running


@pytest.fixture
def near(tmp_path: Path, record_server: Canned) -> Place:
    record_server.reset()
    made = place(tmp_path, record_server.base_url)
    made.good("keys", "init")
    return made


def bundle(*trees: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [{"resource": tree, "search": {"mode": "match"}} for tree in trees],
    }


def test_an_upstream_s_consents_are_followed(near: Place, record_server: Canned) -> None:
    there = {**resource("R4", PERMIT), "id": "c-there"}
    record_server.answer(path="/Consent", body=bundle(there))
    [done] = near.json("consent", "sync", "main")["consents"]
    assert (done["source"], done["change"], done["why"]) == ("Consent/c-there", "granted", [])
    shown = near.json("consent", "show", done["consent"])
    assert (shown["patient"], shown["purposes"]) == ("pat-a", ["TREAT"])
    record_server.answer(path="/Consent", body=bundle({**there, "status": "inactive"}))
    assert near.good("consent", "sync", "main", "--patient", "pat-a").splitlines() == [
        f"Consent/c-there: revoked {done['consent']}",
        "  Consent.status: is inactive, and only an active consent is in force",
    ]
    record_server.answer(path="/Consent", body=bundle(there))
    [again] = near.json("consent", "sync", "main")["consents"]
    assert again["change"] == "granted"
    assert near.json("consent", "show", "--patient", "pat-a")["consents"][-1]["id"] == again["consent"]


def test_an_upstream_that_is_not_there_or_not_known(near: Place, record_server: Canned) -> None:
    assert "no upstream 'other'; there is main" in near.refused("consent", "sync", "other")
    record_server.answer(path="/Consent", body={"resourceType": "OperationOutcome"})
    assert "no usable answer" in near.refused("consent", "sync", "main")
