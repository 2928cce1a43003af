"""Tokens that are bound to a key (RFC 9449): of an external issuer and of our own, on the read path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core.smart.dpop import ALGORITHMS, LIVES_S, SKEW_S
from gateway.tokens.used_proofs import UsedProofs
from tests.support.gateway import Gateway, gateway
from tests.support.house import PUBLIC
from tests.tokens.holder import Holder
from tests.walk.canned import Canned
from tests.walk.faults import READ, SEARCH, observation, page, said

OWNER, THIEF = Holder(), Holder(number=1)
URL = PUBLIC + READ


@dataclass
class Bound:
    """A gateway with a consent, and a token of its external issuer that is bound to the owner's key."""

    house: Gateway
    token: str

    @property
    def now_s(self) -> int:
        return self.house.clock() // 1000

    def proof(self, method: str = "GET", address: str = URL, holder: Holder = OWNER, **more: Any) -> str:
        return holder.prove(method, address, self.now_s, **{"token": self.token, **more})

    def ask(
        self,
        *proofs: str,
        scheme: str = "DPoP",
        target: str = READ,
        method: str = "GET",
        token: str | None = None,
        host: str = "gw.example",
    ) -> httpx.Response:
        lines = [("Host", host), ("Authorization", f"{scheme} {token or self.token}")]
        return self.house.raw(method, target, headers=[*lines, *(("DPoP", value) for value in proofs)])


@pytest.fixture
def bound(house: Gateway, record_server: Canned) -> Bound:
    record_server.speak(said(body=observation()))
    house.permit()
    return Bound(house, house.token(cnf={"jkt": OWNER.thumbprint}))


def refused(answer: httpx.Response, error: str) -> None:
    assert answer.status_code == 401, answer.text
    challenge = f'DPoP error="{error}", algs="{" ".join(ALGORITHMS)}"'
    assert answer.headers["www-authenticate"] == challenge
    assert "ledger-entry" not in answer.headers
    assert "CANARY" not in answer.text


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_its_holder_reads(house: Gateway, record_server: Canned, algorithm: str) -> None:
    record_server.speak(said(body=observation()))
    house.permit()
    holder = Holder(algorithm)
    bound = Bound(house, house.token(cnf={"jkt": holder.thumbprint}))
    answer = bound.ask(bound.proof(holder=holder))
    assert answer.status_code == 200
    assert answer.json()["id"] == "x"


