"""What of the scopes that were asked for is granted: asked ∩ registered ∩ served ∩ chosen, never wider.

The text of a grant says exactly what was granted, in the order and the spelling it was asked in; only a
scope that had to be narrowed is spelled anew (SMART App Launch 2.2, "Scopes and Launch Context").
Launch and identity scopes open nothing by themselves: each is granted by its name or not at all. Who the
patient is, and whether a consent covers the grant, is not decided here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass, replace
from typing import Final

from gateway.core.smart.algebra import contains_all, narrow
from gateway.core.smart.client import MAX_SCOPES, Client
from gateway.core.smart.scopes import Dropped, Evaluable, ScopeSet, parse_scopes
from gateway.core.values import Level, Scope
from gateway.errors import OAuthError

# The rights of a token that a person approved, and of one that a service has in its own name.
PERSONAL: Final[tuple[Level, ...]] = ("patient", "user")
SERVICE: Final[tuple[Level, ...]] = ("system",)
# Refresh tokens, for good or while the person is there; of the two at most the first is granted.
REFRESH: Final = ("offline_access", "online_access")
# Claims of an id_token, which there is none of without `openid` (OpenID Connect Core section 3.1.2.1).
OF_ID_TOKEN: Final = ("fhirUser", "profile")


@dataclass(frozen=True, slots=True)
class Served:
    """What works at one FHIR base: `scopes` is the most that can be granted, as `scopes_supported` says.

    `types` and `evaluable` are as for `parse_scopes`.
    """

    types: Set[str]
    evaluable: Evaluable
    scopes: tuple[str, ...]

    def read(self, text: str) -> ScopeSet:
        return parse_scopes(text, types=self.types, evaluable=self.evaluable)


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant. `text` is its `scope` as the client reads it: the spellings of `scopes` and `context`.

    `dropped` are the words of the request that nothing was granted for, each with its reason.
    """

    scopes: tuple[Scope, ...]
    context: tuple[str, ...]
    text: str
    dropped: tuple[Dropped, ...] = ()

    @property
    def needs_patient(self) -> bool:
        """Whether a patient must be known first: a patient/ scope needs one even without launch/patient."""
        return "launch/patient" in self.context or any(scope.level == "patient" for scope in self.scopes)

    @property
    def needs_encounter(self) -> bool:
        return "launch/encounter" in self.context

    @property
    def refreshable(self) -> bool:
        """Whether a refresh token comes with it."""
        return any(word in self.context for word in REFRESH)


def narrow_request(asked: str, client: Client, served: Served, chosen: str | None = None) -> Granted:
    """What `client` can have of `asked` when a person approves `chosen` (None: before anything is chosen).

    What is malformed, unknown or outside a limit is dropped. Raises `OAuthError` invalid_scope if nothing is
    left.
    """
    limits = _limits(client, served)
    if chosen is not None:
        limits.append(_Limit(served.read(chosen), "it was not chosen"))
    return _granted(asked, served, limits, PERSONAL)


def narrow_service_request(asked: str, client: Client, served: Served) -> Granted:
    """What `client` has of `asked` in its own name (client_credentials). Raises `OAuthError` invalid_scope.

    A scope may be narrowed, but one that cannot be granted at all costs the request: there is no person who
    could have left it out. There is no patient either, so only system/ scopes are for services.
    """
    granted = _granted(asked, served, _limits(client, served), SERVICE)
    if granted.dropped or granted.context:
        raise _refusal("A scope that was asked for cannot be granted to this client as a service.")
    return granted


def narrow_refresh(asked: str | None, held: str, client: Client, served: Served) -> Granted:
    """What a refresh gives of the grant whose text is `held`: all of it, or the part that is `asked`.

    Spellings stay as they are. It is narrowed if what is registered or served has become less since.
    Raises `OAuthError` invalid_scope if `asked` goes beyond `held` (RFC 6749 section 6).
    """
    if asked:
        rights, wish = served.read(held).resources, served.read(asked)
        within = {scope.text for scope in wish.resources if contains_all(rights, scope)}
        if not _words(asked) <= within | _words(held):
            raise _refusal("A scope that was asked for is not part of the grant.")
    return _granted(asked or held, served, _limits(client, served), PERSONAL)


