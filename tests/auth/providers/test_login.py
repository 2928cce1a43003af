"""The log-in at a provider as a browser sees it: there and back, and everything that leaves no session."""

from __future__ import annotations

import asyncio
import hmac
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pyotp import TOTP

from gateway.auth.people.browser import Visit
from gateway.auth.people.registry import Profile
from gateway.auth.people.waiting import Waiting
from gateway.auth.providers.login import SAID
from gateway.auth.store import delegations
from gateway.core.canon import b64url, sha256
from gateway.core.values import Ref
from gateway.tokens.compact import split
from gateway.tokens.fetch import MAX_BYTES
from gateway.tokens.signer import Signer
from tests.auth.providers.hall import CALLBACK, TITLE, WITH, Hall, asked_of, open_hall
from tests.auth.providers.provider import CLIENT, KEY, OTHER_KEY, SECRET, SUBJECT, Answer
from tests.auth.site import HTTPS, Site, alert_of
from tests.tokens import forge

NOT_SOUND = f"The log-in at {TITLE} did not work. If that stays so, tell the office."
NOT_DONE = f"You did not finish the log-in at {TITLE}. Try again, or log in another way."
NOT_THERE = f"{TITLE} is not available at the moment. Try again later."
STALE = "This log-in is over, or was begun in another browser. Go back and start again."


@pytest.fixture
async def hall(site: Site) -> AsyncIterator[Hall]:
    async with open_hall(site) as opened:
        yield opened


async def refused(hall: Hall, **answer: str | None) -> None:
    """A whole log-in that leaves no session, and says so."""
    async with hall.guest() as guest:
        no = await guest.log_in({}, **answer)
        assert (no.status_code, alert_of(no)) == (422, NOT_SOUND)
        assert await guest.who() is None


# --- There and back --------------------------------------------------------------------------------


async def test_in_by_the_provider(hall: Hall) -> None:
    async with hall.guest() as guest:
        done = await guest.log_in()
        assert (done.status_code, done.headers["location"]) == (303, "/auth/login")
        assert await guest.who() == ["anna", False]
        assert done.headers["cache-control"] == "no-store"


async def test_what_is_asked_and_how_the_code_is_redeemed(hall: Hall) -> None:
    hall.configure(scopes=("openid", "email"), resource="https://idp.example/fhir")
    async with hall.guest() as guest:
        address = await guest.leave()
        asked = asked_of(address)
        await guest.come_back(hall.provider.log_in(address))
    form, [head] = dict(hall.provider.forms[0]), hall.provider.heads
    verifier = form.pop("code_verifier")
    assert len(asked.pop("state")) == len(asked.pop("nonce")) == len(verifier) == 43
    assert asked == {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": f"{HTTPS}{CALLBACK}",
        "scope": "openid email",
        "code_challenge": b64url(sha256(verifier.encode())),
        "code_challenge_method": "S256",
        "resource": "https://idp.example/fhir",
    }
    assert form == {
        "grant_type": "authorization_code",
        "code": "code-0",
        "redirect_uri": f"{HTTPS}{CALLBACK}",
    }
    [basic] = [line for line in head.split("\r\n") if line.lower().startswith("authorization:")]
    assert b64decode(basic.split(" ")[2]) == b"gateway:a+secret%3A+100+%25"
    assert SECRET == "a secret: 100 %"


async def test_each_log_in_has_secrets_of_its_own(hall: Hall) -> None:
    async with hall.guest() as guest:
        first, second = asked_of(await guest.leave()), asked_of(await guest.leave())
    for name in ("state", "nonce", "code_challenge"):
        assert first[name] != second[name]
    assert first["state"] != first["nonce"]


async def test_in_by_a_key_in_the_place_of_a_secret(hall: Hall) -> None:
    key = forge.private_key("ES384")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    numbers = key.private_numbers()
    private = {**forge.public_jwk(key, kid=None), "d": b64url(numbers.private_value.to_bytes(48, "big"))}
    signer = Signer({name: str(value) for name, value in private.items()})
    hall.configure(credentials=signer)
    async with hall.guest() as guest:
        await guest.log_in()
        assert await guest.who() == ["anna", False]
    [form], [head] = hall.provider.forms, hall.provider.heads
    assert "authorization:" not in head.lower()
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    compact = split(form["client_assertion"])
    assert compact.header == {"alg": "ES384", "typ": "JWT", "kid": signer.key_id}
    jti = compact.claims.pop("jti")
    now_s = hall.site.now_s
    assert compact.claims == {
        "iss": CLIENT,
        "sub": CLIENT,
        "aud": f"{hall.provider.issuer}/token",
        "iat": now_s,
        "exp": now_s + 60,
    }
    assert jti


