"""What a setting may be: each kind has the check that turns raw input into a value.

A check takes what TOML gave (or what `from_text` made of an environment variable) and the folder
that relative paths count from. It raises `ValueError` with a sentence that tells the operator what
to write, and never quotes the input, which may hold a password.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

ALGORITHMS = ("ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512", "EdDSA")
RESERVED_PATHS = (
    "/.well-known", "/auth", "/ledger", "/console", "/admin", "/healthz", "/readyz", "/metrics",
)  # fmt: skip

_LABEL = "[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?"
_HOST_NAME = re.compile(rf"({_LABEL}\.)*(?![0-9]+$){_LABEL}")
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_URL = re.compile(
    r"[A-Za-z0-9._~:/?#@!$&'()*+,;=%\[\]-]+"
)  # RFC 3986 section 2: all that a URL is written in
_DOTS = re.compile(r"\.{1,2}")


@dataclass(frozen=True, slots=True)
class Secret:
    """Text that is shown only to who asks for `value`."""

    value: str

    def __repr__(self) -> str:
        return "Secret('**********')"


@dataclass(frozen=True, slots=True)
class Kind:
    """`label` names the kind in the reference; `from_text` reads an environment variable."""

    label: str
    check: Callable[[object, Path], object]
    from_text: Callable[[str], object] = str


def whole_number(low: int, high: int) -> Kind:
    def check(raw: object, _: Path) -> int:
        if not isinstance(raw, int) or isinstance(raw, bool) or not low <= raw <= high:
            raise ValueError(f"write a whole number from {low} to {high}")
        return raw

    return Kind("whole number", check, _number)


def seconds(high: int) -> Kind:
    def check(raw: object, _: Path) -> float:
        if not isinstance(raw, int | float) or isinstance(raw, bool) or not 0 < raw <= high:
            raise ValueError(f"write a number of seconds above 0 and up to {high}")
        return float(raw)

    return Kind("seconds", check, _number)


def choice(*known: str) -> Kind:
    def check(raw: object, _: Path) -> str:
        if not isinstance(raw, str) or raw not in known:
            raise ValueError(f"write one of {_listed(known)}")
        return raw

    return Kind(" or ".join(f'"{name}"' for name in known), check)


def choices(*known: str) -> Kind:
    def check(raw: object, _: Path) -> tuple[str, ...]:
        names = raw if isinstance(raw, list) else []
        if not names or any(name not in known for name in names) or len(set(names)) != len(names):
            raise ValueError(f"write a list of one or more of {_listed(known)}, each once")
        return tuple(names)

    return Kind("list", check, lambda text: [name.strip() for name in text.split(",")])


def words(pattern: str, expected: str, needed: str | None = None) -> Kind:
    """A list of texts of one pattern, with `needed` among them."""
    compiled = re.compile(pattern)

    def check(raw: object, _: Path) -> tuple[str, ...]:
        found = raw if isinstance(raw, list) else []
        good = all(isinstance(word, str) and compiled.fullmatch(word) for word in found)
        if not found or not good or len(set(found)) != len(found) or needed not in (None, *found):
            raise ValueError(expected)
        return tuple(found)

    return Kind("list", check, lambda text: [word.strip() for word in text.split(",")])


def matching(label: str, pattern: str, expected: str) -> Kind:
    compiled = re.compile(pattern)

    def check(raw: object, _: Path) -> str:
        if not isinstance(raw, str) or compiled.fullmatch(raw) is None:
            raise ValueError(expected)
        return raw

    return Kind(label, check)


def _host(raw: object, _: Path) -> str:
    if not isinstance(raw, str) or not _is_host(raw):
        raise ValueError('write a host name or an IP address, such as "127.0.0.1"')
    return raw


def _boolean(raw: object, _: Path) -> bool:
    if not isinstance(raw, bool):
        raise ValueError("write true or false")
    return raw


def _server_url(raw: object, _: Path) -> str:
    url = _http_url(raw)
    if url.path not in ("", "/"):
        raise ValueError("write scheme, host and port alone; paths belong to the upstreams")
    return url._replace(path="", netloc=url.netloc.lower()).geturl()


def _base_url(raw: object, _: Path) -> str:
    url = _http_url(raw)
    return url._replace(netloc=url.netloc.lower()).geturl().rstrip("/")


def _issuer_url(raw: object, _: Path) -> str:
    _http_url(raw)
    return str(raw)  # compared as text (RFC 9068 section 4): a closing slash stays, and so does case


def _provider_url(raw: object, _: Path) -> str:
    url = _http_url(raw)
    if url.scheme != "https" and not _is_loopback(url.hostname or ""):
        raise ValueError("use https: over plain http anyone on the way can say who logged in")
    return str(raw)  # compared as text (OpenID Connect Discovery section 4.3)


def _upstream_path(raw: object, _: Path) -> str:
    if not isinstance(raw, str) or _PATH.fullmatch(raw) is None:
        raise ValueError(
            'write a path such as "/fhir": a slash, then letters, digits and . _ ~ -, no closing slash'
        )
    first, *rest = raw[1:].split("/")
    if any(_DOTS.fullmatch(segment) for segment in (first, *rest)):
        raise ValueError('write a path without "." and ".." segments')
    if f"/{first}" in RESERVED_PATHS:
        raise ValueError(f"choose another path: the gateway itself answers below {_listed(RESERVED_PATHS)}")
    return raw


def _folder(raw: object, base: Path) -> Path:
    if not isinstance(raw, str) or not raw or "\0" in raw:
        raise ValueError("write the path of a folder")
    return base / raw


def _store(raw: object, base: Path) -> Path:
    if isinstance(raw, str) and raw.startswith(("postgresql:", "postgres:")):
        raise ValueError('this release has no PostgreSQL store; write "sqlite:///ledger.db"')
    if not isinstance(raw, str) or not raw.startswith("sqlite:///") or any(c in raw for c in "?#\0"):
        raise ValueError('write "sqlite:///" and the path of a file, such as "sqlite:///ledger.db"')
    name = raw.removeprefix("sqlite:///")
    if name in ("", ":memory:") or name.endswith("/"):
        raise ValueError("write the path of a file: a ledger has to outlast the process")
    return base / name


def _file(raw: object, base: Path) -> Path:
    if not isinstance(raw, str) or not raw or "\0" in raw or not _is_file(base / raw):
        raise ValueError("write the path of a file that is there")
    return base / raw


def _key_set(raw: object, base: Path) -> Path | str:
    if not isinstance(raw, str) or not raw or "\0" in raw:
        raise ValueError("write the path of a JWK set file or an https URL")
    if "://" not in raw:
        if not _is_file(base / raw):
            raise ValueError("there is no such file; save the issuer's JWK set there, or write its https URL")
        return base / raw
    url = _http_url(raw, query=True)
    if url.scheme != "https" and not _is_loopback(url.hostname or ""):
        raise ValueError("use https: over plain http anyone on the way can replace the keys")
    return url.geturl()


def _secret(raw: object, _: Path) -> Secret:
    if not isinstance(raw, str) or not re.fullmatch(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", raw):
        raise ValueError('write a header value of printable ASCII, such as "Bearer ..."')
    return Secret(raw)


def _http_url(raw: object, *, query: bool = False) -> SplitResult:
    """The parts of an absolute http(s) URL without user, query and fragment (RFC 3986)."""
    try:
        url = urlsplit(raw if isinstance(raw, str) and _URL.fullmatch(raw) else "")
        usable = url.scheme in ("http", "https") and _is_host(url.hostname or "") and url.port != 0
    except ValueError:
        usable = False
    if not usable or any(_DOTS.fullmatch(segment) for segment in url.path.split("/")):
        raise ValueError('write a URL such as "https://host.example/fhir"')
    if "@" in url.netloc:
        raise ValueError("write the URL without user and password")
    if "#" in str(raw) or ("?" in str(raw) and not query):
        raise ValueError("write the URL without query and fragment")
    return url


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, UnicodeEncodeError):  # a name that no file can have
        return False


def _is_host(text: str) -> bool:
    return _is_address(text) or _HOST_NAME.fullmatch(text) is not None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)


def _number(text: str) -> object:
    """A number from an environment variable; anything else stays text, which the check refuses."""
    if re.fullmatch(r"[0-9]{1,18}", text):
        return int(text)
    return float(text) if re.fullmatch(r"[0-9]{1,18}\.[0-9]{1,18}", text) else text


HOST = Kind("host", _host)
PORT = whole_number(1, 65535)
SERVER_URL = Kind("URL", _server_url)
BASE_URL = Kind("URL", _base_url)
ISSUER_URL = Kind("URL", _issuer_url)
UPSTREAM_PATH = Kind("path", _upstream_path)
FOLDER = Kind("folder", _folder)
STORE = Kind("store URL", _store)
KEY_SET = Kind("file or https URL", _key_set)
SECRET = Kind("secret", _secret)
BOOLEAN = Kind("true or false", _boolean, lambda text: {"true": True, "false": False}.get(text, text))
PROVIDER_URL = Kind("URL", _provider_url)
FILE = Kind("file", _file)
BYTES = whole_number(1024, 1 << 30)
HTTP = choice("httptools", "h11")
LOG_LEVEL = choice("debug", "info", "warning", "error")
FHIR_VERSION = choice("R4", "R4B", "R5")
BINDING = choice("claim", "lookup")
REGISTRATION = choice("closed", "token", "open")
NAME = matching(
    "name",
    "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?",
    "write up to 32 lower-case letters, digits and hyphens",
)
# RFC 6749 section 3.3. Without openid there is no id_token (OpenID Connect Core section 3.1.2.1).
SCOPES = words(r"[!#-\[\]-~]+", 'write a list of scopes, "openid" among them, each once', "openid")
METHODS = words("[!-~]{1,255}", "write a list of one or more values of amr or acr, each once")
CLIENT = matching("text", r"[\x21-\x7e]{1,255}", "write the id that the provider knows this gateway by")
CLAIM = matching("name", r"[A-Za-z0-9_:/.-]{1,255}", 'write the name of a claim, such as "sub"')
TITLE = matching(
    "text", r"[^\x00-\x20\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]{0,58}[^\x00-\x20\x7f-\x9f])?",
    "write what people call the provider, up to 60 characters",
)  # fmt: skip
AUDIENCE = matching(
    "text", r"[\x21-\x7e]+", "write the audience that this issuer's tokens name, without spaces"
)
PURPOSE = matching("code", "[A-Z][A-Z0-9]*", 'write a purpose-of-use code, such as "TREAT"')
# C2SP tlog-checkpoint: the origin is a schema-less URL. C2SP signed-note: a key name has no space and no "+".
ORIGIN = matching(
    "text",
    rf"{_LABEL}(\.{_LABEL})*(:[0-9]+)?(/[A-Za-z0-9._~-]+)*",
    'write a name such as "hospital.example/consentry": a URL without its scheme, spaces or "+"',
)
