"""Everything that `EdgeClassifier` is told, checked once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from edge_sdk.budget.limits import Budget, Resource, parse_budgets
from edge_sdk.camera.detector import Detector
from edge_sdk.camera.gate import MotionGate
from edge_sdk.config import PowerModel, RemoteSettings, ReportSettings, StorageSettings, UplinkSettings, read_servers
from edge_sdk.durable.clock import Clock, SystemClock
from edge_sdk.errors import ConfigError
from edge_sdk.fleet.health import Measure
from edge_sdk.link.transport import Transport
from edge_sdk.model.bundle import Bundle
from edge_sdk.model.policy import Preferences
from edge_sdk.model.priors import Place
from edge_sdk.model.runtime import Runtime
from edge_sdk.pipeline.blur import Blur
from edge_sdk.pipeline.events import EventSettings
from edge_sdk.security.credentials import Security
from edge_sdk.types import Answer, Event, View

Budgets = Budget | str | Iterable[Budget | str] | None
"""One budget or several, as values or in words."""

_KINDS: dict[str, tuple[type, ...]] = {
    "gate": (MotionGate,),
    "events": (EventSettings,),
    "preferences": (Preferences,),
    "power": (PowerModel,),
    "remote": (RemoteSettings,),
    "reports": (ReportSettings,),
    "storage": (StorageSettings,),
    "blur": (Blur,),
    "uplink": (UplinkSettings,),
    "security": (Security,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The arguments of `EdgeClassifier`, which describes them; `budgets` holds those of all three arguments,
    `servers` what `cloud` names.

    Raises:
        ConfigError: a value cannot be used; the message says what was expected and what came.
    """

    bundle: Bundle | str | Path = "trailcam"
    cloud: str | Sequence[str] | None = None
    budget: Budgets = None
    compute_budget: Budgets = None
    cloud_budget: Budgets = None
    state_dir: str | Path | None = None
    gate: MotionGate | None = None
    detector: Detector | str | Path | None = None
    view: View | str | None = None
    send: View | str | None = None
    place: Place | str | None = None
    events: EventSettings = field(default_factory=EventSettings)
    on_answer: Callable[[Answer], None] | None = None
    on_event: Callable[[Event], None] | None = None
    threshold: float | None = None
    threads: int = 1
    spool_bytes: int = 200_000_000
    preferences: Preferences = field(default_factory=Preferences)
    power: PowerModel | None = None
    storage: StorageSettings = field(default_factory=StorageSettings)
    blur: Blur | None = None
    uplink: UplinkSettings = field(default_factory=UplinkSettings)
    security: Security = field(default_factory=Security)
    reports: ReportSettings | None = field(default_factory=ReportSettings)
    health: Measure | None = None
    remote: RemoteSettings | None = None
    runtime: Runtime | None = None
    transport: Transport | None = None
    clock: Clock = field(default_factory=SystemClock)
    budgets: tuple[Budget, ...] = field(init=False)
    servers: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        budgets = (
            *parse_budgets(self.budget, Resource.UPLOAD, Resource.FRAMES),
            *parse_budgets(self.compute_budget, Resource.COMPUTE, Resource.ENERGY),
            *parse_budgets(self.cloud_budget, Resource.CLOUD),
        )
        object.__setattr__(self, "budgets", budgets)
        if self.power is None and any(budget.resource is Resource.ENERGY for budget in budgets):
            raise ConfigError("expected a PowerModel (power=..., --watts) beside a budget in joules")
        for name, kinds in _KINDS.items():
            value = getattr(self, name)
            if value is not None and not isinstance(value, kinds):
                raise ConfigError(f"expected {name} as a {kinds[0].__name__}; got {value!r}")
        if not (isinstance(self.detector, str | Path | None) or callable(getattr(self.detector, "detect", None))):
            raise ConfigError(
                "expected a detector with a method `detect` and `macs`, or the folder of a detector's bundle; "
                f"got {self.detector!r}"
            )
        if self.view is not None and self.view not in tuple(View):
            raise ConfigError(f"expected view as one of {', '.join(View)}; got {self.view!r}")
        if self.send not in (None, View.FRAME, View.REGION):
            raise ConfigError(f"expected send as frame or region; got {self.send!r}")
        if not isinstance(self.place, Place | str | None):
            raise ConfigError(f"expected place as a Place or the name of a region; got {self.place!r}")
        if self.on_answer is not None and not callable(self.on_answer):
            raise ConfigError(f"expected on_answer as a function that takes an Answer; got {self.on_answer!r}")
        if self.on_event is not None and not callable(self.on_event):
            raise ConfigError(f"expected on_event as a function that takes an Event; got {self.on_event!r}")
        if self.health is not None and not callable(self.health):
            raise ConfigError(f"expected health as a function that returns numbers by name; got {self.health!r}")
        if not (_whole(self.threads) and self.threads > 0):
            raise ConfigError(f"threads: expected 1 to 64; got {self.threads!r}")
        if not (_whole(self.spool_bytes) and self.spool_bytes >= 0):
            raise ConfigError(f"expected spool_bytes as a whole number of at least 0; got {self.spool_bytes!r}")
        object.__setattr__(self, "servers", read_servers(self.cloud))
        for server in self.servers:
            self.security.check(server)


class Keep(Enum):
    """What `EdgeClassifier.reconfigure` takes for a setting that is not given."""

    KEEP = "as it is"


def check_wait(wait_s: float) -> float:
    """Return seconds to wait, from 0 to infinity, or raise `ConfigError`."""
    if isinstance(wait_s, bool) or not isinstance(wait_s, int | float) or math.isnan(wait_s) or wait_s < 0:
        raise ConfigError(f"expected wait_s as seconds, 0 or more; got {wait_s!r}")
    return wait_s


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
