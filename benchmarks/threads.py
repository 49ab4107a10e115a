"""Time of a training step by number of CPU threads, while other programs keep cores busy.

    python benchmarks/threads.py [--model resnet10t] [--size 64] [--batch 64] [--busy 0 1 2] [--rounds 5]

`--busy` programs compute beside the training. The numbers of threads take turns, so that all see the same load; the
median of the steps is told, with what `edge-sdk train` would take by default.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from edge_sdk.networks.timm_library import import_timm
from edge_sdk.workbench.threads import look

STEPS = 5


def compute() -> None:
    """Keep a core busy."""
    while True:
        sum(range(10_000))


def step_ms(module: Any, pictures: torch.Tensor, threads: int) -> list[float]:
    """Milliseconds of some steps, forward and backward."""
    torch.set_num_threads(threads)
    times = []
    for _ in range(STEPS):
        start = time.perf_counter()
        module(pictures).square().mean().backward()
        times.append(1e3 * (time.perf_counter() - start))
    return times


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnet10t", help="timm name")
    parser.add_argument("--size", type=int, default=64, help="side of the pictures")
    parser.add_argument("--batch", type=int, default=64, help="pictures per step")
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2], help="programs beside the training")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each number of threads")
    options = parser.parse_args()
    most = multiprocessing.cpu_count()
    module = import_timm().create_model(options.model, num_classes=40).to(memory_format=torch.channels_last).train()
    pictures = torch.randn(options.batch, 3, options.size, options.size).to(memory_format=torch.channels_last)
    numbers = sorted({1, max(1, most // 2), most})
    table = Table(title=f"ms a step, {options.model} at {options.size}, batch {options.batch}, {most} cores")
    for column in ("busy programs", *(f"{number} threads" for number in numbers), "taken by default"):
        table.add_column(column)
    for busy in options.busy:
        others = [multiprocessing.Process(target=compute, daemon=True) for _ in range(busy)]
        for one in others:
            one.start()
        time.sleep(0.5)
        taken = look().spare()
        times: dict[int, list[float]] = {number: [] for number in numbers}
        for _ in range(options.rounds):
            for number in numbers:
                times[number] += step_ms(module, pictures, number)
        for one in others:
            one.terminate()
        table.add_row(str(busy), *(f"{statistics.median(times[number]):.0f}" for number in numbers), str(taken))
    Console().print(table)


if __name__ == "__main__":
    main()
