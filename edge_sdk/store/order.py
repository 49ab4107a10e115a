"""The order in which frames wait: the highest rank first, and of equals the one that was handled first."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A frame in the order, and what else must be known of it without reading its file.

    Attributes:
        frame_id: the frame's id.
        rank: the higher, the earlier its turn.
        handled_ns: when the device handled it, on the store's clock.
        bytes: of its file.
        tries: spent on it without an answer.
        audit: the frame is confident, and sent to measure accuracy.
    """

    frame_id: str
    rank: float
    handled_ns: int
    bytes: int
    tries: float = 0.0
    audit: bool = False

    @property
    def key(self) -> tuple[float, int, str]:
        """Sorts places by their turn."""
        return -self.rank, self.handled_ns, self.frame_id


class Order:
    """The places of all frames that wait. Not for two threads at once.

    Attributes:
        bytes: of the frames' files.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._keys: list[tuple[float, int, str]] = []
        self._places: dict[str, Place] = {}
        self._tried = 0

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, frame_id: str) -> bool:
        return frame_id in self._places

    def __iter__(self) -> Iterator[str]:
        """The ids, in the order of their turn."""
        return (frame_id for _, _, frame_id in self._keys)

    def add(self, place: Place) -> None:
        """Put a frame in its place; its id is not there yet."""
        self._places[place.frame_id] = place
        insort(self._keys, place.key)
        self.bytes += place.bytes
        self._tried += place.tries > 0

    def pop(self, frame_id: str) -> Place | None:
        """Take a frame out; None if it is not there."""
        place = self._places.pop(frame_id, None)
        if place is not None:
            del self._keys[bisect_left(self._keys, place.key)]
            self.bytes -= place.bytes
            self._tried -= place.tries > 0
        return place

    def tries(self, frame_id: str) -> float:
        """Tries spent on a frame; 0 if it is not there."""
        place = self._places.get(frame_id)
        return 0.0 if place is None else place.tries

    @property
    def any_tried(self) -> bool:
        """Whether tries were spent on some frame."""
        return self._tried > 0

    def first(self, exclude: Collection[str] = ()) -> str | None:
        """The id whose turn it is, of those that are not in `exclude`."""
        return next((frame_id for frame_id in self if frame_id not in exclude), None)

    def victims(self, place: Place, max_bytes: int) -> list[str]:
        """The ids of what must go so that `place` fits: the frames of the lowest rank, or itself alone."""
        excess, victims = self.bytes + place.bytes - max_bytes, list[str]()
        if place.bytes > max_bytes:
            return [place.frame_id]
        for key in reversed(self._keys):
            if excess <= 0:
                break
            if key < place.key:
                return [place.frame_id]
            victims.append(key[2])
            excess -= self._places[key[2]].bytes
        return victims

    def handled_before(self, oldest_ns: int, exclude: Collection[str] = ()) -> list[str]:
        """The ids of frames that were handled before `oldest_ns`, and are not in `exclude`."""
        return [frame_id for _, at_ns, frame_id in self._keys if at_ns < oldest_ns and frame_id not in exclude]
