"""Who is refused, in the log: each caller once at first, then in counts, whatever they send."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from edge_sdk.terminal.line import one_line

_log = logging.getLogger(__name__)

AGAIN_S = 600.0
"""Seconds until the same caller is told again."""
LINES = 20
"""Lines within `MINUTE_S`."""
MINUTE_S = 60.0
MAX_CALLERS = 1000


@dataclass(slots=True)
class _Told:
    who: str
    at: float
    further: int = 0


class RefusalLog:
    """Writes a line for a caller's first refusal, and one with the count for those that follow; used on one thread.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: OrderedDict[tuple[str, str], _Told] = OrderedDict()
        self._minute = clock()
        self._lines = self._unsaid = 0

    def tell(self, key: tuple[str, str], who: str, why: object) -> None:
        """Log one refusal, or count it.

        Args:
            key: those of one key are told together: a caller and a kind.
            who: the caller; may hold what it sent.
            why: of this refusal.
        """
        now = self._clock()
        known = self._told.get(key)
        if known is not None and now - known.at < AGAIN_S:
            known.further += 1
            return
        if not self._has_line(now):
            self._unsaid += 1
            return
        again = f" ({known.further} more since the last such line)" if known is not None and known.further else ""
        _log.warning("refused %s: %s%s", one_line(who), one_line(why), again)
        self._told[key] = _Told(who, now)
        self._told.move_to_end(key)
        if len(self._told) > MAX_CALLERS:
            self._told.popitem(last=False)

    def take(self) -> None:
        """Log the counts that are due; to be called each minute, so that the last ones are told too."""
        now = self._clock()
        for key, told in [(key, told) for key, told in self._told.items() if now - told.at >= AGAIN_S]:
            if not told.further:
                del self._told[key]
            elif self._has_line(now):
                _log.warning("refused %s %d more times", one_line(told.who), told.further)
                self._told[key] = _Told(told.who, now)
        if self._unsaid:
            _log.warning("%d further refusals are not listed one by one", self._unsaid)
            self._unsaid = 0

    def _has_line(self, now: float) -> bool:
        """Whether one more line may be written in this minute; if so, it counts."""
        if now - self._minute >= MINUTE_S:
            self._minute, self._lines = now, 0
        self._lines += 1
        return self._lines <= LINES
