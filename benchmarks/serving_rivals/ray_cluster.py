"""A Ray of one benchmark's own, which ends when its process is told to."""

# mypy: ignore-errors
from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress

import ray
from ray import serve


def run_until_told(start: Callable[[], None]) -> None:
    """Start Ray and call `start`; end both at SIGTERM, also while they start."""
    told = threading.Event()

    def listen() -> None:
        signal.signal(signal.SIGTERM, lambda *_: told.set())

    listen()
    ray.init(
        "local",  # another Ray may run on this machine
        num_cpus=4,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100 << 20,
        runtime_env={
            "env_vars": {"PYTHONPATH": os.environ["PYTHONPATH"], "OMP_NUM_THREADS": os.environ["SERVING_THREADS"]}
        },
    )
    listen()  # Ray put its own handler there, which ends the process and leaves Ray's others
    try:
        if not told.is_set():
            start()
            told.wait()
    finally:
        with suppress(RuntimeError):
            serve.shutdown()
        ray.shutdown()
