"""How requests reach the gateway: what goes together, and what does not."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Settings, load
from gateway.errors import ConfigError

REST = """\
[ledger]
origin = "hospital.example/consentry"
[[upstreams]]
name = "main"
path = "/fhir"
base_url = "http://127.0.0.1:8090/fhir"
fhir_version = "R4"
"""
OWN = 'certificate = "site.pem"\nkey = "site.pem"\n'


def read(
    folder: Path, server: str = "", tls: str = "", *, url: str = "https://gw.example", **environ: Any
) -> Settings:
    for name in ("site.pem", "ca.pem"):
        (folder / name).write_text("PEM")
    config = folder / "consentry.toml"
    config.write_text(f'[server]\npublic_url = "{url}"\n{server}\n[server.tls]\n{tls}\n{REST}')
    return load(config, environ)


def test_without_settings_nothing_is_believed(tmp_path: Path) -> None:
    settings = read(tmp_path)
    assert settings.server.trusted_proxies == ()
    assert (settings.tls.certificate, settings.tls.key, settings.tls.client_ca) == (None, None, None)
    assert not settings.tls.asks


def test_tls_of_its_own(tmp_path: Path) -> None:
    tls = read(tmp_path, tls=OWN + 'client_certificates = "request"\nclient_ca = "ca.pem"').tls
    assert (tls.certificate, tls.key) == (tmp_path / "site.pem", tmp_path / "site.pem")
    assert tls.asks
    assert tls.client_ca == tmp_path / "ca.pem"


def test_by_environment(tmp_path: Path) -> None:
    environ = {
        "CONSENTRY_SERVER__TLS__CERTIFICATE": "site.pem",
        "CONSENTRY_SERVER__TLS__KEY": "site.pem",
        "CONSENTRY_SERVER__TRUSTED_PROXIES": "10.0.0.7, 2001:db8::/32",
    }
    settings = read(tmp_path, **environ)
    assert settings.tls.key == tmp_path / "site.pem"
    assert settings.server.trusted_proxies == (
        ipaddress.ip_network("10.0.0.7/32"),
        ipaddress.ip_network("2001:db8::/32"),
    )


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
def test_behind_a_proxy(tmp_path: Path, header: str) -> None:
    server = f'trusted_proxies = ["10.1.0.0/16"]\nclient_address_header = "{header}"'
    settings = read(tmp_path, server, 'client_certificates = "request"')
    assert settings.server.client_address_header == header
    assert settings.tls.asks


LONE = "certificate and key belong together"
BAD = {
    "a certificate without its key": ("", 'certificate = "site.pem"', LONE),
    "a key without its certificate": ("", 'key = "site.pem"', LONE),
    "a certificate that is not there": ("", 'certificate = "no.pem"\nkey = "site.pem"', "certificate: "),
    "certificates that nobody asks for": ("", 'client_certificates = "request"', "nobody could ask"),
    "certificates that lead nowhere": ("", OWN + 'client_certificates = "request"', "set client_ca"),
    "certificates required": ("", OWN + 'client_certificates = "require"', "write one of off, request"),
    "a setting that is none": ("", 'ciphers = "ALL"', "there is no such setting"),
    "a host among the networks": ('trusted_proxies = ["proxy"]', "", "write a list of networks"),
    "a network with host bits": ('trusted_proxies = ["10.0.0.7/24"]', "", "write a list of networks"),
    "a network twice": ('trusted_proxies = ["10.0.0.7", "10.0.0.7/32"]', "", "write a list of networks"),
    "a network that is no text": ("trusted_proxies = [10]", "", "write a list of networks"),
    "no list of networks": ('trusted_proxies = "10.0.0.7"', "", "write a list of networks"),
    "another header": ('client_address_header = "X-Real-IP"', "", "write one of X-Forwarded-For, Forwarded"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_go_together_is_refused(tmp_path: Path, name: str) -> None:
    server, tls, what = BAD[name]
    with pytest.raises(ConfigError, match="1 problem") as caught:
        read(tmp_path, server, tls)
    assert what in caught.value.text


def test_tls_is_announced_as_https(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"server.public_url: write https"):
        read(tmp_path, tls=OWN, url="http://gw.example")


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("[tls]\n" + OWN, "there is no such section"),
        ("tls = true\n", r"server.tls: write it as \[server.tls\]"),
    ],
)
def test_the_section_has_one_place(tmp_path: Path, written: str, what: str) -> None:
    config = tmp_path / "consentry.toml"
    config.write_text(f'[server]\npublic_url = "https://gw.example"\n{written}{REST}')
    with pytest.raises(ConfigError, match=what):
        load(config, {})
