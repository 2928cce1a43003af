"""Bytes of a request become a `FhirRequest`, or the error that says why not.

Parsed once, and nothing of it is forwarded: the upstream request is built from the value returned
here. Unknown means 400. Every outcome depends on the request alone, never on a token or on data;
what may be seen is decided later. Known but unanswered interactions are in `refused`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.core.fhir import codec
from gateway.core.fhir import headers as head
from gateway.core.fhir.address import Address, parse_address
from gateway.core.fhir.catalogue import Catalogue
from gateway.core.fhir.controls import CAPABILITIES, NO_CONTROLS, READ, SEARCH, Controls, parse_controls
from gateway.core.fhir.query import Pair, is_name, parse_pairs
from gateway.core.fhir.refused import INTERACTIONS, refused_parameter
from gateway.core.fhir.terms import parse_term
from gateway.core.values import FhirRequest, Interaction, Term
from gateway.errors import BadRequest, UriTooLong

MAX_URI_BYTES: Final = 8192

_CONTROLS: Final = {
    Interaction.READ: READ,
    Interaction.VREAD: READ,
    Interaction.SEARCH: SEARCH,
    Interaction.CAPABILITIES: CAPABILITIES,
    Interaction.CONFIRM: CAPABILITIES,
}
_ANSWERED: Final = {str(interaction): interaction for interaction in Interaction}


def parse_request(
    method: str,
    path: bytes,
    query: bytes,
    headers: Mapping[str, str],
    body: bytes,
    catalogue: Catalogue,
    *,
    own_bases: Sequence[str],
    max_count: int,
) -> FhirRequest:
    """The request, if it is a read, vread, type search (GET, HEAD, POST), capabilities, or the confirmation
    of a prescription.

    `path` is what follows the FHIR base (b"", b"/Observation/x") and `query` what follows the `?`,
    both as received; `headers` have lower-case names and single values; `own_bases` are base URLs
    without a slash at the end that references may start with; `_count` is cut to `max_count`.

    Raises:
        BadRequest, NotFound (unknown type), MethodNotAllowed, NotAcceptable, UriTooLong,
        UnsupportedMediaType: the request is not one that FHIR or this gateway knows.
        Forbidden: it is one of `refused`; `check_refused_body` is still to be asked.
    """
    if len(path) + len(query) > MAX_URI_BYTES:
        raise UriTooLong(f"Addresses are at most {MAX_URI_BYTES} bytes long; search by POST instead.")
    head.check_overrides(headers)
    address = parse_address(method, path, catalogue, has_query=bool(query))
    pairs = _pairs(method, address, query, headers, body, catalogue)
    interaction = _ANSWERED[address.interaction]
    if address.patient is not None:
        pairs = _compartment_pair(address.patient, address.type or "", catalogue) + pairs
    asked, controls = _sorted_out(pairs, interaction, address, catalogue, max_count)
    if not controls.says_format:
        head.check_accept(headers, catalogue)
    terms = tuple([parse_term(catalogue, address.type or "", *pair, own_bases) for pair in asked])
    if controls.page is not None and (terms or method == "POST"):
        raise BadRequest("_page stands alone, beside _format and _pretty.")
    return FhirRequest(
        interaction=interaction,
        type=address.type,
        id=address.id,
        version=address.version,
        terms=terms,
        sort=controls.sort,
        count=controls.count,
        page=controls.page,
        shape=controls.shape,
        query=_query(pairs, terms, controls) if pairs else (),
        if_none_match=head.if_none_match(headers),
        if_modified_since=head.if_modified_since(headers),
        head=method == "HEAD",
    )


def check_refused_body(headers: Mapping[str, str], body: bytes, catalogue: Catalogue) -> None:
    """A resource that two readers could read differently is wrong before it is forbidden.

    Apart from `parse_request`, as reading a large body is work that only a token should set off. A form
    was read there already.

    Raises:
        BadRequest, UnsupportedMediaType.
    """
    if not body or head.is_form(headers):
        return
    head.check_json_body(headers, catalogue)
    try:
        codec.parse(body)
    except codec.CodecError as wrong:
        raise BadRequest("The body is not JSON that can be read in one way only.") from wrong


def _pairs(
    method: str,
    address: Address,
    query: bytes,
    headers: Mapping[str, str],
    body: bytes,
    catalogue: Catalogue,
) -> tuple[Pair, ...]:
    """The query of an answered interaction, body included. Raises for every other interaction."""
    head.check_encoding(headers)
    if body and method in ("GET", "HEAD", "DELETE"):
        raise BadRequest(f"A {method} request has no body.")
    refused = INTERACTIONS.get(address.interaction)
    if refused is not None:
        raise refused.raised()
    if method != "POST":
        return parse_pairs(query)
    head.check_form(headers)
    # URL and form count together, and against one limit (FHIR http.html, search by POST).
    return parse_pairs(b"&".join(part for part in (query, body) if part))


def _compartment_pair(patient: str, type_: str, catalogue: Catalogue) -> tuple[Pair, ...]:
    """`Patient/x/Observation` says `patient=Patient/x`."""
    access = catalogue.access(type_)
    if access.kind != "compartment" or access.narrow is None:
        raise INTERACTIONS["compartment"].raised()
    value = patient if access.narrow == "_id" else f"Patient/{patient}"
    return ((access.narrow, value),)


def _sorted_out(
    pairs: Sequence[Pair],
    interaction: Interaction,
    address: Address,
    catalogue: Catalogue,
    max_count: int,
) -> tuple[tuple[Pair, ...], Controls]:
    """Search terms and controls apart, after the names that are refused."""
    if not pairs:
        return (), NO_CONTROLS
    for name, _ in pairs:
        refused = refused_parameter(name)
        if refused is not None:
            raise refused.raised()
        if not is_name(name):
            raise BadRequest("A search parameter has a name that FHIR does not allow.")
    known = _CONTROLS[interaction]
    controls = parse_controls(
        [p for p in pairs if p[0] in known], catalogue, address.type, max_count=max_count
    )
    rest = tuple(p for p in pairs if p[0] not in known)
    if rest and interaction is not Interaction.SEARCH:
        raise BadRequest("This interaction takes no search parameters.")
    return rest, controls


def _query(pairs: Sequence[Pair], terms: Sequence[Term], controls: Controls) -> tuple[Pair, ...]:
    """The pairs in the client's order, with the values that were understood."""
    understood, left = dict(controls.pairs), iter(terms)
    query = []
    for name, _ in pairs:
        if name in understood:
            query.append((name, understood[name]))
        else:
            term = next(left)
            query.append((term.key, term.text))
    return tuple(query)
