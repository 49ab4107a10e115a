"""From when to when a certificate holds, and whether that is soon over; OpenSSL has judged the rest of it."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

SOON = timedelta(days=21)
_BLOCK = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.+?)-----END", re.DOTALL)
_SEQUENCE, _VERSION, _UTC_TIME = 0x30, 0xA0, 0x17


@dataclass(frozen=True, slots=True)
class Validity:
    """The dates of one certificate, and its names as bytes of DER.

    Attributes:
        begins: it holds from then on.
        ends: it holds until then.
        subject: whose it is.
        issuer: who signed it.
    """

    begins: datetime
    ends: datetime
    subject: bytes
    issuer: bytes

    def fault(self, now: datetime) -> str:
        """Why it does not hold at `now`, or soon will not; empty where neither.

        Args:
            now: with a time zone; by this machine's clock.
        """
        clock = f"by this machine's clock, {now:%Y-%m-%d %H:%M} UTC"
        if now < self.begins:
            return f"it is not yet valid: it begins on {self.begins:%Y-%m-%d}; {clock}, which may be wrong: set it"
        if now > self.ends:
            return f"it has expired on {self.ends:%Y-%m-%d}, {clock}: renew it"
        if self.ends - now < SOON:
            days = (self.ends - now).days
            return f"it expires in {days} days, on {self.ends:%Y-%m-%d}: renew it"
        return ""

    def holds(self, now: datetime) -> bool:
        """Whether it holds at `now`."""
        return self.begins <= now <= self.ends


def read_validities(pem: bytes) -> list[Validity]:
    """The dates of each certificate of a PEM file, in its order; one that cannot be read is left out."""
    found = []
    for block in _BLOCK.findall(pem):
        try:
            found.append(_read(binascii.a2b_base64(block)))
        except (ValueError, IndexError, StopIteration, OverflowError):
            continue
    return found


def _read(der: bytes) -> Validity:
    """Read RFC 5280's Certificate: version, serial number, algorithm, issuer, validity, subject come first in it."""
    (certificate,) = _parts(der)[:1]
    body = _parts(_parts(certificate[1])[0][1])
    if body[0][0] == _VERSION:
        body = body[1:]
    issuer, validity, subject = body[2][1], _parts(body[3][1]), body[4][1]
    return Validity(_time(*validity[0]), _time(*validity[1]), subject, issuer)


def _parts(data: bytes) -> list[tuple[int, bytes]]:
    """Tag and content of each element."""
    return list(_elements(data))


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1], at + 2
        if size & 0x80:
            count = size & 0x7F
            size, at = int.from_bytes(data[at : at + count], "big"), at + count
        yield tag, data[at : at + size]
        at += size


def _time(tag: int, content: bytes) -> datetime:
    text = content.decode("ascii").removesuffix("Z")
    if tag == _UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
