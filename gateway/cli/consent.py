"""`consentry consent`: grant, change, withdraw and show, by the same service as the operator API.

Each change is durable in the ledger before its reference is printed. A running server takes part: the
entry goes through its writer, and its next request sees it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from gateway.cli.common import config_option, in_house, json_option, print_json, settings_of
from gateway.consents.draft import Draft, can_say
from gateway.consents.view import consent_json, ref_json
from gateway.core.canon import Json
from gateway.core.consent.rule import Consent, Effect
from gateway.core.values import ConsentRef
from gateway.errors import BadRequest
from gateway.house import OpenHouse

EVERYTHING: Final = "patient/*.cruds"
F = TypeVar("F", bound=Callable[..., Any])

_TERMS = (
    click.option("--grantee", "grantees", multiple=True, metavar="WHO",
                 help="client:ID, client:ID@ISSUER, role:NAME, or careteam:, device:, group:, organization:, "
                      "patient:, practitioner:, practitionerrole: or relative: with a FHIR id; repeatable."),
    click.option("--scope", "scopes", multiple=True, metavar="SCOPE",
                 help="A SMART scope such as 'patient/*.rs'; repeatable."),
    click.option("--purpose", "purposes", multiple=True, metavar="CODE",
                 help="A purpose of use such as TREAT; repeatable. None: any purpose."),
    click.option("--from", "from_", metavar="DATE", help="First day or moment (RFC 3339)."),
    click.option("--until", metavar="DATE", help="Last day or moment, included (RFC 3339)."),
    click.option("--label", "labels", multiple=True, metavar="CODE",
                 help="A security label such as HIV; repeatable."),
    click.option("--supersedes", multiple=True, metavar="ID",
                 help="A consent that this one puts out of force; repeatable."),
)  # fmt: skip


def terms(command: F) -> F:
    """The options that say what a consent says."""
    for option in reversed(_TERMS):
        command = option(command)
    return command


@click.group()
def consent() -> None:
    """Grant, change, withdraw and show consents."""


@consent.command()
@click.option("--patient", required=True, metavar="ID", help="The patient's FHIR id.")
@terms
@click.option("--deny", is_flag=True, help="Forbid instead of permit; without --scope, everything.")
@config_option
@json_option
def grant(config: Path, as_json: bool, patient: str, deny: bool, **given: Any) -> None:
    """Record a new consent and print its reference: id, ledger entry and hash."""
    draft = Draft(patient, effect=Effect.DENY if deny else Effect.PERMIT, **_whole(given, deny))
    _print_ref(in_house(settings_of(config), lambda house: house.service.grant(draft)), as_json)


@consent.command()
@click.argument("consent_id", metavar="ID")
@terms
@click.option("--deny/--permit", "deny", default=None, help="Change the effect.")
@click.option(
    "--clear",
    "cleared",
    multiple=True,
    type=click.Choice(["grantee", "scope", "purpose", "from", "until", "label", "supersedes"]),
    help="Take this limit away; repeatable.",
)
@config_option
@json_option
def change(
    config: Path, as_json: bool, consent_id: str, deny: bool | None, cleared: tuple[str, ...], **given: Any
) -> None:
    """Change a consent. What is given replaces what it said; the rest stays, and so do id and patient."""

    async def work(house: OpenHouse) -> ConsentRef:
        draft = _changed(house.service.show(consent_id), given, deny, cleared)
        return await house.service.change(consent_id, draft)

    _print_ref(in_house(settings_of(config), work), as_json)


@consent.command()
@click.argument("consent_id", metavar="ID")
@click.option("--reason", default="operator", show_default=True, metavar="CODE", help="Why, as a code.")
@click.option("--stop", is_flag=True, help="Keep the withdrawal as a refusal that other permits do not lift.")
@config_option
@json_option
def revoke(config: Path, as_json: bool, consent_id: str, reason: str, stop: bool) -> None:
    """Withdraw a consent. Tokens that rest on it read nothing from the next request on."""
    done = in_house(settings_of(config), lambda house: house.service.revoke(consent_id, reason, stop=stop))
    _print_ref(done, as_json)


@consent.command()
@click.argument("consent_id", metavar="[ID]", required=False)
@click.option("--patient", metavar="ID", help="All consents of this patient, live and ended.")
@config_option
@json_option
def show(config: Path, as_json: bool, consent_id: str | None, patient: str | None) -> None:
    """Show one consent, or all of a patient's."""
    if (consent_id is None) == (patient is None):
        raise click.UsageError("Name either a consent or --patient", click.get_current_context())

    async def work(house: OpenHouse) -> tuple[Consent, ...]:
        if consent_id is not None:
            return (house.service.show(consent_id),)
        return house.service.of_patient(patient or "")

    found = in_house(settings_of(config), work)
    if as_json:
        listed: list[Json] = [consent_json(each) for each in found]
        print_json(listed[0] if consent_id is not None else {"consents": listed})
    else:
        click.echo("\n\n".join(map(_described, found)) if found else "There are no consents.")


def _whole(given: dict[str, Any], deny: bool) -> dict[str, Any]:
    return {**given, "scopes": given["scopes"] or ((EVERYTHING,) if deny else ())}


def _changed(before: Consent, given: dict[str, Any], deny: bool | None, cleared: tuple[str, ...]) -> Draft:
    """What the consent said, with `given` in the place of it."""
    said = consent_json(before)
    if not can_say(before):
        raise BadRequest(f"The consent {before.id} says more than options can; revoke it and grant anew.")
    names = {
        "scope": "scopes",
        "from": "from_",
        "grantee": "grantees",
        "purpose": "purposes",
        "label": "labels",
    }
    empty = {names.get(name, name) for name in cleared}
    if both := sorted(name for name in empty if given[name]):
        raise BadRequest(f"{', '.join(both)}: give a new value or clear it, not both.")
    kept = {name: _kept(said[name.rstrip("_")]) for name in given if name not in empty and not given[name]}
    effect = said["effect"] if deny is None else Effect.DENY if deny else Effect.PERMIT
    now_said = {name: kept.get(name, value) for name, value in given.items()}
    return Draft(before.patient, effect=str(effect), **now_said)


def _kept(value: Json) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _print_ref(ref: ConsentRef, as_json: bool) -> None:
    if as_json:
        print_json(ref_json(ref))
    else:
        click.echo(f"{ref.id}\nledger entry {ref.entry}, hash {ref.hash}")


def _described(consent: Consent) -> str:
    lines = [f"{consent.id}: {consent.state}, patient {consent.patient}"]
    for name, value in consent_json(consent).items():
        if name not in ("id", "state", "patient") and value not in (None, []):
            lines.append(f"  {name:<10} {_text(value)}")
    return "\n".join(lines)


def _text(value: Json) -> str:
    match value:
        case list():
            return ", ".join(map(_text, value))
        case {"entry": entry, "hash": hash_}:
            return f"entry {entry} ({hash_})"
        case dict():
            return (
                "{"
                + "; ".join(f"{name} {_text(v)}" for name, v in value.items() if v not in (None, []))
                + "}"
            )
        case _:
            return str(value)
