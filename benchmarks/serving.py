"""Servers side by side: ours, mosec, LitServe, plain gRPC, Ray Serve and ours on it, with one model on the same cores.

    python benchmarks/serving.py                       # makes an environment with the others under build/rivals
    python benchmarks/serving.py --python VENV/bin/python --turns 3 --only ours,mosec
    python benchmarks/serving.py --engine openvino     # all of them with OpenVINO in place of torch
    python benchmarks/serving.py --ours-engine openvino  # ours alone with it, the others with torch
    python benchmarks/serving.py --engine plain        # ours as it is, the others with the network as timm gives it
    python benchmarks/serving.py --streams 1000        # ours alone: so many streams at once, one frame after the other

All serve the shipped big model with one decoder and, but for `--engine plain`, as our server loads and runs it. The
servers take turns; the table has the median of the turns, the memory (PSS) of all processes of a server at its highest
load, and the bare ceiling: decoding and the model in one process without a server. Clients share the cores.
"""

from __future__ import annotations

import asyncio
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import click
import cloud
import cv2
import grpc
import numpy as np
from rich.console import Console
from rich.table import Table

from edge_sdk.images.encode import encode
from edge_sdk.images.rendition import Upload
from edge_sdk.security.tokens import add_token, new_token
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

HERE = Path(__file__).resolve().parent
RIVALS = HERE / "serving_rivals"
LOADS = (1, 8, 32, 128)
OTHERS = {
    "mosec": "with_mosec.py",
    "litserve": "with_litserve.py",
    "grpc": "with_grpc.py",
    "ray": "with_ray.py",
    "ours-on-ray": "with_our_ray.py",
}
ON_RAY = {"ray", "ours-on-ray"}
PACKAGES = ("mosec", "litserve", "ray[serve]")
START_S = 300.0
Ask = Callable[[str, list[bytes], int, int], Awaitable[float]]
"""Address, pictures, frames, in flight -> frames a second."""


def pictures() -> list[bytes]:
    """JPEGs of 640x480 of about 17 kB."""
    images = [np.asarray(cv2.imdecode(np.frombuffer(one, np.uint8), 1))[..., ::-1] for one in cloud.pictures()]
    return [encode(np.ascontiguousarray(cv2.GaussianBlur(one, (0, 0), 2)), Upload(quality=45)) for one in images]


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def marked(mark: str) -> list[int]:
    """The processes whose environment has the mark, and all that these began: Ray's write their names over it."""
    found, children = list[int](), dict[int, list[int]]()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(process.name))
            if mark.encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
    for one in found:  # grows while it is walked
        found.extend(child for child in children.get(one, ()) if child not in found)
    return found


def memory_mb(mark: str) -> float:
    """PSS of all processes whose environment has the mark, MB."""
    total = 0
    for process in marked(mark):
        with suppress(OSError, IndexError):
            total += int(Path(f"/proc/{process}/smaps_rollup").read_text().partition("\nPss:")[2].split()[0])
    return total * 1024 / 1e6


