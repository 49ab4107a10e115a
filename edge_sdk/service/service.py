"""The service: everything that a config file names, opened in order, and the camera loop until it is asked to end.

Nothing that time mends keeps it from starting: a camera that is away is waited for, a server that cannot be reached is
tried again, and a clock that is not set is said and waited out by what needs it (certificates, times of capture).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack

from edge_sdk.device_config.device import DeviceConfig, load_config
from edge_sdk.device_config.sections import ServiceSection
from edge_sdk.durable.clock import RELEASED_S, Clock, SystemClock
from edge_sdk.duty.camera import DutyCamera
from edge_sdk.duty.supply import KernelSupply, measures_of
from edge_sdk.errors import ConfigError
from edge_sdk.pipeline.classifier import EdgeClassifier
from edge_sdk.redaction import without_secrets
from edge_sdk.service.log import Repeats, set_level
from edge_sdk.service.pulse import Pulse
from edge_sdk.service.reload import apply, sentences
from edge_sdk.service.signals import Signals
from edge_sdk.service.tender import Tender, tell_event
from edge_sdk.systemd.supervisor import Supervisor

_log = logging.getLogger(__name__)

_HANGS_S = 300.0


def run_service(
    config: DeviceConfig,
    *,
    supervisor: Supervisor | None = None,
    repeats: Repeats | None = None,
    reread: Callable[[], DeviceConfig] | None = None,
    clock: Clock | None = None,
) -> None:
    """Run a device until SIGTERM or SIGINT, or until its camera ends. Called on the main thread.

    SIGHUP reads the config file again: what can change while the device runs does, the rest is named in the log.

    Args:
        config: what the device does.
        supervisor: whom to tell; None: the one of the environment.
        repeats: the log's filter, which a reload may change.
        reread: reads the config file again; None: `load_config` of the same file.
        clock: the machine's clocks; None: the real ones.

    Raises:
        BundleError, CameraError, ConfigError, RuntimeMissing, StorageError: something cannot be opened that time does
            not mend.
    """
    supervisor, clock = supervisor or Supervisor(), clock or SystemClock()
    if clock.wall_s() < RELEASED_S:
        _log.warning(
            "this machine's clock is not set (it says %s UTC): frames are noted so, and no certificate is accepted "
            "until it is",
            time.strftime("%Y-%m-%d %H:%M", time.gmtime(clock.wall_s())),
        )
    with ExitStack() as stack:
        supervisor.status("opening the bundle and the state folder")
        options = config.classifier_options() | {"health": measures_of(KernelSupply())}
        edge = stack.enter_context(EdgeClassifier(**options, on_event=tell_event, clock=clock))
        alerts = config.open_alerts(edge)
        if alerts is not None:
            stack.enter_context(alerts)
        most_s = _HANGS_S if supervisor.watchdog_s is None else supervisor.watchdog_s / 2
        pulse, signals = Pulse(most_s), stack.enter_context(Signals())
        current = _Current(config, edge, repeats, reread or (lambda: load_config(config.path)))
        camera = stack.enter_context(config.open_camera(on_fault=pulse.lost, wait_for_camera=True))
        if (skip_done := getattr(camera, "skip_done", None)) is not None:
            skip_done(edge.done_files)
        asleep = (lambda: camera.asleep) if isinstance(camera, DutyCamera) else str
        preview = config.open_preview(edge, away=lambda: pulse.away, asleep=asleep)
        frames = pulse.over(camera)
        if preview is not None:
            frames = stack.enter_context(preview).over(frames)
        tender = Tender(edge, camera, pulse, supervisor, signals, reload=current.reload, alerts=alerts)
        where = ", ".join(config.servers) or "no cloud"
        what = f"{without_secrets(config.camera_address)} -> {edge.bundle.manifest.name} -> {where}"
        _log.info("running: %s; state in %s, %d frames wait", what, edge.state_dir, edge.waiting)
        supervisor.ready(what)
        with tender:
            for frame, answer in edge.watch(frames):
                _log.debug("%s %s", frame, answer)
                if preview is not None:
                    preview.answered(frame, answer)
                _told(edge)
            if not tender.asked_to_end:
                _log.info("the camera has ended")
                _drain(edge, tender, config.part(ServiceSection).drain_s)
        usage, waiting = edge.usage, edge.waiting
        stack.close()
        _log.info("ended: %d frames, exit ratio %.2f, %d wait", usage.frames, usage.exit_ratio, waiting)


class _Current:
    """The config that holds, and what a reload makes of it.

    Args:
        config: that of the start.
        edge: goes by it.
        repeats: the log's filter.
        reread: reads the file again.
    """

    def __init__(
        self, config: DeviceConfig, edge: EdgeClassifier, repeats: Repeats | None, reread: Callable[[], DeviceConfig]
    ) -> None:
        self._config, self._edge, self._repeats, self._reread = config, edge, repeats, reread

    def reload(self) -> None:
        """Read the file again; one that cannot be used changes nothing."""
        try:
            new = self._reread()
            now, later = sentences(self._config, new)
            if now:
                apply(self._edge, new)
        except ConfigError as error:
            _log.error("the config file is not followed, and all stays as it was: %s", error)
            return
        wants = new.part(ServiceSection)
        set_level(wants.log)
        if self._repeats is not None:
            self._repeats.every_s = wants.repeat_after_s
        _log.info("the config file was read again: %s", now or "nothing has changed that holds at once")
        if later:
            _log.warning("%s", later)
        self._config = new


def _told(edge: EdgeClassifier) -> None:
    """Empty the queues of what `tell_event` and the journal have."""
    for answer in edge.late_answers():
        _log.debug("%s", answer)
    for _ in edge.events():
        pass


def _drain(edge: EdgeClassifier, tender: Tender, wait_s: float) -> None:
    """Wait for frames on their way, as long as nobody asks for the end."""
    end_s = time.monotonic() + wait_s
    while not tender.asked_to_end and (left_s := end_s - time.monotonic()) > 0:
        before_s = time.monotonic()
        for answer in edge.late_answers(wait_s=min(1.0, left_s)):
            _log.debug("%s", answer)
        if time.monotonic() - before_s < min(1.0, left_s) / 2:  # nothing is hoped for any more
            return
