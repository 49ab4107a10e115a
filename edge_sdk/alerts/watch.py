"""What lasts on a device and is worth an alert: faults of the link, spent budgets, drift, a promise that is broken."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Protocol

from edge_sdk.alerts.alert import Kind
from edge_sdk.alerts.judge import Condition
from edge_sdk.budget.usage import Usage
from edge_sdk.durable.clock import Clock
from edge_sdk.errors import EdgeError
from edge_sdk.model.drift import Drift
from edge_sdk.model.evidence import Evidence
from edge_sdk.terminal.line import one_line
from edge_sdk.types import LinkState

_log = logging.getLogger(__name__)

_DRIFT_EVERY_S, _AUDITS_EVERY_S = 600.0, 3_600.0
_NEEDS_A_PERSON = frozenset({LinkState.DENIED, LinkState.MISMATCH})
_DOWN = frozenset({LinkState.OFFLINE, LinkState.RETRYING, LinkState.CONNECTING})


class Watched(Protocol):
    """What is looked at: an `EdgeClassifier`."""

    @property
    def link(self) -> LinkState:
        """State of the way to the cloud."""

    @property
    def link_message(self) -> str:
        """Why it is so."""

    @property
    def usage(self) -> Usage:
        """With the budgets as they stand."""

    def drift(self) -> Drift | None:
        """Whether the frames have changed since calibration."""

    def evidence(self) -> Evidence:
        """What audits say of the frames that exit."""


class Watch:
    """Looks at a device again and again.

    Args:
        edge: the device.
        clock: steady seconds.
        fault_after_s: seconds for which the link must be down before that is a fault.
        budget_share: share of a budget at which it counts as spent, in (0, 1]; it does until it is below nine tenths
            of that.
    """

    def __init__(self, edge: Watched, *, clock: Clock, fault_after_s: float = 300.0, budget_share: float = 0.9) -> None:
        self._edge, self._clock = edge, clock
        self._fault_after_s, self._share = fault_after_s, budget_share
        self._since: dict[Kind, float] = {}
        self._full: set[str] = set()
        self._drift_s = -_DRIFT_EVERY_S
        self._audits_s = -_AUDITS_EVERY_S
        self._drifted: Condition | None = None
        self._broken: Condition | None = None
        self._latest: tuple[Condition, ...] = ()

    @property
    def link(self) -> LinkState:
        """State of the way to the cloud."""
        return self._edge.link

    def look(self) -> tuple[Condition, ...]:
        """Everything that lasts now; what was found before where the device cannot be asked."""
        try:
            self._latest = (*self._link(), *self._budgets(), *self._drift(), *self._audits())
        except EdgeError as error:
            _log.debug("the device's state cannot be read: %s", error)
        return self._latest

    def _link(self) -> Iterator[Condition]:
        state, message = self._edge.link, self._edge.link_message
        text = one_line(f"link: {state}{f': {message}' if message else ''}")
        if state in _NEEDS_A_PERSON or self._long(Kind.FAULT, state in _DOWN):
            yield Condition(Kind.FAULT, "link", text)
        if self._long(Kind.BUDGET, state is LinkState.BUDGET):
            yield Condition(Kind.BUDGET, "link", text)

    def _long(self, kind: Kind, holds: bool) -> bool:
        """Whether it has held for as long as a fault must."""
        now_s = self._clock.steady_s()
        if not holds:
            self._since.pop(kind, None)
            return False
        return now_s - self._since.setdefault(kind, now_s) >= self._fault_after_s

    def _budgets(self) -> Iterator[Condition]:
        for state in self._edge.usage.budgets:
            name = state.budget.describe()
            limit = 0.9 * self._share if name in self._full else self._share
            if state.share < limit:
                self._full.discard(name)
                continue
            self._full.add(name)
            yield Condition(Kind.BUDGET, name, f"budget: {state.share:.0%} of {name} is spent")

    def _drift(self) -> Iterator[Condition]:
        now_s = self._clock.steady_s()
        if now_s - self._drift_s >= _DRIFT_EVERY_S:
            self._drift_s = now_s
            found = self._edge.drift()
            self._drifted = Condition(Kind.DRIFT, "drift", found.sentence()) if found and found.drifted else None
        if self._drifted is not None:
            yield self._drifted

    def _audits(self) -> Iterator[Condition]:
        now_s = self._clock.steady_s()
        if now_s - self._audits_s >= _AUDITS_EVERY_S:
            self._audits_s = now_s
            found = self._edge.evidence()
            self._broken = Condition(Kind.AUDIT, "audit", found.sentence()) if found.broken else None
        if self._broken is not None:
            yield self._broken
