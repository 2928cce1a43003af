"""Who sent a request: what a trusted proxy says of its client, and what nobody else is believed to say."""

from __future__ import annotations

import ipaddress
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.tokens.certificate import STATE
from gateway.web.senders import Senders, Trust, settle
from tests.support.certificates import issued

PROXIES = tuple(ipaddress.ip_network(text) for text in ("10.0.0.0/8", "2001:db8:1::/48"))
TRUST = Trust(PROXIES, certificates=True)
FORWARDED = Trust(PROXIES, "Forwarded", certificates=True)
CLIENT, OTHER = issued("client"), issued("other")
DIGITS = b64encode(CLIENT.der).decode()


def request(*headers: tuple[str, str], peer: Any = ("10.0.0.7", 4000), **more: Any) -> dict[str, Any]:
    sent = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    return {"type": "http", "headers": sent, "client": peer, "state": {}, **more}


def sender(*headers: tuple[str, str], trust: Trust = TRUST, peer: Any = ("10.0.0.7", 4000)) -> Any:
    scope = request(*headers, peer=peer)
    settle(scope, trust)
    return scope["client"] and scope["client"][0]


def certificate(*values: str, trust: Trust = TRUST, **scope: Any) -> bytes | None:
    made = request(*[("Client-Cert", value) for value in values], **scope)
    settle(made, trust)
    found: bytes | None = made["state"].get(STATE)
    return found


# --- Certificates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("peer", ["10.0.0.7", "10.255.0.1", "2001:db8:1::5", "::ffff:10.0.0.7"])
def test_a_trusted_proxy_is_believed_about_the_certificate(peer: str) -> None:
    assert certificate(CLIENT.header, peer=(peer, 1)) == CLIENT.der


@pytest.mark.parametrize(
    "peer", [("11.0.0.7", 1), ("127.0.0.1", 1), ("2001:db8:2::5", 1), ("proxy", 1), None, ("", 0)]
)
def test_nobody_else_is(peer: Any) -> None:
    with pytest.raises(BadRequest, match="trusted proxies alone"):
        certificate(CLIENT.header, peer=peer)


@pytest.mark.parametrize(
    "trust", [Trust(), Trust(certificates=True), Trust(PROXIES)], ids=["nobody", "no proxy", "not for these"]
)
@pytest.mark.parametrize("value", [CLIENT.header, "", "x"])
def test_without_trust_the_header_is_refused_whatever_it_says(trust: Trust, value: str) -> None:
    with pytest.raises(BadRequest, match="trusted proxies alone"):
        certificate(value, trust=trust)


def test_whoever_names_a_proxy_is_none() -> None:
    with pytest.raises(BadRequest):
        settle(
            request(("X-Forwarded-For", "10.0.0.7"), ("Client-Cert", CLIENT.header), peer=("1.2.3.4", 1)),
            TRUST,
        )


def test_a_certificate_of_the_connection_is_the_clients_where_no_proxy_is() -> None:
    assert certificate(peer=("1.2.3.4", 1), state={STATE: OTHER.der}) == OTHER.der
    assert certificate(trust=Trust(), state={STATE: OTHER.der}) == OTHER.der


def test_the_proxys_own_certificate_is_nobodys() -> None:
    assert certificate(state={STATE: OTHER.der}) is None
    assert certificate(CLIENT.header, state={STATE: OTHER.der}) == CLIENT.der


def test_the_state_of_the_connection_stays_as_it_is() -> None:
    state = {STATE: OTHER.der, "more": 1}
    scope = request(state=state)
    settle(scope, TRUST)
    assert (scope["state"], state) == ({"more": 1}, {STATE: OTHER.der, "more": 1})


GOOD = {
    "as written": f":{DIGITS}:",
    "between spaces": f"  :{DIGITS}: ",
    "without padding": f":{DIGITS.rstrip('=')}:",
}


@pytest.mark.parametrize("name", GOOD)
def test_a_byte_sequence_is_read(name: str) -> None:
    assert certificate(GOOD[name]) == CLIENT.der


