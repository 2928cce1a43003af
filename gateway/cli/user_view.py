"""People and authorities as `consentry user` says them: a line for a person to read, JSON for programs."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.auth.people.authorities import RELATIONSHIPS
from gateway.auth.store.people import Account, Authority, in_force
from gateway.core.canon import Json


def line(account: Account) -> str:
    said = [account.name, account.user, account.role, account.organization]
    factors = "password and code" if account.totp is not None else "password"
    said += [factors, "disabled" if account.disabled_s is not None else None]
    return f"{account.login}: {', '.join(filter(None, said))}"


def authority_line(authority: Authority, now_s: int) -> str:
    state = "" if in_force(authority, now_s) else ", over"
    meant = RELATIONSHIPS.get(authority.relationship, authority.relationship)
    until = _time(authority.until_s if authority.ended_s is None else authority.ended_s)
    return f"  {authority.id}: acts for Patient/{authority.patient} as {meant} until {until}{state}"


def described(account: Account, authorities: list[Authority], now_s: int) -> dict[str, Json]:
    listed: list[Json] = [authority_json(authority, now_s) for authority in authorities]
    return {
        "id": account.id,
        "login": account.login,
        "name": account.name,
        "user": account.user,
        "role": account.role,
        "organization": account.organization,
        "second_factor": account.totp is not None,
        "disabled": account.disabled_s is not None,
        "created": _time(account.created_s),
        "authorities": listed,
    }


def authority_json(authority: Authority, now_s: int) -> dict[str, Json]:
    return {
        "id": authority.id,
        "patient": authority.patient,
        "relationship": authority.relationship,
        "until": _time(authority.until_s),
        "recorded_by": authority.recorded_by,
        "recorded": _time(authority.created_s),
        "ended": None if authority.ended_s is None else _time(authority.ended_s),
        "in_force": in_force(authority, now_s),
    }


def _time(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
