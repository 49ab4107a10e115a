"""Memory of the server: large blocks go back to the system when they are done, but the model keeps what it works in.

glibc puts blocks of up to 32 MiB on its heaps as soon as it has freed some of that size. Messages and pictures of many
sizes then leave gaps that stay with the process: twice as much as was ever in use. So blocks of 1 MiB and more are
mapped one by one and unmapped when they are freed. A network's intermediate results are of that size too, and mapped
anew in each run every page of them is a fault: a third of the time. So blocks up to the largest that the model works
with stay on the heaps, and what gaps come of that is given back when the process has grown by much.
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
from collections.abc import Callable

_log = logging.getLogger(__name__)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
BLOCK_BYTES = 1 << 20
MOST_KEPT_BYTES = 64 << 20
_KEPT_FREE_BYTES = 256 << 20
GROWTH_BYTES = 128 << 20
"""Memory by which the process may grow before free pages are given back."""
FEW_FAULTS = 256
"""Page faults of one run of a model: as many as do not matter."""


def return_large_blocks(block_bytes: int = BLOCK_BYTES) -> bool:
    """Let the C library map blocks of that size and more one by one, and unmap each when it is freed.

    Other C libraries than glibc are left as they are.

    Returns:
        Whether it is so from now on.
    """
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, block_bytes))
    except (OSError, AttributeError) as error:
        _log.debug("large blocks are the C library's affair: %s", error)
        return False


def keep_blocks_of(run: Callable[[], object], block_bytes: int = BLOCK_BYTES) -> int:
    """Find the least size of blocks to map one by one with which `run` has nearly no page faults, and leave it so.

    Args:
        run: what is run again and again in one thread; called a few times.
        block_bytes: to begin with.

    Returns:
        The size; where no size up to `MOST_KEPT_BYTES` comes so far, the least with about the fewest faults;
        `block_bytes` where the C library does not take it.
    """
    if not return_large_blocks(block_bytes):
        return block_bytes
    ctypes.CDLL(None).mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE_BYTES)
    faults: dict[int, int] = {}
    size = block_bytes
    while size <= MOST_KEPT_BYTES and return_large_blocks(size):
        run()
        before = _faults()
        run()
        faults[size] = _faults() - before
        if faults[size] <= FEW_FAULTS:
            return size
        size *= 4
    least = min(faults.values(), default=0)  # other threads' faults count too
    best = next((size for size, count in faults.items() if count <= 2 * least), block_bytes)
    return_large_blocks(best)
    return best


class Trimmer:
    """Gives free pages between blocks in use back to the system, whenever the process has grown by `GROWTH_BYTES`."""

    def __init__(self) -> None:
        self._least = resident_bytes()

    def look(self) -> bool:
        """To be called now and then; costs microseconds, or some milliseconds where there is something to give back.

        Returns:
            Whether pages were given back.
        """
        now = resident_bytes()
        self._least = min(self._least, now)
        if now < self._least + GROWTH_BYTES:
            return False
        try:
            ctypes.CDLL(None).malloc_trim(0)
        except (OSError, AttributeError):
            return False
        self._least = resident_bytes()
        return True


def resident_bytes() -> int:
    """Memory of this process that is in use, bytes; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
