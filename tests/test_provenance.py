"""Who made a record, from the token to what is released: what is asked upstream for it, and what comes of
each answer."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

import pytest

from gateway import errors
from gateway.core.asks import MAX_LOOK_UPS
from gateway.core.consent.rule import DataRef, Node
from gateway.core.values import Ask, Ref, UpstreamReply
from gateway.unseen import MAX_PAGES
from tests.core.consent.build import deny, permit, placed
from tests.support.hospital import Hospital, at
from tests.test_around import HIV, ICD, answer, observation, shown

OPEN = permit(actors="client:app-1", scopes="patient/*.rs")


def by(node: Node, who: str) -> Node:
    kind, _, ident = who.partition("/")
    return replace(node, match=replace(node.match, data=frozenset({DataRef("authoredby", Ref(kind, ident))})))


NOT_BOBS = placed(OPEN, [by(deny(), "Practitioner/bob")])
BOBS = by(OPEN, "Practitioner/bob")
BY_ANN = {"performer": [at("Practitioner/ann")]}


def provenance(name: str, who: str, *targets: str, **more: Any) -> dict[str, Any]:
    agent = {"who": at(who), **more}
    return {
        "resourceType": "Provenance",
        "id": name,
        "target": [at(each) for each in targets],
        "agent": [agent],
    }


ABOUT = "Observation/1"
SAYS: list[tuple[str, list[dict[str, Any]], list[bool]]] = [
    ("nothing", [], [True, False]),
    ("her", [provenance("p", "Practitioner/ann", ABOUT)], [True, False]),
    ("him", [provenance("p", "Practitioner/bob", ABOUT)], [False, True]),
    ("him, of a version", [provenance("p", "Practitioner/bob", "Observation/1/_history/2")], [False, True]),
    ("him beside her",
     [provenance("p", "Practitioner/ann", ABOUT), provenance("q", "Practitioner/bob", ABOUT)], [False, True]),
    ("him for whom she did it",
     [provenance("p", "Practitioner/ann", ABOUT, onBehalfOf=at("Practitioner/bob"))], [False, True]),
    ("him, of another record", [provenance("p", "Practitioner/bob", "Observation/11")], [True, False]),
    ("his twin", [provenance("p", "Practitioner/bob2", ABOUT)], [True, False]),
    ("somebody by identifier",
     [provenance("p", "x", ABOUT) | {"agent": [{"who": {"identifier": {"value": "7"}}}]}], [False, False]),
    ("him who signed it", [provenance("p", "Practitioner/ann", ABOUT)
                           | {"signature": [{"who": at("Practitioner/bob")}]}], [True, False]),
]  # fmt: skip


@pytest.mark.parametrize(("said", "expected"), [case[1:] for case in SAYS], ids=[case[0] for case in SAYS])
@pytest.mark.parametrize("target", ["Observation/1", "Observation"])
async def test_who_made_a_record(said: list[dict[str, Any]], expected: list[bool], target: str) -> None:
    server = Hospital([observation("1", **BY_ANN), *said])
    for rule, seen in zip((NOT_BOBS, BOBS), expected, strict=True):
        server.asked.clear()
        assert shown(await answer(server, target, rule)) == (["1"] if seen else [])
        assert server.asked[1:] == ["/Provenance?target=Observation%2F1&_count=200"]


async def test_a_page_asks_once_for_all_its_records() -> None:
    names = [f"o{n:03}" for n in range(100)]
    made = [provenance(name, "Practitioner/bob", f"Observation/{name}") for name in names[::2]]
    server = Hospital([*(observation(name, **BY_ANN) for name in names), *made], size=1000)
    assert shown(await answer(server, "Observation", NOT_BOBS)) == names[1::2]
    assert len(server.asked) == 2
    server.records.append(observation("more", **BY_ANN))
    server.asked.clear()
    assert shown(await answer(server, "Observation", NOT_BOBS)) == [*names[1::2], "more"]
    assert len(server.asked) == 3


async def test_who_made_very_many_is_not_asked_for_all() -> None:
    names = [f"o{n:03}" for n in range(MAX_LOOK_UPS + 1)]
    server = Hospital([observation(name, **BY_ANN) for name in names], size=1000)
    assert shown(await answer(server, "Observation", NOT_BOBS)) == names[:-1]


@pytest.mark.parametrize(
    "rules",
    [
        (OPEN,),
        (placed(OPEN, [by(deny(scopes="patient/Condition.rs"), "Practitioner/bob")]),),
        (NOT_BOBS, deny(scopes=f"patient/Observation.rs?code={ICD}|J11.1")),
    ],
    ids=["no rule about authors", "a rule about another type", "hidden for itself"],
)
async def test_nothing_is_asked_where_it_makes_no_difference(rules: tuple[Node, ...]) -> None:
    server = Hospital([observation("1", **BY_ANN), provenance("p", "Practitioner/bob", ABOUT)])
    await answer(server, "Observation/1", *rules)
    assert len(server.asked) == 1


async def test_nothing_is_asked_of_what_is_his_by_itself_or_a_strangers_or_missing() -> None:
    his = observation("his", performer=[at("Practitioner/bob")])
    strangers = {**observation("strange", **BY_ANN), "subject": at("Patient/86")}
    server = Hospital([his, strangers])
    for target in ("his", "strange", "missing"):
        server.asked.clear()
        assert shown(await answer(server, f"Observation/{target}", NOT_BOBS)) == []
        assert len(server.asked) == 1


async def test_labels_are_looked_for_where_who_made_it_may_open_a_record() -> None:
    """Both hang on further records, and each counts whichever is read first."""
    rules = (NOT_BOBS, deny(labels="HIV"))
    server = Hospital([observation("1", "2", **BY_ANN), observation("2")])
    assert shown(await answer(server, "Observation/1", *rules)) == ["1"]
    server = Hospital([observation("1", "2", **BY_ANN), observation("2", code=HIV)])
    assert shown(await answer(server, "Observation/1", *rules)) == []
    assert [ask.partition("?")[0] for ask in server.asked] == ["/Observation/1", "/Observation"]


@dataclass
class Odd:
    """A record server that answers `then`, one after the other, when it is asked for Provenance."""

    then: list[UpstreamReply | Exception]
    asked: list[str] = field(default_factory=list)

    async def fetch(self, ask: Ask) -> UpstreamReply:
        if ask.path != "/Provenance":
            return UpstreamReply(200, json.dumps(observation("1", **BY_ANN)).encode())
        self.asked.append(str(dict(parse_qsl(ask.raw_query or ""))))
        reply = self.then.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply


def page(*resources: Any, more: bool = False) -> UpstreamReply:
    link = (
        [{"relation": "next", "url": "http://upstream.internal:8080/fhir/Provenance?_page=2"}] if more else []
    )
    entries = [{"resource": each} for each in resources]
    bundle = {"resourceType": "Bundle", "type": "searchset", "link": link, "entry": entries}
    return UpstreamReply(200, json.dumps(bundle).encode())


HERS, HIS = (provenance(who, f"Practitioner/{who}", ABOUT) for who in ("ann", "bob"))
NEVER_ENDS = [page(HERS, more=True)] * MAX_PAGES
TOLD: list[tuple[str, list[UpstreamReply], list[bool]]] = [
    ("nothing", [page()], [True, False]),
    ("another type", [page(observation("3", performer=[at("Practitioner/bob")]))], [True, False]),
    ("on the next page: him", [page(HERS, more=True), page(HIS)], [False, True]),
    ("on the next page: her", [page(HERS, more=True), page(HERS)], [True, False]),
    ("refused", [UpstreamReply(400)], [False, False]),
    ("no such type", [UpstreamReply(404)], [False, False]),
    ("refused on the next page", [page(HERS, more=True), UpstreamReply(404)], [False, False]),
    ("more than is read", NEVER_ENDS, [False, False]),
    ("of no record that was asked for", [page(provenance("p", "Practitioner/ann", "Observation/3"))],
     [False, False]),
]  # fmt: skip


@pytest.mark.parametrize(("then", "expected"), [case[1:] for case in TOLD], ids=[case[0] for case in TOLD])
async def test_what_cannot_be_told_denies_and_does_not_permit(
    then: list[UpstreamReply], expected: list[bool]
) -> None:
    for rule, seen in zip((NOT_BOBS, BOBS), expected, strict=True):
        server = Odd(list(then))
        assert shown(await answer(server, "Observation/1", rule)) == (["1"] if seen else [])  # type: ignore[arg-type]
        assert not server.then


@pytest.mark.parametrize(
    "reply", [UpstreamReply(200, b"{"), errors.UpstreamTimeout(), errors.UpstreamUnusable()], ids=repr
)
async def test_an_answer_that_does_not_come_releases_nothing(reply: UpstreamReply | Exception) -> None:
    with pytest.raises((errors.UpstreamUnusable, errors.UpstreamTimeout)):
        await answer(Odd([reply]), "Observation/1", NOT_BOBS)  # type: ignore[arg-type]
