"""The command `cloud-server`.

Exit codes: 0 it served and was asked to end, 2 an error, which is told in one line on standard error.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
import threading
from collections.abc import Sequence
from functools import partial
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any

import click

from cloud_server.admin_command import admin
from cloud_server.bench_command import bench
from cloud_server.check_command import check_config
from cloud_server.command_settings import Settings, settings_of
from cloud_server.devices_command import devices
from cloud_server.install_command import install_service
from cloud_server.local import PACKAGES as EXTRAS
from cloud_server.log_format import set_up
from cloud_server.serving import end_with_stdin, say, serve
from edge_sdk.errors import ConfigError, EdgeError

HTTP_EXTRAS = ("prometheus_client", "fastapi", "uvicorn")
DEVICES = ("auto", "cpu", "cuda")
ENGINES = ("torch", "compile", "openvino")
LOOKS = ("auto", "frame", "region", "both")
LEVELS = ("debug", "info", "warning", "error")
INSTALL = "pip install '.[cloud]'"
PATH = click.Path(path_type=Path)
_ARGUMENTS = "cloud_server.arguments"
CONFIG = "TOML file of all these options, and of the models; the command line goes over it. SIGHUP reads it again."
MODEL = "A shipped model, a checkpoint or other weights (.pth), a bundle, or a timm name."
MODELS = "TOML file of several models, each with its weights and labels, in place of --model; SIGHUP reads it again."
ENGINE = "What runs the model; OpenVINO, on the CPU, is often quicker: cloud-server bench tells."
ARCH = "timm name of a file of weights that does not say its architecture; --model ARCH=FILE says it too."
GROUP = "A label map that comes with the package: ImageNet's classes in a dozen groups."
LOOK = "What the model looks at where a region came: the picture, the region's surroundings, or both, twice the work."
QUEUE = "Frames that may wait; further ones are OVERLOADED."
QUEUE_S = "Frames whose answer would take longer are OVERLOADED; a device may say less of each frame. inf: no limit."
RATE = "Frames a second from one device; further ones are OVERLOADED.  [default: no limit]"
STATE = "Folder of the reply cache; none: memory only.  [default: the user's state folder, one for each port]"
ARCHIVE = "Folder of the frame archive: frames with the model's answers, for training.  [default: no archive]"
REPORTS = "Folder of what devices report of themselves: answers, usage, health.  [default: reports are not taken]"
SETTINGS = (
    "Folder of signed settings (edge-sdk settings sign) that devices get with the reply to a report.  [default: none]"
)
GRACE = "Seconds that the model may hang or fail on everything before the process ends with code 70; inf: it stays."
LIMITS = "TOML file of the four limits above, which goes before them; SIGHUP reads it again."
DATABASE = (
    "The fleet's database, which servers can share: postgresql://USER@HOST/NAME, or a SQLite file.  "
    "[default: fleet.db in the state folder]"
)
SETTINGS_KEY = "The operator's settings key (edge-sdk settings key): what people want of devices is signed here."
REQUIRE_TOKENS = "Each call needs a token: one that people issue (cloud-server admin token), or one of --tokens."
OPEN_INFERENCE = "Answer standard clients (KServe v2, Triton) too, on --port, and over HTTP on --http-port."
HTTP = "Serve /metrics and /healthz over HTTP there, in place of --http-host and --http-port.  [default: off]"
PAGE = "Show people the fleet on --http: devices, events, labels, settings, tokens.  [default: off]"
PROXY = "A proxy that signs people in, and the header by which it names them.  [default: passwords]"
TRACES = "Send a trace of each frame to this OpenTelemetry collector (OTLP over gRPC), such as http://127.0.0.1:4317."
LOG_FORMAT = "json: an object a line, with frame_id and device where a line is about a frame."
HTTP_TLS = "Encrypt what --http serves, with --tls-cert and --tls-key; they are renewed as for devices."
HTTP_PORT = "Serve /metrics and /healthz over HTTP on this port; 0 takes a free one.  [default: off]"


class _Command(click.Group):
    """Serves, or runs a sub-command. Reports every error in one line, `cloud-server: ...`, without a traceback."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """As click's; the words of the command line are kept, to be read again."""
        given = tuple(args)
        context = super().make_context(info_name, args, parent, **extra)
        context.meta[_ARGUMENTS] = given
        return context

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command; exit code 2 for errors."""
        run = partial(super().main, args, prog_name, complete_var, standalone_mode=False, **extra)
        if not standalone_mode:
            return run()
        try:
            sys.exit(run() or 0)
        except click.exceptions.Abort:  # Ctrl-C while it loads
            say("ended before it was ready: 0 frames answered")
            sys.exit(0)
        except click.UsageError as error:
            command = "cloud-server" if error.ctx is None else error.ctx.command_path
            say(f"{error.format_message()} (`{command} --help` lists the options)")
        except click.ClickException as error:
            say(error.format_message())
        except (OSError, EdgeError) as error:
            say(str(error))
        sys.exit(2)


def _use_config(ctx: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    """Let the file's values stand for those that the command line does not give."""
    if path is not None:
        from cloud_server.config_file import read_config

        file, values = read_config(path, ctx.command)
        file.refuse()
        ctx.default_map = values
    return path


