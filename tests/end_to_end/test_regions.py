"""A region from the gate to the answer: device, wire and a real server process."""

from __future__ import annotations

from pathlib import Path

import cv2
import grpc
import numpy as np
import pytest

from cloud_server.local import start_local_server
from cloud_server.model.big import BigModel, load_model
from edge_sdk import EdgeClassifier, EventSettings, MotionGate
from edge_sdk.camera.simulated.camera import SimulatedCamera
from edge_sdk.errors import ConfigError
from edge_sdk.images.close_up import close_up
from edge_sdk.types import Image, Origin, Region, new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

REGION = Region(180, 90, 70, 50, 1.0)
NONE_EXITS = 1.01


@pytest.fixture(scope="module")
def model() -> BigModel:
    return load_model("trailcam", "cpu", threads=1)


def request(image: Image, region: Region | None) -> wire.ClassifyRequest:
    png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
    asked = wire.ClassifyRequest(frame_id=new_frame_id(), image=png)
    if region is not None:
        asked.region.CopyFrom(wire.Region(x=region.x, y=region.y, width=region.width, height=region.height))
    return asked


@pytest.mark.parametrize("look", [None, "frame", "region", "both"])
def test_the_answer_is_the_mean_of_the_looks(look: str | None, model: BigModel) -> None:
    with SimulatedCamera(seed=5, frames=30) as camera:
        image = list(camera)[-1].image
    height, width = image.shape[:2]
    near = close_up(REGION, width, height, model.input_width, model.input_height).of(image)
    whole, close = model.run([model.prepare(image), model.prepare(near)], [None, None])[0]
    assert np.abs(whole - close).max() > 0.01
    twice = look in (None, "both")
    expected = {"frame": whole, "region": close}.get(look or "both", (whole + close) / 2)
    options = () if look is None else ("--look", look)
    with (
        start_local_server("trailcam", "--threads", "1", "--device", "cpu", *options) as address,
        grpc.insecure_channel(address) as channel,
    ):
        stub = wire_grpc.OffloadStub(channel)
        assert stub.Describe(wire.DescribeRequest()).looks_twice == twice
        said = stub.Classify(request(image, REGION)).classification
        np.testing.assert_allclose(said.probabilities, expected, atol=1e-4)
        assert said.macs == model.macs * (2 if twice else 1)
        for nothing in (None, Region(0, 0, 0, 5, 1.0), Region(width, 0, 9, 9, 1.0), Region(0, 0, width, height, 1.0)):
            said = stub.Classify(request(image, nothing)).classification
            np.testing.assert_allclose(said.probabilities, whole, atol=1e-4)
            assert said.macs == model.macs


def test_a_device_tells_where_something_moved_and_pays_for_both_looks(tmp_path: Path, model: BigModel) -> None:
    with (
        start_local_server("trailcam", "--threads", "1", "--device", "cpu") as address,
        EdgeClassifier(
            cloud=address,
            cloud_budget="1TMAC/day",
            state_dir=tmp_path,
            gate=MotionGate(),
            view="region",
            send="frame",
            events=EventSettings(answer_per="frame"),
            threshold=NONE_EXITS,
        ) as edge,
        SimulatedCamera(seed=910_003, frames=30) as camera,
    ):
        moved = sum(frame.region is not None for frame, _ in edge.watch(camera))
        answered = len(list(edge.late_answers(wait_s=60)))
        spent = edge.usage
        entries = list(edge.journal.query(origin=Origin.CLOUD))
    assert len(entries) == answered > moved > 3
    assert sum(entry.region is not None for entry in entries) == moved
    assert {entry.frame_size for entry in entries if entry.region} == {(640, 480)}
    # Where the surroundings are all of the picture there is one look, which is known when the reply comes.
    assert answered * model.macs < spent.macs_big <= (answered + moved) * model.macs


def test_an_unknown_look_is_explained() -> None:
    from cloud_server.config import ServerConfig

    with pytest.raises(ConfigError, match="expected look as one of auto, frame, region, both; got 'twice'"):
        ServerConfig(look="twice")