@contextmanager
def server(name: str, python: str, threads: int, *more: str, engine: str = "torch") -> Iterator[tuple[str, str]]:
    """Start a server, ours with `more` options; its address and the mark of its processes."""
    port, mark = free_port(), f"SERVING_MARK={uuid.uuid4().hex}"
    key, _, value = mark.partition("=")
    settings = {key: value, "SERVING_PORT": str(port), "SERVING_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    settings["SERVING_ENGINE"] = engine
    paths = [str(HERE.parent), str(RIVALS), str(HERE)]
    environment = {**os.environ, **settings, "PYTHONPATH": os.pathsep.join(paths)}
    command = [python, str(RIVALS / OTHERS[name])] if name in OTHERS else None
    if command is None:
        del environment["OMP_NUM_THREADS"]
        options = ["--port", str(port), "--state", "none", "--device", "cpu", "--threads", str(threads)]
        options += ["--engine", engine]
        command = [sys.executable, "-P", "-m", "cloud_server", *options, "--queue", "1024", *more]
    log = Path(f"/tmp/serving-{name}.log")
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out, start_new_session=True)
    try:
        yield f"127.0.0.1:{port}", mark
    finally:
        known = set(marked(mark))
        process.terminate()
        try:
            process.wait(60 if name in ON_RAY else 20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        end_all(mark, known)


def end_all(mark: str, known: set[int]) -> None:
    """End what is left of a server's processes: Ray's outlive it at times, and begin others while they end."""
    until = time.monotonic() + 20
    while left := set(marked(mark)) | {one for one in known if runs(one)}:
        if time.monotonic() > until:
            raise TimeoutError(f"expected all processes of the server to end; {sorted(left)} still run: kill them")
        for one in left:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        time.sleep(0.1)


def runs(process: int) -> bool:
    """Whether there is such a process, other than one that has ended and waits for its parent."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def over_http(path: str, as_json: bool) -> Ask:
    """An `Ask` over HTTP/1.1, each caller with a connection of its own."""

    def body_of(image: bytes) -> bytes:
        return b'{"picture": "' + image.hex().encode() + b'"}' if as_json else image

    kind = "application/json" if as_json else "application/octet-stream"

    async def ask(address: str, images: list[bytes], frames: int, in_flight: int) -> float:
        host, _, port = address.partition(":")
        bodies = iter([body_of(images[index % len(images)]) for index in range(frames)])

        async def caller() -> None:
            reader, writer = await asyncio.open_connection(host, int(port))
            for body in bodies:
                head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\n"
                writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                answer = await reader.readuntil(b"\r\n\r\n")
                if b" 200 " not in answer.split(b"\r\n", 1)[0]:
                    raise ConnectionError(answer[:200].decode("latin-1"))
                length = int(answer.lower().partition(b"content-length:")[2].split(None, 1)[0])
                await reader.readexactly(length)
            writer.close()

        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(in_flight)))
        return frames / (time.perf_counter() - began)

    return ask


async def over_grpc(address: str, images: list[bytes], frames: int, in_flight: int) -> float:
    """Plain calls to the plain server."""
    bodies = iter([images[index % len(images)] for index in range(frames)])
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary("/plain.Plain/Classify")

        async def caller() -> None:
            for body in bodies:
                await call(body)

        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(in_flight)))
        return frames / (time.perf_counter() - began)


def over_ours(kind: cloud.Measure) -> Ask:
    """Our wire, by stream or by single calls."""

    async def ask(address: str, images: list[bytes], frames: int, in_flight: int) -> float:
        async with grpc.aio.insecure_channel(address) as channel:
            stub = wire_grpc.OffloadStub(channel)
            began = time.perf_counter()
            await kind(stub, cloud.requests(images, frames), in_flight)
            return frames / (time.perf_counter() - began)

    return ask


async def streams(stub: Any, requests: Iterator[wire.ClassifyRequest], in_flight: int) -> list[float]:
    """As `cloud.stream`, over streams of up to 16 frames each, since a device has a window of 32."""
    counts = [min(16, in_flight - first) for first in range(0, in_flight, 16)]
    taken = await asyncio.gather(*(cloud.stream(stub, requests, count) for count in counts))
    return [one for some in taken for one in some]


WAYS: dict[str, tuple[str, Ask]] = {
    "ours, stream": ("ours", over_ours(streams)),
    "ours, single calls": ("ours", over_ours(cloud.unary)),
    "mosec": ("mosec", over_http("/inference", as_json=False)),
    "LitServe": ("litserve", over_http("/predict", as_json=True)),
    "plain gRPC": ("grpc", over_grpc),
    "Ray Serve": ("ray", over_http("/", as_json=False)),
    "ours on Ray Serve, stream": ("ours-on-ray", over_ours(streams)),
    "ours on Ray Serve, single calls": ("ours-on-ray", over_ours(cloud.unary)),
}


async def ready(ask: Ask, address: str, images: list[bytes]) -> None:
    """Return once the server answers."""
    until = time.monotonic() + START_S
    while True:
        try:
            await ask(address, images, 1, 1)
            return
        except (OSError, EOFError, grpc.aio.AioRpcError, asyncio.IncompleteReadError):
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.2)


CEILING = """
import sys, time
from shared import Model
model, datas, size = Model(), [sys.stdin.buffer.read()], int(sys.argv[1])
from cloud_server.memory import return_large_blocks
return_large_blocks(64 << 20)
best = []
for _ in range(max(4, 160 // size)):
    began = time.perf_counter()
    model.answer(datas * size)
    best.append(size / (time.perf_counter() - began))
print(sorted(best)[len(best) // 2])
"""


def ceiling(size: int, image: bytes, threads: int, engine: str) -> float:
    """Frames a second of decoding and the model alone, without a server."""
    paths = os.pathsep.join([str(HERE.parent), str(RIVALS)])
    settings = {"SERVING_THREADS": str(threads), "PYTHONPATH": paths, "OMP_WAIT_POLICY": "PASSIVE"}
    settings["SERVING_ENGINE"] = engine
    done = subprocess.run(
        [sys.executable, "-c", CEILING, str(size)],
        input=image,
        capture_output=True,
        check=True,
        env={**os.environ, **settings},
    )
    return float(done.stdout)


def rivals_python() -> str:
    """The Python of an environment that has the others, made where there is none; it sees this one's packages."""
    folder = HERE.parent / "build" / "rivals"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        base = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages" / "base.pth"
        base.write_text("\n".join(path for path in sys.path if path.endswith("site-packages")) + "\n")
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES], check=True)
    return str(python)


@click.command()
@click.option("--python", help="Python of an environment with mosec, LitServe and Ray Serve.  [default: one is made]")
@click.option("--threads", default=2, show_default=True, help="CPU threads of each server's model.")
@click.option(
    "--engine",
    type=click.Choice(["torch", "openvino", "plain"]),
    default="torch",
    show_default=True,
    help="What runs the model: as our server loads and runs it, or for the others the network as timm gives it.",
)
@click.option("--ours-engine", type=click.Choice(["torch", "openvino"]), help="Of ours.  [default: as --engine]")
@click.option("--turns", default=3, show_default=True)
@click.option("--seconds", default=4.0, show_default=True, help="About how long each measurement takes.")
@click.option("--only", help="Comma-separated: ours, mosec, litserve, grpc, ray, ours-on-ray.")
@click.option("--streams", "many", type=int, help="Ours alone: so many streams at once.")
def main(
    python: str | None,
    threads: int,
    engine: str,
    ours_engine: str | None,
    turns: int,
    seconds: float,
    only: str | None,
    many: int | None,
) -> None:
    """Print frames a second and memory of each server as a table."""
    if engine == "plain":
        ours_engine = ours_engine or "torch"
    images, console = pictures(), Console(width=120)
    if many is not None:
        console.print(asyncio.run(many_streams(many, images, threads)))
        return
    names = only.split(",") if only else ["ours", *OTHERS]
    if python is None and set(names) & {"mosec", "litserve", *ON_RAY}:
        python = rivals_python()
    rates: dict[tuple[str, int], list[float]] = {}
    memory: dict[str, list[float]] = {}
    bare: dict[int, list[float]] = {8: [], 32: []}
    for turn in range(turns):
        for size, found in bare.items():
            found.append(ceiling(size, images[0], threads, engine))
        for name in names:
            of_this = ours_engine or engine if name.startswith("ours") else engine
            with server(name, python or sys.executable, threads, engine=of_this) as (address, mark):
                for way, (whose, ask) in WAYS.items():
                    if whose == name:
                        asyncio.run(measure(way, ask, address, images, seconds, rates))
                memory.setdefault(name, []).append(memory_mb(mark))
        console.print(f"turn {turn + 1} of {turns} is done", highlight=False)
    words = engine if ours_engine is None else f"{engine}, ours {ours_engine}"
    table = Table("server", *(f"{load} in flight" for load in LOADS), "memory MB", title=f"Frames a second, {words}")
    for way, (whose, _) in WAYS.items():
        if whose in names:
            cells = [f"{statistics.median(rates[way, load]):.0f}" for load in LOADS]
            table.add_row(way, *cells, f"{statistics.median(memory[whose]):.0f}")
    ends = ", ".join(f"{statistics.median(found):.0f} at batch {size}" for size, found in bare.items())
    kilobytes = np.mean([len(image) for image in images]) / 1000
    machine = f"{os.cpu_count()} cores {platform.machine()}"
    table.caption = f"ceiling {ends}; JPEGs of {kilobytes:.0f} kB; median of {turns} turns; {machine}"
    console.print(table)


async def measure(
    way: str, ask: Ask, address: str, images: list[bytes], seconds: float, rates: dict[tuple[str, int], list[float]]
) -> None:
    """One server at each load."""
    await ready(ask, address, images)
    for load in LOADS:
        pace = await ask(address, images, max(10, 2 * load), load)
        frames = max(4 * load, min(2000, round(pace * seconds)))
        rates.setdefault((way, load), []).append(await ask(address, images, frames, load))


async def many_streams(count: int, images: list[bytes], threads: int) -> str:
    """Each of `count` streams, 16 of each device, sends two frames; what came of it in words."""
    with ExitStack() as stack:
        tokens = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "tokens"
        known = [new_token() for _ in range(-(-count // 16))]
        for number, token in enumerate(known):
            add_token(tokens, f"device-{number}", token)
        most = ["--tokens", str(tokens), "--max-streams", str(count)]
        address, mark = stack.enter_context(server("ours", sys.executable, threads, *most))
        channels = [grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) for _ in known]
        await asyncio.wait_for(channels[0].channel_ready(), START_S)
        answered, said = 0, list[str]()

        async def one(number: int) -> None:
            nonlocal answered
            device = number % len(channels)
            stub = wire_grpc.OffloadStub(channels[device])
            call = stub.Stream(metadata=(("authorization", f"Bearer {known[device]}"),))
            for request in cloud.requests(images, 2):
                await call.write(request)
                reply = await call.read()
                if reply is grpc.aio.EOF:
                    said.append("the stream ended")
                elif reply.HasField("failure"):
                    said.append(reply.failure.message)
                else:
                    answered += 1
            await call.done_writing()

        began = time.perf_counter()
        results = await asyncio.gather(*map(one, range(count)), return_exceptions=True)
        took_s = time.perf_counter() - began
        errors = [result for result in results if isinstance(result, BaseException)]
        used = memory_mb(mark)
        await asyncio.gather(*(channel.close() for channel in channels))
    first = "".join(f"; the first: {what}"[:300] for what in (*said[:1], *map(repr, errors[:1])))
    return (
        f"{count} streams of {len(channels)} devices: {answered} frames answered, {len(said)} failures, "
        f"{len(errors)} errors, {answered / took_s:.0f} frames a second, {used:.0f} MB{first}"
    )


if __name__ == "__main__":
    main()
