"""What is issued is what the gateway will read, and it is in the ledger first."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.auth.tokens.issuing import FURTHER, Issued, Terms, issue
from gateway.core.canon import b64url
from gateway.core.smart.claims import ALLOWED, CLAIMS, NEEDED, REFUSED
from gateway.core.values import Ref
from gateway.errors import BadRequest, LedgerUnavailable
from tests.auth.desk import Desk
from tests.auth.tokens.test_token import claims_of
from tests.support.house import BASE


def terms(**given: Any) -> Terms:
    usual = {
        "audience": BASE,
        "client": "app-1",
        "subject": "person-1",
        "scopes": ("patient/*.rs",),
        "purposes": ("TREAT",),
        "lifetime_s": 60,
        "patient": "pat-a",
    }
    return Terms(**{**usual, **given})


async def test_a_token_names_its_own_entry(desk: Desk) -> None:
    issued = await issue(desk.ports, terms())
    token = await desk.verify(issued.text)
    [entry] = desk.entries("token.issue")
    assert token.issued == (issued.entry, issued.hash) == (entry.index, b64url(entry.leaf_hash))
    assert issued.text not in repr(issued)


async def test_the_entry_is_the_patients_whom_the_token_is_about(desk: Desk) -> None:
    scopes = {"scopes": ("user/*.rs",), "patient": None}
    await issue(desk.ports, terms(**scopes, about="pat-b"))
    await issue(desk.ports, terms(**scopes))
    first, second = desk.entries("token.issue")
    assert first.facts["pat"] == "Patient/pat-b"
    assert "pat" not in second.facts


async def test_what_gives_no_right_is_said_as_it_is(desk: Desk) -> None:
    further = {"fhirContext": [{"reference": "ImagingStudy/1"}], "intent": "x", "need_patient_banner": False}
    claims = claims_of((await issue(desk.ports, terms(further=further))).text)
    assert {name: claims[name] for name in further} == further


@pytest.mark.parametrize(
    "given",
    [
        {"lifetime_s": 0},
        {"lifetime_s": 86_401},
        {"further": {"patient": "pat-b"}},
        {"further": {"cnf": {}}},
        {"further": {"unknown": 1}},
    ],
    ids=str,
)
def test_terms_that_no_token_has(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        terms(**given)


def test_further_claims_are_those_without_effect() -> None:
    others = {row.name for row in NEEDED} | {row.name for row in REFUSED} | {"patient", "consent"}
    assert FURTHER < CLAIMS
    assert not FURTHER & others
    assert {row.name for row in ALLOWED} > FURTHER


@pytest.mark.parametrize(
    "given",
    [
        {"scopes": ("patient/Nothing.rs",)},
        {"scopes": ("everything",)},
        {"scopes": ("openid patient/*.rs nonsense",)},
        {"patient": None},
        {"patient": "a/b"},
        {"encounter": ".."},
        {"user": Ref("Device", "d-1")},
        {"organization": "a/b"},
        {"purposes": ("treat",)},
        {"client": "a@b"},
        {"subject": "x" * 256},
        {"further": {"fhirContext": {}}},
        {"scopes": tuple(f"patient/Observation.rs?category={'x' * 400}{n}" for n in range(40))},
    ],
    ids=lambda given: str(given)[:60],
)
async def test_what_would_be_refused_is_not_issued(desk: Desk, given: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        await issue(desk.ports, terms(**given))
    assert desk.recorded == []


async def test_what_is_not_recorded_is_not_issued(desk: Desk) -> None:
    desk.failing.append(LedgerUnavailable())
    issued: Issued | None = None
    with pytest.raises(LedgerUnavailable):
        issued = await issue(desk.ports, terms())
    assert issued is None


async def test_the_longest_token_that_is_issued_is_read(desk: Desk) -> None:
    """Whatever is not refused for its length is short enough for who reads it."""
    accepted = 0
    for count in range(20, 40):
        scopes = tuple(f"patient/Observation.rs?category={'x' * 400}{n}" for n in range(count))
        try:
            issued = await issue(desk.ports, terms(scopes=scopes, role="r" * 255))
        except BadRequest:
            break
        assert len((await desk.verify(issued.text)).scopes) == count
        accepted += 1
    assert 0 < accepted < 20


@pytest.mark.parametrize(
    ("role", "has"),
    [("proxy", False), ("caregiver", False), ("clinician", True), ("patient", True), (None, True)],
)
async def test_an_authority_and_its_roles_go_together(desk: Desk, role: str | None, has: bool) -> None:
    authority = (1, "h" * 43)
    with pytest.raises(BadRequest):
        await issue(desk.ports, terms(role=role, authority=authority if has else None))
    assert desk.recorded == []
    await issue(desk.ports, terms(role="proxy", authority=authority))
    await issue(desk.ports, terms(role="clinician"))
