"""Settings of the device, frozen and checked once."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path

from platformdirs import user_state_path

from edge_sdk.archive_rule import ArchiveRule
from edge_sdk.errors import ConfigError
from edge_sdk.redaction import without_secrets
from edge_sdk.security.place import read_place
from edge_sdk.security.proxy import HttpProxy

_INTERFACE = re.compile(r"(?!\.{1,2}$)[^\s/]{1,15}")  # what Linux allows


@dataclass(frozen=True, slots=True)
class UplinkSettings:
    """How the device talks to the cloud. Times are in seconds, finite and above 0.

    Attributes:
        connect_timeout_s: limit on one try to reach the server.
        reply_timeout_s: limit on the wait for one frame's reply; a longer wait ends the connection.
        idle_s: a connection with nothing to send is closed after this time, so no keepalives are sent.
        backoff_s: first wait after a failure. It doubles, with jitter, up to `max_backoff_s`.
        max_backoff_s: longest wait between two tries, jitter apart; at least `backoff_s`.
        return_s: where several servers are named, time after which one that failed is looked at again while another one
            works. It doubles with each look in vain, up to eight times, and a share of half is drawn at random.
        window: most frames that are sent and not yet answered; at least 1.
        max_tries: most times that a frame is sent which the server fails on, or ends the connection at, each time; then
            the device's answer is final (`Reason.GIVEN_UP`). Where nothing is answered at all, which is an outage, a
            try counts a quarter. At least 1.
        interface: network interface of the way to the cloud, such as "wwan0". All bytes that it sends then count
            against the upload budget, those of other programs too (Linux). None: only the bytes of the SDK's own
            connections count, as the kernel reports them.
        proxy: HTTP proxy that leads to the server by `CONNECT`, "http://host:port" or
            "http://user:password@host:port"; its bytes are charged like all others. None: none; proxies of the
            environment are not used. Not shown where the settings are printed.
        trace: name a trace to the server with each stream, which goes on with it where it records any (`cloud-server
            --traces`). Costs about 80 bytes a stream.

    Raises:
        ConfigError: a value is out of range, NaN, infinite or of another type.
    """

    connect_timeout_s: float = 10.0
    reply_timeout_s: float = 30.0
    idle_s: float = 60.0
    backoff_s: float = 0.5
    max_backoff_s: float = 120.0
    window: int = 8
    max_tries: int = 8
    interface: str | None = None
    proxy: str | None = field(default=None, repr=False)
    return_s: float = 600.0
    trace: bool = False

    def __post_init__(self) -> None:
        for name in ("connect_timeout_s", "reply_timeout_s", "idle_s", "backoff_s", "max_backoff_s", "return_s"):
            value = getattr(self, name)
            if not _is_number(value) or value <= 0:
                raise ConfigError(f"expected UplinkSettings.{name} as seconds above 0; got {value!r}")
        if self.max_backoff_s < self.backoff_s:
            raise ConfigError(
                f"expected UplinkSettings.max_backoff_s of at least backoff_s ({self.backoff_s:g} s); "
                f"got {self.max_backoff_s:g} s"
            )
        for name, what in (("window", "frames"), ("max_tries", "tries")):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(
                    f"expected UplinkSettings.{name} as a whole number of {what}, 1 or more; got {value!r}"
                )
        link = self.interface
        if link is not None and not (isinstance(link, str) and _INTERFACE.fullmatch(link)):
            raise ConfigError(f'expected UplinkSettings.interface as a name such as "wwan0", or None; got {link!r}')
        if not isinstance(self.trace, bool):
            raise ConfigError(f"expected UplinkSettings.trace as True or False; got {self.trace!r}")
        if self.proxy is not None:
            if not isinstance(self.proxy, str):
                raise ConfigError(f"expected UplinkSettings.proxy as a text; got a {type(self.proxy).__name__}")
            HttpProxy.parse(self.proxy)


@dataclass(frozen=True, slots=True)
class PowerModel:
    """What the device's work costs in energy, for budgets in joules. Measure it with a meter on the supply line.

    Attributes:
        active_watts: power that the device draws while the little model runs, beyond its idle power; in watts.
        joules_per_byte: energy to send one byte; about 1e-6 for Wi-Fi, 1e-5 for LTE.
        asleep_watts: what the device draws with its camera closed; in watts.
        awake_watts: what it draws with its camera open, apart from the model.
        wake_joules: what each wake costs beside that, such as the start of a device whose power was cut.

    The last three are for `edge_sdk.duty.Spent`; a budget in joules counts the model and the sending alone.

    Raises:
        ConfigError: a value is negative, NaN, infinite or not a number.
    """

    active_watts: float = 3.0
    joules_per_byte: float = 0.0
    asleep_watts: float = 0.0
    awake_watts: float = 0.0
    wake_joules: float = 0.0

    def __post_init__(self) -> None:
        values = self.active_watts, self.joules_per_byte, self.asleep_watts, self.awake_watts, self.wake_joules
        if not all(_is_number(value) and value >= 0 for value in values):
            raise ConfigError(f"expected a PowerModel of values of at least 0; got {self}")


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """What the device keeps, beside the bytes of its spool, and how soon it is on the disk.

    Attributes:
        spool_age_s: seconds a frame may wait before the device's answer becomes final. None: unlimited.
        journal_rows: most frames in the journal; the oldest with a final answer go first.
        journal_bytes: most bytes of the journal, and never more than a fourth of the disk, so that a damaged one can be
            rebuilt; None: that fourth.
        journal_age_s: seconds after which a frame leaves the journal, counted while it is handled; None: unlimited.
        durable: "frame": a frame that waits is on the disk when `classify` returns, at the price of one sync. A time
            such as "1s": a thread syncs that often, and a power cut loses what waited less than that (a kill loses
            nothing either way).
        repeats_s: longest time until the answer of a look at a still scene (the motion gate's heartbeat) that repeats
            the one before is on the disk, seconds; a kill or power cut loses those that wait. 0: as soon as others.
        archive: which pictures are kept after their last word: an `ArchiveRule` or its text, such as
            "2GB, 90 days, exits: one per event"; "2GB" alone keeps all for 30 days. None: none are.

    Raises:
        ConfigError: a value is not as described.
    """

    spool_age_s: float | None = 30 * 86_400.0
    journal_rows: int = 1_000_000
    journal_bytes: int | None = 500_000_000
    journal_age_s: float | None = None
    durable: str = "frame"
    repeats_s: float = 900.0
    archive: ArchiveRule | str | None = None

    def __post_init__(self) -> None:
        for name in ("spool_age_s", "journal_rows", "journal_bytes", "journal_age_s"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and value > 0):
                raise ConfigError(f"expected StorageSettings.{name} above 0; got {value!r}")
        if not (_is_number(self.repeats_s) and 0 <= self.repeats_s <= 86_400):
            raise ConfigError(f"expected StorageSettings.repeats_s from 0 to 86,400 seconds; got {self.repeats_s!r}")
        _ = self.archive_rule  # its text is checked
        if self.durable != "frame" and not (self.durable_s or 0) > 0:
            raise ConfigError(f'expected durable="frame" or a time such as "1s"; got {self.durable!r}')

    @property
    def archive_rule(self) -> ArchiveRule | None:
        """`archive` as a rule; None: no picture is kept."""
        if self.archive is None or isinstance(self.archive, ArchiveRule):
            return self.archive
        return ArchiveRule.parse(self.archive)

    @property
    def durable_s(self) -> float | None:
        """`durable` in seconds; None: each frame is synced before `classify` returns."""
        return None if self.durable == "frame" else _number(self.durable, _SECONDS)


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """How often a device reports to its server, and how many bytes of its upload budget that may cost.

    Reports ride on a connection that frames have opened. Where there is none, one is opened for a report: with mutual
    TLS that costs 3.4 kB (`benchmarks/reports.py`), so a day without frames has one.

    Attributes:
        every_s: longest time between two reports; a connection is opened for one that is due. Seconds.
        riding_s: shortest time between two reports on connections of frames. Seconds.
        most_bytes_per_day: most bytes that reports cost in any 24 hours, connections opened for them included; nor do
            they take more than a twentieth of the upload budget. What does not fit waits, the newest answers first.
        answers: report answers and events too, about 17 and 26 bytes each; else usage and health alone.
        health: report temperature, throttling, free disk and versions.

    Raises:
        ConfigError: a value is not as described.
    """

    every_s: float = 86_400.0
    riding_s: float = 900.0
    most_bytes_per_day: int = 10_000
    answers: bool = True
    health: bool = True

    def __post_init__(self) -> None:
        for name in ("every_s", "riding_s"):
            value = getattr(self, name)
            if not _is_number(value) or value <= 0:
                raise ConfigError(f"expected ReportSettings.{name} as seconds above 0; got {value!r}")
        most = self.most_bytes_per_day
        if isinstance(most, bool) or not isinstance(most, int) or most < 0:
            raise ConfigError(f"expected ReportSettings.most_bytes_per_day as bytes, 0 or more; got {most!r}")


SETTING_KINDS = ("threshold", "budget", "private", "audit", "archive")
"""Kinds of settings that a server may hand out, each signed by the operator's key."""


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """Which settings of its server a device follows. They are signed, so the server cannot make any up.

    What holds, later over earlier: the bundle's policy, the arguments of `EdgeClassifier` and `reconfigure`, and the
    accepted kinds of the newest signed settings. Kinds that these do not name are the device's own.

    Attributes:
        key: PEM file of the public key that settings are signed with (`edge-sdk settings key` makes it).
        accept: the kinds that are followed: "threshold"; "budget": upload, compute and cloud; "private": classes that
            are not uploaded, in addition to the device's own; "audit": the share of audits; "archive": the archive's
            rule, with the device's own classes that are never stored.
        device: the device's name, as settings name it. None: that of its certificate; without one, only settings for
            all devices ("*") are followed.

    Raises:
        ConfigError: `accept` has no such kind, or a value is of another type.
    """

    key: str | Path
    accept: tuple[str, ...] = SETTING_KINDS
    device: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.key, str | Path):
            raise ConfigError(f"expected RemoteSettings.key as a file; got {self.key!r}")
        accept = self.accept
        if isinstance(accept, str) or not all(kind in SETTING_KINDS for kind in accept):
            raise ConfigError(f"expected RemoteSettings.accept as some of {', '.join(SETTING_KINDS)}; got {accept!r}")
        if self.device is not None and not (isinstance(self.device, str) and self.device):
            raise ConfigError(f"expected RemoteSettings.device as a name, or None; got {self.device!r}")


