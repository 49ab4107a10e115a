"""Sources of frames: `open_camera(address)` opens any of them."""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path

from edge_sdk.camera.address import Address, parse_address
from edge_sdk.camera.base import Camera, Fault, OnFault, PacedCamera, check_fps
from edge_sdk.camera.plugins import open_plugin
from edge_sdk.camera.stream_address import STREAM_SCHEMES
from edge_sdk.errors import CameraError, ConfigError
from edge_sdk.redaction import without_secrets

__all__ = ["Camera", "Fault", "OnFault", "open_camera"]


_LIVE_SCHEMES = (*STREAM_SCHEMES, "device", "picamera2")


def open_camera(
    url: str | int | Path,
    *,
    fps: float | None = None,
    on_fault: OnFault | None = None,
    wait_for_camera: bool = False,
) -> Camera:
    """Open a source of frames.

    | address | what |
    |---|---|
    | `simulated://trailcam?seed=1` | the simulated camera |
    | `photos/`, `photos/?truth=folders` | all under a folder; with `truth`, its folders name the classes |
    | `photos/?watch=yes` | a folder that grows |
    | `photo.jpg?zone=Europe/Berlin&clock_offset=-1h` | one image; the zone and the error of the camera's clock |
    | `clip.mp4?realtime=yes&start=2026-05-01T12:00:00Z` | a video file |
    | `rtsp://...`, `http://...` | a network camera: video, MJPEG, or a snapshot address |
    | `0`, `/dev/video0?size=1280x720&encoding=MJPG` | a USB camera, by its number of today |
    | `/dev/v4l/by-id/...`, `/dev/v4l/by-path/...` | a USB camera by its name, or by its socket: these names last |
    | `picamera2`, `picamera2://?size=640x480&lores=320x240&number=0` | a Raspberry Pi camera module |
    | `other://...` | a camera of another package (`edge_sdk.camera.plugins`) |

    Network, USB and Raspberry Pi cameras hand out the newest frame and connect again by themselves; the others hand
    out every frame.

    Args:
        url: the address; a `Path` is a file or folder.
        fps: most frames per second. Live cameras leave out frames, video files are thinned to this rate in video time,
            folders and the simulated camera are slowed down. None: the camera's own pace.
        on_fault: called with each broken file and each lost connection; the camera goes on.
        wait_for_camera: a camera, file or folder that is not there yet is no error: each failed try is a fault, and
            the iteration begins when it comes.

    Raises:
        CameraError: there is nothing at the address, or it gives no pictures; with `wait_for_camera` only what time
            does not mend, such as a missing picamera2.
        ConfigError: the address, one of its options or `fps` cannot be understood.
    """
    if fps is not None:
        check_fps(fps)
    address = parse_address(url)
    if wait_for_camera and address.scheme not in _LIVE_SCHEMES:
        from edge_sdk.camera.waiting import WaitingCamera

        name = without_secrets(str(url))
        return WaitingCamera(name, lambda: open_camera(url, fps=fps, on_fault=on_fault), on_fault=on_fault)
    if address.scheme == "path":
        return _open_path(address, fps, on_fault)
    if address.scheme in STREAM_SCHEMES:
        from edge_sdk.camera.stream import open_stream

        return open_stream(address.target, fps=fps, on_fault=on_fault, wait_for_camera=wait_for_camera)
    if address.scheme == "device":
        from edge_sdk.camera.device import open_device

        address.check_options("size", "encoding")
        return open_device(
            address.target,
            size=address.size(),
            fps=fps,
            encoding=address.options.get("encoding"),
            on_fault=on_fault,
            wait_for_camera=wait_for_camera,
        )
    if address.scheme == "picamera2":
        from edge_sdk.camera.picamera import DEFAULT_BUFFERS, DEFAULT_SIZE, open_picamera, usual_lores

        address.check_options("size", "number", "lores", "buffers")
        size = address.size() or DEFAULT_SIZE
        no_lores = address.options.get("lores", "").lower() in ("no", "none")
        return open_picamera(
            address.number("number"),
            size=size,
            lores=None if no_lores else address.size("lores") or usual_lores(size),
            buffers=address.number("buffers", DEFAULT_BUFFERS),
            fps=fps,
            on_fault=on_fault,
            wait_for_camera=wait_for_camera,
        )
    if address.scheme != "simulated":
        return open_plugin(address.scheme, address.target, fps=fps, on_fault=on_fault)
    from edge_sdk.camera.simulated import from_url

    simulated = from_url(address.target)
    return simulated if fps is None else PacedCamera(simulated, fps)


def _open_path(address: Address, fps: float | None, on_fault: OnFault | None) -> Camera:
    from edge_sdk.camera.folder import FolderCamera
    from edge_sdk.images.read import IMAGE_SUFFIXES

    path = Path(os.path.expanduser(address.target))
    if not os.path.exists(path):
        raise CameraError(f"there is no file or folder {without_secrets(str(path))}")
    times = "zone", "clock_offset"
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
        address.check_options("truth", "again", *times, *(["watch"] if path.is_dir() else []))
        truth = address.options.get("truth")
        if truth not in (None, "folders"):
            raise ConfigError(f"expected truth=folders; got truth={truth}")
        folder = FolderCamera(
            path,
            truth_from_folders=truth is not None,
            zone=address.zone(),
            clock_offset=address.duration("clock_offset"),
            fps=fps,
            watch=address.flag("watch"),
            again=address.flag("again"),
            on_fault=on_fault,
        )
        return folder if fps is None else PacedCamera(folder, fps)
    from edge_sdk.camera.video import VideoFile

    address.check_options("realtime", "start", *times)
    return VideoFile(
        path,
        fps=fps,
        start=_start(address),
        zone=address.zone(),
        clock_offset=address.duration("clock_offset"),
        realtime=address.flag("realtime"),
        on_fault=on_fault,
    )


def _start(address: Address) -> datetime | None:
    text = address.options.get("start")
    if text is None:
        return None
    try:
        return datetime.fromisoformat(re.sub(r" (?=\d\d:\d\d$)", "+", text))  # a "+" in an address reads as a blank
    except ValueError:
        raise ConfigError(f"expected start as a date and time such as 2026-05-01T12:00:00Z; got {text!r}") from None
