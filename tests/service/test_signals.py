"""Signals as values."""

from __future__ import annotations

import os
import signal

from edge_sdk.service.signals import Signals


def test_signals_are_heard_in_their_order_and_do_nothing_else() -> None:
    before = signal.getsignal(signal.SIGHUP)
    with Signals() as signals:
        assert signals.wait(0) == []
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        heard = signals.wait(10)
        while len(heard) < 2:
            heard += signals.wait(10)
        assert heard == [signal.SIGHUP, signal.SIGTERM]
        signals.wake()
        assert signals.wait(60) == []
    assert signal.getsignal(signal.SIGHUP) is before
