"""Places for frames that wait: a bounded number and a bounded size, shared by the callers that want them.

While there is room everyone gets a place. When all are taken, a caller with less than the greediest one gets a place of
that one's, whose latest frame gives way (longest queue drop, as McKenney 1990 and Suter et al. 1999 do it for packets).
"""

from __future__ import annotations

from typing import Generic, TypeVar

from edge_sdk.errors import EdgeError

T = TypeVar("T")


class Overloaded(EdgeError):
    """Too many frames wait, or too many bytes."""


class Places(Generic[T]):
    """Who has a place; used on one event loop.

    Args:
        max_items: items with a place.
        max_bytes: their size together; one alone may be larger.
    """

    def __init__(self, max_items: int, max_bytes: int) -> None:
        self._max_items, self._max_bytes = max_items, max_bytes
        self._lanes: dict[str, dict[T, int]] = {}  # by caller: its items in the order of their coming, with their sizes
        self._owners: dict[T, str] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._owners)

    def frames_ahead(self, caller: str) -> int:
        """Items that are served before the caller's next one, where callers take turns."""
        own = len(self._lanes.get(caller, ()))
        return own + sum(min(len(lane), own + 1) for name, lane in self._lanes.items() if name != caller)

    @property
    def bytes(self) -> int:
        """Size of all items with a place."""
        return self._bytes

    def take(self, item: T, caller: str, size: int) -> list[T]:
        """Give an item a place.

        Returns:
            Items of others that have lost theirs to it.

        Raises:
            Overloaded: all places are taken, and the caller has its share of them.
        """
        losers = self._who_gives_way(caller, size)
        for loser in losers:
            self.leave(loser)
        self._lanes.setdefault(caller, {})[item] = size
        self._owners[item] = caller
        self._bytes += size
        return losers

    def leave(self, item: T) -> None:
        """Give an item's place back, if it has one."""
        if (caller := self._owners.pop(item, None)) is None:
            return
        lane = self._lanes[caller]
        self._bytes -= lane.pop(item)
        if not lane:
            del self._lanes[caller]

    def _who_gives_way(self, caller: str, size: int) -> list[T]:
        losers: list[T] = []
        items, taken = len(self._owners), self._bytes
        while items >= self._max_items or (items and taken + size > self._max_bytes):
            counts_items = items >= self._max_items
            loads = {
                name: sum(1 if counts_items else cost for loser, cost in lane.items() if loser not in losers)
                for name, lane in self._lanes.items()
            }
            greediest = max(loads, key=loads.__getitem__)
            if loads[greediest] <= loads.get(caller, 0) + (1 if counts_items else size):
                waiting = f"{len(self._owners)} frames wait" + (
                    "" if counts_items else f" ({self._bytes / 1e6:.1f} MB)"
                )
                raise Overloaded(f"the queue is full, {waiting}: send this frame again later")
            latest = next(one for one in reversed(self._lanes[greediest]) if one not in losers)
            losers.append(latest)
            items, taken = items - 1, taken - self._lanes[greediest][latest]
        return losers