BAD = {
    "nothing": "",
    "no colons": DIGITS,
    "no end": f":{DIGITS}",
    "no beginning": f"{DIGITS}:",
    "empty": "::",
    "a colon within": f":{DIGITS[:8]}:{DIGITS[8:]}:",
    "a space within": f":{DIGITS[:8]} {DIGITS[8:]}:",
    "a tab before": f"\t:{DIGITS}:",
    "base64url": ":" + DIGITS.replace("+", "-").replace("/", "_") + "-_:",
    "too much padding": f":{DIGITS.rstrip('=')}===:",
    "padding within": f":{DIGITS[:4]}=={DIGITS[4:]}:",
    "one digit too few": f":{DIGITS.rstrip('=')[:-1]}:",
    "a parameter": f":{DIGITS}:;a=1",
    "a list": f":{DIGITS}:, :{DIGITS}:",
    "a string": f'"{DIGITS}"',
    "the PEM, percent-encoded": "-----BEGIN%20CERTIFICATE-----%0A" + DIGITS,
    "no certificate": ":" + b64encode(b"certificate").decode() + ":",
    "bytes after it": ":" + b64encode(CLIENT.der + b"\0").decode() + ":",
    "two at once": ":" + b64encode(CLIENT.der * 2).decode() + ":",
    "a letter that is none": f":{DIGITS[:-4]}é{DIGITS[-3:]}:",
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_certificate_is_refused(name: str) -> None:
    with pytest.raises(BadRequest, match="not one certificate"):
        certificate(BAD[name])


@pytest.mark.parametrize("second", [CLIENT.header, OTHER.header, ""])
def test_two_headers_are_refused(second: str) -> None:
    with pytest.raises(BadRequest, match="not one certificate"):
        certificate(CLIENT.header, second)


@given(st.binary(max_size=80))
def test_no_bytes_are_a_certificate_by_chance(data: bytes) -> None:
    with pytest.raises(BadRequest):
        certificate(data.decode("latin-1"))


# --- Addresses ------------------------------------------------------------------------------------------

CHAINS = {
    "nothing said": ([], "10.0.0.7"),
    "one step": (["203.0.113.5"], "203.0.113.5"),
    "with a port": (["203.0.113.5:4711"], "203.0.113.5"),
    "IPv6": (["2001:db8::9"], "2001:db8::9"),
    "IPv6 in brackets": (["[2001:db8::9]"], "2001:db8::9"),
    "IPv6 with a port": (["[2001:db8::9]:4711"], "2001:db8::9"),
    "IPv4 in IPv6": (["::ffff:203.0.113.5"], "203.0.113.5"),
    "what the client wrote before": (["198.51.100.1, 203.0.113.5"], "203.0.113.5"),
    "the client as a proxy": (["10.0.0.9, 203.0.113.5"], "203.0.113.5"),
    "through two proxies": (["203.0.113.5, 10.0.0.9"], "203.0.113.5"),
    "in two headers": (["198.51.100.1", "203.0.113.5, 10.0.0.9"], "203.0.113.5"),
    "proxies alone": (["10.0.0.8, 10.0.0.9"], "10.0.0.8"),
    "nothing that is an address": (["unknown"], "10.0.0.7"),
    "behind a proxy that says nothing": (["203.0.113.5, unknown, 10.0.0.9"], "10.0.0.9"),
    "an empty step": (["203.0.113.5,"], "10.0.0.7"),
    "this machine": (["127.0.0.1"], "127.0.0.1"),
}


@pytest.mark.parametrize("name", CHAINS)
def test_the_sender_is_the_last_one_vouched_for(name: str) -> None:
    values, expected = CHAINS[name]
    assert sender(*[("X-Forwarded-For", value) for value in values]) == expected


STEPS = {
    "one step": (["for=203.0.113.5"], "203.0.113.5"),
    "with what else there is": (["by=10.0.0.7;FOR=203.0.113.5;proto=https;host=gw.example"], "203.0.113.5"),
    "in quotes, with a port": (['for="203.0.113.5:4711"'], "203.0.113.5"),
    "IPv6": (['for="[2001:db8::9]:4711"'], "2001:db8::9"),
    "what the client wrote before": (["for=198.51.100.1, for=203.0.113.5"], "203.0.113.5"),
    "a quote that the client left open": (['for="198.51.100.1', "for=203.0.113.5"], "203.0.113.5"),
    "through two proxies": (["for=203.0.113.5, for=10.0.0.9"], "203.0.113.5"),
    "unknown": (["for=unknown"], "10.0.0.7"),
    "hidden": (["for=_hidden"], "10.0.0.7"),
    "twice in one step": (["for=203.0.113.5;for=198.51.100.1"], "10.0.0.7"),
    "no for": (["proto=https"], "10.0.0.7"),
}


@pytest.mark.parametrize("name", STEPS)
def test_forwarded_says_the_same(name: str) -> None:
    values, expected = STEPS[name]
    assert sender(*[("Forwarded", value) for value in values], trust=FORWARDED) == expected


def test_the_other_header_is_not_looked_at() -> None:
    both = (("Forwarded", "for=203.0.113.5"), ("X-Forwarded-For", "198.51.100.1"))
    assert sender(*both) == "198.51.100.1"
    assert sender(*both, trust=FORWARDED) == "203.0.113.5"
    assert sender(both[0]) == "10.0.0.7"


@pytest.mark.parametrize("peer", [("203.0.113.99", 1), None])
def test_a_stranger_is_not_believed_about_an_address(peer: Any) -> None:
    assert sender(("X-Forwarded-For", "198.51.100.1"), peer=peer) == (peer and peer[0])
    assert sender(("X-Forwarded-For", "198.51.100.1"), peer=peer, trust=Trust()) == (peer and peer[0])


@given(st.text(max_size=40), st.booleans())
def test_what_a_client_writes_changes_nothing(text: str, forwarded: bool) -> None:
    """Its proxy appends the address, in the same header or in one more."""
    written = text.encode("ascii", "ignore").decode()
    name, trust = ("Forwarded", FORWARDED) if forwarded else ("X-Forwarded-For", TRUST)
    appended = "for=203.0.113.5" if forwarded else "203.0.113.5"
    assert sender((name, f"{written}, {appended}"), trust=trust) == "203.0.113.5"
    assert sender((name, written), (name, appended), trust=trust) == "203.0.113.5"


# --- As an application ----------------------------------------------------------------------------------


async def test_what_is_refused_does_not_get_through() -> None:
    seen: list[Any] = []
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["type"], scope.get("client")))

    async def keep(message: Any) -> None:
        sent.append(message)

    senders = Senders(app, TRUST)
    unused: Any = None
    await senders(request(("Client-Cert", "x")), unused, keep)
    assert (seen, sent[0]["status"]) == ([], 400)
    await senders(request(("X-Forwarded-For", "203.0.113.5")), unused, keep)
    await senders({"type": "lifespan"}, unused, keep)
    assert seen == [("http", ("203.0.113.5", 0)), ("lifespan", None)]
