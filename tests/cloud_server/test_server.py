from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from gated_model import GatedModel, picture
from grpc_health.v1 import health_pb2, health_pb2_grpc
from server_parts import serving

from cloud_server.model.big import load_model
from cloud_server.server import SERVICE, CloudServer, ServerConfig
from edge_sdk.errors import ConfigError
from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

CONFIG = ServerConfig(port=0, max_batch=4)
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def request(level: int) -> wire.ClassifyRequest:
    return wire.ClassifyRequest(frame_id=new_frame_id(), image=picture(level))


async def test_a_checkpoint_is_served(checkpoint: Path) -> None:
    model = load_model(str(checkpoint), "cpu")
    async with (
        CloudServer(dataclasses.replace(CONFIG, model=str(checkpoint), device="cpu")) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        reply = await wire_grpc.OffloadStub(channel).Classify(request(77))
    expected = model.run([model.prepare(np.full((16, 16, 3), 77, np.uint8))], [None])[0][0]
    assert np.allclose(reply.classification.probabilities, expected, atol=1e-4)
    assert reply.classification.label == model.labels[int(expected.argmax())]


async def test_the_label_map_is_in_description_and_answers(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    path.write_text(json.dumps({"*": "fox", "deer": "deer"}))
    async with (
        CloudServer(dataclasses.replace(CONFIG, label_map=path), GatedModel()) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        stub = wire_grpc.OffloadStub(channel)
        assert list((await stub.Describe(wire.DescribeRequest())).labels) == ["fox", "deer"]
        reply = await stub.Classify(request(1))
        assert (reply.classification.label, list(reply.classification.probabilities)) == ("fox", [1, 0])


async def test_health_follows_the_server_and_a_drain_answers_what_is_in_flight() -> None:
    model = GatedModel()
    server = CloudServer(CONFIG, model)
    await server.start()
    model.shut()
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub, health = wire_grpc.OffloadStub(channel), health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service=SERVICE))
        assert (await watch.read()).status == SERVING
        assert (await health.Check(health_pb2.HealthCheckRequest())).status == SERVING
        stream = stub.Stream()
        await stream.write(early := request(1))
        unary = asyncio.ensure_future(stub.Classify(request(2)))
        while server._batcher.pending < 2:  # noqa: ASYNC110 - what is awaited happens in another task, without an event
            await asyncio.sleep(0)

        stopping = asyncio.create_task(server.stop())
        assert (await watch.read()).status == NOT_SERVING
        await stream.write(late := request(0))
        reply = await stream.read()
        assert (reply.frame_id, reply.failure.code) == (late.frame_id, wire.Failure.DRAINING)
        assert (await stub.Classify(request(0))).failure.code == wire.Failure.DRAINING
        assert not stopping.done()

        model.gate.set()
        assert (await stream.read()).frame_id == early.frame_id
        assert await stream.read() is grpc.aio.EOF
        assert await stream.code() == grpc.StatusCode.OK
        assert (await unary).classification.label == "deer"
        assert await stopping is True
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await stub.Classify(request(0))
        assert error.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_a_drain_ends_in_time_though_the_model_hangs() -> None:
    model = GatedModel()
    server = CloudServer(dataclasses.replace(CONFIG, drain_s=0.05), model)
    await server.start()
    model.shut()
    async with grpc.aio.insecure_channel(server.address) as channel:
        call = asyncio.ensure_future(wire_grpc.OffloadStub(channel).Classify(request(1)))
        await asyncio.to_thread(model.entered.acquire)
        assert await server.stop() is False
        with pytest.raises(grpc.aio.AioRpcError):
            await call
    model.gate.set()


async def test_a_taken_port_is_explained() -> None:
    async with CloudServer(CONFIG, GatedModel()) as server:
        port = int(server.address.rpartition(":")[2])
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}: the port is taken"):
            await CloudServer(dataclasses.replace(CONFIG, port=port), GatedModel()).start()


async def test_a_start_that_fails_gives_its_port_back(tmp_path: Path) -> None:
    broken = dataclasses.replace(CONFIG, label_map=tmp_path / "none.json")
    async with CloudServer(CONFIG, GatedModel()) as server:
        port = int(server.address.rpartition(":")[2])
    with pytest.raises(ConfigError, match=r"none\.json"):
        await CloudServer(dataclasses.replace(broken, port=port), GatedModel()).start()
    async with CloudServer(dataclasses.replace(CONFIG, port=port), GatedModel()) as again:
        assert again.address == f"127.0.0.1:{port}"


async def test_the_model_is_warm_before_the_server_listens() -> None:
    model = GatedModel()
    async with CloudServer(CONFIG, model):
        assert sorted(len(batch) for batch in model.batches) == [1, 4]


async def test_a_repeat_after_a_restart_is_answered_from_the_disk_and_counted_once(tmp_path: Path) -> None:
    config, asked = dataclasses.replace(CONFIG, state=tmp_path / "state"), request(1)
    replies, batches, repeats = [], [], []
    for _ in range(2):
        model = GatedModel()
        async with CloudServer(config, model) as server, grpc.aio.insecure_channel(server.address) as channel:
            model.batches.clear()
            replies.append(await wire_grpc.OffloadStub(channel).Classify(asked))
            batches.append(list(model.batches))
            repeats.append(server.stats.take().repeats)
    assert replies[0] == replies[1]
    assert batches == [[[1]], []]
    assert repeats == [0, 1]


