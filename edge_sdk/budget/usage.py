"""What a device did and spent: counters and the state of its budgets."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge_sdk.budget.limits import Budget, Resource


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget and what is spent of it at one moment.

    Attributes:
        budget: the budget.
        spent: amount charged in the period that ends now, in the resource's unit.
    """

    budget: Budget
    spent: int

    @property
    def share(self) -> float:
        """Spent / limit; 1 where the limit is 0."""
        return self.spent / self.budget.limit if self.budget.limit else 1.0


def _share(state: BudgetState) -> float:
    return state.share


@dataclass(frozen=True, slots=True)
class Usage:
    """What was done and spent. `EdgeClassifier.usage` counts one run, `lifetime_usage` since the first day.

    Attributes:
        frames: frames that the little model saw.
        exits: of these, frames whose device answer stands; audited ones too.
        offloads: of these, frames that were handed to the spool, audited ones too.
        answers_cloud: answers that came from the cloud.
        skipped_compute: frames that were skipped because the compute budget was spent; not part of `frames`.
        events: events that were decided.
        events_offloaded: of these, events of which a frame was handed to the spool; not audited ones, of which the
            device's answer stands.
        bytes_sent: bytes charged against the upload budgets.
        bytes_received: bytes of the cloud's replies.
        macs_little: MACs run on the device.
        macs_big: MACs run in the cloud.
        big_macs: MACs of the big model for one frame.
        budgets: all budgets; what earlier runs spent counts too.
    """

    frames: int = 0
    exits: int = 0
    offloads: int = 0
    answers_cloud: int = 0
    skipped_compute: int = 0
    events: int = 0
    events_offloaded: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    macs_little: int = 0
    macs_big: int = 0
    big_macs: int = 0
    budgets: tuple[BudgetState, ...] = ()

    @property
    def exit_ratio(self) -> float:
        """Exits / frames, in [0, 1]; 0 before the first frame."""
        return self.exits / self.frames if self.frames else 0.0

    @property
    def event_exit_ratio(self) -> float:
        """Events that the device answered / events that were decided, in [0, 1]; 0 before the first."""
        return 1 - self.events_offloaded / self.events if self.events else 0.0

    @property
    def macs_total(self) -> int:
        """MACs of both models."""
        return self.macs_little + self.macs_big

    @property
    def macs_all_big(self) -> int:
        """MACs if every frame had gone to the big model."""
        return self.frames * self.big_macs

    def budget(self, resource: Resource) -> BudgetState | None:
        """The fullest of the resource's budgets, None where it has none."""
        return max((one for one in self.budgets if one.budget.resource is resource), key=_share, default=None)

    def spent(self, resource: Resource) -> int:
        """What counts now against the fullest of the resource's budgets; 0 where it has none."""
        found = self.budget(resource)
        return found.spent if found else 0

    def since(self, earlier: Usage) -> Usage:
        """The same, with the counters since `earlier` instead of since the first day."""
        return replace(self, **{name: getattr(self, name) - getattr(earlier, name) for name in COUNTERS})


COUNTERS = (
    "frames",
    "exits",
    "offloads",
    "answers_cloud",
    "skipped_compute",
    "events",
    "events_offloaded",
    "bytes_sent",
    "bytes_received",
    "macs_little",
    "macs_big",
)
"""The counters' names."""