async def test_it_leads_on_to_what_waits(hall: Hall) -> None:
    hall.site.waiting["req-1"] = Waiting("/auth/approve?id=req-1")
    async with hall.guest() as guest:
        done = await guest.log_in({"next": "req-1"})
        assert done.headers["location"] == "/auth/approve?id=req-1"


async def test_what_waits_is_known_before_the_browser_leaves(hall: Hall) -> None:
    async with hall.guest() as guest:
        no = await guest.visitor.client.get(WITH, params={"next": "none"})
        assert no.status_code == 400
    assert hall.provider.paths == []


async def test_the_session_before_is_over(hall: Hall) -> None:
    await hall.site.add("bo", name="Bo", user=Ref("Practitioner", "prac-1"))
    async with hall.guest() as guest:
        await guest.visitor.password("bo")
        before = guest.visitor.cookie()
        await guest.log_in()
        assert await guest.who() == ["anna", False]
        assert guest.visitor.cookie() != before
        guest.visitor.client.cookies.clear()
        guest.visitor.client.cookies.set("__Host-consentry", before or "", domain="gw.example")
        assert await guest.who() is None


# --- The answer that comes back --------------------------------------------------------------------


async def test_an_answer_counts_once(hall: Hall) -> None:
    async with hall.guest() as guest:
        own = hall.provider.log_in(await guest.leave())
        device = dict(guest.visitor.client.cookies)
        assert (await guest.come_back(own)).status_code == 303
        guest.visitor.client.cookies.update(device)
        again = await guest.come_back(own)
        assert (again.status_code, alert_of(again)) == (400, STALE)
    assert len(hall.provider.forms) == 1


async def test_of_two_at_once_one_counts(hall: Hall) -> None:
    async with hall.guest() as guest:
        own = hall.provider.log_in(await guest.leave())
        url = httpx.URL(CALLBACK, params=own)
        both = await asyncio.gather(*(guest.visitor.client.get(url) for _ in range(2)))
    assert sorted(each.status_code for each in both) == [303, 400]
    assert len(hall.provider.forms) == 1


async def test_an_answer_to_another_browser_does_not_count_and_harms_nobody(hall: Hall) -> None:
    """Somebody who sends a victim back with their own code would have them logged in as somebody else."""
    async with hall.guest() as attacker, hall.guest() as victim:
        own = hall.provider.log_in(await attacker.leave())
        await victim.leave()
        for guest in (victim, victim):
            no = await guest.come_back(own)
            assert (no.status_code, alert_of(no)) == (400, STALE)
            assert await guest.who() is None
        assert (await attacker.come_back(own)).status_code == 303
    assert len(hall.provider.forms) == 1


async def test_an_answer_to_a_browser_without_cookies_does_not_count(hall: Hall) -> None:
    async with hall.guest() as guest:
        own = hall.provider.log_in(await guest.leave())
        guest.visitor.client.cookies.clear()
        no = await guest.come_back(own)
        assert (no.status_code, alert_of(no)) == (400, STALE)
    assert hall.provider.forms == []


@pytest.mark.parametrize("state", [None, "", "x" * 43])
async def test_an_answer_that_nobody_asked_for_does_not_count(hall: Hall, state: str | None) -> None:
    async with hall.guest() as guest:
        own = hall.provider.log_in(await guest.leave())
        no = await guest.come_back({**own, "state": state})
        assert (no.status_code, alert_of(no)) == (400, STALE)
        assert await guest.who() is None


@pytest.mark.parametrize(("after_s", "status"), [(-1, 303), (0, 400)], ids=["just in time", "late"])
async def test_an_answer_has_its_time(hall: Hall, after_s: int, status: int) -> None:
    async with hall.guest() as guest:
        own = hall.provider.log_in(await guest.leave())
        hall.site.now_s += delegations.LASTS_S + after_s
        hall.provider.claims = {"auth_time": None}
        assert (await guest.come_back(own)).status_code == status
        assert (await guest.who() is None) is (status == 400)


