"""The application on Ray Serve: what Ray is told of it, and a real local Ray in a process of its own (slow)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from free_ports import free_port
from gated_model import GatedModel, picture
from grpc_health.v1 import health_pb2
from ray_parts import Context

from cloud_server import models
from cloud_server.model.batching import Little
from cloud_server.model.ticket import Ran
from cloud_server.open_inference import open_inference_pb2 as oip
from edge_sdk.errors import ConfigError
from edge_sdk.types import Image, new_frame_id
from edge_sdk.wire import offload_pb2 as wire

TESTS = Path(__file__).resolve().parent.parent
pytest.importorskip("ray", reason='needs Ray: pip install ".[cloud,ray]"')


@pytest.mark.filterwarnings("ignore")  # of Ray's own code
def test_the_application_names_its_deployments() -> None:
    from cloud_server.ray_app import Options, app

    assert app(Options(gpus=0.5, accelerator="L4")) is not None
    assert app({"max_batch": "8"}) is not None  # as Ray reads a config file and `serve run ... max_batch=8`
    with pytest.raises(ConfigError):
        app(Options(queue=0))
    with pytest.raises(ConfigError, match="cannot share"):
        app(Options(database="fleet.db"))


class Exiting(GatedModel):
    """Every picture leaves at its second exit."""

    exits = ("blocks.1", "blocks.3", "big model")

    def run(self, images: Sequence[Image], little: Sequence[Little] = ()) -> Ran:  # type: ignore[override]
        rows, macs = super().run(images, little)
        return Ran(rows, macs, np.full(len(images), 1))


@pytest.mark.filterwarnings("ignore")
def test_rays_own_handles_reach_the_methods_of_a_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray import serve

    from cloud_server.ray_app import Options, app

    monkeypatch.setattr(models, "load_model", lambda *_: Exiting())
    # Ray's handles and wrappers, without its processes.
    handle: Any = serve.run(app(Options(open_inference=True)), _local_testing_mode=True, name="local")

    def said(method: str, request: Any) -> Any:
        return getattr(handle, method).remote(request, grpc_context=Context()).result(timeout_s=300)

    request = wire.ClassifyRequest(frame_id=new_frame_id(), image=picture(1))
    reply = said("Classify", request)
    assert (reply.classification.label, reply.classification.exit) == ("grey fox", 2)
    assert said("Classify", request) == reply
    described = said("Describe", wire.DescribeRequest())
    assert (described.model, list(described.exits)) == ("gated", list(Exiting.exits))
    assert said("Check", health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
    assert said("ServerReady", oip.ServerReadyRequest()).ready
    told = said("ModelStatistics", oip.ModelStatisticsRequest(name="gated"))
    assert told.model_stats[0].name == "gated"
    handle.stop.remote().result(timeout_s=300)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("throughput_optimized", ["0", "1"])
def test_a_killed_replica_loses_nothing_and_counts_nothing_twice(tmp_path: Path, throughput_optimized: str) -> None:
    ports = [str(free_port()), str(free_port())]
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
