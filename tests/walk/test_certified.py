"""Tokens that an issuer has bound to a certificate (RFC 8705), on the read path: behind a proxy that is
trusted, which is this machine, and without one. By which scheme bound tokens are refused."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest

from gateway import app
from gateway.core.smart.dpop import ALGORITHMS
from gateway.web.senders import Trust
from tests.support.certificates import Issued, issued
from tests.support.gateway import Gateway, gateway
from tests.support.house import PUBLIC
from tests.tokens.holder import Holder
from tests.walk.canned import Canned
from tests.walk.faults import READ, observation, said

MINE, OTHER, OVER = issued("mine"), issued("other"), issued("over", lives_s=-60)
HOLDER = Holder()
DPOP = f'algs="{" ".join(ALGORITHMS)}"'


@pytest.fixture
def behind(tmp_path: Path, record_server: Canned) -> Iterator[Gateway]:
    """A gateway that believes this machine about certificates."""
    trust = Trust((ip_network("127.0.0.0/8"),), certificates=True)
    with (
        patch.object(app, "_trust", lambda _: trust),
        gateway(tmp_path, record_server.base_url, timeout_s=2) as house,
    ):
        record_server.speak(said(body=observation()))
        house.permit()
        yield house


def ask(
    house: Gateway, token: str, *shown: Issued, scheme: str = "Bearer", target: str = READ, proof: str = ""
) -> httpx.Response:
    lines = [("Host", "gw.example"), ("Authorization", f"{scheme} {token}")]
    lines += [("Client-Cert", each.header) for each in shown]
    return house.raw("GET", target, headers=[*lines, *([("DPoP", proof)] if proof else [])])


def refused(answer: httpx.Response, challenge: str = 'Bearer error="invalid_token"') -> None:
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, challenge), answer.text
    assert "ledger-entry" not in answer.headers
    assert "CANARY" not in answer.text


def test_it_is_for_connections_with_the_certificate_alone(behind: Gateway) -> None:
    token = behind.token(cnf={"x5t#S256": MINE.thumbprint})
    for shown in ((), (OTHER,)):
        refused(ask(behind, token, *shown))
    assert behind.upstream.asks == []
    assert ask(behind, token, MINE).status_code == 200
    refused(ask(behind, token))


def test_a_certificate_that_is_over_is_none(behind: Gateway) -> None:
    refused(ask(behind, behind.token(cnf={"x5t#S256": OVER.thumbprint}), OVER))
    assert behind.upstream.asks == []


def test_a_token_that_is_not_bound_goes_with_any(behind: Gateway) -> None:
    token = behind.token()
    for shown in ((), (MINE,), (OVER,)):
        assert ask(behind, token, *shown).status_code == 200


def test_it_is_no_token_of_a_key(behind: Gateway) -> None:
    token = behind.token(cnf={"x5t#S256": MINE.thumbprint})
    proof = HOLDER.prove("GET", PUBLIC + READ, behind.clock() // 1000, token)
    refused(ask(behind, token, MINE, scheme="DPoP", proof=proof))
    keyed = behind.token(cnf={"jkt": HOLDER.thumbprint})
    refused(ask(behind, keyed, MINE), f'DPoP error="invalid_token", {DPOP}')


@pytest.mark.parametrize(
    "confirmation",
    [
        {},
        {"x5t": MINE.thumbprint},
        {"x5t#S256": MINE.thumbprint + "="},
        {"x5t#S256": [MINE.thumbprint]},
        {"x5t#S256": MINE.thumbprint, "jkt": HOLDER.thumbprint},
        {"x5t#S256": MINE.thumbprint, "kid": "1"},
    ],
    ids=["nothing", "SHA-1", "padded", "a list", "both", "more"],
)
def test_another_confirmation_is_not_passed_over(behind: Gateway, confirmation: dict[str, object]) -> None:
    refused(ask(behind, behind.token(cnf=confirmation), MINE))
    assert behind.upstream.asks == []


def test_without_a_proxy_a_header_opens_nothing(house: Gateway, record_server: Canned) -> None:
    record_server.speak(said(body=observation()))
    house.permit()
    token = house.token(cnf={"x5t#S256": MINE.thumbprint})
    answer = ask(house, token, MINE)
    assert answer.status_code == 400
    assert "trusted proxies alone" in answer.text
    refused(ask(house, token))
    assert ask(house, house.token(), MINE).status_code == 400
    assert house.upstream.asks == []


def test_a_token_of_a_key_is_refused_by_its_scheme(behind: Gateway) -> None:
    """Also where the token holds, and is not enough."""
    token, url = behind.token(cnf={"jkt": HOLDER.thumbprint}), f"{PUBLIC}/fhir/Binary/x"
    proof = HOLDER.prove("GET", url, behind.clock() // 1000, token)
    answer = ask(behind, token, scheme="DPoP", target="/fhir/Binary/x", proof=proof)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (
        403,
        f'DPoP error="insufficient_scope", {DPOP}',
    )
    refused(ask(behind, token[:-8] + "AAAAAAAA", scheme="DPoP"), f'DPoP error="invalid_token", {DPOP}')
    bearer = ask(behind, behind.token(), target="/fhir/Binary/x")
    assert bearer.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
