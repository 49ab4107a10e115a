"""Memory that pictures took goes back to the system when they are done."""

from __future__ import annotations

import ctypes
import logging

_log = logging.getLogger(__name__)
_M_MMAP_THRESHOLD = -3  # of malloc.h
BLOCK_BYTES = 1 << 20


def return_large_blocks() -> bool:
    """Let the C library map blocks of 1 MiB and more one by one, and unmap each when it is freed.

    By default glibc puts blocks of up to 32 MiB on its heaps as soon as it has freed some of that size. Messages and
    pictures of many sizes then leave gaps that stay with the process: twice as much as was ever in use. Other C
    libraries are left as they are.

    Returns:
        Whether it is so from now on.
    """
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, BLOCK_BYTES))
    except (OSError, AttributeError) as error:
        _log.debug("large blocks are the C library's affair: %s", error)
        return False
