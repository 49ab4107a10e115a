"""How quick torch.compile is on this machine, in a bounded time.

`python -m cloud_server.model.compile_trial` measures it.

Compiling takes as long as it takes and cannot be told to stop, and compilers crash. So it is tried in a process of its
own, which is ended when the time is up; what was measured until then counts.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import numpy as np

from cloud_server.model.sizing import Measured, sizes_up_to
from cloud_server.model.trial import least_s
from cloud_server.model.tuning import short_runs
from edge_sdk.errors import ConfigError

MODULE = "cloud_server.model.compile_trial"


def compiled_runs(
    model: str,
    device: str,
    threads: int,
    most: int,
    *,
    limit_s: float,
    for_s: float,
    tell: Callable[[str], None] = lambda words: None,
    command: Sequence[str] = (sys.executable, "-P", "-m", MODULE),
) -> Iterator[Measured]:
    """Runs of the compiled model, at 1, 2, 4, ... frames, as many as the time allows.

    Args:
        model: as `--model`.
        device: as `--device`.
        threads: of the CPU; 0: it runs on a GPU.
        most: frames in one run.
        limit_s: seconds after which it ends, wherever it is.
        for_s: seconds for which each size is run, once it is compiled.
        tell: called with what it does now.
        command: measures; for tests.

    Raises:
        ConfigError: torch cannot compile it here, or not one size in time.
    """
    began = time.monotonic()
    sizes, where = sizes_up_to(most), f"{threads} threads" if threads else "the GPU"
    arguments = [model, device, str(threads), str(most), str(for_s)]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            start_new_session=True,  # the compilers that it begins are ended with it
        )
        is_late = threading.Event()

        def give_up() -> None:
            is_late.set()
            _end(process)

        timer = threading.Timer(limit_s, give_up)
        timer.start()
        assert process.stdout is not None
        told: dict[str, object] = {}
        done = 0
        try:
            tell(f"compile, {where}, {sizes[0]} a run; at most {limit_s:.0f} s to go")
            for line in process.stdout:
                told = json.loads(line)
                if "run_s" not in told:
                    break
                done += 1
                yield Measured(threads, sizes[done - 1], float(str(told["run_s"])), "compile")
                if done < len(sizes):
                    gone_s = time.monotonic() - began
                    left_s = max(0.0, min(limit_s - gone_s, gone_s / done * (len(sizes) - done)))
                    tell(f"compile, {where}, {sizes[done]} a run; about {left_s:.0f} s to go")
            if "run_s" in told or not told:
                process.wait()  # it has closed its output without a last word
        finally:
            timer.cancel()
            _end(process)
            process.stdout.close()
        if "error" in told:
            raise ConfigError(str(told["error"]))
        if "done" in told:
            return
        if is_late.is_set() and done:
            tell(f"compile: {limit_s:.0f} s are up, larger batches were not tried")
        elif is_late.is_set():
            raise ConfigError(f"nothing was compiled within {limit_s:.0f} s: --compile-limit takes more")
        else:
            said.seek(0)
            words = said.read().decode(errors="replace").strip().splitlines()
            why = words[-1] if words else "no word"
            raise ConfigError(f"the compiler's process ended with code {process.returncode}: {why}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and the compilers that it began; nothing happens where it has ended."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def measure(model: str, device: str, threads: int, most: int, for_s: float, tell: Callable[[str], object]) -> None:
    """Compile and run one size after the other, as far as the server would use it; each is told as a line of JSON."""
    from cloud_server.model.big import load_torch
    from cloud_server.model.compiled_model import CompiledModel

    try:
        big = load_torch(model, device, threads or None, compiled=True)
        assert isinstance(big, CompiledModel)
        image = big.prepare(np.random.default_rng(0).integers(0, 256, (big.input_height, big.input_width, 3), np.uint8))

        def run(size: int) -> float:
            big.make_ready(size)
            return least_s(lambda: big.run([image] * size, [None] * size), for_s)

        for _, took_s in short_runs(most, run) if threads else ((size, run(size)) for size in sizes_up_to(most)):
            tell(json.dumps({"run_s": took_s}))
        tell(json.dumps({"done": True}))
    except ConfigError as error:
        tell(json.dumps({"error": " ".join(str(error).split())}))


def main(model: str, device: str, threads: str, most: str, for_s: str) -> None:
    """Measure; standard output has nothing but what is told, whatever compilers print."""
    results = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    measure(model, device, int(threads), int(most), float(for_s), lambda line: results.write(line + "\n"))


if __name__ == "__main__":
    main(*sys.argv[1:])
