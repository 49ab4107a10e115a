"""Which frames a person is asked about first, and which classes there are to choose from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from cloud_server.fleet.archive_index import ArchiveIndex
from cloud_server.fleet.database.labels import Label
from cloud_server.fleet.report_queries import FrameRow

MOST_CHOICES = 24
NO_CLASS = "-"
"""The label of a picture that no class fits, as in the sheets of `edge-sdk audit`."""


def waiting(frames: Iterable[FrameRow], labels: Iterable[Label], index: ArchiveIndex) -> list[FrameRow]:
    """Frames with a picture that nobody has labelled: audits on which the models differ, other audits, other frames on
    which they differ, the rest; among alike ones, what the cloud is least sure of first.
    """
    done = {(one.device, one.frame_id) for one in labels}
    open_ones = [one for one in frames if (one.device, one.frame_id) not in done and index.has(one.frame_id)]
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


def choices(frame: FrameRow, frames: Iterable[FrameRow], labels: Iterable[Label]) -> list[str]:
    """The classes that a person may choose: the frequent ones, without those of the frame itself."""
    seen: Counter[str] = Counter()
    for one in frames:
        seen.update(label for label in (one.label, one.device_label) if label)
    seen.update(one.label for one in labels if one.label and one.label != NO_CLASS)
    others = [label for label, _ in seen.most_common() if label not in (frame.label, frame.device_label)]
    return others[:MOST_CHOICES]
