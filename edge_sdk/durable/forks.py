"""What a forked child may not touch: files, locks and threads belong to the process that opened them.

A fork copies the memory, but not the threads, nor the locks that SQLite holds. A child that used, closed or merely
collected what its parent has open would wait for ever, or write into the parent's files. So an owner says so at use,
and what must not end in a child is left alone there, whatever the child does.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any
from weakref import WeakSet

from edge_sdk.errors import StateError


class Owner:
    """The process that opened something.

    Args:
        what: how to call it in the error, such as "the ledger".
    """

    def __init__(self, what: str) -> None:
        self._what, self._process = what, os.getpid()

    @property
    def is_here(self) -> bool:
        """Whether this is that process; False in a child forked from it."""
        return os.getpid() == self._process

    def check(self) -> None:
        """Do nothing in that process.

        Raises:
            StateError: this is another one.
        """
        if not self.is_here:
            raise StateError(
                f"expected {self._what} to be used by process {self._process}, which opened it; this is process "
                f"{os.getpid()}, forked from it: open what it needs after the fork, with a state folder of its own, or "
                "start it with multiprocessing's method 'spawn'"
            )


class OwnLock:
    """A lock that is for the process that made it: a child learns so, and does not wait for a thread it has not.

    Args:
        lock: what is held within the `with` block.
        what: as in `Owner`.
    """

    def __init__(self, lock: AbstractContextManager[Any], what: str) -> None:
        self._lock, self._owner = lock, Owner(what)

    def __enter__(self) -> None:
        self._owner.check()
        self._lock.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.__exit__(kind, error, traceback)


_kept: WeakSet[Any] = WeakSet()
_descriptors: set[int] = set()


def keep(thing: object) -> None:
    """In a forked child, never end `thing`, or anything that it holds: a connection to SQLite, a channel, a loop."""
    _register()
    _kept.add(thing)


def close_in_children(descriptor: int) -> None:
    """Close this file in forked children, so that none of them holds its lock longer than this process does."""
    _register()
    _descriptors.add(descriptor)


def closed(descriptor: int) -> None:
    """This process has closed the file itself."""
    _descriptors.discard(descriptor)


def without_grpc_handlers() -> None:
    """Switch gRPC's own handlers at a fork off; to be called before gRPC is imported, which reads the variable once.

    They end children with a segmentation fault while gRPC's threads are busy. Without them a child cannot use its
    parent's channels, which `Owner` does not let it. A program that wants the handlers sets the variable itself.
    """
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")


def _after_fork() -> None:
    import ctypes

    for thing in list(_kept):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
    for descriptor in _descriptors:
        os.close(descriptor)
    _descriptors.clear()


def _register() -> None:
    global _registered
    if not _registered:
        _registered = True
        os.register_at_fork(after_in_child=_after_fork)


_registered = False
