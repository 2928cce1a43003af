"""One request, and all that has to come of it: the answer, its entries in the ledger, and what the record
server was asked for it, which is never more than the plan.

The plan is asked of `/admin/simulate`, which reads and records nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, cast

import httpx

from gateway.core.canon import Json
from gateway.core.values import Ask
from gateway.ledger.recorder import OpenedEntry
from gateway.mapping import load_catalogue
from tests.support.answers import receipts_of
from tests.support.gateway import Gateway
from tests.walk.cases import essence

CATALOGUE: Final = load_catalogue("R4")
_nowhere: Final = count(1)


@dataclass(frozen=True, slots=True)
class Step:
    """An answer, the entries that were made for it, and what was asked of the record server."""

    answer: httpx.Response
    entries: tuple[OpenedEntry, ...]
    asked: tuple[Ask, ...]

    @property
    def reason(self) -> str:
        """Why nothing was given; empty if something was."""
        said = {str(entry.facts.get("rsn", "")) for entry in self.entries}
        assert len(said) == 1, said
        return said.pop()

    @property
    def consent(self) -> int | None:
        """The entry of the consent that decided, if one did."""
        named = {_index(entry.facts["con"]) for entry in self.entries} - {None}
        assert len(named) <= 1, named
        return named.pop() if named else None

    @property
    def nodes(self) -> set[str]:
        """What decided, as the ledger has it: nodes as `entry/path`, or `implicit`, `self`, `break_glass`."""
        found: set[str] = set()
        for entry in self.entries:
            found.update(map(str, cast("list[str]", entry.facts.get("by", []))))
            for line in entry.attachments.get("rids", "").splitlines():
                whole = "self" if self.consent is None else f"{self.consent}/root"
                found |= {*words_of(line).get("BY", [whole])}
        return found


def _index(ref: Json) -> int | None:
    """The entry of a reference, or of none."""
    match ref:
        case [int(index), str()]:
            return index
        case _:
            assert ref is None, ref
            return None


_TAGS: Final = frozenset({"AS", "OF", "IN", "BY", "OVER", "LABELLED", "REDACTED", "SUBSETTED"})


def words_of(line: str) -> dict[str, list[str]]:
    """What a line of `rids` says of a version, by its tags (docs/formats.md, section 8)."""
    said: dict[str, list[str]] = {}
    words: list[str] = []
    for word in line.split()[2:]:
        if word in _TAGS:
            words = said[word] = []
        else:
            words.append(word)
    return said


def operator(running: Gateway, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
    """An answer to the operator, whose addresses begin with `/admin` or `/auth`."""
    bearer = {"Authorization": f"Bearer {running.house.keys.operator_secret}", **headers}
    return running.client.request(method, path, json=body, headers=bearer)


def simulated(running: Gateway, request: str, token: str, record: object = None) -> dict[str, Any]:
    """What would become of the request; nothing was asked or recorded to find out."""
    before = len(running.upstream.asks), running.size()
    body = {"request": request, "token": token, **({} if record is None else {"record": record})}
    answer = operator(running, "POST", "/admin/simulate", body)
    assert answer.status_code == 200, answer.text
    assert (len(running.upstream.asks), running.size()) == before
    told: dict[str, Any] = answer.json()
    return told


def step(running: Gateway, request: str, token: str) -> Step:
    """Makes the request, an address below the FHIR base, and checks what holds of every one."""
    told = simulated(running, request, token)
    asked, made = len(running.upstream.asks), running.size()
    answer = running.get(f"/fhir/{request}", token)
    done = Step(answer, tuple(running.entries(made)), tuple(running.upstream.asks[asked:]))
    assert len(done.entries) == len(receipts_of(answer)), "its entries, and no others"
    if not told["permitted"]:
        _refused(done, told)
        return done
    for ask in done.asked:
        assert _is_within(ask, told), (request, ask, told["asks"])
    if answer.status_code == 404:
        assert {entry.kind for entry in done.entries} == {"read.deny"}
        nowhere = f"{request.partition('/')[0]}/nowhere-{next(_nowhere)}"
        assert essence(answer) == essence(running.get(f"/fhir/{nowhere}", token)), "hidden is like missing"
    else:
        assert answer.status_code == 200, answer.text
        for entry in done.entries:
            assert (entry.kind, entry.facts["st"]) == ("read.permit", 200)
    return done


def shown(done: Step) -> set[str]:
    """The records in an answer, as `Type/id`."""
    body = done.answer.json()
    found = [body]
    if body["resourceType"] == "Bundle":
        entries = body.get("entry", [])
        assert body.get("total", len(entries)) == len(entries)
        found = [entry["resource"] for entry in entries if entry["search"]["mode"] == "match"]
    return {f"{each['resourceType']}/{each['id']}" for each in found}


def _refused(done: Step, told: dict[str, Any]) -> None:
    assert (done.answer.status_code, done.asked) == (told["status"], ()), "what is refused is not asked for"
    if told["reason"] is None:
        assert done.entries == ()
    else:
        assert {entry.kind for entry in done.entries} == {"read.deny"}
        assert done.reason == told["reason"]


def _is_within(ask: Ask, told: dict[str, Any]) -> bool:
    """Whether a question is the plan's, or about a record of the plan's patients or of nobody, or about who
    made a record that came."""
    planned = [(each["path"], [tuple(pair) for pair in each["query"]]) for each in told["asks"]]
    if ask.raw_query:  # a page of what was asked before; HAPI's are below its base
        return ask.path in ("", "/", *(path for path, _ in planned))
    if (ask.path, [*ask.query]) in planned:
        return True
    access = CATALOGUE.access(ask.path.removeprefix("/"))
    names = dict(ask.query)
    assert len(names) == len(ask.query)
    if ask.path == "/Provenance":
        return names.keys() == {"target", "_count"}
    if access.kind == "shared":
        return names.keys() == {"_id", "_count"}
    return access.narrow in names and set(_patients(names[access.narrow])) <= set(told["patients"])


def _patients(value: str) -> Iterator[str]:
    return (each.removeprefix("Patient/") for each in value.split(","))
