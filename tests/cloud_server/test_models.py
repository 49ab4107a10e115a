"""A real server process with several models: chosen by name, by shares, and changed while frames come."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from gated_model import GatedModel, picture
from grpc_health.v1 import health_pb2, health_pb2_grpc
from server_parts import serving

from cloud_server import models
from cloud_server.config import ServerConfig
from cloud_server.server import CloudServer
from edge_sdk.security.tokens import add_token, new_token
from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc
from edge_sdk.wire.names import MODEL_HEADER

PROGRAM = """
import sys, cloud_server.models as models
from gated_model import GatedModel
class Named(GatedModel):
    def __init__(self, weights):
        super().__init__()
        self.name = self.labels_from = weights.rpartition("/")[2]
        self.fingerprint = weights
models.load_model = lambda weights, *args: Named(weights)
from cloud_server.cli import main
main(sys.argv[1:])
"""
DEVICES = [f"cam-{number}" for number in range(40)]


class Server:
    """A process, its models file and its devices' tokens."""

    def __init__(self, folder: Path) -> None:
        self.file, self.log, self.tokens = folder / "models.toml", folder / "log", folder / "tokens"
        self.token = {device: new_token() for device in DEVICES}
        for device, token in self.token.items():
            add_token(self.tokens, device, token)
        self.process: subprocess.Popen[str]
        self.address = ""

    def write(self, *entries: tuple[str, str, float | None]) -> None:
        text = ""
        for name, weights, share in entries:
            text += f'[[models]]\nname = "{name}"\nweights = "{weights}"\n'
            text += "" if share is None else f"share = {share}\n"
        self.file.write_text(text)

    def metadata(self, device: str, model: str = "") -> tuple[tuple[str, str], ...]:
        token = ("authorization", f"Bearer {self.token[device]}")
        return (token, (MODEL_HEADER, model)) if model else (token,)

    async def reload(self, words: str) -> None:
        """Send SIGHUP, and return once the log has these words anew."""
        before = self.log.read_text().count(words)
        self.process.send_signal(signal.SIGHUP)
        while self.log.read_text().count(words) == before:  # noqa: ASYNC110 - the log of another process
            await asyncio.sleep(0.02)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.write(("trailcam", "a.pth", None), ("birds", "b.pth", None))
    options = "--models", made.file, "--tokens", made.tokens, "--state", tmp_path / "state"
    with serving(made.log, *options, program=PROGRAM) as (made.process, made.address):
        yield made


async def model_of(server: Server, stub: Any, device: str, model: str = "") -> str:
    told = await stub.Describe(wire.DescribeRequest(), metadata=server.metadata(device, model))
    assert told.version
    return str(told.model)


def frame() -> wire.ClassifyRequest:
    return wire.ClassifyRequest(frame_id=new_frame_id(), image=picture(1))


async def test_a_device_gets_the_model_that_it_asks_for(server: Server) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub, health = wire_grpc.OffloadStub(channel), health_pb2_grpc.HealthStub(channel)
        asked = ["", "trailcam", "birds", "fish", "x" * 500]
        got = [await model_of(server, stub, "cam-1", name) for name in asked]
        assert got == ["a.pth", "a.pth", "b.pth", "a.pth", "a.pth"]
        for name in ("", "model/trailcam", "model/birds"):
            state = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert state.status == health_pb2.HealthCheckResponse.SERVING
        request = frame()
        for name in ("trailcam", "birds"):  # the same id: an answer of one model is none of the other's
            reply = await stub.Classify(request, metadata=server.metadata("cam-1", name))
            assert reply.HasField("classification")
        with pytest.raises(grpc.aio.AioRpcError, match="UNAUTHENTICATED"):
            await stub.Classify(request, metadata=((MODEL_HEADER, "birds"),))


