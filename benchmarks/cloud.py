"""Throughput and latency of the cloud server: unary calls against one stream, by frames in flight.

    python benchmarks/cloud.py                        # the shipped model, on this machine's CPU
    python benchmarks/cloud.py --model resnet50 --device cuda
    python benchmarks/cloud.py --address vm.example:50051

Client and server share the machine unless `--address` names one. A timm name gets random weights: nothing is fetched.
"""

from __future__ import annotations

import asyncio
import itertools
import platform
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import cv2
import grpc
import numpy as np
from rich.console import Console
from rich.table import Table

from cloud_server.local import start_local_server
from edge_sdk.images.encode import encode
from edge_sdk.images.rendition import Upload
from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

IN_FLIGHT = (1, 8, 32)
Measure = Callable[[Any, Iterator[wire.ClassifyRequest], int], Awaitable[list[float]]]


def pictures(count: int = 16) -> list[bytes]:
    """JPEGs of 640x480 at quality 85, about 40 KB each: smooth noise with the detail of a photo."""
    rng = np.random.default_rng(0)
    result = []
    for _ in range(count):
        layers = [cv2.resize(rng.normal(0, 40 / 2**k, (15 << k, 20 << k, 3)), (640, 480)) for k in range(5)]
        result.append(encode(np.clip(128 + sum(layers), 0, 255).astype(np.uint8), Upload()))
    return result


async def unary(stub: Any, requests: Iterator[wire.ClassifyRequest], in_flight: int) -> list[float]:
    """Seconds from asking to answer for each frame; `in_flight` callers, one call after the other."""
    taken: list[float] = []

    async def caller() -> None:
        for request in requests:
            began = time.perf_counter()
            check(await stub.Classify(request))
            taken.append(time.perf_counter() - began)

    await asyncio.gather(*(caller() for _ in range(in_flight)))
    return taken


async def stream(stub: Any, requests: Iterator[wire.ClassifyRequest], in_flight: int) -> list[float]:
    """The same over one stream that keeps `in_flight` frames under way."""
    call, began, taken = stub.Stream(), {}, []

    async def send() -> bool:
        request = next(requests, None)
        if request is not None:
            began[request.frame_id] = time.perf_counter()
            await call.write(request)
        return request is not None

    for _ in range(in_flight):
        await send()
    while began:
        reply = check(await call.read())
        taken.append(time.perf_counter() - began.pop(reply.frame_id))
        await send()
    await call.done_writing()
    return taken


def check(reply: wire.ClassifyReply) -> wire.ClassifyReply:
    """Refuse to measure failures."""
    if not reply.HasField("classification"):
        raise click.ClickException(f"a frame was not answered: {reply.failure.message}")
    return reply


async def measure(address: str, frames: int) -> Table:
    """Run every combination and return the table."""
    images = pictures()
    kinds: dict[str, Measure] = {"unary": unary, "stream": stream}
    async with grpc.aio.insecure_channel(address) as channel:
        stub = wire_grpc.OffloadStub(channel)
        said = await stub.Describe(wire.DescribeRequest())
        size = f"{said.input_width}x{said.input_height}, {said.macs / 1e6:,.0f} M MACs"
        kilobytes = np.mean([len(image) for image in images]) / 1000
        table = Table("call", "in flight", "frames/s", "p50 ms", "p95 ms", title=f"{said.model}, {size}")
        table.caption = (
            f"{frames} frames each, 640x480 JPEG of {kilobytes:.0f} KB; {platform.processor() or platform.machine()}"
        )
        for in_flight, (name, kind) in itertools.product(IN_FLIGHT, kinds.items()):
            await kind(stub, requests(images, in_flight * 2), in_flight)
            began = time.perf_counter()
            taken = await kind(stub, requests(images, frames), in_flight)
            rate = frames / (time.perf_counter() - began)
            p50, p95 = np.percentile(taken, (50, 95)) * 1000
            table.add_row(name, str(in_flight), f"{rate:.0f}", f"{p50:.2f}", f"{p95:.2f}")
    return table


def requests(images: list[bytes], count: int) -> Iterator[wire.ClassifyRequest]:
    """`count` frames, each with an id of its own."""
    for image in itertools.islice(itertools.cycle(images), count):
        yield wire.ClassifyRequest(frame_id=new_frame_id(), image=image)


def random_checkpoint(name: str, folder: Path) -> str:
    """The timm network `name` with random weights, as a checkpoint."""
    from edge_sdk.networks.checkpoint import create_model, save_checkpoint

    module, info = create_model(name)
    return str(save_checkpoint(folder / f"{name}.safetensors", module, info))


@click.command()
@click.option(
    "--model", default="trailcam", show_default=True, help="A shipped model, a checkpoint, a bundle, a timm name."
)
@click.option("--device", default="cpu", show_default=True)
@click.option("--threads", type=int, help="CPU threads of the model.")
@click.option("--frames", default=400, show_default=True, help="Frames for each row.")
@click.option("--address", help="Measure a server that runs already.")
def main(model: str, device: str, threads: int | None, frames: int, address: str | None) -> None:
    """Print throughput and latency of the cloud server as a table."""
    with ExitStack() as stack:
        if address is None:
            if model != "trailcam" and not Path(model).exists():
                model = random_checkpoint(model, Path(stack.enter_context(tempfile.TemporaryDirectory())))
            options = ["--device", device, *(["--threads", str(threads)] if threads else [])]
            address = stack.enter_context(start_local_server(model, *options))
        Console().print(asyncio.run(measure(address, frames)))


if __name__ == "__main__":
    main()
