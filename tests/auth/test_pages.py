"""Every page is closed to others, loads only what is ours, and can be read by everybody."""

from __future__ import annotations

import re
from itertools import product

import pytest
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.pages import Pages, source_of
from tests.auth.site import Site

CLOSED = {
    "cache-control": "no-store",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "form-action 'self'"
    ),
}


async def _pages(site: Site) -> dict[str, tuple[int, dict[str, str], str]]:
    """Every page there is: status, headers, text."""
    await site.add()
    codes = await site.add_with_code()
    async with site.visitor() as anna, site.visitor() as bo:
        seen = {
            "log-in": await anna.page(),
            "refused": await anna.password(password="wrong"),
            "failure": await anna.page("nothing"),
        }
        await bo.password("bo")
        seen["code"] = await bo.page()
        seen["code refused"] = await bo.code("1")
        await bo.code(codes.at(site.now_s))
        seen["inside"] = await bo.page()
    return {name: (page.status_code, dict(page.headers), page.text) for name, page in seen.items()}


async def test_every_page_has_the_headers(site: Site) -> None:
    pages = await _pages(site)
    assert {name: page[0] for name, page in pages.items()} == {
        "log-in": 200, "refused": 422, "failure": 400, "code": 200, "code refused": 422, "inside": 200,
    }  # fmt: skip
    for _, headers, _ in pages.values():
        assert CLOSED.items() <= headers.items()


async def test_a_redirect_is_not_kept_either(site: Site) -> None:
    await site.add()
    async with site.visitor() as anna:
        assert (await anna.password()).headers["cache-control"] == "no-store"


async def test_every_page_can_be_read_by_everybody(site: Site) -> None:
    for name, (status, _, text) in (await _pages(site)).items():
        assert text.startswith('<!doctype html>\n<html lang="en">'), name
        assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text
        assert len(re.findall(r"<h1[ >]", text)) == len(re.findall(r"<main[ >]", text)) == 1
        assert ('role="alert"' in text) is (status >= 400), name
        shown = set(re.findall(r'<input(?![^>]*type="hidden")[^>]* id="([^"]+)"', text, re.S))
        assert shown == set(re.findall(r'<label for="([^"]+)"', text)), name
        ids = re.findall(r' id="([^"]+)"', text)
        assert len(ids) == len(set(ids))
        described = " ".join(re.findall(r'aria-describedby="([^"]+)"', text)).split()
        assert set(described) <= set(ids), name
        assert not re.search(r"<script|style=|\son[a-z]+=|https?://", text), name
        assert ("<title>Error: " in text) is ("refused" in name)


def test_a_form_may_lead_on_to_an_app_that_is_named() -> None:
    page = Pages().page(
        "failure.html", title="x", text="y", form_to=[source_of("https://App.example:8443/cb?x=1")]
    )
    assert page.headers["content-security-policy"].endswith("form-action 'self' https://app.example:8443")


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        ("https://app.example/cb", "https://app.example"),
        ("http://127.0.0.1:3000/cb", "http://127.0.0.1:3000"),
        ("http://[::1]:3000/cb", "http://[::1]:3000"),
        ("com.example.app:/cb", "com.example.app:"),
        ("com.example.app://cb/x", "com.example.app:"),
    ],
)
def test_the_source_of_an_app(uri: str, source: str) -> None:
    assert source_of(uri) == source


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example;script-src/*",
        "https://*.example",
        "https:///cb",
        "/cb",
        "",
        "https://a b/",
        "é:/x",
    ],
)
def test_what_a_policy_cannot_name_has_no_source(uri: str) -> None:
    with pytest.raises(ValueError):
        source_of(uri)


@pytest.mark.parametrize(
    "source", ["*", "'unsafe-inline'", "https://a.example; script-src *", "https://*.example", ""]
)
def test_a_policy_is_not_widened(source: str) -> None:
    with pytest.raises(ValueError, match="source"):
        Pages().page("failure.html", title="x", text="y", form_to=[source])


def test_what_is_put_in_is_text() -> None:
    page = Pages().page("failure.html", title="<b>", text='"><script>')
    assert b"<b>" not in page.body
    assert b"<script>" not in page.body


async def test_a_defect_is_a_page_that_tells_nothing() -> None:
    async def broken(_: Request) -> Response:
        raise RuntimeError("secret")

    page = await Pages().answering(broken)(Request({"type": "http"}))
    assert (page.status_code, b"secret" in page.body) == (500, False)
    assert page.headers["content-security-policy"] == CLOSED["content-security-policy"]


async def test_static_files_are_kept_for_ever_at_their_own_address(site: Site) -> None:
    async with site.visitor() as anna:
        text = (await anna.page()).text
        addresses = set(re.findall(r'(?:href|src)="([^"]+)"', text))
        assert len(addresses) == 2
        for address in addresses:
            file = await anna.client.get(address)
            assert (file.status_code, "immutable" in file.headers["cache-control"]) == (200, True)
            assert file.headers["content-type"].split(";")[0] in ("text/css", "image/svg+xml")
            stem, digest, suffix = address.rsplit("/", 1)[1].split(".")
            wrong = f"/auth/static/{stem}.{'0' * len(digest)}.{suffix}"
            assert (await anna.client.get(wrong)).status_code == 404
        for none in ("style.css", "..%2Fpages.py", "x"):
            assert (await anna.client.get(f"/auth/static/{none}")).status_code == 404


# --- Contrast, WCAG 2.2 sections 1.4.3 and 1.4.11 ----------------------------------------------------

TEXT = [("text", "card"), ("text", "ground"), ("soft", "card"), ("main", "card"), ("on-main", "main"),
        ("on-main", "main-over"), ("bad", "bad-ground")]  # fmt: skip
CONTROLS = [("edge", "card"), ("main", "card"), ("main", "ground"), ("bad", "card")]


def _colours() -> dict[str, dict[str, str]]:
    [css] = [data.decode() for data, kind in Pages()._static.values() if kind == "text/css"]
    light, dark = re.findall(r":root \{(.*?)\}", css, re.S)
    return {
        name: dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))
        for name, block in (("light", light), ("dark", dark))
    }


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_measured_as_the_standard_does() -> None:
    assert _contrast("#000000", "#ffffff") == pytest.approx(21)
    assert _contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize(("scheme", "pair"), list(product(("light", "dark"), TEXT)), ids=str)
def test_text_has_enough_contrast(scheme: str, pair: tuple[str, str]) -> None:
    colours = _colours()[scheme]
    assert _contrast(*(colours[name] for name in pair)) >= 4.5


@pytest.mark.parametrize(("scheme", "pair"), list(product(("light", "dark"), CONTROLS)), ids=str)
def test_edges_of_controls_have_enough_contrast(scheme: str, pair: tuple[str, str]) -> None:
    colours = _colours()[scheme]
    assert _contrast(*(colours[name] for name in pair)) >= 3
