"""How long a frame that arrives now will wait for its answer, and whether that is too long."""

from __future__ import annotations

import math
from collections.abc import Callable

from cloud_server.model.places import Overloaded


class TooLate(Overloaded):
    """A frame would be answered later than its answer is worth anything."""


def answer_s(ahead: int, batch: int, run_s: Callable[[int], float], running_s: float) -> float:
    """Seconds until a frame's answer.

    Args:
        ahead: frames that are served before it.
        batch: most frames in one run.
        run_s: seconds that a run of so many frames takes.
        running_s: seconds that the run of now still takes.
    """
    runs, rest = divmod(ahead, batch)
    return running_s + runs * run_s(batch) + run_s(rest + 1)


def refusal(expected_s: float, wait_s: float, max_queue_s: float) -> str:
    """Why a frame is not taken, for a person; empty: it is.

    Args:
        expected_s: seconds until its answer.
        wait_s: how long that is worth waiting for, as the device says.
        max_queue_s: how long any frame may take, as the server's settings say.
    """
    limit_s = min(wait_s, max_queue_s)
    if expected_s <= limit_s or math.isinf(limit_s):
        return ""
    whose = "this server lets a frame wait" if max_queue_s < wait_s else "its device waits for it"
    return f"its answer would take about {expected_s:.1f} s, longer than {whose} ({limit_s:g} s): send it again later"
