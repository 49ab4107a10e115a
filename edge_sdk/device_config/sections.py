"""The sections of the config file: which settings stand in each.

A section is one or more dataclasses, whose fields are its keys. Those of the SDK's settings are taken as they are, so a
new setting is a new key; what the settings lack (the camera's address, files of secrets) is declared here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from zoneinfo import ZoneInfo

from edge_sdk.alerts.rule import AlertRule
from edge_sdk.budget.limits import Resource, parse_budgets
from edge_sdk.camera.address import parse_address
from edge_sdk.camera.base import check_fps
from edge_sdk.camera.gate import MotionSettings
from edge_sdk.config import (
    PowerModel,
    RemoteSettings,
    ReportSettings,
    StorageSettings,
    UplinkSettings,
    read_servers,
)
from edge_sdk.duty.settings import DutySettings
from edge_sdk.errors import ConfigError
from edge_sdk.model.policy import Preferences
from edge_sdk.model.priors import read_place
from edge_sdk.pipeline.blur import Blur
from edge_sdk.pipeline.events import EventSettings
from edge_sdk.preview.settings import PreviewSettings
from edge_sdk.security.credentials import Security

_MOST_THREADS = 64


@dataclass(frozen=True, slots=True)
class Deployment:
    """Which device this is, and where it stands.

    Attributes:
        name: the device's name in alerts and for settings of the server: letters, digits, _ and -. None: the machine's.
        place: where the camera stands, for a bundle with priors: "latitude,longitude" in degrees, or a region's name.
        zone: time zone of quiet hours, such as "Europe/Berlin". None: the machine's.
    """

    name: str | None = None
    place: str | None = None
    zone: str | None = None

    def __post_init__(self) -> None:
        from edge_sdk.alerts.alerts import check_device

        if self.name is not None:
            try:
                check_device(self.name)
            except ConfigError as error:
                raise ConfigError(f"name: {error}") from None
        if self.place is not None:
            try:
                read_place(self.place)
            except ConfigError as error:
                raise ConfigError(f"place: {error}") from None
        if self.zone is not None:
            try:
                ZoneInfo(self.zone)
            except (OSError, ValueError, KeyError):  # a ZoneInfoNotFoundError is a KeyError
                raise ConfigError(f'expected zone as a time zone such as "Europe/Berlin"; got {self.zone!r}') from None


@dataclass(frozen=True, slots=True)
class CameraSource:
    """Where frames come from.

    Attributes:
        address: as `open_camera` takes it: "picamera2", "/dev/v4l/by-id/...", "rtsp://...", "photos/?watch=yes".
        address_file: file with the address in its first line, for one with a password; its owner alone may read it.
        fps: most frames per second. None: the camera's own pace.
    """

    address: str | None = None
    address_file: str | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        if self.address is not None and self.address_file is not None:
            raise ConfigError("expected address or address_file, not both")
        if self.address is not None:
            try:
                parse_address(self.address)
            except ConfigError as error:
                raise ConfigError(f"address: {error}") from None
        if self.fps is not None:
            check_fps(self.fps)


@dataclass(frozen=True, slots=True)
class Gate:
    """The motion gate before the little model.

    Attributes:
        enabled: pass over frames in which nothing moves.
    """

    enabled: bool = True


@dataclass(frozen=True, slots=True)
class LittleModelSection:
    """The little model.

    Attributes:
        path: folder of a bundle, or the name of one that ships.
        threshold: confidence from 0 to 1 at or above which a frame exits; 1.01: none does. None: the bundle's rule.
        view: what the model looks at where something moves. None: what the bundle says.
        send: what of an unsure frame travels where something moves. None: what the bundle says.
        detector: folder of a detector's bundle, for frames and photos of which the gate gives no region. None: there is
            none.
        threads: processor threads.
    """

    path: str = "trailcam"
    threshold: float | None = None
    view: Literal["frame", "region", "both"] | None = None
    send: Literal["frame", "region"] | None = None
    detector: str | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 2:
            raise ConfigError(f"expected threshold from 0 to 1, or 1.01 for none; got {self.threshold!r}")
        if not 1 <= self.threads <= _MOST_THREADS:
            raise ConfigError(f"expected threads from 1 to {_MOST_THREADS}; got {self.threads!r}")


@dataclass(frozen=True, slots=True)
class Cloud:
    """The server.

    Attributes:
        server: "host:port". Several, with commas between or as a list: the first that works is used, and [security] is
            the same for all. None: unsure frames wait on the device.
        proxy_file: file with the HTTP proxy's address in its first line, for one with a password.
    """

    server: str | tuple[str, ...] | None = None
    proxy_file: str | None = None

    def __post_init__(self) -> None:
        try:
            read_servers(self.server)
        except ConfigError as error:
            raise ConfigError(f"server: {error}") from None

    @property
    def servers(self) -> tuple[str, ...]:
        """The servers, the one to be used first at the front; empty: none is named."""
        return read_servers(self.server)


@dataclass(frozen=True, slots=True)
class Budgets:
    """Hard limits, in words; one text, with commas between several, or a list of texts.

    Attributes:
        upload: on what is sent: "5MB/day", "5MB/day, 100MB/month, 200 frames/day". None: no limit.
        compute: on the device's own work: "10TMAC/day", or with [power] "3kJ/h". None: no limit.
        cloud: on the big model's work: "10TMAC/day". None: no limit.
    """

    upload: str | tuple[str, ...] | None = None
    compute: str | tuple[str, ...] | None = None
    cloud: str | tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name, kinds in (
            ("upload", (Resource.UPLOAD, Resource.FRAMES)),
            ("compute", (Resource.COMPUTE, Resource.ENERGY)),
            ("cloud", (Resource.CLOUD,)),
        ):
            try:
                parse_budgets(getattr(self, name), *kinds)
            except ConfigError as error:
                raise ConfigError(f"{name}: {error}") from None


@dataclass(frozen=True, slots=True)
class StateFolder:
    """Where the device keeps what must survive a restart.

    Attributes:
        state_dir: the folder. None: one for the bundle in the user's state folder (`XDG_STATE_HOME`).
        spool_bytes: room for the pictures of frames that wait, bytes.
    """

    state_dir: str | None = None
    spool_bytes: int = 200_000_000

    def __post_init__(self) -> None:
        if self.spool_bytes < 0:
            raise ConfigError(f"expected spool_bytes of at least 0; got {self.spool_bytes!r}")


@dataclass(frozen=True, slots=True)
class Reports:
    """Whether the server is told of answers, usage and health.

    Attributes:
        enabled: it is, where one is named.
    """

    enabled: bool = True


@dataclass(frozen=True, slots=True)
class AlertsSection:
    """Alerts by MQTT and webhook.

    Attributes:
        mqtt: broker, "host[:port]" or "mqtts://user@host[:port]". None: none.
        mqtt_file: file with the broker's address in its first line, for one with a password.
        webhook: URL that takes a POST of JSON. None: none.
        webhook_file: file with that URL in its first line, for one with a secret in it.
        webhook_secret_file: file with the secret that signs webhooks. None: the variable EDGE_SDK_WEBHOOK_SECRET.
        ca: PEM file of the other side's authority. None: the system's.
        metered: alerts leave by the metered link: their bytes count against the upload budget.
        fault_after_s: seconds for which the link must be down before that is a fault.
        budget_share: share of a budget at which an alert is sent, in (0, 1].
        most_waiting: most alerts that wait for one channel.
        longest_wait_s: seconds for which an alert waits.
        rules: on what alerts are sent: one table [[alerts.rules]] each. None given: faults, budgets, drift and audits.
    """

    mqtt: str | None = None
    mqtt_file: str | None = None
    webhook: str | None = None
    webhook_file: str | None = None
    webhook_secret_file: str | None = None
    ca: str | None = None
    metered: bool = False
    fault_after_s: float = 300.0
    budget_share: float = 0.9
    most_waiting: int = 1_000
    longest_wait_s: float = 7 * 86_400.0
    rules: tuple[AlertRule, ...] = ()

    def __post_init__(self) -> None:
        for name in ("mqtt", "webhook"):
            if getattr(self, name) is not None and getattr(self, f"{name}_file") is not None:
                raise ConfigError(f"expected {name} or {name}_file, not both")
        if not 0 < self.budget_share <= 1:
            raise ConfigError(f"expected budget_share above 0 and at most 1; got {self.budget_share!r}")
        if self.most_waiting < 1:
            raise ConfigError(f"expected most_waiting of at least 1; got {self.most_waiting!r}")
        for name in ("fault_after_s", "longest_wait_s"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"expected {name} as seconds above 0; got {getattr(self, name)!r}")

    @property
    def any(self) -> bool:
        """Whether there is a channel."""
        return any((self.mqtt, self.mqtt_file, self.webhook, self.webhook_file))


@dataclass(frozen=True, slots=True)
class ServiceSection:
    """The service, `edge-sdk run`.

    Attributes:
        log: lowest level of its log lines; "debug" has a line for each frame.
        repeat_after_s: a line that says the same again is left out for this long, then told with their number.
        drain_s: where the camera ends by itself: seconds to wait for frames on their way.
    """

    log: Literal["debug", "info", "warning", "error"] = "info"
    repeat_after_s: float = 600.0
    drain_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("repeat_after_s", "drain_s"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"expected {name} as seconds, 0 or more; got {getattr(self, name)!r}")


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the file.

    Attributes:
        name: its name.
        parts: dataclasses whose fields are its keys.
        optional: without the table there is no such thing (no blur, no power model); else it has its defaults.
        hidden: fields that a file cannot say.
        paths: fields that name files or folders.
    """

    name: str
    parts: tuple[type, ...]
    optional: bool = False
    hidden: frozenset[str] = frozenset()
    paths: frozenset[str] = field(default_factory=frozenset)


