"""A registered client: who it is, how it proves that, and the most it can ever be given.

Having a `Client` is the proof that its parts go together: a grant it cannot authenticate for, an address
that is not exact, or a key nobody may see cannot be registered (SMART App Launch 2.2 "Register App",
RFC 6749 section 2, RFC 8252). Its secret is not here, and nothing here says what it was granted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from gateway.core.smart import kinds
from gateway.core.smart.client_keys import PublicKey, check_keys
from gateway.core.smart.uris import check_app, check_https, check_web, origin

AuthMethod = Literal[
    "none",
    "client_secret_basic",
    "client_secret_post",
    "private_key_jwt",
    "tls_client_auth",
    "self_signed_tls_client_auth",
]
GrantType = Literal["authorization_code", "refresh_token", "client_credentials"]
Kind = Literal["public", "symmetric", "asymmetric"]

AUTH_METHODS: Final[tuple[AuthMethod, ...]] = get_args(AuthMethod)
GRANT_TYPES: Final[tuple[GrantType, ...]] = get_args(GrantType)
KINDS: Final[dict[AuthMethod, Kind]] = {
    "none": "public",
    "client_secret_basic": "symmetric",
    "client_secret_post": "symmetric",
    "private_key_jwt": "asymmetric",
    "tls_client_auth": "asymmetric",
    "self_signed_tls_client_auth": "asymmetric",
}
BY_KEYS: Final = ("private_key_jwt", "self_signed_tls_client_auth")
# What of a certificate's holder can be registered (RFC 8705 section 2.1.2): its subject or one of its names.
SUBJECTS: Final = (
    "tls_client_auth_subject_dn",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_uri",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
)
MAX_URIS = 20
MAX_SCOPES = 200
MAX_TEXT = 200
MAX_SUBJECT = 512

_SCOPE = re.compile(r"[!#-\[\]-~]{1,512}")  # RFC 6749 section 3.3: no space, quote or backslash


@dataclass(frozen=True, slots=True)
class Client:
    """A client of the authorization server. Raises `ValueError`, in words that quote nothing, when built.

    `scopes` is its ceiling, as written: no grant goes beyond it. An asymmetric client has its public keys
    by value (`keys`) or by address (`jwks_uris`, which it may have several of); where its own certificates
    prove it, each key has one. With certificates of an authority it has a `certificate_subject` instead, one
    of `SUBJECTS` and its value. All its tokens may be bound to its certificate, or to its key (DPoP). The
    last five are for the page where a person decides, and are the client's own words.
    """

    id: str
    name: str
    auth_method: AuthMethod = "client_secret_basic"
    redirect_uris: tuple[str, ...] = ()
    launch_uris: tuple[str, ...] = ()
    grant_types: tuple[GrantType, ...] = ("authorization_code",)
    scopes: tuple[str, ...] = ()
    keys: tuple[PublicKey, ...] = ()
    jwks_uris: tuple[str, ...] = ()
    certificate_subject: tuple[str, str] | None = None
    certificate_bound: bool = False
    dpop_bound: bool = False
    contacts: tuple[str, ...] = ()
    client_uri: str | None = None
    logo_uri: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None

    def __post_init__(self) -> None:
        _check_names(self)
        _check_grants(self)
        check_redirect_uris(self.redirect_uris, self.auth_method)
        _each(self.launch_uris, "a launch URI", _for_apps(self.auth_method))
        _check_credentials(self)
        for uri in (self.client_uri, self.logo_uri, self.policy_uri, self.tos_uri):
            if uri is not None:
                check_web(uri, "a page or logo")

    @property
    def kind(self) -> Kind:
        return KINDS[self.auth_method]

    @property
    def scope(self) -> str:
        """The ceiling as one `scope` text."""
        return " ".join(self.scopes)

    @property
    def origins(self) -> frozenset[str]:
        """Where its pages run, which is where its redirect URIs lead: the origins that CORS lets in."""
        return frozenset(found for uri in self.redirect_uris if (found := origin(uri)) is not None)


def check_redirect_uris(uris: Sequence[str], auth_method: AuthMethod) -> None:
    """Raises `ValueError` unless `uris` can be registered as redirect URIs of a client of this kind."""
    _each(uris, "a redirect URI", _for_apps(auth_method))


def _check_names(client: Client) -> None:
    try:
        kinds.client(client.id)
    except kinds.Wrong as wrong:
        raise ValueError(f"the client id {wrong}") from wrong
    _printable(client.name, "the client's name")
    _each(client.contacts, "a contact", _printable)
    _distinct(client.scopes, "scopes", MAX_SCOPES)
    if any(_SCOPE.fullmatch(scope) is None for scope in client.scopes):
        raise ValueError("a scope is not a short word that scopes allow (RFC 6749 section 3.3)")


def _check_grants(client: Client) -> None:
    if client.auth_method not in AUTH_METHODS:
        raise ValueError(f"the authentication method is one of {', '.join(AUTH_METHODS)}")
    _distinct(client.grant_types, "grant types", len(GRANT_TYPES))
    if not client.grant_types or not set(client.grant_types) <= set(GRANT_TYPES):
        raise ValueError(f"the grant types are some of {', '.join(GRANT_TYPES)}")
    by_code = "authorization_code" in client.grant_types
    if by_code != bool(client.redirect_uris):
        raise ValueError("redirect URIs are for authorization_code, and needed for it")
    if "refresh_token" in client.grant_types and not by_code:
        # client_credentials never comes with a refresh token (SMART App Launch 2.2, backend services).
        raise ValueError("refresh_token is for clients that also use authorization_code")
    if "client_credentials" in client.grant_types and client.kind != "asymmetric":
        raise ValueError("client_credentials is for clients that authenticate by a key or a certificate")


def _check_credentials(client: Client) -> None:
    check_keys(client.keys, certified=client.auth_method == "self_signed_tls_client_auth")
    _each(client.jwks_uris, "a key set's address", check_https)
    if client.auth_method not in BY_KEYS:
        if client.keys or client.jwks_uris:
            raise ValueError(f"keys are for clients that authenticate by {' or '.join(BY_KEYS)}")
    elif bool(client.keys) == bool(client.jwks_uris):
        raise ValueError(f"{client.auth_method} needs keys either by value or by address")
    if (client.auth_method == "tls_client_auth") != (client.certificate_subject is not None):
        raise ValueError("a subject of certificates is for tls_client_auth, and needed for it")
    if client.certificate_subject is not None:
        _check_subject(*client.certificate_subject)
    if client.certificate_bound and client.dpop_bound:
        raise ValueError("tokens are bound to a certificate or to a key, not to both")


def _check_subject(name: str, value: str) -> None:
    if name not in SUBJECTS:
        raise ValueError(f"the subject of a certificate is one of {', '.join(SUBJECTS)}")
    if not 0 < len(value) <= MAX_SUBJECT or not value.isprintable() or value != value.strip():
        raise ValueError(f"{name} is not a line of 1 to {MAX_SUBJECT} printable characters")


def _for_apps(auth_method: AuthMethod) -> Callable[[str, str], None]:
    """Private-use schemes are for native apps, which cannot keep a secret (RFC 8252 section 8.4)."""
    return check_app if auth_method == "none" else check_web


def _each(values: Sequence[str], what: str, check: Callable[[str, str], None]) -> None:
    _distinct(values, f"values, each {what}", MAX_URIS)
    for value in values:
        check(value, what)


def _distinct(values: Sequence[str], what: str, most: int) -> None:
    if len(values) > most or len(set(values)) != len(values):
        raise ValueError(f"there are more than {most} {what}, or one of them twice")


def _printable(text: str, what: str) -> None:
    """People read it on the page where they decide, so nothing in it may hide, break or turn the line."""
    if not 0 < len(text) <= MAX_TEXT or not text.isprintable() or not text.strip():
        raise ValueError(f"{what} is not a line of 1 to {MAX_TEXT} printable characters")
