"""Clients by command: what is printed, what is told once, what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gateway.auth.clients.registry import TABLES
from gateway.auth.store.database import Database
from gateway.auth.store.grants import Access, Grant
from gateway.cli.common import settings_of
from gateway.house import now_ms
from tests.auth.registry import KEYS, RSA_JWK
from tests.cli.support import Place

APP = (
    "client",
    "add",
    "app",
    "--name",
    "App",
    "--redirect-uri",
    "https://app.example/cb",
    "--scope",
    "patient/*.rs",
)
SERVICE = (
    "client", "add", "svc", "--name", "Service", "--auth-method", "private_key_jwt",
    "--grant-type", "client_credentials", "--scope", "system/*.rs",
)  # fmt: skip


def file(place: Place, content: object, name: str = "client.json") -> str:
    path = place.folder / name
    path.write_text(json.dumps(content))
    return str(path)


def test_a_client_is_told_its_secret_once(made: Place) -> None:
    added = made.json(*APP, "--scope", "openid")
    assert re.fullmatch(r"[\w-]{43}", added.pop("client_secret"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", added["registered"])
    assert added == {
        "client_id": "app",
        "client_name": "App",
        "token_endpoint_auth_method": "client_secret_basic",
        "redirect_uris": ["https://app.example/cb"],
        "grant_types": ["authorization_code"],
        "scope": "patient/*.rs openid",
        "response_types": ["code"],
        "registered_by": "operator",
        "registered": added["registered"],
        "disabled": None,
    }
    assert made.json("client", "show", "app") == added
    assert made.json("client", "list") == {"clients": [added]}


def test_people_read_lines(made: Place) -> None:
    assert made.good("client", "list") == "There is no client yet.\n"
    printed = made.good(*APP)
    assert re.fullmatch(
        r"app: App, client_secret_basic, authorization_code\n"
        r"  redirect https://app.example/cb\n  scope patient/\*.rs\n  secret [\w-]{43}\n",
        printed,
    )
    assert made.good("client", "show", "app") == printed[: printed.index("  secret")]
    assert made.good("client", "list") == printed.splitlines(keepends=True)[0]


def test_a_service_is_registered_with_its_keys(made: Place) -> None:
    added = made.json(*SERVICE, "--jwks", file(made, KEYS))
    assert "client_secret" not in added
    assert [key["kid"] for key in added["jwks"]["keys"]] == ["rsa", "ec"]
    assert "  key rsa (RSA)\n  key ec (EC)\n" in made.good("client", "show", "svc")


def test_keys_may_be_at_several_addresses(made: Place) -> None:
    uris = ["https://svc.example/a", "https://svc.example/b"]
    assert made.json(*SERVICE, "--jwks-uri", uris[0], "--jwks-uri", uris[1])["jwks_uris"] == uris


def test_metadata_comes_from_a_file_with_options_over_it(made: Place) -> None:
    metadata = {"client_name": "Old", "redirect_uris": ["https://app.example/cb"], "scope": "openid"}
    added = made.json("client", "add", "--metadata", file(made, metadata), "--name", "New")
    assert (added["client_name"], added["scope"]) == ("New", "openid")
    assert re.fullmatch(r"[0-9a-f]{24}", added["client_id"])  # given, as none was asked for


def test_other_metadata_takes_the_place_of_what_was_there(made: Place) -> None:
    shown = made.json(*APP)
    shown["client_name"] = "New"
    changed = made.json("client", "change", "app", "--metadata", file(made, shown))
    assert changed == made.json("client", "show", "app")
    assert changed["client_name"] == "New"
    shown["token_endpoint_auth_method"] = "none"
    assert "stays as it is" in made.refused("client", "change", "app", "--metadata", file(made, shown))


def test_a_new_secret_is_another_and_told_once(made: Place) -> None:
    first = made.json(*APP)["client_secret"]
    second = made.json("client", "secret", "app")["client_secret"]
    assert first != second
    assert "client_secret" not in made.json("client", "show", "app")


def test_a_client_is_disabled_and_enabled(made: Place) -> None:
    made.good(*APP)
    assert made.json("client", "disable", "app")["disabled"] is not None
    assert "disabled" in made.good("client", "show", "app")
    assert made.json("client", "enable", "app")["disabled"] is None


def test_a_removed_client_is_gone_and_its_id_taken(made: Place) -> None:
    made.good(*APP)
    assert made.json("client", "remove", "app") == {"client_id": "app", "removed": True}
    assert made.json("client", "list") == {"clients": []}
    assert "There is no client" in made.refused("client", "show", "app")
    assert "never given again" in made.refused(*APP)


@pytest.mark.parametrize(("command", "reason"), [("disable", "operator"), ("remove", "client-removed")])
def test_the_access_tokens_of_a_client_that_has_to_go_are_ended_in_the_ledger(
    made: Place, command: str, reason: str
) -> None:
    made.good(*APP)
    wish = ("--client", "app", "--user", "Patient/pat-a", "--patient", "pat-a", "--scope", "patient/*.rs")
    issued = made.json("token", *wish)
    approved(made, issued["entry"], issued["hash"])
    made.good("client", command, "app")
    entry = made.json("ledger", "entry", str(issued["entry"] + 1))
    assert entry["kind"] == "token.revoke"
    assert entry["facts"]["tok"] == [issued["entry"], issued["hash"]]
    assert (entry["facts"]["rsn"], entry["facts"]["act"]) == (reason, "operator")
    assert made.json("ledger", "head")["size"] == issued["entry"] + 2
    made.good("ledger", "verify")


def approved(made: Place, entry: int, digest: str) -> None:
    """As if a person had approved the client and the token of this entry had come of it."""
    database = Database(settings_of(made.config).ledger.store.with_name("auth.db"), TABLES)
    now_s = now_ms() // 1000
    grant = Grant(
        id="g", client="app", audience="a", subject="s", scope="", purposes="", context="{}",
        created_s=now_s, until_s=now_s + 9000,
    )  # fmt: skip
    database.run_now(lambda session: session.add(grant))
    access = Access(entry=entry, hash=digest, grant="g", exp_s=now_s + 3600)
    database.run_now(lambda session: session.add(access))
    database.close()


def test_nothing_secret_is_in_the_database(made: Place) -> None:
    secret = made.json(*APP)["client_secret"].encode()
    stored = b"".join(path.read_bytes() for path in made.folder.rglob("auth.db*"))
    assert b"https://app.example/cb" in stored
    assert secret not in stored


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "an id that encodings change": (("client", "add", "a:b", *APP[3:]), "letters, digits"),
    "no redirect URI": (("client", "add", "app", "--name", "App"), "redirect URIs are for"),
    "a redirect URI that is not https": (
        ("client", "add", "app", "--redirect-uri", "http://app.example"), "redirect_uris",
    ),
    "a service without keys": (SERVICE, "needs keys"),
    "an unknown way to authenticate": ((*APP, "--auth-method", "client_secret_jwt"), "--auth-method"),
    "a file that is not there": (("client", "add", "--metadata", "no-such-file"), "no-such-file"),
    "a client that is not there": (("client", "show", "nobody"), "There is no client"),
    "a secret for nobody": (("client", "secret", "nobody"), "There is no client"),
    "nobody to disable": (("client", "disable", "nobody"), "There is no client"),
    "nobody to remove": (("client", "remove", "nobody"), "There is no client"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_in_one_line(made: Place, case: str) -> None:
    arguments, said = REFUSED[case]
    assert said in made.refused(*arguments)
    assert made.json("client", "list") == {"clients": []}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"scope": "a", "scope": "b"}', '{"client_name": 4}'])
def test_a_file_that_is_no_metadata_is_refused(made: Place, text: str) -> None:
    path = made.folder / "client.json"
    path.write_text(text)
    made.refused("client", "add", "--metadata", str(path))
    made.refused(*SERVICE, "--jwks", str(path))


def test_a_key_that_is_private_is_refused(made: Place) -> None:
    assert "private" in made.refused(*SERVICE, "--jwks", file(made, {"keys": [{**RSA_JWK, "d": "AQAB"}]}))


def test_a_client_without_a_secret_gets_none(made: Place) -> None:
    made.good(*SERVICE, "--jwks", file(made, KEYS))
    assert "does not authenticate by a secret" in made.refused("client", "secret", "svc")


def test_a_gateway_without_keys_says_what_to_do(bare: Place) -> None:
    assert "keys init" in bare.refused(*APP)
    assert not Path(bare.folder / "auth.db").exists()
