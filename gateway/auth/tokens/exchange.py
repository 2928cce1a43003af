"""A person's approval becomes tokens: first for its code, then for each refresh token.

Both ways: what is presented is claimed and checked in one transaction, so a request that is refused uses
nothing up. Then the grant must still stand: not ended, its person not disabled and still with authority for
the patient, its session open if it is an online one, its consent live at the ledger's head. A grant that
does not is ended with all its tokens.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlmodel import Session

from gateway.auth.people.authorities import Basis, basis
from gateway.auth.ports import Ports
from gateway.auth.store import grants, sessions
from gateway.auth.store.database import digest_of
from gateway.auth.store.grants import Access, Code, Grant, Refresh, Replayed
from gateway.auth.store.people import Account
from gateway.auth.tokens.ending import Why, end_grant
from gateway.auth.tokens.issuing import Issued, Terms, issue, read_back, role_of
from gateway.auth.tokens.openid import Login
from gateway.core.consent.rule import Consent, State
from gateway.core.smart.client import Client
from gateway.core.smart.grant import Granted, narrow_refresh
from gateway.core.smart.kinds import case_root
from gateway.core.smart.parameters import need
from gateway.core.smart.pkce import check_verifier
from gateway.core.values import Confirmation, ConsentRef, Ref
from gateway.errors import ConsentryError, OAuthError

ACCESS_S: Final = 3600  # SMART App Launch 2.2: no longer than an hour
REFRESH_S: Final = 100 * 86_400  # more than three months after each use (ONC, section 170.315(g)(10))
OVER: Final = "The grant is over: it was used up, ended or withdrawn, or was never this client's."
NOT_NOW: Final = "It is not the time of the consultation that the grant is for."

Answer = dict[str, object]


@dataclass(frozen=True, slots=True)
class Held:
    """What was presented, now claimed, the grant that it is of, and what of it the token is for.

    `basis` is in what right it goes on. `refreshable` is the grant, however little of it was asked for now;
    `bound` is what whoever presented it holds, and its tokens are bound to;
    `fresh` is whether what was presented was new: then it can be given back.
    """

    presented: Code | Refresh
    grant: Grant
    granted: Granted
    basis: Basis
    bound: Confirmation | None
    refreshable: bool
    fresh: bool


@dataclass(frozen=True, slots=True)
class Fallen:
    """A grant that cannot be used any more, and has to be ended."""

    grant: str
    why: Why


Claim = Callable[[Session], Held | Fallen]


async def exchange_code(
    ports: Ports, client: Client, form: Mapping[str, str], bound: Confirmation | None
) -> Answer:
    """The tokens of a code (RFC 6749 section 4.1.3, RFC 7636). Raises OAuthError, LedgerUnavailable."""
    digest, redirect_uri = digest_of(need(form, "code")), need(form, "redirect_uri")
    now_s = ports.now_ms() // 1000

    def claim(session: Session) -> Held | Fallen:
        code = grants.claim_code(session, digest, client.id, now_s)
        if isinstance(code, Replayed):
            return _replayed(session, code)
        if code is None:
            raise _refusal()
        if code.redirect_uri != redirect_uri:
            raise OAuthError("invalid_grant", "The redirect_uri is not the one that the code was sent to.")
        check_verifier(form.get("code_verifier"), code.challenge)
        return _held(ports, session, code, client, bound, None, now_s)

    return await _exchange(ports, client, form, claim, now_s)


async def exchange_refresh(
    ports: Ports, client: Client, form: Mapping[str, str], bound: Confirmation | None
) -> Answer:
    """The next tokens of a grant (RFC 6749 section 6). Raises OAuthError, LedgerUnavailable."""
    digest = digest_of(need(form, "refresh_token"))
    now_s = ports.now_ms() // 1000

    def claim(session: Session) -> Held | Fallen:
        before = grants.refresh_of(session, digest)
        fresh = before is not None and before.used_s is None
        token = grants.claim_refresh(session, digest, client.id, now_s)
        if isinstance(token, Replayed):
            return _replayed(session, token)
        if token is None:
            raise _refusal()
        return _held(ports, session, token, client, bound, form.get("scope"), now_s, fresh=fresh)

    return await _exchange(ports, client, form, claim, now_s)


# --- The grant behind it ---------------------------------------------------------------------------


def _held(
    ports: Ports,
    session: Session,
    presented: Code | Refresh,
    client: Client,
    bound: Confirmation | None,
    asked: str | None,
    now_s: int,
    *,
    fresh: bool = True,
) -> Held | Fallen:
    grant = grants.live_grant(session, presented.grant, now_s)
    if grant is None:
        raise _refusal()
    if _is_disabled(session, grant.subject):
        return Fallen(grant.id, "user-disabled")
    right = basis(session, grant, now_s)
    if right is None:
        return Fallen(grant.id, "authority-ended")
    if grant.online is not None and not sessions.is_online(session, grant.online, now_s):
        return Fallen(grant.id, "logged-out")
    base = ports.bases.get(grant.audience)
    if base is None:
        raise OAuthError("invalid_grant", "The FHIR base that the grant is for is not served any more.")
    whole = narrow_refresh(None, grant.scope, client, base.served)
    granted = whole if asked is None else narrow_refresh(asked, grant.scope, client, base.served)
    _bind(grant, presented, client, bound)
    return Held(presented, grant, granted, right, bound, whole.refreshable, fresh)


def _bind(grant: Grant, presented: Code | Refresh, client: Client, bound: Confirmation | None) -> None:
    """What refreshes a public client's tokens is bound to its key or certificate: nothing else tells who
    presents it. Other clients prove who they are, and may change theirs (RFC 9449 section 5, RFC 8705 section
    4). A code is bound if the app said so when it asked for it."""
    shown = None if bound is None else bound.text
    if isinstance(presented, Refresh) and grant.confirmation not in (None, shown):
        raise OAuthError(
            "invalid_grant", "The refresh token is bound to a key or certificate that the request lacks."
        )
    if isinstance(presented, Code) and presented.jkt is not None and bound != ("jkt", presented.jkt):
        raise OAuthError("invalid_grant", "The code is bound to a key that the request does not prove.")
    if client.kind == "public":
        grant.confirmation = shown


def _is_disabled(session: Session, subject: str) -> bool:
    """Whether it is a person of ours who must not log in any more."""
    person = session.get(Account, subject)
    return person is not None and person.disabled_s is not None


def _replayed(session: Session, replayed: Replayed) -> Fallen:
    """While the first exchange goes on nothing was given yet, and the second is only refused."""
    if not grants.has_given(session, replayed.grant):
        raise _refusal()
    return Fallen(replayed.grant, "replay")


def _consents(ports: Ports, grant: Grant, now_s: int) -> tuple[ConsentRef, ...] | Fallen | None:
    """What tokens of the grant rest on: its consent as it is now. A patient who gave none has a token for
    their own records alone; others' tokens are bound by look-up."""
    if grant.consent is None:
        own = grant.user is not None and grant.user.startswith("Patient/")
        return () if own else None
    _, view = ports.consents.at_head()
    consent = view.get(grant.consent)
    if consent is None or not _is_live(consent, now_s):
        return Fallen(grant.id, "consent-ended")
    return (consent.refs[-1],)


