"""Sites for a browser: applications served on the loopback, at an address that they know as their own."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.support.asgi import serve

T = TypeVar("T")
DAY = datetime.timedelta(days=1)


def done(work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives, run to its end in another thread: this one's event loop is Playwright's."""
    given: T = aside(asyncio.run, work)
    return given


def aside(call: Callable[..., T], *arguments: Any) -> T:
    """What a call gives that runs an event loop of its own, made in another thread for the same reason."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(call, *arguments).result()


@contextmanager
def served(make: Callable[[str], ASGIApp], host: str = "127.0.0.1", tls: Path | None = None) -> Iterator[str]:
    """The address of the application that `make` makes of its address: `http://host:port`, no closing slash.

    With `tls`, a folder for its certificate, it is https, and browsers must be told to take it as it is.
    """
    made: list[ASGIApp] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await made[0](scope, receive, send)

    options: dict[str, Any] = {} if tls is None else {"ssl_certfile": certificate(tls, host)}
    with serve(application, lifespan="off", **options) as running:
        url = f"{'http' if tls is None else 'https'}://{host}:{running.port}"
        made.append(make(url))
        yield url


def certificate(folder: Path, host: str) -> Path:
    """A file with a new key and a certificate for `host` that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "site.pem"
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path