async def test_a_run_whose_device_left_outlives_the_server(tmp_path: Path) -> None:
    config, asked = dataclasses.replace(CONFIG, state=tmp_path / "state"), request(2)
    model = GatedModel()
    server = CloudServer(config, model)
    await server.start()
    model.shut()
    async with grpc.aio.insecure_channel(server.address) as channel:
        call = asyncio.ensure_future(wire_grpc.OffloadStub(channel).Classify(asked))
        await asyncio.to_thread(model.entered.acquire)
        (run,) = server._service._in_flight.runs
        call.cancel()
        while run.callers:  # noqa: ASYNC110 - what is awaited happens in another task, without an event
            await asyncio.sleep(0)
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0)
        model.gate.set()
        assert await stopping is True
    model = GatedModel()
    async with CloudServer(config, model) as server, grpc.aio.insecure_channel(server.address) as channel:
        model.batches.clear()
        assert (await wire_grpc.OffloadStub(channel).Classify(asked)).classification.label == "deer"
        assert model.batches == []
        assert server.stats.take().repeats == 1


@pytest.mark.parametrize("changed", ["model", "label map"])
async def test_another_model_or_label_map_serves_no_old_answers(tmp_path: Path, changed: str) -> None:
    config, asked = dataclasses.replace(CONFIG, state=tmp_path / "state"), request(1)
    async with CloudServer(config, GatedModel()) as server, grpc.aio.insecure_channel(server.address) as channel:
        assert (await wire_grpc.OffloadStub(channel).Classify(asked)).classification.label == "grey fox"
    model = GatedModel()
    if changed == "model":
        model.fingerprint = "gated, trained anew"
    else:
        path = tmp_path / "map.json"
        path.write_text(json.dumps({"red fox": "fox", "grey fox": "fox"}))
        config = dataclasses.replace(config, label_map=path)
    async with CloudServer(config, model) as server, grpc.aio.insecure_channel(server.address) as channel:
        model.batches.clear()
        reply = await wire_grpc.OffloadStub(channel).Classify(asked)
        assert reply.classification.label == ("grey fox" if changed == "model" else "fox")
        assert model.batches == [[1]]


async def test_a_state_that_another_server_holds_is_explained(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, state=tmp_path / "state")
    async with CloudServer(config, GatedModel()):
        with pytest.raises(ConfigError, match="name another folder with --state"):
            await CloudServer(config, GatedModel()).start()


async def test_a_model_that_fails_to_warm_up_gives_its_state_back(tmp_path: Path) -> None:
    class Cold(GatedModel):
        def run(self, images: Any, little: Any = ()) -> Any:
            raise RuntimeError("cold")

    config = dataclasses.replace(CONFIG, state=tmp_path / "state")
    with pytest.raises(RuntimeError, match="cold"):
        await CloudServer(config, Cold()).start()
    async with CloudServer(config, GatedModel()) as server:
        assert server.address


async def test_ipv6_addresses_are_served() -> None:
    try:
        server = CloudServer(dataclasses.replace(CONFIG, host="::1"), GatedModel())
        await server.start()
    except ConfigError:
        pytest.skip("no IPv6 here")
    async with grpc.aio.insecure_channel(server.address) as channel:
        assert server.address.startswith("[::1]:")
        assert (await wire_grpc.OffloadStub(channel).Classify(request(1))).HasField("classification")
    await server.stop()


async def test_callers_beyond_what_a_connection_carries_wait_and_none_fails(tmp_path: Path) -> None:
    with serving(tmp_path / "log") as (_, address):
        async with grpc.aio.insecure_channel(address) as channel:
            stub = wire_grpc.OffloadStub(channel)

            async def caller() -> list[str | None]:
                return [(await stub.Classify(request(1))).WhichOneof("result") for _ in range(4)]

            results = await asyncio.gather(*(caller() for _ in range(400)))
    assert results == [["classification"] * 4] * 400


async def test_under_overload_what_comes_too_late_is_told_so_and_the_rest_is_in_time() -> None:
    """A model of 20 ms a frame; 60 frames at once, each worth waiting for half a second: the first 25 are answered."""
    now, model = [0.0], SlowModel()
    model.now = now
    async with (
        CloudServer(dataclasses.replace(CONFIG, max_batch=1), model, clock=lambda: now[0]) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        stub, ids = wire_grpc.OffloadStub(channel), set[str]()
        for _ in range(50):  # enough for its latest runs to tell how long one takes
            assert (await stub.Classify(request(1))).HasField("classification")
        model.shut()
        stream, began = stub.Stream(), now[0]
        for _ in range(60):
            asked = request(1)
            asked.wait_ms = 510
            ids.add(asked.frame_id)
            await stream.write(asked)
        await stream.done_writing()
        told, at_s = list[wire.ClassifyReply](), list[float]()
        while len(told) + server._batcher.pending < 60:  # until all have come: none is answered before
            told.append(await stream.read())
        model.gate.set()
        while (reply := await stream.read()) is not grpc.aio.EOF:
            told.append(reply)
            at_s.append(now[0] - began)
    assert {reply.frame_id for reply in told} == ids
    refused = [reply.failure for reply in told if reply.HasField("failure")]
    assert len(told) - len(refused) == 25
    assert all(failure.code == wire.Failure.OVERLOADED and failure.retryable for failure in refused)
    assert all("longer than its device waits" in failure.message for failure in refused)
    assert max(at_s) <= 0.51


class SlowModel(GatedModel):
    """Takes 20 ms a frame on the clock `now`."""

    now: list[float]

    def run(self, images: Sequence[Any], little: Sequence[Any] = ()) -> Any:
        rows = super().run(images, little)
        self.now[0] += 0.02 * len(images)
        return rows
