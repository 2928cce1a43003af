"""What FHIR has and this gateway does not answer: one table, each row with its status and text.

Everything else that the grammar does not know is unknown, which is a 400. A row here means: known,
and refused on purpose, because the answer would tell of records outside the token's reach. To allow
one of these later, take its row away and teach the grammar instead.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from gateway.errors import BadRequest, ConsentryError, Forbidden


@dataclass(frozen=True, slots=True)
class Refused:
    """One row. `reason` is the code in the ledger; rows with status 400 leave no reason there."""

    error: type[Forbidden] | type[BadRequest]
    reason: str
    text: str

    def raised(self) -> ConsentryError:
        """The error to raise."""
        return Forbidden(self.text, self.reason) if self.error is Forbidden else BadRequest(self.text)


INTERACTIONS: dict[str, Refused] = {
    name: Refused(Forbidden, reason, text)
    for name, reason, text in (
        ("create", "write", "Records cannot be created through this gateway."),
        ("update", "write", "Records cannot be changed through this gateway."),
        ("patch", "write", "Records cannot be changed through this gateway."),
        ("delete", "write", "Records cannot be deleted through this gateway."),
        ("conditional", "write", "Conditional writes are not answered."),
        ("batch", "batch", "Batches and transactions are not answered."),
        ("history-instance", "history", "Histories are not answered; read one version by its number."),
        ("history-type", "history", "Histories are not answered; read one version by its number."),
        ("history-system", "history", "Histories are not answered; read one version by its number."),
        ("search-system", "search_system", "Searches over all types are not answered; name one type."),
        ("operation", "operation", "Operations are not answered."),
        ("compartment", "compartment", "Only types of a Patient's own compartment can be searched this way."),
    )
}

# Patterns for the whole decoded name of a query parameter, first match wins.
_PARAMETERS: tuple[tuple[str, Refused], ...] = (
    (r"_(rev)?include(:.*)?", Refused(Forbidden, "include", "Included records are not answered.")),
    (r"_has(:.*)?", Refused(Forbidden, "chain", "Searching through other records (_has) is not allowed.")),
    (r".*\..*", Refused(Forbidden, "chain", "Searching through other records (chains) is not allowed.")),
    (r"_(filter|query)(:.*)?", Refused(Forbidden, "free_search", "_filter and _query are not allowed.")),
    (r"_(content|text)(:.*)?", Refused(Forbidden, "free_search", "Searching in free text is not allowed.")),
    (r"_list(:.*)?", Refused(BadRequest, "parameter", "_list is not supported.")),
    (r"_contained(Type)?(:.*)?", Refused(BadRequest, "parameter", "_contained is not supported.")),
    (
        r"_(security|tag|profile|source)(:.*)?",
        Refused(BadRequest, "parameter", "Searching by labels, tags, profiles or sources is not supported."),
    ),
    (r"_type(:.*)?", INTERACTIONS["search-system"]),
    (r"_method", Refused(BadRequest, "parameter", "The method of a request cannot be overridden.")),
)
_COMPILED = tuple((re.compile(pattern), row) for pattern, row in _PARAMETERS)


@functools.lru_cache(maxsize=1024)
def refused_parameter(name: str) -> Refused | None:
    """The row for a query parameter's whole name, modifier included; None when it is not refused here."""
    return next((row for pattern, row in _COMPILED if pattern.fullmatch(name)), None)


COUNTS = Refused(
    BadRequest, "parameter", "Counts are not answered: only _total=none, and no _summary=count or _count=0."
)
SORT_CHAIN = Refused(Forbidden, "chain", "Sorting by other records is not allowed.")