def _is_live(consent: Consent, now_s: int) -> bool:
    return consent.state is State.LIVE and (consent.until_s is None or now_s <= consent.until_s)


# --- Its tokens ------------------------------------------------------------------------------------


async def _exchange(
    ports: Ports, client: Client, form: Mapping[str, str], claim: Claim, now_s: int
) -> Answer:
    held = await ports.database.run(claim)
    if isinstance(held, Fallen):
        raise await _ended(ports, held, client)
    try:
        _check_base(form, held.grant)
        consents = _consents(ports, held.grant, now_s)
        if isinstance(consents, Fallen):
            raise await _ended(ports, consents, client)
        terms = _terms(held, consents, now_s)
        await _check_time(ports, held, terms, now_s)
        issued = await issue(ports, terms)
        # From here on the entry is there; without the note below it is of a token that nobody gets.
        refresh_token = await _note(ports, held, issued, now_s)
    except ConsentryError:
        if held.fresh:
            await ports.database.run(lambda session: grants.give_back(session, held.presented))
        raise
    return _answer(ports, held, issued, refresh_token, now_s)


async def _ended(ports: Ports, fallen: Fallen, client: Client) -> OAuthError:
    await end_grant(ports, fallen.grant, fallen.why, client.id)
    return _refusal()


def _check_base(form: Mapping[str, str], grant: Grant) -> None:
    """RFC 8707 section 2.2: a token request may narrow to what was granted, which is one base."""
    if any(form[name].removesuffix("/") != grant.audience for name in ("aud", "resource") if name in form):
        raise OAuthError("invalid_grant", "The grant is for another FHIR base.")


