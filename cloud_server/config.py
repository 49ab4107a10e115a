"""Settings of the server, frozen and checked once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cloud_server.access.limits import AccessLimits
from cloud_server.access.tls import TlsFiles
from cloud_server.fleet.frame_archive import LIMIT_BYTES
from cloud_server.fleet.reply_cache import ROWS
from cloud_server.listening import bare_host, meet
from cloud_server.model.decode import Limits
from cloud_server.model.looks import Look
from edge_sdk.errors import ConfigError
from edge_sdk.security.credentials import is_loopback

MOST = {
    "threads": 1024,
    "decoders": 1024,
    "max_batch": 65_536,
    "queue": 1_000_000,
    "cached_replies": 1_000_000_000,
}
"""Upper bounds: thread pools crash, and memory ends, far below what an integer may be."""
MOST_IMAGE_BYTES = 1 << 30
"""A message of gRPC is smaller than 2 GiB."""


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Settings of a server.

    Attributes:
        model: a shipped model's name, the path of a checkpoint or a bundle, or a timm name.
        models: TOML file of several models (`cloud_server.models_file`), in place of `model`, its label map and its
            archive; read again at a reload. None: there is one.
        config_file: TOML file that these settings are of; `models` may be the same. None: there is none.
        device: "auto", "cpu" or "cuda".
        engine: what runs the model: "torch", "compile" (`torch.compile`), or "openvino" on the CPU.
        threads: CPU threads of the model; None: the engine's choice.
        host: address to listen on.
        port: 0 takes a free one.
        look: what of a picture with a region the model looks at (`cloud_server.model.looks.Look`).
        max_batch: most inputs in one run of the model, one for each look; a CPU takes the quickest number up to it.
        max_wait_ms: how long a batch that is not full waits for more; 0: only for frames that are about to be ready,
            and only where all are answered sooner by it.
        queue: frames that may wait; further ones are answered OVERLOADED.
        max_queue_s: frames that would be answered later than that are answered OVERLOADED; infinity: no limit.
        stream_window: frames of one device in flight, over all its streams; fewer while many devices send.
        decoders: threads that decode pictures.
        limits: the largest picture that is decoded.
        label_map: JSON file from the model's labels to the devices'.
        label_group: in its place, a map from ImageNet's classes that comes with the package
            (`edge_sdk.networks.label_groups`).
        drain_s: seconds that frames in flight may take at the end.
        model_grace_s: seconds that a model may hang, or fail on everything, before `CloudServer.broken` returns and the
            command ends; infinity: it stays.
        tls: certificate and key of the server; None: the link is not encrypted.
        insecure: serve other machines without encryption.
        tokens: file of the devices' token hashes; None: calls need no token.
        max_frames_per_s: how fast one device may send; None: no limit. Frames beyond it are answered OVERLOADED.
        burst: frames that one device may send at once after a pause.
        max_streams: open streams of all devices.
        max_streams_per_device: open streams of one device.
        limits_file: TOML file of the four above, which goes before them and is read again at a reload; None: none.
        state: folder of the reply cache, which then outlives a restart; None: it is in memory.
        cached_replies: size of the reply cache.
        archive: folder of the frame archive, which keeps frames with the model's answers; None: there is none.
        archive_limit_bytes: size of the frame archive.
        archive_fraction: share of the frames that is archived, in (0, 1].
        reports: folder of what devices report of themselves; None: reports are not taken.
        settings: folder of signed settings that devices get with the reply to a report; None: they get none.
        database: of the fleet: a path (SQLite) or `postgresql://user@host/name`, which servers can share and which then
            has reports and replies too; "": `fleet.db` in the state folder, where something needs it.
        settings_key: PEM file of the operator's settings key, with which the server signs what people want of devices;
            None: it signs nothing.
        require_tokens: calls need a token; those that people issued in the database are let in, beside those of
            `tokens`.
        open_inference: answer the Open Inference Protocol (KServe v2) too: a gRPC service on the same port, behind the
            same tokens and limits, and its HTTP form on `http_port`. Off loopback that form needs tokens.
        page: show the page for people on `http_port`: devices, events, labels, settings, tokens. Needs `reports`.
        page_proxy: address and header of a proxy that signs people in; None: passwords do.
        traces: OTLP collector of traces, such as http://127.0.0.1:4317; "": none are recorded.
        http_port: port of `/metrics` and `/healthz`, 0 takes a free one; None: they are off.
        http_host: address of that port.
        http_tls: what is served there is encrypted, with the certificate and key of `tls`.
    """

    model: str = "trailcam"
    models: Path | None = None
    config_file: Path | None = None
    device: str = "auto"
    engine: str = "torch"
    threads: int | None = None
    host: str = "127.0.0.1"
    port: int = 50051
    look: Look | str = Look.AUTO
    max_batch: int = 32
    max_wait_ms: float = 0.0
    queue: int = 128
    max_queue_s: float = 30.0
    stream_window: int = 32
    decoders: int = 2
    limits: Limits = field(default_factory=Limits)
    label_map: Path | None = None
    label_group: str = ""
    drain_s: float = 10.0
    model_grace_s: float = 30.0
    tls: TlsFiles | None = None
    insecure: bool = False
    tokens: Path | None = None
    max_frames_per_s: float | None = None
    burst: int = 32
    max_streams: int = 1000
    max_streams_per_device: int = 16
    limits_file: Path | None = None
    state: Path | None = None
    cached_replies: int = ROWS
    archive: Path | None = None
    archive_limit_bytes: int = LIMIT_BYTES
    archive_fraction: float = 1.0
    reports: Path | None = None
    settings: Path | None = None
    database: str = ""
    settings_key: Path | None = None
    require_tokens: bool = False
    open_inference: bool = False
    traces: str = ""
    page: bool = False
    page_proxy: tuple[str, str] | None = None
    http_port: int | None = None
    http_host: str = "127.0.0.1"
    http_tls: bool = False

    @property
    def needs_fleet(self) -> bool:
        """Whether something of these settings needs the fleet's database."""
        return bool(self.database or self.http_port is not None or self.require_tokens or self.settings_key)

    def __post_init__(self) -> None:
        for name in ("stream_window", "archive_limit_bytes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"expected {name} of at least 1; got {getattr(self, name)}")
        for name, most in MOST.items():
            if (value := getattr(self, name)) is not None and not 1 <= value <= most:
                raise ConfigError(f"expected {name} from 1 to {most}; got {value}")
        if self.limits.max_bytes > MOST_IMAGE_BYTES:
            raise ConfigError(f"expected max_image_bytes of at most {MOST_IMAGE_BYTES}; got {self.limits.max_bytes}")
        if self.look not in tuple(Look):
            raise ConfigError(f"expected look as one of {', '.join(Look)}; got {self.look!r}")
        for host in (self.host, self.http_host):
            bare_host(host)
        for port in (self.port, self.http_port or 0):
            if not 0 <= port <= 65535:
                raise ConfigError(f"expected a port from 0 to 65535; got {port}")
        if self.http_port and self.http_port == self.port and meet(self.host, self.http_host):
            raise ConfigError(
                f"expected another port for --http than this server's own for devices, --port {self.port}; got the "
                "same: devices speak gRPC there, browsers HTTP; give --http a port of its own, such as 8080"
            )
        for name in ("max_wait_ms", "max_queue_s", "drain_s", "model_grace_s"):
            if not getattr(self, name) >= 0:  # NaN is refused too
                raise ConfigError(f"expected {name} of at least 0; got {getattr(self, name)}")
        _ = self.access_limits
        if not 0 < self.archive_fraction <= 1:
            raise ConfigError(f"expected archive_fraction above 0, up to 1; got {self.archive_fraction}")
        takes_reports = self.reports is not None or "://" in self.database
        if (self.settings is not None or self.settings_key is not None) and not takes_reports:
            raise ConfigError(
                "expected --reports FOLDER with --settings, --settings-key: settings go out with the reply to a report"
            )
        if self.page and (not takes_reports or self.http_port is None):
            raise ConfigError("expected --reports FOLDER and --http HOST:PORT with --page: it shows what is reported")
        if self.http_tls and (self.tls is None or self.http_port is None):
            raise ConfigError("expected --tls-cert, --tls-key and --http HOST:PORT with --http-tls")
        is_clear = not self.http_tls and not is_loopback(bare_host(self.http_host))
        if self.page and not self.insecure and is_clear:
            raise ConfigError(
                f"expected --page on 127.0.0.1, behind a proxy that encrypts; got {self.http_host}, where passwords "
                "would travel in the clear: say --http-tls, or --insecure inside a private network"
            )
        takes_pictures = self.open_inference and self.http_port is not None
        has_tokens = self.tokens is not None or self.require_tokens
        is_guarded = has_tokens and (self.insecure or self.http_tls)
        if takes_pictures and not is_guarded and not is_loopback(bare_host(self.http_host)):
            raise ConfigError(
                f"expected --tokens, and --http-tls or --insecure, with --open-inference and --http-host "
                f"{self.http_host}: other machines may send pictures there, and with --insecure their tokens are not "
                "encrypted; give both, or keep --http-host on 127.0.0.1 behind a proxy that encrypts"
            )
        if self.tls is None and not self.insecure and not is_loopback(bare_host(self.host)):
            raise ConfigError(
                f"expected an encrypted link on {self.host}, which other machines reach; got no certificate: give "
                "--tls-cert and --tls-key (`edge-sdk keys make` makes them), listen on 127.0.0.1, or say --insecure "
                "inside a private network"
            )

    @property
    def access_limits(self) -> AccessLimits:
        """How much devices may ask for, without the limits file."""
        return AccessLimits(self.max_frames_per_s, self.burst, self.max_streams, self.max_streams_per_device)
