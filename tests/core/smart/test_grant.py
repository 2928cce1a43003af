"""Grants: case by case, and the laws: never wider than any limit, stable, monotone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.smart.algebra import contains_all
from gateway.core.smart.client import MAX_SCOPES, Client
from gateway.core.smart.client_keys import PublicKey
from gateway.core.smart.grant import (
    Granted,
    Served,
    narrow_refresh,
    narrow_request,
    narrow_service_request,
)
from gateway.core.values import Term
from gateway.errors import OAuthError

TYPES = frozenset({"Condition", "Encounter", "Observation", "Patient"})
KEY = PublicKey("k", "RSA", (("n", "AQAB"), ("e", "AQAB")))
LAB = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
ALL = (
    *("openid", "fhirUser", "profile", "launch", "launch/patient", "launch/encounter"),
    *("offline_access", "online_access", "patient/*.rs", "user/*.rs", "system/*.rs"),
)


def evaluable(type_: str, term: Term) -> bool:
    return term.name in ("category", "status")


def served(scopes: str = " ".join(ALL)) -> Served:
    return Served(TYPES, evaluable, tuple(scopes.split(" ")))


def app(scopes: str = " ".join(ALL), *, refresh: bool = True) -> Client:
    words = tuple(dict.fromkeys(filter(None, scopes.split(" "))))
    grants: Any = ("authorization_code", "refresh_token") if refresh else ("authorization_code",)
    return Client("app", "App", "none", ("https://app.example/cb",), grant_types=grants, scopes=words)


def service(scopes: str) -> Client:
    words = tuple(filter(None, scopes.split(" ")))
    grants: Any = ("client_credentials",)
    return Client("svc", "S", "private_key_jwt", grant_types=grants, scopes=words, keys=(KEY,))


# asked, registered, chosen, what is granted, what is dropped
GRANTED: dict[str, tuple[str, str, str | None, str, str]] = {
    "all of it": ("patient/*.rs", "patient/*.rs", None, "patient/*.rs", ""),
    "in the order asked": (
        "patient/*.rs openid launch/patient fhirUser offline_access",
        " ".join(ALL),
        None,
        "patient/*.rs openid launch/patient fhirUser offline_access",
        "",
    ),
    "in v1, as asked": ("patient/*.read", "patient/*.rs", "patient/*.rs", "patient/*.read", ""),
    "in v1, as registered in v1": ("patient/*.rs", "patient/*.read", None, "patient/*.rs", ""),
    "once": ("patient/*.rs patient/*.rs openid openid", " ".join(ALL), None, "patient/*.rs openid", ""),
    "narrowed by the registration": ("patient/*.rs", "patient/Patient.r", None, "patient/Patient.r", ""),
    "narrowed to what is served": (
        "patient/Patient.cruds",
        "patient/*.cruds",
        None,
        "patient/Patient.rs",
        "",
    ),
    "v1 narrowed to what is served": ("user/Patient.*", "user/*.*", None, "user/Patient.rs", ""),
    "narrowed by the choice": (
        "patient/*.rs launch/patient",
        " ".join(ALL),
        "patient/Patient.rs patient/Condition.rs launch/patient",
        "patient/Patient.rs patient/Condition.rs launch/patient",
        "",
    ),
    "narrowed by the choice to a category": (
        "patient/Patient.rs patient/Observation.rs",
        " ".join(ALL),
        f"patient/Patient.rs patient/Observation.rs?category={LAB}",
        f"patient/Patient.rs patient/Observation.rs?category={LAB}",
        "",
    ),
    "the spelling of a constraint is the asker's": (
        f"patient/Observation.rs?category={LAB.replace('|', '%7C')}",
        f"patient/Observation.rs?category={LAB}",
        None,
        f"patient/Observation.rs?category={LAB.replace('|', '%7C')}",
        "",
    ),
    "constraints of both": (
        "patient/Observation.rs?category=a",
        "patient/Observation.rs?status=final",
        None,
        "patient/Observation.rs?category=a&status=final",
        "",
    ),
    "several limits together": (
        "patient/Patient.rs",
        "patient/*.r patient/Patient.s",
        None,
        "patient/Patient.rs",
        "",
    ),
    "a choice beyond what was asked": (
        "patient/Patient.r",
        " ".join(ALL),
        " ".join(ALL),
        "patient/Patient.r",
        "",
    ),
    "nothing chosen but identity": ("openid patient/*.rs", " ".join(ALL), "openid", "openid", "patient/*.rs"),
    "not registered": (
        "openid patient/*.rs user/*.rs",
        "openid patient/*.rs",
        None,
        "openid patient/*.rs",
        "user/*.rs",
    ),
    "not served": ("patient/*.rs patient/*.cud", "patient/*.cruds", None, "patient/*.rs", "patient/*.cud"),
    "malformed, unknown, not enforceable": (
        "patient/*.rs patient/Patient.sr patient/Robot.rs patient/Observation.rs?code=x openID launch/X",
        " ".join(ALL),
        None,
        "patient/*.rs",
        "patient/Patient.sr patient/Robot.rs patient/Observation.rs?code=x openID launch/X",
    ),
    "a registration that cannot be read holds nothing": (
        "openid patient/Robot.rs",
        "openid patient/Robot.rs",
        None,
        "openid",
        "patient/Robot.rs",
    ),
    "system/ is for services": ("openid system/*.rs", " ".join(ALL), None, "openid", "system/*.rs"),
    "levels do not stand for each other": (
        "openid user/*.rs",
        "openid patient/*.rs",
        None,
        "openid",
        "user/*.rs",
    ),
    "launch context by its name": (
        "launch launch/patient launch/encounter patient/*.rs",
        "launch/patient patient/*.rs",
        None,
        "launch/patient patient/*.rs",
        "launch launch/encounter",
    ),
    "a role that is not served": (
        "openid launch/patient?role=x",
        "openid launch/patient launch/patient?role=x",
        None,
        "openid",
        "launch/patient?role=x",
    ),
    "fhirUser needs openid": (
        "fhirUser profile patient/*.rs",
        " ".join(ALL),
        None,
        "patient/*.rs",
        "fhirUser profile",
    ),
    "fhirUser needs openid to be chosen": (
        "openid fhirUser patient/*.rs",
        " ".join(ALL),
        "fhirUser patient/*.rs",
        "patient/*.rs",
        "openid fhirUser",
    ),
    "offline rather than online": (
        "online_access offline_access openid",
        " ".join(ALL),
        None,
        "offline_access openid",
        "online_access",
    ),
    "online where offline was not chosen": (
        "online_access offline_access",
        " ".join(ALL),
        "online_access",
        "online_access",
        "offline_access",
    ),
}
NOTHING: dict[str, tuple[str, str, str | None]] = {
    "nothing asked": ("", " ".join(ALL), None),
    "only spaces asked": ("  ", " ".join(ALL), None),
    "nothing registered": ("patient/*.rs openid", "", None),
    "nothing chosen": ("patient/*.rs openid", " ".join(ALL), ""),
    "nothing valid": ("patient/Patient.sr", " ".join(ALL), None),
    "nothing served": ("patient/*.cud", "patient/*.cud", None),
    "nothing in common": ("patient/Patient.rs", "patient/Condition.rs", None),
    "nothing in common with the choice": ("patient/*.rs", "patient/Patient.rs", "patient/Condition.rs"),
    "only a service's": ("system/*.rs", " ".join(ALL), None),
}
SERVICES = {
    "all of it": ("system/*.rs", "system/*.rs", "system/*.rs"),
    "in v1": ("system/*.read", "system/*.rs", "system/*.read"),
    "narrowed": (
        "system/*.rs",
        "system/Patient.rs system/Condition.r",
        "system/Patient.rs system/Condition.r",
    ),
    "narrowed to what is served": ("system/Patient.cruds", "system/*.*", "system/Patient.rs"),
}
NOT_SERVICES = {
    "nothing": ("", "system/*.rs"),
    "beyond the registration": ("system/Patient.rs system/Condition.rs", "system/Patient.rs"),
    "a right that is not served": ("system/*.rs system/*.cud", "system/*.cruds"),
    "malformed among good ones": ("system/*.rs system/Patient.sr", "system/*.rs"),
    "unknown among good ones": ("system/*.rs offline", "system/*.rs"),
    "a patient's without a patient": ("system/*.rs patient/*.rs", "system/*.rs patient/*.rs"),
    "only a patient's": ("patient/*.rs", "patient/*.rs"),
    "a user's": ("user/*.rs", "user/*.rs"),
    "identity": ("system/*.rs openid", "system/*.rs openid"),
    "a refresh token": ("system/*.rs offline_access", "system/*.rs offline_access"),
    "launch context": ("system/*.rs launch/patient", "system/*.rs launch/patient"),
}
HELD = f"launch/patient patient/Condition.read patient/Observation.rs?category={LAB} openid offline_access"
REFRESHED = {
    "the same, unasked": (None, HELD),
    "the same, blank": ("", HELD),
    "the same, asked": (HELD, HELD),
    "in another order": ("openid patient/Condition.read", "openid patient/Condition.read"),
    "a part by meaning": ("patient/Condition.r", "patient/Condition.r"),
    "the same by meaning, as asked": ("patient/Condition.rs", "patient/Condition.rs"),
    "a category and more": (
        f"patient/Observation.r?category={LAB}&status=final",
        f"patient/Observation.r?category={LAB}&status=final",
    ),
}
NOT_REFRESHED = {
    "another type": "patient/Condition.read patient/Patient.read",
    "another level": "user/Condition.read",
    "a wildcard": "patient/*.read",
    "without the category": "patient/Observation.rs",
    "a context that was not granted": "patient/Condition.read fhirUser",
    "a malformed scope": "patient/Condition.read patient/Condition.sr",
    "nothing but spaces": " ",
}


@pytest.mark.parametrize(("asked", "registered", "chosen", "want", "dropped"), GRANTED.values(), ids=GRANTED)
def test_requests_are_narrowed(
    asked: str, registered: str, chosen: str | None, want: str, dropped: str
) -> None:
    granted = narrow_request(asked, app(registered), served(), chosen)
    assert granted.text == want
    assert " ".join(word.text for word in granted.dropped) == dropped
    assert all(word.reason for word in granted.dropped)
    assert {*granted.text.split(" ")} == {*granted.context, *(scope.text for scope in granted.scopes)}


@pytest.mark.parametrize(("asked", "registered", "chosen"), NOTHING.values(), ids=NOTHING)
def test_nothing_left_is_an_error(asked: str, registered: str, chosen: str | None) -> None:
    with pytest.raises(OAuthError) as caught:
        narrow_request(asked, app(registered), served(), chosen)
    assert (caught.value.error, caught.value.status) == ("invalid_scope", 400)


def test_refresh_scopes_need_the_grant_type() -> None:
    asked = "openid offline_access online_access"
    assert narrow_request(asked, app(), served()).text == "openid offline_access"
    granted = narrow_request(asked, app(refresh=False), served())
    assert (granted.text, granted.refreshable) == ("openid", False)


@pytest.mark.parametrize(
    ("asked", "patient", "encounter", "refreshable"),
    [
        ("patient/Patient.rs", True, False, False),
        ("launch/patient openid", True, False, False),
        ("user/*.rs launch/encounter offline_access", False, True, True),
        ("user/*.rs launch online_access", False, False, True),
    ],
)
def test_what_a_grant_needs(asked: str, patient: bool, encounter: bool, refreshable: bool) -> None:
    granted = narrow_request(asked, app(), served())
    assert (granted.needs_patient, granted.needs_encounter, granted.refreshable) == (
        patient,
        encounter,
        refreshable,
    )


@pytest.mark.parametrize(("asked", "registered", "want"), SERVICES.values(), ids=SERVICES)
def test_services_are_granted(asked: str, registered: str, want: str) -> None:
    assert narrow_service_request(asked, service(registered), served()).text == want


@pytest.mark.parametrize(("asked", "registered"), NOT_SERVICES.values(), ids=NOT_SERVICES)
def test_services_are_refused(asked: str, registered: str) -> None:
    with pytest.raises(OAuthError) as caught:
        narrow_service_request(asked, service(registered), served())
    assert (caught.value.error, caught.value.status) == ("invalid_scope", 400)


@pytest.mark.parametrize(("asked", "want"), REFRESHED.values(), ids=REFRESHED)
def test_grants_are_refreshed(asked: str | None, want: str) -> None:
    assert narrow_refresh(asked, HELD, app(), served()).text == want


@pytest.mark.parametrize("asked", NOT_REFRESHED.values(), ids=NOT_REFRESHED)
def test_refresh_never_goes_beyond_the_grant(asked: str) -> None:
    with pytest.raises(OAuthError) as caught:
        narrow_refresh(asked, HELD, app(), served())
    assert caught.value.error == "invalid_scope"


def test_refresh_follows_what_is_registered_and_served_now() -> None:
    held = "patient/Patient.rs patient/Condition.rs offline_access"
    assert narrow_refresh(None, held, app("patient/Patient.rs"), served()).text == "patient/Patient.rs"
    assert (
        narrow_refresh(None, held, app(), served("patient/*.r")).text
        == "patient/Patient.r patient/Condition.r"
    )
    with pytest.raises(OAuthError):
        narrow_refresh(None, held, app("user/*.rs"), served())


def test_scopes_cannot_multiply_without_end() -> None:
    registered = " ".join(f"patient/*.rs?category=c{number}" for number in range(MAX_SCOPES))
    assert len(narrow_request("patient/*.rs", app(registered), served()).scopes) == MAX_SCOPES
    asked = " ".join(f"patient/*.rs?status=s{number}" for number in range(MAX_SCOPES))
    with pytest.raises(OAuthError, match="more than"):
        narrow_request(asked, app(registered), served())
    with pytest.raises(OAuthError, match="more than"):
        narrow_request("patient/*.rs", app(registered), served(), asked)


# Few words on purpose, so that limits often meet.
WORDS = [
    f"{level}/{type_}.{permission}{query}"
    for level in ("patient", "user", "system")
    for type_ in ("*", "Observation")
    for permission, query in (("rs", ""), ("r", ""), ("read", ""), ("cruds", ""), ("rs", "?category=a"))
] + [
    "openid",
    "fhirUser",
    "launch/patient",
    "offline_access",
    "online_access",
    "patient/Observation.sr",
    "nonsense",
]
TEXT = st.lists(st.sampled_from(WORDS), max_size=6, unique=True).map(" ".join)


def grant(asked: str, registered: str, works: str, chosen: str | None) -> Granted | None:
    try:
        return narrow_request(asked, app(registered), served(works), chosen)
    except OAuthError:
        return None


@given(TEXT, TEXT, TEXT, TEXT)
def test_a_grant_is_never_wider_than_any_of_the_four(
    asked: str, registered: str, works: str, chosen: str
) -> None:
    granted = grant(asked, registered, works, chosen)
    for limit in (asked, registered, works, chosen):
        held = served().read(limit)
        assert granted is None or all(contains_all(held.resources, scope) for scope in granted.scopes)
        assert granted is None or {*granted.context} <= {*held.context}


@given(TEXT, TEXT, TEXT, TEXT)
def test_what_all_four_hold_is_granted(asked: str, registered: str, works: str, chosen: str) -> None:
    granted = grant(asked, registered, works, chosen)
    limits = [served().read(limit).resources for limit in (registered, works, chosen)]
    for scope in served().read(asked).resources:
        if scope.level != "system" and all(contains_all(held, scope) for held in limits):
            assert granted is not None
            assert scope in granted.scopes


@given(TEXT, TEXT, TEXT, TEXT)
def test_asking_for_what_was_granted_grants_it_again(
    asked: str, registered: str, works: str, chosen: str
) -> None:
    granted = grant(asked, registered, works, chosen)
    if granted is not None:
        again = grant(granted.text, registered, works, granted.text)
        assert again is not None
        assert (again.text, again.scopes, again.context) == (granted.text, granted.scopes, granted.context)
        assert again.dropped == ()
        assert served().read(granted.text).resources == granted.scopes
        assert narrow_refresh(None, granted.text, app(registered), served(works)).text == granted.text


@given(TEXT, TEXT, TEXT, st.sampled_from(WORDS))
def test_a_higher_ceiling_takes_nothing_away(asked: str, registered: str, works: str, more: str) -> None:
    low, high = (
        grant(asked, registered, works, None),
        grant(asked, f"{registered} {more}".strip(), works, None),
    )
    if low is not None:
        assert high is not None
        assert all(contains_all(high.scopes, scope) for scope in low.scopes)
        assert {*low.context} - {*high.context} <= {"online_access"}  # for offline_access, which is more
        assert "online_access" not in {*low.context} - {*high.context} or "offline_access" in high.context


@given(TEXT, TEXT, TEXT)
def test_every_word_is_granted_narrowed_or_dropped(asked: str, registered: str, works: str) -> None:
    granted = grant(asked, registered, works, None)
    if granted is not None:
        read = served().read(asked)
        dropped = {word.text for word in granted.dropped}
        assert dropped | {*granted.context} >= {*read.context} | {word.text for word in read.dropped}
        assert dropped.isdisjoint(granted.text.split(" "))
