"""The shadow price of a budget: the gain that one unit of it must bring, so that the budget lasts and is used up.

Choosing frames of gain g and cost c under a budget is a knapsack; its dual asks one number, the price p per unit of
cost, and offloads a frame if g > p c. The best price is the one at which the demand above it equals what the budget
gives. Here it comes from two estimates that mend one another:

- *demand*: the values per unit (g / c) at which frames asked in the last period, as a histogram that forgets
  exponentially; the price is the value above which they asked for just the budget's rate;
- *dual descent* on the budget's constraint: the rate aimed at rises by a factor exp(k) for a budget that is wholly
  unspent against an even pace and falls where it is ahead, the multiplicative update of Balseiro, Lu, Mirrokni ("The
  Best of Many Worlds: Dual Mirror Descent for Online Allocation Problems", arXiv 2011.10124, section 3) with the
  sliding window in place of the sum from the start.

Frames below the price wait in the spool: if the price falls before they are too old, they still go. A price only
chooses; the ledger's hard limit holds beneath it, whatever the price.
"""

from __future__ import annotations

import math
import struct
import threading
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Budget, Resource

_LOWEST, _HIGHEST, _BINS_PER_OCTAVE = -64, 16, 4  # values per unit from 2^-64 to 2^16
_BINS = (_HIGHEST - _LOWEST) * _BINS_PER_OCTAVE
_FIRST_SHARE = 1 / 64
_NOTE = "price"
_HEAD = struct.Struct("<4d")


INITIAL_CREDIT = 0.1
"""Share of a budget's limit that may be spent at once where it was never used."""


class Price:
    """The price of one budget. Times are seconds on a clock that never runs backwards, over restarts too.

    A budget that was never used begins with a credit, so that the first frames need not wait for an even pace; the
    rest is spread over the first period. In replays a large credit costs accuracy: what is sent at once fills the
    window, and leaves it at once a period later.

    Args:
        limit: the budget's, in its unit.
        period_s: its period.
        state: from `state`, of an earlier run or of another limit; ignored where its period is another.
        initial_credit: share of the limit that a budget begins with, in [0, 1].
        pull: k of the dual step.
    """

    def __init__(
        self,
        limit: float,
        period_s: float,
        state: bytes | None = None,
        *,
        initial_credit: float = INITIAL_CREDIT,
        pull: float = 4.0,
    ) -> None:
        self._limit = limit
        self._period_s = period_s
        self._credit = initial_credit
        self._pull = pull
        self._asked: NDArray[np.float64] = np.zeros(_BINS)
        self._since_s: float | None = None
        self._at_s = 0.0
        if state is not None:
            self._restore(state)

    def ask(self, gain: float, cost: float, now_s: float) -> None:
        """Record the demand of a frame that would bring `gain` for `cost` units."""
        self._forget(now_s)
        if gain > 0 and cost > 0:
            place = int((math.log2(gain / cost) - _LOWEST) * _BINS_PER_OCTAVE)
            self._asked[min(max(place, 0), _BINS - 1)] += cost

    def per_unit(self, spent: float, now_s: float) -> float:
        """The price now: gain that one unit of cost must bring; 0 where the budget pays for all that asks.

        Args:
            spent: what counts against the budget now.
            now_s: the time.
        """
        if self._since_s is None:
            return 0.0
        if self._limit <= 0:
            return math.inf
        self._forget(now_s)
        lived = (now_s - self._since_s) / self._period_s
        young = max(0.0, 1.0 - lived)
        ahead = spent / self._limit - (1.0 - young * (1.0 - self._credit))
        # The histogram forgets with the period, so it holds so much of one.
        held = max(_FIRST_SHARE, -math.expm1(-lived)) + self._credit * young
        wanted = self._limit * held * math.exp(-self._pull * ahead)
        above = np.cumsum(self._asked[::-1])
        if above[-1] <= wanted:
            return 0.0
        place = int(np.searchsorted(above, wanted, side="right"))
        before = float(above[place - 1]) if place else 0.0
        share = (wanted - before) / float(above[place] - before)
        return float(2.0 ** (_LOWEST + (_BINS - place - share) / _BINS_PER_OCTAVE))

    @property
    def state(self) -> bytes:
        """The state to continue from after a restart: the used bins of the histogram."""
        used = np.flatnonzero(self._asked)
        since = -1.0 if self._since_s is None else self._since_s
        head = _HEAD.pack(self._limit, self._period_s, since, self._at_s)
        return head + used.astype("<u2").tobytes() + self._asked[used].astype("<f4").tobytes()

    def _restore(self, state: bytes) -> None:
        if len(state) < _HEAD.size or (len(state) - _HEAD.size) % 6:
            return
        _, period_s, since_s, at_s = _HEAD.unpack_from(state)
        count = (len(state) - _HEAD.size) // 6
        used = np.frombuffer(state, "<u2", count, _HEAD.size)
        asked = np.frombuffer(state, "<f4", count, _HEAD.size + 2 * count)
        if period_s != self._period_s or (used >= _BINS).any() or not np.isfinite(asked).all():
            return
        self._asked[used] = asked
        self._since_s, self._at_s = (None if since_s < 0 else since_s), at_s

    def _forget(self, now_s: float) -> None:
        if self._since_s is None:
            self._since_s = self._at_s = now_s
        passed_s = now_s - self._at_s
        if passed_s > 0:
            self._asked *= math.exp(-passed_s / self._period_s)
            self._at_s = now_s


