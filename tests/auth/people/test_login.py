"""The log-in as a browser sees it: what lets in, what does not, and where it leads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.requests import Request

from gateway.auth.people.login import peer_address
from gateway.auth.people.waiting import Waiting
from gateway.auth.store import attempts, sessions
from gateway.auth.store.attempts import RULES
from tests.auth.site import HTTP, HTTPS, PASSWORD, Site, alert_of, make_site, read_page

NOT_RIGHT = "The login name or the password is not right."
SEE_OTHER = 303


# --- The password ----------------------------------------------------------------------------------


async def test_a_right_password_logs_in(site: Site) -> None:
    await site.add()
    async with site.visitor() as anna:
        done = await anna.password()
        assert (done.status_code, done.headers["location"]) == (SEE_OTHER, "/auth/login")
        assert await anna.who() == ["anna", False]
        page = await anna.page()
        assert "Anna Ek" in page.text
        assert "Log out" in page.text


@pytest.mark.parametrize("login", ["ANNA", " anna ", "Anna"])
async def test_a_login_name_is_one_whatever_its_case(site: Site, login: str) -> None:
    await site.add()
    async with site.visitor() as anna:
        assert (await anna.password(login)).status_code == SEE_OTHER


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("anna", PASSWORD + "x"),
        ("anna", PASSWORD[:-1]),
        ("anna", PASSWORD.upper()),
        ("anna", " " + PASSWORD),
        ("anna", ""),
        ("anne", PASSWORD),
        ("", PASSWORD),
        ("x" * 5000, PASSWORD),
        ("anna\n", "ä" * 5000),
        ("out", PASSWORD),
    ],
    ids=["longer", "shorter", "case", "space", "empty", "nobody", "no-name", "long", "odd", "disabled"],
)
async def test_any_other_does_not_and_looks_the_same(site: Site, login: str, password: str) -> None:
    await site.add()
    await site.add("out", name="Out")
    await site.people.set_disabled("out", True, site.now_s)
    async with site.visitor() as somebody:
        no = await somebody.password(login, password)
        assert (no.status_code, alert_of(no)) == (422, NOT_RIGHT)
        assert await somebody.who() is None
        assert read_page(no.text).fields["password"] == ""


async def test_a_person_who_is_let_in_again_logs_in(site: Site) -> None:
    await site.add()
    await site.people.set_disabled("anna", True, site.now_s)
    await site.people.set_disabled("anna", False, site.now_s)
    async with site.visitor() as anna:
        assert (await anna.password()).status_code == SEE_OTHER


async def test_what_was_typed_comes_back_as_text(site: Site) -> None:
    async with site.visitor() as somebody:
        no = await somebody.password('"><script>alert(1)</script>')
        assert "<script" not in no.text
        assert read_page(no.text).fields["login"] == '"><script>alert(1)</script>'


# --- The second factor -----------------------------------------------------------------------------


async def test_with_a_second_factor_the_password_is_half_of_it(site: Site) -> None:
    codes = await site.add_with_code()
    async with site.visitor() as bo:
        half = await bo.password("bo")
        assert (half.status_code, half.headers["location"]) == (SEE_OTHER, "/auth/login")
        assert await bo.who() is None
        assert bo.cookie("-device") is None
        assert (await bo.code(codes.at(site.now_s))).status_code == SEE_OTHER
        assert await bo.who() == ["bo", True]


@pytest.mark.parametrize(
    ("steps", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)], ids=lambda v: str(v)
)
async def test_a_code_may_be_one_step_off(site: Site, steps: int, good: bool) -> None:
    codes = await site.add_with_code()
    async with site.visitor() as bo:
        await bo.password("bo")
        done = await bo.code(codes.at(site.now_s, counter_offset=steps))
        assert (done.status_code == SEE_OTHER) is good
        assert (await bo.who() is not None) is good


async def test_no_code_works_twice_nor_one_before_it(site: Site) -> None:
    codes = await site.add_with_code()
    async with site.visitor() as first, site.visitor() as second:
        await first.password("bo")
        await second.password("bo")
        await first.code(codes.at(site.now_s))
        for steps in (0, -1):
            no = await second.code(codes.at(site.now_s, counter_offset=steps))
            assert no.status_code == 422
            assert "has been used" in alert_of(no)
        assert await second.who() is None
        assert (await second.code(codes.at(site.now_s, counter_offset=1))).status_code == SEE_OTHER


async def test_of_two_that_use_a_code_at_once_one_gets_in(site: Site) -> None:
    codes = await site.add_with_code()
    async with site.visitor() as first, site.visitor() as second:
        await first.password("bo")
        await second.password("bo")
        done = await asyncio.gather(*(each.code(codes.at(site.now_s)) for each in (first, second)))
        assert sorted(each.status_code for each in done) == [SEE_OTHER, 422]


async def test_a_code_without_a_password_is_nothing(site: Site) -> None:
    codes = await site.add_with_code()
    async with site.visitor() as bo:
        no = await bo.submit(
            await bo.page(), "password", step="code", code=codes.at(site.now_s), login=None, password=None
        )
        assert (no.status_code, alert_of(no)) == (422, "That took too long. Please log in again.")
        assert await bo.who() is None


async def test_the_second_step_has_its_time(site: Site) -> None:
    codes = await site.add_with_code()
    async with site.visitor() as bo:
        await bo.password("bo")
        page = await bo.page()
        site.now_s += sessions.PENDING_S
        no = await bo.submit(page, "code", code=codes.at(site.now_s))
        assert (no.status_code, read_page(no.text).buttons) == (422, {"password"})


async def test_one_can_begin_again_as_somebody_else(site: Site) -> None:
    await site.add_with_code()
    await site.add()
    site.waiting["req-1"] = Waiting("/auth/approve?id=req-1")
    async with site.visitor() as bo:
        await bo.password("bo", next_id="req-1")
        again = await bo.submit(await bo.page("req-1"), "again", code=None)
        assert (again.status_code, again.headers["location"]) == (SEE_OTHER, "/auth/login?next=req-1")
        assert "Login name" in (await bo.page("req-1")).text
        assert (await bo.password(next_id="req-1")).headers["location"] == "/auth/approve?id=req-1"


# --- Too many attempts -----------------------------------------------------------------------------


async def test_failures_bring_a_pause_that_ends(site: Site) -> None:
    await site.add()
    async with site.visitor() as somebody, site.visitor() as anna:
        for _ in range(RULES["name"].free):
            assert (await somebody.password(password="wrong")).status_code == 422
        paused = await anna.password()
        assert (paused.status_code, paused.headers["retry-after"]) == (429, "2")
        assert alert_of(paused) == "There were too many attempts. Wait 2 seconds and try again."
        site.now_s += 2
        assert (await anna.password()).status_code == SEE_OTHER


async def test_a_name_that_nobody_has_is_paused_the_same(site: Site) -> None:
    await site.add()
    seen = []
    for login in ("anna", "nobody"):
        async with site.visitor() as somebody:
            seen.append([(await somebody.password(login, "wrong")).status_code for _ in range(8)])
    assert seen[0] == seen[1] == [422] * 5 + [429] * 3


async def test_a_good_attempt_ends_the_count(site: Site) -> None:
    await site.add()
    async with site.visitor() as anna, site.visitor() as somebody:
        for _ in range(3):
            for _ in range(RULES["name"].free - 1):
                assert (await somebody.password(password="wrong")).status_code == 422
            assert (await anna.password()).status_code == SEE_OTHER
            await anna.log_out()
            anna.client.cookies.clear()


async def test_strangers_do_not_keep_a_person_out_of_a_browser_they_have_used(site: Site) -> None:
    await site.add()
    async with site.visitor() as anna, site.visitor() as stranger, site.visitor() as new_browser:
        await anna.password()
        await anna.log_out()
        assert anna.cookie("-device") is not None
        for _ in range(20):
            await stranger.password(password="wrong")
            site.now_s += 1
        assert (await new_browser.password()).status_code == 429
        assert (await anna.password()).status_code == SEE_OTHER


async def test_a_known_browser_is_paused_by_its_own_failures(site: Site) -> None:
    await site.add()
    async with site.visitor() as anna:
        await anna.password()
        await anna.log_out()
        for _ in range(RULES["device"].free):
            await anna.password(password="wrong")
        assert (await anna.password()).status_code == 429


async def test_a_browser_that_is_known_for_one_is_a_stranger_to_another(site: Site) -> None:
    await site.add()
    await site.add("eva", name="Eva")
    async with site.visitor() as anna, site.visitor() as stranger:
        await anna.password()
        await anna.log_out()
        for _ in range(RULES["name"].free):
            await stranger.password("eva", "wrong")
        assert (await anna.password("eva")).status_code == 429


async def test_an_address_that_tries_many_names_is_paused(site: Site) -> None:
    await site.add()
    async with site.visitor() as thief, site.visitor(("198.51.100.7", 1)) as anna:
        for number in range(RULES["address"].free):
            assert (await thief.password(f"name-{number}", "wrong")).status_code == 422
        assert (await thief.password()).status_code == 429
        assert (await anna.password()).status_code == SEE_OTHER


async def test_an_account_of_ones_own_does_not_clear_an_address(site: Site) -> None:
    await site.add()
    async with site.visitor() as thief:
        for number in range(RULES["address"].free - 1):
            await thief.password(f"name-{number}", "wrong")
        await thief.password()
        await thief.log_out()
        thief.client.cookies.clear()
        assert (await thief.password("other", "wrong")).status_code == 422
        assert (await thief.password("other-2", "wrong")).status_code == 429


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        (("203.0.113.5", 1), "203.0.113.5/32"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("127.0.0.1", 1), None),
        (("::1", 1), None),
        (("", 0), None),
        (None, None),
    ],
    ids=str,
)
def test_clients_are_told_apart_by_network(peer: tuple[str, int] | None, network: str | None) -> None:
    assert peer_address(Request({"type": "http", "client": peer})) == network


async def test_codes_are_counted_for_the_person_whatever_the_session(site: Site) -> None:
    codes = await site.add_with_code()
    wrong = "000000" if codes.at(site.now_s) != "000000" else "000001"
    for _ in range(RULES["code"].free):
        async with site.visitor() as thief:
            await thief.password("bo")
            assert (await thief.code(wrong)).status_code == 422
    async with site.visitor() as bo:
        await bo.password("bo")
        assert (await bo.code(codes.at(site.now_s))).status_code == 429
        site.now_s += 30
        assert (await bo.code(codes.at(site.now_s))).status_code == SEE_OTHER


# --- Forms of others -------------------------------------------------------------------------------

Change = Callable[[dict[str, str], dict[str, str]], None]


def _without_token(fields: dict[str, str], _: dict[str, str]) -> None:
    del fields["csrf"]


def _empty_token(fields: dict[str, str], _: dict[str, str]) -> None:
    fields["csrf"] = ""


def _changed_token(fields: dict[str, str], _: dict[str, str]) -> None:
    fields["csrf"] = ("B" if fields["csrf"][0] == "A" else "A") + fields["csrf"][1:]


def _odd_token(fields: dict[str, str], _: dict[str, str]) -> None:
    fields["csrf"] = "é" * 43


def _header(name: str, value: str) -> Change:
    def change(_: dict[str, str], headers: dict[str, str]) -> None:
        headers[name] = value

    return change


def _field(name: str, value: str) -> Change:
    def change(fields: dict[str, str], _: dict[str, str]) -> None:
        fields[name] = value

    return change


def _as_it_is(_fields: dict[str, str], _: dict[str, str]) -> None:
    pass


FORMS: dict[str, tuple[Change, int]] = {
    "as it is": (_as_it_is, 303),
    "our origin": (_header("origin", HTTPS), 303),
    "our origin, in capitals": (_header("origin", HTTPS.upper()), 303),
    "a form with a charset": (
        _header("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
        303,
    ),
    "no token": (_without_token, 403),
    "empty token": (_empty_token, 403),
    "token with one digit changed": (_changed_token, 403),
    "token that is no ASCII": (_odd_token, 403),
    "foreign origin": (_header("origin", "https://evil.example"), 403),
    "our name over http": (_header("origin", "http://gw.example"), 403),
    "our name on another port": (_header("origin", "https://gw.example:8443"), 403),
    "a name that begins like ours": (_header("origin", "https://gw.example.evil.example"), 403),
    "origin null": (_header("origin", "null"), 403),
    "no cookie": (_header("cookie", ""), 403),
    "another browser's cookie": (_header("cookie", "__Host-consentry=" + "A" * 43), 403),
    "JSON": (_header("content-type", "application/json"), 415),
    "multipart": (_header("content-type", "multipart/form-data; boundary=x"), 415),
    "unknown field": (_field("remember", "yes"), 400),
    "unknown step": (_field("step", "admin"), 400),
    "unknown next": (_field("next", "req-2"), 400),
    "an address as next": (_field("next", "https://evil.example/"), 400),
    "a path as next": (_field("next", "//evil.example/"), 400),
    "a NUL": (_field("login", "an\x00na"), 400),
}


@pytest.mark.parametrize("case", FORMS)
async def test_only_a_form_of_ours_from_this_browser_counts(site: Site, case: str) -> None:
    change, status = FORMS[case]
    await site.add()
    async with site.visitor() as anna:
        page = await anna.page()
        fields = {**read_page(page.text).fields, "step": "password", "login": "anna", "password": PASSWORD}
        headers: dict[str, str] = {}
        change(fields, headers)
        done = await anna.client.post("/auth/login", data=fields, headers=headers)
        assert done.status_code == status
        assert (await anna.who() is not None) is (status == SEE_OTHER)


@pytest.mark.parametrize(
    "body",
    [b"csrf=%zz", b"csrf=1&csrf=1", b"csrf=%ff%fe", "csrf=é".encode(), b"csrf", b"a=1&" * 501, b"csrf=%"],
    ids=["percent", "twice", "not UTF-8", "raw", "no value", "many", "cut off"],
)
async def test_a_body_that_is_no_form_is_refused(site: Site, body: bytes) -> None:
    async with site.visitor() as somebody:
        await somebody.page()
        kind = {"content-type": "application/x-www-form-urlencoded"}
        no = await somebody.client.post("/auth/login", content=body, headers=kind)
        assert no.status_code == 400


async def test_a_form_has_a_largest_size(site: Site) -> None:
    async with site.visitor() as somebody:
        no = await somebody.password(password="x" * 70_000)
        assert no.status_code == 413


@pytest.mark.parametrize("query", ["next=a&next=b", "next=%zz", "return=/x", "next"])
async def test_a_query_that_is_not_known_is_refused(site: Site, query: str) -> None:
    site.waiting = {"a": Waiting("/auth/approve"), "b": Waiting("/auth/approve")}
    async with site.visitor() as somebody:
        assert (await somebody.client.get(f"/auth/login?{query}")).status_code == 400


# --- The session -----------------------------------------------------------------------------------


async def test_each_step_has_a_new_secret_and_the_one_before_is_worth_nothing(site: Site) -> None:
    codes = await site.add_with_code()
    async with site.visitor() as bo:
        await bo.page()
        seen = [bo.cookie()]
        await bo.password("bo")
        seen.append(bo.cookie())
        await bo.code(codes.at(site.now_s))
        seen.append(bo.cookie())
        assert len(set(seen)) == 3
        for planted in seen[:-1]:
            async with site.visitor() as thief:
                thief.client.cookies.set("__Host-consentry", planted or "")
                assert await thief.who() is None
        async with site.visitor() as same:
            same.client.cookies.set("__Host-consentry", seen[-1] or "")
            assert await same.who() == ["bo", True]


async def test_logging_in_again_ends_the_session_before(site: Site) -> None:
    await site.add()
    site.waiting["req-1"] = Waiting("/auth/approve", auth_after_s=site.now_s + 1)
    async with site.visitor() as anna, site.visitor() as copy:
        await anna.password()
        copy.client.cookies.set("__Host-consentry", anna.cookie() or "")
        assert await copy.who() == ["anna", False]
        site.now_s += 1
        assert (await anna.password(next_id="req-1")).headers["location"] == "/auth/approve"
        assert await copy.who() is None
        assert await anna.who() == ["anna", False]


async def test_log_out_ends_the_session_itself(site: Site) -> None:
    await site.add()
    async with site.visitor() as anna, site.visitor() as copy:
        await anna.password()
        copy.client.cookies.set("__Host-consentry", anna.cookie() or "")
        out = await anna.log_out()
        assert (out.status_code, out.headers["location"]) == (SEE_OTHER, "/auth/login")
        assert anna.cookie() is None
        assert await copy.who() is None


@pytest.mark.parametrize("headers", [{}, {"origin": "https://evil.example"}], ids=["no token", "foreign"])
async def test_nobody_else_logs_a_person_out(site: Site, headers: dict[str, str]) -> None:
    await site.add()
    async with site.visitor() as anna:
        await anna.password()
        assert (
            await anna.client.post("/auth/logout", data={"csrf": "x"}, headers=headers)
        ).status_code == 403
        assert (await anna.client.get("/auth/logout")).status_code == 405
        assert await anna.who() == ["anna", False]


@pytest.mark.parametrize(
    ("after_s", "inside"),
    [(sessions.IDLE_S - 1, True), (sessions.IDLE_S, False)],
)
async def test_a_session_that_is_left_alone_ends(site: Site, after_s: int, inside: bool) -> None:
    await site.add()
    async with site.visitor() as anna:
        await anna.password()
        site.now_s += after_s
        assert (await anna.who() is not None) is inside


async def test_a_session_that_is_used_ends_too(site: Site) -> None:
    await site.add()
    async with site.visitor() as anna:
        await anna.password()
        end_s = site.now_s + sessions.LONGEST_S
        while site.now_s + 600 < end_s:
            site.now_s += 600
            assert await anna.who() == ["anna", False]
        site.now_s = end_s
        assert await anna.who() is None


@pytest.mark.parametrize("what", ["password", "code", "disabled"])
async def test_what_changes_how_a_person_gets_in_ends_their_sessions(site: Site, what: str) -> None:
    await site.add()
    await site.add("eva", name="Eva")
    async with site.visitor() as anna, site.visitor() as eva:
        await anna.password()
        await eva.password("eva")
        match what:
            case "password":
                await site.people.set_password("anna", "another good one", site.now_s)
            case "code":
                await site.people.new_second_factor("anna", site.now_s)
            case _:
                await site.people.set_disabled("anna", True, site.now_s)
        assert await anna.who() is None
        assert await eva.who() == ["eva", False]


# --- Cookies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("public_url", "session", "device"),
    [
        (HTTPS, "__Host-consentry", "__Host-consentry-device"),
        (HTTP, "consentry", "consentry-device"),
    ],
    ids=["https", "http on the loopback"],
)
async def test_cookies_are_for_this_server_alone(
    tmp_path: Path, public_url: str, session: str, device: str
) -> None:
    site = make_site(tmp_path, public_url)
    await site.add()
    async with site.visitor() as anna:
        page = await anna.page()
        done = await anna.submit(page, "password", login="anna", password=PASSWORD)
        set_by_page, *set_by_log_in = [
            cookie
            for answer in (page, done)
            for name, cookie in answer.headers.multi_items()
            if name == "set-cookie"
        ]
    assert [cookie.partition("=")[0] for cookie in (set_by_page, *set_by_log_in)] == [
        session,
        session,
        device,
    ]
    for cookie in (set_by_page, *set_by_log_in):
        attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", "samesite=lax", "path=/"} <= attributes
        assert ("secure" in attributes) is (public_url == HTTPS)
        assert not any(attribute.startswith("domain") for attribute in attributes)
    assert "Max-Age" not in set_by_log_in[0]
    assert f"Max-Age={attempts.DEVICE_S}" in set_by_log_in[1]
    site.database.close()


async def test_a_cookie_that_we_did_not_make_is_none(site: Site) -> None:
    async with site.visitor() as somebody:
        somebody.client.cookies.set("__Host-consentry", "x" * 42)
        assert (await somebody.page()).headers["set-cookie"].startswith("__Host-consentry=")
        assert await somebody.who() is None


# --- Where it leads --------------------------------------------------------------------------------


async def test_whoever_logs_in_for_a_request_goes_on_with_it(site: Site) -> None:
    await site.add()
    site.waiting["req-1"] = Waiting("/auth/approve?id=req-1")
    async with site.visitor() as anna:
        done = await anna.password(next_id="req-1")
        assert (done.status_code, done.headers["location"]) == (SEE_OTHER, "/auth/approve?id=req-1")
        already = await anna.page("req-1")
        assert (already.status_code, already.headers["location"]) == (SEE_OTHER, "/auth/approve?id=req-1")


async def test_the_request_is_kept_through_mistakes_and_codes(site: Site) -> None:
    codes = await site.add_with_code()
    site.waiting["req-1"] = Waiting("/auth/approve?id=req-1", form_to=("https://app.example",))
    async with site.visitor() as bo:
        no = await bo.password("bo", "wrong", next_id="req-1")
        half = await bo.submit(no, "password", login="bo", password=PASSWORD)
        assert half.headers["location"] == "/auth/login?next=req-1"
        page = await bo.page("req-1")
        assert "form-action 'self' https://app.example" in page.headers["content-security-policy"]
        done = await bo.submit(page, "code", code=codes.at(site.now_s))
        assert done.headers["location"] == "/auth/approve?id=req-1"


async def test_a_request_that_wants_a_new_log_in_gets_one(site: Site) -> None:
    await site.add()
    async with site.visitor() as anna:
        await anna.password()
        site.waiting["now"] = Waiting("/auth/approve", auth_after_s=site.now_s)
        site.waiting["later"] = Waiting("/auth/approve", auth_after_s=site.now_s + 1)
        assert (await anna.page("now")).status_code == SEE_OTHER
        assert "Password" in (await anna.page("later")).text


@pytest.mark.parametrize("next_id", ["req-2", "/auth/approve", "https://evil.example", "x" * 200, "ré"])
async def test_an_unknown_request_leads_nowhere(site: Site, next_id: str) -> None:
    await site.add()
    site.waiting["req-1"] = Waiting("/auth/approve")
    async with site.visitor() as anna:
        await anna.password()
        no = await anna.page(next_id)
        assert (no.status_code, "location" in no.headers) == (400, False)


@pytest.mark.parametrize(
    "path", ["//evil.example", "https://evil.example", "/\\evil.example", "x", "", "/a b", "/a\r\nb", "/é"]
)
def test_no_request_goes_on_anywhere_else(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        Waiting(path)


async def test_a_request_that_ends_meanwhile_logs_nobody_in(site: Site) -> None:
    await site.add()
    site.waiting["req-1"] = Waiting("/auth/approve")
    async with site.visitor() as anna:
        page = await anna.page("req-1")
        site.waiting.clear()
        no = await anna.submit(page, "password", login="anna", password=PASSWORD)
        assert no.status_code == 400
        assert "start again" in alert_of(no)
        assert await anna.who() is None


async def test_a_database_that_cannot_be_used_is_said_without_a_reason(site: Site) -> None:
    await site.add()
    async with site.visitor() as anna:
        page = await anna.page()
        with site.database._engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE auth_account RENAME TO gone")
        no = await anna.submit(page, "password", login="anna", password=PASSWORD)
        assert no.status_code == 503
        assert "sql" not in no.text.lower()
