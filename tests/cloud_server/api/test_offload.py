from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from gated_model import POISON, GatedModel, picture
from postgres_server import postgres

from cloud_server.fleet.reply_cache import key_of
from cloud_server.model.decode import Limits
from cloud_server.model.ticket import Little, Ran
from cloud_server.server import CloudServer, ServerConfig
from edge_sdk.types import Image, new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

CONFIG = ServerConfig(port=0, max_batch=4, queue=8, stream_window=4, limits=Limits(max_bytes=5000, max_pixels=10_000))
Code = wire.Failure.Code


@pytest.fixture
def model() -> GatedModel:
    return GatedModel()


@pytest.fixture
async def server(model: GatedModel) -> AsyncIterator[CloudServer]:
    async with CloudServer(CONFIG, model) as server:
        model.shut()  # forget the warm-up
        model.gate.set()
        yield server
        model.gate.set()


@pytest.fixture
async def stub(server: CloudServer) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(server.address) as channel:
        yield wire_grpc.OffloadStub(channel)


def request(level: int = 0, frame_id: str | None = None, **fields: Any) -> wire.ClassifyRequest:
    return wire.ClassifyRequest(frame_id=frame_id or new_frame_id(), image=picture(level), **fields)


async def entered(model: GatedModel) -> None:
    await asyncio.to_thread(model.entered.acquire)


async def until(condition: Any) -> None:
    while not condition():  # noqa: ASYNC110 - what is awaited happens in another task, without an event
        await asyncio.sleep(0)


async def test_describe_says_what_the_model_is(stub: Any) -> None:
    said = await stub.Describe(wire.DescribeRequest())
    assert said == wire.Description(
        model="gated",
        labels=["red fox", "grey fox", "deer"],
        macs=1000,
        input_width=8,
        input_height=8,
        parameters=10,
        looks_twice=True,
    )


async def test_a_frame_gets_its_classification(stub: Any) -> None:
    asked = request(2, probabilities=[0.2, 0.5, 0.3])
    reply = await stub.Classify(asked)
    expected = wire.Classification(label="deer", confidence=1.0, probabilities=[0, 0, 1], macs=1000)
    assert reply == wire.ClassifyReply(frame_id=asked.frame_id, classification=expected)


class Exiting(GatedModel):
    """A picture of level L leaves at exit `L % 3`."""

    exits = ("blocks.1", "blocks.3", "big model")

    def run(self, images: Sequence[Image], little: Sequence[Little] = ()) -> Ran:  # type: ignore[override]
        rows, macs = super().run(images, little)
        return Ran(rows, macs, np.array([int(image[0, 0, 0]) % 3 for image in images]))


