"""Cameras: those that the machine has, what drives them, and whether the one that is named gives pictures."""

from __future__ import annotations

import os
import re
import time
from itertools import islice
from pathlib import Path
from typing import Any

from edge_sdk.doctor.child import Tell
from edge_sdk.doctor.disk import state_folder
from edge_sdk.doctor.finding import Case, Check, Finding, fault, note, ok, together, warning
from edge_sdk.doctor.machine import Machine
from edge_sdk.doctor.state import holder_of
from edge_sdk.redaction import without_secrets

_SUBJECT = "camera"
_NO_CAMERA = re.compile(r"bcm2835-(codec|isp)|rpi-?(vid|hevc)|pispbe|rp1-cfe|unicam|rpivid|-codec|-isp", re.IGNORECASE)

_LISTED = re.compile(r"^\s*(\d+) : (\S+) \[([^\]]+)\]", re.MULTILINE)
_LISTERS = ("rpicam-hello", "libcamera-hello")
_FRAMES, _LOOK_S, _OPEN_LIMIT_S, _WATCH_LIMIT_S = 30, 3.0, 95.0, 20.0
_DRIVER_LIMIT_S = 60.0
_DARK, _FLAT = 8.0, 2.0
_PI_CAMERA = "picamera2"
_OWN = re.compile(r"picamera2|/dev/|\d+(\?|$)")


def video_devices(machine: Machine) -> list[tuple[str, str]]:
    """Path and name of each V4L2 device that may give pictures; none of the codecs and scalers that a Pi lists too."""
    found = []
    for path in machine.paths("dev/video[0-9]*"):
        folder = f"sys/class/video4linux/{path.rpartition('/')[2]}"
        name = machine.text(f"{folder}/name") or ""
        if not _NO_CAMERA.search(name) and (machine.number(f"{folder}/index") or 0) == 0:
            found.append((f"/{path}", name))
    return found


def _cameras(case: Case) -> Finding:
    machine = case.machine
    devices = video_devices(machine)
    modules: list[str] = []
    wrong = []
    wants_pi = _wants_pi(case)
    if machine.is_raspberry_pi or wants_pi:
        lister, output = _list(machine)
        if output is None:
            wrong.append(
                (warning if wants_pi else note)(
                    "libcamera's tools are not installed: camera modules cannot be listed",
                    "sudo apt install rpicam-apps-lite python3-picamera2",
                )
            )
        else:
            modules = [f"{name} {size.split()[0]}" for _, name, size in _LISTED.findall(output)]
            if not modules and wants_pi:
                wrong.append(
                    fault(
                        f"{lister} finds no camera module",
                        "power off, then seat the ribbon cable again (contacts towards the board's contacts, on both "
                        "ends); Pi 5 and Zero take the narrow cable; a module that is not Raspberry Pi's own needs "
                        "its dtoverlay in /boot/firmware/config.txt",
                    )
                )
    locked = [path for path, _ in devices if machine.root == _ROOT and not os.access(path, os.R_OK | os.W_OK)]
    if locked:
        wrong.append(
            warning(
                f"this user may not read {', '.join(locked)}",
                "sudo usermod -aG video $USER, then log in again (a service: SupplementaryGroups=video)",
            )
        )
    names = [f"{path} {name}".strip() for path, name in devices] + modules
    values: dict[str, Any] = {"devices": [path for path, _ in devices], "modules": modules}
    if names or wrong:
        return together(", ".join(names), *wrong, **values)
    return note("no camera is attached to this machine (network cameras and folders need none)", **values)


def _wants_pi(case: Case) -> bool:
    return (case.asked.camera or "").partition("?")[0].removesuffix("://") == _PI_CAMERA


def _list(machine: Machine) -> tuple[str, str | None]:
    """The camera modules, as libcamera's tool lists them; None where there is no such tool."""
    for name in _LISTERS:
        output = machine.run(name, "--list-cameras", limit_s=8.0)
        if output is not None:
            return name, output.out + output.err
    return "", None


def _driver(case: Case) -> Finding | None:
    if not (_wants_pi(case) or case.machine.is_raspberry_pi):
        return None
    told = case.machine.ask("edge_sdk.doctor.camera:import_driver", {}, limit_s=_DRIVER_LIMIT_S)
    if not told.error:
        return ok(f"picamera2 {told.values.get('version', '')}".strip(), version=told.values.get("version", ""))
    said, _, cure = told.error.partition(": run ")
    if told.crashed:
        said, cure = f"importing picamera2 kills the process ({told.kind})", ""
    elif told.kind == "timeout":
        said = f"importing picamera2: {told.error}"
    cure = f"run {cure}" if cure else "sudo apt install --reinstall python3-picamera2 python3-libcamera"
    return (fault if _wants_pi(case) else note)(said, cure)