async def test_a_swap_under_a_stream_drops_no_frame_and_answers_none_twice(server: Server) -> None:
    answers: Counter[str] = Counter()
    done = asyncio.Event()

    async def device() -> None:
        """As the SDK does: what was not answered when the stream ends is sent again on the next."""
        async with grpc.aio.insecure_channel(server.address) as channel:
            stub = wire_grpc.OffloadStub(channel)
            waiting = {(request := frame()).frame_id: request for _ in range(300)}
            while waiting:
                stream = stub.Stream(metadata=server.metadata("cam-1", "trailcam"))
                try:
                    for request in list(waiting.values())[:20]:
                        await stream.write(request)
                except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    continue  # it has ended: the device comes again
                for _ in range(min(20, len(waiting))):
                    reply = await stream.read()
                    if reply is grpc.aio.EOF:
                        break
                    if reply.HasField("classification"):
                        answers[reply.frame_id] += 1
                        waiting.pop(reply.frame_id)
                stream.cancel()
            done.set()

    running = asyncio.create_task(device())
    for number in range(3):
        server.write(("trailcam", f"a{number}.pth", None), ("birds", "b.pth", None))
        await server.reload("2 models, 1 of them loaded, 1 leave")
    await running
    assert len(answers) == 300 and set(answers.values()) == {1}
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = wire_grpc.OffloadStub(channel)
        assert await model_of(server, stub, "cam-1", "trailcam") == "a2.pth"
        assert await model_of(server, stub, "cam-1", "birds") == "b.pth"
    assert server.log.read_text().count("a0.pth was unloaded") <= 1


async def test_a_canary_takes_its_share_of_devices_and_leaves_again(server: Server) -> None:
    server.write(("trailcam", "a.pth", None), ("trailcam", "new.pth", 0.3), ("birds", "b.pth", None))
    await server.reload("3 models, 1 of them loaded, 0 leave")
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = wire_grpc.OffloadStub(channel)
        got = {device: await model_of(server, stub, device, "trailcam") for device in DEVICES}
        assert 3 <= list(got.values()).count("new.pth") <= 24
        assert got == {device: await model_of(server, stub, device, "trailcam") for device in DEVICES}
        server.write(("trailcam", "a.pth", None), ("trailcam", "new.pth", 0.9), ("birds", "b.pth", None))
        await server.reload("3 models, 0 of them loaded, 0 leave")
        more = {device: await model_of(server, stub, device, "trailcam") for device in DEVICES}
        assert all(more[device] == "new.pth" for device in DEVICES if got[device] == "new.pth")
        server.write(("trailcam", "a.pth", None), ("birds", "b.pth", None))
        await server.reload("new.pth was unloaded")
        assert await model_of(server, stub, "cam-1", "trailcam") == "a.pth"


async def test_a_model_whose_settings_alone_change_is_swapped_too(server: Server, tmp_path: Path) -> None:
    server.write(("trailcam", "a.pth", None), ("twin", "a.pth", None), ("birds", "b.pth", None))
    await server.reload("3 models, 1 of them loaded, 0 leave")
    text = server.file.read_text()
    for look in ("frame", "region", "frame"):
        server.file.write_text(text.replace('weights = "a.pth"', f'weights = "a.pth"\nlook = "{look}"'))
        await server.reload("3 models, 2 of them loaded, 2 leave")
    async with grpc.aio.insecure_channel(server.address) as channel:
        assert await model_of(server, wire_grpc.OffloadStub(channel), "cam-1", "twin") == "a.pth"
    assert len(list((tmp_path / "state" / "models").iterdir())) > 3


async def test_a_model_whose_files_change_goes_on_with_the_same_archive(server: Server, tmp_path: Path) -> None:
    def write(folder: str) -> None:
        archive = f'archive = "{folder}"\n' if folder else ""
        server.file.write_text(f'[[models]]\nname = "trailcam"\nweights = "own.pth"\n{archive}')

    weights, answers = tmp_path / "own.pth", tmp_path / "frames" / "answers.jsonl"
    weights.write_bytes(b"1")
    write("frames")
    await server.reload("1 models, 1 of them loaded, 2 leave")
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = wire_grpc.OffloadStub(channel)
        for change in (weights, tmp_path / "own.labels.txt", tmp_path / "config.json", weights):
            assert (await stub.Classify(frame(), metadata=server.metadata("cam-1"))).HasField("classification")
            change.write_bytes(change.read_bytes() + b"1" if change.exists() else b"1")
            await server.reload("1 models, 1 of them loaded, 1 leave")
        write("")  # the folder is left, and taken again
        await server.reload("1 models, 1 of them loaded, 1 leave")
        write("frames")
        await server.reload("1 models, 1 of them loaded, 1 leave")
        assert (await stub.Classify(frame(), metadata=server.metadata("cam-1"))).HasField("classification")
        while len(answers.read_text().splitlines()) < 5:  # noqa: ASYNC110 - the file of another process
            await asyncio.sleep(0.02)


