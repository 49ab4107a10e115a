"""Strangers on the cloud's port: whatever they send, the server lives, stays small, and serves the others."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from pathlib import Path

import grpc
import pytest
from gated_model import picture

from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from fuzz.corpus import bombs, honest
from fuzz.mutator import requests
from fuzz.victim import GoodDevice, Victim, serving

SERVICE = "/edge_sdk.v1.Offload/"
IN_FLIGHT = 32
TIMEOUT_S = 600
STATUSES = {
    grpc.StatusCode.UNIMPLEMENTED,  # no such method
    grpc.StatusCode.INTERNAL,  # no protobuf of ours
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.RESOURCE_EXHAUSTED,  # over gRPC's own limit
}
GROWTH_BYTES, REMEMBERED_BYTES, REMEMBERED = 100_000_000, 2_500, 60_000
"""The allocator's, and that of the answers which the server remembers by id: a quarter of the requests gets one."""
PEAK_BYTES = 500_000_000
"""Two decoders at 32 megapixels: 96 MB each as BGR and again as RGB."""

FLOOD_STREAMS, FLOOD_FRAMES = 8, 400
LORIS = 100
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


async def attack(address: str, count: int, seed: int) -> Counter[str]:
    """Send `count` hostile requests, many at a time; how many were answered how."""
    said: Counter[str] = Counter()
    pending = requests(honest(), bombs(), count, seed)
    async with grpc.aio.insecure_channel(address) as channel:

        async def send() -> None:
            for method, content in pending:
                call = channel.unary_unary(SERVICE + method, request_serializer=bytes, response_deserializer=bytes)
                try:
                    content = await call(content, timeout=TIMEOUT_S)
                except grpc.aio.AioRpcError as error:
                    assert error.code() in STATUSES, f"{error.code()}: {error.details()}"
                    said[f"status {error.code().name}"] += 1
                    continue
                if method == "Describe":
                    said["described"] += 1
                    continue
                reply = wire.ClassifyReply.FromString(content)
                kind = reply.WhichOneof("result")
                assert kind is not None
                said[kind if kind == "classification" else wire.Failure.Code.Name(reply.failure.code)] += 1

        await asyncio.gather(*(send() for _ in range(IN_FLIGHT)))
    return said


async def test_mutated_pictures_and_protobufs(tmp_path: Path, fuzz_count: int) -> None:
    with serving(tmp_path / "log") as victim:
        await attack(victim.address, 300, seed=0)  # caches and pools are filled
        before = victim.memory("VmRSS")
        with GoodDevice(tmp_path, victim.address, 50) as device:
            said = await attack(victim.address, fuzz_count, seed=1)
            await asyncio.to_thread(device.until_answered)
        grown, peak = victim.memory("VmRSS") - before, victim.memory("VmHWM") - before
        print(f"{fuzz_count} requests: {dict(said)}; bytes resident {before}, grown by {grown}, at most by {peak}")
    assert sum(said.values()) == fuzz_count
    assert {"classification", "BAD_IMAGE", "BAD_REQUEST"} <= said.keys()
    assert grown < GROWTH_BYTES + REMEMBERED_BYTES * min(fuzz_count, REMEMBERED)
    assert peak < PEAK_BYTES


@pytest.mark.parametrize("number", range(len(bombs())))
async def test_a_bomb_is_answered_in_band(tmp_path: Path, number: int, victim: Victim) -> None:
    async with grpc.aio.insecure_channel(victim.address) as channel:
        call = channel.unary_unary(
            SERVICE + "Classify",
            request_serializer=wire.ClassifyRequest.SerializeToString,
            response_deserializer=wire.ClassifyReply.FromString,
        )
        reply = await call(wire.ClassifyRequest(frame_id=new_frame_id(), image=bombs()[number]), timeout=120)
    assert reply.WhichOneof("result") is not None
    assert victim.memory("VmHWM") < 1_000_000_000


async def test_a_flood_of_one_device_leaves_the_others_their_service(tmp_path: Path, victim: Victim) -> None:
    async with grpc.aio.insecure_channel(victim.address) as channel:

        async def flood() -> None:
            stream = channel.stream_stream(
                SERVICE + "Stream",
                request_serializer=wire.ClassifyRequest.SerializeToString,
                response_deserializer=wire.ClassifyReply.FromString,
            )()
            reader = asyncio.create_task(drain(stream))
            for _ in range(FLOOD_FRAMES):
                await stream.write(wire.ClassifyRequest(frame_id=new_frame_id(), image=picture(1, 200)))
            await stream.done_writing()
            assert await reader == FLOOD_FRAMES

        with GoodDevice(tmp_path, victim.address, 50) as device:
            floods = asyncio.gather(*(flood() for _ in range(FLOOD_STREAMS)))
            await asyncio.to_thread(device.until_answered)
            await floods


async def drain(stream: grpc.aio.StreamStreamCall) -> int:
    return len([reply async for reply in stream])


async def test_streams_that_send_a_byte_at_a_time_hold_nobody_up(tmp_path: Path, victim: Victim) -> None:
    sent = [PREFACE[:20] + bytes(50), PREFACE + stream_headers() + data_frame()]
    lorises = [(socket.create_connection(("127.0.0.1", victim.port)), sent[number % 2]) for number in range(LORIS)]
    try:
        with GoodDevice(tmp_path, victim.address, 50) as device:
            answered = asyncio.create_task(asyncio.to_thread(device.until_answered))
            at = 0
            while not answered.done():
                for one, content in lorises:
                    if at < len(content):
                        try:
                            one.send(content[at : at + 1])
                        except OSError:
                            continue  # the server hung up, and well it may
                at += 1
                await asyncio.sleep(0)
            await answered
    finally:
        for one, _ in lorises:
            one.close()


def stream_headers() -> bytes:
    """HEADERS of a `Stream` call, each field a literal without indexing (RFC 7541, 6.2.2)."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": SERVICE + "Stream",
        ":authority": "x",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    block = b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields.items()
    )
    return struct.pack(">I", len(block))[1:] + b"\1\4\0\0\0\1" + block


def data_frame() -> bytes:
    """DATA that promises a message of a megabyte."""
    return struct.pack(">I", 16_000)[1:] + b"\0\0\0\0\0\1" + b"\0" + struct.pack(">I", 1 << 20) + bytes(16_000)
