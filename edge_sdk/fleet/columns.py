"""Rows as columns of numbers: one value for each row, or one for all; ids and times as what they differ by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

MOST_COUNT = (1 << 31) - 1
"""Greatest count that a report may have, so that any database can hold it."""
REST_BYTES = 10
"""Bytes of an id after its first 48 bits."""
ID_BYTES = 16
_TIME_BITS = 48
_MOST_TIME = (1 << _TIME_BITS) - 1


class MalformedReport(ValueError):
    """A report is not as the wire says; the message says what was expected."""


def packed(values: Sequence[int]) -> Sequence[int]:
    """A column: nothing where all values are 0, one value where all are the same."""
    if len(set(values)) > 1:
        return values
    return values[:1] if values and values[0] else ()


def unpacked(name: str, column: Sequence[int], rows: int) -> Sequence[int]:
    """The values of `rows` rows.

    Raises:
        MalformedReport: there are neither none, nor one, nor `rows`.
    """
    if len(column) == rows:
        return column
    if len(column) > 1:
        raise MalformedReport(f"expected 0, 1 or {rows} values in {name}; got {len(column)}")
    return [column[0] if len(column) else 0] * rows


def differences(values: Iterable[int]) -> list[int]:
    """Each value less the one before; the first as it is."""
    return [after - before for before, after in pairwise((0, *values))]


def sums(name: str, column: Sequence[int], rows: int, most: int) -> list[int]:
    """The values of which `differences` made a column.

    Raises:
        MalformedReport: there are not `rows`, or one is outside -`most` to `most`.
    """
    if len(column) != rows:
        raise MalformedReport(f"expected {rows} values in {name}; got {len(column)}")
    values = list(accumulate(column))
    if any(not -most <= value <= most for value in values):
        raise MalformedReport(f"expected values of at most {most} in {name}; got others")
    return values


def id_parts(ids: Iterable[str]) -> tuple[list[int], bytes]:
    """Ids of 32 hexadecimal digits as their first 48 bits (of UUID version 7 the time), and all the others in a row."""
    whole = [bytes.fromhex(one) for one in ids]
    cut = ID_BYTES - REST_BYTES
    return [int.from_bytes(one[:cut]) for one in whole], b"".join(one[cut:] for one in whole)


def ids_of(times: Sequence[int], rest: bytes) -> list[str]:
    """The ids of which `id_parts` made these.

    Raises:
        MalformedReport: a time has more than 48 bits.
    """
    if any(not 0 <= time <= _MOST_TIME for time in times):
        raise MalformedReport("expected the first 48 bits of ids; got more")
    return [
        f"{time:012x}{rest[number * REST_BYTES : (number + 1) * REST_BYTES].hex()}" for number, time in enumerate(times)
    ]


def rows_of(name: str, content: bytes, size: int, most: int) -> int:
    """How many rows a column of `size` bytes each has.

    Raises:
        MalformedReport: it is no whole number of them, or more than `most`.
    """
    rows, left = divmod(len(content), size)
    if left or rows > most:
        raise MalformedReport(f"expected {name} of {size} bytes for each of at most {most} rows; got {len(content)}")
    return rows


def byte_of(share: float) -> int:
    """A share in [0, 1] as a byte; what is outside, or NaN, is brought inside."""
    return round(255 * min(1.0, max(0.0, share))) if share == share else 0


def share_of(byte: int) -> float:
    """The share that a byte stands for."""
    return byte / 255