@pytest.mark.parametrize("where", ["a file", "a shared database"])
async def test_a_reply_says_at_which_exit_its_frame_left_and_so_does_its_repeat(where: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        if where == "a file":
            config = dataclasses.replace(CONFIG, state=tmp_path)
        else:
            database = stack.enter_context(postgres(tmp_path))
            config = dataclasses.replace(CONFIG, database=database.new_database())
        await _exits_are_told_twice(config)


async def _exits_are_told_twice(config: ServerConfig) -> None:
    asked = [request(level) for level in (0, 1, 2, 2)]
    told: list[wire.ClassifyReply] = []
    for _ in range(2):  # the second server has the replies of the first
        async with CloudServer(config, Exiting()) as server:
            async with grpc.aio.insecure_channel(server.address) as channel:
                stub = wire_grpc.OffloadStub(channel)
                assert (await stub.Describe(wire.DescribeRequest())).exits == list(Exiting.exits)
                told += [await stub.Classify(one) for one in asked]
            counted = server.stats.measures.exits()
    assert told[:4] == told[4:] and server.stats.repeats == 4 and counted == []
    assert [Exiting.exits[reply.classification.exit - 1] for reply in told[:4]] == [
        "blocks.1",
        "blocks.3",
        "big model",
        "big model",
    ]


async def test_exits_are_counted_by_model() -> None:
    async with CloudServer(CONFIG, Exiting()) as server:
        async with grpc.aio.insecure_channel(server.address) as channel:
            for level in (0, 2, 2):
                await wire_grpc.OffloadStub(channel).Classify(request(level))
        assert server.stats.measures.exits() == [("gated", "big model", 2), ("gated", "blocks.1", 1)]


BAD = [
    (wire.ClassifyRequest(frame_id="0" * 31, image=picture()), Code.BAD_REQUEST, "32 hexadecimal digits; got '000"),
    (wire.ClassifyRequest(frame_id="", image=picture()), Code.BAD_REQUEST, "got ''"),
    (wire.ClassifyRequest(frame_id="g" * 32, image=picture()), Code.BAD_REQUEST, "hexadecimal"),
    (request(probabilities=[0.5, 1.5]), Code.BAD_REQUEST, "each from 0 to 1"),
    (request(probabilities=[float("nan")]), Code.BAD_REQUEST, "each from 0 to 1"),
    (wire.ClassifyRequest(frame_id=new_frame_id(), image=b"no picture"), Code.BAD_IMAGE, "JPEG, PNG or WebP"),
    (wire.ClassifyRequest(frame_id=new_frame_id(), image=picture()[:-9]), Code.BAD_IMAGE, "cut off"),
    (
        wire.ClassifyRequest(frame_id=new_frame_id(), image=picture(side=101)),
        Code.TOO_LARGE,
        "10,000 pixels; got 101x101",
    ),
    (wire.ClassifyRequest(frame_id=new_frame_id(), image=bytes(5001)), Code.TOO_LARGE, "5,000 bytes; got 5,001"),
    (request(POISON), Code.INTERNAL, "the model failed"),
]


@pytest.mark.parametrize(("asked", "code", "message"), BAD)
async def test_a_bad_frame_gets_a_failure_in_band(
    stub: Any, asked: wire.ClassifyRequest, code: Any, message: str
) -> None:
    reply = await stub.Classify(asked)
    assert reply.frame_id == asked.frame_id
    assert reply.failure.code == code
    assert message in reply.failure.message


async def test_no_bad_frame_ends_a_stream(stub: Any) -> None:
    call = stub.Stream()
    good = {(asked := request(level)).frame_id: (asked, level) for level in range(6)}
    bad = {asked.frame_id: code for asked, code, _ in BAD}

    async def send() -> None:
        for asked in [*(asked for asked, _, _ in BAD), *(asked for asked, _ in good.values())]:
            await call.write(asked)
        await call.done_writing()

    sending = asyncio.create_task(send())
    replies = [reply async for reply in call]
    await sending
    assert len(replies) == len(good) + len(BAD)
    for reply in replies:
        if reply.frame_id in good:
            assert reply.classification.probabilities[good[reply.frame_id][1] % 3] == 1
        else:
            assert reply.failure.code == bad[reply.frame_id]
    assert await call.code() == grpc.StatusCode.OK


async def test_replies_come_as_they_are_ready(stub: Any, model: GatedModel) -> None:
    model.shut()
    call = stub.Stream()
    await call.write(slow := request(0))
    await entered(model)
    await call.write(fast := wire.ClassifyRequest(frame_id=new_frame_id(), image=b"broken"))
    assert (await call.read()).frame_id == fast.frame_id
    model.gate.set()
    assert (await call.read()).frame_id == slow.frame_id


async def test_a_full_queue_refuses_with_a_message(stub: Any, server: CloudServer, model: GatedModel) -> None:
    model.shut()
    held = [asyncio.create_task(_classify(stub, 0))]
    await entered(model)
    held += [asyncio.create_task(_classify(stub, level)) for level in range(8)]
    await until(lambda: server._batcher.waiting == 8)
    reply = await stub.Classify(request())
    assert reply.failure.code == Code.OVERLOADED
    assert reply.failure.message == "the queue is full, 8 frames wait: send this frame again later"
    model.gate.set()
    assert all(reply.HasField("classification") for reply in await asyncio.gather(*held))


async def _classify(stub: Any, level: int) -> wire.ClassifyReply:
    reply: wire.ClassifyReply = await stub.Classify(request(level))
    return reply


async def test_a_repeated_id_is_answered_from_memory(stub: Any, server: CloudServer, model: GatedModel) -> None:
    asked = request(1)
    first = await stub.Classify(asked)
    again = await stub.Classify(wire.ClassifyRequest(frame_id=asked.frame_id.upper(), image=asked.image))
    assert again.classification == first.classification
    assert again.frame_id == asked.frame_id.upper()
    assert model.batches == [[1]]
    assert server.stats.take().repeats == 1


async def test_an_id_in_flight_is_joined(stub: Any, server: CloudServer, model: GatedModel) -> None:
    model.shut()
    asked = request(1)
    first = asyncio.ensure_future(stub.Classify(asked))
    await entered(model)
    second = asyncio.ensure_future(stub.Classify(asked))
    await until(lambda: server.stats.repeats == 1)
    first.cancel()
    model.gate.set()
    assert (await second).classification.label == "grey fox"
    assert model.batches == [[1]]


async def test_an_id_with_other_bytes_is_refused(stub: Any) -> None:
    asked = request(1)
    await stub.Classify(asked)
    reply = await stub.Classify(request(2, frame_id=asked.frame_id))
    assert reply.failure.code == Code.BAD_REQUEST
    assert "one picture for each frame id" in reply.failure.message


async def test_a_failed_frame_may_come_again(stub: Any, model: GatedModel) -> None:
    asked = request(POISON)
    for _ in range(2):
        assert (await stub.Classify(asked)).failure.code == Code.INTERNAL
    assert len(model.batches) == 2


async def test_only_the_latest_answers_are_remembered() -> None:
    model = GatedModel()
    async with (
        CloudServer(dataclasses.replace(CONFIG, cached_replies=2), model) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        model.batches.clear()
        stub = wire_grpc.OffloadStub(channel)
        frames = [request(level) for level in range(3)]
        for asked in [*frames, frames[2], frames[1], frames[0]]:
            await stub.Classify(asked)
    assert model.batches == [[0], [1], [2], [0]]


async def test_a_stream_is_not_read_beyond_its_window(stub: Any, server: CloudServer, model: GatedModel) -> None:
    model.shut()
    call = stub.Stream()
    for level in range(7):
        await call.write(request(level))
    await entered(model)
    asked = request(0)
    other = asyncio.ensure_future(stub.Classify(asked))  # another device still gets in
    await until(lambda: key_of("", asked.frame_id) in server._service._in_flight and server._batcher.pending >= 5)
    for _ in range(20):  # as many round trips as the stream would need to bring in the rest
        await stub.Describe(wire.DescribeRequest())
    assert server._batcher.pending == 5
    model.gate.set()
    await call.done_writing()
    assert len([reply async for reply in call]) == 7
    assert (await other).HasField("classification")


async def test_a_device_that_leaves_frees_its_places(stub: Any, server: CloudServer, model: GatedModel) -> None:
    model.shut()
    running = request(0)
    unary = asyncio.ensure_future(stub.Classify(running))
    await entered(model)
    call = stub.Stream()
    for level in range(1, 4):
        await call.write(request(level))
    await until(lambda: server._batcher.waiting == 3)
    call.cancel()
    unary.cancel()
    await until(lambda: server._batcher.waiting == 0)
    model.gate.set()
    assert (await stub.Classify(request(5))).HasField("classification")
    assert model.batches == [[0], [5]]


async def test_a_run_that_has_begun_is_remembered_though_its_device_left(
    stub: Any, server: CloudServer, model: GatedModel
) -> None:
    model.shut()
    asked = request(1)
    call = asyncio.ensure_future(stub.Classify(asked))
    await entered(model)
    (run,) = server._service._in_flight.runs
    call.cancel()
    await until(lambda: run.callers == 0)
    model.gate.set()
    assert (await stub.Classify(asked)).classification.label == "grey fox"
    assert (await stub.Classify(asked)).classification.label == "grey fox"
    assert model.batches == [[1]]
    assert server.stats.take().repeats == 2


async def test_a_message_far_over_the_limit_is_not_read(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await stub.Classify(wire.ClassifyRequest(frame_id=new_frame_id(), image=bytes(2 << 20)))
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
