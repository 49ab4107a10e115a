"""What of a changed config file holds at once, on a real server that a real command line started."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import grpc
import pytest
from gated_model import GatedModel, picture

from cloud_server.cli import _read_again
from cloud_server.cli import main as command
from cloud_server.command_settings import settings_of
from cloud_server.config_file import options_of
from cloud_server.reread import AT_ONCE, Reread
from cloud_server.server import CloudServer
from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc


@pytest.fixture(autouse=True)
def _level() -> Iterator[None]:
    before = logging.getLogger().level
    yield
    logging.getLogger().setLevel(before)


def server_of(path: Path, *arguments: str) -> CloudServer:
    with command.make_context("cloud-server", ["--config", str(path), *arguments]) as context:
        settings = settings_of(context)
    return CloudServer(settings.config, GatedModel(), reread=Reread(path, settings, partial(_read_again, context)))


def test_what_holds_at_once_are_keys() -> None:
    assert options_of(command).keys() >= AT_ONCE


async def test_limits_and_log_level_hold_at_once_and_the_rest_waits_for_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "cloud-server.toml"
    path.write_text("port = 0\nmax_frames_per_s = 0.001\nburst = 1\n")
    async with server_of(path, "--queue", "9") as server, grpc.aio.insecure_channel(server.address) as channel:
        stub = wire_grpc.OffloadStub(channel)

        async def taken() -> bool:
            reply = await stub.Classify(wire.ClassifyRequest(frame_id=new_frame_id(), image=picture()))
            return bool(reply.HasField("classification"))

        assert [await taken(), await taken()] == [True, False]
        path.write_text("port = 0\nmax_frames_per_s = 1e6\nburst = 9\nlok = 1\n")
        assert not await server.reload()
        assert f"{path}:4: expected a key of `cloud-server --help`; got 'lok'; did you mean look?" in caplog.text
        assert not await taken()

        path.write_text('port = 0\nmax_frames_per_s = 1e6\nburst = 9\nlook = "frame"\nqueue = 5\nlog_level = "debug"\n')
        caplog.clear()
        assert await server.reload()
        assert f"{path}: these changes wait for a restart: look" in caplog.text  # the queue is the command line's
        assert "max_frames_per_s 0.001 -> 1000000.0, burst 1 -> 9, log_level info -> debug" in caplog.text
        assert await taken()
        assert logging.getLogger().level == logging.DEBUG
        caplog.clear()
        assert await server.reload()
        assert "these changes wait for a restart: look" in caplog.text  # it still does
        assert "unchanged: config file" in caplog.text


async def test_other_labels_hold_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    path, map_path = tmp_path / "cloud-server.toml", tmp_path / "map.json"
    map_path.write_text('{"*": "animal"}')
    path.write_text("port = 0\n")
    async with server_of(path) as server, grpc.aio.insecure_channel(server.address) as channel:
        stub = wire_grpc.OffloadStub(channel)

        async def labels() -> list[str]:
            return list((await stub.Describe(wire.DescribeRequest())).labels)

        assert len(await labels()) == 3
        path.write_text('port = 0\nlabel_map = "map.json"\n')
        assert await server.reload() and await labels() == ["animal"]
        path.write_text('port = 0\nlabel_map = "none.json"\n')
        assert not await server.reload() and await labels() == ["animal"]
        path.write_text("port = 0\n")
        assert await server.reload() and len(await labels()) == 3
