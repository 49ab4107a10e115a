"""What people say a frame shows. Each word is kept; of a frame the latest one counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, tuple_

from cloud_server.fleet.database.opening import transaction
from cloud_server.fleet.database.tables import labels
from edge_sdk.errors import ConfigError
from edge_sdk.terminal.line import one_line

if TYPE_CHECKING:
    from sqlalchemy import Engine, Row

LONGEST = 100
"""Characters of a label."""
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Label:
    """A person's word on a frame.

    Attributes:
        device: whose frame it is.
        frame_id: the frame's; for an event, that of the frame that stands for it.
        label: the class; None: an earlier word was withdrawn.
        made_by: the user's name.
        made_ms: when, milliseconds since 1970.
    """

    device: str
    frame_id: str
    label: str | None
    made_by: str
    made_ms: int


class Labels:
    """The labels of a database; may be used on any thread.

    Args:
        engine: of the database.
        clock: seconds since 1970.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine, self._clock = engine, clock

    def add(self, device: str, frame_id: str, label: str | None, by: str) -> Label:
        """Keep a word on a frame; it is on the disk when this returns.

        Args:
            device: whose frame it is.
            frame_id: which one.
            label: the class; None: take back what was said.
            by: the user's name.

        Raises:
            ConfigError: the label is empty or too long.
            Unavailable: the database does not answer; nothing is kept.
        """
        if label is not None and (not label.strip() or len(label) > LONGEST or one_line(label) != label):
            raise ConfigError(f"expected a label of 1 to {LONGEST} characters on one line; got {label[:200]!r}")
        made = Label(device, frame_id, label, by, round(self._clock() * 1000))
        row = {"device": device, "frame_id": frame_id, "label": label, "made_by": by, "made_ms": made.made_ms}
        with transaction(self._engine) as connection:
            connection.execute(insert(labels).values(row))
        return made

    def take_back(self, by: str) -> tuple[str, str] | None:
        """Take back what a user said last of all that still counts; the device and the frame, or None.

        Raises:
            Unavailable: the database does not answer; nothing changed.
        """
        newest = select(func.max(labels.c.number)).group_by(labels.c.device, labels.c.frame_id)
        wanted = select(labels).where(labels.c.number.in_(newest), labels.c.label.is_not(None), labels.c.made_by == by)
        with transaction(self._engine) as connection:
            row = connection.execute(wanted.order_by(labels.c.number.desc()).limit(1)).one_or_none()
            if row is None:
                return None
            back = {"device": row.device, "frame_id": row.frame_id, "label": None, "made_by": by}
            connection.execute(insert(labels).values(back | {"made_ms": round(self._clock() * 1000)}))
        return row.device, row.frame_id

    def of(self, frames: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Label]:
        """What counts for these frames, by device and frame id; those without a label are left out."""
        wanted, found = list(dict.fromkeys(frames)), {}
        for first in range(0, len(wanted), _AT_ONCE):
            some = tuple_(labels.c.device, labels.c.frame_id).in_(wanted[first : first + _AT_ONCE])
            newest = select(func.max(labels.c.number)).where(some).group_by(labels.c.device, labels.c.frame_id)
            with transaction(self._engine) as connection:
                for row in connection.execute(select(labels).where(labels.c.number.in_(newest))):
                    if row.label is not None:
                        found[row.device, row.frame_id] = _label(row)
        return found

    def all(self, device: str = "") -> Iterator[Label]:
        """What counts, of one device or of all, in the order of saying."""
        newest = select(func.max(labels.c.number)).group_by(labels.c.device, labels.c.frame_id)
        wanted = select(labels).where(labels.c.number.in_(newest), labels.c.label.is_not(None))
        if device:
            wanted = wanted.where(labels.c.device == device)
        with transaction(self._engine) as connection:
            rows = connection.execute(wanted.order_by(labels.c.number)).all()
        return map(_label, rows)

    def counts(self) -> dict[tuple[str, str], int]:
        """How many labels count, by class and by who said them."""
        newest = select(func.max(labels.c.number)).group_by(labels.c.device, labels.c.frame_id)
        said = labels.c.label, labels.c.made_by
        wanted = select(*said, func.count()).where(labels.c.number.in_(newest), labels.c.label.is_not(None))
        with transaction(self._engine) as connection:
            return {(label, by): count for label, by, count in connection.execute(wanted.group_by(*said))}

    def latest(self) -> int:
        """A number that rises with each word that is kept; 0: there is none."""
        with transaction(self._engine) as connection:
            return int(connection.execute(select(func.max(labels.c.number))).scalar_one() or 0)

    def history(self, device: str, frame_id: str) -> list[Label]:
        """All that was said of one frame, the oldest first."""
        wanted = select(labels).where(labels.c.device == device, labels.c.frame_id == frame_id)
        with transaction(self._engine) as connection:
            return [_label(row) for row in connection.execute(wanted.order_by(labels.c.number))]


def _label(row: Row[Any]) -> Label:
    return Label(row.device, row.frame_id, row.label, row.made_by, row.made_ms)
