"""A record server over a list of records, and short ways to write records of one patient."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from gateway.core.fhir.match import tells
from gateway.core.values import Ask, Term, UpstreamReply
from tests.core.deciding import BASES, R4

PATIENT = {"reference": "Patient/85"}
ACTOR_OF: dict[str, dict[str, Any]] = {
    "Appointment": {"status": "booked", "participant": [{"actor": PATIENT, "status": "accepted"}]},
    "Encounter": {"status": "in-progress", "subject": PATIENT},
}
OWNER_OF: dict[str, dict[str, Any]] = {
    kind: {"patient": PATIENT} for kind in ("EpisodeOfCare", "Claim", "AllergyIntolerance", "Immunization")
}
DIRECTIVE = {"system": "http://terminology.hl7.org/CodeSystem/consentcategorycodes", "code": "acd"}
OWNER_OF["Consent"] = {"patient": PATIENT, "category": [{"coding": [DIRECTIVE]}]}  # of others none is served


class Hospital:
    """A record server over a list of records, `size` on a page. Keeps what it was asked."""

    def __init__(self, records: Iterable[dict[str, Any]], size: int = 100) -> None:
        self.records, self.size = list(records), size
        self.asked: list[str] = []

    async def fetch(self, ask: Ask) -> UpstreamReply:
        self.asked.append(f"{ask.path}?{ask.raw_query or urlencode(ask.query)}")
        _, kind, *ident = ask.path.split("/")
        if ident:
            found = [one for one in self.records if (one["resourceType"], one["id"]) == (kind, ident[0])]
            return UpstreamReply(200, json.dumps(found[0]).encode()) if found else UpstreamReply(404)
        query = parse_qsl(ask.raw_query) if ask.raw_query else ask.query
        return UpstreamReply(200, json.dumps(self._page(kind, dict(query))).encode())

    def _page(self, kind: str, query: dict[str, str]) -> dict[str, Any]:
        start = int(query.pop("_start", "0"))
        terms = [
            Term(name.removesuffix(":not"), tuple(value.split(",")), "not" if name.endswith(":not") else None)
            for name, value in query.items()
            if name not in ("_count", "_sort")
        ]
        found = [
            one
            for one in self.records
            if one["resourceType"] == kind and all(_is_found(one, term) for term in terms)
        ]
        links = [{"relation": "self", "url": f"{BASES.upstream}/{kind}?{urlencode(query)}"}]
        if start + self.size < len(found):
            further = urlencode({**query, "_start": str(start + self.size)})
            links.append({"relation": "next", "url": f"{BASES.upstream}/{kind}?{further}"})
        entries = [{"resource": one} for one in found[start : start + self.size]]
        return {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries}


def _is_found(one: dict[str, Any], term: Term) -> bool:
    told = tells(R4, one, term, BASES.both)
    return told is not False if term.modifier == "not" else told is True


def record(ref: str, **elements: Any) -> dict[str, Any]:
    kind, _, ident = ref.partition("/")
    owner = ACTOR_OF.get(kind) or OWNER_OF.get(kind) or {"subject": PATIENT}
    return {"resourceType": kind, "id": ident, **owner, **elements}


def at(ref: str) -> dict[str, str]:
    return {"reference": ref}
