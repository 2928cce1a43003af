"""An https upstream must prove its name, and an answer that its connection cut short is none."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway import errors
from gateway.core.values import Ask, UpstreamReply
from gateway.upstream.client import Upstream
from tests.upstream.scripted import Script, answer, chunked, in_turn, response, saying, upstream

READ = Ask("/Patient/a")
RIGHT = b'{"right":1}'
DAY = datetime.timedelta(days=1)


class Authority:
    """One that signs certificates for whatever name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority")])
        basic = x509.BasicConstraints(ca=True, path_length=0)
        self._certificate = self._signed(self._name, self._key, basic, critical=True)

    def client(self) -> ssl.SSLContext:
        """What believes this authority."""
        file = self._folder / "authority.pem"
        file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        return ssl.create_default_context(cafile=file)

    def server(self, name: x509.GeneralName, until: datetime.timedelta = DAY) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([name])
        certificate = self._signed(x509.Name([]), key, names, critical=True, until=until)
        file = self._folder / "server.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file)
        return context

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        extension: x509.ExtensionType,
        *,
        critical: bool,
        until: datetime.timedelta = DAY,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * DAY)
            .not_valid_after(now + until)
            .add_extension(extension, critical=critical)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        )
        return builder.sign(self._key, hashes.SHA256())


LOOPBACK = x509.IPAddress(ip_address("127.0.0.1"))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_a_server_that_proves_its_address_is_asked_and_its_connection_kept(
    authority: Authority,
) -> None:
    async with upstream(answer(RIGHT), server_tls=authority.server(LOOPBACK), tls=authority.client()) as (
        client,
        server,
    ):
        for _ in range(3):
            assert await client.fetch(READ) == UpstreamReply(200, RIGHT)
        assert (server.connections, len(server.requests)) == (1, 3)


async def test_a_server_that_proves_its_name_is_asked(authority: Authority) -> None:
    tls = authority.server(x509.DNSName("localhost"))
    async with upstream(answer(RIGHT), host="localhost", server_tls=tls, tls=authority.client()) as (
        client,
        _,
    ):
        assert await client.fetch(READ) == UpstreamReply(200, RIGHT)


NOT_BELIEVED: dict[str, Callable[[Authority], tuple[ssl.SSLContext, ssl.SSLContext | None]]] = {
    "another address": lambda a: (a.server(x509.IPAddress(ip_address("127.0.0.2"))), a.client()),
    "a name": lambda a: (a.server(x509.DNSName("localhost")), a.client()),
    "the address as a name": lambda a: (a.server(x509.DNSName("127.0.0.1")), a.client()),
    "out of date": lambda a: (a.server(LOOPBACK, until=-DAY), a.client()),
    "an authority that the system does not know": lambda a: (a.server(LOOPBACK), None),
    "another authority": lambda a: (a.server(LOOPBACK), Authority(a._folder).client()),
}


@pytest.mark.parametrize("contexts", NOT_BELIEVED.values(), ids=NOT_BELIEVED)
async def test_a_server_that_does_not_is_told_nothing(
    authority: Authority, contexts: Callable[[Authority], tuple[ssl.SSLContext, ssl.SSLContext | None]]
) -> None:
    server_tls, tls = contexts(authority)
    async with upstream(answer(), server_tls=server_tls, tls=tls, authorization="Basic abc") as (
        client,
        server,
    ):
        with pytest.raises(errors.UpstreamUnusable):
            await client.fetch(READ)
        assert server.requests == []


async def test_a_server_without_tls(authority: Authority) -> None:
    async with upstream(answer()) as (client, server):
        url = client.base_url.replace("http:", "https:")
        async with Upstream(url, timeout_s=0.5, max_bytes=10, tls=authority.client()) as other:
            with pytest.raises((errors.UpstreamUnusable, errors.UpstreamTimeout)):
                await other.fetch(READ)
        assert server.requests == []


async def test_a_server_that_never_shakes_hands() -> None:
    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.close()

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with Upstream(url, timeout_s=0.1, max_bytes=10) as client:
        with pytest.raises(errors.UpstreamTimeout):
            await client.fetch(READ)
    await asyncio.sleep(0.3)
    listener.close()


async def cut_off(writer: asyncio.StreamWriter) -> None:
    """The connection ends without TLS saying so, as when somebody on the way ends it."""
    writer.write(response()[:-1])
    await writer.drain()
    await asyncio.sleep(0.01)
    writer.transport.abort()


@pytest.mark.parametrize("words", [b"", b"SSH-2.0-OpenSSH_9.2p1\r\n"], ids=["hangs up", "speaks"])
@pytest.mark.parametrize("secured", [False, True], ids=["http", "https"])
async def test_a_server_that_does_not_wait_to_be_asked(
    authority: Authority, words: bytes, secured: bool
) -> None:
    """Its words and its end may come together with the end of the handshake."""

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        writer.close()

    tls = authority.server(LOOPBACK) if secured else None
    listener = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    url = f"http{'s' * secured}://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with Upstream(url, timeout_s=5, max_bytes=10, tls=authority.client()) as client:
        for _ in range(20):
            with pytest.raises(errors.UpstreamUnusable):
                await client.fetch(READ)
    listener.close()


NOT_WHOLE = {
    "cut by its server": saying(response()[:-1], then_close=True),
    "cut on the way": cut_off,
    "cut before the last chunk": saying(chunked(b"{}")[:-5], then_close=True),
    "until the end of the connection": saying(b"HTTP/1.1 200 OK\r\n\r\n{}", then_close=True),
    "more than an answer": saying(response() + response(b'{"poison":1}')),
}


@pytest.mark.parametrize("script", NOT_WHOLE.values(), ids=NOT_WHOLE)
async def test_what_is_not_a_whole_answer_is_none(authority: Authority, script: Script) -> None:
    tls: Any = {"server_tls": authority.server(LOOPBACK), "tls": authority.client()}
    async with upstream(in_turn(script, answer(RIGHT)), **tls) as (client, server):
        with pytest.raises(errors.UpstreamUnusable):
            await client.fetch(READ)
        assert await client.fetch(READ) == UpstreamReply(200, RIGHT)
        assert server.connections == 2


async def test_a_kept_connection_that_was_closed_is_made_again(authority: Authority) -> None:
    tls: Any = {"server_tls": authority.server(LOOPBACK), "tls": authority.client()}
    async with upstream(saying(response(RIGHT), then_close=True), **tls) as (client, server):
        for _ in range(3):
            assert await client.fetch(READ) == UpstreamReply(200, RIGHT)
        assert server.connections == 3