async def test_two_entries_that_differ_in_their_share_alone_are_both_kept_and_both_leave(server: Server) -> None:
    server.write(("trailcam", "a.pth", None), ("trailcam", "a.pth", 0.3), ("birds", "b.pth", None))
    await server.reload("3 models, 1 of them loaded, 0 leave")
    server.write(("trailcam", "a.pth", None), ("trailcam", "a.pth", 0.4), ("birds", "b.pth", None))
    await server.reload("3 models, 0 of them loaded, 0 leave")
    server.write(("birds", "b.pth", None))
    await server.reload("1 models, 0 of them loaded, 2 leave")


async def test_a_file_with_a_fault_changes_nothing(server: Server) -> None:
    server.file.write_text('[[models]]\nname = "trailcam"\n')
    await server.reload("could not be reloaded, the old one stays")
    assert f"{server.file}:1: expected weights" in server.log.read_text()
    async with grpc.aio.insecure_channel(server.address) as channel:
        assert await model_of(server, wire_grpc.OffloadStub(channel), "cam-1", "birds") == "b.pth"


def test_a_server_does_not_start_with_a_fault(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text("[[models]]\n")
    import sys

    command = [sys.executable, "-m", "cloud_server", "--port", "0", "--models", str(tmp_path / "models.toml")]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert ended.returncode == 2
    assert "models.toml:1: expected name in each [[models]]" in ended.stderr


async def test_models_without_an_archive_of_their_own_keep_their_frames_in_the_servers(tmp_path: Path) -> None:
    file, log = tmp_path / "cloud-server.toml", tmp_path / "log"
    models = "".join(f'[[models]]\nname = "{name}"\nweights = "{name}.pth"\n' for name in ("a", "b", "own"))
    file.write_text(f'archive = "frames"\n{models}archive = "of-its-own"\n')
    metadata = {name: ((MODEL_HEADER, name),) for name in ("a", "b", "own")}
    with serving(log, "--config", file, "--state", "none", program=PROGRAM) as (process, address):
        async with grpc.aio.insecure_channel(address) as channel:
            stub = wire_grpc.OffloadStub(channel)
            for name in ("a", "b", "own"):
                assert (await stub.Classify(frame(), metadata=metadata[name])).HasField("classification")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert [json.loads(line)["model"] for line in (tmp_path / "frames/answers.jsonl").read_text().splitlines()] == [
        "a.pth",
        "b.pth",
    ]
    (line,) = (tmp_path / "of-its-own/answers.jsonl").read_text().splitlines()
    assert json.loads(line)["model"] == "own.pth"


async def test_models_take_turns_on_a_cpu_whatever_runs_them_each_with_its_own_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(weights: str, *others: Any) -> Any:
        model: Any = GatedModel()
        model.name, model.on_gpu = weights, weights == "gpu"
        model.device = {"gpu": "NVIDIA", "openvino": "cpu, OpenVINO", "bundle": "cpu, int8"}.get(weights, "cpu")
        return model

    warmed: dict[str, tuple[int, Any]] = {}
    monkeypatch.setattr(models, "load_model", load)
    monkeypatch.setattr(models, "warm_up", lambda model, most, turn: warmed.update({model.name: (most, turn)}))
    file = tmp_path / "models.toml"
    kinds = {"torch": 16, "openvino": 64, "bundle": 32, "gpu": 32}
    file.write_text(
        "".join(f'[[models]]\nname = "{one}"\nweights = "{one}"\nmax_batch = {most}\n' for one, most in kinds.items())
    )
    async with CloudServer(ServerConfig(port=0, models=file)):
        assert {name: most for name, (most, _) in warmed.items()} == kinds
    turns = {name: turn for name, (_, turn) in warmed.items()}
    assert turns.pop("gpu") is None
    assert None not in turns.values() and len(set(turns.values())) == 1


async def test_a_canary_that_lacks_labels_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def load(weights: str, *others: Any) -> Any:
        model = GatedModel()
        model.labels = {"same": model.labels[::-1], "other": ("bird", *model.labels[1:])}.get(weights, model.labels)
        model.name = model.fingerprint = weights
        return model

    monkeypatch.setattr(models, "load_model", load)
    file = tmp_path / "models.toml"
    text = "".join(f'[[models]]\nname = "a"\nweights = "{one}"\nshare = 0.1\n' for one in ("same", "other"))
    file.write_text(f'[[models]]\nname = "a"\nweights = "whole"\n{text}')
    async with CloudServer(ServerConfig(port=0, models=file)):
        (told,) = [record.message for record in caplog.records if "lacks" in record.message]
    assert told.startswith(f"other, which answers a share of a, lacks 1 labels of whole ({GatedModel.labels[0]})")
