"""What launches are for here: an app that asks for measurements, and a patient who keeps some to herself."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.clients.conftest import Serving
from tests.clients.reading import Resource
from tests.upstreams.base import Upstream

SCOPE: Final = "openid fhirUser launch/patient offline_access patient/Patient.rs patient/Observation.rs"
LABORATORY: Final = "p.Observation.laboratory"
"""The box that is unticked."""
TICKED: Final = frozenset({"vital-signs", "social-history", "survey", "sdoh", "procedure"})


def register(serving: Serving, client: str, redirect_uri: str, *more: str) -> dict[str, Any]:
    """What the command tells of the new client."""
    told = serving.command(
        "client", "add", client, "--json", "--name", "Blood Pressure Diary",
        "--grant-type", "authorization_code", "--grant-type", "refresh_token",
        "--redirect-uri", redirect_uri, *(word for scope in SCOPE.split() for word in ("--scope", scope)),
        *(more or ("--auth-method", "none")),
    )  # fmt: skip
    registered: dict[str, Any] = json.loads(told)
    return registered


def allowed(records: Upstream) -> list[str]:
    """Ids of pat-a's observations in the categories that stayed ticked, without what is labelled HIV."""
    bundle = records.get("Observation", patient="pat-a", _count="1000").json()
    found = [entry["resource"] for entry in bundle["entry"]]
    return [one["id"] for one in found if _categories(one) & TICKED and not _is_labelled(one)]


def _categories(observation: Resource) -> set[str]:
    return {coding["code"] for category in observation["category"] for coding in category["coding"]}


def _is_labelled(resource: Resource) -> bool:
    return "HIV" in {label["code"] for label in resource["meta"].get("security", ())}


def ids(found: list[Resource]) -> list[str]:
    return [one["id"] for one in found]
