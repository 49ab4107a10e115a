"""`Alerts`: answers and states of a device in, alerts out, beside the frame loop and never in its way."""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import tzinfo
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from edge_sdk.alerts.alert import Alert, Kind
from edge_sdk.alerts.channel import Channel, Status
from edge_sdk.alerts.judge import Condition, Judge
from edge_sdk.alerts.outbox import Outbox
from edge_sdk.alerts.rule import AlertRule
from edge_sdk.alerts.sender import Sender
from edge_sdk.alerts.toll import Toll
from edge_sdk.alerts.watch import Watch
from edge_sdk.config import default_state_dir
from edge_sdk.durable.clock import Clock, SystemClock
from edge_sdk.durable.forks import Owner
from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.terminal.line import one_line
from edge_sdk.types import Answer, LinkState

if TYPE_CHECKING:
    from edge_sdk.pipeline.classifier import EdgeClassifier

_log = logging.getLogger(__name__)

_DEVICE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST_ANSWERS = 10_000
_MOST_UNSAVED = 100


def check_device(name: str | None) -> str:
    """The name of a device for alerts and topics; None: the machine's, as far as a topic may hold it.

    Raises:
        ConfigError: it cannot be used.
    """
    if name is None:
        host = socket.gethostname().partition(".")[0]
        return re.sub(r"[^A-Za-z0-9_-]+", "-", host).strip("-")[:64] or "edge-sdk"
    if not _DEVICE.fullmatch(name):
        raise ConfigError(f"expected device as 1 to 64 letters, digits, _ and -; got {name!r}")
    return name


