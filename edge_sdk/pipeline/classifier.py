"""`EdgeClassifier`: the loop of a device; `walk` has the way of one frame."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from edge_sdk.archive_rule import ArchiveRule
from edge_sdk.camera.detector import Detector
from edge_sdk.camera.files import camera_of
from edge_sdk.camera.gate import GateReason, MotionGate
from edge_sdk.config import PowerModel, RemoteSettings, ReportSettings, StorageSettings, UplinkSettings
from edge_sdk.durable.clock import Clock, SystemClock
from edge_sdk.durable.forks import Owner
from edge_sdk.errors import StorageError
from edge_sdk.fleet.health import Measure
from edge_sdk.images.frame import Picture, as_frame
from edge_sdk.link.transport import Transport
from edge_sdk.model.bundle import Bundle
from edge_sdk.model.made_for import doubt_of_view
from edge_sdk.model.policy import Preferences
from edge_sdk.model.priors import Place
from edge_sdk.model.runtime import Runtime
from edge_sdk.pipeline.assembly import assemble, new_exits, new_rules
from edge_sdk.pipeline.blur import Blur
from edge_sdk.pipeline.events import EventSettings
from edge_sdk.pipeline.late import Waiter
from edge_sdk.pipeline.settings import Budgets, Keep, Settings, check_wait
from edge_sdk.pipeline.status import Status
from edge_sdk.pipeline.walk import Walk
from edge_sdk.security.credentials import Security
from edge_sdk.types import Answer, Event, Frame, View

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_log = logging.getLogger(__name__)

_REPORTS = ReportSettings()


class EdgeClassifier(Status):
    """A little model on the device and, for the frames it is unsure of, a big one in the cloud.

    Use it as a context manager: leaving the block closes the link and writes everything down. Threads and asyncio tasks
    may share it; frames are classified one at a time.

    Args:
        bundle: a bundle, its folder, or the name of one that ships ("trailcam").
        cloud: the server, `host:port`; several, as a list or with commas between: the first that works is used, and
            `security` is the same for all. None: unsure frames wait in the spool until a cloud is named.
        budget: hard caps on what is sent, such as "5MB/day" or "5MB/day, 100MB/month, 200 frames/day"; None: no cap.
        compute_budget: hard caps on the device's own work, such as "2GMAC/s" or "3kJ/h"; None: no cap.
        cloud_budget: hard cap on the big model's multiply-accumulates, such as "10TMAC/day"; None: no cap.
        state_dir: folder of what must survive a restart: frames that wait, answers, what was spent. It belongs to one
            process at a time. Default: a folder for this bundle in the user's state folder.
        gate: lets `watch` pass over frames in which nothing moves; None: every frame is looked at.
        detector: finds regions in frames of which the gate gives none, such as single photos; it is charged to the
            compute budget. The folder of a detector's bundle, or a detector. None: they have none.
        view: what of a frame the little model looks at where the gate says where something moved: the frame, its
            region, or both; None: what the bundle's manifest says.
        send: what of an unsure frame goes to the cloud where the gate says where something moved: the frame, or the
            region's surroundings, which take fewer bytes; None: what the bundle's policy says.
        place: where the camera stands, or a region that the bundle's priors name: what is expected there in that month
            counts, for both models. None: nothing is expected.
        events: which frames make one event, and whether it is answered as a whole; None: ten seconds without a frame
            end one, and it is where the bundle was calibrated for it and the frames come through the gate.
        on_answer: called with each late answer that no `classify(..., wait_s=...)` waits for, on the link's thread:
            return quickly.
        on_event: called with each event that `events` gives, on a thread of its own, holding no lock.
        threshold: confidence in [0, 1] at or above which a frame or an event exits, or 1.01: none exits; None: the
            bundle's own rule (`policy.json`).
        threads: processor threads for the little model.
        spool_bytes: room for the pictures of frames that wait, bytes.
        preferences: classes worth more than others or never to be uploaded, bounds on the threshold.
        power: what the device's work costs in energy; needed for a budget in joules.
        storage: how long frames wait, how much the journal keeps, and which pictures the archive does.
        blur: what is blurred on every picture that is stored or sent; None: nothing.
        uplink: time-outs and waits of the link, seconds.
        security: the server's authority, the device's certificate and token; None: a token from the environment alone,
            and no encryption, which only a server on this machine may have.
        reports: how often the server is told of answers, usage and health, and how many bytes that may cost; None: it
            is told nothing. Without a `cloud` there is nobody to tell.
        health: what your program measures of the device, such as `lambda: {"battery": 0.81}`, at most 8 numbers by
            name: reports carry them. Called on the link's thread: return quickly.
        remote: which settings of the server, signed by your key, are followed; None: none are.
        runtime: what runs the little model; None: ExecuTorch.
        transport: what carries frames to `cloud` and back; None: gRPC.
        clock: the machine's clocks; None: the real ones.

    Raises:
        ConfigError: a value cannot be used: a budget, an address, a threshold, a file of `security`; or the link to
            another machine would not be encrypted.
        BundleError: the bundle is missing, damaged, for another runtime, or computes wrong results on this processor.
        RuntimeMissing: there is no ExecuTorch runtime on this machine.
        StorageError: `state_dir` cannot be written, or another process holds it.
    """

    def __init__(
        self,
        bundle: Bundle | str | Path = "trailcam",
        *,
        cloud: str | Sequence[str] | None = None,
        budget: Budgets = None,
        compute_budget: Budgets = None,
        cloud_budget: Budgets = None,
        state_dir: str | Path | None = None,
        gate: MotionGate | None = None,
        detector: Detector | str | Path | None = None,
        view: View | str | None = None,
        send: View | str | None = None,
        place: Place | str | None = None,
        events: EventSettings | None = None,
        on_answer: Callable[[Answer], None] | None = None,
        on_event: Callable[[Event], None] | None = None,
        threshold: float | None = None,
        threads: int = 1,
        spool_bytes: int = 200_000_000,
        preferences: Preferences | None = None,
        power: PowerModel | None = None,
        storage: StorageSettings | None = None,
        blur: Blur | None = None,
        uplink: UplinkSettings | None = None,
        security: Security | None = None,
        reports: ReportSettings | None = _REPORTS,
        health: Measure | None = None,
        remote: RemoteSettings | None = None,
        runtime: Runtime | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._local = Settings(
            bundle=bundle,
            cloud=cloud,
            budget=budget,
            compute_budget=compute_budget,
            cloud_budget=cloud_budget,
            state_dir=state_dir,
            gate=gate,
            detector=detector,
            view=view,
            send=send,
            place=place,
            events=events or EventSettings(),
            on_answer=on_answer,
            on_event=on_event,
            threshold=threshold,
            threads=threads,
            spool_bytes=spool_bytes,
            preferences=preferences or Preferences(),
            power=power,
            storage=storage or StorageSettings(),
            blur=blur,
            uplink=uplink or UplinkSettings(),
            security=security or Security(),
            reports=reports,
            health=health,
            remote=remote,
            runtime=runtime,
            transport=transport,
            clock=clock or SystemClock(),
        )
        self._closed = False
        self._owner = Owner("an EdgeClassifier")
        self._worker: ThreadPoolExecutor | None = None
        self._open = parts = assemble(self._local)
        self._settings = parts.settings
        self._walk = Walk(parts, self._settings)
        self._start = parts.answers.account()
        self.bundle = parts.bundle
        parts.remote.store.on_change(self._follow)
        if threshold is None and (text := doubt_of_view(self.bundle.manifest, self.bundle.policy, view)):
            _log.warning("%s", text)

    def classify(self, picture: Picture, *, wait_s: float = 0.0, bgr: bool = False) -> Answer:
        """Answer one frame.

        Args:
            picture: a `Frame`; or an array, `uint8 (H, W, 3)` RGB; or the path or the bytes of an image file, whose
                EXIF capture time is kept.
            wait_s: how long to wait for the cloud's answer if the device is unsure; 0 returns the device's at once.
            bgr: the array is in OpenCV's BGR order, as `cv2.imread` gives it.

        Returns:
            The device's answer, or the cloud's where it came in time. `final` says whether it is the last word; a later
            one comes through `on_answer` and `late_answers()`. Where the compute budget is spent, `label` is None.

            With `EventSettings(answer_per="event")` it is the word on the frame, and `Answer.event` the event as it
            stands: `wait_s` waits for the last word on that.

        Raises:
            ImageError: it is not a picture, or cannot be read.
            ConfigError: `wait_s` is negative or not a number.
        """
        frame = as_frame(picture, bgr=bgr)
        with self._waiter(frame, wait_s) as waiter:
            answer = self._walk.answer(frame)
            if waiter is None or answer.stands:
                return answer
            if answer.event is None:
                return waiter.result(wait_s) or answer
            event = self._parts.event_news.wait(answer.event.event_id, wait_s)
            return waiter.result(0) or _settled(answer, event)

    async def classify_async(self, picture: Picture, *, wait_s: float = 0.0, bgr: bool = False) -> Answer:
        """As `classify`, for asyncio: the device's part runs on a thread of its own, and waiting blocks no thread."""
        import asyncio
        from concurrent.futures import ThreadPoolExecutor

        self._owner.check()
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, "classify")
        loop = asyncio.get_running_loop()
        frame = await loop.run_in_executor(self._worker, lambda: as_frame(picture, bgr=bgr))
        with self._waiter(frame, wait_s) as waiter:
            answer = await loop.run_in_executor(self._worker, self._walk.answer, frame)
            if waiter is None or answer.stands:
                return answer
            if answer.event is None:
                return await waiter.result_async(wait_s) or answer
            event = await self._parts.event_news.wait_async(answer.event.event_id, wait_s)
            return waiter.result(0) or _settled(answer, event)

    def watch(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, Answer]]:
        """Classify each frame that the motion gate admits; ends with the camera.

        Where the bundle was calibrated for it, frames that the gate admits are answered as events, as a whole
        (`EventSettings.answer_per`): `Answer.event` is the event as it stands, and `events` gives each when it is
        decided. Without a gate, and where nothing moves, each frame is answered by itself.

        Where a compute or energy budget runs low, frames give way in a stated order (`edge_sdk.pipeline.throttle`).

        Of a folder, files that were done in an earlier run with this state folder and this version of the bundle are
        passed over, unless the camera is told to read them again (`?again=yes`).

        Args:
            frames: a camera, or any iterable of frames.
        """
        gate = self._settings.gate
        if (skip_done := getattr(frames, "skip_done", None)) is not None:
            skip_done(self.done_files)
        cameras = set[str]()
        for frame in frames:
            cameras.add(camera_of(frame.source))
            if gate is not None and not gate.admits(frame):
                self._walk.passed_over(frame)
                continue
            last = gate.last if gate else None
            if self._parts.throttle.passes_over(last.reason if last else None):
                self._walk.passed_over(frame)
                continue
            for earlier in gate.take_before(frame) if gate is not None else ():
                if not self._parts.throttle.passes_over(GateReason.BEFORE):
                    yield earlier, self._walk.answer(earlier, str(GateReason.BEFORE))
            if last is not None and last.regions:
                frame = replace(frame, regions=last.regions)
            yield frame, self._walk.answer(frame, str(last.reason) if last else "")
        self._walk.end_events(cameras)

    def _waiter(self, frame: Frame, wait_s: float) -> Waiter | nullcontext[None]:
        if check_wait(wait_s) and self._parts.link is not None:
            return self._parts.late.wait_for(frame.frame_id)
        return nullcontext()

    def blurred(self, frame: Frame) -> Frame:
        """The frame as `blur` lets it be stored and sent, for programs that write or show pictures themselves.

        Args:
            frame: the last that was answered (that `watch` gave); of any other nothing is known any more, and all of it
                is blurred.
        """
        return self._walk.blurred(frame)

    def shown(self, frame: Frame) -> Frame | None:
        """The frame as people may see it, by the rules that hold for pictures on the disk; without any, as it is.

        Args:
            frame: as for `blurred`.

        Returns:
            The frame, blurred as `blur` says. None where it may show a class that is never stored (`ArchiveRule`), and
            where there is such a rule or `blur` and it is not the last that was answered.
        """
        return self._walk.shown(frame)

    def reconfigure(
        self,
        *,
        threshold: float | Keep | None = Keep.KEEP,
        budget: Budgets | Keep = Keep.KEEP,
        compute_budget: Budgets | Keep = Keep.KEEP,
        cloud_budget: Budgets | Keep = Keep.KEEP,
        preferences: Preferences | Keep | None = Keep.KEEP,
        archive: ArchiveRule | str | Keep | None = Keep.KEEP,
    ) -> None:
        """Change settings while running; what is not given stays. Budgets keep what was spent against them.

        The arguments are those of `EdgeClassifier`; `archive` is that of `StorageSettings`. A stricter rule for the
        archive holds for what is there.

        Raises:
            ConfigError: a value cannot be used; nothing is changed.
            StorageError: what was spent so far cannot be written; nothing is changed.
        """
        given: dict[str, Any] = {
            "threshold": threshold,
            "budget": budget,
            "compute_budget": compute_budget,
            "cloud_budget": cloud_budget,
            "preferences": Preferences() if preferences is None else preferences,
        }
        with self._walk.turn:
            if archive is not Keep.KEEP:
                given["storage"] = replace(self._local.storage, archive=archive)
            local = replace(self._local, **{name: value for name, value in given.items() if value is not Keep.KEEP})
            new_exits(local, self.bundle)
            renews = self._settle(local)
            self._local = local
        if renews:
            self._parts.store.renew_archive(self._settings.storage.archive_rule)

    def _settle(self, local: Settings) -> bool:
        """Go by these settings, and over them by the server's; the turn is the caller's.

        Returns:
            Whether the archive has another rule, which is to be told to the store without the turn.
        """
        before, parts = self._settings, self._parts
        settings = parts.remote.over(local)
        rules = new_rules(settings, self.bundle, parts.state)
        if settings.budgets != before.budgets:
            parts.ledger.set_budgets(settings.budgets)
        self._walk.renew(rules, settings)
        self._settings = settings
        return settings.storage.archive_rule != before.storage.archive_rule

    def _follow(self) -> None:
        """The server's settings have changed."""
        renews = False
        with self._walk.turn:
            try:
                renews = self._settle(self._local)
            except StorageError as error:  # they hold from the next start on
                _log.error("the server's settings wait: %s", error)
        if renews:
            self._parts.store.renew_archive(self._settings.storage.archive_rule)

    def close(self, grace_s: float = 2.0) -> None:
        """End the link and write everything down; frames without an answer stay in the spool. Idempotent.

        In a forked child it does nothing: all that is open is the parent's.
        """
        if self._closed or not self._owner.is_here:
            return
        self._closed = True
        if self._worker is not None:
            self._worker.shutdown()
        self._walk.end_events()
        self._parts.late.close()
        if self._parts.link:
            self._parts.link.close(grace_s)
        self._walk.close()
        self._parts.event_news.close()
        self._parts.opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _settled(answer: Answer, event: Event | None) -> Answer:
    """The answer on a frame whose event has a word that stands; None: it has not."""
    return answer if event is None else replace(answer, final=event.final, event=event)
