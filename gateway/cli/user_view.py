"""People and authorities as `consentry user` says them: a line for a person to read, JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.auth.people.authorities import RELATIONSHIPS
from gateway.auth.store.links import Link
from gateway.auth.store.passkeys import Passkey
from gateway.auth.store.people import Account, Authority, in_force
from gateway.core.canon import Json, b64url


def line(account: Account) -> str:
    said = [account.name, account.user, account.role, account.organization]
    factors = [name for name, has in (("password", account.password), ("code", account.totp)) if has]
    said += [" and ".join(factors) or "no password", "disabled" if account.disabled_s is not None else None]
    return f"{account.login}: {', '.join(filter(None, said))}"


def authority_line(authority: Authority, now_s: int) -> str:
    state = "" if in_force(authority, now_s) else ", over"
    meant = RELATIONSHIPS.get(authority.relationship, authority.relationship)
    until = _time(authority.until_s if authority.ended_s is None else authority.ended_s)
    said = f"acts for Patient/{authority.patient} as {meant} until {until}{state}"
    return f"  {authority.id}: {said}, recorded as entry {authority.entry}"


def described(account: Account, authorities: list[Authority], now_s: int) -> dict[str, Json]:
    listed: list[Json] = [authority_json(authority, now_s) for authority in authorities]
    return {
        "id": account.id,
        "login": account.login,
        "name": account.name,
        "user": account.user,
        "role": account.role,
        "organization": account.organization,
        "password": bool(account.password),
        "second_factor": account.totp is not None,
        "disabled": account.disabled_s is not None,
        "created": _time(account.created_s),
        "authorities": listed,
    }


@dataclass(frozen=True, slots=True)
class Ways:
    """By what a person logs in beside a password."""

    links: Sequence[Link]
    passkeys: Sequence[Passkey] = ()

    @property
    def lines(self) -> list[str]:
        return [*map(_link_line, self.links), *map(_passkey_line, self.passkeys)]

    @property
    def described(self) -> dict[str, Json]:
        links: list[Json] = [_link_json(each) for each in self.links]
        passkeys: list[Json] = [_passkey_json(each) for each in self.passkeys]
        return {"links": links, "passkeys": passkeys}


def _link_line(link: Link) -> str:
    return f"  logs in at {link.issuer} as {link.claim} {link.subject}"


def _passkey_line(passkey: Passkey) -> str:
    used = "never used" if passkey.used_s is None else f"last used {_time(passkey.used_s)}"
    return f"  has the passkey {passkey.name}, added {_time(passkey.created_s)}, {used}"


def _passkey_json(passkey: Passkey) -> dict[str, Json]:
    return {
        "id": b64url(passkey.id),
        "name": passkey.name,
        "added": _time(passkey.created_s),
        "used": None if passkey.used_s is None else _time(passkey.used_s),
    }


def _link_json(link: Link) -> dict[str, Json]:
    return {
        "issuer": link.issuer,
        "claim": link.claim,
        "subject": link.subject,
        "linked": _time(link.created_s),
    }


def authority_json(authority: Authority, now_s: int) -> dict[str, Json]:
    return {
        "id": authority.id,
        "patient": authority.patient,
        "relationship": authority.relationship,
        "until": _time(authority.until_s),
        "recorded_by": authority.recorded_by,
        "recorded": _time(authority.created_s),
        "entry": authority.entry,
        "hash": authority.hash,
        "ended": None if authority.ended_s is None else _time(authority.ended_s),
        "end_entry": authority.end_entry,
        "in_force": in_force(authority, now_s),
    }


def _time(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