@dataclass(frozen=True, slots=True)
class _Limit:
    """A ceiling, and why a word that it holds nothing of is dropped."""

    held: ScopeSet
    reason: str


def _limits(client: Client, served: Served) -> list[_Limit]:
    registered = served.read(client.scope)
    if "refresh_token" not in client.grant_types:
        registered = replace(registered, context=tuple(w for w in registered.context if w not in REFRESH))
    return [
        _Limit(registered, "the client is not registered for it"),
        _Limit(served.read(" ".join(served.scopes)), "it is not served here"),
    ]


def _granted(asked: str, served: Served, limits: Sequence[_Limit], levels: Collection[Level]) -> Granted:
    words = served.read(asked)
    resources = {scope.text: scope for scope in words.resources}
    context, dropped = _context(words.context, limits)
    dropped |= {word.text: word.reason for word in words.dropped}
    texts: dict[str, Scope | None] = {}  # in the order asked; None for a context scope
    for word in _words(asked):
        if word in resources:
            pieces = _within(resources[word], limits, levels)
            if isinstance(pieces, Dropped):
                dropped[word] = pieces.reason
            else:
                texts |= {piece.text: piece for piece in pieces}
        elif word in context:
            texts[word] = None
        if len(texts) > MAX_SCOPES:
            raise _refusal(f"The scopes that were asked for come to more than {MAX_SCOPES}.")
    if not texts:
        raise _refusal("None of the scopes that were asked for can be granted.")
    return Granted(
        scopes=tuple(scope for scope in texts.values() if scope is not None),
        context=context,
        text=" ".join(texts),
        dropped=tuple(Dropped(word, dropped[word]) for word in _words(asked) if word in dropped),
    )


def _within(scope: Scope, limits: Sequence[_Limit], levels: Collection[Level]) -> tuple[Scope, ...] | Dropped:
    """What every limit leaves of `scope`, at least one piece, or why there is none."""
    if scope.level not in levels:
        return Dropped(scope.text, "its level is not one for this kind of grant")
    pieces: tuple[Scope, ...] = (scope,)
    for limit in limits:
        pieces = _narrow(pieces, limit.held.resources)
        if not pieces:
            return Dropped(scope.text, limit.reason)
    return pieces


def _narrow(pieces: Sequence[Scope], ceiling: Sequence[Scope]) -> tuple[Scope, ...]:
    """As `narrow`, piece by piece, so that constraints cannot multiply without end."""
    kept: dict[Scope, None] = {}
    for piece in pieces:
        kept |= dict.fromkeys(narrow([piece], ceiling))
        if len(kept) > MAX_SCOPES:
            raise _refusal(f"A scope that was asked for comes to more than {MAX_SCOPES}.")
    return tuple(kept)


def _context(asked: Sequence[str], limits: Sequence[_Limit]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The launch and identity scopes that are granted, and why the others are not."""
    dropped: dict[str, str] = {}
    for word in asked:
        reason = next((limit.reason for limit in limits if word not in limit.held.context), None)
        if reason is not None:
            dropped[word] = reason
    kept = [word for word in asked if word not in dropped]
    for word in kept:
        if word in OF_ID_TOKEN and "openid" not in kept:
            dropped[word] = "it needs openid"
        if word == "online_access" and "offline_access" in kept:
            dropped[word] = "offline_access is granted in its place"
    return tuple(word for word in kept if word not in dropped), dropped


def _words(text: str) -> Set[str]:
    """The words of a `scope` text, once each and in order."""
    return dict.fromkeys(filter(None, text.split(" "))).keys()


def _refusal(text: str) -> OAuthError:
    return OAuthError("invalid_scope", text)
