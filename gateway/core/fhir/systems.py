"""Whether two addresses name one code system: yes, no, or nobody can tell.

Systems go by several spellings (http and https, a slash or a version at the end), editions by addresses below
that of the system, and nearly every one by an object identifier of which nothing else is known here. Where
only the case differs it cannot be told either.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

_BY_NUMBER: Final = ("urn:oid:", "urn:uuid:")


@lru_cache(maxsize=4096)
def same_system(one: str, other: str) -> bool | None:
    """Whether both are the system, as far as the addresses say."""
    first, second = _plain(one), _plain(other)
    if first == second:
        return True
    first, second = first.casefold(), second.casefold()
    if first == second:
        return None
    numbered = [address.startswith(_BY_NUMBER) for address in (first, second)]
    if any(numbered):
        return False if all(numbered) else None
    below = first.startswith(f"{second}/") or second.startswith(f"{first}/")
    return None if below else False


def _plain(address: str) -> str:
    plain = address.strip().partition("|")[0].rstrip("/")
    return f"http://{plain[8:]}" if plain[:8].casefold() == "https://" else plain
