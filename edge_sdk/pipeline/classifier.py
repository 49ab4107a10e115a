"""`EdgeClassifier`: the walk of one frame on the device, top to bottom."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from edge_sdk.archive_rule import ArchiveRule
from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.usage import Usage
from edge_sdk.camera.gate import MotionGate
from edge_sdk.config import PowerModel, RemoteSettings, ReportSettings, StorageSettings, UplinkSettings
from edge_sdk.durable.clock import Clock, SystemClock, unset_clock_note
from edge_sdk.durable.forks import Owner, OwnLock
from edge_sdk.errors import StorageError
from edge_sdk.fleet.health import Measure
from edge_sdk.images.frame import Picture, as_frame
from edge_sdk.link.transport import Transport
from edge_sdk.model.bundle import Bundle
from edge_sdk.model.drift import Drift, check_drift
from edge_sdk.model.evidence import Evidence, weigh
from edge_sdk.model.made_for import doubt, doubt_of_view
from edge_sdk.model.policy import Decision, Preferences
from edge_sdk.model.priors import Place
from edge_sdk.model.runtime import Runtime
from edge_sdk.pipeline.answers import top_k_of
from edge_sdk.pipeline.assembly import Parts, assemble, new_audits, new_exits
from edge_sdk.pipeline.audit import WORTH, Draw
from edge_sdk.pipeline.blur import Blur
from edge_sdk.pipeline.events import EventSettings
from edge_sdk.pipeline.late import Waiter
from edge_sdk.pipeline.remote import sentences
from edge_sdk.pipeline.settings import Budgets, Keep, Settings, check_wait
from edge_sdk.security.credentials import Security
from edge_sdk.store.done_files import DoneFiles
from edge_sdk.store.journal import Journal
from edge_sdk.store.schema import FrameRecord
from edge_sdk.types import Answer, Event, Frame, LinkState, Origin, Prediction, Reason, View

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_log = logging.getLogger(__name__)

_REPORTS = ReportSettings()
_HOPELESS = frozenset({LinkState.OFF, LinkState.MISMATCH, LinkState.DENIED, LinkState.BUDGET, LinkState.SAVING})


class EdgeClassifier:
    """A little model on the device and, for the frames it is unsure of, a big one in the cloud.

    Use it as a context manager: leaving the block closes the link and writes everything down. Threads and asyncio tasks
    may share it; frames are classified one at a time.

    Args:
        bundle: a bundle, its folder, or the name of one that ships ("trailcam").
        cloud: the server, `host:port`; None: unsure frames wait in the spool until a cloud is named.
        budget: hard caps on what is sent, such as "5MB/day" or "5MB/day, 100MB/month, 200 frames/day"; None: no cap.
        compute_budget: hard caps on the device's own work, such as "2GMAC/s" or "3kJ/h"; None: no cap.
        cloud_budget: hard cap on the big model's multiply-accumulates, such as "10TMAC/day"; None: no cap.
        state_dir: folder of what must survive a restart: frames that wait, answers, what was spent. It belongs to one
            process at a time. Default: a folder for this bundle in the user's state folder.
        gate: lets `watch` pass over frames in which nothing moves; None: every frame is looked at.
        view: what of a frame the little model looks at where the gate says where something moved: the frame, its
            region, or both; None: what the bundle's manifest says.
        send: what of an unsure frame goes to the cloud where the gate says where something moved: the frame, or the
            region's surroundings, which take fewer bytes.
        place: where the camera stands, or a region that the bundle's priors name: what is expected there in that month
            counts, for both models. None: nothing is expected.
        events: which frames make one event; None: ten seconds without a frame end one.
        on_answer: called with each late answer that no `classify(..., wait_s=...)` waits for, on the link's thread:
            return quickly.
        on_event: called with each event when it has ended, on the thread that classifies; None: `ended_events()` has
            them.
        threshold: confidence in [0, 1] at or above which a frame exits, or 1.01: none exits; None: the bundle's own
            rule (`policy.json`).
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
        cloud: str | None = None,
        budget: Budgets = None,
        compute_budget: Budgets = None,
        cloud_budget: Budgets = None,
        state_dir: str | Path | None = None,
        gate: MotionGate | None = None,
        view: View | str | None = None,
        send: View | str = View.FRAME,
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
        self._closed = self._clock_told = False
        self._compared = False  # the bundle with the frames that come
        self._owner = Owner("an EdgeClassifier")
        # One frame at a time, and not while settings change.
        self._turn = OwnLock(threading.Lock(), "an EdgeClassifier")
        self._worker: ThreadPoolExecutor | None = None
        self._open = parts = assemble(self._local)
        self._settings = parts.settings
        self._exits = parts.exits
        self._audits = new_audits(self._settings, parts.bundle, parts.state)
        self._start = parts.answers.account()
        self.bundle = parts.bundle
        parts.remote.store.on_change(self._follow)
        if threshold is None and (text := doubt_of_view(self.bundle.manifest, view)):
            _log.warning("%s", text)

    @property
    def _parts(self) -> Parts:
        """What is open; a forked child may not use it."""
        self._owner.check()
        return self._open

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

        Raises:
            ImageError: it is not a picture, or cannot be read.
            ConfigError: `wait_s` is negative or not a number.
        """
        frame = as_frame(picture, bgr=bgr)
        with self._waiter(frame, wait_s) as waiter:
            answer = self._answer_and_tell(frame)
            return answer if waiter is None or _stands(answer) else waiter.result(wait_s) or answer

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
            answer = await loop.run_in_executor(self._worker, self._answer_and_tell, frame)
            return answer if waiter is None or _stands(answer) else await waiter.result_async(wait_s) or answer

    def watch(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, Answer]]:
        """Classify each frame that the motion gate admits; ends with the camera.

        Where a compute or energy budget runs low, frames give way in a stated order (`edge_sdk.pipeline.throttle`).

        Of a folder, files that were done in an earlier run with this state folder and this version of the bundle are
        passed over, unless the camera is told to read them again (`?again=yes`).

        Args:
            frames: a camera, or any iterable of frames.
        """
        gate = self._settings.gate
        if (skip_done := getattr(frames, "skip_done", None)) is not None:
            skip_done(self.done_files)
        for frame in frames:
            if gate is not None and not gate.admits(frame):
                continue
            last = gate.last if gate else None
            if last is not None and last.regions:
                frame = replace(frame, regions=last.regions)
            if not self._parts.throttle.passes_over(last.reason if last else None):
                yield frame, self._answer_and_tell(frame, str(last.reason) if last else "")
        self._end_events()

    def _answer_and_tell(self, frame: Frame, trigger: str = "") -> Answer:
        answer = self._answer(frame, trigger)
        self._tell_events()
        return answer

    def _end_events(self) -> None:
        with self._turn:
            self._parts.events.end_all()
        self._tell_events()

    def _tell_events(self) -> None:
        """Call `on_event`. It may use this classifier, so no lock is held, and the frame is written down."""
        if (on_event := self._settings.on_event) is None:
            return
        for event in self.ended_events():
            try:
                on_event(event)
            except Exception:
                _log.exception("on_event failed on %s; its frames are in the journal", event.event_id)

    def _answer(self, frame: Frame, trigger: str = "") -> Answer:
        """The device's answer on a frame; an unsure frame is in the spool, on the disk, when this returns."""
        parts = self._parts
        with self._turn:
            if not self._compared:
                self._compare_with(frame.source)
            note = frame.note or self._clock_note(frame)
            run = parts.throttle.predict(frame.image, frame.region)
            if run is None:
                parts.ledger.count_skipped()
                said = _device_answer(frame, None, 0.0, True, Reason.COMPUTE_SPENT)
                return parts.answers.exits(
                    FrameRecord(said, model=parts.version, trigger=trigger, truth=frame.truth, note=note)
                )
            prediction = run.prediction
            if parts.prior is not None:  # a note says that the time is wrong
                prediction = parts.prior.applied(prediction, None if note else frame.captured_at.month)
            decision, named = self._exits.decide(prediction), parts.naming.of(prediction)
            audit = self._draw(frame.frame_id, prediction, decision)
            if audit is not None and audit.drawn:
                decision = Decision(False, Reason.AUDIT, decision.gain)
            item = None
            if not decision.exits:
                worth = WORTH if decision.reason is Reason.AUDIT else decision.gain
                item = parts.admission.offer(frame, prediction, worth)
                if item is None:
                    reason = Reason.NOT_WORTH if decision.reason is Reason.UNSURE else Reason.CONFIDENT
                    decision = Decision(True, reason, decision.gain)
            record = FrameRecord(
                _device_answer(frame, named.label, named.confidence, decision.exits, decision.reason, named.level),
                model=parts.version,
                top_k=top_k_of(prediction.labels, prediction.probabilities.tolist()),
                gain=decision.gain,
                trigger=trigger,
                event=parts.events.join(frame, prediction, trigger),
                truth=frame.truth,
                audit=audit is not None and audit.drawn,
                note=note,
                audit_chance=None if audit is None else audit.chance,
            )
            if item is None:
                picture = (
                    parts.admission.encode(frame, prediction) if parts.store.archive.wants(record, prediction) else None
                )
                answer = parts.answers.exits(record, picture)
            else:
                answer = parts.answers.offloads(record, item)
            exited = item is None or decision.reason is Reason.AUDIT
            parts.ledger.count_frame(exited=exited, offloaded=not answer.final, macs=run.macs)
            return answer

    def _draw(self, unit_id: str, prediction: Prediction, decision: Decision) -> Draw | None:
        """Whether a confident frame is sent all the same; None: it is not confident, or no audits were asked for."""
        if self._audits is None or decision.reason is not Reason.CONFIDENT:
            return None
        if self._exits.is_private(prediction):
            return Draw(0.0, False)
        return self._audits.draw(unit_id, prediction.confidence)

    def _clock_note(self, frame: Frame) -> str:
        """Of a frame whose time is wrong, since this machine's clock is not set; told once."""
        note = unset_clock_note(frame.captured_at.timestamp(), self._settings.clock.wall_s())
        if note and not self._clock_told:
            self._clock_told = True
            _log.warning("%s (said of the first such frame only)", note)
        return note

    def _compare_with(self, source: str) -> None:
        """Tell once where the bundle was not made for the camera that the frames come from."""
        self._compared = bool(source)
        if text := doubt(self.bundle.manifest, source):
            _log.warning("%s", text)

    def _waiter(self, frame: Frame, wait_s: float) -> Waiter | nullcontext[None]:
        if check_wait(wait_s) and self._parts.link is not None:
            return self._parts.late.wait_for(frame.frame_id)
        return nullcontext()

    def late_answers(self, wait_s: float = 0.0) -> Iterator[Answer]:
        """The late answers that have come, each once, in the order of their coming.

        Args:
            wait_s: go on waiting for more, this long in all, while frames wait for a cloud that may answer: not where
                none was named, its labels do not fit, or a budget is spent.
        """
        return self._parts.late.each(check_wait(wait_s), self._hopeful)

    def late_answers_async(self, wait_s: float = 0.0) -> AsyncIterator[Answer]:
        """As `late_answers`, for `async for`."""
        return self._parts.late.each_async(check_wait(wait_s), self._hopeful)

    def listen(self, listener: Callable[[Answer], None]) -> Callable[[], None]:
        """Call `listener` with every answer from now on: the device's, and each later last word on a frame.

        It is called on the thread that gives the answer, the loop's or the link's: return quickly.

        Returns:
            A function that ends the calls.
        """
        return self._parts.answers.listen(listener)

    def ended_events(self) -> Iterator[Event]:
        """The events that have ended, each once, where no `on_event` takes them.

        An event ends with the next one of its camera, with the camera that `watch` reads, and with `close`.
        """
        with self._turn:
            ended = list(self._parts.events.take())
        return iter(ended)

    def report(self) -> None:
        """Tell the server of this device now, as far as the budgets allow, and not only when a report is due.

        Returns at once; nothing happens where reports are off or no cloud is named.
        """
        if self._parts.reporter is not None:
            self._parts.reporter.ask()

    def _hopeful(self) -> bool:
        return (self.waiting > 0 and self.link not in _HOPELESS) or self._parts.answers.settling

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
        with self._turn:
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
        exits, rule = new_exits(settings, self.bundle), settings.storage.archive_rule
        if settings.budgets != before.budgets:
            parts.ledger.set_budgets(settings.budgets)
        parts.admission.renew(settings.preferences, crop=rule is not None and rule.crop)
        self._audits = new_audits(settings, self.bundle, parts.state)
        self._settings, self._exits = settings, exits
        return rule != before.storage.archive_rule

    def _follow(self) -> None:
        """The server's settings have changed."""
        renews = False
        with self._turn:
            try:
                renews = self._settle(self._local)
            except StorageError as error:  # they hold from the next start on
                _log.error("the server's settings wait: %s", error)
        if renews:
            self._parts.store.renew_archive(self._settings.storage.archive_rule)

    @property
    def settings_from(self) -> tuple[str, ...]:
        """What holds of the server's settings (`remote`), and what is not followed and why, in words."""
        return tuple(sentences(self._parts.remote.held))

    @property
    def threshold(self) -> float | None:
        """The confidence at or above which a frame exits; None where the bundle's learned gate decides."""
        return self._exits.threshold

    @property
    def usage(self) -> Usage:
        """What this run did and spent: exit ratio, bytes, multiply-accumulates; and the budgets, as they stand now."""
        return self.lifetime_usage.since(self._start)

    @property
    def lifetime_usage(self) -> Usage:
        """As `usage`, counted since the state folder's first day."""
        return self._parts.answers.account()

    @property
    def ledger(self) -> Ledger:
        """The account of the budgets: charge what your program sends beside the SDK over the same metered link."""
        return self._parts.ledger

    @property
    def state_dir(self) -> Path:
        """Folder of what survives a restart."""
        return self._parts.state

    @property
    def counts_interface(self) -> bool:
        """Whether all bytes of a network interface count against the upload budget (`UplinkSettings.interface`)."""
        return self._parts.link is not None and self._settings.uplink.interface is not None

    @property
    def journal(self) -> Journal:
        """Every answer so far."""
        return self._parts.store.journal

    def drift(self, frames: int = 1000) -> Drift | None:
        """Have the frames changed since the bundle was calibrated? None where its policy does not say what was usual.

        Args:
            frames: number of latest frames to compare.
        """
        usual = self.bundle.policy.confidences
        return None if usual is None else check_drift(usual, self.journal.device_confidences(frames))

    def evidence(self) -> Evidence:
        """What the audits say of the frames that exit, and whether calibration's promise still holds.

        Needs `Preferences.audit` above 0 and a cloud. It is of this version of the bundle alone. Reads the journal: a
        second for each million frames.

        Raises:
            StorageError: the journal cannot be read.
        """
        return weigh(self.journal.audits(self._parts.version), self.bundle.policy)

    @property
    def done_files(self) -> DoneFiles:
        """Which files of cards were done, for a camera's `skip_done`; `watch` hands it to a folder by itself."""
        return self._parts.store.done_files(self._parts.version)

    @property
    def waiting(self) -> int:
        """Number of frames that wait for the cloud."""
        return len(self._parts.store.spool)

    @property
    def link(self) -> LinkState:
        """State of the way to the cloud."""
        return self._parts.link.state if self._parts.link else LinkState.OFF

    @property
    def link_message(self) -> str:
        """Why the link is as it is; empty when all is well."""
        return self._parts.link.message if self._parts.link else ""

    def close(self, grace_s: float = 2.0) -> None:
        """End the link and write everything down; frames without an answer stay in the spool. Idempotent.

        In a forked child it does nothing: all that is open is the parent's.
        """
        if self._closed or not self._owner.is_here:
            return
        self._end_events()
        self._closed = True
        if self._worker is not None:
            self._worker.shutdown()
        self._parts.late.close()
        if self._parts.link:
            self._parts.link.close(grace_s)
        self._parts.opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _stands(answer: Answer) -> bool:
    """Whether nobody need wait for another word: it is the last one, or the little model is sure."""
    return answer.final or answer.reason is Reason.AUDIT


def _device_answer(
    frame: Frame, label: str | None, confidence: float, final: bool, reason: Reason, level: str = ""
) -> Answer:
    known = frame.frame_id, frame.captured_at, frame.source
    return Answer(*known, label, confidence, Origin.DEVICE, final, reason, level)