_PRICED = (Resource.UPLOAD, Resource.FRAMES, Resource.CLOUD, Resource.ENERGY)


class Prices:
    """The prices of all of a ledger's budgets that an offload spends, kept in the ledger. Threads may share it.

    With several budgets, each has its price: what a frame would bring per unit of one is its gain less what it costs
    at the prices of the others.

    Args:
        ledger: the account; it keeps the prices over restarts.
        initial_credit: share of each limit that may be spent at once where a budget was never used.
    """

    def __init__(self, ledger: Ledger, initial_credit: float = INITIAL_CREDIT) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._prices: dict[Budget, Price] = {}
        self.renew(initial_credit)

    def renew(self, initial_credit: float) -> None:
        """Take over the ledger's budgets. A new limit on a period that was priced before keeps its history."""
        with self._lock:
            known = {(budget.resource, budget.period_s): price.state for budget, price in self._prices.items()}
            self._prices = {
                budget: Price(
                    budget.limit,
                    budget.period_s,
                    known.get((budget.resource, budget.period_s)) or self._ledger.recall(_name(budget)),
                    initial_credit=initial_credit,
                )
                for budget in self._ledger.budgets
                if budget.resource in _PRICED
            }

    def ask(self, gain: float, costs: Mapping[Resource, float]) -> float:
        """Record a frame's demand; return its cost at today's prices, in gain.

        Args:
            gain: what it would bring.
            costs: what it would spend, by resource.
        """
        now_s = self._ledger.elapsed_s()
        with self._lock:
            each = self._each(costs, now_s)
            total = sum(each.values())
            for budget, price in self._prices.items():
                price.ask(gain - (total - each[budget]), costs.get(budget.resource, 0.0), now_s)
        self.save()
        return total

    def cost(self, costs: Mapping[Resource, float]) -> float:
        """The gain that a frame of these costs must bring at today's prices."""
        with self._lock:
            return sum(self._each(costs, self._ledger.elapsed_s()).values())

    def save(self) -> None:
        """Hand the prices to the ledger, which writes them with its counters."""
        with self._lock:
            for budget, price in self._prices.items():
                self._ledger.remember(_name(budget), price.state)

    def _each(self, costs: Mapping[Resource, float], now_s: float) -> dict[Budget, float]:
        spent = {state.budget: state.spent for state in self._ledger.states()}
        return {
            budget: costs.get(budget.resource, 0.0) * price.per_unit(spent[budget], now_s)
            if costs.get(budget.resource) and budget in spent  # it is not, for a moment, while budgets are replaced
            else 0.0
            for budget, price in self._prices.items()
        }


def _name(budget: Budget) -> str:
    return f"{_NOTE} {budget.resource} {budget.limit} {budget.period_s:g}"
