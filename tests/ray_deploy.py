"""Run as a process on a node of a Ray cluster: deploys, then tells when replicas are where they should be."""

from __future__ import annotations

import json
import sys
import time

import ray
from ray import serve
from ray.serve.config import gRPCOptions
from ray.serve.context import _get_global_client

from cloud_server.ray_app import app

NAME = "edge-sdk"
ADDER = "edge_sdk.wire.offload_pb2_grpc.add_OffloadServicer_to_server"


def places() -> list[str]:
    """The address of each running replica's node."""
    told = ray.get(_get_global_client()._controller.get_serve_instance_details.remote())
    replicas = told["applications"][NAME]["deployments"]["Offload"]["replicas"]
    running = [one["node_ip"] for one in replicas if one["state"] == "RUNNING"]
    return sorted(running)


def main(address: str, port: int, options: str) -> None:
    """Deploy with these options (JSON); each line of the input names addresses that replicas are to run at."""
    ray.init(address, log_to_driver=False, runtime_env={"worker_process_setup_hook": "ray_hooks.load_gated_trailcam"})
    serve.start(
        proxy_location="EveryNode",
        http_options={"host": "127.0.0.1", "port": 8000},
        grpc_options=gRPCOptions(port=port, grpc_servicer_functions=[ADDER]),
    )
    serve.run(app(json.loads(options)), name=NAME)
    for line in sys.stdin:
        while places() != line.split():
            time.sleep(1)
        sys.stdout.write("there\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
