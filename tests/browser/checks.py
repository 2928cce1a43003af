"""What every page for people must be, as a browser lays it out: nothing beside the screen, no control without
a name. Each check gives what is wrong, so that an empty list is good. They work with JavaScript off, too.
"""

from __future__ import annotations

from playwright.sync_api import Page

_WIDE = """() => {
  const room = document.documentElement.clientWidth;
  const wide = [...document.querySelectorAll('body, body *')].filter((element) => {
    const box = element.getBoundingClientRect();
    return box.width > 0 && (box.right > room + 0.5 || box.left < -0.5);
  });
  const scrolls = document.documentElement.scrollWidth > room ? [`scrolls over ${room}`] : [];
  return [...scrolls, ...wide.map((element) => element.outerHTML.slice(0, 120))];
}"""

_UNNAMED = """() => {
  const typed = [...document.querySelectorAll('input:not([type=hidden]), select, textarea')];
  const visible = (label) => label.getClientRects().length > 0 && label.textContent.trim() !== '';
  const unlabelled = typed.filter((field) => ![...field.labels].some(visible));
  const unnamed = [...document.querySelectorAll('button, a')].filter((one) => one.textContent.trim() === '');
  return [...unlabelled, ...unnamed].map((element) => element.outerHTML.slice(0, 120));
}"""

_RING = """() => {
  const style = getComputedStyle(document.activeElement);
  return style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth);
}"""


def beside_the_screen(page: Page) -> list[str]:
    """The elements that do not fit in its width, and whether the page scrolls sideways."""
    found: list[str] = page.evaluate(_WIDE)
    return found


def without_a_name(page: Page) -> list[str]:
    """The fields without a label that is seen, and the buttons and links without text."""
    found: list[str] = page.evaluate(_UNNAMED)
    return found


def focus_ring(page: Page) -> float:
    """How thick the outline of the focused element is, in CSS pixels."""
    return float(page.evaluate(_RING))


def focused(page: Page) -> str:
    """The `id` of the focused element, else its text."""
    return str(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
