"""The simulated trail camera: an endless or bounded sequence of frames with their truth."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from edge_sdk.camera.simulated.arrivals import Actor, next_kind, plan_visit
from edge_sdk.camera.simulated.light import WEATHERS, Light, light_at
from edge_sdk.camera.simulated.renderer import Renderer
from edge_sdk.camera.simulated.scene import make_site
from edge_sdk.camera.simulated.texture import generator
from edge_sdk.errors import ConfigError
from edge_sdk.redaction import without_secrets
from edge_sdk.types import Frame

START = datetime(2026, 5, 4, 14, 0, tzinfo=UTC)
_WEATHER_SHARE = (0.42, 0.26, 0.10, 0.13, 0.09)
_PER_DAY = 600.0


class SimulatedCamera:
    """A trail camera in a made-up wood.

    Like a real one it is triggered: frames of one trigger are `1 / fps` apart, and between triggers the clock leaps by
    minutes, so that about 600 frames make a day. Visitors cause triggers; so does the wind (those frames are empty).

    Args:
        seed: site, weather, visitors: everything. The same seed gives the same pixels in every process.
        width: picture width in pixels.
        height: picture height in pixels.
        fps: frames per second of simulated time within a trigger.
        frames: number of frames after which it ends; None: it never does.
        realtime: hand out frames at `fps` by the wall clock.
        start: when the sequence begins, with a time zone; hours are read in that zone.
        clock: monotonic seconds.
        sleep: waits that many seconds.

    Raises:
        ConfigError: a parameter is out of range.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        width: int = 640,
        height: int = 480,
        fps: float = 2.0,
        frames: int | None = None,
        realtime: bool = False,
        start: datetime = START,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        _check("seed", seed, 0, 2**32 - 1)
        _check("width", width, 64, 4096)
        _check("height", height, 48, 4096)
        _check("fps", fps, 0.05, 120)
        if frames is not None:
            _check("frames", frames, 0, 2**62)
        if start.tzinfo is None:
            raise ConfigError(f"expected start with a time zone; got the naive {start.isoformat()}")
        self.seed, self.fps, self.frames, self.realtime = seed, fps, frames, realtime
        self.source = f"simulated://trailcam?seed={seed}"
        self._clock, self._sleep = clock, sleep
        self._due: float | None = None
        self._made = 0
        self._closed = False
        self._site = make_site(seed, width, height)
        self._rng = generator(41, seed)
        self._picture = generator(43, seed)
        self._now = start
        self._flash_m = float(self._rng.uniform(7.0, 11.0))
        self._sun_side = float(self._rng.uniform(-1, 1))
        self._weather, self._weather_until = "clear", start
        self._wind = 0.3
        self._renderer = Renderer(self._site, self._light())
        self._lit_at = start
        self._script = self._scenes()

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        if self._closed or (self.frames is not None and self._made >= self.frames):
            raise StopIteration
        actors = next(self._script)
        shot = self._renderer.shoot(actors, self._picture, time_s=self._made / self.fps, wind=self._wind)
        if self.realtime:
            self._pace()
        self._made += 1
        captured_at = self._now
        self._now += timedelta(seconds=1 / self.fps)
        return Frame(shot.image, captured_at, self.source, truth=shot.label or "empty")

    def close(self) -> None:
        """End the sequence."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _pace(self) -> None:
        now = self._clock()
        if self._due is None:
            self._due = now
        if self._due > now:
            self._sleep(self._due - now)
        self._due = max(self._due, now) + 1 / self.fps

    def _hour(self) -> float:
        return self._now.hour + self._now.minute / 60 + self._now.second / 3600

    def _light(self) -> Light:
        return light_at(self._hour(), self._weather, self._sun_side, self._flash_m)

    def _leap(self, frames: int) -> None:
        """Let the clock run on by about the share of a day that `frames` stand for; the light follows."""
        mean = 86400 / _PER_DAY * frames
        self._now += timedelta(seconds=float(self._rng.uniform(0.5, 1.5)) * mean)
        if self._now >= self._weather_until:
            self._weather = WEATHERS[int(self._rng.choice(len(WEATHERS), p=_WEATHER_SHARE))]
            if self._weather == "snow" and self._site.kind != "snow":
                self._weather = "overcast"
            self._weather_until = self._now + timedelta(hours=float(self._rng.uniform(2, 6)))
        self._wind = float(self._rng.beta(2, 3))
        self._renderer.relight(self._light())

    def _scenes(self) -> Iterator[tuple[Actor, ...]]:
        while True:
            for _ in range(int(self._rng.poisson(1.5)) + 1):
                burst = int(self._rng.integers(2, 6))
                self._leap(burst)
                for _ in range(burst):
                    yield ()
            kind = next_kind(self._rng, self._renderer.light.infrared)
            visit = plan_visit(kind, self._rng, self._site.view, self.fps, self._renderer.light.reach_m)
            self._leap(len(visit))
            yield from visit


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"simulated camera: expected {name} from {low} to {high}; got {value}")


def from_url(url: str) -> SimulatedCamera:
    """Open `simulated://trailcam?seed=3&fps=2&size=640x480&frames=100&realtime=1`; every parameter may be left out.

    Raises:
        ConfigError: another address, an unknown parameter or a value out of range.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets that are not closed
        raise ConfigError(f"expected simulated://trailcam?seed=0; got {without_secrets(url)!r}") from None
    if parts.scheme != "simulated" or parts.netloc != "trailcam" or parts.path not in ("", "/"):
        raise ConfigError(f"expected simulated://trailcam?seed=0; got {without_secrets(url)!r}")
    known = ("seed", "fps", "size", "frames", "realtime")
    options: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in known:
            raise ConfigError(
                f"simulated camera: unknown parameter {name!r} in {without_secrets(url)!r}; expected one of "
                f"{', '.join(known)}"
            )
        if name in options:
            raise ConfigError(f"simulated camera: expected {name} once; got it twice in {without_secrets(url)!r}")
        options[name] = value
    width, height = _size(options.get("size", "640x480"))
    return SimulatedCamera(
        seed=_whole("seed", options.get("seed", "0")),
        width=width,
        height=height,
        fps=_number("fps", options.get("fps", "2")),
        frames=_whole("frames", options["frames"]) if "frames" in options else None,
        realtime=_switch("realtime", options.get("realtime", "0")),
    )


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(f"simulated camera: expected {name} as a whole number; got {text!r}")
    return int(text)


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise ConfigError(f"simulated camera: expected {name} as a number; got {text!r}")
    return value


def _switch(name: str, text: str) -> bool:
    if text not in ("0", "1"):
        raise ConfigError(f"simulated camera: expected {name} as 0 or 1; got {text!r}")
    return text == "1"


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.partition("x")
    if not cross or not width.isdigit() or not height.isdigit():
        raise ConfigError(f"simulated camera: expected size as WIDTHxHEIGHT, such as 640x480; got {text!r}")
    return int(width), int(height)
