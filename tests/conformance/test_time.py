"""What ends by itself. The gateway's clock is put forward; everything else goes on from there."""

from __future__ import annotations

from urllib.parse import urlsplit

from tests.conformance.assertions import shows
from tests.conformance.browser import Person
from tests.conformance.driver import Kit, single

DAY_S = 86_400
SCOPE = "launch openid fhirUser user/*.rs"


def test_a_code_lasts_a_minute(kit: Kit) -> None:
    launch = kit.launch(kit.site.apps["public"])
    kit.site.clock.ahead_s += 61
    answer = kit.exchange(launch)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@shows(37)
def test_a_replaced_refresh_token_that_comes_back_ends_all(kit: Kit) -> None:
    """Soon after its use it may: the answer may have been lost."""
    app = kit.site.apps["public"]
    first = kit.tokens(app)
    lost = kit.granted(kit.refresh(app, first.body["refresh_token"]))
    second = kit.granted(kit.refresh(app, first.body["refresh_token"]))
    kit.site.clock.ahead_s += 11
    again = kit.refresh(app, first.body["refresh_token"])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    for tokens in (lost, second):
        assert kit.refresh(app, tokens.body["refresh_token"]).status_code == 400
        assert tokens.get("Patient/pat-a").status_code == 401


def test_an_access_token_lasts_as_long_as_it_says(kit: Kit) -> None:
    app = kit.site.apps["public"]
    tokens = kit.tokens(app)
    kit.site.clock.ahead_s += tokens.body["expires_in"] + 61
    answer = tokens.get("Patient/pat-a")
    assert (answer.status_code, 'error="invalid_token"' in answer.headers["www-authenticate"]) == (401, True)
    after = kit.granted(kit.refresh(app, tokens.body["refresh_token"]))
    assert after.get("Patient/pat-a").status_code == 200


def test_a_services_token_lasts_five_minutes(kit: Kit) -> None:
    tokens = kit.granted(kit.serve(kit.site.apps["service"]))
    assert tokens.body["expires_in"] <= 300
    assert tokens.get("Observation/obs-a-exact").status_code == 200
    kit.site.clock.ahead_s += 361
    assert tokens.get("Observation/obs-a-exact").status_code == 401


def test_a_refresh_token_lasts_three_months_after_each_use(kit: Kit) -> None:
    app = kit.site.apps["public"]
    tokens = kit.tokens(app)
    for _ in range(2):
        kit.site.clock.ahead_s += 93 * DAY_S
        tokens = kit.granted(kit.refresh(app, tokens.body["refresh_token"]))
        assert tokens.get("Patient/pat-a").status_code == 200


def test_a_launch_value_is_over_soon(kit: Kit) -> None:
    app = kit.site.apps["symmetric"]
    told = kit.ehr_launch(app)
    launch = single(urlsplit(told["launch_url"]).query)["launch"]
    kit.site.clock.ahead_s += told["expires_in"] + 1
    assert kit.launch(app, SCOPE, Person("gp"), launch=launch).answer["error"] == "invalid_request"
