"""The options of the cloud server on Ray Serve, and the settings of a replica that come of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cloud_server.config import ServerConfig
from cloud_server.fleet.database.opening import check_address
from cloud_server.toml_file import meant
from edge_sdk.errors import ConfigError


class Options(BaseModel):
    """What `serve run cloud_server.ray_app:app NAME=VALUE` and the `args` of a config file take.

    Attributes:
        model: a shipped model's name, the path of a checkpoint or a bundle, or a timm name; the same on all machines.
        models: TOML file of several models in its place, the same on all machines; read when a replica starts.
        device: "auto", "cpu" or "cuda"; with `gpus`, "auto" is "cuda".
        engine: "torch", "compile" or "openvino".
        threads: CPU threads of the model; as many as `cpus` where it is left out.
        tokens: file of the devices' token hashes, on each machine; left out: calls need no token.
        database: `postgresql://user@host/name`, which keeps replies, reports and issued tokens of all replicas; left
            out: replies are with one actor, and no reports are taken.
        require_tokens: calls need a token; those issued in the database are let in.
        label_map: JSON file from the model's labels to the devices'.
        label_group: in its place, a map that comes with the package.
        look: what of a picture with a region the model looks at; "auto", "frame", "region" or "both".
        open_inference: answer the Open Inference Protocol too, over Ray's gRPC port and its HTTP port.
        state: without a database: folder of the replies, on the machine of their actor; left out: in memory.
        max_batch: most inputs in one run of the model.
        queue: frames that may wait at one replica.
        max_frames_per_s: how fast one device may send to one replica; left out: no limit.
        max_streams: open calls of one replica.
        min_replicas: replicas that are always there.
        max_replicas: replicas at the most.
        streams_per_replica: open calls of one replica that Ray aims at.
        upscale_delay_s: seconds of more calls until a replica is added.
        downscale_delay_s: seconds of fewer calls until one is taken away.
        drain_s: seconds that a replica which is taken away may take to answer what it has.
        cpus: processor cores of one replica.
        gpus: GPUs of one replica, also a part of one; 0: none.
        accelerator: kind of GPU, as Ray names it ("L4", "H100"); empty: any.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    model: str = "trailcam"
    models: str | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    engine: Literal["torch", "compile", "openvino"] = "torch"
    threads: int | None = Field(default=None, ge=1)
    tokens: str | None = None
    database: str = ""
    require_tokens: bool = False
    label_map: str | None = None
    label_group: str = ""
    look: Literal["auto", "frame", "region", "both"] = "auto"
    open_inference: bool = False
    state: str | None = None
    max_batch: int = 32
    queue: int = 128
    max_frames_per_s: float | None = None
    max_streams: int = 1000
    min_replicas: int = Field(default=1, ge=0)
    max_replicas: int = Field(default=8, ge=1)
    streams_per_replica: float = Field(default=100.0, gt=0)
    upscale_delay_s: float = Field(default=30.0, ge=0)
    downscale_delay_s: float = Field(default=600.0, ge=0)
    drain_s: float = Field(default=20.0, ge=0)
    cpus: float = Field(default=1.0, ge=0)
    gpus: float = Field(default=0.0, ge=0)
    accelerator: str = ""

    @classmethod
    def of(cls, args: Options | Mapping[str, Any]) -> Options:
        """The options that names and values give, as Ray reads them from a command line or a config file.

        Raises:
            ConfigError: a name is none, or a value is not what is expected.
        """
        try:
            return cls.model_validate(args)
        except ValidationError as error:
            raise ConfigError("; ".join(_told(one["type"], dict(one)) for one in error.errors())) from None

    def config(self) -> ServerConfig:
        """The settings of one replica.

        Raises:
            ConfigError: a value is out of range, or what is asked for does not go together.
        """
        if self.max_replicas < self.min_replicas:
            raise ConfigError(
                f"expected max_replicas of at least min_replicas, {self.min_replicas}; got {self.max_replicas}"
            )
        if self.gpus > 1 and self.gpus % 1:
            raise ConfigError(f"expected gpus as a part of one GPU or as whole GPUs; got {self.gpus:g}")
        if self.require_tokens and not self.database:
            raise ConfigError(
                "expected database with require_tokens: tokens that people issue are there; or give tokens, a file"
            )
        if self.database and "://" not in self.database:
            raise ConfigError(
                f"expected a database as postgresql://USER@HOST/NAME; got {self.database!r:.200}, which replicas on "
                "several machines cannot share: name a PostgreSQL, or none"
            )
        if self.database:
            check_address(self.database)
        if self.gpus and self.device == "cpu":
            raise ConfigError(f"expected device auto or cuda with gpus {self.gpus:g}; got cpu: leave one of them out")
        return ServerConfig(
            model=self.model,
            models=None if self.models is None else Path(self.models),
            # A replica that was given a GPU and cannot use it must not answer slowly instead.
            device="cuda" if self.gpus and self.device == "auto" else self.device,
            engine=self.engine,
            threads=self.threads or max(1, int(self.cpus)),
            tokens=None if self.tokens is None else Path(self.tokens),
            database=self.database,
            require_tokens=self.require_tokens,
            label_map=None if self.label_map is None else Path(self.label_map),
            label_group=self.label_group,
            look=self.look,
            open_inference=self.open_inference,
            max_batch=self.max_batch,
            queue=self.queue,
            max_frames_per_s=self.max_frames_per_s,
            max_streams=self.max_streams,
        )


def _told(kind: str, fault: Mapping[str, Any]) -> str:
    """A fault of pydantic's in the words of this package."""
    name = ".".join(map(str, fault["loc"]))
    if kind == "extra_forbidden":
        return f"expected a name of an option; got {name!r:.100}{meant(name, Options.model_fields)}"
    said = str(fault["msg"])
    return f"{name}: {said[:1].lower()}{said[1:]}; got {fault['input']!r:.100}"
