"""A role's profile applied to one token: which types, which records, which elements.

What stays true: it only takes away. What cannot be told of a record counts against it: a condition that has
to hold does not, one that hides it does. Types and purposes are decided before any record is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from gateway.core.consent.labels import LABELS, LabelRule
from gateway.core.consent.purposes import BREAK_GLASS, covers
from gateway.core.fhir import match
from gateway.core.fhir.candidate import Content
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.codec import Tree
from gateway.core.fhir.facts import Facts
from gateway.core.fhir.scan import Place
from gateway.core.roles.elements import is_partial, joined, withheld
from gateway.core.roles.placeholders import Values, filled, values_of
from gateway.core.roles.profile import Condition, Profile, TypeRule
from gateway.core.studies import asking
from gateway.core.studies.study import Study
from gateway.core.values import FhirRequest, Label, Scope, Term, Token

EMERGENCY: Final = "emergency"
"""The role of whoever breaks the glass, whatever their token says."""

Within = Callable[[Facts, Content], bool | None]
"""Whether a record belongs to the case of the token; None where that cannot be told."""


class Sight(NamedTuple):
    """What a role sees of a record: all of it but `trims`; None where it sees the type whole."""

    trims: tuple[Place, ...] | None


@dataclass(frozen=True, slots=True)
class Roles:
    """The profiles that there are, by role. `required`: a token without a role sees nothing. Tokens of the
    clients of `studies` have the role of their study, whatever they say."""

    profiles: Mapping[str, Profile] = field(default_factory=dict)
    required: bool = False
    studies: tuple[Study, ...] = ()

    def study(self, token: Token) -> Study | None:
        """The study of the token's client."""
        return next((one for one in self.studies if one.is_of(token)), None)

    def ceiling(
        self, token: Token, now_s: int, catalogue: Catalogue, bases: tuple[str, str]
    ) -> Ceiling | None:
        """What limits the token; None: no role does. A role that there is not sees nothing."""
        study = self.study(token)
        if study is not None:
            role: str | None = study.role
        else:
            role = EMERGENCY if BREAK_GLASS in token.purposes else token.role
        if role is None and not self.required:
            return None
        profile = self.profiles.get(role or "", _NONE)
        begun = study is not None and study.has_begun(now_s)
        values, outlives = values_of(token, now_s), _outlives(token, profile)
        return Ceiling(profile, token.purposes, values, catalogue, bases, study, begun, outlives)


def _outlives(token: Token, profile: Profile) -> bool:
    """Whether the token lives longer, from its issue to its end, than one of the role may."""
    lives_s, most_s = token.expires_at_s - token.issued_at_s, profile.lifetime_s
    return most_s is not None and lives_s > most_s


NO_ROLES: Final = Roles()
_NONE: Final = Profile(role="", about="", purposes=frozenset(), types={})


