"""A preview and a simulation as lines for people; programs get the JSON that they are made from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.core.canon import Json

_COUNTS = ("shown", "in_part", "hidden")
_LISTED = 10  # records named of each kind of change; --json has them all


def preview_lines(answer: dict[str, Json]) -> list[str]:
    """Who sees how much, what changes, and which rules decide."""
    return list(_preview(answer))


def simulation_lines(answer: dict[str, Json]) -> list[str]:
    """The decision and what it rests on."""
    return list(_simulation(answer))


def _preview(answer: dict[str, Any]) -> Iterator[str]:
    part = "" if answer["whole"] else " (the first ones; there are more)"
    yield f"Patient {answer['patient']}: {answer['records']} records{part}"
    if answer["unread"]:
        yield f"  not read, as the record server gave none: {', '.join(answer['unread'])}"
    if answer["refused"]:
        yield f"Would be refused as it is: {answer['refused']}"
    yield from (f"warning: {warning}" for warning in answer["warnings"])
    for viewer in answer["viewers"]:
        yield ""
        yield f"{' '.join(viewer['who'])}, for {viewer['purpose']}:"
        yield from _viewer(viewer)
    yield ""
    for node in answer["overruled_by"]:
        yield f"Without full effect: {_node(node)} denies what it permits; supersede that consent."
    for node in answer["idle"]:
        yield f"Decides nothing here: {_named(node)}, {node['node']}"
    yield f"This reading is ledger entry {answer['entry']}."


def _viewer(viewer: dict[str, Any]) -> Iterator[str]:
    if study := viewer["study"]:
        yield f"  For the study {study['id']}. {study['words']}"
    counts = viewer["types"].values()
    shown, in_part, hidden = (sum(count[name] for count in counts) for name in _COUNTS)
    yield f"  {shown} shown, {in_part} of them in part, {hidden} hidden"
    for kind, count in viewer["types"].items():
        part = f", {count['in_part']} in part" if count["in_part"] else ""
        yield f"    {kind:<24} {count['shown']:>6} shown{part} {count['hidden']:>6} hidden"
    for name, word in (("gained", "newly shown"), ("lost", "no more shown")):
        if records := viewer[name]:
            more = f" and {len(records) - _LISTED} more" if len(records) > _LISTED else ""
            yield f"  {word}: {', '.join(records[:_LISTED])}{more}"
    for each in viewer["because"]:
        nodes = "; ".join(map(_node, each["nodes"])) or "no consent"
        yield f"  {each['records']} {'shown' if each['shown'] else 'hidden'}, {each['reason']}: {nodes}"


def _simulation(answer: dict[str, Any]) -> Iterator[str]:
    if answer["permitted"]:
        yield "Permitted, for what the judge lets through."
        for ask in answer["asks"]:
            query = "&".join(f"{name}={value}" for name, value in ask["query"])
            yield f"  asks the record server {ask['path']}{'?' if query else ''}{query}"
        if not answer["asks"]:
            yield "  asks the record server nothing: the answer is an empty page"
        for consent in answer["consents"]:
            yield f"  in force: {consent['effect']}, consent {consent['consent']} (entry {consent['entry']})"
    else:
        yield f"Refused at the {answer['step']}, {answer['status']}: {answer['text']}"
        if answer["reason"]:
            yield f"  reason {answer['reason']}"
        yield from (f"  {_node(node)}" for node in answer["nodes"])
    if record := answer.get("record"):
        yield f"{record['record']} would be {'shown' if record['shown'] else 'hidden'}, {record['reason']}"
        yield from (f"  {_node(node)}" for node in record["nodes"])
        yield from (f"  overrides {_node(node)}" for node in record["overridden"])
        for name, words in _PARTS.items():
            if record[name]:
                yield f"  {words}: {', '.join(record[name])}"


_PARTS = {
    "labels": "labelled",
    "withheld": "a consent withholds",
    "beyond_role": "more than the role needs",
}


def _node(node: dict[str, Any]) -> str:
    entry = "" if node["entry"] is None else f" (entry {node['entry']})"
    return f"{_named(node)}{entry}, {node['node']}"


def _named(node: dict[str, Any]) -> str:
    return "the draft" if node["consent"] is None else f"consent {node['consent']}"
