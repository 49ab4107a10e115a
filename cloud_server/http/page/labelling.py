"""Which frames a person is asked about first, and which classes there are to choose from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from cloud_server.fleet.report_queries import FrameRow

MOST_CHOICES = 24
BUSY_S = 120.0
"""Seconds for which a picture that somebody looks at is not shown to others who label."""
NO_CLASS = "-"
"""The label of a picture that no class fits, as in the sheets of `edge-sdk audit`."""


class Desks:
    """Who looks at which picture, so that two who label at once are not asked the same; from any thread.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._shown: dict[str, tuple[tuple[str, str], float]] = {}

    def order(self, name: str, asked: Sequence[FrameRow]) -> list[FrameRow]:
        """Those that others look at come last; the first one is this person's from now on.

        Args:
            name: of the person.
            asked: in the order in which people are asked.
        """
        now_s = self._clock()
        shown = self._shown.copy()
        busy = {key for by, (key, at_s) in shown.items() if by != name and 0 <= now_s - at_s < BUSY_S}
        found = sorted(asked, key=lambda one: (one.device, one.frame_id) in busy)  # which keeps the order otherwise
        if found:
            self._shown[name] = (found[0].device, found[0].frame_id), now_s
        return found


def waiting(
    frames: Iterable[FrameRow], done: Collection[tuple[str, str]], has_picture: Callable[[str], bool]
) -> list[FrameRow]:
    """Frames with a picture that nobody has labelled: audits on which the models differ, other audits, other frames on
    which they differ, the rest; among alike ones, what the cloud is least sure of first.

    Args:
        frames: some may come twice.
        done: devices and ids of those that have a label.
        has_picture: whether the frame with this id has one.
    """
    each = {(one.device, one.frame_id): one for one in frames}
    open_ones = [one for key, one in each.items() if key not in done and has_picture(one.frame_id)]
    return sorted(open_ones, key=rank)


def rank(frame: FrameRow) -> tuple[int, float, str]:
    """The place of a frame in the order in which people are asked."""
    kind = 0 if frame.audit and frame.differs else 1 if frame.audit else 2 if frame.differs else 3
    return kind, frame.confidence, frame.frame_id


def why(frame: FrameRow) -> str:
    """Why a person is asked about a frame."""
    if frame.audit:
        return "an audit on which the models differ" if frame.differs else "an audit"
    return "the models differ" if frame.differs else "the cloud's answer"


def choices(frame: FrameRow, frames: Iterable[FrameRow], said: Mapping[str, int]) -> list[str]:
    """The classes that a person may choose: the frequent ones, without those of the frame itself.

    Args:
        frame: what is asked about.
        frames: the models' classes are theirs.
        said: how often people said each class.
    """
    seen: Counter[str] = Counter()
    for one in frames:
        seen.update(label for label in (one.label, one.device_label) if label)
    seen.update({label: count for label, count in said.items() if label != NO_CLASS})
    others = [label for label, _ in seen.most_common() if label not in (frame.label, frame.device_label)]
    return others[:MOST_CHOICES]
