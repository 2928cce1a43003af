"""IHE PCF's Policy-deny over a root with limits, as it decides under either way to read nesting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.consent.evaluate import Permitted, Refused
from gateway.core.consent.fhir.terms import Read
from gateway.core.consent.rule import Consent
from gateway.core.consent.rules import Implicit, Rules
from gateway.core.consent.verdict import BreakGlass
from tests.core.consent.build import NOW_S, asker, bound, consents, permit, record
from tests.core.consent.build import outcome as verdict_text
from tests.core.consent.fhir.said import outcome
from tests.core.consent.generated import law

HL7: Final = "http://terminology.hl7.org/CodeSystem/v3-"
POLICY: Final = {"policy": [{"uri": "https://profiles.ihe.net/ITI/PCF/Policy-deny"}]}
OPEN: Final = Rules(implicit=Implicit.ALL_NORMAL)
SETTINGS = pytest.mark.parametrize("contained", [False, True], ids=["inherit", "contain"])


def _provision(effect: str, limits: str, *inner: dict[str, Any]) -> dict[str, Any]:
    """A provision with limits such as `TREAT o HIV`: purposes, organisations, sensitivities."""
    words = limits.split()
    parts = {
        "type": effect,
        "purpose": [_coding("ActReason", word) for word in words if word in PURPOSES],
        "actor": [_actor(word) for word in words if word in ORGANIZATIONS],
        "securityLabel": [_coding("ActCode", word) for word in words if word in LABELS],
        "provision": list(inner),
    }
    return {name: value for name, value in parts.items() if value}


PURPOSES, ORGANIZATIONS, LABELS = ("TREAT", "HRESCH", "BTG"), ("o", "p"), ("HIV",)


def _coding(system: str, code: str) -> dict[str, str]:
    return {"system": HL7 + system, "code": code}


def _actor(name: str) -> dict[str, Any]:
    role = {"coding": [_coding("ParticipationType", "IRCP")]}
    return {"role": role, "reference": {"reference": f"Organization/{name}"}}


def _read(provision: dict[str, Any], over: dict[str, Any], contained: bool) -> Consent:
    found = outcome("R4", {"provision": provision, **over}, contained=contained)
    assert isinstance(found, Read), found
    return replace(found.consent, patient="p1")


def _judged(given: tuple[Consent, ...], who: str, purpose: str, labels: str, contained: bool) -> Any:
    asking = asker(f"client:a organization:{who}", purpose)
    if purpose == "BTG":
        asking = replace(asking, break_glass=BreakGlass("p1", "ETREAT", NOW_S + 60))
    rules = replace(OPEN, contained=contained)
    return bound(given, asking, rules=rules).judge(record(labels=labels), "r")


LIMITED: Final = _provision("permit", "TREAT o", _provision("deny", "HIV"))
CASES = [
    ("what the permit names", LIMITED, "o TREAT", "", "permit"),
    ("a deny below the permit", LIMITED, "o TREAT", "HIV", "denied"),
    ("somebody whom the permit does not name", LIMITED, "p TREAT", "", "permit, contained denied"),
    ("a purpose that the permit does not name", LIMITED, "o HRESCH", "", "permit"),
    ("break-glass of whom the permit names", LIMITED, "o BTG", "", "denied"),
    ("break-glass of somebody else", LIMITED, "p BTG", "", "denied"),
    ("purposes alone", _provision("permit", "TREAT"), "p TREAT", "", "permit"),
    ("a permit of break-glass", _provision("permit", "BTG"), "o BTG", "", "denied"),
    (
        "one below limits",
        _provision("permit", "TREAT o", _provision("permit", "BTG")),
        "o BTG",
        "",
        "denied",
    ),
    ("one without limits", _provision("permit", "", _provision("permit", "BTG")), "o BTG", "", "denied"),
    ("whom the deny names", _provision("deny", "o"), "o TREAT", "", "denied"),
    (
        "what is excepted from the deny",
        _provision("deny", "o", _provision("permit", "TREAT")),
        "o TREAT",
        "",
        "permit",
    ),
]


@SETTINGS
@pytest.mark.parametrize(
    ("root", "asks", "labels", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_what_policy_deny_leaves_open(
    root: dict[str, Any], asks: str, labels: str, expected: str, contained: bool
) -> None:
    """Beside a permit of everything, so that a deny which were lost would show."""
    who, purpose = asks.split()
    given = consents(_read(root, POLICY, contained), permit())
    always, _, inside = expected.partition(", contained ")
    wanted = inside if contained and inside else always
    assert verdict_text(_judged(given, who, purpose, labels, contained)) == wanted


@SETTINGS
def test_without_the_policy_the_glass_can_be_broken(contained: bool) -> None:
    assert isinstance(_judged(consents(_read(LIMITED, {}, contained)), "p", "BTG", "", contained), Permitted)


LIMITS = st.lists(st.sampled_from([*PURPOSES, *ORGANIZATIONS, *LABELS]), unique=True, max_size=3).map(
    " ".join
)
ROOTS = st.recursive(
    st.builds(_provision, st.sampled_from(["permit", "deny"]), LIMITS),
    lambda inner: st.builds(
        lambda effect, limits, below: _provision(effect, limits, *below),
        st.sampled_from(["permit", "deny"]),
        LIMITS,
        st.lists(inner, max_size=2),
    ),
    max_leaves=4,
)


@law()
@given(
    ROOTS,
    st.sampled_from(ORGANIZATIONS),
    st.sampled_from(PURPOSES),
    st.sampled_from(["", "HIV"]),
    st.booleans(),
)
def test_with_the_policy_nothing_more_is_open_and_no_glass_can_be_broken(
    root: dict[str, Any], who: str, purpose: str, labels: str, contained: bool
) -> None:
    plain = _judged(consents(_read(root, {}, contained), permit()), who, purpose, labels, contained)
    under = _judged(consents(_read(root, POLICY, contained), permit()), who, purpose, labels, contained)
    if isinstance(plain, Refused) or purpose == "BTG":
        assert isinstance(under, Refused)
