"""How right were they? Accuracy of device alone, cascade and cloud alone, where the camera knows the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from edge_sdk.images.encode import encode
from edge_sdk.model.bundle import Bundle
from edge_sdk.model.nothing import says_nothing
from edge_sdk.security.credentials import local_channel
from edge_sdk.types import Answer, Event, Frame, Origin, new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc


@dataclass(frozen=True, slots=True)
class Score:
    """Shares of right answers, in [0, 1], over the same frames or events; a group is right where it holds the truth.

    Attributes:
        count: how many were judged.
        device: the little model alone.
        cascade: the final answers: the device's where it was sure or no cloud answer came, else the cloud's.
        cloud: the big model alone, on every frame, or on the best frame of every event; None where it was not asked.
        unit: what was judged: "frames" or "events".
    """

    count: int
    device: float
    cascade: float
    cloud: float | None
    unit: str = "frames"


@dataclass(slots=True)
class _Sample:
    truth: str
    device: str | None
    final: str | None
    cloud: str | None
    image: bytes


@dataclass(slots=True)
class _Visit:
    """An event whose frames are being counted."""

    truths: Counter[str] = field(default_factory=Counter)
    image: bytes = b""

    @property
    def truth(self) -> str:
        shown = [label for label, _ in self.truths.most_common() if not says_nothing(label)]
        return (shown or list(self.truths))[0]


class Scorecard:
    """Collects answers on frames whose truth is known; others are passed over.

    Where events are answered as a whole, they are judged in place of frames: an event shows what most of its frames
    show, of those that show something.

    At most `max_frames` of them are kept, each with its encoded picture: beyond that a uniform sample of all that were
    seen (reservoir sampling; Vitter, "Random Sampling with a Reservoir", 1985, algorithm R).

    Args:
        bundle: says how pictures travel.
        max_frames: how many frames or events are kept.
    """

    def __init__(self, bundle: Bundle, max_frames: int = 2_000) -> None:
        self._upload = bundle.policy.upload
        self._above = {} if bundle.taxonomy is None else bundle.taxonomy.classes
        self._max_frames = max_frames
        self._seen = 0
        self._samples: dict[str, _Sample] = {}
        self._visits: dict[str, _Visit] = {}
        self._per_event = False
        self._random = np.random.default_rng(0)

    def add(self, frame: Frame, answer: Answer) -> None:
        """The device's answer on a frame."""
        if answer.event is not None:
            self._see(frame, answer.event)
        elif frame.truth is not None and not self._per_event and self._has_place():
            image = encode(frame.image, self._upload)
            self._samples[frame.frame_id] = _Sample(frame.truth, answer.label, None, None, image)
            self.revise(answer)

    def _see(self, frame: Frame, event: Event) -> None:
        """A frame of an event that is answered as a whole."""
        if not self._per_event:  # what came before belongs to no event
            self._per_event, self._seen = True, 0
            self._samples.clear()
        if frame.truth is None:
            return
        visit = self._visits.setdefault(event.event_id, _Visit())
        visit.truths[frame.truth] += 1
        if event.best_frame_id == frame.frame_id:
            visit.image = encode(frame.image, self._upload)

    def _has_place(self) -> bool:
        """Whether the next one of all that are seen belongs to the sample, in which there is a place for it then."""
        self._seen += 1
        if len(self._samples) >= self._max_frames:
            place = int(self._random.integers(self._seen))
            if place >= self._max_frames:
                return False
            del self._samples[list(self._samples)[place]]
        return True

    def hear(self, event: Event) -> None:
        """A word on an event, the first or a later one."""
        visit = self._visits.pop(event.event_id, None)
        if visit is not None and visit.image and self._has_place():
            device = event.label if event.origin is Origin.DEVICE else None
            self._samples[event.event_id] = _Sample(visit.truth, device, None, None, visit.image)
        if sample := self._samples.get(event.event_id):
            sample.final = event.label

    def revise(self, answer: Answer) -> None:
        """The final or a late answer on a frame."""
        if sample := self._samples.get(answer.frame_id):
            sample.final = answer.label
            if answer.origin is Origin.CLOUD:
                sample.cloud = answer.label

    def ask_cloud(self, target: str, progress: Callable[[list[str]], Iterator[str]] = iter) -> None:
        """Ask the big model about every frame that it has not seen: a measurement, outside all budgets.

        Meant for a server on this machine.

        Args:
            target: the server, `host:port`.
            progress: wraps the list of ids, to show a progress bar.

        Raises:
            grpc.RpcError: the server does not answer.
        """
        missing = [key for key, sample in self._samples.items() if sample.cloud is None]
        if not missing:
            return
        with local_channel(target) as channel:
            stub = wire_grpc.OffloadStub(channel)
            for key in progress(missing):
                sample = self._samples[key]
                # The id of an event may be that of a frame which was sent as another picture.
                frame_id = new_frame_id() if self._per_event else key
                reply = stub.Classify(wire.ClassifyRequest(frame_id=frame_id, image=sample.image), timeout=60.0)
                if reply.WhichOneof("result") == "classification":
                    sample.cloud = reply.classification.label

    def score(self) -> Score | None:
        """The shares of right answers; None where no frame's truth was known."""
        samples = list(self._samples.values())
        if not samples:
            return None
        asked = all(sample.cloud is not None for sample in samples)
        return Score(
            count=len(samples),
            device=_share([self._right(sample.device, sample.truth) for sample in samples]),
            cascade=_share([self._right(sample.final, sample.truth) for sample in samples]),
            cloud=_share([self._right(sample.cloud, sample.truth) for sample in samples]) if asked else None,
            unit="events" if self._per_event else "frames",
        )

    def _right(self, label: str | None, truth: str) -> bool:
        return label == truth or label in self._above.get(truth, ())


def _share(right: list[bool]) -> float:
    return sum(right) / len(right)