class Alerts:
    """Sends alerts on what an `EdgeClassifier` answers and on how it is.

    A context manager within that of the classifier. Rules are held against every answer and, every few seconds, against
    the link, the budgets, drift and audits. An alert is on the disk before it is sent; each channel has a thread of its
    own and tries until it is delivered. Nothing here makes the frame loop wait.

    Args:
        edge: whose answers and states are looked at; None: none, you call `take` and `fault`.
        rules: on what alerts are sent.
        channels: where they go: `MqttAlerts`, `Webhook`, or a `Channel` of your own.
        state_dir: folder of the alerts that wait, in `alerts.db`; None: that of `edge`, or the user's.
        device: name of this device in alerts and topics: letters, digits, _ and -; None: the machine's name.
        metered: alerts leave by the metered link: their bytes count against the upload budget of `edge`, and wait where
            it has no room. Where `edge` counts a whole network interface, they count already.
        zone: time zone of quiet hours; None: this machine's.
        fault_after_s: seconds for which the link must be down before that is a fault.
        budget_share: share of a budget at which an alert is sent, in (0, 1].
        most_waiting: most alerts that wait for one channel; the oldest go first.
        longest_wait_s: seconds for which an alert waits.
        look_every_s: seconds between two looks at the device's state.
        clock: the machine's clocks; None: the real ones.

    Raises:
        ConfigError: a value cannot be used, or two rules or channels have one name.
        StorageError: `state_dir` cannot be written, or another process holds it.
    """

    def __init__(
        self,
        edge: EdgeClassifier | None = None,
        *,
        rules: Sequence[AlertRule],
        channels: Sequence[Channel],
        state_dir: str | Path | None = None,
        device: str | None = None,
        metered: bool = False,
        zone: tzinfo | None = None,
        fault_after_s: float = 300.0,
        budget_share: float = 0.9,
        most_waiting: int = 1_000,
        longest_wait_s: float = 7 * 86_400.0,
        look_every_s: float = 10.0,
        clock: Clock | None = None,
    ) -> None:
        clock, self._device = clock or SystemClock(), check_device(device)
        names = [channel.name for channel in channels]
        if not names or len(set(names)) < len(names):
            raise ConfigError(f"expected one channel at least, of different names; got {names}: give them names")
        if metered and edge is None:
            raise ConfigError("expected edge beside metered=True: its upload budget is charged")
        if not 0 < budget_share <= 1:
            raise ConfigError(f"expected budget_share above 0 and at most 1; got {budget_share!r}")
        if most_waiting < 1 or not min(fault_after_s + 1, longest_wait_s, look_every_s) > 0:
            raise ConfigError("expected most_waiting of at least 1, and times in seconds above 0")
        if state_dir is None:
            state_dir = default_state_dir("alerts") if edge is None else edge.state_dir
        ledger = edge.ledger if edge is not None and metered and not edge.counts_interface else None
        self._owner = Owner("Alerts")
        self._look_every_s = look_every_s
        self._answers: deque[Answer] = deque(maxlen=_MOST_ANSWERS)
        self._unsaved: deque[Alert] = deque(maxlen=_MOST_UNSAVED)
        self._faults: dict[str, Condition] = {}
        self._news = threading.Event()
        self._ending = False
        self._changed = False
        self._told_storage = False
        self._judge = Judge(rules, device=self._device, clock=clock, zone=zone)  # refuses before a file is made
        self._watch = (
            None if edge is None else Watch(edge, clock=clock, fault_after_s=fault_after_s, budget_share=budget_share)
        )
        with ExitStack() as opened:
            path = Path(state_dir) / "alerts.db"
            self._outbox = Outbox(path, most=most_waiting, longest_s=longest_wait_s, clock=clock)
            opened.callback(self._outbox.close)
            self._judge = Judge(rules, device=self._device, clock=clock, zone=zone, history=self._outbox.spoken())
            for channel in channels:
                opened.callback(channel.close)
                channel.open(self._device, Toll(ledger))
            self._senders = [Sender(channel, self._outbox, clock=clock) for channel in channels]
            self._opened = opened.pop_all()
        self._silence: Callable[[], None] = edge.listen(self.take) if edge is not None else lambda: None
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        for sender in self._senders:
            sender.start()
        self._thread.start()

    def take(self, answer: Answer) -> None:
        """Hold the rules against an answer, on the alerts' thread. The answers of `edge` come by themselves."""
        self._answers.append(answer)
        self._news.set()

    def fault(self, name: str, text: str) -> None:
        """Something of your program does not work, such as its camera; it lasts until `mended`.

        Args:
            name: what it is about; a later call with the same name replaces it.
            text: one sentence for a person.
        """
        shown = one_line(name)
        self._faults[name] = Condition(Kind.FAULT, shown, f"{shown}: {one_line(text)}")
        self._changed = True
        self._news.set()

    def mended(self, name: str) -> None:
        """The fault of this name is over."""
        self._faults.pop(name, None)
        self._changed = True
        self._news.set()

    @property
    def waiting(self) -> int:
        """Number of deliveries that wait; an alert waits for each channel."""
        return self._outbox.count()

    @property
    def dropped(self) -> int:
        """Number of deliveries that were given up since the start, for number, age or damage."""
        return self._outbox.dropped

    @property
    def held(self) -> int:
        """Number of class alerts that were not sent since the start, for quiet hours or a rate."""
        return self._judge.held

    @property
    def messages(self) -> dict[str, str]:
        """For each channel's name, what came of the latest try; "": none yet."""
        return {sender.name: sender.said for sender in self._senders}

    def close(self, grace_s: float = 2.0) -> None:
        """Deliver what can be delivered within `grace_s` seconds, and end; the rest waits for the next start."""
        if self._ending or not self._owner.is_here:
            return
        self._silence()
        self._ending = True
        self._news.set()
        end_s = time.monotonic() + grace_s
        self._thread.join(grace_s)
        for sender in self._senders:
            sender.end()
        for sender in self._senders:
            sender.join(max(0.0, end_s - time.monotonic()))
        for sender in self._senders:
            sender.close()
        for sender in self._senders:
            sender.join(1.0)
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        look_s = 0.0
        while not self._ending or self._answers:
            self._news.clear()
            try:
                if self._judge_answers() or self._changed or time.monotonic() >= look_s:
                    self._changed = False
                    self._look()
                    look_s = time.monotonic() + self._look_every_s
            except Exception:
                _log.exception("the alerts' thread failed; it goes on")
            if not self._answers and not self._ending:
                self._news.wait(max(0.1, look_s - time.monotonic()))

    def _judge_answers(self) -> bool:
        """Take all answers that have come; whether one of them gave rise to an alert."""
        found = False
        while self._answers:
            alerts = self._judge.answer(self._answers.popleft())
            self._keep(alerts)
            found = found or bool(alerts)
        return found

    def _look(self) -> None:
        lasts = (*(self._watch.look() if self._watch else ()), *tuple(self._faults.values()))
        self._keep([*self._unsaved, *self._judge.conditions(lasts)])
        last = self._judge.last
        status = Status(
            link=self._watch.link if self._watch else LinkState.OFF,
            problem=tuple(one.text for one in lasts),
            last_class=last.label if last else None,
            confidence=last.confidence if last else None,
            captured_at=last.captured_at if last else None,
        )
        for sender in self._senders:
            sender.show(status)

    def _keep(self, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            try:
                self._outbox.put(alert, [sender.name for sender in self._senders])
                self._told_storage = False
            except StorageError as error:
                if not self._told_storage:
                    _log.error("%s; the latest %d are tried again", error, _MOST_UNSAVED)
                self._told_storage = True
                if alert not in self._unsaved:
                    self._unsaved.append(alert)
                continue
            if alert in self._unsaved:
                self._unsaved.remove(alert)
        for sender in self._senders if alerts else ():
            sender.wake()