async def test_an_answer_at_another_provider_s_address_does_not_count(hall: Hall) -> None:
    """Mix-up: what one provider gave is not handed to another (RFC 9700 section 4.4)."""
    hall.configure()
    first = hall.site.providers
    hall.configure(name="other", title="Other", issuer=hall.provider.issuer.replace("127.0.0.1", "localhost"))
    hall.site.providers += first
    async with hall.guest() as guest:
        own = hall.provider.log_in(await guest.leave())
        no = await guest.come_back(own, "/auth/login/callback/other")
        assert (no.status_code, alert_of(no)) == (400, STALE)
        assert hall.provider.forms == []
        assert (await guest.come_back(own)).status_code == 303


@pytest.mark.parametrize("iss", [None, "", "https://other.example", "/"], ids=repr)
async def test_an_answer_that_does_not_name_the_provider_does_not_count(hall: Hall, iss: str | None) -> None:
    given = f"{hall.provider.issuer}/" if iss == "/" else iss
    await refused(hall, iss=given)
    assert hall.provider.forms == []


@pytest.mark.parametrize(("given", "status"), [(None, 303), ("own", 303), ("https://other.example", 422)])
async def test_who_does_not_promise_to_name_itself_may(hall: Hall, given: str | None, status: int) -> None:
    hall.provider.metadata["authorization_response_iss_parameter_supported"] = None
    iss = hall.provider.issuer if given == "own" else given
    async with hall.guest() as guest:
        assert (await guest.log_in(iss=iss)).status_code == status


async def test_a_code_that_was_used_elsewhere_is_worth_nothing(hall: Hall) -> None:
    async with hall.guest() as guest:
        own = hall.provider.log_in(await guest.leave())
        hall.provider.asked.clear()
        no = await guest.come_back(own)
        assert (no.status_code, alert_of(no)) == (422, NOT_SOUND)
        assert await guest.who() is None


async def test_a_code_of_another_log_in_is_worth_nothing(hall: Hall) -> None:
    """Its id_token has the nonce of that one."""
    async with hall.guest() as attacker, hall.guest() as victim:
        theirs = hall.provider.log_in(await attacker.leave())
        own = hall.provider.log_in(await victim.leave())
        no = await victim.come_back({**own, "code": theirs["code"]})
        assert (no.status_code, alert_of(no)) == (422, NOT_SOUND)
        assert await victim.who() is None


async def test_an_answer_with_neither_code_nor_error_is_none(hall: Hall) -> None:
    await refused(hall, code=None)


@pytest.mark.parametrize("query", ["code=a&code=b", "state=%", "state=%00"])
async def test_an_answer_that_can_be_read_in_two_ways_is_refused(hall: Hall, query: str) -> None:
    async with hall.guest() as guest:
        assert (await guest.visitor.client.get(f"{CALLBACK}?{query}")).status_code == 400


@pytest.mark.parametrize("path", ["/auth/login/with/none", "/auth/login/callback/none"])
async def test_a_provider_that_is_not_configured_is_none(hall: Hall, path: str) -> None:
    async with hall.guest() as guest:
        assert (await guest.visitor.client.get(path)).status_code == 404


# --- Errors of the provider ------------------------------------------------------------------------


@pytest.mark.parametrize("error", [*SAID, "invalid_request", "unauthorized_client", "<script>", ""])
async def test_an_error_is_said_in_our_words(hall: Hall, error: str) -> None:
    async with hall.guest() as guest:
        no = await guest.log_in(
            {},
            code=None,
            error=error,
            error_description="<b>Call 555 0100</b>",
            error_uri="https://evil.example",
        )
        said = SAID.get(error)
        assert alert_of(no) == (NOT_SOUND if said is None else said.format(title=TITLE))
        assert no.status_code == (503 if said is not None and "available" in said else 422)
        assert "555 0100" not in no.text  # with a space, which no random text of the page has
        assert "evil.example" not in no.text
        assert "<script>" not in no.text
        assert await guest.who() is None
    assert hall.provider.forms == []


async def test_an_error_is_the_end_of_that_log_in(hall: Hall) -> None:
    async with hall.guest() as guest:
        own = hall.provider.log_in(await guest.leave())
        no = await guest.come_back({"error": "access_denied", "state": own["state"], "iss": own["iss"]})
        assert alert_of(no) == NOT_DONE
        assert (await guest.come_back(own)).status_code == 400
        assert await guest.who() is None


