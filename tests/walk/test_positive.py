"""Everything that is permitted comes back, whole and unchanged: a gateway that refuses all fails here.

Cases are data (`fixtures/walks/positive`, format in `cases`), with these expectations besides:

    read      the answer is, byte for byte, the record server's own
    direct    queries to the record server itself; all pages of the answer hold their matches, no more and
              no less, each equal as JSON with the text of its numbers
    ids       the answer's matches by id          ordered   they come in the record server's order
    pages     at least and at most so many pages

`{last:Type/id}` in a path is the id of the record's newest version.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import jiter
import pytest

from gateway.mapping import load_catalogue
from tests.support.gateway import Clock, Gateway, gateway, next_target
from tests.upstreams.base import Upstream
from tests.walk.cases import WALKS, Case, ask, check, read_cases, token_of, with_versions
from tests.walk.data import histories, load_synthea, load_walks, people, versions

CASES = list(read_cases("positive"))
CATALOGUE = load_catalogue("R4")
AS_GATEWAY = {"Accept": "application/fhir+json", "Accept-Encoding": "identity"}

# What is permitted and still not unchanged: it names people who have not agreed to it.
MASKED = frozenset(
    {
        "obs-a-focus", "comm-ab", "comm-w", "cov-w", "team-w", "appt-w-one", "doc-w", "enc-w", "proc-w",
        "qr-w", "obs-w-member", "obs-w-donor", "obs-w-inner", "obs-w-extension", "cov-c", "comp-w",
    }
)  # fmt: skip


# What a record is sensitive for is as sensitive as the record, so such labels stay behind; the level is told.
LEVEL = b'{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}'
SENSITIVE = re.compile(
    rb'\{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"(?:HIV|PSY)"\}'
)


def _told(stored: bytes) -> bytes:
    """What may be told of a record, as the record server writes it."""
    return SENSITIVE.sub(LEVEL, stored).replace(LEVEL + b"," + LEVEL, LEVEL)


class Record(NamedTuple):
    type: str
    id: str


def _own() -> list[Record]:
    """Ann's records in the hospital, and those that are nobody's."""
    heads = [json.loads(raw) for raw in people()]
    return [
        Record(head["resourceType"], head["id"])
        for head in heads
        if CATALOGUE.access(head["resourceType"]).kind == "shared"
        or (CATALOGUE.access(head["resourceType"]).kind == "compartment" and _is_anns(head))
    ]


def _is_anns(head: Mapping[str, Any]) -> bool:
    owner = head.get("subject") or head.get("patient") or head.get("beneficiary") or {}
    return head["id"] == "pat-a" or owner.get("reference") == "Patient/pat-a"


OWN = _own()
SERIES = re.compile(r"obs-a-\d\d-\d")
SINGLE = [record for record in OWN if not SERIES.fullmatch(record.id)]


@pytest.fixture(scope="module")
def opened(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The hospital, under all the consents of the case files."""
    load_walks(upstream)
    with gateway(tmp_path_factory.mktemp("opened"), upstream.base_url) as running:
        for path in sorted((WALKS / "positive").glob("*.json")):
            for draft in json.loads(path.read_text())["grants"]:
                running.grant(**draft)
        yield running
        running.check_everything()


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 80
    assert len(SINGLE) >= 36


@pytest.mark.parametrize("case", CASES, ids=str)
def test_permitted(opened: Gateway, upstream: Upstream, case: Case) -> None:
    target = _with_versions(upstream, case.request["path"])
    answer = ask(opened, case, target)
    check(case, answer)
    if case.expect.get("read"):
        assert answer.content == _told(_of_upstream(upstream, target.removeprefix("/fhir/")).content)
    if "direct" in case.expect or "ids" in case.expect:
        token = token_of(opened, case.token)
        assert token is not None
        _check_matches(opened, upstream, case, token, answer)


def _check_matches(
    opened: Gateway, upstream: Upstream, case: Case, token: str, answer: httpx.Response
) -> None:
    pages = [answer, *_following(opened, answer, token)]
    found = matches(pages)
    assert len(found) == sum(len(page.json().get("entry", [])) for page in pages), "a match came twice"
    if "ids" in case.expect:
        assert sorted(found) == sorted(case.expect["ids"])
    if "direct" in case.expect:
        expected: dict[str, Any] = {}
        for query in case.expect["direct"]:
            expected |= all_of_upstream(upstream, query)
        assert expected or case.expect.get("ids") == [], "the record server has something"
        assert found.keys() == expected.keys()
        for id in found.keys() - MASKED:
            assert found[id] == expected[id]
        if case.expect.get("ordered"):
            assert [*found] == [*expected]
    least, most = case.expect.get("pages", (1, 1000))
    assert least <= len(pages) <= most


