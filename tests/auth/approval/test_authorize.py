"""The authorization endpoint: where an error goes, and which requests come before a person."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from urllib.parse import quote, urlencode

import pytest

from gateway.auth.store import requests
from gateway.errors import StateUnavailable
from tests.auth.counter import ASK, OTHER, PLAIN, REDIRECT, STATE, Counter, Visitor, answer_of
from tests.support.house import BASE

LONG = "x" * 2049


pytestmark = pytest.mark.asyncio(loop_scope="module")


# --- Nowhere to send the browser -------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": None},
        {"client_id": "BAD_CLIENT_ID"},
        {"client_id": "Diary"},
        {"client_id": "service"},
        {"redirect_uri": None},
        {"redirect_uri": "https://evil.example/cb"},
        {"redirect_uri": f"{REDIRECT}/"},
        {"redirect_uri": f"{REDIRECT}?x=1"},
        {"redirect_uri": f"{REDIRECT}#f"},
        {"redirect_uri": REDIRECT.upper()},
        {"redirect_uri": "https://app.example:443/cb"},
        {"redirect_uri": "http://app.example/cb"},
        {"redirect_uri": "https://app.example/%63b"},
        {"redirect_uri": "https://app.example/cb/../cb"},
        {"redirect_uri": f"{REDIRECT}\n"},
        {"redirect_uri": OTHER, "client_id": "plain"},
    ],
    ids=repr,
)
async def test_a_wrong_address_gets_a_page_and_no_redirect(
    visitor: Visitor, method: str, changed: dict[str, str | None]
) -> None:
    page = await visitor.ask(method, **changed)
    assert page.status_code == 400
    assert "location" not in page.headers
    assert "evil" not in page.text
    assert page.headers["content-type"].startswith("text/html")
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
async def test_an_address_that_is_there_twice_is_no_address(visitor: Visitor, name: str) -> None:
    twice = f"{urlencode(ASK)}&{urlencode({name: ASK[name]})}"
    assert (await visitor.ask_raw(twice)).status_code == 400


async def test_an_address_that_is_partly_encoded_otherwise_is_the_same(visitor: Visitor) -> None:
    asked = {name: value for name, value in ASK.items() if name != "redirect_uri"}
    spelled = f"{urlencode(asked)}&%72edirect_uri={quote(REDIRECT, safe='')}"
    assert (await visitor.ask_raw(spelled)).status_code == 303


async def test_a_client_that_was_disabled_is_not_known(counter: Counter, visitor: Visitor) -> None:
    await counter.desk.clients.set_disabled("diary", True, counter.desk.now_s)
    assert (await visitor.ask()).status_code == 400
    await counter.desk.clients.set_disabled("diary", False, counter.desk.now_s)
    assert (await visitor.ask()).status_code == 303


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE"])
async def test_other_methods_ask_for_nothing(counter: Counter, visitor: Visitor, method: str) -> None:
    response = await visitor.client.request(method, "/auth/authorize", params=ASK)
    assert response.status_code == 405


async def test_a_post_that_is_no_form_is_refused(visitor: Visitor) -> None:
    for content_type in ("application/json", "text/plain", "multipart/form-data; boundary=x"):
        response = await visitor.client.post(
            "/auth/authorize", content=urlencode(ASK), headers={"Content-Type": content_type}
        )
        assert response.status_code == 415


# --- Errors for the app ----------------------------------------------------------------------------

REFUSED: dict[str, tuple[dict[str, str | None], str]] = {
    "no response_type": ({"response_type": None}, "invalid_request"),
    "token": ({"response_type": "token"}, "unsupported_response_type"),
    "code token": ({"response_type": "code token"}, "unsupported_response_type"),
    "Code": ({"response_type": "Code"}, "unsupported_response_type"),
    "form_post": ({"response_mode": "form_post"}, "invalid_request"),
    "fragment": ({"response_mode": "fragment"}, "invalid_request"),
    "no aud": ({"aud": None}, "invalid_request"),
    "the aud of the kit": ({"aud": "https://inferno.healthit.gov/invalid_aud"}, "invalid_request"),
    "two slashes": ({"aud": f"{BASE}//"}, "invalid_request"),
    "below the base": ({"aud": f"{BASE}/Patient"}, "invalid_request"),
    "above the base": ({"aud": BASE.rpartition("/")[0]}, "invalid_request"),
    "aud in capitals": ({"aud": BASE.upper()}, "invalid_request"),
    "resource is another": ({"resource": "https://other.example/fhir"}, "invalid_request"),
    "no challenge": ({"code_challenge": None}, "invalid_request"),
    "no challenge at all": ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    "no method": ({"code_challenge_method": None}, "invalid_request"),
    "plain": ({"code_challenge_method": "plain"}, "invalid_request"),
    "s256": ({"code_challenge_method": "s256"}, "invalid_request"),
    "short challenge": ({"code_challenge": "x" * 42}, "invalid_request"),
    "verifier as challenge": ({"code_challenge": "v" * 64}, "invalid_request"),
    "no scope": ({"scope": None}, "invalid_scope"),
    "blank scope": ({"scope": "  "}, "invalid_scope"),
    "unknown scope": ({"scope": "patient/Nothing.rs"}, "invalid_scope"),
    "scope of services": ({"scope": "system/*.rs"}, "invalid_scope"),
    "scope out of order": ({"scope": "patient/Observation.sr"}, "invalid_scope"),
    "scope beyond the client": ({"scope": "openid", "client_id": "plain"}, "invalid_scope"),
    "launch without its value": ({"scope": "launch patient/*.rs"}, "invalid_request"),
    "launch value alone": ({"launch": "x" * 43}, "invalid_request"),
    "launch value unknown": ({"scope": "launch patient/*.rs", "launch": "x" * 43}, "invalid_request"),
    "launch not for the client": (
        {"scope": "launch patient/*.rs", "launch": "x" * 43, "client_id": "plain"},
        "invalid_scope",
    ),
    "request": ({"request": "e30.e30."}, "request_not_supported"),
    "request_uri": ({"request_uri": "https://app.example/r"}, "request_uri_not_supported"),
    "registration": ({"registration": "{}"}, "registration_not_supported"),
    "prompt none": ({"prompt": "none"}, "login_required"),
    "prompt none and login": ({"prompt": "none login"}, "invalid_request"),
    "prompt unknown": ({"prompt": "create"}, "invalid_request"),
    "max_age": ({"max_age": "-1"}, "invalid_request"),
    "max_age in words": ({"max_age": "soon"}, "invalid_request"),
    "long value": ({"nonce": LONG}, "invalid_request"),
    "umlaut": ({"nonce": "ü"}, "invalid_request"),
    "control character": ({"nonce": "a\x00"}, "invalid_request"),
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("changed", "error"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_else_is_wrong_goes_to_the_app(
    visitor: Visitor, method: str, changed: dict[str, str | None], error: str
) -> None:
    response = await visitor.ask(method, **changed)
    assert response.status_code == 302
    answer = answer_of(response)
    assert (answer["error"], answer["state"]) == (error, STATE)
    assert answer["error_description"].isascii()
    assert answer.keys() == {"error", "error_description", "state"}


@pytest.mark.parametrize("name", [name for name in ASK if name not in ("client_id", "redirect_uri")])
async def test_a_parameter_twice_is_refused(visitor: Visitor, name: str) -> None:
    answer = answer_of(await visitor.ask_raw(f"{urlencode(ASK)}&{urlencode({name: ASK[name]})}"))
    assert answer["error"] == "invalid_request"
    assert answer.get("state") == (None if name == "state" else STATE)


async def test_a_parameter_in_the_address_and_the_form_is_there_twice(visitor: Visitor) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    both = await visitor.client.post(
        "/auth/authorize?scope=patient/*.rs", content=urlencode(ASK), headers=headers
    )
    assert answer_of(both)["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("state", "sent_back"),
    [
        ("a b&c=d#e", "a b&c=d#e"),
        ("x" * 2048, "x" * 2048),
        ("", None),
        (LONG, None),
        ("ä", None),
        ("a\n", None),
    ],
    ids=["odd", "long", "empty", "too long", "umlaut", "control"],
)
async def test_the_state_comes_back_as_it_was_or_not_at_all(
    visitor: Visitor, state: str, sent_back: str | None
) -> None:
    answer = answer_of(await visitor.ask(state=state, response_type="token"))
    assert answer.get("state") == sent_back


@pytest.mark.parametrize("encoded", ["%zz", "%", "%4"])
async def test_what_cannot_be_decoded_is_refused(visitor: Visitor, encoded: str) -> None:
    answer = answer_of(await visitor.ask_raw(f"{urlencode(ASK)}&nonce={encoded}"))
    assert (answer["error"], answer["state"]) == ("invalid_request", STATE)


async def test_the_query_of_a_redirect_uri_is_kept(visitor: Visitor) -> None:
    answer = answer_of(await visitor.ask(redirect_uri=OTHER, response_type="token"), OTHER)
    assert answer["from"] == "gw"


async def test_a_store_that_fails_is_said_to_the_app(
    counter: Counter, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise StateUnavailable

    monkeypatch.setattr(requests, "add_request", fails)
    assert answer_of(await visitor.ask())["error"] == "temporarily_unavailable"


# --- Requests that a person sees -------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"state": None},
        {"aud": f"{BASE}/"},
        {"aud": None, "resource": BASE},
        {"resource": f"{BASE}/"},
        {"response_mode": "query"},
        {"display": "popup", "ui_locales": "de", "unheard-of": "1"},
        {"prompt": "consent"},
        {"max_age": "0"},
        {"scope": "patient/Nothing.rs patient/Patient.r"},
        {"scope": "openid"},
        {"client_id": "plain", "scope": "patient/Observation.read"},
    ],
    ids=repr,
)
async def test_a_sound_request_leads_to_the_log_in(
    visitor: Visitor, method: str, changed: dict[str, str | None]
) -> None:
    response = await visitor.ask(method, **changed)
    assert response.status_code == 303
    assert response.headers["location"].startswith("/auth/approve?request=")
    assert "set-cookie" not in response.headers
    page = await visitor.follow(response)
    assert "Login name" in page.text


async def test_the_log_in_page_lets_its_form_lead_to_the_app(visitor: Visitor) -> None:
    page = await visitor.follow(await visitor.ask())
    assert "form-action 'self' https://app.example" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("redirect_uri", "source"),
    [
        ("http://[::1]:9/cb", "http:"),
        ("https://my_app.example/cb", "https:"),
        ("http://127.0.0.1:9/cb", "http://127.0.0.1:9"),
        ("com.example.diary:/cb", "com.example.diary:"),
    ],
)
async def test_every_address_that_can_be_registered_can_be_led_to(
    counter: Counter, visitor: Visitor, redirect_uri: str, source: str
) -> None:
    await counter.desk.clients.replace(replace(PLAIN, redirect_uris=(redirect_uri,)))
    asked = {"client_id": "plain", "redirect_uri": redirect_uri, "scope": "patient/*.rs"}
    page = await visitor.follow(await visitor.ask("GET", **asked))
    assert page.headers["content-security-policy"].endswith(f"form-action 'self' {source}")
    page = await visitor.log_in(page=page)
    assert page.headers["content-security-policy"].endswith(f"form-action 'self' {source}")
    assert answer_of(await visitor.submit(page, "allow"), redirect_uri)["code"]
    await counter.desk.clients.replace(PLAIN)


async def test_who_is_logged_in_goes_on_at_once(visitor: Visitor) -> None:
    await visitor.log_in()
    for method in ("GET", "POST"):
        page = await visitor.follow(await visitor.ask(method))
        assert "Blood Pressure Diary asks for access" in page.text


@pytest.mark.parametrize("changed", [{"prompt": "login"}, {"prompt": "select_account"}, {"max_age": "60"}])
async def test_a_log_in_can_be_asked_for_again(
    counter: Counter, visitor: Visitor, changed: dict[str, str]
) -> None:
    await visitor.log_in()
    counter.desk.ahead_s += 61
    page = await visitor.follow(await visitor.ask(**changed))
    assert "Login name" in page.text
    assert "asks for access" in (await visitor.log_in(page=page)).text


async def test_a_log_in_that_is_young_enough_is_not_asked_for_again(
    counter: Counter, visitor: Visitor
) -> None:
    await visitor.log_in()
    counter.desk.ahead_s += 50
    assert "asks for access" in (await visitor.follow(await visitor.ask(max_age="60"))).text


async def test_without_a_person_there_is_no_silent_answer(visitor: Visitor) -> None:
    await visitor.log_in()
    assert answer_of(await visitor.ask(prompt="none"))["error"] == "consent_required"


async def test_a_request_is_over_after_its_time(counter: Counter, visitor: Visitor) -> None:
    asked = await visitor.ask()
    counter.desk.ahead_s += requests.WAITS_S
    page = await visitor.follow(asked)
    assert (page.status_code, "Login name" in page.text) == (400, False)


async def test_a_request_lasts_while_it_is_looked_at(counter: Counter, visitor: Visitor) -> None:
    page = await visitor.open()
    address = page.request.url
    for _ in range(requests.LONGEST_S // requests.WAITS_S):
        assert (await visitor.client.get(address)).status_code == 200
        counter.desk.ahead_s += requests.WAITS_S - 10
    counter.desk.ahead_s += requests.WAITS_S
    assert (await visitor.client.get(address)).status_code == 400


# --- Anything --------------------------------------------------------------------------------------


async def test_no_bytes_lead_to_a_failure_of_ours_or_to_somebody_else(visitor: Visitor) -> None:
    """Sound requests with bytes changed, cut, doubled and mixed up: an error of the caller, or a page."""
    chance = Random(4)  # the same requests every time
    sound = urlencode({**ASK, "nonce": "n", "prompt": "login", "max_age": "9"}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for _ in range(400):
        given = bytearray(sound)
        for _ in range(chance.randint(1, 6)):
            start = chance.randrange(len(given))
            piece = given[start : start + chance.randint(0, 12)]
            given[start : start + len(piece)] = chance.choice(
                [
                    b"",
                    bytes(piece) * 2,
                    chance.randbytes(len(piece)),
                    b"&",
                    b"=",
                    b"%",
                    b"%00",
                    b"%0d%0a",
                    b"+",
                ]
            )
        response = await visitor.client.post("/auth/authorize", content=bytes(given), headers=headers)
        assert response.status_code in (302, 303, 400, 415), bytes(given)
        if response.is_redirect:
            ours, theirs = "/auth/approve?request=", f"{REDIRECT}?"
            assert response.headers["location"].startswith((ours, theirs)), bytes(given)
