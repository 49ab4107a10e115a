from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from gated_model import GatedModel, picture
from open_inference_parts import CONFIG, framed, request, several, write

from cloud_server.model.watch import ModelWatch
from cloud_server.open_inference import inference
from cloud_server.open_inference import open_inference_pb2 as oip
from cloud_server.open_inference import open_inference_pb2_grpc as oip_grpc
from cloud_server.open_inference.pictures import pictures_of
from cloud_server.server import CloudServer, ServerConfig
from edge_sdk.errors import ConfigError
from edge_sdk.security.tokens import add_token, new_token

Code = grpc.StatusCode
ONE = request(raw_input_contents=[framed(picture(1))])


@asynccontextmanager
async def calling(
    model: GatedModel, config: ServerConfig = CONFIG
) -> AsyncIterator[tuple[CloudServer, oip_grpc.GRPCInferenceServiceStub]]:
    async with CloudServer(config, model) as server, grpc.aio.insecure_channel(server.address) as channel:
        yield server, oip_grpc.GRPCInferenceServiceStub(channel)


async def refused(call: object) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call  # type: ignore[misc]
    return error.value.code(), error.value.details()


async def test_files_pixels_and_planes_are_answered_alike() -> None:
    levels = [3, 4, 5]
    pixels = np.stack([np.full((9, 12, 3), level, np.uint8) for level in levels])
    planes = (pixels.transpose(0, 3, 1, 2) / 255).astype("<f4")
    async with calling(GatedModel()) as (_, stub):
        for asked in (
            request(shape=(3,), raw_input_contents=[framed(*map(picture, levels))], id="a"),
            request("pixels", "UINT8", pixels.shape, raw_input_contents=[pixels.tobytes()], id="a"),
            request("planes", "FP32", planes.shape, raw_input_contents=[planes.tobytes()], id="a"),
        ):
            reply = await stub.ModelInfer(asked)
            assert (reply.model_name, reply.model_version, reply.id) == ("gated", "1", "a")
            assert [(one.name, one.datatype, list(one.shape)) for one in reply.outputs] == [
                ("probabilities", "FP32", [3, 3]),
                ("label", "BYTES", [3, 1]),
            ]
            rows = np.frombuffer(reply.raw_output_contents[0], "<f4").reshape(3, 3)
            assert np.array_equal(rows, np.eye(3))
            assert reply.raw_output_contents[1] == framed(b"red fox", b"grey fox", b"deer")


async def test_typed_contents_are_answered_in_typed_contents() -> None:
    asked = request(outputs=[{"name": "label"}, {"name": "probabilities"}])
    asked.inputs[0].contents.bytes_contents.append(picture(2))
    async with calling(GatedModel()) as (_, stub):
        reply = await stub.ModelInfer(asked)
    assert not reply.raw_output_contents
    assert list(reply.outputs[0].contents.bytes_contents) == [b"deer"]
    assert list(reply.outputs[1].contents.fp32_contents) == [0, 0, 1]


async def test_the_best_classes_come_as_text() -> None:
    top = {"name": "probabilities", "parameters": {"classification": oip.InferParameter(int64_param=2)}}
    async with calling(GatedModel()) as (_, stub):
        reply = await stub.ModelInfer(request(raw_input_contents=[framed(picture(1))], outputs=[top]))
    assert list(reply.outputs[0].shape) == [1, 2]
    assert reply.raw_output_contents[0] == framed(b"1.000000:1:grey fox", b"0.000000:0:red fox")


