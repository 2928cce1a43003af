"""What launches are for here: an app that asks for measurements, and a patient who keeps some to herself."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.clients.conftest import Serving
from tests.clients.reading import Resource
from tests.upstreams.base import Upstream

SCOPE: Final = "openid fhirUser launch/patient offline_access patient/Patient.rs patient/Observation.rs"
OF_AN_EHR: Final = (
    "openid fhirUser launch offline_access user/Patient.rs user/Observation.rs user/Encounter.rs"
)
LABORATORY: Final = "p.Observation.laboratory"
"""The box that is unticked."""
TICKED: Final = frozenset({"vital-signs", "social-history", "survey", "sdoh", "procedure"})


def register(
    serving: Serving, client: str, redirect_uri: str, *more: str, scope: str = SCOPE
) -> dict[str, Any]:
    """What the command tells of the new client."""
    told = serving.command(
        "client", "add", client, "--json", "--name", "Blood Pressure Diary",
        "--grant-type", "authorization_code", "--grant-type", "refresh_token",
        "--redirect-uri", redirect_uri, *(word for one in scope.split() for word in ("--scope", one)),
        *(() if "--auth-method" in more else ("--auth-method", "none")), *more,
    )  # fmt: skip
    registered: dict[str, Any] = json.loads(told)
    return registered


def allowed(records: Upstream) -> list[str]:
    """Ids of pat-a's observations in the categories that stayed ticked, without what is labelled HIV."""
    return [one["id"] for one in _observations(records) if _categories(one) & TICKED]


def is_permitted(found: list[str], records: Upstream) -> bool:
    """Whether these are ids of pat-a's observations, in their order, and of nothing that is labelled HIV or
    tells of it; of which there are a few."""
    there = ids(_observations(records))
    return found == [one for one in there if one in {*found}] and len(there) - 5 <= len(found) > 50


def without_text(resource: Resource) -> Resource:
    """As it comes to whom something is kept from: free text is not read, so it could say what."""
    return {name: value for name, value in resource.items() if name != "text"}


def _observations(records: Upstream) -> list[Resource]:
    bundle = records.get("Observation", patient="pat-a", _count="1000").json()
    return [entry["resource"] for entry in bundle["entry"] if not _is_labelled(entry["resource"])]


def _categories(observation: Resource) -> set[str]:
    return {coding["code"] for category in observation["category"] for coding in category["coding"]}


def _is_labelled(resource: Resource) -> bool:
    return "HIV" in {label["code"] for label in resource["meta"].get("security", ())}


def ids(found: list[Resource]) -> list[str]:
    return [one["id"] for one in found]
