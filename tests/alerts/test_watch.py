"""What lasts: faults of the link, budgets, drift."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from edge_sdk import LinkState, Resource, Usage
from edge_sdk.alerts.alert import Kind
from edge_sdk.alerts.watch import Watch
from edge_sdk.budget.limits import parse_budget
from edge_sdk.budget.usage import BudgetState
from edge_sdk.errors import StorageError
from edge_sdk.model.agreement import Agreement
from edge_sdk.model.drift import Drift
from edge_sdk.model.evidence import Evidence, weigh
from edge_sdk.model.policy import Policy
from edge_sdk.store.audits import AuditCounts, Audits, Difference
from edge_sdk.testing import FakeClock

PROMISE = Policy(agreement=Agreement(edges=(), exits=(1000,), differ=(5,), at_most=0.01))
BUDGET = parse_budget("1000B/day", Resource.UPLOAD)


@dataclass
class Device:
    link: LinkState = LinkState.ONLINE
    link_message: str = ""
    spent: int = 0
    drifts: list[Drift | None] = field(default_factory=list)
    looks: int = 0
    audits: Audits = field(default_factory=lambda: Audits((), (), ()))

    @property
    def usage(self) -> Usage:
        return Usage(budgets=(BudgetState(BUDGET, self.spent),))

    def drift(self) -> Drift | None:
        self.looks += 1
        return self.drifts.pop(0) if self.drifts else None

    def evidence(self) -> Evidence:
        return weigh(self.audits, PROMISE)


def kinds(watch: Watch) -> list[Kind]:
    return [one.kind for one in watch.look()]


def test_a_link_that_is_down_for_long_is_a_fault() -> None:
    device, clock = Device(), FakeClock()
    watch = Watch(device, clock=clock, fault_after_s=300)
    assert kinds(watch) == []
    device.link, device.link_message = LinkState.OFFLINE, "no cloud server answers at vm:50051"
    assert kinds(watch) == []
    clock.pass_s(200)
    device.link = LinkState.CONNECTING
    assert kinds(watch) == []
    clock.pass_s(100)
    device.link = LinkState.OFFLINE
    (found,) = watch.look()
    assert found.text == "link: offline: no cloud server answers at vm:50051"
    device.link = LinkState.ONLINE
    assert kinds(watch) == []
    device.link = LinkState.OFFLINE
    assert kinds(watch) == []


def test_what_needs_a_person_is_a_fault_at_once() -> None:
    for state in (LinkState.DENIED, LinkState.MISMATCH):
        assert kinds(Watch(Device(state), clock=FakeClock())) == [Kind.FAULT]


def test_without_a_cloud_there_is_no_fault() -> None:
    clock = FakeClock()
    watch = Watch(Device(LinkState.OFF), clock=clock)
    watch.look()
    clock.pass_s(1e6)
    assert kinds(watch) == []


def test_a_budget_that_is_nearly_spent_until_it_is_clearly_below() -> None:
    device = Device()
    watch = Watch(device, clock=FakeClock())
    found = []
    for device.spent in (899, 900, 1000, 899, 811, 809, 899):
        found.append(bool(kinds(watch)))
    assert found == [False, True, True, True, True, False, False]
    device.spent = 950
    assert watch.look()[0].text == f"budget: 95% of {BUDGET.describe()} is spent"


def test_a_budget_that_holds_frames_back_for_long() -> None:
    device, clock = Device(LinkState.BUDGET), FakeClock()
    watch = Watch(device, clock=clock)
    assert kinds(watch) == []
    clock.pass_s(300)
    assert kinds(watch) == [Kind.BUDGET]


def test_drift_is_looked_for_every_ten_minutes() -> None:
    clock = FakeClock()
    device = Device(drifts=[Drift(500, 0.01, 0.1, 0.0), Drift(500, 0.3, 0.1, 0.2), None])
    watch = Watch(device, clock=clock)
    assert kinds(watch) == []
    clock.pass_s(599)
    assert kinds(watch) == []
    clock.pass_s(1)
    assert "less sure than at calibration" in watch.look()[0].text
    clock.pass_s(300)
    assert kinds(watch) == [Kind.DRIFT]
    clock.pass_s(300)
    assert kinds(watch) == []
    assert device.looks == 3


def test_a_device_that_cannot_be_asked_is_as_it_was() -> None:
    class Broken(Device):
        def drift(self) -> Drift | None:
            raise StorageError("the disk is full")

    device = Broken(LinkState.DENIED)
    watch = Watch(device, clock=FakeClock())
    assert kinds(watch) == []
    assert kinds(watch) == [Kind.FAULT]  # drift is not asked again at once


def test_a_promise_that_audits_break_is_told_and_looked_for_every_hour() -> None:
    device, clock = Device(), FakeClock()
    watch = Watch(device, clock=clock)
    assert kinds(watch) == []
    moment = datetime(2027, 1, 15, 12, tzinfo=UTC)
    found = tuple(Difference(str(n), 20 * n, 0.1, moment, "fox", "deer", None, None) for n in range(1, 31))
    device.audits = Audits((AuditCounts(0.1, 600, 60, 60, differ=30),), (), found)
    assert kinds(watch) == []
    clock.pass_s(3600)
    (condition,) = watch.look()
    assert (condition.kind, condition.name) == (Kind.AUDIT, "audit")
    assert "no longer holds since 2027-01-15 12:00" in condition.text
