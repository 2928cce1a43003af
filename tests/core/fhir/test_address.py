"""Addresses: the one-step reading of plain ones is the general reading, and takes nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.fhir.address import Address, _by_shape, _plain, parse_address
from gateway.errors import ConsentryError, MethodNotAllowed
from gateway.mapping import load_catalogue

R4 = load_catalogue("R4")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
PLAIN = {
    b"/Observation": Address("search-type", "Observation"),
    b"/Observation/x": Address("read", "Observation", "x"),
    b"/Patient/Observation": Address("read", "Patient", "Observation"),
    b"/Group/.a": Address("read", "Group", ".a"),
    b"/Patient/" + b"a" * 64: Address("read", "Patient", "a" * 64),
}
OTHER = (
    b"", b"/", b"/metadata", b"/_search", b"/Observation/", b"/Observation/..", b"/Observation/.",
    b"/Observation/x/", b"//Observation/x", b"/Observation/x\n", b"/observation/x", b"/Nope/x", b"/Nope",
    b"/Observation/_search", b"/Observation/_history", b"/Observation/$lastn", b"/Observation/x/_history/2",
    b"/Patient/x/Observation", b"/Observation/a_b", b"/Observation/a%62", b"/Observation/\xc3\xa9",
    b"/Patient/" + b"a" * 65, b"Observation/x",
)  # fmt: skip
SEGMENTS = st.one_of(
    st.sampled_from(
        [b"Observation", b"Patient", b"Nope", b"metadata", b"_search", b"_history", b"$op", b"", b"..", b"x"]
    ),
    st.text("aZ0-._$%/\n", max_size=3).map(str.encode),
    st.binary(max_size=2),
)


@pytest.mark.parametrize(("path", "expected"), PLAIN.items(), ids=map(repr, PLAIN))
def test_plain_ones_are_read_in_one_step(path: bytes, expected: Address) -> None:
    for method in ("GET", "HEAD"):
        assert _plain(method, path, R4) == parse_address(method, path, R4, has_query=False) == expected
    for method in ("POST", "PUT", "PATCH", "DELETE", "get"):
        assert _plain(method, path, R4) is None


@pytest.mark.parametrize("path", OTHER, ids=map(repr, OTHER))
def test_others_are_not(path: bytes) -> None:
    assert _plain("GET", path, R4) is None


@settings(max_examples=500)
@given(st.sampled_from(METHODS), st.lists(SEGMENTS, max_size=4), st.booleans())
def test_both_readings_agree(method: str, segments: list[bytes], has_query: bool) -> None:
    path = b"".join(b"/" + segment for segment in segments)
    in_one_step = _plain(method, path, R4)
    try:
        in_general: Address | None = _by_shape(method, path, R4, has_query=has_query)
    except ConsentryError:
        in_general = None
    assert in_one_step is None or in_one_step == in_general


CONFIRM = b"/MedicationRequest/rx/$confirm"


@pytest.mark.parametrize(
    ("path", "interaction"),
    [
        (CONFIRM, "$confirm"),
        (b"/MedicationRequest/rx/_history/1/$confirm", "operation"),
        (b"/MedicationRequest/$confirm", "operation"),
        (b"/MedicationStatement/rx/$confirm", "operation"),
        (b"/MedicationRequest/rx/$Confirm", "operation"),
        (b"/$confirm", "operation"),
    ],
    ids=repr,
)
def test_a_prescription_is_confirmed_at_its_own_address(path: bytes, interaction: str) -> None:
    for method in ("GET", "HEAD"):
        address = parse_address(method, path, R4, has_query=False)
        assert address.interaction == interaction
    if interaction == "$confirm":
        assert (address.type, address.id) == ("MedicationRequest", "rx")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_to_confirm_is_to_read(method: str) -> None:
    with pytest.raises(MethodNotAllowed):
        parse_address(method, CONFIRM, R4, has_query=False)
