"""How right were they? Accuracy of device alone, cascade and cloud alone, where the camera knows the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from edge_sdk.images.encode import encode
from edge_sdk.model.bundle import Bundle
from edge_sdk.security.credentials import local_channel
from edge_sdk.types import Answer, Frame, Origin
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc


@dataclass(frozen=True, slots=True)
class Score:
    """Shares of right answers, in [0, 1], over the same frames.

    Attributes:
        frames: how many frames were judged.
        device: the little model alone.
        cascade: the final answers: the device's where it was sure or no cloud answer came, else the cloud's.
        cloud: the big model alone on every frame; None where it was not asked.
    """

    frames: int
    device: float
    cascade: float
    cloud: float | None


@dataclass(slots=True)
class _Sample:
    truth: str
    device: str | None
    final: str | None
    cloud: str | None
    image: bytes


class Scorecard:
    """Collects answers on frames whose truth is known; others are passed over.

    At most `max_frames` frames are kept, each with its encoded picture: beyond that a uniform sample of all that were
    seen (reservoir sampling; Vitter, "Random Sampling with a Reservoir", 1985, algorithm R).

    Args:
        bundle: says how pictures travel.
        max_frames: how many frames are kept.
    """

    def __init__(self, bundle: Bundle, max_frames: int = 2_000) -> None:
        self._upload = bundle.policy.upload
        self._max_frames = max_frames
        self._seen = 0
        self._samples: dict[str, _Sample] = {}
        self._random = np.random.default_rng(0)

    def add(self, frame: Frame, answer: Answer) -> None:
        """The device's answer on a frame."""
        if frame.truth is None:
            return
        self._seen += 1
        if len(self._samples) >= self._max_frames:
            place = int(self._random.integers(self._seen))
            if place >= self._max_frames:
                return
            del self._samples[list(self._samples)[place]]
        image = encode(frame.image, self._upload)
        self._samples[frame.frame_id] = _Sample(frame.truth, answer.label, None, None, image)
        self.revise(answer)

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
            progress: wraps the list of frame ids, to show a progress bar.

        Raises:
            grpc.RpcError: the server does not answer.
        """
        missing = [frame_id for frame_id, sample in self._samples.items() if sample.cloud is None]
        if not missing:
            return
        with local_channel(target) as channel:
            stub = wire_grpc.OffloadStub(channel)
            for frame_id in progress(missing):
                sample = self._samples[frame_id]
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
            frames=len(samples),
            device=_share([sample.device == sample.truth for sample in samples]),
            cascade=_share([sample.final == sample.truth for sample in samples]),
            cloud=_share([sample.cloud == sample.truth for sample in samples]) if asked else None,
        )


def _share(right: list[bool]) -> float:
    return sum(right) / len(right)
