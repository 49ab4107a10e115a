"""How much one device, and all together, may ask for; a file that is read again while the server runs sets it."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from edge_sdk.errors import ConfigError
from edge_sdk.security.files import read_given_text


@dataclass(frozen=True, slots=True)
class AccessLimits:
    """Limits on what devices may ask for.

    Attributes:
        max_frames_per_s: how fast one device may send; None: no limit.
        burst: frames that one device may send at once after a pause.
        max_streams: open streams of all devices.
        max_streams_per_device: open streams of one device.
    """

    max_frames_per_s: float | None = None
    burst: int = 32
    max_streams: int = 1000
    max_streams_per_device: int = 16

    def __post_init__(self) -> None:
        for name in ("burst", "max_streams", "max_streams_per_device"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"expected {name} of at least 1; got {value!r}")
        rate = self.max_frames_per_s
        if rate is not None and (
            isinstance(rate, bool) or not isinstance(rate, int | float) or rate <= 0 or not isfinite(rate)
        ):
            raise ConfigError(f"expected max_frames_per_s above 0, or None; got {rate!r}")

    def difference(self, other: AccessLimits) -> str:
        """What `other` has that is not so here, in words; empty where all is the same."""
        names = [field.name for field in dataclasses.fields(self)]
        pairs = [(name, getattr(self, name), getattr(other, name)) for name in names]
        return ", ".join(f"{name} {_shown(old)} -> {_shown(new)}" for name, old, new in pairs if old != new)


def read_limits(path: Path, base: AccessLimits) -> AccessLimits:
    """The limits that a TOML file names, in place of those of `base`.

    Raises:
        ConfigError: it cannot be read, is no TOML, or names what is no limit.
    """
    try:
        named = tomllib.loads(read_given_text(path, "limits file"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"expected TOML in the limits file {path}: {error}") from error
    known = [field.name for field in dataclasses.fields(AccessLimits)]
    if unknown := [name for name in named if name not in known]:
        raise ConfigError(f"expected {', '.join(known)} in the limits file {path}; got {unknown[0]!r:.80}")
    try:
        return dataclasses.replace(base, **named)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _shown(value: float | None) -> str:
    return "no limit" if value is None else f"{value:g}"
