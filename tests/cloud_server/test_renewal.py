"""What a reload renews, on a real server."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path

import grpc
import pytest
from gated_model import GatedModel, picture

from cloud_server.server import CloudServer, ServerConfig
from edge_sdk.security.tokens import add_token, new_token
from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

CONFIG = ServerConfig(port=0, max_batch=4)


async def test_another_label_map_answers_anew_and_streams_come_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "map.json"
    path.write_text(json.dumps({"*": "animal"}))
    config = dataclasses.replace(CONFIG, label_map=path, state=tmp_path / "state", archive=tmp_path / "kept")
    asked = wire.ClassifyRequest(frame_id=new_frame_id(), image=picture(2))
    async with CloudServer(config, GatedModel()) as server, grpc.aio.insecure_channel(server.address) as channel:
        stub = wire_grpc.OffloadStub(channel)
        stream = stub.Stream()
        await stream.write(asked)
        assert (await stream.read()).classification.label == "animal"

        path.write_bytes('{"deer": "r\xe4h"}'.encode("cp1252"))
        assert not await server.reload()
        assert "the old one stays" in caplog.text
        assert (await stub.Classify(asked)).classification.label == "animal"

        path.write_text(json.dumps({"deer": "roe", "*": "animal"}))
        assert await server.reload()
        assert await stream.read() is grpc.aio.EOF
        assert list((await stub.Describe(wire.DescribeRequest())).labels) == ["roe", "animal"]
        again = await stub.Classify(asked)
        assert (again.classification.label, len(again.classification.probabilities)) == ("roe", 2)
        assert server.stats.repeats == 1  # the one before the map changed
        path.write_text(json.dumps({"*": "animal"}))
        assert await server.reload()
        assert (await stub.Classify(asked)).classification.label == "animal"
    said = [json.loads(line) for line in (tmp_path / "kept" / "answers.jsonl").read_text().splitlines()]
    assert [line["label"] for line in said] == ["animal"]  # an id is archived once


async def test_other_limits_hold_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "limits.toml"
    path.write_text("max_frames_per_s = 0.001\nburst = 1\n")
    config = dataclasses.replace(CONFIG, limits_file=path)
    async with CloudServer(config, GatedModel()) as server, grpc.aio.insecure_channel(server.address) as channel:
        stub = wire_grpc.OffloadStub(channel)

        async def taken() -> bool:
            reply = await stub.Classify(wire.ClassifyRequest(frame_id=new_frame_id(), image=picture()))
            return bool(reply.HasField("classification"))

        assert [await taken(), await taken()] == [True, False]
        path.write_text("max_frames_per_s = 0\n")
        assert not await server.reload()
        assert await taken() is False
        path.write_text("max_frames_per_s = 1e6\nburst = 9\n")
        assert await server.reload()
        assert "max_frames_per_s 0.001 -> 1e+06, burst 1 -> 9" in caplog.text
        assert await taken()


async def test_tokens_are_read_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "tokens"
    add_token(path, "cam-1", new_token())
    async with CloudServer(dataclasses.replace(CONFIG, tokens=path), GatedModel()) as server:
        add_token(path, "cam-2", new_token())
        assert await server.reload()
        assert f"reloaded the tokens file {path}: 2 devices, 1 new (cam-2)" in caplog.text
        path.write_text("")
        assert not await server.reload()
        assert "it is empty" in caplog.text
