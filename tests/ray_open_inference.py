"""Run as a process: two replicas with a GPU each (Ray counts two, whatever the machine has), for standard clients.

Serves until its input ends, and says so once it does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import ray
from ray import serve
from ray.serve.config import gRPCOptions

from cloud_server.ray_app import Options, app

ADDER = "cloud_server.open_inference.grpc_service.add_to_server"


def main(folder: Path, port: int, http_port: int) -> None:
    """Start Ray and serve; the folder has the tokens, and gets what each replica was given."""
    os.environ["RAY_HOOKS_FOLDER"] = str(folder / "replicas")
    ray.init(
        "local",
        num_cpus=2,
        num_gpus=2,
        object_store_memory=100 << 20,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        runtime_env={"worker_process_setup_hook": "ray_hooks.load_gated_models"},
    )
    try:
        serve.start(
            http_options={"host": "127.0.0.1", "port": http_port},
            grpc_options=gRPCOptions(port=port, grpc_servicer_functions=[ADDER]),
        )
        options = Options(
            tokens=str(folder / "tokens"), open_inference=True, cpus=0.5, gpus=1, min_replicas=2, max_replicas=2
        )
        serve.run(app(options), name="edge-sdk")
        sys.stdout.write("serving\n")
        sys.stdout.flush()
        sys.stdin.read()
    finally:
        serve.shutdown()
        ray.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
