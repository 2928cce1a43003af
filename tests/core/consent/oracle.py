"""The algorithm written straight down, without haste: whole rules and three values, kept to the end.

The engine settles the request first, prunes and remembers. The two must agree on everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.consent.evaluate import Asker, ResourceFacts, Rules
from gateway.core.consent.labels import LABELS
from gateway.core.consent.purposes import PURPOSES, covers
from gateway.core.consent.rule import RESOURCE_TYPES, Consent, Effect, Match, Node, Period, State
from gateway.core.consent.rules import Implicit
from gateway.core.values import Label, Scope
from tests.core.consent.build import NOW_S

Value = bool | None


def both(values: Sequence[Value]) -> Value:
    return False if False in values else None if None in values else True


def either(values: Sequence[Value]) -> Value:
    return True if True in values else None if None in values else False


@dataclass
class Oracle:
    who: Asker
    what: ResourceFacts
    operation: str
    only: frozenset[str] | None
    rules: Rules

    def decide(self, given: Sequence[Consent]) -> bool:
        if self._law_forbids() or not self.what.patients:
            return False
        if "BTG" in self.who.purposes:
            return all(self._breaks(patient, given) for patient in self.what.patients)
        return all(
            patient == self.who.self_patient
            or all(self._permits(patient, purpose, given) for purpose in self.who.purposes or (None,))
            for patient in self.what.patients
        )

    def _law_forbids(self) -> bool:
        codes = {label.code.strip().upper() for label in self.what.labels}
        return "LEGALHOLD" in codes or ("HIPAASELFPAY" in codes and self._plan())

    def _plan(self) -> bool:
        asked = set(self.who.purposes)
        payer = "role:payer" in self.who.identities or "role" not in self.who.known
        operates = asked & PURPOSES.below("HOPERAT") and payer
        return bool(not asked or asked & PURPOSES.below("HPAYMT") or operates)

    def _standing(self, patient: str, given: Sequence[Consent]) -> list[Consent]:
        own = [consent for consent in given if consent.patient == patient]
        gone = {other for consent in own for other in consent.supersedes}
        return [consent for consent in own if consent.id not in gone]

    def _permits(self, patient: str, purpose: str | None, given: Sequence[Consent]) -> bool:
        standing = self._standing(patient, given)
        live = [consent for consent in standing if consent.state is State.LIVE]
        found = {consent.id: self._deciding(consent, purpose) for consent in live}
        if any(node.effect is Effect.DENY for deciding in found.values() for node in deciding):
            return False
        stopped = [consent for consent in standing if consent.state is State.STOPPED]
        if any(self._stops(consent.root, Match(), purpose) for consent in stopped):
            return False
        if any(self._opens(consent, found[consent.id]) and self._counts(consent) for consent in live):
            return True
        if not self._implied(patient, purpose) or stopped:
            return False
        if any(consent.malformed and consent.period.includes(NOW_S) for consent in live):
            return False
        return not any(self._governs(consent, purpose) for consent in live)

    def _breaks(self, patient: str, given: Sequence[Consent]) -> bool:
        glass = self.who.break_glass
        if glass is None or glass.patient != patient or glass.until_s <= NOW_S:
            return False
        standing = self._standing(patient, given)
        live = [consent for consent in standing if consent.state is State.LIVE]
        named = [
            (consent, node.effect)
            for consent in live
            for node in self._deciding(consent, "BTG")
            if "BTG" in self._purposes_of(consent.root, node, frozenset())
        ]
        if any(effect is Effect.DENY for _, effect in named):
            return False
        if any(self._stops(c.root, Match(), "BTG", named=True) for c in standing if c.state is State.STOPPED):
            return False
        return self.rules.implicit is not Implicit.DENY or any(self._counts(c) for c, _ in named)

    def _purposes_of(self, here: Node, wanted: Node, above: frozenset[str]) -> frozenset[str]:
        own = here.match.purposes or above
        if here is wanted:
            return own
        inner = (self._purposes_of(below, wanted, own) for below in here.exceptions)
        return frozenset().union(*inner)

    def _opens(self, consent: Consent, deciding: Sequence[Node]) -> bool:
        """A health plan gets records of a programme by a permit that names them."""
        if "42CFRPART2" not in {label.code.strip().upper() for label in self.what.labels} or not self._plan():
            return bool(deciding)
        return any("42CFRPart2" in self._labels_of(consent.root, node, frozenset()) for node in deciding)

    def _labels_of(self, here: Node, wanted: Node, above: frozenset[str]) -> frozenset[str]:
        own = here.match.labels or above
        if here is wanted:
            return own
        return frozenset().union(*(self._labels_of(below, wanted, own) for below in here.exceptions))

    def _counts(self, consent: Consent) -> bool:
        bound = self.only is None or consent.id in self.only
        return bound and not consent.indeterminate and not consent.malformed

    # --- The implicit policy -----------------------------------------------------------------------

    def _implied(self, patient: str, purpose: str | None) -> bool:
        names, known = self.who.identities, self.who.known
        proxy = any(name.startswith(("relative:", "patient:", "role:proxy")) for name in names)
        if proxy or not known & {"relative", "role"} or self.only is not None or purpose is None:
            return False
        if patient != self.who.patient or self.operation not in "rs":
            return False
        if LABELS.marks(self.what.labels).level > "ULMNRV".index("N"):
            return False
        if self.rules.implicit is Implicit.BASIC_NORMAL:
            roles = {name for name in names if name.startswith("role:")}
            user = any(name.startswith(("practitioner:", "practitionerrole:")) for name in names)
            clinician = bool(roles & {"role:clinician", "role:emergency", "role:telehealth"})
            return purpose in PURPOSES.below("TREAT") - {"BTG"} and (clinician if roles else user)
        return self.rules.implicit is Implicit.ALL_NORMAL and purpose != "BTG"

    def _governs(self, consent: Consent, purpose: str | None) -> bool:
        root = consent.root
        value = both(
            [
                self._actor(root.match),
                self._purpose(root.match, purpose),
                self._action(root.match),
                root.match.period.includes(NOW_S) and consent.period.includes(NOW_S),
            ]
        )
        return root.effect is Effect.PERMIT and value is not False

    # --- One tree ----------------------------------------------------------------------------------

    def _deciding(self, consent: Consent, purpose: str | None) -> list[Node]:
        return self._frontier(consent.root, Match(), [consent.period], purpose, certain=True)

    def _frontier(
        self, node: Node, above: Match, periods: list[Period], purpose: str | None, *, certain: bool
    ) -> list[Node]:
        merged = self._merged(above, node.match)
        periods = [*periods, node.match.period]
        denies = node.effect is Effect.DENY
        value = self._matches(merged, periods, purpose, denies)
        if self.rules.contained and value is False:
            return []
        certain = not self.rules.contained or (certain and value is True)
        inner = [
            found
            for below in node.exceptions
            for found in self._frontier(below, merged, periods, purpose, certain=certain)
        ]
        applies = value is True or (value is None and denies)
        return inner or ([node] if applies and (certain or denies) else [])

    def _stops(self, node: Node, above: Match, purpose: str | None, *, named: bool = False) -> bool:
        merged = self._merged(above, node.match)
        timeless = Match(
            merged.actors, merged.purposes, merged.scopes, custodians=merged.custodians,
            classes=merged.classes, codes=merged.codes, data=merged.data,
        )  # fmt: skip
        here = node.effect is Effect.PERMIT and self._matches(timeless, [], purpose, True) is not False
        here = here and (not named or "BTG" in merged.purposes)
        return here or any(self._stops(below, merged, purpose, named=named) for below in node.exceptions)

    def _merged(self, above: Match, own: Match) -> Match:
        people = own if own.actors or own.custodians else above
        return Match(
            people.actors,
            own.purposes or above.purposes,
            own.scopes or above.scopes,
            own.labels or above.labels,
            custodians=people.custodians,
            actions=own.actions or above.actions,
            classes=own.classes or above.classes,
            codes=own.codes or above.codes,
            data_period=own.data_period or above.data_period,
            data=own.data or above.data,
            opaque=own.opaque or above.opaque,
        )

    def _matches(self, match: Match, periods: list[Period], purpose: str | None, denies: bool) -> Value:
        return both(
            [
                self._actor(match),
                self._purpose(match, purpose),
                all(period.includes(NOW_S) for period in periods),
                self._action(match),
                not match.scopes or either([self._scope(one, denies) for one in match.scopes]),
                self._label(match, denies),
                self._inside(match, denies),
                None if match.opaque else True,
            ]
        )

    def _label(self, match: Match, denies: bool) -> Value:
        names, marks = LABELS.rule(match.labels), LABELS.marks(self.what.labels)
        if names is None:
            return True
        reaches = names.denies if denies else names.permits
        with_all, without_foreign = reaches(marks), reaches(LABELS.marks(marks.all - marks.foreign))
        return with_all if with_all == without_foreign else None

    def _actor(self, match: Match) -> Value:
        if not match.actors and not match.custodians:
            return True
        if match.actors & self.who.identities:
            return True
        values: list[Value] = [
            None for name in match.actors if name.split(":")[0] not in self.who.known
            and name not in self.who.settled
        ]  # fmt: skip
        if match.custodians:
            held = self.rules.custodians
            values.append(None if held is None else bool(match.custodians & held))
        return either(values)

    def _purpose(self, match: Match, purpose: str | None) -> Value:
        if not match.purposes:
            return True
        return None if purpose is None else covers(match.purposes, purpose)

    def _action(self, match: Match) -> bool:
        words = {"correct"} if self.operation not in "rs" else {"access", "use", "disclose", "collect"}
        return not match.actions or bool(match.actions & words)

    def _scope(self, scope: Scope, denies: bool) -> Value:
        seen = denies and self.operation in "rs" and bool(set(scope.operations) & set("rs"))
        return both(
            [
                scope.type in ("*", self.what.type),
                self.operation in scope.operations or seen,
                *(self.what.content.holds(term) for term in scope.constraints),
            ]
        )

    def _inside(self, match: Match, denies: bool) -> Value:
        content, values = self.what.content, []
        if match.classes:
            values.append(either([self._is_class(one) for one in match.classes]))
        if match.codes:
            values.append(either([content.has_code(code, primary=not denies) for code in match.codes]))
        if match.data_period is not None:
            values.append((content.touches if denies else content.within)(match.data_period))
        if match.data:
            values.append(either([content.relates(data) for data in match.data]))
        return both(values)

    def _is_class(self, kind: Label) -> Value:
        if kind.system == RESOURCE_TYPES:
            return kind.code == self.what.type
        return self.what.content.is_class(kind)
