"""A real device offloads, a real server keeps what its big model answered, and the workbench reads it."""

from __future__ import annotations

import json
import time
from collections import Counter
from itertools import islice
from pathlib import Path

import grpc
import pytest

from cloud_server.local import start_local_server
from edge_sdk import EdgeClassifier
from edge_sdk.camera.simulated import SimulatedCamera
from edge_sdk.images.read import read_image
from edge_sdk.store.journal import Journal
from edge_sdk.types import Origin
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc
from edge_sdk.workbench.pseudo_labels import PseudoLabel, choose, read_pseudo_labels

FRAMES = 12


def test_offloaded_frames_become_samples(tmp_path: Path) -> None:
    kept, state = tmp_path / "kept", tmp_path / "state"
    options = ["--device", "cpu", "--threads", "1", "--keep", str(kept)]
    with start_local_server("trailcam", *options) as address:
        with (
            EdgeClassifier("trailcam", cloud=address, state_dir=state, threshold=1.0) as edge,
            SimulatedCamera(seed=3) as camera,
        ):
            for frame in islice(camera, FRAMES):
                edge.classify(frame)
            late = {answer.frame_id: answer for answer in edge.late_answers(wait_s=60)}
        frames = read_when_written(kept, len(late))
        with grpc.insecure_channel(address) as channel:
            stub = wire_grpc.OffloadStub(channel)
            model = stub.Describe(wire.DescribeRequest()).model
            for one in frames:  # the server refuses a known id with other bytes than came first
                again = wire.ClassifyRequest(frame_id=one.path.stem, image=one.path.read_bytes())
                said = stub.Classify(again).classification
                assert one.label == said.label
                assert one.confidence == pytest.approx(said.confidence, abs=1e-6)

    assert late
    with Journal(state) as journal:
        answers = [entry.answer for entry in journal.query()]
    from_cloud = {answer.frame_id for answer in answers if answer.origin is Origin.CLOUD}
    assert {frame.path.stem for frame in frames} == from_cloud
    assert len(frames) == len(from_cloud) == len(late)
    assert all(read_image(frame.path).image.ndim == 3 for frame in frames)
    lines = [json.loads(line) for line in (kept / "answers.jsonl").read_text().splitlines()]
    assert {line["model"] for line in lines} == {model}
    assert len(read_pseudo_labels(kept)) == sum(line["confidence"] >= 0.8 for line in lines)

    counts = Counter(frame.label for frame in frames)
    chosen = choose(frames, 2, None, 0)
    assert {label: len(paths) for label, paths in chosen.items()} == {label: min(2, n) for label, n in counts.items()}


def read_when_written(folder: Path, count: int) -> list[PseudoLabel]:
    """The kept frames once there are `count`: they are written after their answers have left."""
    while True:
        if (folder / "answers.jsonl").exists() and len(
            frames := read_pseudo_labels(folder, min_confidence=0.0)
        ) == count:
            return frames
        time.sleep(0.02)