_SECONDS = {"ms": 1e-3, "s": 1.0, "min": 60.0}


def _is_number(value: object) -> bool:
    """Whether `value` is a finite number."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _number(text: str, units: Mapping[str, float]) -> float:
    """A number and its unit, such as "2GB"; 0 where the text is no such thing."""
    match = re.fullmatch(rf"(\d+(?:\.\d+)?) ?({'|'.join(units)})", text) if isinstance(text, str) else None
    return float(match[1]) * units[match[2]] if match else 0.0


def check_address(text: str) -> str:
    """Return `host:port` unchanged, or raise `ConfigError`.

    Args:
        text: a host name, IPv4 address or bracketed IPv6 address, a colon and a port from 1 to 65535.
    """
    try:
        if not text.isascii():
            raise ValueError("signs beyond ASCII: write such a name as xn--...")
        read_place(text)
    except ValueError as error:
        raise ConfigError(
            f"expected the cloud's address as host:port, such as vm.example:50051; got {without_secrets(text)!r}, "
            f"{error}"
        ) from None
    return text


MOST_SERVERS = 8
"""Most servers of one device."""


def read_servers(named: str | Iterable[str] | None) -> tuple[str, ...]:
    """The servers of a device, the one to be used first at the front; empty: none is named.

    Args:
        named: addresses, or one text with commas between them.

    Raises:
        ConfigError: one is no address, or is named twice, or there are more than eight.
    """
    if named is None:
        return ()
    if not isinstance(named, str | list | tuple) or not all(isinstance(one, str) for one in named):
        raise ConfigError(
            f"expected cloud as host:port, such as vm.example:50051, or a list of such texts; got {named!r}"
        )
    parts = [part.strip() for text in ([named] if isinstance(named, str) else named) for part in text.split(",")]
    servers = tuple(check_address(part) for part in parts)
    if len(set(servers)) < len(servers):
        raise ConfigError(f"expected each server once; got {', '.join(servers)}")
    if not 1 <= len(servers) <= MOST_SERVERS:
        raise ConfigError(f"expected 1 to {MOST_SERVERS} servers; got {len(servers)}")
    return servers


def default_state_dir(bundle: str = "trailcam") -> Path:
    """Where the device keeps what it must not forget, unless the application names a folder.

    Args:
        bundle: the bundle's name: each has a folder of its own.
    """
    return user_state_path("edge-sdk", appauthor=False) / (re.sub(r"[^\w.-]+", "_", bundle).strip(".") or "_")
