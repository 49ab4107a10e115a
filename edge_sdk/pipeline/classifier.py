"""`EdgeClassifier`: the story of one frame, and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Budget, Resource, parse_budgets
from edge_sdk.budget.usage import LedgerSnapshot
from edge_sdk.camera.gate import MotionGate
from edge_sdk.config import PowerModel, StorageSettings, UplinkSettings, check_address, default_state_dir
from edge_sdk.durable.ballast import Ballast
from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.model.bundle import Bundle, open_bundle
from edge_sdk.model.drift import Drift, check_drift
from edge_sdk.model.little import LittleModel
from edge_sdk.model.policy import Decision, ExitPolicy, Preferences
from edge_sdk.pipeline.admission import Admission
from edge_sdk.pipeline.answers import Answers, top_k_of
from edge_sdk.pipeline.throttle import Throttle
from edge_sdk.security.credentials import Security
from edge_sdk.store.journal import Journal
from edge_sdk.store.schema import FrameRecord
from edge_sdk.store.store import Store
from edge_sdk.types import Answer, Frame, Image, LinkState, Origin, Reason

if TYPE_CHECKING:
    from edge_sdk.link.uplink import Uplink

_log = logging.getLogger(__name__)

Budgets = Budget | str | Iterable[Budget | str] | None
"""One budget or several, as values or in words."""

_HOPELESS = frozenset({LinkState.OFF, LinkState.MISMATCH, LinkState.DENIED, LinkState.BUDGET, LinkState.SAVING})


class EdgeClassifier:
    """A little model on the device and, for the frames it is unsure of, a big one in the cloud.

    Use it as a context manager: leaving the block closes the link and writes everything down. One thread classifies;
    late answers come from another one.

    Args:
        bundle: a bundle, its folder, or the name of one that ships ("trailcam").
        cloud: the server, `host:port`; None: unsure frames wait in the spool until a cloud is named.
        budget: hard caps on what is sent, such as "5MB/day" or "5MB/day, 100MB/month, 200 frames/day"; None: no cap.
        compute_budget: hard caps on the device's own work, such as "2GMAC/s" or "3kJ/h"; None: no cap.
        cloud_budget: hard cap on the big model's multiply-accumulates, such as "10TMAC/day"; None: no cap.
        state_dir: folder of spool, journal and ledger; they survive restarts. Default: the user's state folder.
        gate: lets `watch` pass over frames in which nothing moves; None: every frame is looked at.
        on_answer: called with each late answer, on the uplink's thread: return quickly.
        threshold: confidence at or above which a frame exits; None: the bundle's own rule (`policy.json`).
        threads: processor threads for the little model.
        spool_bytes: room for frames that wait.
        preferences: classes worth more than others or never to be uploaded, bounds on the threshold.
        power: what the device's work costs in energy; needed for a budget in joules.
        storage: how long frames wait, and how much the journal keeps.
        uplink: time-outs and waits of the link.
        security: the server's authority, the device's certificate and token; None: a token from the environment alone,
            and no encryption, which only a server on this machine may have.

    Raises:
        ConfigError: a budget, address or threshold cannot be used, a file of `security` neither, or the link to another
            machine would not be encrypted.
        BundleError: the bundle is missing, damaged, or computes wrong results on this processor.
        RuntimeMissing: there is no ExecuTorch runtime on this machine.
        StorageError: `state_dir` cannot be written.
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
        on_answer: Callable[[Answer], None] | None = None,
        threshold: float | None = None,
        threads: int = 1,
        spool_bytes: int = 200_000_000,
        preferences: Preferences | None = None,
        power: PowerModel | None = None,
        storage: StorageSettings | None = None,
        uplink: UplinkSettings | None = None,
        security: Security | None = None,
    ) -> None:
        budgets = (
            *parse_budgets(budget, Resource.UPLOAD, Resource.FRAMES),
            *parse_budgets(compute_budget, Resource.COMPUTE, Resource.ENERGY),
            *parse_budgets(cloud_budget, Resource.CLOUD),
        )
        self.bundle = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
        wants = preferences or Preferences()
        self._policy = ExitPolicy(self.bundle.policy, threshold, wants, self.bundle.manifest.labels)
        if power is None and any(budget.resource is Resource.ENERGY for budget in budgets):
            raise ConfigError("expected a PowerModel (power=..., --watts) beside a budget in joules")
        power = power or PowerModel(0.0)
        self._version = f"{self.bundle.manifest.name} {self.bundle.manifest.version}"
        self._gate = gate
        self._link: Uplink | None = None
        self._closed = False
        if cloud is not None:
            (security or Security()).check(check_address(cloud))
        with ExitStack() as opened:
            self._model = opened.enter_context(LittleModel(self.bundle, threads=threads))
            state = default_state_dir() if state_dir is None else Path(state_dir)
            try:
                state.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StorageError(f"cannot make the state folder {state}: {error}") from error
            ballast = Ballast(state / "ballast")
            ballast.keep()
            self._store = opened.enter_context(
                Store(state, storage, spool_bytes=spool_bytes, labels=self._model.labels, ballast=ballast)
            )
            big_macs = self.bundle.policy.big_macs
            account = Ledger(state / "ledger.db", budgets=budgets, big_macs=big_macs, ballast=ballast)
            self._ledger = opened.enter_context(account)
            self._thrift = Throttle(self._model, account, power)
            self._admission = Admission(self.bundle.policy, account, wants, power)
            self._answers = Answers(self._store, account, self._model.labels, self.bundle.policy.ensemble, on_answer)
            if cloud is not None:
                from edge_sdk.link.uplink import Uplink

                self._link = Uplink(
                    cloud,
                    self._store.spool,
                    self._ledger,
                    self._model.labels,
                    self._answers,
                    uplink,
                    security,
                    worth=self._admission.may_leave,
                    joules_per_byte=power.joules_per_byte,
                )
                self._answers.server_labels = lambda: self._link.server_labels if self._link else ()
                self._link.start()
            self._opened = opened.pop_all()

    def classify(self, frame: Frame | Image, *, wait_s: float = 0.0) -> Answer:
        """Answer one frame.

        Args:
            frame: a frame, or just its picture, `uint8 (H, W, 3)` RGB.
            wait_s: how long to wait for the cloud's answer if the device is unsure; 0 returns the device's at once.

        Returns:
            The device's answer, or the cloud's where it came in time. `final` says whether it is the last word; a later
            one comes through `answers()`. Where the compute budget is spent, `label` is None.

        Raises:
            ImageError: the picture is not an image.
        """
        return self._answer(frame if isinstance(frame, Frame) else Frame(frame), wait_s)

    def watch(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, Answer]]:
        """Classify each frame that the motion gate admits; ends with the camera.

        Where a compute or energy budget runs low, frames give way in a stated order (`edge_sdk.pipeline.throttle`).

        Args:
            frames: a camera, or any iterable of frames.
        """
        for frame in frames:
            if self._gate is not None and not self._gate.admits(frame):
                continue
            last = self._gate.last if self._gate else None
            if not self._thrift.passes_over(last.reason if last else None):
                yield frame, self._answer(frame, trigger=str(last.reason) if last else "")

    def answers(self, wait_s: float = 0.0) -> Iterator[Answer]:
        """The late answers that have come, each once, in the order of their coming.

        Args:
            wait_s: go on waiting for more, this long in all, while frames wait for a cloud that may answer: not where
                none was named, its labels do not fit, or a budget is spent.
        """
        return self._answers.late(wait_s, lambda: self.waiting > 0 and self.link not in _HOPELESS)

    @property
    def threshold(self) -> float | None:
        """The confidence at or above which a frame exits; None where the bundle's learned gate decides."""
        return self._policy.threshold

    @property
    def ledger(self) -> LedgerSnapshot:
        """The running account: exit ratio, bytes, multiply-accumulates, budgets."""
        return self._answers.account()

    @property
    def journal(self) -> Journal:
        """Every answer so far."""
        return self._store.journal

    def drift(self, frames: int = 1000) -> Drift | None:
        """Have the frames changed since the bundle was calibrated? None where its policy does not say what was usual.

        Args:
            frames: look at so many of the latest.
        """
        usual = self.bundle.policy.confidences
        return None if usual is None else check_drift(usual, self._store.journal.device_confidences(frames))

    @property
    def waiting(self) -> int:
        """Frames that wait for the cloud."""
        return len(self._store.spool)

    @property
    def link(self) -> LinkState:
        """State of the way to the cloud."""
        return self._link.state if self._link else LinkState.OFF

    @property
    def link_message(self) -> str:
        """Why the link is as it is; empty when all is well."""
        return self._link.message if self._link else ""

    def close(self, grace_s: float = 2.0) -> None:
        """End the link and write everything down; frames without an answer stay in the spool. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._answers.close()
        if self._link:
            self._link.close(grace_s)
        self._store.flush()  # the ledger counts what is on the disk
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, frame: Frame, wait_s: float = 0.0, trigger: str = "") -> Answer:
        prediction = self._thrift.predict(frame.image)
        if prediction is None:
            self._ledger.count_skipped()
            said = _device_answer(frame, None, 0.0, True, Reason.COMPUTE_SPENT)
            return self._answers.exits(FrameRecord(said, trigger=trigger, truth=frame.truth))
        decision = self._policy.decide(prediction)
        item = None
        if not decision.exits:
            item = self._admission.offer(frame, prediction, decision.gain)
            if item is None:
                decision = Decision(True, Reason.NOT_WORTH, decision.gain)
        record = FrameRecord(
            _device_answer(frame, prediction.label, prediction.confidence, decision.exits, decision.reason),
            model=self._version,
            top_k=top_k_of(dict(zip(prediction.labels, prediction.probabilities.tolist(), strict=True))),
            gain=decision.gain,
            trigger=trigger,
            truth=frame.truth,
        )
        if item is None:
            picture = self._admission.encode(frame, prediction) if self._store.archive.wants_exits else None
            answer = self._answers.exits(record, picture)
        else:
            answer = self._answers.offloads(record, item)
        self._ledger.count_frame(exited=item is None, offloaded=not answer.final, macs=self._model.macs)
        return answer if answer.final else self._answers.wait_for(answer, wait_s if self._link else 0.0)


def _device_answer(frame: Frame, label: str | None, confidence: float, final: bool, reason: Reason) -> Answer:
    return Answer(frame.frame_id, frame.captured_at, frame.source, label, confidence, Origin.DEVICE, final, reason)
