"""`edge-sdk doctor`: what is wrong with this device, its camera, its model and its link."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from edge_sdk.cli.config import config_option
from edge_sdk.cli.device import STATE
from edge_sdk.cli.options import FILE, FOLDER, from_file, option
from edge_sdk.terminal.command import NO


@click.command()
@click.argument("camera", required=False, callback=from_file)
@config_option()
@click.option("--bundle", help="Bundle folder, or the name of a bundle that ships.  [default: trailcam]")
@click.option(
    "--cloud",
    metavar="HOST:PORT[,HOST:PORT]",
    help="The cloud server, or several with commas between: the way to each is checked step by step.",
)
@click.option("--ca", type=FILE, help="PEM authority of the server's certificate.")
@click.option("--cert", type=FILE, help="PEM certificate of this device, for a server that demands one.")
@click.option("--key", type=FILE, help="PEM key of --cert.")
@click.option("--token-file", type=FILE, help="File with this device's token.  [default: the variable EDGE_SDK_TOKEN]")
@click.option("--insecure", is_flag=True, help="Speak unencrypted with a server that is not on this machine.")
@click.option("--proxy", envvar="EDGE_SDK_PROXY", help="HTTP proxy to the server, http://user:password@host:port.")
@click.option("--interface", help="Network interface that leads to the server, such as wwan0.")
@option("--state", type=FOLDER, help=STATE)
@click.option("--upload-budget", help="Is it enough? Such as 5MB/day or 5MB/day,200frames/day.")
@click.option("--compute-budget", help="Is it enough? Such as 2GMAC/s or 3kJ/h.")
@click.option("--cloud-budget", help="Is it enough? Such as 10TMAC/day.")
@click.option("--watts", type=click.FloatRange(0), help="Power of this device while its model runs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with all that was measured.")
def doctor(
    camera: str | None,
    path: Path | None,
    bundle: str | None,
    cloud: str | None,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
    token_file: Path | None,
    insecure: bool,
    proxy: str | None,
    interface: str | None,
    state: Path | None,
    upload_budget: str | None,
    compute_budget: str | None,
    cloud_budget: str | None,
    watts: float | None,
    as_json: bool,
) -> None:
    """Check this device, its camera, model and link, and say what to do about what is wrong.

    CAMERA is an address as the camera loop takes it (picamera2, /dev/video0, rtsp://..., a folder), or @FILE with the
    address in its first line. Without it, and for options that are not given, the config file counts, where there is
    one; what neither names is not checked. Exit code 1: there is a fault.
    """
    from edge_sdk.config import read_servers
    from edge_sdk.doctor.examination import examine, has_faults
    from edge_sdk.doctor.finding import Asked, Check
    from edge_sdk.doctor.machine import Machine
    from edge_sdk.doctor.report import Printer
    from edge_sdk.doctor.report import as_json as to_json
    from edge_sdk.security.credentials import Security
    from edge_sdk.terminal.text import open_console

    servers = read_servers(cloud)
    asked = Asked(
        config=path,
        camera=camera,
        bundle=bundle,
        cloud=servers[0] if servers else None,
        further=servers[1:],
        security=Security(ca=ca, cert=cert, key=key, token_file=token_file, insecure=insecure),
        proxy=proxy,
        interface=interface,
        state=state,
        upload_budget=upload_budget,
        compute_budget=compute_budget,
        cloud_budget=cloud_budget,
        watts=watts,
    )
    lines = []
    with ExitStack() as stack:
        machine = stack.enter_context(Machine())
        console = open_console()
        printer = Printer(console)
        status = stack.enter_context(console.status("")) if console.is_terminal and not as_json else None

        def starting(check: Check) -> None:
            if status is not None:
                status.update(f"{check.subject}: {check.name}")

        for line in examine(asked, machine, starting=starting):
            lines.append(line)
            if not as_json:
                printer.line(line)
        if as_json:
            click.echo(to_json(lines, machine.wall_s(), machine.board))
    if not as_json:
        printer.end(lines)
    if has_faults(lines):
        click.get_current_context().exit(NO)
