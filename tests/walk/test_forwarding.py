"""What a record server gets to see of a client's request: nothing in the client's own words, and no token."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from tests.support.asgi import PARSERS, Parser
from tests.support.gateway import gateway
from tests.walk.canned import Canned
from tests.walk.faults import READ, VREAD, observation, page

SENT = {"host", "accept", "accept-encoding", "prefer", "user-agent", "connection"}
HEADERS = [
    *((name, "MARK") for name in (
        "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "Forwarded",
        "X-Original-URL", "X-Rewrite-URL", "X-Real-IP", "Via", "X-Request-Id", "User-Agent", "Cookie",
        "Referer", "X-Provenance", "X-Security-Context", "If-None-Exist", "X-MS-AZUREFHIR-AUDIT-SOURCE",
        "Origin", "Cache-Control", "If-Modified-Since", "traceparent", "Accept-Language", "Accept-Charset",
    )),
    ("Prefer", "handling=lenient; MARK"),
    ("If-None-Match", '"MARK"'),
    ("If-Match", 'W/"MARK"'),
    ("Range", "bytes=0-1"),
    ("Accept", "application/json"),
    ("Accept-Encoding", "gzip, MARK"),
    ("Connection", "keep-alive, X-MARK"),
    ("TE", "trailers, MARK"),
]  # fmt: skip


@pytest.mark.parametrize("http", PARSERS)
def test_a_record_server_sees_the_gateway_alone(
    record_server: Canned, tmp_path_factory: pytest.TempPathFactory, http: Parser
) -> None:
    record_server.reset()
    record_server.answer(path="/Observation/x", body=observation())
    record_server.answer(path="/Observation/x/_history/1", body=observation())
    record_server.answer(path="/Observation", body=page(observation()))
    with gateway(tmp_path_factory.mktemp("forwarding"), record_server.base_url, http=http) as house:
        house.permit()
        token = house.token(jti="MARK")
        for target in (READ, VREAD, "/fhir/Observation?code=1&_format=json&_pretty=true&_summary=data"):
            answer = house.raw("GET", target, token, headers=HEADERS)
            assert answer.status_code == 200, (target, answer.text)
        house.check_everything()
    assert [unquote(request) for request in record_server.requests] == [
        "GET /fhir/Observation/x",
        "GET /fhir/Observation/x",
        "GET /fhir/Observation/x/_history/1",
        "GET /fhir/Observation?code=1&patient=Patient/pat-a",
    ]
    for head in record_server.heads:
        assert head.keys() <= SENT
        said = str(head)
        assert not any(part in said for part in ("MARK", token, "lenient", "gzip", "gw.example"))