@dataclass(frozen=True, slots=True)
class Ceiling:
    """`values` are what placeholders stand for; `purposes` those of the token, which `outlives` what its role
    lets it or not; `study` is its client's, and has `begun` or not."""

    profile: Profile
    purposes: tuple[str, ...]
    values: Values
    catalogue: Catalogue
    bases: tuple[str, str]
    study: Study | None = None
    begun: bool = False
    outlives: bool = False

    @property
    def shows_labels(self) -> bool:
        return self.profile.shows_labels

    @property
    def weighs_labels(self) -> bool:
        """Whether the labels of a record can make a difference."""
        return bool(self._blocked)

    @property
    def is_timed(self) -> bool:
        """Whether it shows nothing at all but in the time of the token's case."""
        return self.profile.grace_s is not None

    def weighs_case(self, kind: str) -> bool:
        """Whether it matters for a record of the type if it belongs to the token's case."""
        rule = self.profile.rule(kind)
        return rule is not None and rule.asks_case

    # --- Before any record is asked for ------------------------------------------------------------

    def refusal(self, kind: str) -> str | None:
        """Why the token gets nothing of a type, in words for the caller; None: it may get something."""
        if not self.profile.role:
            return "The role of this token sees nothing here."
        if not self.purposes or not all(covers(self.profile.purposes, purpose) for purpose in self.purposes):
            return "The role of this token is for other purposes of use."
        if self.outlives:
            return "This token lives longer than one of its role may."
        if self.profile.rule(kind) is None:
            return f"The role of this token has no access to {kind}."
        if self.profile.in_studies and self.study is None:
            return "The client of this token has no study."
        if self.study is not None and not (self.profile.in_studies and self.begun):
            return "The study of this token has not begun."
        return None

    @property
    def only_with(self) -> Term | None:
        """What every record meets that may be seen, of whatever type."""
        return None if self.study is None else self.study.term

    def refuses(self, request: FhirRequest, grants: Iterable[Scope], token: Token) -> str | None:
        """Why this request for a type that it may see is not asked, in words for the caller."""
        return None if self.study is None else asking.refusal(request, grants, token)

    def is_selective(self, kind: str) -> bool:
        """Whether it keeps records of a type back for what they hold."""
        rule = self.profile.rule(kind)
        return (
            self.study is not None
            or self.is_timed
            or self.weighs_labels
            or kind in self.profile.never
            or (rule is not None and rule.only is not None)
        )

    def is_partial(self, kind: str) -> bool:
        """Whether it sees records of a type in part."""
        return is_partial(self.profile.rule(kind))

    # --- Records -----------------------------------------------------------------------------------

    def blocks(self, labels: frozenset[Label]) -> bool:
        marks = LABELS.marks(labels) if self._blocked else None
        return marks is not None and any(rule.denies(marks) for rule in self._blocked)

    @property
    def _blocked(self) -> tuple[LabelRule, ...]:
        always = () if self.profile.blocks is None else (self.profile.blocks,)
        less = self.profile.blocks_unless
        return (*always, *(rule for purpose, rule in less if purpose not in self.purposes))

    def travels(self, kind: str, labels: frozenset[Label]) -> bool:
        """Whether a contained record of the type may stay in a container that is seen."""
        return self.refusal(kind) is None and not self.blocks(labels)

    def sight(self, facts: Facts, content: Content, within: Within | None) -> Sight | None:
        """What is seen of a record, whose labels are none of those that are blocked; None: nothing. `within`
        is None for a token without a case, or whose case is not open now."""
        if self.is_timed and within is None:
            return None
        rule = self.profile.rule(facts.type)
        if rule is None or self.refusal(facts.type) is not None or self._is_never(facts, content):
            return None
        if rule.only is not None and not self._is_one(rule, facts, content, within):
            return None
        if self.study is not None and not self.study.holds(facts, content(), self.catalogue, self.bases):
            return None
        return Sight(self._trims(rule, facts, content))

    def _is_never(self, facts: Facts, content: Content) -> bool:
        queries = self.profile.never.get(facts.type) or ()
        return any(self._holds(terms, content) is not False for terms in queries)

    def _is_one(self, rule: TypeRule, facts: Facts, content: Content, within: Within | None) -> bool:
        return any(self._meets(condition, facts, content, within) for condition in rule.only or ())

    def _meets(self, condition: Condition, facts: Facts, content: Content, within: Within | None) -> bool:
        if condition.in_case:
            belongs = self.profile.open_without_case if within is None else within(facts, content)
            if belongs is not True:
                return False
        return not condition.terms or self._holds(condition.terms, content) is True

    def _holds(self, terms: tuple[Term, ...], content: Content) -> bool | None:
        """Whether all terms hold; None if that cannot be told."""
        answers = []
        for term in terms:
            meant = filled(term, self.values)
            answers.append(
                None if meant is None else match.tells(self.catalogue, content(), meant, self.bases)
            )
        return False if False in answers else None if None in answers else True

    # --- Elements ----------------------------------------------------------------------------------

    def _trims(self, rule: TypeRule, facts: Facts, content: Content) -> tuple[Place, ...] | None:
        inner = [(one.index, self.profile.rule(one.type)) for one in facts.inner]
        if not any(is_partial(each) for each in (rule, *(each for _, each in inner))):
            return None
        tree = content()
        found = [*withheld(tree, self._with_more(rule, tree), ())]
        for index, each in inner:
            if each is not None:
                held = tree["contained"][index]
                found += withheld(held, self._with_more(each, held), ("contained", index))
        return tuple(found)

    def _with_more(self, rule: TypeRule, tree: Tree) -> TypeRule:
        """The rule with what is needed of this resource alone."""
        for more in rule.more:
            if rule.keep is not None and self._holds(more.when, lambda: tree) is True:
                rule = replace(rule, keep=joined(rule.keep, more.keep))
        return rule