async def test_after_an_error_what_waits_still_does(hall: Hall) -> None:
    hall.site.waiting["req-1"] = Waiting("/auth/approve?id=req-1")
    async with hall.guest() as guest:
        no = await guest.log_in({"next": "req-1"}, code=None, error="access_denied")
        assert 'href="/auth/login/with/hospital?next=req-1&amp;again=1"' in no.text
        done = await guest.visitor.submit(no, "password", login="anna", password="correct horse battery")
        assert done.headers["location"] == "/auth/approve?id=req-1"


# --- The id_token ----------------------------------------------------------------------------------

WRONG_CLAIMS: list[dict[str, Any]] = [
    {"nonce": "n" * 43},
    {"nonce": None},
    {"aud": "other"},
    {"aud": [CLIENT, "other"]},
    {"azp": "other"},
    {"iss": "https://other.example"},
    {"iss": None},
    {"exp": 1},
    {"exp": None},
    {"iat": 1},
    {"sub": None},
]


@pytest.mark.parametrize("claims", WRONG_CLAIMS, ids=repr)
async def test_a_wrong_claim_leaves_no_session(hall: Hall, claims: dict[str, Any]) -> None:
    hall.provider.claims = claims
    await refused(hall)


def _payload(claims: dict[str, Any]) -> bytes:
    return json.dumps(claims).encode()


def _unsigned(claims: dict[str, Any]) -> str:
    return f"{_head(alg='none')}.{forge.b64(_payload(claims))}."


def _nothing_for_a_signature(claims: dict[str, Any]) -> str:
    return _unsigned(claims) + "AA"


def _by_the_public_key(claims: dict[str, Any]) -> str:
    """HS256 with the provider's public key for the shared one."""
    signed = f"{_head(alg='HS256', kid='key-1')}.{forge.b64(_payload(claims))}"
    return f"{signed}.{forge.b64(hmac.digest(forge.pem(KEY), signed.encode(), 'sha256'))}"


def _head(**members: str) -> str:
    return forge.b64(_payload(members))


def _by_another_key(claims: dict[str, Any]) -> str:
    return forge.raw_token(OTHER_KEY, "RS256", b'{"alg":"RS256","kid":"key-1"}', _payload(claims))


def _changed_afterwards(claims: dict[str, Any]) -> str:
    token = forge.raw_token(KEY, "RS256", b'{"alg":"RS256","kid":"key-1"}', _payload({**claims, "sub": "x"}))
    head, _, signature = token.split(".")
    return f"{head}.{forge.b64(_payload(claims))}.{signature}"


@pytest.mark.parametrize(
    "sign",
    [
        _unsigned,
        _nothing_for_a_signature,
        _by_the_public_key,
        _by_another_key,
        _changed_afterwards,
        lambda _: "",
        lambda _: "a.b",
        lambda _: "a.b.c.d.e",
        lambda _: "x" * 20_000,
    ],
    ids=["none", "none-signed", "HS256", "key", "changed", "empty", "two", "JWE", "long"],
)
async def test_a_wrong_signature_leaves_no_session(hall: Hall, sign: Any) -> None:
    hall.provider.sign = sign
    await refused(hall)


@pytest.mark.parametrize(
    "header", [{"typ": "at+jwt"}, {"kid": "k"}, {"crit": ["b64"]}, {"jwk": {}}], ids=repr
)
async def test_a_wrong_header_leaves_no_session(hall: Hall, header: dict[str, Any]) -> None:
    hall.provider.header = header
    await refused(hall)


async def test_an_algorithm_that_is_not_on_the_list_leaves_no_session(hall: Hall) -> None:
    hall.configure(algorithms=("ES256",))
    await refused(hall)


# --- The two servers -------------------------------------------------------------------------------

