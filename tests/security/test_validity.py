from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.security.certificates import Authority
from edge_sdk.security.validity import SOON, read_validities

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def certificate(begins: datetime, ends: datetime, name: str = "vm") -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder(who, who, key.public_key(), 1, begins, ends).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize("year", [1970, 1999, 2049, 2050, 9999])
def test_dates_are_those_of_the_certificate(year: int) -> None:
    begins, ends = datetime(1960, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    (one,) = read_validities(certificate(begins, ends))
    assert (one.begins, one.ends) == (begins, ends)
    assert one.issuer == one.subject


def test_each_of_a_chain_is_read_in_its_order(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue_server(["vm"])
    own, above = read_validities(pair.cert.read_bytes() + b"text between\r\n" + authority.files.cert.read_bytes())
    assert own.issuer == above.subject != own.subject


def test_what_is_wrong_is_told() -> None:
    day = timedelta(days=1)
    (one,) = read_validities(certificate(NOW - 100 * day, NOW + 100 * day))
    assert one.fault(NOW) == ""
    assert one.fault(NOW + 95.5 * day) == "it expires in 4 days, on 2027-03-06: renew it"
    assert one.fault(NOW + 100 * day - SOON - day) == ""
    assert one.fault(NOW + 101 * day).startswith("it has expired on 2027-03-06, by this machine's clock, 2027-03-07")
    assert one.fault(datetime(1970, 1, 1, tzinfo=UTC)).startswith("it is not yet valid: it begins on 2026-08-18; by")
    assert [one.holds(NOW + days * day) for days in (-101, 0, 101)] == [False, True, False]


@given(st.binary(max_size=300))
def test_bytes_that_are_no_certificate_are_left_out(data: bytes) -> None:
    import base64

    block = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(data) + b"-----END CERTIFICATE-----\n"
    assert read_validities(data) == read_validities(block) == []


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_damaged_one_harms_nothing(at: int, value: int) -> None:
    import base64

    der = bytearray(base64.b64decode(b"".join(_SAMPLE.splitlines()[1:-1])))
    der[at] = value
    block = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(bytes(der)) + b"-----END CERTIFICATE-----\n"
    read_validities(block)


_SAMPLE = certificate(NOW, NOW + SOON)
