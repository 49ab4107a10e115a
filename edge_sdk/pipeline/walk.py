"""The way of one frame, and of one event, over the device: top to bottom."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection
from dataclasses import replace

from edge_sdk.camera.files import camera_of
from edge_sdk.camera.gate import GateReason
from edge_sdk.durable.clock import unset_clock_note
from edge_sdk.durable.forks import OwnLock
from edge_sdk.model.made_for import doubt
from edge_sdk.model.policy import Decision
from edge_sdk.pipeline.assembly import Parts, Rules
from edge_sdk.pipeline.audit import WORTH, Stretches, drawn_of
from edge_sdk.pipeline.event_thread import EventThread
from edge_sdk.pipeline.events import Visit
from edge_sdk.pipeline.settings import Settings
from edge_sdk.pipeline.word import top_k_of
from edge_sdk.store.schema import FrameRecord
from edge_sdk.types import Answer, Frame, Origin, Prediction, Reason, Region

_log = logging.getLogger(__name__)


class Walk:
    """Takes frames over the device, one at a time. Threads may share it.

    Args:
        parts: what it works with.
        settings: of the classifier.
    """

    def __init__(self, parts: Parts, settings: Settings) -> None:
        self._parts = parts
        self._clock, self._gap_s = settings.clock, settings.events.gap_s
        self._detector = parts.detector
        self.rules, self._stretches = parts.rules, Stretches(settings.events.gap_s)
        self._clock_told = False
        self._compared = False  # the bundle with the frames that come
        self._blur = settings.blur
        self._private = _private_classes(settings)
        self._still: dict[str, str | None] = {}  # by camera, what the last look at a still scene said
        self._last: tuple[str, Prediction] | None = None  # what the last frame was taken for
        # One frame at a time, and not while settings change.
        self.turn = OwnLock(threading.Lock(), "an EdgeClassifier")
        self._thread = EventThread(lambda: parts.events.due_s - self._clock.steady_s(), self._work)
        parts.event_news.on_news = self._thread.wake

    def answer(self, frame: Frame, trigger: str = "") -> Answer:
        """The device's answer on a frame; what is to go to the cloud is on the disk when this returns.

        Args:
            frame: the frame.
            trigger: why it is looked at, such as the motion gate's reason.
        """
        parts = self._parts
        with self.turn:
            if not self._compared:
                self._compare_with(frame.source)
            note = frame.note or self._clock_note(frame)
            frame, searched_macs = self._search(frame)
            run = parts.throttle.predict(frame.image, frame.region)
            if run is None:
                parts.ledger.count_skipped()
                said = _device_answer(frame, None, 0.0, True, Reason.COMPUTE_SPENT)
                return parts.answers.exits(
                    FrameRecord(said, model=parts.version, trigger=trigger, truth=frame.truth, note=note)
                )
            prediction = run.prediction
            if parts.prior is not None:  # a note says that the time is wrong
                prediction = parts.prior.applied(prediction, None if note else frame.captured_at.month, self._private)
            self._last = frame.frame_id, prediction
            visit = self._join(frame, prediction, trigger)
            event_id = "" if visit is None else visit.event_id
            if visit is not None and visit.as_a_whole:
                record = self._record(
                    frame, run.region, prediction, Decision(True, Reason.EVENT, 0.0), trigger, event_id, note
                )
                parts.ledger.count_frame(
                    exited=False, macs=run.macs + searched_macs
                )  # as an exit once its event is decided
                return parts.desk.answer(visit, frame, prediction, record)
            near, rules, item = run.region is not None, self.rules, None
            still = None if near or parts.events.are_joined(trigger) else rules.still
            exits = still or rules.exits(near)
            decision = exits.decide(prediction)
            alike, audits = event_id or self._stretches.of(frame), rules.audits if still is None else None
            audit = drawn_of(audits, exits, decision, frame.frame_id, prediction, visit=alike, near=near)
            if audit is not None and audit.drawn:
                decision = Decision(False, Reason.AUDIT, decision.gain)
            if not decision.exits:
                worth = WORTH if decision.reason is Reason.AUDIT else decision.gain
                item = parts.admission.offer(frame, prediction, worth)
                if item is None:
                    reason = Reason.CONFIDENT if decision.reason is Reason.AUDIT else Reason.NOT_WORTH
                    decision = Decision(True, reason, decision.gain)
            record = self._record(frame, run.region, prediction, decision, trigger, event_id, note)
            if audit is not None:
                record = replace(record, audit=audit.drawn, audit_chance=audit.chance)
            if visit is not None:
                parts.desk.add(visit, frame, prediction, record)
            if item is None:
                is_wanted = parts.store.archive.wants(record, prediction)
                picture = parts.admission.encode(frame, prediction) if is_wanted else None
                repeats = trigger == GateReason.HEARTBEAT and self._repeats(record)
                answer = parts.answers.exits(record, picture, repeats=repeats)
            else:
                repeats, answer = False, parts.answers.offloads(record, item)
            exited = item is None or decision.reason is Reason.AUDIT
            macs, waits = run.macs + searched_macs, not answer.final
            parts.ledger.count_frame(exited=exited, offloaded=waits, macs=macs, repeats=repeats)
            return answer

    def _search(self, frame: Frame) -> tuple[Frame, int]:
        """The frame with what the detector finds, where nothing is known of regions, and what that took."""
        if self._detector is None or frame.regions:
            return frame, 0
        regions, macs = self._parts.throttle.detect(self._detector, frame.image)
        return (replace(frame, regions=regions) if regions else frame), macs

    def blurred(self, frame: Frame) -> Frame:
        """The frame as it may be stored; of any but the last that was answered, all of it is blurred."""
        if self._blur is None:
            return frame
        frame_id, prediction = self._last or ("", None)
        return self._blur.of(frame, prediction if frame_id == frame.frame_id else None)

    @property
    def hides(self) -> bool:
        """Whether some pictures are not to be recognised, or on no disk."""
        rule = self._parts.store.archive.rule
        return self._blur is not None or (rule is not None and bool(rule.never_store))

    def shown(self, frame: Frame) -> Frame | None:
        """The frame as people may see it; None where it may not be stored, or nothing is known of it."""
        if not self.hides:
            return frame
        frame_id, prediction = self._last or ("", None)
        if prediction is None or frame_id != frame.frame_id:
            return None
        if self._parts.store.archive.refuses(prediction.labels, prediction.probabilities.tolist()):
            return None
        return self.blurred(frame)

    def passed_over(self, frame: Frame) -> None:
        """A frame is not looked at; it shows that time has passed."""
        if len(self._parts.events):
            with self.turn:
                self._advance(frame)

    def advance(self) -> None:
        """Events that are over by the steady clock end, and those that must be decided are."""
        events, desk = self._parts.events, self._parts.desk
        if len(events):
            with self.turn:
                now_s = self._clock.steady_s()
                for visit in events.due(now_s):
                    desk.end(visit)
                for visit in events.late(now_s):
                    desk.decide(visit)

    def end_events(self, cameras: Collection[str] | None = None) -> None:
        """No more frames come of these cameras; None: of any."""
        with self.turn:
            for visit in self._parts.events.end(cameras):
                self._parts.desk.end(visit)

    def close(self) -> None:
        """End all events, and tell of them what is to be told."""
        self._thread.close()
        self._parts.event_news.tell()

    def renew(self, rules: Rules, settings: Settings) -> None:
        """Take over new rules, and the ledger's new budgets; the caller holds the turn."""
        self.rules, desk = rules, self._parts.desk
        desk.exits, desk.audits = rules.events, rules.event_audits
        self._private = _private_classes(settings)
        archive = settings.storage.archive_rule
        self._parts.admission.renew(settings.preferences, crop=archive is not None and archive.crop)
        desk.review()

    def _work(self) -> None:
        self.advance()
        self._parts.event_news.tell()

    def _join(self, frame: Frame, prediction: Prediction, trigger: str) -> Visit | None:
        """The event that a frame belongs to; None: no movement brought it."""
        self._advance(frame)
        if not self._parts.events.are_joined(trigger):
            return None
        live = abs(frame.captured_at.timestamp() - self._clock.wall_s()) <= self._gap_s
        visit = self._parts.events.join(frame, prediction, self._clock.steady_s(), live=live, trigger=trigger)
        if visit.frames == 1:
            self._thread.wake()
        return visit

    def _advance(self, frame: Frame) -> None:
        """What a frame's own time says of the event of its camera."""
        events, desk = self._parts.events, self._parts.desk
        for visit in events.over(frame):
            desk.end(visit)
        for visit in events.late(self._clock.steady_s(), frame):
            desk.decide(visit)

    def _repeats(self, record: FrameRecord) -> bool:
        """Whether a look at a still scene says what the last one of that camera said."""
        camera, label = camera_of(record.answer.source), record.answer.label
        before, self._still[camera] = self._still.get(camera), label
        return label == before

    def _record(
        self,
        frame: Frame,
        region: Region | None,
        prediction: Prediction,
        decision: Decision,
        trigger: str,
        event_id: str,
        note: str,
    ) -> FrameRecord:
        named = self._parts.naming.of(prediction)
        return FrameRecord(
            _device_answer(frame, named.label, named.confidence, decision.exits, decision.reason, named.level),
            model=self._parts.version,
            top_k=top_k_of(prediction.labels, prediction.probabilities.tolist()),
            gain=decision.gain,
            trigger=trigger,
            event=event_id,
            truth=frame.truth,
            note=note,
            region=region,
            frame_size=(frame.image.shape[1], frame.image.shape[0]),
        )

    def _clock_note(self, frame: Frame) -> str:
        """Of a frame whose time is wrong, since this machine's clock is not set; told once."""
        note = unset_clock_note(frame.captured_at.timestamp(), self._clock.wall_s())
        if note and not self._clock_told:
            self._clock_told = True
            _log.warning("%s (said of the first such frame only)", note)
        return note

    def _compare_with(self, source: str) -> None:
        """Tell once where the bundle was not made for the camera that the frames come from."""
        self._compared = bool(source)
        if text := doubt(self._parts.bundle.manifest, source):
            _log.warning("%s", text)


def _device_answer(
    frame: Frame, label: str | None, confidence: float, final: bool, reason: Reason, level: str = ""
) -> Answer:
    known = frame.frame_id, frame.captured_at, frame.source
    return Answer(*known, label, confidence, Origin.DEVICE, final, reason, level)


def _private_classes(settings: Settings) -> frozenset[str]:
    """Classes that are never uploaded, never stored, or blurred."""
    archive, blur = settings.storage.archive_rule, settings.blur
    stored = () if archive is None else archive.never_store
    return frozenset((*settings.preferences.never_upload, *stored, *(() if blur is None else blur.classes)))