SECTIONS = (
    Section("deployment", (Deployment,)),
    Section("camera", (CameraSource,), paths=frozenset({"address_file"})),
    Section("duty", (DutySettings,), optional=True),
    Section("gate", (Gate, MotionSettings)),
    Section("bundle", (LittleModelSection,), paths=frozenset({"detector"})),
    Section("cloud", (Cloud, UplinkSettings), paths=frozenset({"proxy_file"})),
    Section("security", (Security,), paths=frozenset({"ca", "cert", "key", "token_file"})),
    Section("budgets", (Budgets,)),
    Section("preferences", (Preferences,)),
    Section("events", (EventSettings,)),
    Section("power", (PowerModel,), optional=True),
    Section("storage", (StateFolder, StorageSettings), paths=frozenset({"state_dir"})),
    Section("blur", (Blur,), optional=True, hidden=frozenset({"detector"})),
    Section("reports", (Reports, ReportSettings)),
    Section("remote", (RemoteSettings,), optional=True, paths=frozenset({"key"})),
    Section("alerts", (AlertsSection,), paths=frozenset({"mqtt_file", "webhook_file", "webhook_secret_file", "ca"})),
    Section("preview", (PreviewSettings,), paths=frozenset({"token_file"})),
    Section("service", (ServiceSection,)),
)
