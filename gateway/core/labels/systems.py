"""Code systems by their many names, and what a code of each looks like.

A system is named by address, object identifier, edition or version; here each has one short name. A code
that cannot be one of its system is an error in a table, and in a record one that matches nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

ICD: Final = "icd-10-cm"
DRUG_NAME: Final = "drug-name"
"""Not a code system: the name of an ingredient, as it stands in the text of a product."""


class CodeSystems:
    """`names` gives for each short name the addresses it goes by."""

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        unknown = sorted(names.keys() - _FORMS.keys())
        if unknown:
            raise ValueError(f"no such code system: {', '.join(unknown)}")
        addresses = [_folded(address) for known in names.values() for address in known]
        if len(set(addresses)) != len(addresses):
            raise ValueError("an address names two code systems")
        self._short = {_folded(address): short for short, known in names.items() for address in known}
        self.known = frozenset(names)

    def short(self, address: str) -> str | None:
        """The short name of the system at `address`; None if it is none of these."""
        found = self._short.get(address)
        if found is None:
            folded = _folded(address)
            folded = f"urn:oid:{folded}" if _BARE_OID.fullmatch(folded) else folded
            found = self._short.get(folded)
            # Editions and versions are written below the address of a system.
            while found is None and "/" in folded:
                folded = folded.rpartition("/")[0]
                found = self._short.get(folded)
        return found


_BARE_OID: Final = re.compile(r"[0-2](\.[0-9]+)+")


def _folded(address: str) -> str:
    """An address as it may have been meant: versions, case and the kind of http set aside."""
    folded = address.strip().partition("|")[0].rstrip("/").casefold()
    return folded.replace("https://", "http://", 1)


def check_code(system: str, code: str) -> None:
    """Raises ValueError if `code` cannot be one of `system`; of ICD-10-CM also what `icd_range` reads."""
    if not _FORMS[system](code):
        raise ValueError(f"{code!r} is no code of {system}")


def normal(system: str, code: str) -> str:
    """A code as tables are searched: capitals, for ICD-10-CM without the point, and without the marks that
    stand behind one in national editions (`B20+`, `Z21 G`)."""
    code = code.strip()
    if system != ICD:
        return code
    return code.upper().partition(" ")[0].rstrip("!*+†").replace(".", "")


def icd_range(code: str) -> tuple[tuple[str, ...], bool]:
    """The codes, without points, that a row of ICD-10-CM names, and whether what is below them belongs to it:
    `F10-F16` and `O98.7-` with everything below, `Z21` alone."""
    first, dash, last = code.partition("-")
    if last:
        return tuple(f"{first[0]}{number:02}" for number in range(int(first[1:]), int(last[1:]) + 1)), True
    return (normal(ICD, first),), bool(dash)


# --- Forms -----------------------------------------------------------------------------------------

_ICD_CODE = re.compile(r"[A-Z][0-9][0-9A-Z](\.[0-9A-Z]{1,4})?-?")
_ICD_RANGE = re.compile(r"([A-Z])([0-9]{2})-([A-Z])([0-9]{2})")


def _is_icd(code: str) -> bool:
    found = _ICD_RANGE.fullmatch(code)
    if found is None:
        return _ICD_CODE.fullmatch(code) is not None
    return found[1] == found[3] and found[2] < found[4]


def _is_loinc(code: str) -> bool:
    """Digits, and a check digit by the mod 10 algorithm (LOINC Users' Guide, check digits)."""
    found = re.fullmatch(r"([0-9]{1,7})-([0-9])", code)
    if found is None:
        return False
    odd = str(2 * int(found[1][::-2][::-1]))
    total = sum(map(int, odd + found[1][-2::-2]))
    return -total % 10 == int(found[2])


def _is_snomed(code: str) -> bool:
    """An identifier of 6 to 18 digits, the last by Verhoeff's algorithm (SNOMED CT, SCTID check digit)."""
    if re.fullmatch(r"[1-9][0-9]{5,17}", code) is None:
        return False
    check = 0
    for place, digit in enumerate(reversed(code)):
        check = _DIHEDRAL[check][_permuted(place, int(digit))]
    return check == 0


def _permuted(place: int, digit: int) -> int:
    for _ in range(place % 8):
        digit = _PERMUTATION[digit]
    return digit


_PERMUTATION: Final = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def _dihedral() -> Iterator[tuple[int, ...]]:
    """The multiplication table of the dihedral group of ten elements."""
    for row in range(10):
        turns = [(row + column) % 5 for column in range(5)]
        if row < 5:
            yield (*turns, *(turn + 5 for turn in turns))
        else:
            back = [(row - column) % 5 for column in range(5)]
            yield (*(turn + 5 for turn in back), *back)


_DIHEDRAL: Final = tuple(_dihedral())


def _form(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda code: compiled.fullmatch(code) is not None


_FORMS: Final[Mapping[str, Callable[[str], bool]]] = {
    ICD: _is_icd,
    "loinc": _is_loinc,
    "snomed": _is_snomed,
    "rxnorm": _form("[1-9][0-9]{0,7}"),
    "cpt": _form("[0-9]{4}[0-9A-Z]"),
    "hcpcs": _form("[A-Z][0-9]{4}"),
    DRUG_NAME: _form("[a-z]{4,}( [a-z]+)*"),
}
