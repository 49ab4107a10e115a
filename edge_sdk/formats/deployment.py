"""Where and when a camera stood."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from edge_sdk.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Deployment:
    """One camera at one place for one period.

    Attributes:
        deployment_id: its id; "": the place's name, else "deployment".
        place: the place's name.
        latitude: degrees north, WGS84, -90 to 90; None: not known.
        longitude: degrees east, WGS84, -180 to 180; None: not known.
        start: when it began, with a time zone; None: at the first frame.
        end: when it ended, with a time zone; None: at the last frame.
        project: title of the project that it belongs to; "": the place's name.
        contributor: who made the data; "": this software alone.

    Raises:
        ConfigError: a coordinate or time is no such thing.
    """

    deployment_id: str = ""
    place: str = ""
    latitude: float | None = None
    longitude: float | None = None
    start: datetime | None = None
    end: datetime | None = None
    project: str = ""
    contributor: str = ""

    def __post_init__(self) -> None:
        for name, value, most in (("latitude", self.latitude, 90), ("longitude", self.longitude, 180)):
            if value is not None and not (math.isfinite(value) and abs(value) <= most):
                raise ConfigError(f"expected the {name} in degrees, {-most} to {most}; got {value}")
        for name, moment in (("start", self.start), ("end", self.end)):
            if moment is not None and moment.tzinfo is None:
                raise ConfigError(f"expected the {name} with a time zone; got the naive {moment.isoformat()}")
        if self.start is not None and self.end is not None and self.end < self.start:
            raise ConfigError(f"expected an end after the start {self.start}; got {self.end}")

    @property
    def name(self) -> str:
        """Its id, or what stands for it."""
        return self.deployment_id or self.place or "deployment"

    @property
    def location(self) -> str:
        """The place's name, or what stands for it."""
        return self.place or self.name