async def _check_time(ports: Ports, held: Held, terms: Terms, now_s: int) -> None:
    """A consultation's tokens follow each other in its time alone. The grant stays: it may be prolonged."""
    if ports.may_renew is None or not isinstance(held.presented, Refresh):
        return
    token = read_back(ports, terms, now_s, ports.new_id())
    if not await ports.may_renew(terms.audience, token, now_s):
        raise OAuthError("invalid_grant", NOT_NOW)


def _terms(held: Held, consents: tuple[ConsentRef, ...] | None, now_s: int) -> Terms:
    grant, context = held.grant, _context(held.grant)
    kind, _, ident = (grant.user or "").partition("/")
    encounter, case = context.pop("encounter", None), context.pop("case", None)
    return Terms(
        audience=grant.audience,
        client=grant.client,
        subject=grant.subject,
        scopes=tuple(held.granted.text.split(" ")),
        purposes=tuple(grant.purposes.split()),
        lifetime_s=min(ACCESS_S, held.basis.until_s - now_s),
        patient=grant.patient,
        encounter=None if encounter is None else str(encounter),
        case=None if case is None else case_root(case),
        user=Ref(kind, ident) if grant.user else None,
        role=role_of(grant.role, grant.user, grant.patient, held.basis.relationship),
        organization=grant.organization,
        consents=consents,
        authority=held.basis.authority,
        confirmation=held.bound,
        further=context,
    )


def _context(grant: Grant) -> Answer:
    """The launch context without the patient, who has a column."""
    context: Answer = json.loads(grant.context)
    return {name: value for name, value in context.items() if name != "patient"}


async def _note(ports: Ports, held: Held, issued: Issued, now_s: int) -> str | None:
    """Notes the access token, and the refresh token that comes with it, which is the answer."""
    grant, secret = held.grant, ports.new_secret() if held.refreshable else None
    access = Access(entry=issued.entry, hash=issued.hash, grant=grant.id, exp_s=issued.token.expires_at_s)
    successor = None
    if secret is not None:
        until_s = min(now_s + REFRESH_S, grant.until_s)
        before = held.presented.digest if isinstance(held.presented, Refresh) else None
        successor = Refresh(
            digest=digest_of(secret), grant=grant.id, client=grant.client, before=before, exp_s=until_s
        )
    if not await ports.database.run(lambda session: grants.note_access(session, access, successor, now_s)):
        raise _refusal()
    return secret


def _answer(ports: Ports, held: Held, issued: Issued, refresh_token: str | None, now_s: int) -> Answer:
    grant, token = held.grant, issued.token
    named = {
        "patient": grant.patient,
        "id_token": _id_token(ports, held, now_s),
        "refresh_token": refresh_token,
    }
    return {
        **_context(grant),
        "access_token": issued.text,
        "token_type": issued.type,
        "expires_in": token.expires_at_s - token.issued_at_s,
        "scope": held.granted.text,
        **{name: value for name, value in named.items() if value is not None},
    }


def _id_token(ports: Ports, held: Held, now_s: int) -> str | None:
    """With the code alone: a refresh is no new log-in (OpenID Connect Core section 12.2)."""
    grant, code, words = held.grant, held.presented, held.granted.context
    if not isinstance(code, Code) or "openid" not in words or ports.id_tokens is None:
        return None
    user = f"{grant.audience}/{grant.user}" if grant.user and "fhirUser" in words else None
    return ports.id_tokens.sign(Login(grant.client, grant.subject, code.auth_time_s, user, code.nonce), now_s)


def _refusal() -> OAuthError:
    return OAuthError("invalid_grant", OVER)
