"""`edge-sdk run`: the camera loop as a service."""

from __future__ import annotations

import os
from pathlib import Path

import click

from edge_sdk.cli.config import config_option, say_faults
from edge_sdk.cli.options import option
from edge_sdk.errors import ConfigError


def _http(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        from edge_sdk.preview.settings import check_http

        try:
            check_http(value)
        except ConfigError as error:
            raise click.BadParameter(str(error)) from None
    return value


@click.command()
@config_option()
@option(
    "--http",
    callback=_http,
    metavar="HOST:PORT",
    help="Serve a page with the camera's picture: 127.0.0.1:8080 for this machine, 0.0.0.0:8080 for its network, with "
    "a token.  [default: preview.http of the config file, else none]",
)
@click.pass_context
def run(context: click.Context, path: Path | None, http: str | None) -> None:
    """Watch a camera as a config file says, until SIGTERM or Ctrl-C.

    A camera that is away is waited for, and so are the server and the clock. SIGHUP reads the file again. Under systemd
    it says when it is ready and that it lives (Type=notify, WatchdogSec). The log goes to standard error.

    Exit codes: 0 it was asked to end, or the camera has ended; 78 the config file cannot be used; 2 another error.
    """
    from edge_sdk.device_config.device import DeviceConfig, find_config, load_config
    from edge_sdk.device_config.reading import read
    from edge_sdk.device_config.sections import CameraSource, ServiceSection
    from edge_sdk.service.log import open_log
    from edge_sdk.service.service import run_service

    environment = dict(os.environ) if http is None else {**os.environ, "EDGE_SDK_PREVIEW__HTTP": http}
    reading = read(find_config(path), environment)
    config = DeviceConfig(reading)
    source: CameraSource = config.part(CameraSource)
    if not reading.faults and source.address is None and source.address_file is None:
        reading.blame("camera.address", 'expected the camera, such as "picamera2", or camera.address_file; got neither')
    if reading.faults:
        say_faults(reading.faults)
        context.exit(os.EX_CONFIG)
    wants = config.part(ServiceSection)
    run_service(
        config,
        repeats=open_log(wants.log, wants.repeat_after_s),
        reread=lambda: load_config(config.path, environment),
    )
