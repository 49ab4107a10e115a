"""Log lines as JSON, one object a line, with the frame and the device that a line is about."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime

from edge_sdk.terminal.line import one_line

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_LONGEST = 4_000


@dataclass(frozen=True, slots=True)
class About:
    """What a line is about.

    Attributes:
        frame_id: as the device says, bounded.
        device: its name or address.
        trace_id: of the trace, 32 hexadecimal digits; "": none.
    """

    frame_id: str
    device: str
    trace_id: str = ""


_ABOUT: ContextVar[About | None] = ContextVar("about", default=None)


@contextmanager
def about(frame_id: str, device: str, trace_id: str = "") -> Iterator[None]:
    """Lines within the block, and in tasks that it begins, are about this frame."""
    token = _ABOUT.set(About(frame_id, device, trace_id))
    try:
        yield
    finally:
        _ABOUT.reset(token)


class JsonFormatter(logging.Formatter):
    """Writes `time` (UTC), `level`, `logger`, `message`, and where they are known `frame_id`, `device`, `trace_id`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": one_line(record.getMessage(), _LONGEST),
        }
        found = _ABOUT.get()
        if found is not None:
            line |= {"frame_id": one_line(found.frame_id, 64), "device": one_line(found.device, 200)}
            if found.trace_id:
                line["trace_id"] = found.trace_id
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up(level: str, form: str) -> None:
    """Log to standard error from `level` on, as "text" or "json"."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else logging.Formatter(TEXT))
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.getLogger("alembic").setLevel(logging.WARNING)  # what it does at each start is no news
