"""Labels from around a record, from the token to what is released: what is asked upstream, and when."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gateway import errors
from gateway.core.asks import MAX_LOOK_UPS
from gateway.core.consent.egress import EGRESS
from gateway.core.consent.rule import Node
from gateway.core.consent.rules import OPT_IN, Implicit, Rules
from gateway.core.decide import decide
from gateway.core.fhir.facts import facts_of
from gateway.core.fhir.release import build_instance
from gateway.core.fhir.telling import Telling
from gateway.core.labels.remembered import Labelling
from gateway.core.plan import Deny, Permit
from gateway.core.roles.ceiling import NO_ROLES, Roles
from gateway.core.roles.parse import parse_profile
from gateway.core.standing import House, Standing
from gateway.core.values import Ask, Ref, Shape, UpstreamReply
from gateway.gather import Gathered, gather
from gateway.mapping import load_outlines
from gateway.yaml_lines import read_yaml
from tests.core.consent.build import NOW_S, consents, deny, permit
from tests.core.deciding import BASES, R4, View, request, token
from tests.core.labels.tables import labeller
from tests.support.hospital import Hospital, at, record

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
HIV = {"coding": [{"system": ICD, "code": "B20"}]}
DOCTOR = Ref("Practitioner", "p")
FLU = {"coding": [{"system": ICD, "code": "J11.1"}]}
OPEN = permit(actors="client:app-1", scopes="patient/*.rs")
APART = (OPEN, deny(labels="HIV"))


def observation(name: str, *members: str, code: Any = FLU, **more: Any) -> dict[str, Any]:
    said = record(f"Observation/{name}", code=code, **more)
    return {**said, "hasMember": [at(f"Observation/{each}") for each in members]} if members else said


async def answer(
    server: Hospital | Odd,
    target: str,
    *rules: Node,
    scopes: str = "patient/*.rs",
    policy: Rules = OPT_IN,
    roles: Roles = NO_ROLES,
    role: str | None = None,
    **settings: Any,
) -> Any:
    """What `gather` makes of the request, under these consents, in a house that looks for labels."""
    house = House(R4, BASES, rules=policy, labelling=Labelling(labeller(**settings)), roles=roles)
    given = View(consents(*(rules or APART), patient="85") if policy is OPT_IN else ())
    who = replace(token(scopes, user=DOCTOR), role=role)
    decision = decide(request(target), Standing(who, given, house, NOW_S))
    assert isinstance(decision, Permit), decision
    return await gather(server, BASES, lambda raw: facts_of(raw, R4, BASES), decision.plan)


def shown(gathered: Gathered | Deny) -> list[str]:
    return [c.facts.id for c in gathered.candidates] if isinstance(gathered, Gathered) else []


async def test_a_chain_is_followed_step_by_step() -> None:
    server = Hospital([*(observation(str(n), str(n + 1)) for n in range(5)), observation("5", code=HIV)])
    assert shown(await answer(server, "Observation/2")) == []
    assert [ask.partition("&")[0] for ask in server.asked[1:]] == [
        "/Observation?_id=3",
        "/Observation?_id=4",
        "/Observation?_id=5",
    ]
    server.asked.clear()
    assert shown(await answer(server, "Observation/1")) == ["1"]  # four steps away
    assert len(server.asked) == 4


async def test_what_is_around_is_the_same_patients() -> None:
    other = {**observation("2", code=FLU), "subject": at("Patient/86")}
    server = Hospital([observation("1", "2"), other])
    assert shown(await answer(server, "Observation/1")) == []
    assert "patient=Patient%2F85" in server.asked[1]


async def test_labels_are_looked_for_whatever_the_scopes_say() -> None:
    server = Hospital(
        [record("DiagnosticReport/1", code=FLU, result=[at("Observation/1")]), observation("1")]
    )
    narrow = "patient/DiagnosticReport.rs"
    assert shown(await answer(server, "DiagnosticReport/1", scopes=narrow)) == ["1"]
    server = Hospital([*server.records[:1], observation("1", code=HIV)])
    assert shown(await answer(server, "DiagnosticReport/1", scopes=narrow)) == []


async def test_a_page_asks_once_for_what_all_its_records_refer_to() -> None:
    server = Hospital(
        [
            *(observation(f"a{n}", "hiv", f"b{n}") for n in range(3)),
            *(observation(f"b{n}") for n in range(3)),
            observation("c", "b0", "b1"),
            observation("hiv", code=HIV),
        ]
    )
    assert shown(await answer(server, "Observation")) == ["b0", "b1", "b2", "c"]
    assert len(server.asked) == 1  # all of it was on the page


@pytest.mark.parametrize(
    "rules",
    [
        (OPEN,),
        (OPEN, deny(scopes="patient/Observation.rs?code=x")),
        (OPEN, deny(scopes="patient/Condition.rs")),
    ],
    ids=["no rule", "a rule about content", "a rule about another type"],
)
async def test_nothing_is_asked_where_no_rule_looks_at_labels(rules: tuple[Node, ...]) -> None:
    server = Hospital([observation("1", "2"), observation("2", code=HIV)])
    for target in ("Observation/1", "Observation?_id=1"):
        server.asked.clear()
        assert shown(await answer(server, target, *rules)) == ["1"]
        assert len(server.asked) == 1


DETOX = ["Organization/detox"]
MAKERS = [
    {"resourceType": "PractitionerRole", "id": "in", "organization": at("Organization/detox")},
    {"resourceType": "PractitionerRole", "id": "out", "organization": at("Organization/x")},
]


@pytest.mark.parametrize(
    ("performer", "asked", "marked"),
    [
        ("Organization/detox", 0, True),
        ("Organization/x", 0, False),
        ("PractitionerRole/in", 1, True),
        ("PractitionerRole/out", 1, False),
        ("PractitionerRole/lost", 1, True),
    ],
)
@pytest.mark.parametrize(
    "rules", [(OPEN,), (OPEN, deny(labels="HIV"))], ids=["no rule", "a rule about labels"]
)
async def test_records_of_a_programme_are_marked_whatever_the_rules(
    performer: str, asked: int, marked: bool, rules: tuple[Node, ...]
) -> None:
    server = Hospital([observation("1", performer=[at(performer)]), *MAKERS])
    found = await answer(server, "Observation/1", *rules, part2_organizations=DETOX)
    [candidate] = found.candidates
    made = json.loads(
        build_instance(candidate, frozenset(), Shape(), load_outlines("R4"), Telling("silent", EGRESS))
    )
    codes = [coding["code"] for coding in made.get("meta", {}).get("security", ())]
    assert codes == (["NORDSCLCD", "RedisclosureProhibitionMark"] if marked else [])
    assert len(server.asked) == 1 + asked


async def test_who_made_a_record_is_not_asked_without_a_programme_or_of_what_is_hidden() -> None:
    server = Hospital([observation("1", performer=[at("PractitionerRole/in")]), *MAKERS])
    unnamed: tuple[dict[str, Any], ...] = ({}, {"part2_sources": ["https://detox.example"]})
    for settings in unnamed:
        server.asked.clear()
        assert shown(await answer(server, "Observation/1", OPEN, **settings)) == ["1"]
        assert len(server.asked) == 1
    server.asked.clear()
    hidden = (OPEN, deny(scopes=f"patient/Observation.rs?code={ICD}|J11.1"))
    assert isinstance(await answer(server, "Observation/1", *hidden, part2_organizations=DETOX), Deny)
    assert len(server.asked) == 1


async def test_a_record_that_is_hidden_for_itself_costs_nothing_more() -> None:
    server = Hospital([observation("1", "2", code=HIV), observation("2")])
    assert isinstance(await answer(server, "Observation/1"), Deny)
    assert len(server.asked) == 1


async def test_too_many_references_are_not_all_followed() -> None:
    names = [f"m{n:03}" for n in range(MAX_LOOK_UPS + 1)]
    server = Hospital([observation("1", *names), *map(observation, names)], size=1000)
    assert shown(await answer(server, "Observation/1")) == []
    server = Hospital([observation("1", *names[1:]), *map(observation, names)], size=1000)
    assert shown(await answer(server, "Observation/1")) == ["1"]


@dataclass
class Odd:
    """A record server that answers look-ups with `reply`."""

    reply: UpstreamReply
    asked: list[str] = field(default_factory=list)

    async def fetch(self, ask: Ask) -> UpstreamReply:
        self.asked.append(ask.path)
        return (
            UpstreamReply(200, json.dumps(observation("1", "2")).encode())
            if ask.path[-2:] == "/1"
            else self.reply
        )


def page(*resources: Any) -> UpstreamReply:
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r} for r in resources]}
    return UpstreamReply(200, json.dumps(bundle).encode())


@pytest.mark.parametrize(
    "reply",
    [UpstreamReply(400), UpstreamReply(404), page(), page(observation("3")), page(record("Condition/2"))],
    ids=["refused", "missing", "nothing", "another record", "another type"],
)
async def test_what_does_not_come_may_have_any_label(reply: UpstreamReply) -> None:
    assert shown(await answer(Odd(reply), "Observation/1")) == []
    assert shown(await answer(Odd(page(observation("2"))), "Observation/1")) == ["1"]


NO_RECORD = b'{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{}}]}'


@pytest.mark.parametrize("body", [b"", b"{", b'{"resourceType":"Patient","id":"85"}', NO_RECORD])
async def test_an_answer_that_is_not_understood_is_an_error(body: bytes) -> None:
    with pytest.raises(errors.UpstreamUnusable):
        await answer(Odd(UpstreamReply(200, body)), "Observation/1")


async def test_a_failing_labeller_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Any:
        raise RuntimeError("no labels")

    monkeypatch.setattr(Labelling, "found", fail)
    with pytest.raises(RuntimeError):
        await answer(Hospital([observation("1")]), "Observation/1")


async def test_a_record_found_by_what_is_cut_is_left_out() -> None:
    server = Hospital([observation("1", component=[{"code": FLU}, {"code": HIV}]), observation("2")])
    assert shown(await answer(server, "Observation")) == ["1", "2"]
    gathered = await answer(server, "Observation?component-code=B20")
    assert shown(gathered) == []
    assert gathered.review.withheld == {"searched": 1}
    assert shown(await answer(server, "Observation?component-code=B20", OPEN)) == ["1"]


PANELS = [
    observation("masked", component=[{"code": HIV}], note=[{"text": "x"}]),
    observation("partly", component=[{"code": FLU}, {"code": HIV}]),
    observation("plain"),
    observation("other", component=[{"code": FLU}]),
]
EXCEPT: dict[str, tuple[tuple[Node, ...], str, list[str]]] = {
    "a value that none has": (APART, "component-code:not=zzz", ["masked", "partly", "plain", "other"]),
    "the value that is hidden": (APART, "component-code:not=B20", ["masked", "partly", "plain", "other"]),
    "a value that is shown": (APART, "component-code:not=J11.1", ["masked", "plain"]),
    "and one that is not hidden": (
        APART,
        "component-code:not=zzz&status:not=x",
        ["masked", "partly", "plain", "other"],
    ),
    "by what may look there too": (APART, "combo-code:not=B20", ["masked", "partly", "plain", "other"]),
    "another element": (APART, "code:not=J11.1", []),
    "what includes as well": (APART, "component-code:not=zzz&component-code=J11.1", ["other"]),
    "a deny that reaches none": (
        (OPEN, deny(labels="ETHUD")),
        "component-code:not=B20",
        ["plain", "other"],
    ),
    "who sees all": ((OPEN,), "component-code:not=B20", ["plain", "other"]),
}


@pytest.mark.parametrize("row", EXCEPT)
async def test_a_masked_record_is_left_out_as_one_that_never_had_the_part(row: str) -> None:
    rules, query, expected = EXCEPT[row]
    server = Hospital(PANELS)
    gathered = await answer(server, f"Observation?{query}", *rules)
    assert shown(gathered) == expected
    is_told = any("not=" in ask.replace("%3A", ":") for ask in server.asked)
    assert is_told == (rules == (OPEN,)), "the upstream is asked it where nothing can be taken out"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("component-code:not=B20", ["masked", "partly", "plain", "other"]),
        ("component-code:not=J11.1", ["masked", "partly", "plain", "other"]),
        ("component-code=B20", []),
        ("code:not=J11.1", []),
        ("code:not=B20", ["masked", "partly", "plain", "other"]),
    ],
)
async def test_what_a_role_does_not_see_leaves_nothing_out(query: str, found: list[str]) -> None:
    text = "role: r\nabout: a role\npurposes: [TREAT]\ntypes: {Observation: {keep: [code, subject]}}\n"
    roles = Roles({"r": parse_profile("r", read_yaml(text), (R4,))})
    gathered = await answer(Hospital(PANELS), f"Observation?{query}", OPEN, roles=roles, role="r")
    assert shown(gathered) == found


async def test_what_cannot_be_looked_at_here_is_refused_where_something_may_be_cut() -> None:
    house = House(R4, BASES, labelling=Labelling(labeller()))

    def decided(query: str, *rules: Node) -> Permit | Deny:
        given = View(consents(*rules, patient="85"))
        return decide(request(f"Patient?{query}"), Standing(token(), given, house, NOW_S))

    refused = decided("deceased:not=true", *APART)
    assert isinstance(refused, Deny)
    assert refused.reason == "scope"
    for query, rules in (
        ("deceased=true", APART),
        ("gender:not=male", APART),
        ("deceased:not=true", (OPEN,)),
    ):
        assert isinstance(decided(query, *rules), Permit), query


async def test_what_is_implied_reaches_no_further_than_what_is_normal() -> None:
    """No consent at all: the policy of the house lets normal records go, and labels say which these are."""
    normal = Rules(implicit=Implicit.ALL_NORMAL)
    server = Hospital(
        [
            observation("1"),
            observation("2", code=HIV),
            observation("3", "2"),
            observation("4", note=[{"text": "x"}]),
        ]
    )
    gathered = await answer(server, "Observation", policy=normal)
    assert shown(gathered) == ["1", "4"]
    assert [candidate.cuts for candidate in gathered.candidates] == [(), (("note",),)]
