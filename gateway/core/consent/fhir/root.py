"""What a Consent says at its root: permit or deny, from when until when, and the tree below.

A base policy and a stated effect that contradict each other come to the deny: of everything if the policy
denies, of what the root names if the root does. What says neither is malformed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from gateway.core.consent.fhir import codes
from gateway.core.consent.fhir.element import Element
from gateway.core.consent.fhir.provision import Provisions, stated_effect
from gateway.core.consent.fhir.times import period
from gateway.core.consent.labels import ACT_CODE
from gateway.core.consent.purposes import BREAK_GLASS, PURPOSES
from gateway.core.consent.rule import ALWAYS, Effect, Match, Node, Period
from gateway.core.values import Label

_EMERGENCY: Final = "ETREAT"


@dataclass(frozen=True, slots=True)
class Root:
    node: Node
    period: Period = ALWAYS


def root(at: Element, provisions: Provisions) -> Root | None:
    """The root of the Consent at `at`; None, and a problem, if it cannot be told whether it permits."""
    base, emergency = _base(at, provisions)
    shuts_out = _policy_denies(at, provisions)
    flat = provisions.shape.flat
    place = at if flat else at.one("provision")
    name = "decision" if flat else "provision.type"
    stated = None if place is None else stated_effect(place, name.rpartition(".")[2])
    effect = stated or base
    if effect is None or (flat and stated is None and "provision" in at.tree):
        at.refuse("does not say whether the consent permits or denies", name)
        return None
    if base not in (None, effect):
        at.warn(f"contradicts {provisions.shape.base}, so the consent is read as a deny", name)
        effect = Effect.DENY
    found = _tree(at, place, effect, provisions)
    if stated is Effect.PERMIT and base is Effect.DENY:
        found = Root(Node(Effect.DENY, Match()), found.period)
    if emergency and effect is Effect.DENY:
        found = _with(found, Effect.PERMIT, _EMERGENCY)
    if not shuts_out:
        return found
    return _without_break_glass(at, found, provisions.shape.policy, contained=provisions.terms.contained)


def _tree(at: Element, place: Element | None, effect: Effect, provisions: Provisions) -> Root:
    inner = None if place is None else place.one("period")
    own = None if inner is None else period(inner, inwards=effect is Effect.PERMIT)
    window = own or ALWAYS
    if provisions.shape.flat:
        return Root(Node(effect, Match(), provisions.exceptions(at, effect, "root", window)), window)
    if place is None:
        return Root(Node(effect, Match()))
    return Root(provisions.node(place, effect, "root", window), window)


def _base(at: Element, provisions: Provisions) -> tuple[Effect | None, bool]:
    """What the base policy says, the deny of several, and whether it opens the record in an emergency."""
    named = []
    for each in at.each(provisions.shape.base):
        known = [c.code for c in _codings(each) if c.system == ACT_CODE and c.code in codes.BASES]
        named += known
        if not known:
            each.warn("names a policy that is not known here; the provisions alone are enforced")
    effects = {codes.BASES[code] for code in named}
    effect = Effect.DENY if Effect.DENY in effects else Effect.PERMIT if effects else None
    return effect, codes.EMERGENCY_ONLY in named


def _codings(at: Element) -> list[Label]:
    return codes.concept(at) if "coding" in at.tree else []


def _policy_denies(at: Element, provisions: Provisions) -> bool:
    """Whether one of the policies is IHE PCF's that denies even break-glass access."""
    shape, addresses = provisions.shape, []
    for each in at.each(shape.policy):
        address = each.text(shape.address)
        addresses.append(address)
        if address is not None and address not in codes.POLICIES:
            each.warn(
                "names a policy that is not known here; the provisions alone are enforced", shape.address
            )
    return codes.POLICY_DENY in addresses


def _with(found: Root, effect: Effect, purpose: str) -> Root:
    """With one more exception below the root, for a purpose."""
    node = found.node
    last = Node(effect, Match(purposes=frozenset({purpose})), (), f"root.{len(node.exceptions)}")
    return replace(found, node=replace(node, exceptions=(*node.exceptions, last)))


def _without_break_glass(at: Element, found: Root, name: str, *, contained: bool) -> Root:
    """With a deny of break-glass access to everybody, which would share the limits of a root: one that is
    limited goes below that deny. Where exceptions count only inside the node above (`contained`), nothing
    can stand there but break-glass, so both stand below a deny for the purposes of either; where the root has
    other limits than purposes that denies what is beyond them."""
    match = found.node.match
    if match == Match():
        return _with(found, Effect.DENY, BREAK_GLASS)
    if not contained:
        # It names its purposes, so as not to take over those of the deny.
        purposes = match.purposes or PURPOSES.codes - {BREAK_GLASS}
        inner = _closed(replace(found.node, match=replace(match, purposes=purposes)), purposes)
        above = Node(Effect.DENY, Match(purposes=frozenset({BREAK_GLASS})), (_moved(inner, "root.0"),))
        return replace(found, node=above)
    if replace(match, purposes=frozenset()) != Match():
        at.warn("denies break-glass to everybody, and for its purposes what the root does not name", name)
    purposes = match.purposes | {BREAK_GLASS} if match.purposes else match.purposes
    around = Node(Effect.DENY, Match(purposes=purposes), (_moved(found.node, "root.0"),))
    return _with(replace(found, node=around), Effect.DENY, BREAK_GLASS)


def _closed(node: Node, purposes: frozenset[str]) -> Node:
    """The node, which is for `purposes`, and all below it, permitting no break-glass."""
    inner = tuple(_closed(each, each.match.purposes or purposes) for each in node.exceptions)
    closed = replace(node, exceptions=inner)
    if BREAK_GLASS not in purposes or node.effect is Effect.DENY:
        return closed
    left = purposes - {BREAK_GLASS}
    if not left:
        return replace(closed, effect=Effect.DENY)
    return replace(closed, match=replace(node.match, purposes=left))


def _moved(node: Node, path: str) -> Node:
    """The node at another path, with all below it."""
    inner = tuple(_moved(each, f"{path}.{number}") for number, each in enumerate(node.exceptions))
    return Node(node.effect, node.match, inner, path)
