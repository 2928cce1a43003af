"""What must come to nothing: at the authorization endpoint, and with a code."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from tests.conformance.apps import KINDS, KIT, REDIRECT_URI, basic
from tests.conformance.assertions import shows
from tests.conformance.browser import Browser, Person
from tests.conformance.driver import STANDALONE, Kit, Launch, challenge_of, single

# What an app asks for wrongly, and the error that is sent to it.
WRONG: dict[str, tuple[dict[str, str | None], str]] = {
    "another aud": ({"aud": "https://inferno.healthit.gov/invalid_aud"}, "invalid_request"),
    "no aud": ({"aud": None}, "invalid_request"),
    "PKCE plain": ({"code_challenge_method": "plain"}, "invalid_request"),
    "no PKCE": ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    "another response_type": ({"response_type": "token"}, "unsupported_response_type"),
    "no scope": ({"scope": None}, "invalid_scope"),
    "nothing of it can be granted": ({"scope": "system/*.rs"}, "invalid_scope"),
    "launch without a launch value": ({"scope": "launch openid"}, "invalid_request"),
    "a launch value that is unknown": ({"scope": "launch openid", "launch": "x"}, "invalid_request"),
}
ADDRESSES = {
    "another host": "https://evil.example/redirect",
    "another path": f"{KIT}/redirect/further",
    "a prefix": f"{KIT}/redir",
    "with a query": f"{REDIRECT_URI}?a=b",
    "with a fragment": f"{REDIRECT_URI}#a",
    "in another case": REDIRECT_URI.replace("kit", "KIT"),
    "without one": None,
}
VERIFIERS: dict[str, Callable[[Launch], str | None]] = {
    "28 none": lambda _: None,
    "29 blank": lambda _: "",
    "30 wrong": lambda _: "w" * 64,
    "31 the challenge": lambda launch: challenge_of(launch.verifier),
}


@shows(18)
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("name", WRONG)
def test_what_is_asked_wrongly_is_told_to_the_app(kit: Kit, name: str, method: str) -> None:
    """By a redirect, before anybody has to log in."""
    changed, error = WRONG[name]
    asked, _ = kit.asking(kit.site.apps["symmetric"], STANDALONE)
    parameters = {n: v for n, v in {**asked, **changed}.items() if v is not None}
    with closing(Browser(kit.site)) as browser:
        answer = browser.open(kit.configuration["authorization_endpoint"], parameters, method)
    location = answer.headers["location"]
    told = single(urlsplit(location).query)
    assert location.startswith(f"{REDIRECT_URI}?")
    assert (told["error"], told["state"]) == (error, asked["state"])
    assert "code" not in told


@pytest.mark.parametrize("name", ADDRESSES)
def test_no_browser_is_sent_to_another_address(kit: Kit, name: str) -> None:
    asked, _ = kit.asking(kit.site.apps["symmetric"], STANDALONE)
    parameters = {n: v for n, v in {**asked, "redirect_uri": ADDRESSES[name]}.items() if v is not None}
    with closing(Browser(kit.site)) as browser:
        answer = browser.open(kit.configuration["authorization_endpoint"], parameters)
    assert (answer.status_code, answer.headers.get("location")) == (400, None)


def test_a_denial_is_told_to_the_app(kit: Kit) -> None:
    launch = kit.launch(kit.site.apps["symmetric"], person=Person(allows=False))
    assert launch.answer["error"] == "access_denied"
    assert "code" not in launch.answer


@shows(28, 29, 30, 31)
@pytest.mark.parametrize("name", VERIFIERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_code_needs_its_verifier(kit: Kit, kind: str, name: str) -> None:
    """And is not used up by those who have none."""
    launch = kit.launch(kit.site.apps[kind])
    answer = kit.exchange(launch, code_verifier=VERIFIERS[name](launch))
    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_grant", "invalid_request")
    assert kit.exchange(launch).status_code == 200


@shows(32)
@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_code_is_refused(kit: Kit, kind: str) -> None:
    answer = kit.exchange(kit.launch(kit.site.apps[kind]), code="BAD_CODE")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@shows(33)
@pytest.mark.parametrize("who", ["BAD_CLIENT_ID", "symmetric"])
def test_a_wrong_client_is_refused(kit: Kit, who: str) -> None:
    launch = kit.launch(kit.site.apps["symmetric"])
    form = {
        "grant_type": "authorization_code",
        "code": launch.code,
        "redirect_uri": REDIRECT_URI,
        "code_verifier": launch.verifier,
    }
    answer = kit.http.post(kit.token_url, data=form, headers={"Authorization": basic(who, "w" * 43)})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize("kind", ["symmetric", "asymmetric"])
def test_a_confidential_client_does_not_get_by_with_its_name(kit: Kit, kind: str) -> None:
    launch = kit.launch(kit.site.apps[kind])
    form = {
        "grant_type": "authorization_code",
        "code": launch.code,
        "redirect_uri": REDIRECT_URI,
        "code_verifier": launch.verifier,
        "client_id": kind,
    }
    answer = kit.http.post(kit.token_url, data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client")


def test_a_code_that_is_used_twice_ends_what_it_gave(kit: Kit) -> None:
    launch = kit.launch(kit.site.apps["public"])
    tokens = kit.granted(kit.exchange(launch))
    again = kit.exchange(launch)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert tokens.get("Patient/pat-a").status_code == 401
    assert kit.refresh(launch.app, tokens.body["refresh_token"]).status_code == 400


def test_a_code_is_its_clients_alone(kit: Kit) -> None:
    launch = kit.launch(kit.site.apps["public"])
    answer = kit.exchange(launch, app=kit.site.apps["other"])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_code_is_for_its_address_alone(kit: Kit) -> None:
    launch = kit.launch(kit.site.apps["public"])
    answer = kit.exchange(launch, redirect_uri=f"{REDIRECT_URI}/further")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
