"""What gives way, and in which order, when the device's own compute or energy budget runs low.

1. From 70% of a budget on: frames without motion of their own (the gate's heartbeat, and what it lets through after
   motion has ended) are passed over.
2. From 85% on: every second of the rest too.
3. From 95% on: three of four.
4. At the limit nothing runs: frames are answered without a label (`Reason.COMPUTE_SPENT`).

A visit usually lasts several frames, so what gives way first is what tells least.
"""

from __future__ import annotations

from itertools import count

from edge_sdk.motion import GateReason

_STILL_FROM, _HALF_FROM, _QUARTER_FROM = 0.70, 0.85, 0.95
_IDLE = (GateReason.HEARTBEAT, GateReason.HOLD)


class Thrift:
    """Passes frames over while a budget runs low. For one thread."""

    def __init__(self) -> None:
        self._number = count()

    def passes_over(self, share: float, reason: GateReason | None) -> bool:
        """Whether a frame is not looked at.

        Args:
            share: of the fullest budget that has been spent, in [0, 1].
            reason: why the motion gate admitted the frame; None without a gate.
        """
        if share < _STILL_FROM:
            return False
        if reason in _IDLE:
            return True
        if share < _HALF_FROM:
            return False
        return next(self._number) % (2 if share < _QUARTER_FROM else 4) != 0
