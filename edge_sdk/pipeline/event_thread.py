"""The thread that ends events when no frame comes any more, and calls `on_event`."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)

_LONGEST_S = 3600.0
_REST_S = 10.0


class EventThread:
    """Works when it is woken and when something is due; started the first time that it is woken.

    Args:
        due_in_s: seconds until something is due; infinity: nothing is.
        work: does what is due.
    """

    def __init__(self, due_in_s: Callable[[], float], work: Callable[[], None]) -> None:
        self._due_in_s, self._work = due_in_s, work
        self._woken, self._closing = threading.Event(), False
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Something is due, or sooner due than before."""
        if self._thread is None:
            with self._starting:
                if self._thread is None and not self._closing:
                    self._thread = threading.Thread(target=self._run, name="events", daemon=True)
                    self._thread.start()
        self._woken.set()

    def close(self) -> None:
        """End the thread, after what it does now; called on that thread, return at once."""
        with self._starting:
            self._closing = True
        self._woken.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        rest_s = 0.0
        while not self._closing:
            self._woken.wait(max(rest_s, min(self._due_in_s(), _LONGEST_S)))
            self._woken.clear()
            rest_s = 0.0
            try:
                self._work()
            except Exception:
                _log.exception("events: what is due is tried again in %g s", _REST_S)
                rest_s = _REST_S
