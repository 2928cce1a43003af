"""From file and environment to `Settings`, or to one error that lists all problems.

The environment wins over the file. Nothing is written, and no other file is opened but lists of ids.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.config.environment import Override, overrides
from gateway.config.report import Place, Report
from gateway.config.rows import Row
from gateway.config.settings import LISTS, SECTIONS, SETTINGS, Settings, fhir_base
from gateway.config.source import Spot, line_numbers
from gateway.errors import ConfigError

_Values = dict[str, list[dict[str, Any]]]  # by section: what was good in each of its tables
_UNIQUE = (
    ("upstreams", "name"), ("upstreams", "path"), ("issuers", "issuer"),
    ("login_providers", "name"), ("login_providers", "issuer"), ("studies", "id"),
)  # fmt: skip


def load(path: Path, environ: Mapping[str, str]) -> Settings:
    """The settings of the file at `path`, with those of `environ` over them.

    Relative paths count from the file. Raises ConfigError with a line for each problem:
    where it is, what it is about, what to write.
    """
    text, tree = _read(path)
    report = Report(path, line_numbers(text))
    tables = _from_file(tree, report)
    _from_environment(environ, tables, report)
    values = {section: [_values(table, report) for table in tables[section]] for section in SECTIONS}
    _agree(values, tables, report)
    report.close()
    built: dict[str, Any] = {
        section: tuple(SECTIONS[section](**v) for v in values[section]) for section in SECTIONS
    }
    return Settings(
        server=built["server"][0],
        tls=built["server.tls"][0],
        ledger=built["ledger"][0],
        auth=built["auth"][0],
        consent=built["consent"][0],
        labels=built["labels"][0],
        break_glass=built["break_glass"][0],
        upstreams=built["upstreams"],
        issuers=built["issuers"],
        login_providers=built["login_providers"],
        studies=built["studies"],
    )


@dataclass(frozen=True, slots=True)
class _Table:
    """One table before its values are checked. `name` is as in messages: `server`, `upstreams[0]`."""

    section: str
    name: str
    place: Place
    raw: dict[str, object]
    places: dict[str, Place]


def _read(path: Path) -> tuple[str, dict[str, object]]:
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); give its path with --config"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: save it as UTF-8, which TOML requires") from error
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = found[1] if found else len(text.splitlines())  # the other message is "at end of document"
        raise ConfigError(f"{path}:{line}: not TOML: {error}") from error


def _from_file(tree: dict[str, object], report: Report) -> dict[str, list[_Table]]:
    for name in tree.keys() - SECTIONS.keys():
        report.add(report.place(name), name, _unknown("section", name, SECTIONS))
    return {section: _tables(section, _found(section, tree), report) for section in SECTIONS}


def _found(section: str, tree: dict[str, object]) -> object:
    """What the file has of a section: `server.tls` is one within another, and no setting of that one."""
    found: object = tree
    for name in section.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        return found
    return {name: value for name, value in found.items() if f"{section}.{name}" not in SECTIONS}


def _tables(section: str, found: object, report: Report) -> list[_Table]:
    spot = tuple(section.split("."))
    if found is None:
        return [] if section in LISTS else [_table(section, section, {}, spot, report)]
    if section not in LISTS and isinstance(found, dict):
        return [_table(section, section, found, spot, report)]
    if section in LISTS and isinstance(found, list) and all(isinstance(table, dict) for table in found):
        return [
            _table(section, f"{section}[{i}]", table, (section, i), report) for i, table in enumerate(found)
        ]
    expected = f"[[{section}]], once for each" if section in LISTS else f"[{section}], once"
    report.add(report.place(*spot), section, f"write it as {expected}")
    return []


def _table(section: str, name: str, raw: dict[str, object], spot: Spot, report: Report) -> _Table:
    return _Table(
        section, name, report.place(*spot), dict(raw), {key: report.place(*spot, key) for key in raw}
    )


def _from_environment(environ: Mapping[str, str], tables: dict[str, list[_Table]], report: Report) -> None:
    for override in overrides(environ, report):
        _override(tables[override.section], override, report)


def _override(tables: list[_Table], override: Override, report: Report) -> None:
    section, index, name = override.section, override.index, override.name
    place = Place.of_variable(override.variable)
    if index > len(tables):
        report.add(place, section, f"the next free index is {len(tables)}")
        return
    if index == len(tables):
        tables.append(_Table(section, f"{section}[{index}]", place, {}, {}))
    row = SETTINGS[section].get(name)
    tables[index].raw[name] = row.kind.from_text(override.text) if row else override.text
    tables[index].places[name] = place


def _values(table: _Table, report: Report) -> dict[str, Any]:
    """The values that are good, defaults with them."""
    known = SETTINGS[table.section]
    for name in table.raw.keys() - known.keys():
        report.add(table.places[name], f"{table.name}.{name}", _unknown("setting", name, known))
    checked = {name: _value(name, row, table, report) for name, row in known.items()}
    return {name: value[0] for name, value in checked.items() if value is not None}


def _value(name: str, row: Row, table: _Table, report: Report) -> tuple[Any] | None:
    label = f"{table.name}.{name}"
    if name not in table.raw and row.required:
        report.add(table.place, label, f"is missing: {row.help}")
        return None
    raw = table.raw.get(name, row.default)
    if raw is None:
        return (None,)
    try:
        return (row.kind.check(raw, report.path.absolute().parent),)
    except ValueError as error:
        report.add(table.places[name], label, str(error))
        return None


def _agree(values: _Values, tables: dict[str, list[_Table]], report: Report) -> None:
    """What no setting can be checked for alone."""
    if not tables["upstreams"]:
        report.add(report.place("upstreams"), "upstreams", "write at least one [[upstreams]] table")
    for section, name in _UNIQUE:
        _distinct(section, name, values, tables, report)
    paths = tuple(f"{value['path']}/" for value in values["upstreams"] if "path" in value)
    for value, table in zip(values["upstreams"], tables["upstreams"], strict=True):
        if value.get("path", "").startswith(paths):
            what = "choose a path that is not below another upstream's"
            report.add(table.places["path"], f"{table.name}.path", what)
    _name_a_base(values, tables, report)
    for value, table in zip(values["auth"], tables["auth"], strict=True):
        if value.get("registration") == "token" and value.get("registration_token") is None:
            what = "set it: clients register with it"
            report.add(table.place, "auth.registration_token", what)
    _ways_to_log_in(values, tables, report)
    for value, table in zip(values["break_glass"], tables["break_glass"], strict=True):
        if value.get("roles") and "notify" in value and value["notify"] is None:
            what = "set it: patient and privacy officer are told at once"
            report.add(table.places["roles"], "break_glass.notify", what)
    _transport(values, tables, report)
    _one_study_each(values, tables, report)
    own = [value.get("public_url") for value in values["server"]]
    for section in ("issuers", "login_providers"):
        for value, table in zip(values[section], tables[section], strict=True):
            if value.get("issuer", "") in own:
                what = "leave it out: the gateway's own issuer is known without being listed"
                report.add(table.places["issuer"], f"{table.name}.issuer", what)


def _ways_to_log_in(values: _Values, tables: dict[str, list[_Table]], report: Report) -> None:
    for value, table in zip(values["auth"], tables["auth"], strict=True):
        if value.get("local_log_in") is False and not tables["login_providers"]:
            what = "write at least one [[login_providers]] table, or nobody can log in"
            report.add(table.places["local_log_in"], "auth.local_log_in", what)
    for table in tables["login_providers"]:
        given = [name for name in ("client_secret", "client_key") if name in table.raw]
        if len(given) != 1:
            what = "write one of client_secret and client_key" if not given else "leave out one of the two"
            report.add(table.place, f"{table.name}.{'client_secret' if not given else given[1]}", what)


def _one_study_each(values: _Values, tables: dict[str, list[_Table]], report: Report) -> None:
    """A client that was in two studies would tie the pseudonyms of one to those of the other. The same id may
    be the same client, whether or not its issuer is named."""
    seen: set[str] = set()
    for value, table in zip(values["studies"], tables["studies"], strict=True):
        named = {client.partition("@")[0] for client in value.get("clients", ())}
        if named & seen:
            what = "leave out the client that is in another study too"
            report.add(table.places["clients"], f"{table.name}.clients", what)
        seen |= named


def _transport(values: _Values, tables: dict[str, list[_Table]], report: Report) -> None:
    """TLS has both its files and an https address; certificates of clients have a way to come."""
    server = next(iter(values["server"]), {})
    for tls, table in zip(values["server.tls"], tables["server.tls"], strict=True):
        own = [name for name in ("certificate", "key") if name in table.raw]
        if len(own) == 1:
            report.add(table.places[own[0]], f"{table.name}.{own[0]}", "certificate and key belong together")
        if own and not server.get("public_url", "https:").startswith("https:"):
            report.add(tables["server"][0].places["public_url"], "server.public_url", "write https, with TLS")
        if tls.get("client_certificates") == "request":
            for what in _unasked(own=bool(own), tls=tls, server=server):
                asking = table.places["client_certificates"]
                report.add(asking, f"{table.name}.client_certificates", what)


def _unasked(*, own: bool, tls: dict[str, Any], server: dict[str, Any]) -> Iterator[str]:
    """Why no certificate of a client could come."""
    if not own and not server.get("trusted_proxies"):
        yield "set certificate and key, or server.trusted_proxies: nobody could ask for certificates"
    if own and "client_ca" in tls and tls["client_ca"] is None:
        yield "set client_ca: no certificate would lead anywhere"


def _name_a_base(values: _Values, tables: dict[str, list[_Table]], report: Report) -> None:
    """Of several upstreams, each issuer names the one that its tokens are for (`Settings.issuers_of`)."""
    urls = [value["public_url"] for value in values["server"] if "public_url" in value]
    paths = [value["path"] for value in values["upstreams"] if "path" in value]
    if len(tables["upstreams"]) < 2 or not urls or len(paths) < len(tables["upstreams"]):
        return
    bases = [fhir_base(urls[0], path) for path in paths]
    for value, table in zip(values["issuers"], tables["issuers"], strict=True):
        if value.get("audience", bases[0]) not in bases:
            what = f"there are several upstreams: write the FHIR base of one, {' or '.join(bases)}"
            report.add(table.places["audience"], f"{table.name}.audience", what)


def _distinct(
    section: str,
    name: str,
    values: _Values,
    tables: dict[str, list[_Table]],
    report: Report,
) -> None:
    first: dict[object, _Table] = {}
    for value, table in zip(values[section], tables[section], strict=True):
        if name in value and first.setdefault(value[name], table) is not table:
            taken = first[value[name]].places[name].text
            report.add(table.places[name], f"{table.name}.{name}", f"choose another: {taken} has the same")


def _unknown(what: str, name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    return f"there is no such {what}; {hint}"