HUGE = Answer(b'{"a":"' + b"x" * MAX_BYTES + b'"}')
ELSEWHERE = Answer(b"", "302 Found", ("Location: https://evil.example/",))
BAD_ANSWERS = {
    "huge": HUGE,
    "elsewhere": ELSEWHERE,
    "slow": Answer(b"{}", pause_s=3),
    "compressed": Answer(b"\x1f\x8b", headers=("Content-Encoding: gzip",)),
    "an error": Answer(b"{}", "500 Internal Server Error"),
    "created": Answer(b"{}", "201 Created"),
    "no JSON": Answer(b"<html>"),
    "no object": Answer(b"[]"),
    "nothing in it": Answer(b"{}"),
    "twice": Answer(b'{"id_token":"a","id_token":"b"}'),
    "no text": Answer(b'{"id_token":1,"keys":1}'),
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
@pytest.mark.parametrize("path", ["/token", "/keys"])
async def test_a_bad_answer_leaves_no_session(hall: Hall, path: str, answer: Answer) -> None:
    hall.configure(timeout_s=1.5)
    hall.provider.answers[path] = answer
    await refused(hall)


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
async def test_without_its_configuration_nobody_is_sent_there(hall: Hall, answer: Answer) -> None:
    hall.configure(timeout_s=1.5)
    hall.provider.answers["/.well-known/openid-configuration"] = answer
    async with hall.guest() as guest:
        no = await guest.visitor.client.get(WITH)
        assert (no.status_code, alert_of(no)) == (503, NOT_THERE)


async def test_a_provider_that_is_away_is_not_asked_at_each_attempt(hall: Hall) -> None:
    hall.provider.answers["/.well-known/openid-configuration"] = Answer(b"", "503 Service Unavailable")
    async with hall.guest() as guest:
        for _ in range(3):
            assert (await guest.visitor.client.get(WITH)).status_code == 503
        assert len(hall.provider.paths) == 1
        hall.provider.answers.clear()
        hall.site.now_s += 5
        await guest.log_in()
        assert await guest.who() == ["anna", False]


async def test_what_failed_is_in_the_log_without_secrets(
    hall: Hall, caplog: pytest.LogCaptureFixture
) -> None:
    hall.provider.claims = {"nonce": "n" * 43}
    await refused(hall)
    assert "The token's claim nonce is not of this log-in." in caplog.text
    for secret in ("code-0", "n" * 43, SECRET):
        assert secret not in caplog.text


# --- Who it is here --------------------------------------------------------------------------------


async def test_an_account_that_is_nobody_s_gets_no_session_and_makes_nobody(
    hall: Hall, caplog: pytest.LogCaptureFixture
) -> None:
    hall.provider.claims = {"sub": "user-2", "fhirUser": "Patient/pat-a"}
    async with hall.guest() as guest:
        no = await guest.log_in()
        assert no.status_code == 403
        assert "Ask the office" in alert_of(no)
        assert "user-2" not in no.text
        assert await guest.who() is None
    assert [account.login for account, _ in await hall.site.people.accounts()] == ["anna"]
    assert "nobody here is an account of the provider hospital: user-2" in caplog.text


async def test_a_disabled_person_stays_out(hall: Hall) -> None:
    await hall.site.people.set_disabled("anna", True, hall.site.now_s)
    async with hall.guest() as guest:
        assert (await guest.log_in()).status_code == 403
        assert await guest.who() is None


async def test_a_person_without_a_password_gets_in_here_alone(hall: Hall) -> None:
    site = hall.site
    await site.people.add(Profile("cleo", "Cleo"), None, site.now_s)
    await hall.link("cleo", "user-9")
    hall.provider.claims = {"sub": "user-9"}
    async with hall.guest() as guest:
        for password in ("", "correct horse battery"):
            assert (await guest.visitor.password("cleo", password)).status_code == 422
        await guest.log_in()
        assert await guest.who() == ["cleo", False]


@pytest.mark.parametrize(
    ("claims", "gets_in"),
    [
        ({"email": "anna@example.org", "email_verified": True}, True),
        ({"email": "Anna@example.org", "email_verified": True}, False),
        ({"email": "anna@example.org", "email_verified": False}, False),
        ({"email": "anna@example.org", "email_verified": "true"}, False),
        ({"email": "anna@example.org"}, False),
        ({}, False),
    ],
    ids=repr,
)
async def test_another_claim_names_the_account(hall: Hall, claims: dict[str, Any], gets_in: bool) -> None:
    hall.configure(subject_claim="email")
    await hall.link("anna", "anna@example.org", "email")
    hall.provider.claims = claims
    async with hall.guest() as guest:
        assert (await guest.log_in()).status_code == (303 if gets_in else 403)
        assert (await guest.who() is not None) is gets_in


@pytest.mark.parametrize("value", [1, None, "", ["anna"], "\n"], ids=repr)
async def test_a_claim_that_is_no_name_leaves_no_session(hall: Hall, value: object) -> None:
    hall.configure(subject_claim="employee")
    hall.provider.sign = lambda claims: hall.provider._signed({**claims, "employee": value})
    await refused(hall)


@pytest.mark.parametrize(
    ("said", "gets_in"),
    [
        ("https://ehr.example/fhir/Practitioner/prac-1", True),
        ("Practitioner/prac-1", True),
        ("Practitioner/prac-2", False),
        ("Practitioner/shared", False),
    ],
)
async def test_a_provider_may_name_our_people(hall: Hall, said: str, gets_in: bool) -> None:
    for login, user in (("bo", "prac-1"), ("c1", "shared"), ("c2", "shared")):
        await hall.site.add(login, name=login, user=Ref("Practitioner", user))
    hall.configure(fhir_user_base="https://ehr.example/fhir")
    hall.provider.claims = {"sub": "user-5", "fhirUser": said}
    async with hall.guest() as guest:
        assert (await guest.log_in()).status_code == (303 if gets_in else 403)
        assert await guest.who() == (["bo", False] if gets_in else None)


@pytest.mark.parametrize(
    "said",
    ["https://other.example/fhir/Patient/pat-a", "https://ehr.example/fhirPatient/pat-a", "Group/1", 7],
)
async def test_a_name_from_elsewhere_is_none_of_ours(hall: Hall, said: object) -> None:
    hall.configure(fhir_user_base="https://ehr.example/fhir")
    hall.provider.claims = {"sub": "user-5", "fhirUser": said}
    await refused(hall)


async def test_without_being_told_so_no_provider_names_our_people(hall: Hall) -> None:
    hall.provider.claims = {"sub": "user-5", "fhirUser": "Patient/pat-a"}
    async with hall.guest() as guest:
        assert (await guest.log_in()).status_code == 403


async def test_a_link_counts_before_a_name(hall: Hall) -> None:
    await hall.site.add("bo", name="Bo", user=Ref("Practitioner", "prac-1"))
    hall.configure(fhir_user_base="https://ehr.example/fhir")
    hall.provider.claims = {"sub": SUBJECT, "fhirUser": "Practitioner/prac-1"}
    async with hall.guest() as guest:
        await guest.log_in()
        assert await guest.who() == ["anna", False]


# --- How, and when ---------------------------------------------------------------------------------


@pytest.mark.parametrize("claims", [{"amr": ["pwd", "mfa"]}, {"acr": "mfa"}], ids=repr)
async def test_two_factors_there_are_two_here(hall: Hall, claims: dict[str, Any]) -> None:
    await hall.site.people.new_second_factor("anna", hall.site.now_s)
    hall.configure(second_factors=frozenset({"mfa"}))
    hall.provider.claims = claims
    async with hall.guest() as guest:
        await guest.log_in()
        assert await guest.who() == ["anna", True]


@pytest.mark.parametrize("claims", [{}, {"amr": ["pwd"]}, {"amr": ["mfa2"]}, {"acr": "0"}], ids=repr)
async def test_otherwise_who_has_a_second_factor_here_is_asked_for_it(
    hall: Hall, claims: dict[str, Any]
) -> None:
    codes = TOTP(await hall.site.people.new_second_factor("anna", hall.site.now_s))
    hall.configure(second_factors=frozenset({"mfa"}), local=False)
    hall.provider.claims = claims
    hall.site.waiting["req-1"] = Waiting("/auth/approve?id=req-1")
    async with hall.guest() as guest:
        done = await guest.log_in({"next": "req-1"})
        assert done.headers["location"] == "/auth/login?next=req-1"
        assert await guest.who() is None
        done = await guest.visitor.code(codes.at(hall.site.now_s), "req-1")
        assert done.headers["location"] == "/auth/approve?id=req-1"
        assert await guest.who() == ["anna", True]


@pytest.mark.parametrize(("ago_s", "counts"), [(30, True), (160, False)])
async def test_what_waits_may_want_a_log_in_of_now(hall: Hall, ago_s: int, counts: bool) -> None:
    hall.site.waiting["req-1"] = Waiting("/auth/approve?id=req-1", hall.site.now_s - 60)
    hall.provider.claims = {"auth_time": hall.site.now_s - ago_s}
    async with hall.guest() as guest:
        address = await guest.leave(next="req-1")
        assert asked_of(address)["max_age"] == "60"
        done = await guest.come_back(hall.provider.log_in(address))
        assert done.status_code == (303 if counts else 422)
        assert (await guest.who() is not None) is counts


async def test_a_log_in_that_is_just_asked_for_leads_on_and_not_round_in_circles(hall: Hall) -> None:
    hall.site.waiting["req-1"] = Waiting("/auth/approve?id=req-1", hall.site.now_s)
    hall.provider.claims = {"auth_time": hall.site.now_s - 20}  # its clock is behind
    async with hall.guest() as guest:
        address = await guest.leave(next="req-1")
        assert asked_of(address)["max_age"] == "0"
        await guest.come_back(hall.provider.log_in(address))
        on = await guest.visitor.page("req-1")
        assert on.headers["location"] == "/auth/approve?id=req-1"


@pytest.mark.parametrize(("ago_s", "counts"), [(600, True), (661, False)])
async def test_the_operator_may_want_it_recent(hall: Hall, ago_s: int, counts: bool) -> None:
    hall.configure(max_age_s=600)
    hall.provider.claims = {"auth_time": hall.site.now_s - ago_s}
    async with hall.guest() as guest:
        assert asked_of(await guest.leave())["max_age"] == "600"
        await guest.log_in()
        assert (await guest.who() is not None) is counts


# --- The page --------------------------------------------------------------------------------------


async def test_the_page_offers_both_ways(hall: Hall) -> None:
    hall.site.waiting["req-1"] = Waiting("/auth/approve?id=req-1")
    async with hall.guest() as guest:
        page = await guest.visitor.page("req-1")
        assert f'href="{WITH}?next=req-1">Log in with {TITLE}<' in page.text
        assert 'name="password"' in page.text


async def test_a_title_is_text(hall: Hall) -> None:
    hall.configure(title="<b>A & B</b>")
    async with hall.guest() as guest:
        assert "&lt;b&gt;A &amp; B&lt;/b&gt;" in (await guest.visitor.page()).text


async def test_with_no_other_way_the_page_is_passed_over(hall: Hall) -> None:
    hall.configure(local=False)
    hall.site.waiting["req-1"] = Waiting("/auth/approve?id=req-1")
    async with hall.guest() as guest:
        on = await guest.visitor.page("req-1")
        assert (on.status_code, on.headers["location"]) == (303, f"{WITH}?next=req-1")
        from_the_app = {"Sec-Fetch-Site": "cross-site"}
        there = await guest.visitor.client.get(on.headers["location"], headers=from_the_app)
        assert there.headers["location"].startswith(f"{hall.provider.issuer}/authorize?")
        await guest.come_back(hall.provider.log_in(there.headers["location"]))
        assert await guest.who() == ["anna", False]


async def test_with_no_other_way_a_password_is_not_even_looked_at(hall: Hall) -> None:
    async with hall.guest() as guest:
        page = await guest.visitor.page()
        hall.configure(local=False)
        no = await guest.visitor.submit(page, "password", login="anna", password="correct horse battery")
        assert no.status_code == 303  # the application that was asked has both ways
    async with hall.guest() as guest:
        page = await guest.visitor.client.get("/auth/login?again=1")
        assert 'name="password"' not in page.text
        form = {"csrf": _token_of(guest.visitor.cookie()), "step": "password", "login": "anna"}
        no = await guest.visitor.client.post(
            "/auth/login", data={**form, "password": "correct horse battery"}
        )
        assert no.status_code == 400
        assert await guest.who() is None


def _token_of(secret: str | None) -> str:
    return Visit(secret or "", False, None).token


async def test_who_logged_out_is_not_logged_in_again_unasked(hall: Hall) -> None:
    hall.configure(local=False)
    async with hall.guest() as guest:
        await guest.log_in()
        out = await guest.visitor.log_out()
        assert out.headers["location"] == "/auth/login?again=1"
        page = await guest.visitor.client.get(out.headers["location"])
        assert f'href="{WITH}?again=1"' in page.text
        assert asked_of(await guest.leave(again="1"))["prompt"] == "login"


@pytest.mark.parametrize("other", ["cross-site", "same-site"])
async def test_no_other_site_chooses_the_way(hall: Hall, other: str) -> None:
    async with hall.guest() as guest:
        no = await guest.visitor.client.get(WITH, headers={"Sec-Fetch-Site": other})
        assert (no.status_code, no.headers["location"]) == (303, "/auth/login")
    assert hall.provider.paths == []
