"""A preview as JSON: for each viewer what is shown and hidden, what changes, and which nodes decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gateway.consents.service import UNRECORDED
from gateway.core.canon import Json
from gateway.core.consent.evaluate import Because
from gateway.core.consent.rule import Consent, Node
from gateway.core.preview import Sight, Viewer
from gateway.core.studies.study import Study


def viewer_json(viewer: Viewer, seen: Sequence[Sight], study: Study | None) -> dict[str, Json]:
    """Counts by type, the records that are gained and lost, and how many records each reason stands for; and
    how they leave in the viewer's study."""
    types = sorted({sight.ref.type for sight in seen})
    reasons = Counter((sight.after.visible, sight.after.reason, sight.after.because) for sight in seen)
    because: list[Json] = [
        {"shown": shown, "reason": reason, "records": count, "nodes": [node_json(node) for node in nodes]}
        for (shown, reason, nodes), count in reasons.most_common()
    ]
    return {
        "who": [*viewer.identities],
        "purpose": viewer.purpose,
        "types": {kind: _counts([sight for sight in seen if sight.ref.type == kind]) for kind in types},
        "gained": [str(sight.ref) for sight in seen if sight.gained],
        "lost": [str(sight.ref) for sight in seen if sight.lost],
        "because": because,
        "study": None if study is None else {"id": study.id, "words": _in_study(study)},
    }


def _in_study(study: Study) -> str:
    day = study.until.isoformat().replace("+00:00", "Z")
    moved = "dates moved back by 1 to 365 days, all of the patient's by as many"
    dates = moved if study.dates == "shift" else "of dates the year alone"
    return (
        f"As they were before {day}, with pseudonyms in the place of ids and {dates}; codes, quantities and "
        "times, but no names, numbers, notes or other texts."
    )


def node_json(node: Because) -> dict[str, Json]:
    """A deciding node; consent and entry are null if it is the draft's."""
    recorded = node.entry != UNRECORDED
    return {
        "consent": node.consent_id if recorded else None,
        "entry": node.entry if recorded else None,
        "node": node.node_path,
    }


def idle_json(consent: Consent, node: Node) -> dict[str, Json]:
    """A node that decides nothing; the consent is null if it is the draft."""
    return {"consent": None if consent.entry == UNRECORDED else consent.id, "node": node.path}


def _counts(seen: Sequence[Sight]) -> dict[str, Json]:
    shown = [sight.after for sight in seen if sight.after.visible]
    in_part = sum(bool(judgement.cuts or judgement.trims) for judgement in shown)
    return {"shown": len(shown), "in_part": in_part, "hidden": len(seen) - len(shown)}
