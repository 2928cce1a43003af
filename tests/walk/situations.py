"""Situations as data: consents that come and go, and after each change who sees what of one patient's chart.

A file of `fixtures/walks/situations` has `about`, `settings` over the usual ones, and `cases`. A case has its
patient to itself, whose id stands for `{p}`: `consents` by name, and `steps`, each one of

    send      a consent: as a FHIR Consent of `release` over a plain one, or as a `draft`; `supersedes`
              others; `warns` of these places; `refused` with a status, and `says` words or `at` places
    out       the releases of FHIR in which the consent `of` some name can be read back, and whether it can
    revoke    a consent; `stop`, which also denies what it permitted
    put       a record over one of the chart
    shown     records by their name in the chart, with what let them go: a consent, perhaps one of its nodes,
              or `implicit` or `self`
    hidden    records with the reason that the ledger keeps, and the consent that decided, `-` for none

`as` are claims of the reader's token over the usual ones, `scopes` its scopes. Of `shown` and `hidden` every
record is read, and its type searched.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from tests.core.consent.fhir.said import resource
from tests.support.gateway import Gateway
from tests.upstreams.base import Upstream
from tests.walk.cases import WALKS
from tests.walk.data import put_all
from tests.walk.steps import Step, operator, shown, step

CHART: Final = json.loads((WALKS / "chart.json").read_text())
FHIR_VERSIONS: Final = {"R4": "4.0", "R4B": "4.3", "R5": "5.0"}
MEDIA_TYPE: Final = "application/fhir+json; fhirVersion={}"
GROUNDS: Final = ("-", "implicit", "self")
READER: Final[Mapping[str, Any]] = {"fhirUser": "Practitioner/s-ann"}


@dataclass(frozen=True, slots=True)
class Situation:
    id: str
    why: str
    consents: Mapping[str, Mapping[str, Any]]
    steps: tuple[Mapping[str, Any], ...]
    file: str

    def __str__(self) -> str:
        return f"{self.file}:{self.id}"


def read_situations(file: str) -> Iterator[Situation]:
    for row in json.loads((WALKS / "situations" / f"{file}.json").read_text())["cases"]:
        yield Situation(**{"consents": {}, **row, "steps": tuple(row["steps"]), "file": file})


def settings_of(file: str) -> str:
    """The settings that the cases of the file stand under, as TOML."""
    return str(json.loads((WALKS / "situations" / f"{file}.json").read_text()).get("settings", ""))


@dataclass
class Bedside:
    """One patient's chart at a record server, behind a gateway. `sent` are consents by their names."""

    running: Gateway
    upstream: Upstream
    patient: str
    sent: dict[str, str] = field(default_factory=dict)
    _types: dict[str, str] = field(default_factory=dict)

    def admit(self, records: Iterable[Mapping[str, Any]] = ()) -> None:
        """Puts the chart, and `records` over it, in the record server."""
        chart = [*CHART["shared"], *self._own(CHART["records"]), *self._own(records)]
        self._types = {each["id"]: each["resourceType"] for each in chart}
        put_all(self.upstream, chart)

    def go_through(self, situation: Situation) -> None:
        for said in situation.steps:
            todo = dict(self._own([said])[0])
            for name in ("send", "revoke", "stop"):
                if name in todo:
                    getattr(self, f"_{name}")(situation.consents[todo[name]], todo)
            for release, fits in todo.get("out", {}).items():
                self._read_back(self.sent[todo["of"]], release, fits=fits)
            if "put" in todo:
                put_all(self.upstream, [todo["put"]])
            if "shown" in todo or "hidden" in todo:
                self._look(todo)
        if self.upstream.name.startswith("hapi"):  # it takes a search for each type
            self._check_preview()

    # --- Consents ----------------------------------------------------------------------------------

    def _send(self, consent: Mapping[str, Any], todo: Mapping[str, Any]) -> None:
        before, [written] = self.running.size(), self._own([consent])
        answer = self._posted(written, todo.get("supersedes", ()))
        refused = todo.get("refused")
        if refused is not None:
            assert answer.status_code == refused["status"], answer.text
            says = [each.format(**self.sent) for each in refused.get("says", ())]
            assert all(each in answer.text for each in says), answer.text
            if "at" in refused:
                assert _places(answer.json(), "error") == refused["at"]
            assert self.running.size() == before, "what is refused leaves nothing"
            return
        assert answer.status_code == 201, answer.text
        entries = self.running.entries(before)
        assert {entry.kind for entry in entries} <= {"consent.grant", "consent.revoke"}
        patient = written.get("draft", {}).get("patient", self.patient)
        assert entries[-1].facts["pat"] == f"Patient/{patient}"
        if "draft" in written:
            self.sent[todo["send"]] = answer.json()["id"]
        else:
            assert _places(answer.json(), "warning") == todo.get("warns", [])
            self.sent[todo["send"]] = answer.headers["Location"].rpartition("/")[2]

    def _posted(self, written: Mapping[str, Any], supersedes: Iterable[str]) -> httpx.Response:
        others = [self.sent[name] for name in supersedes]
        if "draft" in written:
            draft = {"patient": self.patient, "scopes": ["patient/*.rs"], "supersedes": others}
            return operator(self.running, "POST", "/admin/consents", {**draft, **written["draft"]})
        release = written.get("release", "R4")
        tree = resource(
            "R5" if release == "R5" else "R4",
            {name: value for name, value in written.items() if name != "release"},
        )
        tree = json.loads(json.dumps(tree).replace("Patient/pat-a", f"Patient/{self.patient}"))
        return self._sent_as(tree, release, *others)

    def _read_back(self, consent: str, release: str, *, fits: bool) -> None:
        """In a release that has room for it; sent again, it is the same."""
        tree, status = self._shown(consent, release)
        assert status == (200 if fits else 406), tree
        if fits:
            assert (tree["resourceType"], tree["id"]) == ("Consent", consent)
            answer = self._sent_as(tree, release)
            assert answer.status_code == 201, answer.text
            again = answer.headers["Location"].rpartition("/")[2]
            assert ({**self._shown(again, release)[0], "id": consent}, status) == (tree, 200)
        else:
            assert tree["issue"][0]["diagnostics"].startswith(("root", "Consent:")), tree

    def _shown(self, consent: str, release: str) -> tuple[dict[str, Any], int]:
        address, media_type = f"/admin/consents/{consent}", MEDIA_TYPE.format(FHIR_VERSIONS[release])
        answer = operator(self.running, "GET", address, Accept=media_type)
        return answer.json(), answer.status_code

    def _sent_as(self, tree: Mapping[str, Any], release: str, *others: str) -> httpx.Response:
        address = "?".join(["/admin/consents", *(f"supersede={other}" for other in others)])
        media_type = MEDIA_TYPE.format(FHIR_VERSIONS[release])
        return operator(self.running, "POST", address, tree, **{"Content-Type": media_type})

    def _revoke(self, _: object, todo: Mapping[str, Any], *, stop: bool = False) -> None:
        consent = self.sent[todo["stop" if stop else "revoke"]]
        body = {"reason": "patient-request", "stop": stop}
        answer = operator(self.running, "POST", f"/admin/consents/{consent}/revoke", body)
        assert answer.status_code == 200, answer.text
        assert self.running.entries(answer.json()["entry"])[0].kind == "consent.revoke"

    def _stop(self, consent: object, todo: Mapping[str, Any]) -> None:
        self._revoke(consent, todo, stop=True)

    # --- Looking -----------------------------------------------------------------------------------

    def _look(self, todo: Mapping[str, Any]) -> None:
        claims = {**READER, **todo.get("as", {})}
        token = self.running.token(todo.get("scopes", "patient/*.rs"), self.patient, **claims)
        seen = {self._ref(name): by for name, by in todo.get("shown", {}).items()}
        unseen = {self._ref(name): by for name, by in todo.get("hidden", {}).items()}
        for ref, by in seen.items():
            done = step(self.running, ref, token)
            assert done.answer.status_code == 200, (ref, done.reason)
            assert shown(done) == {ref}
            self._check_unchanged(ref, done)
            self._check_ground(ref, by, done)
        for ref, by in unseen.items():
            done = step(self.running, ref, token)
            assert done.answer.status_code in (403, 404), (ref, done.answer.text)
            reason, _, ground = by.partition(" ")
            assert done.reason == reason, (ref, done.reason)
            self._check_ground(ref, ground, done)
        for kind in sorted({ref.partition("/")[0] for ref in (*seen, *unseen)} - {"Patient"}):
            self._search(kind, {*seen}, {*unseen}, token)

    def _search(self, kind: str, seen: set[str], unseen: set[str], token: str) -> None:
        done = step(self.running, f"{kind}?_count=50", token)
        found = shown(done) if done.answer.status_code == 200 else set()
        assert found & unseen == set()
        assert {ref for ref in seen if ref.startswith(f"{kind}/")} <= found

    def _check_preview(self) -> None:
        """A draft about nobody here changes nothing: what its preview counts is what reads then give."""
        nobody = {"grantees": ["practitioner:s-nobody"], "scopes": ["patient/*.rs"], "effect": "deny"}
        body = {
            "draft": {"patient": self.patient, **nobody},
            "as": [["practitioner:s-ann"], ["practitioner:s-bob"]],
        }
        answer = operator(self.running, "POST", "/admin/preview", body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["whole"]
        viewers = answer.json()["viewers"]
        assert {*map(str, (each["who"] for each in viewers))} == {
            "['practitioner:s-ann']",
            "['practitioner:s-bob']",
        }
        for viewer in viewers:
            assert (viewer["gained"], viewer["lost"]) == ([], [])
            [who], purpose = viewer["who"], viewer["purpose"]
            user = who.replace("practitioner:", "Practitioner/")
            token = self.running.token(patient=self.patient, fhirUser=user, purpose_of_use=purpose)
            for kind in ("Condition", "Observation", "Encounter"):
                done = step(self.running, f"{kind}?_count=50", token)
                found = shown(done) if done.answer.status_code == 200 else set()
                assert len(found) == viewer["types"].get(kind, {"shown": 0})["shown"], (viewer, kind, found)

    def _check_unchanged(self, ref: str, done: Step) -> None:
        stored = self.upstream.get(ref)
        if b'"security"' not in stored.content:
            assert done.answer.content == stored.content

    def _check_ground(self, ref: str, by: str, done: Step) -> None:
        """That what `by` says decided: a consent, perhaps a node of it, or no consent but a ground."""
        name, _, node = by.partition(" ")
        if name in GROUNDS:
            assert (done.consent, done.nodes) == (None, {name} - {"-"}), ref
        elif name:
            shown = operator(self.running, "GET", f"/admin/consents/{self.sent[name]}").json()
            entries = [each["entry"] for each in shown["entries"]]
            assert done.consent in entries, ref
            assert not node or done.nodes == {f"{done.consent}/{node}"}, (ref, done.nodes)

    def _ref(self, name: str) -> str:
        ident = self.patient if name == "patient" else f"{self.patient}-{name}"
        return f"{self._types[ident]}/{ident}"

    def _own(self, said: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        own: list[dict[str, Any]] = json.loads(json.dumps([*said]).replace("{p}", self.patient))
        return own


def _places(outcome: Mapping[str, Any], severity: str) -> list[str]:
    issues = outcome.get("issue", [])
    return [place for each in issues if each["severity"] == severity for place in each.get("expression", [])]
