"""What tokens open: limited apps, parts of types, searches and reads, as the kits try them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.assertions import shows
from tests.conformance.browser import ALL, Choice, Person
from tests.conformance.driver import STANDALONE, Kit, Tokens
from tests.conformance.records import CATEGORIES, granular
from tests.conformance.uscore import FIRST, FURTHER, NO_PATIENT, SEARCHES, TYPES

LIMITED = ("Patient", "Condition", "Observation")
EVERY_TYPE = " ".join(["launch/patient openid fhirUser offline_access", *(f"patient/{t}.rs" for t in TYPES)])
PARTS = "launch/patient openid fhirUser patient/Condition.rs patient/Observation.rs patient/Patient.rs"
GROUPS = {
    "group 1": ("encounter-diagnosis", "health-concern", "laboratory", "social-history"),
    "group 2": ("problem-list-item", "vital-signs", "survey", "sdoh"),
}


def granted_types(tokens: Tokens) -> set[str]:
    """The types of the resource scopes."""
    return {word.partition("/")[2].partition(".")[0] for word in tokens.scopes if word.startswith("patient/")}


# --- Some types only -----------------------------------------------------------------------------


@shows(64, 65)
@pytest.mark.parametrize("scope", [STANDALONE, EVERY_TYPE], ids=["asks for *", "asks for each type"])
@pytest.mark.parametrize("kind", ["symmetric", "public"])
def test_a_limited_app_has_what_was_ticked(kit: Kit, kind: str, scope: str) -> None:
    choice: Choice = dict.fromkeys(LIMITED, ALL)
    tokens = kit.tokens(kit.site.apps[kind], scope, Person(choice=choice))
    assert granted_types(tokens) == {*LIMITED}
    for name, query in FIRST.items():
        status = tokens.search(name, query).status_code
        assert status == (200 if name in LIMITED else 403), name
    after = kit.granted(kit.refresh(kit.site.apps[kind], tokens.body["refresh_token"]))
    assert granted_types(after) == {*LIMITED}


@shows(60, 61, 62)
@pytest.mark.parametrize("rights", ["rs", "read"], ids=["v2", "v1"])
def test_all_types_are_granted_if_nothing_is_unticked(kit: Kit, rights: str) -> None:
    scopes = ["launch/patient", "openid", "fhirUser", "offline_access"]
    scopes += [f"patient/{name}.{rights}" for name in (*TYPES, *FURTHER)]
    tokens = kit.tokens(kit.site.apps["symmetric"], " ".join(scopes))
    assert {*tokens.scopes} == {*scopes}


@shows(65)
@pytest.mark.parametrize("name", [*FIRST, *NO_PATIENT])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_first_search_of_each_type_is_answered(kit: Kit, whole: Tokens, name: str, method: str) -> None:
    answer = whole.search(name, {**FIRST, **NO_PATIENT}[name], method)
    assert (answer.status_code, answer.json()["resourceType"]) == (200, "Bundle")


@pytest.fixture(scope="module")
def whole(kit: Kit) -> Tokens:
    """For all records."""
    return kit.tokens(kit.site.apps["symmetric"])


def test_another_patient_cannot_be_asked_for(kit: Kit, whole: Tokens) -> None:
    assert whole.search("Observation", {"patient": "pat-c"}).status_code == 403
    assert whole.get("Patient/pat-c").status_code == 404


def test_bulk_export_is_not_served(kit: Kit, whole: Tokens) -> None:
    assert kit.get("Group/group-1/$export").status_code == 401
    assert whole.get("Group/group-1/$export").status_code == 403


# --- Parts of types ------------------------------------------------------------------------------


@shows(67)
@pytest.mark.parametrize("kind", ["symmetric", "public"])
def test_parts_are_offered_and_chosen(kit: Kit, kind: str) -> None:
    person = Person(
        choice={"Patient": ALL, "Condition": ["problem-list-item"], "Observation": ["laboratory", "survey"]}
    )
    tokens = kit.tokens(kit.site.apps[kind], PARTS, person)
    for code, (type, _) in CATEGORIES.items():
        assert f"p.{type}.{code}" in person.offered
    assert "patient/Patient.rs" in tokens.scopes
    assert {*granular("problem-list-item", "laboratory", "survey").split(" ")} <= {*tokens.scopes}
    assert not {"patient/Condition.rs", "patient/Observation.rs"} & {*tokens.scopes}
    ids = {*tokens.found("Observation", {"patient": "pat-a"})}
    assert {"kit-laboratory", "kit-survey", "kit-both"} <= ids
    assert not {"kit-vital-signs", "kit-social-history", "kit-sdoh"} & ids
    assert {*tokens.found("Condition", {"patient": "pat-a"})} == {"kit-problem-list-item"}


@shows(68)
@pytest.mark.parametrize("codes", GROUPS.values(), ids=GROUPS)
def test_granular_scopes_come_back_to_the_letter(kit: Kit, codes: tuple[str, ...]) -> None:
    tokens = parts(kit, codes)
    asked = {*granular(*codes).split(" ")}
    assert all("|" in scope for scope in asked)
    assert {word for word in tokens.scopes if "/Condition" in word or "/Observation" in word} == asked
    assert "patient/*.rs" not in tokens.scopes


@shows(68)
def test_an_encoded_bar_is_the_same(kit: Kit) -> None:
    """And comes back as the app wrote it."""
    scope = granular("laboratory").replace("|", "%7C")
    tokens = kit.tokens(kit.site.apps["symmetric"], f"launch/patient {scope}")
    assert scope in tokens.scopes
    assert tokens.get("Observation/kit-laboratory").status_code == 200
    assert tokens.get("Observation/kit-survey").status_code == 404


def parts(kit: Kit, codes: tuple[str, ...]) -> Tokens:
    """With the encounters, which one of the searches names."""
    whole = "patient/Patient.rs patient/Encounter.rs"
    return kit.tokens(
        kit.site.apps["symmetric"], f"launch/patient openid fhirUser {whole} {granular(*codes)}"
    )


@pytest.fixture(scope="module", params=GROUPS.values(), ids=[*GROUPS])
def of_parts(kit: Kit, request: pytest.FixtureRequest) -> tuple[Tokens, tuple[str, ...]]:
    return parts(kit, request.param), request.param


def in_scope(resource: dict[str, Any], codes: tuple[str, ...]) -> bool:
    """Whether one of its categories is one of these; codes in any case, systems exactly."""
    codings = [coding for category in resource.get("category", ()) for coding in category["coding"]]
    return any(
        (resource["resourceType"], coding.get("system")) == CATEGORIES[code]
        and coding["code"].lower() == code
        for coding in codings
        for code in codes
    )


@shows(69, 71)
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("kind", "query"), SEARCHES, ids=lambda part: str(part))
def test_a_search_gives_the_union_and_nothing_else(
    whole: Tokens,
    of_parts: tuple[Tokens, tuple[str, ...]],
    kind: str,
    query: dict[str, str],
    method: str,
) -> None:
    tokens, codes = of_parts
    everything = whole.found(kind, query, method)
    assert everything, "nothing is shown by a search that finds nothing"
    found = tokens.found(kind, query, method)
    assert {*found} == {id for id, each in everything.items() if in_scope(each, codes)}


def test_a_search_names_no_record_of_a_type_that_is_not_granted(kit: Kit) -> None:
    tokens = kit.tokens(kit.site.apps["symmetric"], f"launch/patient {granular('encounter-diagnosis')}")
    query = {"patient": "pat-a", "encounter": "Encounter/enc-a1"}
    assert tokens.search("Condition", query).status_code == 403


@shows(70, 71)
@pytest.mark.parametrize("id", [*CATEGORIES, "both", "other-case"])
def test_a_read_gives_what_is_in_scope(
    whole: Tokens, of_parts: tuple[Tokens, tuple[str, ...]], id: str
) -> None:
    tokens, codes = of_parts
    kind = CATEGORIES[id][0] if id in CATEGORIES else "Observation"
    resource = whole.get(f"{kind}/kit-{id}").json()
    answer = tokens.get(f"{kind}/kit-{id}")
    assert answer.status_code == (200 if in_scope(resource, codes) else 404)
    assert answer.json()["resourceType"] == (kind if answer.status_code == 200 else "OperationOutcome")
