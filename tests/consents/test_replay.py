"""A house that is opened again reads the consents that are in its ledger, whatever has changed around it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import mapping
from gateway.config import Settings
from gateway.consents.draft import Draft
from gateway.core.canon import b64url
from gateway.core.fhir import match
from gateway.errors import BadRequest
from gateway.house import OpenHouse, new_id, now_ms, open_house
from gateway.ledger.vault import Vault
from tests.support.house import prepare

OBSERVATIONS = "patient/Observation.rs?value-quantity=gt5"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return prepare(tmp_path, "http://127.0.0.1:1/fhir")


def draft(patient: str = "pat-a", scope: str = "patient/*.rs") -> Draft:
    return Draft(patient, ("client:app-1",), (scope,), ("TREAT",))


def released(settings: Settings, *versions: str) -> Settings:
    """The same house with upstreams of these FHIR releases, in this order."""
    first = settings.upstreams[0]
    return replace(
        settings,
        upstreams=tuple(
            replace(first, name=version, path=f"/{version.lower()}", fhir_version=version)
            for version in versions
        ),
    )


async def erase(house: OpenHouse, patient: str) -> None:
    """Destroys the patient's key, and records which one it was."""
    vault = Vault(house.settings.ledger.store.with_name("vault.db"), house.keys.kek)
    key_id = vault.destroy(patient)
    vault.close()
    assert key_id is not None
    facts = {"rid": new_id(), "kid": b64url(key_id)}
    await house.ledger.append([house.recorder.seal("erase", facts, None, now_ms())])


async def live(settings: Settings, patient: str = "pat-a") -> AsyncIterator[str]:
    async with open_house(settings) as house:
        for consent in house.consents.at_head()[1].live(patient):
            yield consent.root.match.scopes[0].text


@pytest.mark.parametrize(
    ("before", "after"),
    [(("R4",), ("R5", "R4")), (("R4", "R5"), ("R5", "R4")), (("R4",), ("R5",))],
    ids=["another upstream first", "another order", "another release"],
)
async def test_consents_outlive_a_change_of_upstreams(
    settings: Settings, before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    async with open_house(released(settings, *before)) as house:
        await house.service.grant(draft(scope="patient/Media.rs"))
    assert [scope async for scope in live(released(settings, *after))] == ["patient/Media.rs"]


async def test_consents_outlive_a_change_of_the_mappings(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A parameter that is not evaluable any more stops no request; what it limits cannot be told."""
    async with open_house(settings) as house:
        await house.service.grant(draft(scope=OBSERVATIONS))
    monkeypatch.setattr(match, "evaluable", lambda *_: False)
    assert [scope async for scope in live(settings)] == [OBSERVATIONS]
    async with open_house(settings) as house:
        with pytest.raises(BadRequest, match="cannot be enforced"):
            await house.service.grant(draft(scope=OBSERVATIONS))


@pytest.mark.parametrize(
    ("versions", "scope", "text"),
    [
        (("R4",), "patient/DeviceUsage.rs", "resource type is unknown"),
        (("R4",), "patient/Observation.rs?nothing=x", "cannot be enforced"),
        (("R4", "R5"), "patient/MedicationRequest.rs?date=2026", "cannot be enforced"),
        (("R4", "R5"), "patient/*.rs?code=x", "cannot be enforced"),
    ],
    ids=["a type of another release", "no parameter", "a parameter of one release", "not of every type"],
)
async def test_a_new_consent_can_be_decided_wherever_its_type_is_served(
    settings: Settings, versions: tuple[str, ...], scope: str, text: str
) -> None:
    async with open_house(released(settings, *versions)) as house:
        with pytest.raises(BadRequest, match=text):
            await house.service.grant(draft(scope=scope))


@pytest.mark.parametrize("scope", ["patient/Media.rs?status=completed", "patient/DeviceUsage.rs"])
async def test_a_type_need_not_be_served_everywhere(settings: Settings, scope: str) -> None:
    both = released(settings, "R4", "R5")
    async with open_house(both) as house:
        await house.service.grant(draft(scope=scope))
    assert [found async for found in live(both)] == [scope]
    assert "Media" not in mapping.load_catalogue("R5").types


async def test_an_erased_patient_stops_nobody(settings: Settings) -> None:
    """The key is destroyed while the house runs and knows the consent: what it still writes of it is passed
    over."""
    async with open_house(settings) as house:
        erased = await house.service.grant(draft())
        await house.service.grant(draft("pat-z"))
        house.consents.at_head()
        await erase(house, "pat-a")
        await house.service.revoke(erased.id, "patient-request")
    assert [scope async for scope in live(settings)] == []
    assert [scope async for scope in live(settings, "pat-z")] == ["patient/*.rs"]
    async with open_house(settings) as house:
        house.consents.at_head()
        await house.service.grant(draft())
    assert [scope async for scope in live(settings)] == ["patient/*.rs"]


async def test_an_erasure_reaches_a_house_that_runs(settings: Settings) -> None:
    async with open_house(settings) as house:
        erased = await house.service.grant(draft())
        await house.service.grant(draft("pat-z"))
        registry = house.consents.at_head()[1]
        assert registry.get(erased.id) is not None
        await erase(house, "pat-a")
        registry = house.consents.at_head()[1]
        assert registry.get(erased.id) is None
        assert len(registry.live("pat-z")) == 1
