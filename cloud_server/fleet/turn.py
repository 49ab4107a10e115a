"""One thread at a time asks what may hang; the others do not hang with it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST_S = 2.0


@contextmanager
def turn(guard: threading.Lock, longest_s: float = LONGEST_S) -> Iterator[bool]:
    """Hold a lock while the block lasts, where it is free in time; yields whether it is held.

    Args:
        guard: the lock.
        longest_s: seconds to wait for it.
    """
    is_held = guard.acquire(timeout=longest_s)
    try:
        yield is_held
    finally:
        if is_held:
            guard.release()
