from __future__ import annotations

import asyncio
import json
import logging
import sys

import pytest

from cloud_server.log_format import JsonFormatter, about


def line(message: str, *args: object, **extra: object) -> dict[str, str]:
    record = logging.LogRecord("a.b", logging.WARNING, "", 0, message, args, None, **extra)  # type: ignore[arg-type]
    text = JsonFormatter().format(record)
    assert "\n" not in text
    found: dict[str, str] = json.loads(text)
    return found


def test_a_line_is_an_object() -> None:
    found = line("refused %s", "a\nb\x1b[31m")
    assert found.keys() == {"time", "level", "logger", "message"}
    assert (found["level"], found["logger"]) == ("warning", "a.b")
    assert found["message"].startswith("refused a")


def test_what_a_line_is_about_goes_on_into_tasks() -> None:
    async def run() -> list[dict[str, str]]:
        async def one(frame_id: str) -> dict[str, str]:
            with about(frame_id, "cam-1", "f" * 32):
                await asyncio.sleep(0)
                return await asyncio.create_task(asyncio.sleep(0, line("answered")))

        return [*await asyncio.gather(one("a"), one("b")), line("else")]

    first, second, other = asyncio.run(run())
    assert (first["frame_id"], second["frame_id"], first["device"], first["trace_id"]) == ("a", "b", "cam-1", "f" * 32)
    assert "frame_id" not in other


def test_exceptions_stay_on_one_line() -> None:
    try:
        raise ValueError("it\nbreaks")
    except ValueError:
        record = logging.LogRecord("a", logging.ERROR, "", 0, "failed", (), sys.exc_info())
    text = JsonFormatter().format(record)
    assert "\n" not in text
    assert "ValueError: it\nbreaks" in json.loads(text)["exception"]


def test_a_frame_of_a_real_server_has_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    """In its own loop, with a real call: the lines of a refused frame name it."""
    from gated_model import GatedModel
    from open_inference_parts import CONFIG

    from cloud_server.server import CloudServer
    from edge_sdk.wire import offload_pb2 as wire
    from edge_sdk.wire import offload_pb2_grpc as wire_grpc

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    log = logging.getLogger("cloud_server")
    log.addHandler(handler)

    async def run() -> None:
        import dataclasses

        import grpc

        async with (
            CloudServer(dataclasses.replace(CONFIG, http_port=None, open_inference=False), GatedModel()) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            asked = wire.ClassifyRequest(frame_id="a" * 32, image=b"no picture")
            await wire_grpc.OffloadStub(channel).Classify(asked)

    try:
        asyncio.run(run())
    finally:
        log.removeHandler(handler)
    lines = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    about_it = [one for one in lines if "refused a frame" in one["message"]]
    assert [one["frame_id"] for one in about_it] == ["a" * 32]
    assert about_it[0]["device"] == "127.0.0.1"
