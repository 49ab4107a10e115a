"""What a config file says, made into the parts of a device: camera, classifier, alerts."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

from edge_sdk.camera import Camera, OnFault, open_camera
from edge_sdk.camera.gate import MotionGate, MotionSettings
from edge_sdk.config import PowerModel, RemoteSettings, ReportSettings, StorageSettings, UplinkSettings
from edge_sdk.device_config.reading import Given, Reading, read
from edge_sdk.device_config.sections import (
    AlertsSection,
    Budgets,
    CameraSource,
    Cloud,
    Deployment,
    Gate,
    LittleModelSection,
    Reports,
    StateFolder,
)
from edge_sdk.duty.schedule import Schedule
from edge_sdk.duty.settings import DutySettings
from edge_sdk.errors import ConfigError
from edge_sdk.model.policy import Preferences
from edge_sdk.model.priors import read_place
from edge_sdk.pipeline.blur import Blur
from edge_sdk.pipeline.events import EventSettings
from edge_sdk.preview.settings import PreviewSettings
from edge_sdk.security.credentials import Security, check_private
from edge_sdk.security.files import read_first_line

if TYPE_CHECKING:
    from edge_sdk.alerts.alerts import Alerts
    from edge_sdk.alerts.channel import Channel
    from edge_sdk.pipeline.classifier import EdgeClassifier
    from edge_sdk.preview.preview import Preview

Part = TypeVar("Part")

FILE_NAME = "edge-sdk.toml"
PLACES = (Path(FILE_NAME), Path("/etc/edge-sdk") / FILE_NAME)
"""Where the file is looked for where none is named."""


def find_config(given: str | Path | None = None) -> Path:
    """The file that is named, else the first of `PLACES` that is there.

    Raises:
        ConfigError: none is named, and there is none.
    """
    if given is not None:
        return Path(given)
    for path in PLACES:
        if path.is_file():
            return path
    raise ConfigError(
        f"expected a config file: --config FILE, ./{FILE_NAME} or {PLACES[1]}; there is none "
        "(`edge-sdk config init` writes one to begin with)"
    )


def load_config(path: str | Path | None = None, environment: Mapping[str, str] = os.environ) -> DeviceConfig:
    """Read a device's config file, and what the environment says over it.

        config = load_config("edge-sdk.toml")
        with config.open_camera() as camera, EdgeClassifier(**config.classifier_options()) as edge: ...

    Args:
        path: the file; None: `edge-sdk.toml` in the working folder, else in /etc/edge-sdk.
        environment: `EDGE_SDK_SECTION__KEY` goes over the file.

    Raises:
        ConfigError: the file cannot be read, or something in it cannot be used; the message has all faults with their
            lines.
    """
    reading = read(find_config(path), environment)
    if reading.faults:
        raise ConfigError("; ".join(map(str, reading.faults)))
    return DeviceConfig(reading)


class DeviceConfig:
    """A config file without faults.

    Args:
        reading: what was read.

    Attributes:
        path: the file.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self.path = reading.path

    @property
    def given(self) -> Mapping[tuple[str, str], Given]:
        """What was given, by section and key."""
        return self._reading.given

    def part(self, kind: type[Part]) -> Part:
        """The settings of one dataclass, such as `UplinkSettings`; of an optional section that is not there, None."""
        found: Part = self._reading.parts.get(kind)  # type: ignore[assignment]
        return found

    def classifier_options(self) -> dict[str, Any]:
        """The arguments of `EdgeClassifier`.

        Raises:
            ConfigError: a file with an address cannot be read, or others may read it.
        """
        bundle, cloud, budgets = self.part(LittleModelSection), self.part(Cloud), self.part(Budgets)
        storage, place = self.part(StateFolder), self.part(Deployment).place
        uplink = self.part(UplinkSettings)
        if cloud.proxy_file is not None:
            uplink = replace(uplink, proxy=_private_line(cloud.proxy_file, "address of the proxy"))
        remote: RemoteSettings | None = self.part(RemoteSettings)
        if remote is not None and remote.device is None:
            remote = replace(remote, device=self.part(Deployment).name)
        return {
            "bundle": bundle.path,
            "cloud": cloud.servers or None,
            "budget": budgets.upload,
            "compute_budget": budgets.compute,
            "cloud_budget": budgets.cloud,
            "state_dir": storage.state_dir,
            "gate": MotionGate(self.part(MotionSettings)) if self.part(Gate).enabled else None,
            "view": bundle.view,
            "send": bundle.send,
            "detector": bundle.detector,
            "place": None if place is None else read_place(place),
            "events": self.part(EventSettings),
            "threshold": bundle.threshold,
            "threads": bundle.threads,
            "spool_bytes": storage.spool_bytes,
            "preferences": self.part(Preferences),
            "power": self.part(PowerModel),
            "storage": self.part(StorageSettings),
            "blur": self.part(Blur),
            "uplink": uplink,
            "security": self.part(Security),
            "reports": self.part(ReportSettings) if self.part(Reports).enabled else None,
            "remote": remote,
        }

    @property
    def servers(self) -> tuple[str, ...]:
        """The servers, "host:port", the one to be used first at the front; empty: none is named."""
        return self.part(Cloud).servers

    @property
    def camera_address(self) -> str:
        """The camera's address.

        Raises:
            ConfigError: none is given, or its file cannot be read.
        """
        source = self.part(CameraSource)
        if source.address_file is not None:
            return _private_line(source.address_file, "address of the camera")
        if source.address is None:
            raise ConfigError('expected camera.address, such as "picamera2" or "rtsp://...", or camera.address_file')
        return source.address

    def open_camera(self, *, on_fault: OnFault | None = None, wait_for_camera: bool = False) -> Camera:
        """The camera, as `edge_sdk.open_camera` opens it; with [duty] at the hours and for the motion that it names.

        Raises:
            CameraError, ConfigError: as there.
        """
        fps = self.part(CameraSource).fps
        address, duty = self.camera_address, self.part(DutySettings)

        def opened() -> Camera:
            return open_camera(address, fps=fps, on_fault=on_fault, wait_for_camera=wait_for_camera)

        return opened() if self.hours is None else duty.open(opened, self.hours, on_fault)

    @property
    def hours(self) -> Schedule | None:
        """When the camera is open; None: always.

        Raises:
            ConfigError: it goes by the sun, and the place is not known.
        """
        duty: DutySettings | None = self.part(DutySettings)
        if duty is None:
            return None
        where = self.part(Deployment)
        return duty.hours(
            None if where.place is None else read_place(where.place),
            None if where.zone is None else ZoneInfo(where.zone),
        )

    def channels(self) -> list[Channel]:
        """The channels of alerts, not opened yet; none where none is given.

        Raises:
            ConfigError: an address cannot be used, or its file cannot be read.
        """
        from edge_sdk.alerts.opening import open_channels

        wants = self.part(AlertsSection)
        mqtt, webhook = wants.mqtt, wants.webhook
        if wants.mqtt_file is not None:
            mqtt = _private_line(wants.mqtt_file, "address of the broker")
        if wants.webhook_file is not None:
            webhook = _private_line(wants.webhook_file, "address of the webhook")
        return list(open_channels(mqtt, webhook, _path(wants.webhook_secret_file), _path(wants.ca)))

    def open_alerts(self, edge: EdgeClassifier) -> Alerts | None:
        """The alerts on what a classifier answers; None where no channel is given.

        Raises:
            ConfigError: as `channels`; a rule names a class that is not the bundle's.
        """
        from edge_sdk.alerts.alerts import Alerts
        from edge_sdk.alerts.opening import DEVICE_RULE

        channels = self.channels()
        if not channels:
            return None
        wants, where = self.part(AlertsSection), self.part(Deployment)
        for rule in wants.rules:
            if unknown := sorted(set(rule.classes) - set(edge.bundle.names)):
                raise ConfigError(
                    f"expected classes of alerts.rules among {', '.join(edge.bundle.names)}; got {', '.join(unknown)}"
                )
        return Alerts(
            edge,
            rules=wants.rules or (DEVICE_RULE,),
            channels=channels,
            device=where.name,
            metered=wants.metered,
            zone=None if where.zone is None else ZoneInfo(where.zone),
            fault_after_s=wants.fault_after_s,
            budget_share=wants.budget_share,
            most_waiting=wants.most_waiting,
            longest_wait_s=wants.longest_wait_s,
        )

    def open_preview(
        self, edge: EdgeClassifier, *, away: Callable[[], str] = lambda: "", asleep: Callable[[], str] = lambda: ""
    ) -> Preview | None:
        """The preview of a device, served once it is entered; None where none is wanted.

        Args:
            edge: the classifier.
            away: as in `Preview`.
            asleep: as in `Preview`.
        """
        wants, where = self.part(PreviewSettings), self.part(Deployment)
        if wants.http is None:
            return None
        from edge_sdk.preview.preview import Preview

        zone = None if where.zone is None else ZoneInfo(where.zone)
        return Preview(edge, wants, title=where.name or gethostname(), zone=zone, away=away, asleep=asleep)


def _private_line(path: str, what: str) -> str:
    check_private(Path(path), f"{what} file")
    return read_first_line(Path(path), what)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
