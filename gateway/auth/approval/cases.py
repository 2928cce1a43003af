"""A request that waits, as it stands now for the person who looks at it: who asks, for whom, for what.

All of it is read anew for every page and for the decision itself: the client, the person's authority, the
consents, and what can be granted. What makes the request impossible for this person is an `OAuthError`, and
goes to the app.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from sqlmodel import Session

from gateway.auth.approval.asking import Clients, Destination
from gateway.auth.approval.patients import Subject, is_professional, subjects
from gateway.auth.people.browser import SignedIn
from gateway.auth.people.login_page import OVER
from gateway.auth.ports import Base, Ports
from gateway.auth.store import requests
from gateway.auth.store.database import digest_of
from gateway.auth.store.launches import Launch
from gateway.auth.store.requests import PendingRequest
from gateway.auth.tokens.issuing import role_of
from gateway.core.smart.client import Client
from gateway.core.smart.grant import Granted, narrow_request
from gateway.core.smart.kinds import case_root
from gateway.core.values import Ref
from gateway.errors import BadRequest, OAuthError


@dataclass(frozen=True, slots=True)
class Case:
    """`granted` is the most that can come of it; `choices` are the patients to choose among, `patient` the
    one it is about, if that is known."""

    id: str
    request: PendingRequest
    client: Client
    base: Base
    who: SignedIn
    launch: Launch | None
    granted: Granted
    choices: tuple[Subject, ...]
    patient: Subject | None = None

    @property
    def to(self) -> Destination:
        return Destination(self.client, self.request.redirect_uri, self.request.state)

    @property
    def is_professional(self) -> bool:
        return is_professional(self.who.person)

    @property
    def role(self) -> str | None:
        """In which its tokens read, the person's own or that of who acts for the patient."""
        person, subject = self.who.person, self.patient
        if subject is None:
            return person.role
        return role_of(person.role, str(person.user), subject.id, subject.relationship)

    @property
    def needs_patient(self) -> bool:
        """Whether a patient must be known first. Who gives consent does so for one patient's records."""
        if self.launch is None and self.granted.needs_encounter:
            return True  # an encounter is found among those of a patient
        return self.granted.needs_patient or (bool(self.granted.scopes) and not self.is_professional)

    @property
    def chooses_encounter(self) -> bool:
        """Whether the next thing to know is which of the patient's encounters it is about."""
        asked = self.launch is None and self.granted.needs_encounter
        return asked and self.patient is not None and self.request.encounter is None

    @property
    def encounter(self) -> str | None:
        """The id of the encounter that the app is told of."""
        return self.request.encounter or None if self.launch is None else self.launch.encounter

    @property
    def root(self) -> Ref | None:
        """What the case begins with that the tokens are limited to."""
        return None if self.launch is None else _root_of(self.launch)

    @property
    def untold(self) -> tuple[str, ...]:
        """Launch scopes for which there is nothing to tell."""
        return () if self.encounter is not None else ("launch/encounter",)


@dataclass(frozen=True, slots=True)
class Impossible:
    """A request that can only be answered with an error."""

    to: Destination
    error: OAuthError


async def find_request(ports: Ports, request_id: str, now_s: int) -> PendingRequest:
    """Raises BadRequest, in words for a person, for one that is over or was never made."""
    digest = digest_of(request_id)
    found = await ports.database.run(lambda session: requests.waiting_request(session, digest, now_s))
    if found is None:
        raise BadRequest(OVER)
    return found


async def open_case(
    ports: Ports, clients: Clients, request_id: str, who: SignedIn, now_s: int
) -> Case | Impossible:
    """The case, now of this log-in session.

    Raises BadRequest if it is over or another session's, LedgerUnavailable, StateUnavailable.
    """
    digest = digest_of(request_id)

    def work(session: Session) -> tuple[PendingRequest, Launch | None] | None:
        found = requests.open_request(session, digest, who.session, now_s)
        if found is None:
            return None
        return found, None if found.launch is None else session.get(Launch, found.launch)

    opened = await ports.database.run(work)
    client = None if opened is None else await clients.get(opened[0].client)
    if opened is None or client is None or opened[0].redirect_uri not in client.redirect_uris:
        raise BadRequest(OVER)
    request, launch = opened
    choices = await subjects(ports, who.person, now_s)
    base = ports.bases[request.base]
    try:
        _check_user(request, launch, who)
        granted = narrow_request(request.scope, client, base.served)
        case = Case(request_id, request, client, base, who, launch, granted, choices)
        found = replace(case, patient=_patient(case))
        _check_role(ports, found)
        return found
    except OAuthError as error:
        return Impossible(Destination(client, request.redirect_uri, request.state), error)


def _check_user(request: PendingRequest, launch: Launch | None, who: SignedIn) -> None:
    """An EHR opens an app for its own user, and for nobody else who happens to be logged in here."""
    if request.launch is not None and (launch is None or launch.user != str(who.person.user)):
        raise OAuthError("access_denied", "Somebody else is logged in than the app was launched for.")


def _check_role(ports: Ports, case: Case) -> None:
    """A case limits who has a role with such cases, and nobody else: for them it would be no limit."""
    root = case.root
    if root is not None and root.type not in ports.case_roots.get(case.role or "", ()):
        raise OAuthError("access_denied", "The role of this person has no cases of this kind.")


def _root_of(launch: Launch) -> Ref | None:
    named = json.loads(launch.context).get("case")
    return None if named is None else case_root(named)


def _patient(case: Case) -> Subject | None:
    """The launch's patient; or, if one is needed, the one that was chosen, or the only one to choose."""
    if case.launch is not None and case.launch.patient is not None:
        return _launched(case, case.launch.patient)
    if not case.needs_patient:
        return None
    if not case.choices:
        raise OAuthError("access_denied", "There is no patient whom this person can choose.")
    if len(case.choices) == 1 and case.choices[0].gives_consent:
        return case.choices[0]
    return next((subject for subject in case.choices if subject.id == case.request.patient), None)


def _launched(case: Case, patient: str) -> Subject:
    if case.is_professional:
        return Subject(patient, "chosen in the record system", gives_consent=False)
    found = next((subject for subject in case.choices if subject.id == patient), None)
    if found is None:
        raise OAuthError("access_denied", "This person does not act for the patient of the launch.")
    return found
