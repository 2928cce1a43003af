"""What a consent would do, and why a request is decided as it is, by command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.core.fhir.catalogue import Release
from tests.cli.support import GRANT, Place, place
from tests.core.consent.fhir.said import resource
from tests.upstreams.sandbox import sandbox
from tests.walk.data import load_walks

ANN = ("consent", "preview", "--patient", "pat-a")
ACTREASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
TREAT: dict[str, Any] = {"purpose": [{"system": ACTREASON, "code": "TREAT"}]}
IRCP = {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}
BY_PRAC_9: dict[str, Any] = {
    **TREAT,
    "actor": [{"role": {"coding": [IRCP]}, "reference": {"reference": "Practitioner/prac-9"}}],
}
OBSERVATION = {"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}
BUT_NO_OBSERVATION = {"type": "deny", "class": [OBSERVATION]}
R4_NESTED = {"provision": {"type": "permit", **BY_PRAC_9, "provision": [BUT_NO_OBSERVATION]}}
R5_NESTED = {
    "decision": "deny",
    "provision": [{**BY_PRAC_9, "provision": [{"resourceType": [OBSERVATION]}]}],
}
NURSE = ("--grantee", "practitioner:prac-9", "--scope", "patient/Condition.rs", "--purpose", "TREAT")
DENY = ("--deny", "--label", "HIV")


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
    assert "shown, consent: the draft, root\n" in said
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


def file(ward: Place, tree: object) -> str:
    path = ward.folder / "consent.json"
    path.write_text(json.dumps(tree))
    return str(path)


@pytest.mark.parametrize(
    ("release", "over", "hiding", "showing"),
    [
        ("R4", R4_NESTED, "root.0", "root"),
        ("R4B", R4_NESTED, "root.0", "root"),
        ("R5", R5_NESTED, "root.0.0", "root.0"),
    ],
    ids=["R4", "R4B", "R5"],
)
def test_a_fhir_consent_with_its_exceptions(
    ward: Place, release: Release, over: dict[str, Any], hiding: str, showing: str
) -> None:
    before = ward.json("consent", "show", "--patient", "pat-a")
    written = file(ward, resource(release, over))
    answer = ward.json("consent", "preview", "--fhir", written, "--fhir-version", release)
    [nurse] = [viewer for viewer in answer["viewers"] if viewer["who"] == ["practitioner:prac-9"]]
    assert nurse["types"]["Observation"]["shown"] == 0 < nurse["types"]["Observation"]["hidden"]
    assert nurse["types"]["Condition"]["hidden"] == 0 < nurse["types"]["Condition"]["shown"]
    deciding = {(each["shown"], node["node"]) for each in nurse["because"] for node in each["nodes"]}
    assert deciding >= {(False, hiding), (True, showing)}
    assert {(each["consent"], each["entry"]) for why in nurse["because"] for each in why["nodes"]} == {
        (None, None)
    }
    assert answer["refused"] is None
    assert ward.json("consent", "show", "--patient", "pat-a") == before


def test_a_flat_fhir_consent_is_as_the_draft_that_says_the_same(ward: Place) -> None:
    flat = file(ward, resource("R4", {"provision": {"type": "permit", **BY_PRAC_9}}))
    scope = ("--grantee", "practitioner:prac-9", "--scope", "patient/*.rs", "--purpose", "TREAT")
    fhir, draft = ward.json("consent", "preview", "--fhir", flat), ward.json(*ANN, *scope)
    assert {**fhir, "entry": None} == {**draft, "entry": None}


def test_a_fhir_consent_in_the_place_of_one_that_is_there(ward: Place) -> None:
    written = file(ward, resource("R4", R4_NESTED))
    change = ward.json("consent", "preview", "--fhir", written, "--change", anns(ward)["id"])
    assert [viewer["who"] for viewer in change["viewers"]] == [["practitioner:prac-9"]]
    superseding = ward.json("consent", "preview", "--fhir", written, "--supersedes", anns(ward)["id"])
    [app] = [viewer for viewer in superseding["viewers"] if viewer["who"] == ["client:app-1"]]
    assert app["lost"]


def test_what_is_to_know_of_a_fhir_consent(ward: Place) -> None:
    uri = {"policy": [{"uri": "https://law.example"}]}
    said = ward.good("consent", "preview", "--fhir", file(ward, resource("R4", {**R4_NESTED, **uri})))
    assert "\nwarning: Consent.policy[0].uri: " in said


@pytest.mark.parametrize(
    ("tree", "more", "says"),
    [
        (resource("R4", {**R4_NESTED, "status": "draft"}), (), "Consent.status: is draft"),
        (resource("R4", {**R4_NESTED, "dateTime": "yesterday"}), (), "Consent.dateTime"),
        (resource("R4", {"provision": {"type": "deny", "period": {"end": "2020"}}}), (), "ended before"),
        (resource("R4", R4_NESTED), ("--fhir-version", "R5"), "Consent."),
        (resource("R4", R4_NESTED), ("--change", "c-1"), "no consent c-1"),
        (resource("R4", R4_NESTED), ("--supersedes", "?"), "by their ids"),
        (resource("R4", R4_NESTED), ("--patient", "pat-a"), "With --fhir"),
        (resource("R4", R4_NESTED), ("--deny",), "With --fhir"),
        (resource("R4", R4_NESTED), ("--label", "HIV"), "With --fhir"),
        (7, (), "Consent"),
    ],
    ids=[
        "draft", "models", "over", "another release", "changes nothing", "supersedes nothing", "patient",
        "deny", "label", "no resource",
    ],
)  # fmt: skip
def test_a_fhir_consent_that_is_not_previewed(
    ward: Place, tree: object, more: tuple[str, ...], says: str
) -> None:
    before = ward.json("ledger", "head")["size"]
    assert says in ward.refused("consent", "preview", "--fhir", file(ward, tree), *more)
    assert ward.json("ledger", "head")["size"] == before


def test_a_draft_that_would_be_refused(ward: Place) -> None:
    asked = (*ANN, *NURSE)
    assert "refused" not in ward.good(*asked)
    deny = ward.json("consent", "grant", "--patient", "pat-a", "--deny")["id"]
    why = f"This consent has no effect because consent {deny} denies it"
    said = ward.good(*asked)
    assert f"Would be refused as it is: {why}" in said
    assert f"Without full effect: consent {deny} (entry " in said
    assert "Decides nothing here: the draft, root\n" in said
    assert ward.refused("consent", "grant", *ANN[2:], *NURSE).removeprefix("consentry: ") in said
    written = file(ward, resource("R4", R4_NESTED))
    assert ward.json("consent", "preview", "--fhir", written)["refused"].startswith(why)
    assert ward.json("consent", "preview", "--fhir", written, "--supersedes", deny)["refused"] is None
    assert ward.json(*asked, "--supersedes", deny)["refused"] is None
    assert "no consent c-1" in ward.json(*asked, "--supersedes", "c-1")["refused"]
    ward.good("consent", "revoke", deny)
    ended = ward.json("consent", "preview", "--change", deny, *NURSE)
    assert ended["refused"] == f"The consent {deny} is revoked and cannot be changed."


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("consent", "preview", *NURSE), "--patient or --change"),
        ((*ANN, "--change", "c", *NURSE), "--patient or --change"),
        ((*ANN, *NURSE, "--fhir-version", "R4"), "--fhir-version goes with --fhir"),
        ((*ANN, "--grantee", "client:app-1"), "patient/*.rs"),
        ((*ANN, *NURSE, "--as", "nobody"), "practitioner:prac-1"),
        ((*ANN, *NURSE, "--upstream", "other"), "main"),
        (("consent", "compare", "c-1", "c-2"), "no consent c-1"),
        (("simulate", "Condition", "--token", "/nowhere"), "/nowhere"),
    ],
    ids=["nobody", "both", "a release", "no scope", "no viewer", "no upstream", "no consent", "no token"],
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
    ask = ("simulate", "Condition?code=195967001", "--token", str(token))
    denied = ward.json("consent", "grant", "--patient", "pat-a", *DENY)
    said = ward.good(*ask)
    assert "Permitted, for what the judge lets through.\n" in said
    assert f"  in force: permit, consent {consent['id']} (entry " in said
    assert f"  in force: deny, consent {denied['id']} (entry {denied['entry']})\n" in said
    assert "asks the record server /Condition?code=195967001&patient=Patient/pat-a" in said
    before = ward.json("ledger", "head")["size"]
    record = tmp_path / "record.json"
    record.write_text(
        json.dumps({"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/pat-b"}})
    )
    assert "Condition/c would be hidden, scope" in ward.good(*ask, "--record", str(record))
    hiv = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "B20"}]}
    own = {"resourceType": "Condition", "id": "c", "code": hiv, "subject": {"reference": "Patient/pat-a"}}
    record.write_text(json.dumps(own))
    said = ward.good(*ask, "--record", str(record))
    assert "Condition/c would be hidden, denied\n" in said
    assert "  labelled: HIV\n" in said
    refused = ward.good("simulate", "Observation/o", "--token", str(token))
    assert refused.startswith("Refused at the decision, 403: ")
    assert ward.json("ledger", "head")["size"] == before
    ward.good("consent", "revoke", denied["id"])