@pytest.mark.parametrize("record", SINGLE, ids=lambda record: record.id)
def test_each_record_is_read_as_it_is_stored(opened: Gateway, upstream: Upstream, record: Record) -> None:
    path = f"{record.type}/{record.id}"
    direct = _of_upstream(upstream, path)
    if direct.status_code == 404:
        assert upstream.name.startswith("hapi"), "HAPI alone stores no references to other servers"
        return
    answer = opened.get(f"/fhir/{path}", _token(opened))
    assert answer.status_code == 200, answer.text
    if record.id not in MASKED:
        assert answer.content == _told(direct.content)
    version = direct.json()["meta"]["versionId"]
    again = opened.get(f"/fhir/{path}/_history/{version}", _token(opened))
    assert again.content == answer.content


@pytest.mark.parametrize("size", [4, 7, 50])
def test_pages_hold_everything_whatever_their_size(opened: Gateway, upstream: Upstream, size: int) -> None:
    query = "Observation?code=8867-4,29463-7"
    count = "" if size == 50 else f"&_count={size}"
    pages = list(opened.follow(f"/fhir/{query}{count}", _token(opened)))
    found, expected = matches(pages), all_of_upstream(upstream, f"{query}&patient=Patient/pat-a")
    assert found.keys() == expected.keys()
    assert all(found[id] == expected[id] for id in found.keys() - MASKED)
    assert all(len(page.json()["entry"]) <= size for page in pages)


# --- Conditions, compression, time -------------------------------------------------------------------


def test_what_has_not_changed_is_not_sent_again(opened: Gateway) -> None:
    token = _token(opened)
    first = opened.get("/fhir/Condition/cond-a-asthma", token)
    etag = first.headers["etag"]
    for tags in (etag, etag.removeprefix("W/"), f'W/"other", {etag}', "*"):
        again = opened.get("/fhir/Condition/cond-a-asthma", token, if_none_match=tags)
        assert (again.status_code, again.content) == (304, b""), tags
        assert again.headers["etag"] == etag
    for tags in ('W/"other"', etag[:-2] + '"', 'W/""', 'W/"1", "2"'):
        assert opened.get("/fhir/Condition/cond-a-asthma", token, if_none_match=tags).content == first.content


def test_an_etag_is_of_what_was_released(opened: Gateway) -> None:
    whole = opened.get("/fhir/Patient/pat-a", _token(opened))
    cut = opened.get("/fhir/Patient/pat-a?_summary=data", _token(opened))
    assert whole.headers["etag"] != cut.headers["etag"]
    etag = whole.headers["etag"]
    assert (
        opened.get("/fhir/Patient/pat-a?_summary=data", _token(opened), if_none_match=etag).status_code == 200
    )


def test_gzip_for_who_asks(opened: Gateway) -> None:
    target, token = "/fhir/Observation?_count=50", _token(opened)
    plain = opened.get(target, token, accept_encoding="identity")
    packed = opened.get(target, token, accept_encoding="gzip")
    refused = opened.get(target, token, accept_encoding="gzip;q=0")
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in refused.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 3
    assert entries(packed) == entries(plain)
    assert gzip.decompress(gzip.compress(packed.content)) == packed.content


def test_head_has_the_headers_of_get(opened: Gateway) -> None:
    for target in ("/fhir/Condition/cond-a-asthma", "/fhir/Condition", "/fhir/metadata"):
        get = opened.get(target, _token(opened), accept_encoding="identity")
        head = opened.send("HEAD", target, _token(opened), headers={"Accept-Encoding": "identity"})
        differing = {"date", "ledger-entry"}
        assert {n: v for n, v in head.headers.items() if n not in differing} == {
            n: v for n, v in get.headers.items() if n not in differing
        }
        assert head.content == b""


