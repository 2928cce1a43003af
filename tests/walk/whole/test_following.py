"""The Consents of a record server, more than a page of them, followed while the gateway runs: what changes
there counts at the next request, and what cannot be honoured is said with its reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from gateway.cli import main
from tests.core.consent.fhir.said import resource
from tests.support.gateway import Gateway, gateway
from tests.upstreams.base import Upstream
from tests.walk.data import load_once, put_all
from tests.walk.situations import CHART, READER, Bedside
from tests.walk.steps import Step, operator, step

PATIENT = "followed"
RECIPIENT = {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}
MANY = 21  # with the others more than the twenty of a page


def actor(practitioner: str) -> dict[str, Any]:
    reference = {"reference": f"Practitioner/{practitioner}"}
    return {"role": {"coding": [RECIPIENT]}, "reference": reference}


PERMIT: dict[str, Any] = {"type": "permit", "actor": [actor("s-ann")]}
CONDITIONS = [{"system": "http://hl7.org/fhir/resource-types", "code": "Condition"}]


@dataclass
class Followed:
    """A patient whose Consents are at the record server, named by their ids there."""

    running: Gateway
    upstream: Upstream
    config: str

    def there(self, name: str, provision: dict[str, Any], **over: Any) -> None:
        tree = resource("R4", {"provision": provision, **over})
        text = json.dumps({**tree, "id": f"f-{name}"}).replace("Patient/pat-a", f"Patient/{PATIENT}")
        put_all(self.upstream, [json.loads(text)])

    def gone(self, name: str) -> None:
        address = f"{self.upstream.base_url}/Consent/f-{name}"
        httpx.delete(address, timeout=60, trust_env=False).raise_for_status()

    def sync(self) -> dict[str, dict[str, Any]]:
        """What became of each, by its name; one that is gone there has none."""
        asked = ["consent", "sync", "main", "--patient", PATIENT, "--json", "--config", self.config]
        done = CliRunner().invoke(main, asked)
        assert done.exit_code in (0, 1), done.output
        found = json.loads(done.stdout)["consents"]
        return {(each["source"] or "gone").removeprefix("Consent/f-"): each for each in found}

    def changes(self) -> dict[str, str]:
        """What changed, and how."""
        found = {name: each["change"] for name, each in self.sync().items()}
        return {name: change for name, change in found.items() if change not in ("unchanged", "set aside")}

    def look(self, record: str) -> Step:
        token = self.running.token(patient=PATIENT, **READER)
        return step(self.running, f"{record.partition('/')[0]}/{PATIENT}-{record.partition('/')[2]}", token)


@pytest.fixture
def followed(upstream: Upstream, tmp_path: Path) -> Iterator[Followed]:
    load_once(upstream, "situations", CHART["shared"])
    with gateway(tmp_path, upstream.base_url) as running:
        Bedside(running, upstream, PATIENT).admit()
        yield Followed(running, upstream, str(tmp_path / "consentry.toml"))
        running.check_everything()
    for name in [each["resource"]["id"] for each in _all(upstream)]:
        httpx.delete(f"{upstream.base_url}/Consent/{name}", timeout=60, trust_env=False)


def _all(upstream: Upstream) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = upstream.get("Consent", _count="200").json().get("entry", [])
    return found


def test_what_changes_there_counts_here(followed: Followed) -> None:
    for number in range(MANY):
        followed.there(f"deny-{number}", {"type": "deny", "actor": [actor(f"f-{number}")]})
    followed.there("permit", PERMIT)
    followed.there("broken", {"actor": [actor("s-ann")]})
    followed.there("over", PERMIT, status="inactive")
    assert followed.look("Condition/flu").reason == "no_consent"
    found = followed.sync()
    changes = [each["change"] for each in found.values()]
    assert sorted(changes) == ["granted"] * (MANY + 1) + ["malformed", "set aside"]
    assert "Consent.provision.type" in json.dumps(found["broken"])
    assert {entry.kind for entry in followed.running.entries()} == {"read.deny", "consent.grant"}
    assert followed.look("Condition/flu").answer.status_code == 200
    assert followed.look("Observation/sugar").answer.status_code == 200
    assert followed.changes() == {}

    followed.there("permit", {**PERMIT, "class": CONDITIONS})
    assert followed.changes() == {"permit": "changed"}
    assert followed.look("Condition/flu").answer.status_code == 200
    assert followed.look("Observation/sugar").reason == "content"

    followed.there("dead", {"type": "permit", "actor": [actor("f-0")]})
    vain = followed.sync()["dead"]
    assert (vain["change"], "permits in vain" in json.dumps(vain)) == ("granted", True)

    mended = {"type": "deny", "class": CONDITIONS}
    followed.there("broken", mended)
    assert followed.changes() == {"broken": "changed"}
    assert followed.look("Condition/flu").reason == "denied"
    followed.there("broken", mended, status="inactive")
    assert followed.changes() == {"broken": "revoked"}
    assert followed.look("Condition/flu").answer.status_code == 200

    followed.gone("permit")
    assert followed.changes() == {"gone": "revoked"}
    assert followed.look("Condition/flu").reason == "revoked"
    ended = [entry for entry in followed.running.entries() if entry.kind == "consent.revoke"]
    assert [entry.facts["rsn"] for entry in ended] == ["source-ended", "source-gone"]


def test_what_was_withdrawn_here_does_not_come_back_from_there(followed: Followed) -> None:
    followed.there("permit", PERMIT)
    consent = followed.sync()["permit"]["consent"]
    assert followed.look("Condition/flu").answer.status_code == 200
    body = {"reason": "patient-request"}
    operator(followed.running, "POST", f"/admin/consents/{consent}/revoke", body).raise_for_status()
    assert followed.look("Condition/flu").reason == "revoked"
    assert followed.changes() == {"permit": "ended here"}
    assert followed.look("Condition/flu").reason == "revoked"
