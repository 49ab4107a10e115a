"""Whose turn it is: deficit round robin over callers.

M. Shreedhar and G. Varghese, "Efficient Fair Queueing Using Deficit Round Robin", SIGCOMM 1995, section 3. Callers with
something in the queue take turns. At its turn a caller is credited one quantum and hands out items while the credit
covers their cost; what is left of it is kept for its next turn, and dropped with its last item. However many items one
caller has, it gets no more than its part of what is handed out, and each step takes constant time.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """A queue with one lane for each caller.

    Args:
        quantum: credit of one turn, in the unit of the items' costs. An item that costs many quanta waits as many
            rounds.
    """

    def __init__(self, quantum: float = 1.0) -> None:
        self._quantum = quantum
        self._lanes: OrderedDict[str, deque[tuple[T, float]]] = OrderedDict()  # the first one has its turn
        self._credits: dict[str, float] = {}
        self._turn_has_begun = False
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, caller: str, item: T, cost: float = 1.0) -> None:
        """Put an item behind the others of its caller."""
        if caller not in self._lanes:
            self._lanes[caller] = deque()
            self._credits[caller] = 0.0
        self._lanes[caller].append((item, cost))
        self._size += 1

    def take(self) -> T | None:
        """The next item; None: there is none."""
        while self._lanes:
            caller = next(iter(self._lanes))
            if not self._turn_has_begun:
                self._turn_has_begun = True
                self._credits[caller] += self._quantum
            item, cost = self._lanes[caller][0]
            if cost <= self._credits[caller]:
                self._credits[caller] -= cost
                self._lanes[caller].popleft()
                self._size -= 1
                self._drop_if_empty(caller)
                return item
            self._lanes.move_to_end(caller)
            self._turn_has_begun = False
        return None

    def remove(self, caller: str, item: T) -> bool:
        """Take an item out, wherever it stands; False: it is not there."""
        for index, (found, _) in enumerate(self._lanes.get(caller, ())):
            if found is item:
                del self._lanes[caller][index]
                self._size -= 1
                self._drop_if_empty(caller)
                return True
        return False

    def _drop_if_empty(self, caller: str) -> None:
        if self._lanes[caller]:
            return
        if next(iter(self._lanes)) == caller:
            self._turn_has_begun = False
        del self._lanes[caller], self._credits[caller]
