"""Every way a request can fail, each with its HTTP status and FHIR issue code.

    ConsentryError
    ├── BadRequest 400          ├── MisdirectedRequest 421
    ├── Unauthenticated 401     ├── HeadersTooLarge 431
    ├── Forbidden 403           ├── UpstreamUnusable 502
    ├── NotFound 404            ├── LedgerUnavailable 503
    ├── MethodNotAllowed 405    ├── UpstreamTimeout 504
    ├── NotAcceptable 406       ├── ConfigError        command line, exit status 2
    ├── Gone 410                ├── VerificationFailed command line, exit status 1
    ├── PayloadTooLarge 413     └── StateUnavailable 503
    ├── UriTooLong 414
    ├── UnsupportedMediaType 415
    └── OAuthError               its own status, and an OAuth error code for the body

What an error says is public: it is written for the caller, names no stored data and never quotes
the upstream. The cause is chained (`raise ... from`): the operator's log has its type, and what it says
only if it is a `Cause` of ours.
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal

Scheme = Literal["Bearer", "DPoP"]


class ConsentryError(Exception):
    """`text` is what the caller reads; `code` is from FHIR's issue-type value set."""

    status: int = 500
    code: ClassVar[str] = "exception"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class BadRequest(ConsentryError):
    status, code = 400, "invalid"


class Unauthenticated(ConsentryError):
    """No token (`oauth_error` None) or one that is not accepted (RFC 6750 section 3.1).

    `scheme` is the one to come back with, if it is not that of the request: DPoP for a token that is bound to
    a key (RFC 9449 section 7.1).
    """

    status, code = 401, "login"

    def __init__(
        self,
        text: str,
        oauth_error: str | None = "invalid_token",
        scheme: Scheme | None = None,
    ) -> None:
        super().__init__(text)
        self.oauth_error = oauth_error
        self.scheme = scheme


class Forbidden(ConsentryError):
    """A valid token asks for what it may not have. `reason` is a code for the ledger, not for the caller."""

    status, code = 403, "forbidden"

    def __init__(self, text: str, reason: str = "insufficient_scope") -> None:
        super().__init__(text)
        self.reason = reason


class NotFound(ConsentryError):
    """Hidden and missing instances raise this one error with this one text."""

    status, code = 404, "not-found"

    def __init__(self, text: str = "There is no such resource.") -> None:
        super().__init__(text)


class MethodNotAllowed(ConsentryError):
    status, code = 405, "not-supported"


class NotAcceptable(ConsentryError):
    status, code = 406, "not-supported"


class Gone(ConsentryError):
    status, code = 410, "deleted"


class PayloadTooLarge(ConsentryError):
    status, code = 413, "too-long"


class UriTooLong(ConsentryError):
    status, code = 414, "too-long"


class UnsupportedMediaType(ConsentryError):
    status, code = 415, "not-supported"


class MisdirectedRequest(ConsentryError):
    status, code = 421, "invalid"


class HeadersTooLarge(ConsentryError):
    status, code = 431, "too-long"


class UpstreamUnusable(ConsentryError):
    """The upstream did not answer, or answered what cannot be filtered; nothing of it is quoted."""

    status, code = 502, "transient"

    def __init__(self, text: str = "The record server gave no usable answer.") -> None:
        super().__init__(text)


class LedgerUnavailable(ConsentryError):
    """The read could not be recorded, or the consents could not be read; nothing is released."""

    status, code = 503, "transient"

    def __init__(self, text: str = "The ledger is not available, so nothing can be released.") -> None:
        super().__init__(text)


class StateUnavailable(ConsentryError):
    """The authorization server's own database cannot be used; nothing is issued."""

    status, code = 503, "transient"

    def __init__(self, text: str = "The authorization server is not available.") -> None:
        super().__init__(text)


class UpstreamTimeout(ConsentryError):
    status, code = 504, "timeout"

    def __init__(self, text: str = "The record server took too long.") -> None:
        super().__init__(text)


class Cause(Exception):
    """Why something failed, in our own words: they go to the operator's log, which foreign words do not,
    as those may hold an address, a credential or a record."""


class ConfigError(ConsentryError):
    """Something the operator wrote is wrong; the text says what and what to do about it."""


class VerificationFailed(ConsentryError):
    """A log, proof or receipt does not hold; the text names the place."""


OAuthCode = Literal[
    # RFC 6749 sections 4.1.2.1 and 5.2
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "invalid_scope",
    "access_denied",
    "server_error",
    "temporarily_unavailable",
    # RFC 6750 section 3.1, RFC 7009 section 2.2.1, RFC 9449 sections 5 and 8
    "invalid_token",
    "insufficient_scope",
    "unsupported_token_type",
    "invalid_dpop_proof",
    "use_dpop_nonce",
    # RFC 7591 section 3.2.2
    "invalid_redirect_uri",
    "invalid_client_metadata",
    # OpenID Connect Core section 3.1.2.6
    "login_required",
    "consent_required",
    "interaction_required",
    "account_selection_required",
    "request_not_supported",
    "request_uri_not_supported",
    "registration_not_supported",
]
_DESCRIPTION = re.compile(r"[ !#-\[\]-~]+")  # RFC 6749 section 5.2: printable ASCII, no quote or backslash


class OAuthError(ConsentryError):
    """The authorization server's no: `error` is the code of the answer, `text` its `error_description`.

    As OAuth gives one code several statuses, each instance has its own. Raises ValueError for a text that
    RFC 6749 does not allow, which is why such a text never quotes what a caller sent.
    """

    code = "security"

    def __init__(self, error: OAuthCode, text: str, status: int = 400) -> None:
        if _DESCRIPTION.fullmatch(text) is None:
            raise ValueError("an error description is one line of ASCII without quotes and backslashes")
        super().__init__(text)
        self.error = error
        self.status = status
