"""A check, what it finds, and what it is given: the words of the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from edge_sdk.config import read_servers
from edge_sdk.device_config.state import DEFAULT_BUNDLE
from edge_sdk.doctor.machine import Machine
from edge_sdk.security.credentials import Security
from edge_sdk.security.proxy import HttpProxy


class Level(StrEnum):
    """How much a finding matters, from least to most."""

    OK = "ok"
    NOTE = "note"
    """Good to know; nothing need be done."""
    WARNING = "warning"
    """The device works, and may fail or answer wrongly some day."""
    FAULT = "fault"
    """The device cannot do its work."""

    @property
    def rank(self) -> int:
        """0 to 3."""
        return list(Level).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        level: how much it matters.
        found: what was found, for a person.
        do: what to do about it; "" where nothing.
        values: what was measured, for a program; JSON values alone.
    """

    level: Level
    found: str
    do: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


def ok(found: str, **values: Any) -> Finding:
    """All is well."""
    return Finding(Level.OK, found, "", values)


def note(found: str, do: str = "", **values: Any) -> Finding:
    """Good to know."""
    return Finding(Level.NOTE, found, do, values)


def warning(found: str, do: str, **values: Any) -> Finding:
    """It may fail some day."""
    return Finding(Level.WARNING, found, do, values)


def fault(found: str, do: str, **values: Any) -> Finding:
    """It does not work."""
    return Finding(Level.FAULT, found, do, values)


def unended(what: str, seconds: float) -> Finding:
    """A part that was given up: nothing is known of it, and it may well be sound."""
    return warning(
        f"{what} did not end within {seconds:g} s",
        "it hangs, or this machine is very busy: run `edge-sdk doctor` again, alone",
    )


def together(found: str, *others: Finding, **values: Any) -> Finding:
    """One finding of several: the gravest level, `found` and then all that is said, and what to do, the gravest first.

    Args:
        found: what is so in any case.
        others: what may be wrong; none: all is well.
        values: of the whole; those of `others` are added.
    """
    sorted_ = sorted(others, key=lambda one: -one.level.rank)
    level = sorted_[0].level if sorted_ else Level.OK
    merged = dict(values)
    for one in others:
        merged.update(one.values)
    said = "; ".join(part for part in (found, *(one.found for one in sorted_)) if part)
    return Finding(level, said, "; ".join(one.do for one in sorted_ if one.do), merged)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person names of a device. What neither they nor the config file name is not checked, or by its default.

    Attributes:
        config: a config file; None: the one at its usual place, if there is one.
        camera: an address that `open_camera` takes; None: no camera is opened.
        bundle: a folder, or the name of a bundle that ships; None: `DEFAULT_BUNDLE`.
        cloud: "host:port" of the server; None: the link is not checked.
        further: those that are used where it fails, checked after it.
        security: certificates and token of the link.
        proxy: HTTP proxy on the way to the server.
        interface: network interface that leads to the server, whose bytes count.
        state: the state folder; None: the bundle's default one.
        upload_budget: limits on what is sent, in words.
        compute_budget: limits on the device's own work.
        cloud_budget: limits on the big model's work.
        watts: power of the device while its model runs, for budgets in joules.

    Raises:
        ConfigError: `cloud`, one of `further` or `proxy` is not an address.
    """

    config: Path | None = None
    camera: str | None = field(default=None, repr=False)
    bundle: str | None = None
    cloud: str | None = None
    further: tuple[str, ...] = ()
    security: Security = field(default_factory=Security)
    proxy: str | None = field(default=None, repr=False)
    interface: str | None = None
    state: Path | None = None
    upload_budget: str | None = None
    compute_budget: str | None = None
    cloud_budget: str | None = None
    watts: float | None = None

    @property
    def little(self) -> str:
        """The bundle, named or not."""
        return self.bundle or DEFAULT_BUNDLE

    def __post_init__(self) -> None:
        read_servers(None if self.cloud is None else (self.cloud, *self.further))
        if self.proxy is not None:
            HttpProxy.parse(self.proxy)


@dataclass(slots=True)
class Case:
    """What a check works with.

    Attributes:
        machine: where facts come from.
        asked: what the person named, and from the first check on what the config file says.
        found: what the checks before have found, by name.
    """

    machine: Machine
    asked: Asked
    found: dict[str, Finding] = field(default_factory=dict)

    def value(self, check: str, name: str) -> Any:
        """What an earlier check measured; None where it did not."""
        finding = self.found.get(check)
        return None if finding is None else finding.values.get(name)

    def failed(self, check: str) -> bool:
        """Whether an earlier check found a fault."""
        finding = self.found.get(check)
        return finding is not None and finding.level is Level.FAULT


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at.

    Attributes:
        name: in the report, and for programs: it does not change from release to release.
        subject: what it belongs to: the head of its part of the report.
        look: finds out; None: it does not apply here. It may raise whatever it likes.
        limit_s: seconds after which it is given up.
    """

    name: str
    subject: str
    look: Callable[[Case], Finding | None]
    limit_s: float = 10.0
