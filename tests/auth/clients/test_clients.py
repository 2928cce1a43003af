"""The registry of clients: what a change leaves, what it ends, and what cannot be registered."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session, select

from gateway.auth.clients import registry as registry_module
from gateway.auth.clients.registry import HOUR_S, TABLES, Clients, Secrets
from gateway.auth.store.clients import ClientRow
from gateway.auth.store.database import Database, digest_of
from gateway.auth.store.grants import Access, Code, Grant, Refresh
from gateway.core.smart.client import Client
from gateway.core.smart.metadata import read_metadata
from gateway.errors import BadRequest, NotFound, OAuthError, StateUnavailable
from tests.auth.registry import APP, KEYS, NOW_S, SERVICE, Registry, basic, make_registry, new_secret

SECRET, OTHER_SECRET = "s" * 43, "t" * 43
PUBLIC_APP = {**APP, "token_endpoint_auth_method": "none"}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    made = make_registry(tmp_path)
    yield made
    made.database.close()


async def test_a_client_comes_back_as_it_was_registered(registry: Registry) -> None:
    for name, metadata in (("app", APP), ("public", PUBLIC_APP), ("svc", {**SERVICE, "jwks": KEYS})):
        added = await registry.add(name, metadata)
        assert added.client == read_metadata(metadata, name)
        assert await registry.clients.find(name) == added
        assert await registry.clients.get(name) == added.client
    assert [found.client.id for found in await registry.clients.all()] == ["app", "public", "svc"]
    assert await registry.clients.get("App") is None


async def test_secrets_are_kept_as_digests_alone(registry: Registry, tmp_path: Path) -> None:
    client = read_metadata(APP, "app")
    await registry.clients.add(client, "dynamic", Secrets(SECRET, OTHER_SECRET), NOW_S)
    found = await registry.clients.find("app")
    assert found is not None
    assert (found.secret, found.registration) == (digest_of(SECRET), digest_of(OTHER_SECRET))
    assert SECRET not in repr(Secrets(SECRET)) + repr(found)
    registry.database.close()
    stored = b"".join(file.read_bytes() for file in sorted(tmp_path.iterdir()))  # noqa: ASYNC240
    assert SECRET.encode() not in stored
    assert OTHER_SECRET.encode() not in stored


# --- What cannot be registered -----------------------------------------------------------------------

BAD_IDS = ("", ".", "..", "-a", "a b", "a:b", "a%41", "a+b", "a/b", "\u00e4", "a" * 129, "a\n")
GOOD_IDS = ("a", "7", "app-1", "my_app.example", "A" * 128)


@pytest.mark.parametrize("name", GOOD_IDS)
async def test_an_id_that_no_encoding_changes_is_accepted(registry: Registry, name: str) -> None:
    await registry.add(name, APP, secret=SECRET)
    assert (await registry.authenticate({}, [basic(name, SECRET)])).id == name


@pytest.mark.parametrize("name", BAD_IDS)
async def test_any_other_id_is_refused(registry: Registry, name: str) -> None:
    with pytest.raises((BadRequest, OAuthError)):
        await registry.add(name, APP)
    assert await registry.clients.all() == []


@pytest.mark.parametrize("secret", ["", "s" * 42, "s" * 129, "s" * 42 + "+", "s" * 42 + "%", "s" * 43 + "\n"])
def test_a_secret_that_we_did_not_make_is_none(secret: str) -> None:
    for given in ({"secret": secret}, {"registration": secret}):
        with pytest.raises(ValueError):
            Secrets(**given)


@pytest.mark.parametrize(
    ("metadata", "secrets"),
    [(APP, Secrets()), (PUBLIC_APP, Secrets(SECRET)), ({**SERVICE, "jwks": KEYS}, Secrets(SECRET))],
    ids=["symmetric without", "public with", "asymmetric with"],
)
async def test_a_secret_is_for_symmetric_clients_alone(
    registry: Registry, metadata: dict[str, Any], secrets: Secrets
) -> None:
    with pytest.raises(ValueError):
        await registry.clients.add(read_metadata(metadata, "app"), "operator", secrets, NOW_S)


async def test_an_id_is_given_once(registry: Registry) -> None:
    await registry.add("app", APP)
    with pytest.raises(BadRequest, match="never given again"):
        await registry.add("app", PUBLIC_APP)
    await registry.clients.remove("app", NOW_S)
    with pytest.raises(BadRequest, match="never given again"):
        await registry.add("app", PUBLIC_APP)
    assert await registry.clients.find("app") is None


# --- Changes -----------------------------------------------------------------------------------------


async def test_other_metadata_takes_the_place_of_all_of_it(registry: Registry) -> None:
    added = await registry.add("app", {**APP, "contacts": ["a@b.example"]}, secret=SECRET)
    changed = await registry.clients.replace(read_metadata({**APP, "client_name": "New"}, "app"))
    assert (changed.client.name, changed.client.contacts) == ("New", ())
    assert (changed.secret, changed.created_s) == (added.secret, added.created_s)
    assert (await registry.authenticate({}, [basic("app", SECRET)])).name == "New"


@pytest.mark.parametrize(
    "method", ["none", "client_secret_post"], ids=["to a public client", "to another way of sending it"]
)
async def test_how_a_client_authenticates_stays(registry: Registry, method: str) -> None:
    await registry.add("app", APP)
    with pytest.raises(OAuthError, match="stays as it is"):
        await registry.clients.replace(read_metadata({**APP, "token_endpoint_auth_method": method}, "app"))
    found = await registry.clients.get("app")
    assert found is not None
    assert found.auth_method == "client_secret_basic"


async def test_a_new_secret_ends_the_old_one_at_once(registry: Registry) -> None:
    await registry.add("app", APP, secret=SECRET)
    await registry.clients.set_secret("app", OTHER_SECRET)
    with pytest.raises(OAuthError):
        await registry.authenticate({}, [basic("app", SECRET)])
    assert (await registry.authenticate({}, [basic("app", OTHER_SECRET)])).id == "app"


@pytest.mark.parametrize("metadata", [PUBLIC_APP, {**SERVICE, "jwks": KEYS}], ids=["public", "asymmetric"])
async def test_a_client_without_a_secret_gets_none(registry: Registry, metadata: dict[str, Any]) -> None:
    await registry.add("app", metadata)
    with pytest.raises(BadRequest):
        await registry.clients.set_secret("app", SECRET)


async def test_a_disabled_client_is_there_and_not_in_use(registry: Registry) -> None:
    await registry.add("app", APP, secret=SECRET)
    await registry.clients.set_disabled("app", True, NOW_S)
    again = await registry.clients.set_disabled("app", True, NOW_S + 5)
    assert again.disabled_s == NOW_S
    assert await registry.clients.get("app") is None
    await registry.clients.set_disabled("app", False, NOW_S + 9)
    assert (await registry.authenticate({}, [basic("app", SECRET)])).id == "app"


async def test_a_client_that_is_not_there_cannot_be_changed(registry: Registry) -> None:
    clients, client = registry.clients, read_metadata(APP, "app")
    for change in (
        clients.replace(client),
        clients.set_secret("app", SECRET),
        clients.set_disabled("app", True, NOW_S),
        clients.remove("app", NOW_S),
    ):
        with pytest.raises(NotFound):
            await change


def granted(client: str, name: str) -> list[Any]:
    """A grant with a code, a refresh token and three access tokens, the first of which is over."""
    grant = Grant(
        id=name, client=client, audience="a", subject="s", scope="", purposes="", context="{}",
        created_s=NOW_S, until_s=NOW_S + 9000,
    )  # fmt: skip
    token, first = name.encode(), 10 * (1 + ord(name))
    ends = (NOW_S, NOW_S + 1, NOW_S + 600)
    return [
        grant,
        Code(
            digest=token, grant=name, client=client, redirect_uri="u", challenge="c", auth_time_s=NOW_S,
            exp_s=NOW_S + 60,
        ),
        Refresh(digest=token, grant=name, client=client, exp_s=NOW_S + 9000),
        *(Access(entry=first + i, hash=name, grant=name, exp_s=end) for i, end in enumerate(ends)),
    ]  # fmt: skip


def add(session: Session, piece: Any) -> None:
    session.add(piece)


async def test_removing_a_client_ends_all_it_was_granted(registry: Registry) -> None:
    for name in ("app", "other"):
        await registry.add(name, APP)
    for client, name in (("app", "a"), ("other", "b"), ("app", "c")):
        for piece in granted(client, name):  # one by one: the parts refer to the grant
            await registry.database.run(partial(add, piece=piece))
    expected = [(10 * (1 + ord(name)) + i, name) for name in "ac" for i in (1, 2)]
    alive = await registry.clients.live_tokens("app", NOW_S)
    assert [(token.entry, token.hash) for token in alive] == expected
    left = await registry.clients.remove("app", NOW_S)
    assert [(token.entry, token.hash) for token in left] == expected

    def rest(session: Any) -> tuple[list[str], list[str], list[str]]:
        live = select(Grant.id).where(Grant.ended_s == None)  # noqa: E711 - SQL
        return (
            [*session.exec(live)],
            [*session.exec(select(Code.grant))],
            [*session.exec(select(Refresh.grant))],
        )

    assert await registry.database.run(rest) == (["b"], ["b"], ["b"])


async def test_a_removed_client_leaves_nothing_but_its_id(registry: Registry) -> None:
    await registry.clients.add(
        read_metadata({**APP, "client_name": "Of Anna"}, "app"),
        "dynamic",
        Secrets(SECRET, new_secret()),
        NOW_S,
    )
    await registry.clients.remove("app", NOW_S + 1)
    row = await registry.database.run(lambda session: session.get_one(ClientRow, "app"))
    assert (row.document, row.secret, row.registration, row.removed_s) == ("{}", None, None, NOW_S + 1)


# --- Strangers, and damage ---------------------------------------------------------------------------


async def test_only_so_many_register_themselves_in_an_hour(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_module, "MOST_AN_HOUR", 2)
    for name in ("a", "b"):
        await registry.add(name, PUBLIC_APP, by="dynamic")
    await registry.clients.remove("a", NOW_S)  # does not make room
    with pytest.raises(OAuthError) as caught:
        await registry.add("c", PUBLIC_APP, by="dynamic")
    assert (caught.value.error, caught.value.status) == ("temporarily_unavailable", 429)
    await registry.add("c", PUBLIC_APP)  # the operator's
    registry.now_s += HOUR_S + 1
    await registry.add("d", PUBLIC_APP, by="dynamic")


async def test_only_so_many_that_registered_themselves_are_there(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_module, "MOST_DYNAMIC", 2)
    for name in ("a", "b"):
        await registry.add(name, PUBLIC_APP, by="dynamic")
    registry.now_s += HOUR_S + 1
    with pytest.raises(OAuthError):
        await registry.add("c", PUBLIC_APP, by="dynamic")
    await registry.clients.remove("a", NOW_S)
    await registry.add("c", PUBLIC_APP, by="dynamic")


@pytest.mark.parametrize(
    "document", ["", "[]", "{", '{"client_name": 4}', '{"redirect_uris": ["http://a.example"]}']
)
async def test_a_damaged_client_is_our_failure_and_not_the_callers(registry: Registry, document: str) -> None:
    await registry.add("app", APP, secret=SECRET)
    change = text("UPDATE auth_client SET metadata = :document").bindparams(document=document)
    await registry.database.run(lambda session: session.execute(change))
    with pytest.raises(StateUnavailable):
        await registry.authenticate({}, [basic("app", SECRET)])


async def test_changes_are_seen_by_another_process_at_once(registry: Registry, tmp_path: Path) -> None:
    other = Database(tmp_path / "auth.db", TABLES)
    elsewhere = Clients(other)
    assert await elsewhere.get("app") is None
    await registry.add("app", APP)
    assert isinstance(await elsewhere.get("app"), Client)
    await registry.clients.set_disabled("app", True, NOW_S)
    assert await elsewhere.get("app") is None
    other.close()
