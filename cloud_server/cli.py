"""`cloud-server`: the command."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click
from platformdirs import user_state_path

if TYPE_CHECKING:
    from cloud_server.access.tls import TlsFiles
    from cloud_server.config import ServerConfig

EXTRAS = ("torch", "timm", "safetensors", "grpc_health")
DEVICES = ("auto", "cpu", "cuda")
LEVELS = ("debug", "info", "warning", "error")
INSTALL = "pip install '.[cloud]'"
PATH = click.Path(path_type=Path)
RATE = "Frames a second from one device; one more is OVERLOADED.  [default: no limit]"
STATE = "Folder in which answers outlive a restart; none: memory.  [default: the user's state folder, for each port]"
KEEP = "Folder in which frames and the model's answers to them are kept, for training.  [default: none are]"


def _bytes_of(ctx: click.Context, parameter: click.Parameter, text: str) -> int:
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)\s*([kMGT]?)B?", text, re.ASCII)
    size = int(float(match[1]) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[match[2]]) if match else 0
    if size < 1:
        raise click.BadParameter(f"expected bytes such as 2GB or 500MB; got {text!r}")
    return size


@click.command(context_settings={"show_default": True})
@click.option("--model", default="trailcam", help="A shipped model, a checkpoint, a bundle, or a timm name.")
@click.option("--device", type=click.Choice(DEVICES), default="auto", help="Where the model runs.")
@click.option("--host", default="127.0.0.1", help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=50051, help="0 takes a free one.")
@click.option("--port-file", type=click.Path(path_type=Path), help="Write the port here once ready.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads of the model.  [default: torch's choice]")
@click.option("--max-batch", type=click.IntRange(1), default=32, help="Frames in one run of the model.")
@click.option("--max-wait-ms", type=click.FloatRange(0), default=0.0, help="How long a batch waits for more frames.")
@click.option("--queue", type=click.IntRange(1), default=128, help="Frames that may wait; one more is OVERLOADED.")
@click.option("--max-pixels", type=click.IntRange(1), default=32_000_000, help="Largest picture, width x height.")
@click.option("--max-image-bytes", type=click.IntRange(1), default=8 << 20, help="Largest encoded picture.")
@click.option("--label-map", type=PATH, help='JSON {"fine": "coarse", "*": "other"}.')
@click.option("--tls-cert", type=PATH, help="PEM certificate of this server: the link is encrypted.")
@click.option("--tls-key", type=PATH, help="PEM key of --tls-cert.")
@click.option("--client-ca", type=PATH, help="PEM authority of the devices: each must show a certificate of it.")
@click.option("--tokens", type=PATH, help="File of the devices' token hashes (edge-sdk keys token): each needs one.")
@click.option("--insecure", is_flag=True, help="Serve other machines without encryption.")
@click.option("--max-frames-per-s", type=click.FloatRange(0, min_open=True), help=RATE)
@click.option("--burst", type=click.IntRange(1), default=32, help="Frames one device may send at once after a pause.")
@click.option("--max-streams", type=click.IntRange(1), default=1000, help="Open streams of all devices.")
@click.option("--max-streams-per-device", type=click.IntRange(1), default=16, help="Open streams of one device.")
@click.option("--state", type=click.Path(file_okay=False), help=STATE)
@click.option("--remember", type=click.IntRange(1), default=65_536, help="Answers that are known by their frame's id.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help=KEEP)
@click.option("--keep-limit", callback=_bytes_of, default="2GB", metavar="SIZE", help="What that folder may hold.")
@click.option("--keep-fraction", type=click.FloatRange(0, 1, min_open=True), default=1.0, help="Share that is kept.")
@click.option("--drain-s", type=click.FloatRange(0), default=10.0, help="Time for frames in flight at the end.")
@click.option("--exit-with-parent", is_flag=True, help="Drain and end when standard input closes.")
@click.option("--log-level", type=click.Choice(LEVELS), default="info", help="Least level of log lines.")
def main(
    model: str,
    device: str,
    host: str,
    port: int,
    port_file: Path | None,
    threads: int | None,
    max_batch: int,
    max_wait_ms: float,
    queue: int,
    max_pixels: int,
    max_image_bytes: int,
    label_map: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    client_ca: Path | None,
    tokens: Path | None,
    insecure: bool,
    max_frames_per_s: float | None,
    burst: int,
    max_streams: int,
    max_streams_per_device: int,
    state: str | None,
    remember: int,
    keep: Path | None,
    keep_limit: int,
    keep_fraction: float,
    drain_s: float,
    exit_with_parent: bool,
    log_level: str,
) -> None:
    """Serve a big model to devices over gRPC.

    Once ready it prints "listening on HOST:PORT". SIGTERM or Ctrl-C drains: what is in flight is answered, then it
    ends; a second one ends it at once.
    """
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # a taken port is reported below, in words
    if exit_with_parent:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    _require_extras()

    import cv2

    from cloud_server.config import ServerConfig
    from cloud_server.model.decode import Limits
    from edge_sdk.errors import EdgeError

    cv2.setNumThreads(1)  # pictures are decoded side by side; the cores are the model's
    try:
        config = ServerConfig(
            model=model,
            device=device,
            threads=threads,
            host=host,
            port=port,
            max_batch=max_batch,
            max_wait_ms=max_wait_ms,
            queue=queue,
            limits=Limits(max_bytes=max_image_bytes, max_pixels=max_pixels),
            label_map=label_map,
            tls=_tls(tls_cert, tls_key, client_ca),
            tokens=tokens,
            insecure=insecure,
            max_frames_per_s=max_frames_per_s,
            burst=burst,
            max_streams=max_streams,
            max_streams_per_device=max_streams_per_device,
            state=_state_folder(state, port),
            remember=remember,
            keep=keep,
            keep_limit_bytes=keep_limit,
            keep_fraction=keep_fraction,
            drain_s=drain_s,
        )
        drained = asyncio.run(_serve(config, port_file))
    except EdgeError as error:
        raise click.ClickException(str(error)) from error
    if not drained:  # the interpreter would wait for the model's thread
        logging.shutdown()
        os._exit(0)


async def _serve(config: ServerConfig, port_file: Path | None) -> bool:
    from cloud_server.server import CloudServer
    from edge_sdk.durable.files import write_whole

    server = CloudServer(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    await server.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    if port_file is not None:
        write_whole(port_file, server.address.rpartition(":")[2])
    click.echo(f"listening on {server.address}")
    sys.stdout.flush()
    await stop.wait()
    return await server.stop()


def _tls(cert: Path | None, key: Path | None, client_ca: Path | None) -> TlsFiles | None:
    from cloud_server.access.tls import TlsFiles
    from edge_sdk.errors import ConfigError

    if cert is not None and key is not None:
        return TlsFiles(cert, key, client_ca)
    if cert is None and key is None and client_ca is None:
        return None
    raise ConfigError(
        f"expected --tls-cert and --tls-key together, and --client-ca with them; got --tls-cert {cert}, "
        f"--tls-key {key}, --client-ca {client_ca}"
    )


def _state_folder(state: str | None, port: int) -> Path | None:
    """Where answers are kept: servers on two ports never share a folder; one on a free port is not found again."""
    if state is not None:
        return None if state == "none" else Path(state)
    return user_state_path("cloud-server", appauthor=False) / str(port) if port else None


def _require_extras() -> None:
    from importlib.util import find_spec

    missing = [name for name in EXTRAS if find_spec(name) is None]
    if missing:
        raise click.ClickException(f"the cloud server needs {', '.join(missing)}, which this Python lacks: {INSTALL}")


def _end_with_stdin() -> None:
    """Wait for the end of standard input, which comes when the parent dies, however it dies."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
