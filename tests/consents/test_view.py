from __future__ import annotations

from dataclasses import replace

from gateway.consents.draft import can_say
from gateway.consents.view import consent_json
from gateway.core.consent.rule import Consent, DataRef, Effect, Match, Node, Period
from gateway.core.values import Label, Ref
from tests.core.consent.build import consents, deny, permit

ALL = Match(
    actors=frozenset({"role:clinician"}),
    custodians=frozenset({"organization:h"}),
    actions=frozenset({"use", "access"}),
    classes=frozenset({Label("http://hl7.org/fhir/resource-types", "Observation")}),
    codes=frozenset({Label("http://loinc.org", "1-1")}),
    data_period=Period(0, 1),
    data=frozenset({DataRef("related", Ref("Encounter", "5"))}),
    opaque=True,
)


def test_every_dimension_is_shown() -> None:
    (made,) = consents(permit())
    consent = replace(
        made, root=Node(Effect.DENY, ALL), indeterminate=True, malformed=True, grantor="Patient/p1"
    )
    shown = consent_json(consent)
    assert {name: shown[name] for name in shown.keys() - consent_json(made).keys()} == {
        "custodians": ["organization:h"],
        "actions": ["access", "use"],
        "classes": ["http://hl7.org/fhir/resource-types|Observation"],
        "codes": ["http://loinc.org|1-1"],
        "data_from": "1970-01-01T00:00:00Z",
        "data_until": "1970-01-01T00:00:01Z",
        "data": ["related Encounter/5"],
        "opaque": True,
        "indeterminate": True,
        "malformed": True,
        "grantor": "Patient/p1",
    }


def test_exceptions_show_theirs() -> None:
    (consent,) = consents(permit(deny(labels="HIV")))
    inner = replace(consent.root.exceptions[0], match=ALL)
    shown = consent_json(replace(consent, root=replace(consent.root, exceptions=(inner,))))
    assert isinstance(shown["except"], list)
    assert isinstance(shown["except"][0], dict)
    assert shown["except"][0]["codes"] == ["http://loinc.org|1-1"]


def _plain() -> Consent:
    return consents(permit(actors="client:a", scopes="patient/*.rs"))[0]


def test_a_draft_can_say_what_has_no_more_than_drafts_have() -> None:
    assert can_say(_plain())
    assert not can_say(replace(_plain(), root=Node(Effect.DENY, ALL)))
    assert not can_say(replace(_plain(), grantor="Patient/p1"))
    assert not can_say(replace(_plain(), indeterminate=True))
    assert not can_say(consents(permit(deny()))[0])
