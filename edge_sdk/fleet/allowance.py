"""How many bytes a day reports may cost, over restarts."""

from __future__ import annotations

from collections.abc import Iterable

from edge_sdk.budget.limits import Budget, Resource

DAY_S = 86_400.0
SHARE = 0.05
"""Most of the upload budget that reports take."""


class Allowance:
    """Bytes of the last 24 hours against what a day may cost. Times are seconds on a clock that never runs backwards.

    Args:
        most: bytes in any 24 hours.
        charges: of earlier runs: when, and how many bytes.
    """

    def __init__(self, most: int, charges: Iterable[tuple[float, int]] = ()) -> None:
        self.most = most
        self.charges = list(charges)

    def spent(self, now_s: float) -> int:
        """Bytes of the last 24 hours."""
        self.charges = [(min(at_s, now_s), size) for at_s, size in self.charges if at_s > now_s - DAY_S]
        return sum(size for _, size in self.charges)

    def room(self, now_s: float) -> int:
        """Bytes that may be spent now."""
        return max(0, self.most - self.spent(now_s))

    def wait_s(self, size: int, now_s: float) -> float:
        """Seconds until `size` bytes may be spent; 0: now, infinity: never."""
        excess = self.spent(now_s) + size - self.most
        if excess <= 0:
            return 0.0
        for at_s, charged in self.charges:
            excess -= charged
            if excess <= 0:
                return at_s + DAY_S - now_s
        return float("inf")

    def charge(self, size: int, now_s: float) -> None:
        """Count bytes that are about to leave."""
        self.charges.append((now_s, size))

    def correct(self, size: int) -> None:
        """What was charged last has cost `size` bytes in truth."""
        if self.charges:
            self.charges[-1] = self.charges[-1][0], size


def daily_bytes(budgets: Iterable[Budget]) -> int | None:
    """What the upload budgets allow in a day if it is spread evenly; None: there are none."""
    allowed = [int(budget.limit * DAY_S / budget.period_s) for budget in budgets if budget.resource is Resource.UPLOAD]
    return min(allowed, default=None)
