"""Watch a camera: the device answers what it is sure of, the cloud the rest, within your budgets.

python examples/camera_loop.py                      # simulated camera, and a cloud server that starts on this machine
python examples/camera_loop.py --camera picamera2 --cloud vm.example:50051 --ca ca.pem --token-file cam-1.token
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from itertools import islice
from pathlib import Path

import click

from edge_sdk import (
    Alerts,
    Blur,
    Camera,
    EdgeClassifier,
    EventSettings,
    MotionGate,
    Place,
    PowerModel,
    Preferences,
    open_bundle,
    open_camera,
)
from edge_sdk.alerts.opening import open_channels
from edge_sdk.camera.gate import MotionSettings
from edge_sdk.cli.alerts import MQTT, WEBHOOK, rules_for
from edge_sdk.cli.options import FILE, FOLDER, bundle_option, from_file, label_map_option, out_option, writable
from edge_sdk.cli.tables import read_place
from edge_sdk.config import StorageSettings, UplinkSettings
from edge_sdk.errors import ConfigError
from edge_sdk.model.default_runtime import check_runtime
from edge_sdk.redaction import without_secrets
from edge_sdk.report.run import RunReport
from edge_sdk.security.credentials import Security
from edge_sdk.terminal.command import Stopped, run_and_exit
from edge_sdk.types import LinkState, View

CAMERA = (
    "simulated://trailcam?seed=N, a folder, a photo, a video file, rtsp://..., http://..., a device index, or "
    "picamera2; @FILE: the address in the first line of FILE, which hides its password from `ps`."
)
CLOUD = "host:port of a cloud server; none: device only, unsure frames wait.  [default: one is started here]"
BIG = "Big model of the server that starts here, as cloud-server --model.  [default: the bundle's policy names it]"
UPLOAD = "Hard limits on what is sent, such as 5MB/day or 5MB/day,100MB/month,200frames/day; none: no limit."
CLOUD_COMPUTE = "Hard limit on the big model's multiply-accumulates, such as 10TMAC/day; none: no limit."
COMPUTE = "Hard limit on the device's own work, such as 2GMAC/s, 10TMAC/day or 3kJ/h; none: no limit."
PRIVATE = "A class whose frames never leave the device, such as person; may be repeated."
ARCHIVE = 'Keep pictures by a rule, such as "1GB, 90 days, exits: one per event, never: person".  [default: none]'
BLUR = "A class, such as person: what moves is pixelated before a picture is stored or sent; may be repeated."
WATTS = "Power of this device while its model runs, for a --compute-budget in joules."
INTERFACE = "Network interface that leads to the cloud, such as wwan0: all bytes that it sends count."
GATE = "Motion gate: on videos and live cameras but not on photos (auto), on photos too (on), or none (off)."
VIEW = "What the little model looks at where something moves: the frame, its region, or both.  [default: the bundle's]"
SEND = "What of an unsure frame goes to the cloud where something moves: frame or region.  [default: the bundle's]"
PLACE = "Where the camera stands, for a bundle with priors: latitude,longitude in degrees, or a region's name."
PER = (
    "Answer, exit and offload frames one by one, or a visit as a whole (event).  [default: by visits behind the gate, "
    "where the bundle was calibrated for it, else by frames]"
)
AGAIN = "Read all files of a folder again, also those that were done in an earlier run."
PROXY = "HTTP proxy to the cloud, http://user:password@host:port; in EDGE_SDK_PROXY it shows in no list of processes."
FRAMES = "Stop after this many camera frames.  [default: 300 if simulated, else the camera's end]"
STATE = "State folder of the device.  [default: the user's; a new one if the server is started here]"
ALERT_ON = "Alert on these classes, comma-separated, besides faults, budgets and drift; 20 an hour at most."
METERED = "Alerts leave by the metered link: their bytes count against --upload-budget."
TOKEN = "File with this device's token, readable by its owner only.  [default: the variable EDGE_SDK_TOKEN]"


@click.command(context_settings={"max_content_width": 100})
@click.option(
    "--camera",
    "url",
    envvar="EDGE_SDK_CAMERA",
    default="simulated://trailcam?seed=1",
    show_default=True,
    show_envvar=True,
    callback=from_file,
    help=CAMERA,
)
@click.option("--wait-for-camera", is_flag=True, help="Wait for a camera, file or folder that is not there yet.")
@bundle_option(shipped=True)
@click.option("--cloud", help=CLOUD)
@click.option("--big", metavar="MODEL", help=BIG)
@label_map_option()
@click.option("--ca", type=FILE, help="PEM authority of the cloud server's certificate: the link is encrypted.")
@click.option("--cert", type=FILE, help="PEM certificate of this device, for a server that demands one.")
@click.option("--key", type=FILE, help="PEM key of --cert.")
@click.option("--token-file", type=FILE, help=TOKEN)
@click.option("--insecure", is_flag=True, help="Speak unencrypted with a server that is not on this machine.")
@click.option("--upload-budget", default="5MB/day", show_default=True, help=UPLOAD)
@click.option("--compute-budget", default="none", show_default=True, help=COMPUTE)
@click.option("--cloud-budget", default="none", show_default=True, help=CLOUD_COMPUTE)
@click.option("--watts", type=click.FloatRange(0), help=WATTS)
@click.option("--mqtt", callback=from_file, metavar="HOST[:PORT]", help=MQTT)
@click.option("--webhook", callback=from_file, metavar="URL", help=WEBHOOK)
@click.option("--alert-on", metavar="CLASS[,CLASS]", help=ALERT_ON)
@click.option("--alerts-metered", is_flag=True, help=METERED)
@click.option("--interface", help=INTERFACE)
@click.option("--proxy", envvar="EDGE_SDK_PROXY", help=PROXY)
@click.option("--never-upload", multiple=True, metavar="CLASS", help=PRIVATE)
@click.option("--archive", metavar="RULE", help=ARCHIVE)
@click.option("--blur", multiple=True, metavar="CLASS", help=BLUR)
@click.option("--gate", type=click.Choice(["auto", "on", "off"]), default="auto", show_default=True, help=GATE)
@click.option("--view", type=click.Choice([view.value for view in View]), help=VIEW)
@click.option("--send", type=click.Choice(["frame", "region"]), help=SEND)
@click.option("--place", callback=read_place, metavar="PLACE", help=PLACE)
@click.option("--per", type=click.Choice(["frame", "event"]), help=PER)
@click.option("--again", is_flag=True, help=AGAIN)
@click.option("--frames", type=click.IntRange(min=1), help=FRAMES)
@out_option("Folder for summary.png and events.html.", folder=True, default="out", show_default=True)
@click.option("--state", type=FOLDER, callback=writable, help=STATE)
@click.option("--drain-s", default=60.0, show_default=True, help="Seconds to wait at the end for frames on their way.")
def main(
    url: str,
    wait_for_camera: bool,
    bundle: str,
    cloud: str | None,
    big: str | None,
    label_map: dict[str, str],
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
    token_file: Path | None,
    insecure: bool,
    upload_budget: str,
    compute_budget: str,
    cloud_budget: str,
    watts: float | None,
    mqtt: str | None,
    webhook: str | None,
    alert_on: str | None,
    alerts_metered: bool,
    interface: str | None,
    proxy: str | None,
    never_upload: tuple[str, ...],
    archive: str | None,
    blur: tuple[str, ...],
    gate: str,
    view: str | None,
    send: str | None,
    place: Place | str | None,
    per: str | None,
    again: bool,
    frames: int | None,
    out: Path,
    state: Path | None,
    drain_s: float,
) -> None:
    """Watch a camera: the device answers what it is sure of, the cloud the rest, within your budgets.

    Ctrl-C ends the run with its summary (exit code 130; after SIGTERM 0); frames that wait stay in the spool. An error
    is one line, with exit code 2.
    """
    if frames is None and url.startswith("simulated:"):
        frames = 300
    local = cloud is None
    if local and (ca or cert or token_file):
        raise click.UsageError("--ca, --cert and --token-file are for a server that --cloud names")
    if not local and (big or label_map):
        raise click.UsageError("--big and --label-map are for the server that starts here, where --cloud names none")
    check_runtime()
    opened = open_bundle(bundle)
    channels = list(open_channels(mqtt, webhook))
    rules = rules_for(alert_on, opened.names, provisional=cloud == "none")
    if not channels and (alert_on or alerts_metered):
        raise click.UsageError("--alert-on and --alerts-metered go with --mqtt or --webhook")
    if local:
        state = state or out / f"state-{datetime.now():%Y%m%d-%H%M%S}"
    out.mkdir(parents=True, exist_ok=True)
    motion = None if gate == "off" else MotionGate(MotionSettings(photos=gate == "on"))
    with ExitStack() as stack:
        if local:  # a device need not have the server's part
            from cloud_server.local_big import local_big
        camera = stack.enter_context(open_camera(url, wait_for_camera=wait_for_camera))
        if local:
            click.echo("starting a cloud server on this machine (--cloud host:port uses yours) ...")
            cloud = stack.enter_context(local_big(opened, big, label_map or None))
        edge = stack.enter_context(
            EdgeClassifier(
                opened,
                cloud=None if cloud == "none" else cloud,
                budget=None if upload_budget == "none" else upload_budget,
                compute_budget=None if compute_budget == "none" else compute_budget,
                cloud_budget=None if cloud_budget == "none" else cloud_budget,
                state_dir=state,
                gate=motion,
                view=view,
                send=send,
                place=place,
                events=EventSettings(answer_per=per),
                preferences=Preferences(
                    never_upload=never_upload,
                    # The simulated camera shows hours within seconds: no use in spreading the budget over the day.
                    initial_credit=1.0 if url.startswith("simulated:") else 0.1,
                ),
                storage=StorageSettings(archive=archive),
                blur=Blur(blur) if blur else None,
                power=None if watts is None else PowerModel(watts),
                uplink=UplinkSettings(interface=interface, proxy=proxy),
                security=Security(ca=ca, cert=cert, key=key, token_file=token_file, insecure=insecure),
            )
        )
        if channels:
            stack.enter_context(Alerts(edge, rules=rules, channels=channels, metered=alerts_metered))
        if not again and (skip_done := getattr(camera, "skip_done", None)) is not None:
            skip_done(edge.done_files)
        report = RunReport(edge, f"{without_secrets(url)}  ->  {bundle}  ->  {cloud}")
        try:
            with report:
                for frame, answer in edge.watch(islice(camera, frames)):
                    report.add(frame, answer)
                    report.late(edge.late_answers())
                    report.events(edge.events())
                    check_labels(edge)
                report.late(edge.late_answers(wait_s=drain_s))
                report.events(edge.events())
                check_labels(edge)
        except Stopped as stop:
            report.finish(out / "summary.png", notes=notes(camera, motion))
            if stop.signal == signal.SIGTERM:  # how a service is asked to end: it has done what it should
                return
            stop.add_note("frames that wait stay in the spool")
            raise
        report.finish(out / "summary.png", ask=cloud if local else None, notes=notes(camera, motion))


def check_labels(edge: EdgeClassifier) -> None:
    """Refuse a server whose labels do not fit from its first connection on."""
    if edge.link is LinkState.MISMATCH and not edge.usage.answers_cloud:
        raise ConfigError(edge.link_message)


def notes(camera: Camera, gate: MotionGate | None) -> Iterator[str]:
    """What was not looked at: files of a folder, and frames that the motion gate passed over."""
    yield getattr(camera, "summary", "")
    if gate is not None and gate.passed_over:
        yield f"motion gate: {gate.passed_over} of {gate.seen} frames passed over: nothing moved (--gate off: none)"


if __name__ == "__main__":
    run_and_exit(main, "camera_loop")
