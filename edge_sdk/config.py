"""Settings of the device, frozen and checked once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_state_path

from edge_sdk.errors import ConfigError


@dataclass(frozen=True, slots=True)
class UplinkSettings:
    """How the device talks to the cloud.

    Attributes:
        connect_timeout_s: how long one try to reach the server may take.
        reply_timeout_s: how long one frame may wait for its reply before the connection counts as dead.
        idle_s: a stream with nothing to send is closed after this, so that a thin link carries no keepalives.
        backoff_s: the first wait after a failure; it doubles, with jitter, up to `max_backoff_s`.
        max_backoff_s: the longest wait between two tries.
        window: frames sent and not yet answered, at most.
        interface: the network interface of the way to the cloud, such as "wwan0": whatever it sends counts against the
            upload budget, other programs' bytes too (Linux). None: the SDK's own connections count, by the kernel's
            account of each.
    """

    connect_timeout_s: float = 10.0
    reply_timeout_s: float = 30.0
    idle_s: float = 60.0
    backoff_s: float = 0.5
    max_backoff_s: float = 120.0
    window: int = 8
    interface: str | None = None


@dataclass(frozen=True, slots=True)
class PowerModel:
    """What the device's work costs in energy, for budgets in joules. Measure it with a meter on the supply line.

    Attributes:
        active_watts: what the device draws while the little model runs, beyond what it draws idle.
        joules_per_byte: what sending a byte costs; some 1e-6 for Wi-Fi, 1e-5 for LTE.

    Raises:
        ConfigError: a value is negative.
    """

    active_watts: float = 3.0
    joules_per_byte: float = 0.0

    def __post_init__(self) -> None:
        if not (self.active_watts >= 0 and self.joules_per_byte >= 0):
            raise ConfigError(f"expected a PowerModel of values of at least 0; got {self}")


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """What the device keeps, beside the bytes of its spool.

    Attributes:
        spool_age_s: a frame that has waited for the cloud longer leaves, and the device's answer is final; None: none.
        journal_rows: most frames in the journal; the oldest with a final answer go first.
        journal_bytes: most bytes of the journal; None: no limit beside `journal_rows`.
        journal_age_s: frames captured longer ago leave the journal; None: none do.
    """

    spool_age_s: float | None = 30 * 86_400.0
    journal_rows: int = 1_000_000
    journal_bytes: int | None = 500_000_000
    journal_age_s: float | None = None


def check_address(text: str) -> str:
    """Return `host:port` unchanged, or raise `ConfigError`.

    Args:
        text: a host name, IPv4 address or bracketed IPv6 address, a colon and a port from 1 to 65535.
    """
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+):(\d{1,5})", text)
    if not match or not 1 <= int(match[2]) <= 65535:
        raise ConfigError(f"expected the cloud's address as host:port, such as vm.example:50051; got {text!r}")
    return text


def default_state_dir(bundle: str = "trailcam") -> Path:
    """Where the device keeps what it must not forget, unless the application names a folder.

    Args:
        bundle: the bundle's name: each has a folder of its own.
    """
    return user_state_path("edge-sdk", appauthor=False) / (re.sub(r"[^\w.-]+", "_", bundle).strip(".") or "_")
