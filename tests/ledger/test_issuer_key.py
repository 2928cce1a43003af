"""Keys of the issuer are made with ids that a command can take as they are."""

import json
from collections.abc import Iterator
from itertools import count

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.ledger import issuer_key
from gateway.ledger.issuer_key import check_issuer_jwk, new_issuer_jwk


@pytest.fixture
def keys() -> Iterator[ec.EllipticCurvePrivateKey]:
    """The keys of the scalars from the first on whose id begins with a dash."""

    def made() -> Iterator[ec.EllipticCurvePrivateKey]:
        begun = False
        for scalar in count(1):
            key = ec.derive_private_key(scalar, ec.SECP256R1())
            begun = begun or str(issuer_key._jwk(key)["kid"]).startswith("-")
            if begun:
                yield key

    return made()


def test_a_key_whose_id_reads_as_an_option_is_not_made(
    keys: Iterator[ec.EllipticCurvePrivateKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[ec.EllipticCurvePrivateKey] = []

    def draw(_curve: object) -> ec.EllipticCurvePrivateKey:
        drawn.append(next(keys))
        return drawn[-1]

    monkeypatch.setattr(ec, "generate_private_key", draw)
    made = json.loads(new_issuer_jwk())
    assert len(drawn) == 2
    assert made == issuer_key._jwk(drawn[1])
    assert not made["kid"].startswith("-")


def test_such_a_key_that_is_there_is_still_good(keys: Iterator[ec.EllipticCurvePrivateKey]) -> None:
    text = json.dumps(issuer_key._jwk(next(keys)))
    assert json.loads(check_issuer_jwk(text))["kid"].startswith("-")