async def test_model_and_server_say_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    path.write_text(json.dumps({"*": "fox", "deer": "deer"}))
    async with calling(GatedModel(), dataclasses.replace(CONFIG, label_map=path)) as (server, stub):
        assert (await stub.ServerLive(oip.ServerLiveRequest())).live
        assert (await stub.ServerReady(oip.ServerReadyRequest())).ready
        assert (await stub.ModelReady(oip.ModelReadyRequest(name="gated", version="1"))).ready
        assert "statistics" in (await stub.ServerMetadata(oip.ServerMetadataRequest())).extensions
        told = await stub.ModelMetadata(oip.ModelMetadataRequest(name="gated"))
        assert {one.name: (one.datatype, list(one.shape)) for one in (*told.inputs, *told.outputs)} == {
            "image": ("BYTES", [-1, 1]),
            "pixels": ("UINT8", [-1, -1, -1, 3]),
            "planes": ("FP32", [-1, 3, -1, -1]),
            "probabilities": ("FP32", [-1, 2]),
            "label": ("BYTES", [-1, 1]),
        }
        assert json.loads(told.properties["labels"]) == ["fox", "deer"]
        config = (await stub.ModelConfig(oip.ModelConfigRequest(name="gated"))).config
        assert (config.max_batch_size, list(config.input[1].dims)) == (4, [-1, -1, 3])
        assert [one.state for one in (await stub.RepositoryIndex(oip.RepositoryIndexRequest())).models] == ["READY"]
        await stub.ModelInfer(request(shape=(2,), raw_input_contents=[framed(picture(1), picture(2))]))
        await refused(stub.ModelInfer(request()))
        (counts,) = (await stub.ModelStatistics(oip.ModelStatisticsRequest())).model_stats
        assert (counts.inference_count, counts.inference_stats.success.count) == (2, 1)
        assert counts.inference_stats.fail.count == 1
        path.write_text(json.dumps({"*": "animal"}))
        await server.reload()
        reply = await stub.ModelInfer(ONE)
        assert list(reply.outputs[0].shape) == [1, 1]


async def test_every_model_is_asked_by_name_and_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, loaded = several(tmp_path, monkeypatch)
    write(path, ("trailcam", "a", None), ("trailcam", "canary", 0.1), ("birds", "b", None))
    config = dataclasses.replace(CONFIG, models=path)
    async with CloudServer(config) as server, grpc.aio.insecure_channel(server.address) as channel:
        stub = oip_grpc.GRPCInferenceServiceStub(channel)
        listed = (await stub.RepositoryIndex(oip.RepositoryIndexRequest())).models
        canary = listed[1].version
        assert [(one.name, one.version) for one in listed] == [("trailcam", "1"), ("trailcam", canary), ("birds", "1")]
        assert len(canary) == 16
        for name, version, weights in (
            ("trailcam", "", "a"),
            ("trailcam", "1", "a"),
            ("trailcam", canary, "canary"),
            ("birds", "", "b"),
        ):
            before = len(loaded[weights].batches)
            asked = request(model_name=name, model_version=version, raw_input_contents=[framed(picture(1))])
            reply = await stub.ModelInfer(asked)
            assert (reply.model_name, reply.model_version) == (name, version or "1")
            assert len(loaded[weights].batches) == before + 1
            told = await stub.ModelMetadata(oip.ModelMetadataRequest(name=name, version=version))
            assert told.properties["model"] == weights
            assert list(told.versions) == (["1", canary] if name == "trailcam" else ["1"])
            assert (await stub.ModelReady(oip.ModelReadyRequest(name=name, version=version))).ready
            shown = (await stub.ModelConfig(oip.ModelConfigRequest(name=name, version=version))).config
            assert (shown.name, shown.parameters["model"].string_value) == (name, weights)
        counts = (await stub.ModelStatistics(oip.ModelStatisticsRequest())).model_stats
        assert [(one.name, one.version, one.inference_count) for one in counts] == [
            ("trailcam", "1", 2),
            ("trailcam", canary, 1),
            ("birds", "1", 1),
        ]
        assert all(one.execution_count >= one.inference_count for one in counts)
        counts = (await stub.ModelStatistics(oip.ModelStatisticsRequest(name="birds"))).model_stats
        assert [one.name for one in counts] == ["birds"]
        assert {(model, count) for model, _, count in server.stats.measures.answered()} == {
            ("a", 2),
            ("canary", 1),
            ("b", 1),
        }
        code, text = await refused(stub.ModelInfer(request(model_name="fish")))
        assert code is Code.NOT_FOUND
        assert text == "expected the model 'trailcam' or 'birds', which this server has; got 'fish'"
        code, text = await refused(stub.ModelMetadata(oip.ModelMetadataRequest(name="birds", version=canary)))
        assert (code, text) == (Code.NOT_FOUND, f"expected version '1' of 'birds', or none; got '{canary}'")