def _bytes_of(ctx: click.Context, parameter: click.Parameter, text: str) -> int:
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)\s*([kMGT]?)B?", text, re.ASCII)
    size = int(float(match[1]) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[match[2]]) if match else 0
    if size < 1:
        raise click.BadParameter(f"expected bytes such as 2GB or 500MB; got {text!r}")
    return size


def _place_of(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\[[^\[\]]+\]|[^:\[\]]+):(\d{1,5})", text.strip(), re.ASCII)
    if match is None or int(match[2]) > 65535:
        raise click.BadParameter(f"expected HOST:PORT, such as 127.0.0.1:8080 or [::]:8080; got {text!r}")
    return match[1], int(match[2])


def _proxy_of(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    match = re.fullmatch(r"([0-9a-fA-F.:]+)=([A-Za-z0-9-]+)", text)
    try:
        address = ip_address(match[1]) if match else None
    except ValueError:
        address = None
    if match is None or address is None:
        raise click.BadParameter(f"expected ADDRESS=HEADER, such as 127.0.0.1=X-Forwarded-User; got {text!r}")
    plain = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(plain or address), match[2]


@click.group(cls=_Command, invoke_without_command=True, context_settings={"show_default": True})
@click.option("--config", type=PATH, is_eager=True, callback=_use_config, metavar="FILE", help=CONFIG)
@click.option("--model", default="trailcam", help=MODEL)
@click.option("--models", type=PATH, help=MODELS)
@click.option("--arch", metavar="NAME", help=ARCH)
@click.option("--device", type=click.Choice(DEVICES), default="auto", help="Where the model runs.")
@click.option("--engine", type=click.Choice(ENGINES), default="torch", help=ENGINE)
@click.option("--host", default="127.0.0.1", help="Address or name to listen on; 0.0.0.0 or :: for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=50051, help="0 takes a free one.")
@click.option("--port-file", type=click.Path(path_type=Path), help="Write the port here once ready.")
@click.option(
    "--threads", type=click.IntRange(1, 1024), help="CPU threads of the model.  [default: the engine's choice]"
)
@click.option("--look", type=click.Choice(LOOKS), default="auto", help=LOOK)
@click.option("--max-batch", type=click.IntRange(1, 65_536), default=32, help="Most pictures in one run of the model.")
@click.option("--max-wait-ms", type=click.FloatRange(0), default=0.0, help="How long a batch waits for more frames.")
@click.option("--decoders", type=click.IntRange(1, 1024), default=2, help="Threads that decode pictures.")
@click.option("--queue", type=click.IntRange(1, 1_000_000), default=128, help=QUEUE)
@click.option("--max-queue-s", type=click.FloatRange(0), default=30.0, help=QUEUE_S)
@click.option("--max-pixels", type=click.IntRange(1), default=32_000_000, help="Largest picture, width x height.")
@click.option("--max-image-bytes", type=click.IntRange(1, 1 << 30), default=8 << 20, help="Largest encoded picture.")
@click.option("--label-map", type=PATH, help='JSON {"fine": "coarse", "*": "other"}.')
@click.option("--label-group", type=click.Choice(["animals", "coarse"]), help=GROUP)
@click.option("--tls-cert", type=PATH, help="PEM certificate of this server: the link is encrypted.")
@click.option("--tls-key", type=PATH, help="PEM key of --tls-cert.")
@click.option("--client-ca", type=PATH, help="PEM authority of the devices: each must show a certificate of it.")
@click.option("--tokens", type=PATH, help="File of the devices' token hashes (edge-sdk keys token): each needs one.")
@click.option("--insecure", is_flag=True, help="Serve other machines without encryption.")
@click.option("--max-frames-per-s", type=click.FloatRange(0, min_open=True), help=RATE)
@click.option("--burst", type=click.IntRange(1), default=32, help="Frames one device may send at once after a pause.")
@click.option("--max-streams", type=click.IntRange(1), default=1000, help="Open streams of all devices.")
@click.option("--max-streams-per-device", type=click.IntRange(1), default=16, help="Open streams of one device.")
@click.option("--limits", type=PATH, help=LIMITS)
@click.option("--state", type=click.Path(file_okay=False), help=STATE)
@click.option(
    "--cached-replies",
    "--remember",
    type=click.IntRange(1, 1_000_000_000),
    default=65_536,
    help="Replies that the cache holds.",
)
@click.option("--archive", "--keep", type=click.Path(file_okay=False, path_type=Path), help=ARCHIVE)
@click.option(
    "--archive-limit",
    "--keep-limit",
    callback=_bytes_of,
    default="2GB",
    metavar="SIZE",
    help="Size of the archive; when it is reached, nothing more is archived.",
)
@click.option(
    "--archive-fraction",
    "--keep-fraction",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    help="Share of the frames that is archived.",
)
@click.option("--reports", type=click.Path(file_okay=False, path_type=Path), help=REPORTS)
@click.option("--settings", type=click.Path(file_okay=False, path_type=Path), help=SETTINGS)
@click.option("--database", default="", envvar="EDGE_SDK_DATABASE", metavar="URL", help=DATABASE)
@click.option("--settings-key", type=PATH, help=SETTINGS_KEY)
@click.option("--require-tokens", is_flag=True, help=REQUIRE_TOKENS)
@click.option("--open-inference", is_flag=True, help=OPEN_INFERENCE)
@click.option("--http", callback=_place_of, metavar="HOST:PORT", help=HTTP)
@click.option("--page", is_flag=True, help=PAGE)
@click.option("--page-proxy", callback=_proxy_of, metavar="ADDRESS=HEADER", help=PROXY)
@click.option("--http-port", type=click.IntRange(0, 65535), help=HTTP_PORT)
@click.option("--http-host", default="127.0.0.1", help="Address of --http-port.")
@click.option("--http-tls", is_flag=True, help=HTTP_TLS)
@click.option("--drain-s", type=click.FloatRange(0), default=10.0, help="Seconds for frames in flight at the end.")
@click.option("--model-grace-s", type=click.FloatRange(0), default=30.0, help=GRACE)
@click.option("--exit-with-parent", is_flag=True, help="Drain and end when standard input closes.")
@click.option("--traces", default="", metavar="URL", help=TRACES)
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", help=LOG_FORMAT)
@click.option("--log-level", type=click.Choice(LEVELS), default="info", help="Lowest level of log lines.")
@click.pass_context
def main(context: click.Context, /, **options: Any) -> None:
    """Serve a big model to devices over gRPC.

    Once ready it prints "listening on HOST:PORT". SIGTERM or Ctrl-C drains: frames in flight are answered, then it
    ends with a line of what was done. A second signal ends it at once. SIGHUP reads the config file, tokens,
    certificates, label map and limits again. Exit codes: 0 it was asked to end, 2 an error, 70 the model hung or failed
    on everything.
    """
    if context.invoked_subcommand is not None:
        return
    set_up(options["log_level"], options["log_format"])
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # a taken port is reported below, in words
    # Threads that spin for the others of a run take the cores from decoding, and from whatever else the machine does.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if options["exit_with_parent"]:
        threading.Thread(target=end_with_stdin, daemon=True).start()
    _require_extras(needs_http=options["http"] is not None or options["http_port"] is not None)

    import cv2

    from cloud_server.listening import raise_descriptor_limit
    from cloud_server.reread import Reread

    cv2.setNumThreads(1)  # pictures are decoded side by side; the cores are the model's
    try:
        settings, path = settings_of(context), options["config"]
        raise_descriptor_limit(settings.config.max_streams)
        reread = None if path is None else Reread(path, settings, partial(_read_again, context))
        with asyncio.Runner() as runner:
            code = runner.run(serve(settings.config, options["port_file"], reread))
            # All is on the disk. The runner and the interpreter would wait for threads that may hang: in the model, or
            # in a question to a database.
            logging.shutdown()
            os._exit(code)
    except EdgeError as error:
        raise click.ClickException(str(error)) from error


def _read_again(context: click.Context) -> Settings:
    """The settings of the same command line, and of its config file as it is now.

    Raises:
        ConfigError: they cannot be used.
    """
    try:
        with context.command.make_context("cloud-server", list(context.meta[_ARGUMENTS])) as fresh:
            return settings_of(fresh)
    except click.ClickException as error:
        raise ConfigError(error.format_message()) from error


def _require_extras(*, needs_http: bool) -> None:
    from importlib.util import find_spec

    missing = [name for name in (*EXTRAS, *(HTTP_EXTRAS if needs_http else ())) if find_spec(name) is None]
    if missing:
        raise click.ClickException(f"it needs {', '.join(missing)}, which this Python lacks: {INSTALL}")


main.add_command(admin)
main.add_command(bench)
main.add_command(check_config)
main.add_command(devices)
main.add_command(install_service)

if __name__ == "__main__":
    main()