def test_a_consent_holds_from_its_first_to_its_last_second(upstream: Upstream, tmp_path: Path) -> None:
    load_walks(upstream)
    with gateway(tmp_path, upstream.base_url, clock=Clock()) as running:
        begin_s = running.clock() // 1000 + 3600
        running.permit(from_=_instant(begin_s), until=_instant(begin_s + 600))
        for second, status in ((-2, 403), (1, 200), (598, 200), (603, 403)):
            running.clock.ahead_s = begin_s + second - (running.clock() // 1000 - running.clock.ahead_s)
            answer = running.get("/fhir/Patient/pat-a", running.token())
            assert answer.status_code == status, second
        running.check_everything()


# --- Real records ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def synthea(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Synthetic patients with whole histories, all open to `app-1`."""
    load_synthea(upstream, histories())
    with gateway(tmp_path_factory.mktemp("synthea"), upstream.base_url) as running:
        for id in _patients(upstream):
            running.permit(id)
        yield running
        running.check_everything()


def test_whole_histories_come_through(synthea: Gateway, upstream: Upstream) -> None:
    """All types, all pages, of each patient: equal to what the record server has for them."""
    patients = _patients(upstream)
    assert len(patients) == len(histories()) > 0
    served = [type for type in sorted(CATALOGUE.types) if CATALOGUE.access(type).kind != "denied"]
    held = [type for type in served if upstream.get(type, _count="1").json().get("entry")]
    for patient in patients:
        token, types = synthea.token(patient=patient), 0
        for type in held:
            narrow = CATALOGUE.access(type).narrow
            named = {"_id": f"?_id={patient}", None: ""}.get(narrow, f"?{narrow}=Patient/{patient}")
            expected = all_of_upstream(upstream, f"{type}{named}")
            found = matches(synthea.follow(f"/fhir/{type}?_count=200", token))
            assert found.keys() == expected.keys(), type
            types += bool(expected)
            for id, resource in expected.items():
                assert found[id] == resource, (type, id)
        assert types >= 8


def _patients(upstream: Upstream) -> list[str]:
    return sorted(all_of_upstream(upstream, "Patient"))


# --- What both sides say -----------------------------------------------------------------------------


def parsed(raw: bytes) -> Any:
    """JSON with the text of its numbers."""
    return _plain(jiter.from_json(raw, float_mode="lossless-float"))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, (str, int, bool, type(None))) else ("number", str(value))


def matches(pages: Iterable[httpx.Response]) -> dict[str, Any]:
    """Matches by id, in the order in which they came."""
    return {entry["resource"]["id"]: entry["resource"] for page in pages for entry in entries(page)}


def entries(page: httpx.Response) -> list[Any]:
    return [entry for entry in parsed(page.content).get("entry", []) if entry["search"]["mode"] == "match"]


def all_of_upstream(upstream: Upstream, query: str) -> dict[str, Any]:
    """Matches of all pages, asked of the record server itself."""
    found: dict[str, Any] = {}
    url: str | None = f"{upstream.base_url}/{quote(query, safe='/?&=,%:|-._~')}"
    if len(query) > 1000:
        return _posted(upstream, query)
    while url is not None:
        page = httpx.get(url, headers=AS_GATEWAY, timeout=120, trust_env=False).raise_for_status()
        found |= {r["resource"]["id"]: r["resource"] for r in parsed(_told(page.content)).get("entry", [])}
        url = next((link["url"] for link in page.json()["link"] if link["relation"] == "next"), None)
    return found


def _posted(upstream: Upstream, query: str) -> dict[str, Any]:
    type, _, form = query.partition("?")
    headers = {**AS_GATEWAY, "Content-Type": "application/x-www-form-urlencoded"}
    url = f"{upstream.base_url}/{type}/_search"
    page = httpx.post(url, content=f"{form}&_count=500", headers=headers, timeout=120, trust_env=False)
    stored = _told(page.raise_for_status().content)
    return {r["resource"]["id"]: r["resource"] for r in parsed(stored)["entry"]}


def _following(opened: Gateway, answer: httpx.Response, token: str) -> Iterator[httpx.Response]:
    link = next_target(answer.json())
    if link is not None:
        yield from opened.follow(link, token)


def _of_upstream(upstream: Upstream, path: str) -> httpx.Response:
    return httpx.get(f"{upstream.base_url}/{path}", headers=AS_GATEWAY, timeout=60, trust_env=False)


def _with_versions(upstream: Upstream, target: str) -> str:
    for which, path in re.findall(r"\{(v1|last):([A-Za-z]+/[A-Za-z0-9.\-]+)\}", target):
        known = versions(upstream, path)
        target = with_versions(target, {path: known[0]}) if which == "v1" else target
        target = target.replace(f"{{last:{path}}}", known[-1])
    return target


def _token(opened: Gateway) -> str:
    return opened.token(client_id="app-open")


def _instant(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