async def test_a_model_that_does_not_answer_is_not_ready_and_the_others_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = several(tmp_path, monkeypatch)
    write(path, ("trailcam", "a", None), ("birds", "b", None))
    config = dataclasses.replace(CONFIG, models=path)
    async with CloudServer(config) as server, grpc.aio.insecure_channel(server.address) as channel:
        stub = oip_grpc.GRPCInferenceServiceStub(channel)
        _, birds = server._models
        birds.batcher.watch = dead = ModelWatch()
        monkeypatch.setattr(ModelWatch, "is_alive", property(lambda watch: watch is not dead))
        ready = [(await stub.ModelReady(oip.ModelReadyRequest(name=name))).ready for name in ("trailcam", "birds")]
        assert ready == [True, False] and (await stub.ServerReady(oip.ServerReadyRequest())).ready
        listed = (await stub.RepositoryIndex(oip.RepositoryIndexRequest(ready=True))).models
        assert [one.name for one in listed] == ["trailcam"]


async def test_a_request_that_has_found_its_model_is_answered_by_it_though_that_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, loaded = several(tmp_path, monkeypatch)
    write(path, ("birds", "b0", None))
    came, goes_on = threading.Event(), threading.Event()

    def slow(*args: Any) -> Any:
        came.set()
        goes_on.wait()
        return pictures_of(*args)

    monkeypatch.setattr(inference, "pictures_of", slow)
    async with (
        CloudServer(dataclasses.replace(CONFIG, models=path)) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        stub = oip_grpc.GRPCInferenceServiceStub(channel)
        asked = request(model_name="birds", raw_input_contents=[framed(picture(1))])
        call = asyncio.ensure_future(stub.ModelInfer(asked))
        await asyncio.to_thread(came.wait)
        (old,) = server._models
        write(path, ("birds", "b1", None))
        assert await server.reload()
        for _ in range(20):  # the old one is on its way out
            await asyncio.sleep(0)
        goes_on.set()
        assert (await call).outputs
        assert loaded["b0"].batches[-1] == [1] and old not in list(server._models)


async def test_models_are_swapped_under_requests_and_none_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, loaded = several(tmp_path, monkeypatch)
    write(path, ("birds", "b0", None))
    config = dataclasses.replace(CONFIG, models=path, queue=64)
    ended = asyncio.Event()

    async def client(stub: oip_grpc.GRPCInferenceServiceStub) -> int:
        count = 0
        while not ended.is_set():
            reply = await stub.ModelInfer(request(model_name="birds", raw_input_contents=[framed(picture(1))]))
            assert reply.outputs
            count += 1
        return count

    async with CloudServer(config) as server, grpc.aio.insecure_channel(server.address) as channel:
        stub = oip_grpc.GRPCInferenceServiceStub(channel)
        clients = [asyncio.create_task(client(stub)) for _ in range(4)]
        for number in range(1, 5):
            write(path, ("birds", f"b{number}", None))
            assert await server.reload()
            before = len(loaded[f"b{number}"].batches)
            while len(loaded[f"b{number}"].batches) < before + 3:  # noqa: ASYNC110 - the clients' requests
                await asyncio.sleep(0)
        ended.set()
        counts = await asyncio.gather(*clients)
        write(path, ("fish", "f", None))
        assert await server.reload()
        assert (await refused(stub.ModelReady(oip.ModelReadyRequest(name="birds"))))[0] is Code.NOT_FOUND
    assert min(counts) > 0 and server.stats.failures == {}


async def test_errors_have_a_code_and_say_what_came() -> None:
    async with calling(GatedModel()) as (server, stub):
        code, text = await refused(stub.ModelInfer(request(model_name="resnet")))
        assert (code, text) == (Code.NOT_FOUND, "expected the model 'gated', which this server has; got 'resnet'")
        code, text = await refused(stub.ModelReady(oip.ModelReadyRequest(name="gated", version="2")))
        assert (code, text) == (Code.NOT_FOUND, "expected version '1' of 'gated', or none; got '2'")
        code, text = await refused(stub.ModelInfer(request(raw_input_contents=[framed(b"GIF89a")])))
        assert code is Code.INVALID_ARGUMENT
        code, text = await refused(stub.ModelInfer(request(raw_input_contents=[framed(picture(255))])))
        assert (code, text) == (Code.INTERNAL, "the model failed on this frame (RuntimeError)")
        planes = np.full((1, 3, 4, 4), 1.5, "<f4").tobytes()
        code, text = await refused(
            stub.ModelInfer(request("planes", "FP32", (1, 3, 4, 4), raw_input_contents=[planes]))
        )
        assert (code, text) == (
            Code.INVALID_ARGUMENT,
            "expected floats from 0 to 1, not normalised; got 1.5 to 1.5",
        )
        for outputs in ([{"name": "logits"}], [{"name": "label"}] * 2, [{"name": "label"}] * 3):
            assert (await refused(stub.ModelInfer(request(outputs=outputs))))[0] is Code.INVALID_ARGUMENT
        code, _ = await refused(stub.ModelInfer(request(raw_input_contents=[bytes(10 << 20)])))
        assert code is Code.RESOURCE_EXHAUSTED
        assert (await stub.ModelInfer(ONE)).outputs
        assert server.stats.failures["INTERNAL"] == 1


async def test_a_token_is_needed_for_every_method(tmp_path: Path) -> None:
    tokens, token = tmp_path / "tokens", new_token()
    add_token(tokens, "lab", token)
    async with calling(GatedModel(), dataclasses.replace(CONFIG, tokens=tokens)) as (_, stub):
        for method, message in (
            (stub.ServerLive, oip.ServerLiveRequest()),
            (stub.ModelMetadata, oip.ModelMetadataRequest(name="gated")),
            (stub.ModelInfer, ONE),
        ):
            assert (await refused(method(message)))[0] is Code.UNAUTHENTICATED
            await method(message, metadata=[("authorization", f"Bearer {token}")])


async def test_a_batch_counts_against_the_rate_as_its_pictures_do() -> None:
    config = dataclasses.replace(CONFIG, max_frames_per_s=1e-6, burst=3)
    async with calling(GatedModel(), config) as (_, stub):
        two = request(shape=(2,), raw_input_contents=[framed(picture(1), picture(2))])
        await stub.ModelInfer(two)
        assert (await refused(stub.ModelInfer(two)))[0] is Code.RESOURCE_EXHAUSTED
        await stub.ModelInfer(ONE)


async def test_a_cancelled_call_leaves_the_queue() -> None:
    model = GatedModel()
    async with calling(model) as (server, stub):
        model.shut()
        first = asyncio.ensure_future(stub.ModelInfer(ONE))
        await asyncio.to_thread(model.entered.acquire)
        waiting = stub.ModelInfer(request(shape=(4,), raw_input_contents=[framed(*[picture(2)] * 4)]))
        while server._batcher.pending < 5:  # noqa: ASYNC110 - it happens in another task, without an event
            await asyncio.sleep(0)
        waiting.cancel()
        while server._batcher.pending > 1:  # noqa: ASYNC110
            await asyncio.sleep(0)
        model.gate.set()
        assert (await first).outputs
        assert model.batches == [[1]]


async def test_a_drain_answers_what_is_in_flight_and_refuses_what_comes() -> None:
    model = GatedModel()
    server = CloudServer(CONFIG, model)
    await server.start()
    model.shut()
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = oip_grpc.GRPCInferenceServiceStub(channel)
        early = asyncio.ensure_future(stub.ModelInfer(ONE))
        await asyncio.to_thread(model.entered.acquire)
        stopping = asyncio.create_task(server.stop())
        while server.is_serving:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert not (await stub.ServerReady(oip.ServerReadyRequest())).ready
        code, _ = await refused(stub.ModelInfer(ONE))
        assert code is Code.UNAVAILABLE
        model.gate.set()
        assert (await early).outputs
        assert await stopping


async def test_it_is_off_unless_asked_for() -> None:
    async with calling(GatedModel(), dataclasses.replace(CONFIG, open_inference=False)) as (_, stub):
        assert (await refused(stub.ServerLive(oip.ServerLiveRequest())))[0] is Code.UNIMPLEMENTED


def test_http_off_loopback_needs_tokens() -> None:
    with pytest.raises(ConfigError, match="expected --tokens, and --http-tls or --insecure, with --open-inference"):
        dataclasses.replace(CONFIG, http_host="0.0.0.0", insecure=True)
