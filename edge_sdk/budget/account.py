"""One resource's account: a window for each of its budgets, and the lease that its charges are made from."""

from __future__ import annotations

from collections.abc import Iterable

from edge_sdk.budget.limits import Budget, Resource
from edge_sdk.budget.window import SlidingWindow

MINUTE_NS = 60_000_000_000
"""Charges are written down by the minute."""
LEASE_NS = 900_000_000_000
"""Length of a lease, nanoseconds: looks at a still scene share one, which spares the disk a commit each."""
_SPENT_IN_NS = 15_000_000_000  # a lease allows what the budget does in this time, or a small part of it
_SMALL_LEASE = 65_536


class Account:
    """What was spent of one resource, and what may be. Not thread-safe. Times are nanoseconds of an `ElapsedClock`.

    Args:
        resource: the resource.
        budgets: budgets of any resource; those of other resources are ignored.

    Attributes:
        windows: one for each budget.
        lease: rest of the amount that the file allows to spend.
        lease_until_ns: end of the lease.
        unwritten: charges that are not in the file yet, by minute.
    """

    def __init__(self, resource: Resource, budgets: Iterable[Budget]) -> None:
        self.resource = resource
        self.windows = [SlidingWindow(budget) for budget in budgets if budget.resource is resource]
        self.lease = 0
        self.lease_until_ns = 0
        self.unwritten: dict[int, int] = {}  # minute: amount

    def fits(self, amount: int, now_ns: int) -> bool:
        """Whether every budget allows `amount` now."""
        return all(window.fits(amount, now_ns) for window in self.windows)

    def wait_ns(self, amount: int, now_ns: int) -> int | None:
        """Nanoseconds until every budget allows `amount` if nothing else is spent; None: never."""
        waits = [window.wait_ns(amount, now_ns) for window in self.windows]
        return None if None in waits else max((wait for wait in waits if wait is not None), default=0)

    def charge(self, amount: int, now_ns: int) -> None:
        """Count `amount`, within the lease or not."""
        if self.windows:
            self.lease = max(0, self.lease - amount)
        for window in self.windows:
            window.charge(amount, now_ns)
        minute = now_ns // MINUTE_NS
        self.unwritten[minute] = self.unwritten.get(minute, 0) + amount

    def leased(self, amount: int, now_ns: int) -> bool:
        """Whether the lease covers `amount` now; always where there is no budget."""
        return not self.windows or (amount <= self.lease and now_ns < self.lease_until_ns)

    def lease_for(self, amount: int) -> int:
        """The amount to lease so that `amount` fits: enough for some seconds, small compared to the limits."""
        return max(amount, min(map(_lease, self.windows), default=0))


def _lease(window: SlidingWindow) -> int:
    return max(
        min(_SMALL_LEASE, window.limit // 20), window.limit // 200, window.limit * _SPENT_IN_NS // window.period_ns
    )
