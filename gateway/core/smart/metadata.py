"""Client metadata: the JSON in which a client registers, is stored and is answered (RFC 7591 section 2).

`read_metadata` and `metadata_json` are each other's inverse. `METADATA` names what is read; other
members are the client's own business and are ignored (RFC 7591 section 2), but a member that is read
has its kind, and what cannot be honoured is refused rather than replaced. Ids and secrets are not given
out here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, cast

from gateway.core.smart.client import (
    AUTH_METHODS,
    SUBJECTS,
    AuthMethod,
    Client,
    GrantType,
    check_redirect_uris,
)
from gateway.core.smart.client_keys import PublicKey, read_certified_keys, read_keys
from gateway.errors import OAuthError

Metadata = Mapping[str, object]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("is not a string")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("is not a list of strings")
    return tuple(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is not true or false")
    return value


def _words(value: object) -> tuple[str, ...]:
    """A `scope`: words parted by spaces, each kept once."""
    return tuple(dict.fromkeys(filter(None, _text(value).split(" "))))


# The members that are read, and the kind of each. `launch_uris` and `jwks_uris` are ours: SMART has several
# launch URLs registered, and RFC 7591 has a name for one address of keys only.
METADATA: Final[dict[str, Callable[[object], object]]] = {
    "client_name": _text,
    "token_endpoint_auth_method": _text,
    "redirect_uris": _texts,
    "launch_uris": _texts,
    "grant_types": _texts,
    "response_types": _texts,
    "scope": _words,
    "jwks": read_keys,
    "jwks_uri": _text,
    "jwks_uris": _texts,
    **dict.fromkeys(SUBJECTS, _text),
    "tls_client_certificate_bound_access_tokens": _flag,
    "dpop_bound_access_tokens": _flag,
    "contacts": _texts,
    "client_uri": _text,
    "logo_uri": _text,
    "policy_uri": _text,
    "tos_uri": _text,
}
# A client that authenticates by its own certificates registers them with its keys (RFC 8705 section 2.2.2).
CERTIFIED: Final = {**METADATA, "jwks": read_certified_keys}
PAGES = ("client_uri", "logo_uri", "policy_uri", "tos_uri")


def read_metadata(value: object, client_id: str) -> Client:
    """The client that registers as decoded JSON `value`, under the id it was assigned.

    Raises `OAuthError` invalid_redirect_uri or invalid_client_metadata (RFC 7591 section 3.2.2).
    """
    if not isinstance(value, Mapping):
        raise _refusal("The client metadata is not a JSON object.")
    method = cast("AuthMethod", value.get("token_endpoint_auth_method", "client_secret_basic"))
    if method not in AUTH_METHODS:
        raise _refusal(f"The token_endpoint_auth_method is not one of {', '.join(AUTH_METHODS)}.")
    kinds = CERTIFIED if method == "self_signed_tls_client_auth" else METADATA
    read = {name: _member(name, kinds[name], value[name]) for name in kinds if name in value}
    redirect_uris = cast("tuple[str, ...]", read.get("redirect_uris", ()))
    try:
        check_redirect_uris(redirect_uris, method)
    except ValueError as wrong:
        raise OAuthError(
            "invalid_redirect_uri", f"The redirect_uris cannot be registered: {wrong}."
        ) from wrong
    try:
        return _client(client_id, method, redirect_uris, read)
    except ValueError as wrong:
        raise _refusal(f"The client cannot be registered: {wrong}.") from wrong


def metadata_json(client: Client) -> dict[str, object]:
    """The client as RFC 7591 writes it (section 3.2.1), without a secret: `read_metadata` gives it back."""
    members: dict[str, object] = {
        "client_id": client.id,
        "client_name": client.name,
        "token_endpoint_auth_method": client.auth_method,
        "redirect_uris": [*client.redirect_uris],
        "launch_uris": [*client.launch_uris],
        "grant_types": [*client.grant_types],
        "scope": client.scope,
        "jwks": {"keys": [key.jwk for key in client.keys]} if client.keys else None,
        "jwks_uri": client.jwks_uris[0] if len(client.jwks_uris) == 1 else None,
        "jwks_uris": [*client.jwks_uris] if len(client.jwks_uris) > 1 else None,
        **dict([client.certificate_subject] if client.certificate_subject else []),
        "tls_client_certificate_bound_access_tokens": client.certificate_bound or None,
        "dpop_bound_access_tokens": client.dpop_bound or None,
        "contacts": [*client.contacts],
        **{name: getattr(client, name) for name in PAGES},
    }
    members = {name: value for name, value in members.items() if value not in (None, [], "")}
    responses = ["code"] if "authorization_code" in client.grant_types else []
    return {**members, "response_types": responses}


def _client(client_id: str, method: AuthMethod, redirect_uris: tuple[str, ...], read: Metadata) -> Client:
    grant_types = cast("tuple[GrantType, ...]", read.get("grant_types", ("authorization_code",)))
    responses = ("code",) if "authorization_code" in grant_types else ()
    if read.get("response_types", responses) != responses:
        raise ValueError("the response_types are code for authorization_code, and none without it")
    return Client(
        id=client_id,
        name=cast("str", read.get("client_name", client_id)),
        auth_method=method,
        redirect_uris=redirect_uris,
        launch_uris=cast("tuple[str, ...]", read.get("launch_uris", ())),
        grant_types=grant_types,
        scopes=cast("tuple[str, ...]", read.get("scope", ())),
        keys=cast("tuple[PublicKey, ...]", read.get("jwks", ())),
        jwks_uris=_addresses(read),
        certificate_subject=_subject(read),
        certificate_bound=bool(read.get("tls_client_certificate_bound_access_tokens")),
        dpop_bound=bool(read.get("dpop_bound_access_tokens")),
        contacts=cast("tuple[str, ...]", read.get("contacts", ())),
        **{name: cast("str | None", read.get(name)) for name in PAGES},
    )


def _addresses(read: Metadata) -> tuple[str, ...]:
    if "jwks_uri" in read and "jwks_uris" in read:
        raise ValueError("keys by address are either jwks_uri or jwks_uris")
    if "jwks_uri" in read:
        return (cast("str", read["jwks_uri"]),)
    return cast("tuple[str, ...]", read.get("jwks_uris", ()))


def _subject(read: Metadata) -> tuple[str, str] | None:
    """RFC 8705 section 2.1.2: exactly one of them."""
    given = [(name, cast("str", read[name])) for name in SUBJECTS if name in read]
    if len(given) > 1:
        raise ValueError(f"the subject of a certificate is one of {', '.join(SUBJECTS)} alone")
    return given[0] if given else None


def _member(name: str, kind: Callable[[object], object], value: object) -> object:
    try:
        return kind(value)
    except ValueError as wrong:
        raise _refusal(f"The client metadata {name} cannot be used: {wrong}.") from wrong


def _refusal(text: str) -> OAuthError:
    return OAuthError("invalid_client_metadata", text)
