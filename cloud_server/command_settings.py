"""From the options of the command, and of its config file, to the server's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from platformdirs import user_state_path

from edge_sdk.errors import ConfigError

if TYPE_CHECKING:
    from cloud_server.access.tls import TlsFiles
    from cloud_server.config import ServerConfig

_EITHER = (
    (("http",), ("http_port", "http_host")),
    (("label_map",), ("label_group",)),
    (("model", "arch"), ("models",)),
)
"""Options that say the same in two ways: where the command line has one, the file's other is not looked at."""
_OF_ONE_MODEL = ("model", "arch", "label_map", "label_group")
"""Options that say nothing where there are several models, each with words of its own."""
_ABSENT = {"http_host": "127.0.0.1", "model": "trailcam"}


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a command line and of its config file.

    Attributes:
        config: of the server.
        values: of all options, by the config file's keys.
    """

    config: ServerConfig
    values: Mapping[str, Any]


def settings_of(context: click.Context) -> Settings:
    """The settings that a parsed command line names.

    Raises:
        ConfigError: they cannot be used together.
        click.UsageError: likewise.
    """
    from cloud_server.config import ServerConfig
    from cloud_server.model.decode import Limits
    from edge_sdk.networks.model_name import name_with

    values = _effective(context)
    if values["http"] is not None:
        if values["http_port"] is not None:
            raise click.UsageError("expected --http HOST:PORT or --http-port; got both")
        values["http_host"], values["http_port"] = values["http"]
    if values["label_map"] is not None and values["label_group"] is not None:
        raise click.UsageError("expected --label-map or --label-group, not both")
    try:
        model = name_with(values["arch"], values["model"])
    except ValueError as error:
        raise click.UsageError(f"--arch: {error}") from error
    same = {one.name: values[one.name] for one in fields(ServerConfig) if one.name in values}
    same |= {
        "model": model,
        "config_file": values["config"],
        "limits": Limits(max_bytes=values["max_image_bytes"], max_pixels=values["max_pixels"]),
        "label_group": values["label_group"] or "",
        "tls": _tls(values["tls_cert"], values["tls_key"], values["client_ca"]),
        "limits_file": values["limits"],
        "state": state_folder(values["state"], values["port"]),
        "archive_limit_bytes": values["archive_limit"],
    }
    return Settings(ServerConfig(**same), values)


def state_folder(state: str | None, port: int) -> Path | None:
    """The reply cache's folder: servers on two ports never share one; a free port is another each time, so has none."""
    if state is not None:
        return None if state == "none" else Path(state)
    return user_state_path("cloud-server", appauthor=False) / str(port) if port else None


def _effective(context: click.Context) -> dict[str, Any]:
    """The options' values; of two that say the same, the one that the file has gives way to the command line's.

    Raises:
        click.UsageError: there are several models, and options that hold for one alone.
    """
    values = dict(context.params)

    def come_from(names: tuple[str, ...], source: ParameterSource) -> bool:
        return any(context.get_parameter_source(name) is source for name in names)

    for one, other in (pair for sides in _EITHER for pair in (sides, sides[::-1])):
        if come_from(one, ParameterSource.COMMANDLINE) and come_from(other, ParameterSource.DEFAULT_MAP):
            values |= {name: _ABSENT.get(name) for name in other}
    if values["models"] is not None:
        is_file_left = come_from(("models",), ParameterSource.COMMANDLINE)
        for name in _OF_ONE_MODEL:
            if is_file_left and come_from((name,), ParameterSource.DEFAULT_MAP):
                values[name] = _ABSENT.get(name)
            elif come_from((name,), ParameterSource.COMMANDLINE) or come_from((name,), ParameterSource.DEFAULT_MAP):
                raise click.UsageError(
                    f"expected --{name.replace('_', '-')} or several models, not both; got it beside "
                    f"{values['models']}, where each model has its own"
                )
    return values


def _tls(cert: Path | None, key: Path | None, client_ca: Path | None) -> TlsFiles | None:
    from cloud_server.access.tls import TlsFiles

    if cert is not None and key is not None:
        return TlsFiles(cert, key, client_ca)
    if cert is None and key is None and client_ca is None:
        return None
    raise ConfigError(
        f"expected --tls-cert and --tls-key together, and --client-ca with them; got --tls-cert {cert}, "
        f"--tls-key {key}, --client-ca {client_ca}"
    )
