"""Our server on Ray Serve: one replica behind Ray's gRPC port."""

# mypy: ignore-errors
import os

os.environ.setdefault("RAY_SERVE_THROUGHPUT_OPTIMIZED", "1")
os.environ.setdefault("RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S", "0")  # else its end takes 30 s
os.environ.setdefault("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "60")  # for busy cores

from ray import serve
from ray.serve.config import gRPCOptions
from ray_cluster import run_until_told
from shared import BATCH, ENGINE, PORT, THREADS

from cloud_server.ray_app import Options, app

ADDER = "edge_sdk.wire.offload_pb2_grpc.add_OffloadServicer_to_server"


def start() -> None:
    """Start Ray's proxy with our service, and one replica."""
    options = Options(device="cpu", engine=ENGINE, threads=THREADS, max_batch=BATCH, queue=1024, max_replicas=1)
    serve.start(
        http_options={"host": "127.0.0.1", "port": 0},
        grpc_options=gRPCOptions(port=PORT, grpc_servicer_functions=[ADDER]),
    )
    serve.run(app(options), name="edge-sdk")


if __name__ == "__main__":
    run_until_told(start)
