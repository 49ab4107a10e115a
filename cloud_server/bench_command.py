"""`cloud-server bench`: what suits this machine and model, what to set, and what it would serve."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import click

from cloud_server.local import PACKAGES
from edge_sdk.errors import ConfigError

if TYPE_CHECKING:
    from cloud_server.model.big import BigModel
    from cloud_server.model.sizing import Measured

LIMIT = "Most that trying torch.compile may take; 0s leaves it out."
INSTALL = "pip install '.[cloud]'"
RUNS_S = 0.5
"""Seconds for which each way is run, at least twice."""


def _seconds(ctx: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)\s*(ms|s)", text.strip(), re.ASCII)
    if match is None or (float(match[1]) <= 0 and parameter.name != "compile_limit"):
        raise click.BadParameter(f"expected a time such as 50ms or 1.5s; got {text!r}")
    return float(match[1]) / (1000 if match[2] == "ms" else 1)


@click.command()
@click.option("--model", default="trailcam", show_default=True, help="As of cloud-server.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--latency-goal", metavar="TIME", callback=_seconds, help="Most a frame may take under full load: 50ms.")
@click.option("--max-batch", type=click.IntRange(1, 1024), default=32, show_default=True, help="Largest batch to try.")
@click.option("--compile-limit", metavar="TIME", callback=_seconds, default="180s", show_default=True, help=LIMIT)
def bench(model: str, device: str, latency_goal: float | None, max_batch: int, compile_limit: float) -> None:
    """Measure the model on this machine, and say what to set and what it would serve.

    It tries torch, and OpenVINO where that is installed, with numbers of threads and of frames in a run, with nothing
    else to do; it takes about half a second for each. Then it tries torch.compile, with the threads that suited torch,
    for as long as --compile-limit says. Stop a server that runs here before, or all are measured too slow.
    """
    from importlib.util import find_spec

    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise click.ClickException(f"it needs {', '.join(missing)}, which this Python lacks: {INSTALL}")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    import cv2
    from rich.console import Console
    from rich.table import Table

    from cloud_server.memory import MOST_KEPT_BYTES, return_large_blocks
    from cloud_server.model.big import ThreadedModel, load_model
    from cloud_server.model.compile_trial import compiled_runs
    from cloud_server.model.openvino_model import INSTALL as OPENVINO
    from cloud_server.model.openvino_model import is_installed, usable_cores
    from cloud_server.model.sizing import best, expected

    console = Console(width=max(100, Console().width), highlight=False)
    cv2.setNumThreads(1)
    big = load_model(model, device)
    return_large_blocks(MOST_KEPT_BYTES)
    cores = usable_cores()
    picture_s = _decode_s(big)
    console.print(
        f"{big.name} on {big.device}, {cores} cores; decoding a picture of 640x480 takes {1e3 * picture_s:.1f} ms"
    )
    measured = list(_measured(big, "torch", cores, max_batch, console.print))
    if isinstance(big, ThreadedModel) and not big.on_gpu:
        if not is_installed():
            console.print(f"OpenVINO, which is often quicker on the CPU, is not installed: {OPENVINO}", soft_wrap=True)
        else:
            try:
                other = load_model(model, "cpu", engine="openvino")
                measured += _measured(other, "openvino", cores, max_batch, console.print)
            except ConfigError as error:
                console.print(f"without OpenVINO: {error}", soft_wrap=True)
    if isinstance(big, ThreadedModel) and compile_limit:
        suits = best([expected(way, picture_s, cores) for way in measured if way.engine == "torch"], None).measured
        tried = compiled_runs(
            model, device, suits.threads, max_batch, limit_s=compile_limit, for_s=RUNS_S, tell=console.print
        )
        try:
            for run in tried:  # those before an error count
                measured.append(run)
        except ConfigError as error:
            console.print(f"without torch.compile: {error}", soft_wrap=True)
    ways = [expected(way, picture_s, cores) for way in measured]
    chosen = best(ways, latency_goal)
    table = Table("engine", "threads", "batch", "run ms", "frames/s", "latency ms", "", title="Under full load")
    for way in ways:
        mark = "<- best" if way is chosen else ""
        row = way.measured.engine, way.measured.threads or "GPU", way.measured.batch, f"{1e3 * way.measured.run_s:.1f}"
        table.add_row(*map(str, row), f"{way.frames_per_s:.0f}", f"{1e3 * way.latency_s:.0f}", mark)
    console.print(table)
    threads = f" --threads {chosen.measured.threads}" if chosen.measured.threads else ""
    engine = f" --engine {chosen.measured.engine}" if chosen.measured.engine != "torch" else ""
    batch = f" --max-batch {chosen.measured.batch} --decoders {chosen.decoders}"
    settings = f"--model {shlex.quote(model)} --device {device}{engine}{threads}{batch}"
    console.print(f"cloud-server {settings}", soft_wrap=True)
    console.print(
        f"would serve about {chosen.frames_per_s:.0f} frames a second, each within about {1e3 * chosen.latency_s:.0f} "
        "ms; leave --max-wait-ms at 0: a model that gains by waiting waits by itself",
        soft_wrap=True,
    )
    if chosen.measured.engine == "compile":
        console.print("it compiles at each start, before it serves: a minute or more", soft_wrap=True)
    if latency_goal is not None and chosen.latency_s > latency_goal:
        raise ConfigError(
            f"expected a latency of at most {1e3 * latency_goal:g} ms under full load; the least here is about "
            f"{1e3 * chosen.latency_s:.0f} ms: a smaller model, a GPU, or a later goal"
        )


def _decode_s(big: BigModel) -> float:
    import cv2
    import numpy as np

    from cloud_server.model.decode import Limits, decode
    from cloud_server.model.trial import least_s

    grain = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    data = cv2.imencode(".jpg", cv2.resize(grain, (640, 480), interpolation=cv2.INTER_CUBIC))[1].tobytes()
    return least_s(lambda: big.prepare(decode(data, Limits())), RUNS_S)


def _measured(
    big: BigModel, engine: str, cores: int, max_batch: int, tell: Callable[[str], None]
) -> Iterator[Measured]:
    import numpy as np

    from cloud_server.model.big import ThreadedModel
    from cloud_server.model.sizing import Measured, sizes_up_to
    from cloud_server.model.trial import least_s
    from cloud_server.model.tuning import short_runs

    image = big.prepare(np.random.default_rng(0).integers(0, 256, (big.input_height, big.input_width, 3), np.uint8))
    sizes = sizes_up_to(max_batch)
    if not isinstance(big, ThreadedModel):
        counts, sizes = [1], [1]
    elif big.on_gpu:
        counts = [0]
    else:
        counts = sorted({1, max(1, cores // 2), cores})

    def run(size: int, threads: int) -> float:
        left = len(sizes) * (len(counts) - counts.index(threads)) - sizes.index(size)
        where = f"{threads} threads" if threads else "the GPU"
        tell(f"{engine}, {where}, {size} a run; about {left * RUNS_S * 1.5:.0f} s to go")
        return least_s(lambda: big.run([image] * size, [None] * size), RUNS_S)

    for threads in counts:
        if threads and isinstance(big, ThreadedModel):
            big.use_threads(threads)
        one = partial(run, threads=threads)
        for size, took_s in short_runs(sizes[-1], one) if threads else ((size, one(size)) for size in sizes):
            yield Measured(threads, size, took_s, engine)
