"""The settings themselves: name, type, kind, default and help of each, in one place.

Each field carries its row of the reference. Having a `Settings` means that `load` checked all of
it. Defaults are raw, as one would write them in the file, and are read by the same checks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, get_type_hints

from gateway.config import kinds
from gateway.config.consent import Consent
from gateway.config.glass import BreakGlass
from gateway.config.kinds import Secret
from gateway.config.labels import Labels
from gateway.config.rows import Row
from gateway.config.studies import Study
from gateway.config.transport import ADDRESS_HEADER, NETWORKS, Network, Tls

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where the gateway listens, and how it is reached."""

    host: Annotated[str, Row(kinds.HOST, "Address to listen on.", "127.0.0.1")]
    port: Annotated[int, Row(kinds.PORT, "TCP port to listen on.", 8080)]
    public_url: Annotated[
        str, Row(kinds.SERVER_URL, "What clients put before every path; also the gateway's own issuer.")
    ]
    workers: Annotated[int, Row(kinds.whole_number(1, 64), "Server processes.", 1)]
    http: Annotated[str, Row(kinds.HTTP, "The HTTP parser; both pass the same tests.", "httptools")]
    log_level: Annotated[str, Row(kinds.LOG_LEVEL, "The least severe message that is logged.", "info")]
    max_body_bytes: Annotated[
        int, Row(kinds.BYTES, "Longest request body; a longer one is refused with 413.", 8 * MIB)
    ]
    trusted_proxies: Annotated[
        tuple[Network, ...],
        Row(
            NETWORKS,
            "Addresses or networks of the proxies in front, which alone are believed about who sent a "
            "request: its address, and its certificate.",
            [],
        ),
    ]
    client_address_header: Annotated[
        str,
        Row(
            ADDRESS_HEADER,
            "The header in which trusted proxies add the address that they were asked from; the other one is "
            "not looked at.",
            "X-Forwarded-For",
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The log of consents and accesses. Relative paths count from the file."""

    origin: Annotated[
        str,
        Row(
            kinds.ORIGIN, "The log's name in every checkpoint. It never changes once the ledger has entries."
        ),
    ]
    store: Annotated[Path, Row(kinds.STORE, "Where the entries are kept.", "sqlite:///ledger.db")]
    keys: Annotated[
        Path,
        Row(
            kinds.FOLDER,
            "Log key, gateway key and key-encryption key, made by `consentry keys init`.",
            "keys",
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """One FHIR server behind the gateway."""

    name: Annotated[
        str, Row(kinds.NAME, "What `check-config` and `consentry token --upstream` call it; unique.")
    ]
    path: Annotated[str, Row(kinds.UPSTREAM_PATH, "Where clients find it, below `public_url`; unique.")]
    base_url: Annotated[str, Row(kinds.BASE_URL, "Its FHIR base.")]
    fhir_version: Annotated[str, Row(kinds.FHIR_VERSION, "Its FHIR release.")]
    authorization: Annotated[
        Secret | None,
        Row(kinds.SECRET, "`Authorization` that the gateway itself sends it; best set by environment.", None),
    ]
    timeout_s: Annotated[
        float, Row(kinds.seconds(600), "Longest wait for its answer; then the client gets 504.", 30)
    ]
    max_body_bytes: Annotated[
        int, Row(kinds.BYTES, "Longest answer that is read; a longer one gives 502.", 64 * MIB)
    ]
    max_count: Annotated[
        int, Row(kinds.whole_number(1, 10_000), "Most entries on a page; a larger `_count` is cut.", 200)
    ]
    narrow_limit: Annotated[
        int, Row(kinds.whole_number(1, 1000), "Most patients that one upstream search is narrowed to.", 50)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """A foreign issuer of access tokens."""

    issuer: Annotated[str, Row(kinds.ISSUER_URL, "The `iss` of its tokens, letter for letter; unique.")]
    jwks: Annotated[Path | str, Row(kinds.KEY_SET, "Its public keys; plain http only on the loopback.")]
    audience: Annotated[
        str,
        Row(
            kinds.AUDIENCE,
            "The `aud` that its tokens must name: with several upstreams, the FHIR base of one.",
        ),
    ]
    binding: Annotated[
        str,
        Row(
            kinds.BINDING,
            'What binds its tokens to consents: their own `consent` claim, or, with `"lookup"`, '
            "the live consents of their client, user and patient.",
            "claim",
        ),
    ]
    algorithms: Annotated[
        tuple[str, ...],
        Row(
            kinds.choices(*kinds.ALGORITHMS),
            "Signature algorithms that are accepted; only asymmetric ones exist.",
            list(kinds.ALGORITHMS),
        ),
    ]
    default_purpose: Annotated[str, Row(kinds.PURPOSE, "Purpose of use of tokens that name none.", "TREAT")]
    max_lifetime_s: Annotated[
        int,
        Row(kinds.whole_number(1, 86_400), "Longest accepted time from `iat` to `exp`, in seconds.", 86_400),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """The gateway's own authorization server."""

    registration: Annotated[
        str,
        Row(
            kinds.REGISTRATION,
            "Who may register a client at `/auth/register`: nobody, whoever has `registration_token`, "
            "or anybody. `consentry client add` works in any case.",
            "closed",
        ),
    ]
    registration_token: Annotated[
        Secret | None,
        Row(kinds.SECRET, 'What registering takes with `"token"`; best set by environment.', None),
    ]
    local_log_in: Annotated[
        bool,
        Row(
            kinds.BOOLEAN,
            "Whether people log in here, with a password; with `false` only at `[[login_providers]]`.",
            True,
        ),
    ]
    majority: Annotated[
        int,
        Row(
            kinds.whole_number(1, 99),
            "The age from which parents and guardians act for a patient no more, where "
            "`consentry user allow` is told the birth date.",
            18,
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginProvider:
    """An OpenID Connect provider that people log in at."""

    name: Annotated[
        str, Row(kinds.NAME, "The end of our redirect address there, `/auth/login/callback/NAME`; unique.")
    ]
    title: Annotated[str, Row(kinds.TITLE, "What people call it: `Log in with TITLE`.")]
    issuer: Annotated[
        str, Row(kinds.PROVIDER_URL, "Its issuer, letter for letter; http only on the loopback; unique.")
    ]
    client_id: Annotated[str, Row(kinds.CLIENT, "What it knows this gateway by.")]
    client_secret: Annotated[
        Secret | None,
        Row(
            kinds.SECRET,
            "What this gateway proves itself with (`client_secret_basic`); best set by environment.",
            None,
        ),
    ]
    client_key: Annotated[
        Path | None,
        Row(kinds.FILE, "Or a file with a private JWK to prove itself with (`private_key_jwt`).", None),
    ]
    scopes: Annotated[
        tuple[str, ...], Row(kinds.SCOPES, "What it is asked for; `openid` is needed.", ["openid"])
    ]
    subject_claim: Annotated[
        str,
        Row(
            kinds.CLAIM,
            "The claim that `consentry user link --subject` is about. An `email` counts only if it is "
            "verified.",
            "sub",
        ),
    ]
    fhir_user_base: Annotated[
        str | None,
        Row(
            kinds.BASE_URL,
            "A FHIR base whose people are ours by the same ids: `fhirUser` claims below it, and relative "
            "ones, are believed. Without it none is.",
            None,
        ),
    ]
    second_factor: Annotated[
        tuple[str, ...] | None,
        Row(
            kinds.METHODS,
            "Values of `amr` or `acr` that stand for two factors; people with a second factor here are not "
            "asked for it then.",
            None,
        ),
    ]
    max_age_s: Annotated[
        int | None,
        Row(
            kinds.whole_number(1, 30 * 86_400),
            "Longest time since people logged in there, in seconds; then they do so again.",
            None,
        ),
    ]
    algorithms: Annotated[
        tuple[str, ...],
        Row(
            kinds.choices(*kinds.ALGORITHMS),
            "Signature algorithms that its id_tokens may have; only asymmetric ones exist.",
            list(kinds.ALGORITHMS),
        ),
    ]
    resource: Annotated[
        str | None,
        Row(
            kinds.BASE_URL,
            "Sent along as `resource` (RFC 8707), for a provider that wants it: another Consentry does.",
            None,
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All of the file. The gateway's own issuer is `issuer`; it is not among `issuers`."""

    server: Server
    tls: Tls
    ledger: Ledger
    auth: Auth
    consent: Consent
    labels: Labels
    break_glass: BreakGlass
    upstreams: tuple[Upstream, ...]
    issuers: tuple[Issuer, ...]
    login_providers: tuple[LoginProvider, ...]
    studies: tuple[Study, ...]

    @property
    def issuer(self) -> str:
        return self.server.public_url

    def audience(self, upstream: Upstream) -> str:
        """The `aud` of the gateway's own tokens for `upstream`: its FHIR base as clients see it."""
        return fhir_base(self.server.public_url, upstream.path)

    def issuers_of(self, upstream: Upstream) -> tuple[Issuer, ...]:
        """Those whose tokens are for `upstream`. An audience that is no FHIR base of ours is another name
        for the only one we have: with several, `load` refuses it."""
        base, only = self.audience(upstream), len(self.upstreams) == 1
        return tuple(issuer for issuer in self.issuers if only or issuer.audience == base)


def fhir_base(public_url: str, path: str) -> str:
    """The FHIR base of the upstream at `path`, as clients see it."""
    return public_url + path


SECTIONS: Final[dict[str, type]] = {
    "server": Server,
    "server.tls": Tls,
    "ledger": Ledger,
    "auth": Auth,
    "consent": Consent,
    "labels": Labels,
    "break_glass": BreakGlass,
    "upstreams": Upstream,
    "issuers": Issuer,
    "login_providers": LoginProvider,
    "studies": Study,
}
LISTS: Final = ("upstreams", "issuers", "login_providers", "studies")
SETTINGS: Final[dict[str, dict[str, Row]]] = {
    section: {name: hint.__metadata__[0] for name, hint in get_type_hints(made, include_extras=True).items()}
    for section, made in SECTIONS.items()
}