def import_driver(given: dict[str, Any], tell: Tell) -> None:
    """Probe: picamera2, and with it libcamera, simplejpeg and numpy, which must be made for each other."""
    from importlib.metadata import PackageNotFoundError, version

    from edge_sdk.camera.picamera import load_driver

    load_driver()
    try:
        tell(version=version("picamera2"))
    except PackageNotFoundError:
        tell(version="")


def look_through(given: dict[str, Any], tell: Tell) -> None:
    """Probe: open a camera, take some frames, and encode one as it would travel."""
    from edge_sdk.camera import open_camera
    from edge_sdk.camera.live import LiveCamera
    from edge_sdk.images.encode import encode
    from edge_sdk.model.bundle import open_bundle

    begin_s = time.monotonic()
    with open_camera(given["camera"]) as camera:
        tell(live=isinstance(camera, LiveCamera))
        count, first_s, last = 0, 0.0, None
        for frame in islice(camera, _FRAMES):
            now_s = time.monotonic()
            count, last = count + 1, frame
            if count == 1:
                first_s = now_s
                height, width = frame.image.shape[:2]
                tell(
                    width=width,
                    height=height,
                    first_frame_s=round(now_s - begin_s, 3),
                    mean=float(frame.image.mean()),
                    spread=float(frame.image.std()),
                )
            tell(frames=count)
            if now_s - first_s > _LOOK_S:
                break
        if last is None:
            return
        if count > 1:
            tell(frames_per_s=round((count - 1) / max(1e-6, time.monotonic() - first_s), 2))
        upload = open_bundle(given["bundle"]).policy.upload
        tell(frame_bytes=len(encode(last.image, upload)), upload=upload.name)


def _camera(case: Case) -> Finding:
    if (address := case.asked.camera) is None:
        return note("no camera was named: none was opened", "edge-sdk doctor CAMERA, such as picamera2 or /dev/video0")
    name = without_secrets(address)
    if _wants_pi(case) and case.failed("picamera2"):
        return note(f"{name} was not opened: see the check `picamera2`")
    if (who := holder_of(case.machine, state_folder(case.asked))) and _OWN.match(address):
        return note(f"{name} was not opened: {who} works here, and has it", "stop the service to look through it")
    given = {"camera": address, "bundle": case.asked.little}
    watched = "watch=" in address.rpartition("?")[2]
    limit_s = _WATCH_LIMIT_S if watched else _OPEN_LIMIT_S - 5
    told = case.machine.ask("edge_sdk.doctor.camera:look_through", given, limit_s=limit_s)
    values = {key: value for key, value in told.values.items() if key not in ("mean", "spread")}
    if "width" not in values:
        if told.crashed:
            return fault(
                f"opening {name} kills the process ({told.kind})",
                "another address of the camera or another size may do; update its driver and OpenCV",
                **values,
            )
        if told.kind == "timeout" and watched:
            return note(f"{name} holds no picture now; it is watched for new ones", **values)
        if told.kind == "timeout":
            cure = "is it switched on? does another program hold it? is this machine very busy?"
            return fault(f"{name} gives no picture: {told.error}", cure)
        if told.error:
            said, _, cure = told.error.partition(": run ")
            return fault(said, f"run {cure}" if cure else "docs/guides/cameras.md has the addresses", **values)
        return fault(f"{name} opens and gives no picture", "is it empty, or all of it of other kinds?", **values)
    said = f"{name}: {values['width']}x{values['height']}, first frame after {values['first_frame_s']:.1f} s"
    if values.get("live") and "frames_per_s" in values:
        said += f", {values['frames_per_s']:.3g} frames/s"
    if "frame_bytes" in values:
        said += f", {values['frame_bytes'] / 1e3:.1f} kB as it travels ({values['upload']})"
    wrong = []
    if told.values["mean"] < _DARK:
        wrong.append(warning("the picture is black", "take the lens cap off, or look again by day"))
    elif told.values["spread"] < _FLAT:
        wrong.append(warning("the picture is one even colour", "is the lens covered? is the cable sound?"))
    if told.error and told.kind not in ("BundleError",):
        wrong.append(warning(f"then it failed: {told.error}", "look at its connection and supply"))
    return together(said, *wrong, **values)


_ROOT = Path("/")
CHECKS = (
    Check("cameras", _SUBJECT, _cameras, limit_s=20.0),
    Check("picamera2", _SUBJECT, _driver, limit_s=_DRIVER_LIMIT_S + 5),
    Check("camera", _SUBJECT, _camera, limit_s=_OPEN_LIMIT_S),
)