REFUSED: dict[str, tuple[str, Callable[[Bound], list[str]]]] = {
    "no proof": ("invalid_dpop_proof", lambda b: []),
    "an empty proof": ("invalid_dpop_proof", lambda b: [""]),
    "two proofs": ("invalid_dpop_proof", lambda b: [b.proof(), b.proof()]),
    "the same proof twice": ("invalid_dpop_proof", lambda b: [b.proof(jti="j")] * 2),
    "another's key": ("invalid_token", lambda b: [b.proof(holder=THIEF)]),
    "the owner's key, signed by another": (
        "invalid_dpop_proof",
        lambda b: [b.proof(holder=THIEF, header={"jwk": OWNER.jwk})],
    ),
    "a private key": ("invalid_dpop_proof", lambda b: [b.proof(header={"jwk": {**OWNER.jwk, "d": "AAAA"}})]),
    "another method": ("invalid_dpop_proof", lambda b: [b.proof("POST")]),
    "HEAD": ("invalid_dpop_proof", lambda b: [b.proof("HEAD")]),
    "another record": ("invalid_dpop_proof", lambda b: [b.proof(address=URL + "y")]),
    "another address of ours": ("invalid_dpop_proof", lambda b: [b.proof(address=f"{PUBLIC}/auth/token")]),
    "another server": ("invalid_dpop_proof", lambda b: [b.proof(address="https://evil.example" + READ)]),
    "plain http": ("invalid_dpop_proof", lambda b: [b.proof(address=URL.replace("https:", "http:"))]),
    "no digest of the token": ("invalid_dpop_proof", lambda b: [b.proof(ath=None)]),
    "another token's digest": ("invalid_dpop_proof", lambda b: [b.proof(token=b.house.token())]),
    "made too long ago": ("invalid_dpop_proof", lambda b: [b.proof(iat=b.now_s - LIVES_S - SKEW_S - 5)]),
    "made tomorrow": ("invalid_dpop_proof", lambda b: [b.proof(iat=b.now_s + SKEW_S + 5)]),
    "no jti": ("invalid_dpop_proof", lambda b: [b.proof(jti=None)]),
    "another type": ("invalid_dpop_proof", lambda b: [b.proof(header={"typ": "JWT"})]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_nobody_else_does(bound: Bound, name: str) -> None:
    error, proofs = REFUSED[name]
    before = len(bound.house.entries())
    refused(bound.ask(*proofs(bound)), error)
    assert bound.house.upstream.asks == []
    assert len(bound.house.entries()) == before
    assert bound.ask(bound.proof()).status_code == 200


@pytest.mark.parametrize("proofs", [0, 1])
def test_it_is_no_bearer_token(bound: Bound, proofs: int) -> None:
    refused(bound.ask(*[bound.proof()] * proofs, scheme="Bearer"), "invalid_token")
    assert bound.house.upstream.asks == []


def test_a_bearer_token_is_not_bound_by_saying_so(bound: Bound) -> None:
    bearer = bound.house.token()
    refused(bound.ask(bound.proof(token=bearer), token=bearer), "invalid_token")
    assert bound.ask(scheme="Bearer", token=bearer).status_code == 200
    assert bound.ask("x", scheme="Bearer", token=bearer).status_code == 200


def test_a_proof_is_used_once(bound: Bound) -> None:
    proof = bound.proof()
    assert bound.ask(proof).status_code == 200
    refused(bound.ask(proof), "invalid_dpop_proof")
    bound.house.clock.ahead_s = LIVES_S
    refused(bound.ask(proof), "invalid_dpop_proof")
    assert bound.ask(bound.proof()).status_code == 200


def test_what_is_denied_has_used_its_proof(bound: Bound) -> None:
    proof = bound.proof(address=f"{PUBLIC}/fhir/Binary/x")
    assert bound.ask(proof, target="/fhir/Binary/x").status_code == 403
    refused(bound.ask(proof, target="/fhir/Binary/x"), "invalid_dpop_proof")


def test_a_search_is_proved_without_its_query(bound: Bound, record_server: Canned) -> None:
    record_server.speak(said(body=page(observation())))
    for query in ("", "?code=1", "?other=1#x"):
        address = f"{PUBLIC}/fhir/Observation{query}"
        assert bound.ask(bound.proof(address=address), target=SEARCH).status_code == 200
    refused(bound.ask(bound.proof(address=URL), target=SEARCH), "invalid_dpop_proof")


def test_the_address_is_ours_and_not_what_host_says(bound: Bound) -> None:
    """A name under which the gateway can be reached, and which is not its own, proves nothing."""
    local = f"127.0.0.1:{bound.house.house.settings.server.port}"
    assert bound.ask(bound.proof(), host=local).status_code == 200
    refused(bound.ask(bound.proof(address=f"http://{local}{READ}"), host=local), "invalid_dpop_proof")


def test_an_issuer_may_bind_in_no_other_way(bound: Bound) -> None:
    """A confirmation that is not enforced here is not passed over."""
    for confirmation in ({"x5t#S256": OWNER.thumbprint}, {"jkt": OWNER.thumbprint, "x5t#S256": "A" * 43}, {}):
        token = bound.house.token(cnf=confirmation)
        for scheme in ("Bearer", "DPoP"):
            answer = bound.ask(bound.proof(token=token), scheme=scheme, token=token)
            assert answer.status_code == 401
    assert bound.house.upstream.asks == []


def test_our_own_issuers_tokens_are_bound_too(bound: Bound) -> None:
    claims = bound.house.claims("patient/*.rs", cnf={"jkt": OWNER.thumbprint})
    named = {name: value for name, value in claims.items() if name not in ("iss", "iat", "exp", "jti")}
    token = bound.house.house.minter.mint(named, now_s=bound.now_s, lifetime_s=300, jti="t")
    assert bound.ask(bound.proof(token=token), token=token).status_code == 200
    refused(bound.ask(token=token, scheme="Bearer"), "invalid_token")
    refused(bound.ask(bound.proof(token=token, holder=THIEF), token=token), "invalid_token")


def test_without_a_memory_of_proofs_nothing_is_released(bound: Bound) -> None:
    path = bound.house.house.settings.ledger.store.with_name("proofs.db")
    other = UsedProofs(path)
    other._db.execute("DROP TABLE used_proof")
    other.close()
    answer = bound.ask(bound.proof())
    assert (answer.status_code, "CANARY" in answer.text) == (503, False)
    assert bound.house.upstream.asks == []
    assert bound.house.get(READ, bound.house.token()).status_code == 200


def test_another_gateway_on_the_ledger_knows_the_proof(
    bound: Bound, record_server: Canned, tmp_path: Path
) -> None:
    proof = bound.proof()
    assert bound.ask(proof).status_code == 200
    with gateway(tmp_path, record_server.base_url, timeout_s=2) as other:
        refused(Bound(other, bound.token).ask(proof), "invalid_dpop_proof")
