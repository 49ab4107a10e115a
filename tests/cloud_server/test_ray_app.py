"""The server on Ray Serve: its options and shared replies here, and a real local Ray in a process of its own (slow)."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from postgres_server import Postgres

from cloud_server.fleet.reply_cache import CachedReply
from edge_sdk.errors import ConfigError
from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire

TESTS = Path(__file__).resolve().parent.parent
pytest.importorskip("ray", reason='needs Ray: pip install ".[cloud,ray]"')


@pytest.mark.filterwarnings("ignore")  # of Ray's own code
def test_options_become_the_settings_of_each_replica() -> None:
    from cloud_server.ray_app import Options

    config = Options(tokens="/t", cpus=3.5, max_frames_per_s=2).config()
    assert (config.tokens, config.threads, config.max_frames_per_s) == (Path("/t"), 3, 2)
    with pytest.raises(ConfigError, match="max_batch of at least 1"):
        Options(max_batch=0).config()
    with pytest.raises(ValueError, match="Extra inputs"):
        Options.model_validate({"tokns": "x"})


@pytest.mark.filterwarnings("ignore")
async def test_the_first_reply_stays_and_counts_once() -> None:
    from cloud_server.ray_app import KeptReplies

    replies = KeptReplies(None)
    assert await replies.get(b"1", "a") is None
    await replies.use("a", 10)
    await replies.put(b"1", CachedReply(b"d", b"first"), "a")
    await replies.put(b"1", CachedReply(b"d", b"second"), "a")
    found = await replies.get(b"1", "a")
    assert found is not None and found.classification == b"first"
    assert await replies.kept() == 1
    await replies.use("b", 10)  # another model: its replicas never see the replies of the one before
    assert await replies.get(b"1", "b") is None
    await replies.put(b"2", CachedReply(b"d", b"late"), "a")
    assert await replies.get(b"2", "b") is None


@pytest.mark.filterwarnings("ignore")
def test_the_application_names_its_deployments() -> None:
    from cloud_server.ray_app import Options, app

    assert app(Options(gpus=0.5, accelerator="L4")) is not None
    assert app({"max_batch": "8"}) is not None  # as Ray reads a config file and `serve run ... max_batch=8`
    with pytest.raises(ConfigError):
        app(Options(queue=0))
    with pytest.raises(ConfigError, match="cannot share"):
        app(Options(database="fleet.db"))


class _Call:
    """What Ray hands to a replica with a call."""

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return []

    def peer(self) -> str:
        return "ipv4:192.0.2.7:5"


@pytest.mark.filterwarnings("ignore")
async def test_replicas_share_replies_in_the_database_and_take_reports(
    checkpoint: Path, postgres_process: Postgres
) -> None:
    from cloud_server.ray_app import Offload, Options

    options = Options(model=str(checkpoint), database=postgres_process.new_database(), max_batch=2)
    first, second = Offload(options, None), Offload(options, None)
    image = bytes(cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1])
    request = wire.ClassifyRequest(frame_id=new_frame_id(), image=image)
    try:
        await first.check_health()
        reply = await first.Classify(request, _Call())
        assert reply.classification.label
        assert await second.Classify(request, _Call()) == reply
        assert second.stats.repeats == 1 and second.stats.frames == 0  # the model did not run again
        assert (await second.Report(wire.ReportRequest(sent_ms=1), _Call())).taken
    finally:
        await first.stop()
        await second.stop()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("throughput_optimized", ["0", "1"])
def test_a_killed_replica_loses_nothing_and_counts_nothing_twice(tmp_path: Path, throughput_optimized: str) -> None:
    with socket.socket() as first, socket.socket() as second:
        for taken in (first, second):
            taken.bind(("127.0.0.1", 0))
        ports = [str(taken.getsockname()[1]) for taken in (first, second)]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{TESTS}:{TESTS.parent}",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": throughput_optimized,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",  # a busy machine: Ray kills a proxy that takes 5 s to start
    }
    with (tmp_path / "log").open("w") as log:
        done = subprocess.run(
            [sys.executable, str(TESTS / "ray_fleet.py"), str(tmp_path), *ports],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=560,
        )
    assert done.returncode == 0, (tmp_path / "log").read_text()[-3000:]
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen["scales"] == [1, 2, 1]
    assert seen["without a token"] == "UNAUTHENTICATED"
    assert seen["broken"] >= 1  # a replica was killed with streams open
    assert seen["answered"] == seen["kept"] == seen["kept after all came again"] >= 4 * 9
    assert seen["answered otherwise"] == 0
    assert seen["answered at the end"]
    told = seen["metrics"]  # by the names of `cloud-server --http`
    assert told["cloud_server_frames_total"] > 0
    assert told["edge_sdk_model_frames_total"] >= told["cloud_server_frames_total"]
    assert told["edge_sdk_stage_seconds_count"] >= told["cloud_server_latency_seconds_count"] > 0
